/* One thread for one program: it starts it, waits for its end, and starts it again. */
#include "tests/faults/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"

const char *const program_names[] = {"controller", "agent"};

static struct proc *proc_of(struct keeper *keeper)
{
    return keeper->program == CONTROLLER ? &keeper->cloud->controller : &keeper->cloud->agent;
}

static int start_program(struct keeper *keeper, const char *const env[])
{
    return keeper->program == CONTROLLER ? cloud_try_controller(keeper->cloud, env, NULL)
                                         : cloud_try_agent(keeper->cloud, env, NULL);
}

/* Starts it armed; the words for strace and the environment live until it has started. */
static int start_armed(struct keeper *keeper, const struct kill_place *place)
{
    char trace[80], inject[160], variable[160], log[512];
    const char *env[3] = {NULL};
    const char *const wrap[] = {"strace", "-D",  "-f", "-qq",  "-o", "/dev/null",
                                "-e",     trace, "-e", inject, NULL};
    const char *const **slot = keeper->program == CONTROLLER ? &keeper->cloud->controller_wrap
                                                             : &keeper->cloud->agent_wrap;
    int count = 0;
    *slot = NULL;
    if (place && place->traced) {
        snprintf(trace, sizeof(trace), "trace=%s", place->site);
        snprintf(inject, sizeof(inject), "inject=%s:signal=SIGKILL:when=%d", place->site, place->n);
        *slot = wrap;
    } else if (place) {
        snprintf(variable, sizeof(variable), "MINICLOUD_FAILPOINT=%s:%d", place->site, place->n);
        env[count++] = variable;
    }
    if (keeper->log) {
        snprintf(log, sizeof(log), "MINICLOUD_FAILPOINT_LOG=%s", keeper->log);
        env[count++] = log;
    }
    int result = start_program(keeper, env);
    *slot = NULL;
    return result;
}

/* The next place of the list, or NULL when it is used up. Called with the lock held. */
static struct kill_place *next_place(struct keeper *keeper)
{
    struct kill_place *place = NULL;
    if (keeper->next < keeper->count) {
        place = keeper->list[keeper->next++];
        place->tried = true;
    }
    return place;
}

/* How the armed program ended; false: not as it was told to. */
static bool killed_as_told(struct keeper *keeper, int status)
{
    if (keeper->armed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        keeper->armed->fired = true;
        return true;
    }
    free(keeper->wrong);
    keeper->wrong =
        xasprintf("the %s ended by itself, status %x, %s", program_names[keeper->program], status,
                  keeper->armed ? keeper->armed->site : "unarmed");
    return false;
}

/* Starts until it is up: an armed one may die on its way there. */
static void bring_up(struct keeper *keeper, int64_t died_ms)
{
    struct kill_place *fired = died_ms ? keeper->armed : NULL;
    for (;;) {
        pthread_mutex_lock(&keeper->lock);
        struct kill_place *place = keeper->armed = next_place(keeper);
        pthread_mutex_unlock(&keeper->lock);
        int result = start_armed(keeper, place);
        if (fired && keeper->recovered && result == 0)
            keeper->recovered(keeper, fired, clock_boottime_ms() - died_ms);
        if (result == 0)
            break;
        int status = proc_wait(proc_of(keeper), 0);
        if (status == -1) {
            proc_kill(proc_of(keeper));
            keeper->wrong =
                xasprintf("the %s does not become ready", program_names[keeper->program]);
            break;
        }
        if (!killed_as_told(keeper, status))
            break;
        if (fired && keeper->recovered)
            keeper->recovered(keeper, fired, clock_boottime_ms() - died_ms);
        fired = place;
        died_ms = clock_boottime_ms();
    }
    pthread_mutex_lock(&keeper->lock);
    keeper->up = true;
    pthread_cond_broadcast(&keeper->moved);
    pthread_mutex_unlock(&keeper->lock);
}

/* Waits for the program's end or for a wish; whether to stop. */
static bool tend(struct keeper *keeper)
{
    struct pollfd wait[2] = {{.fd = proc_of(keeper)->pidfd, .events = POLLIN},
                             {.fd = keeper->wake, .events = POLLIN}};
    uint64_t ignored;
    while (poll(wait, 2, -1) < 0 && errno == EINTR)
        ;
    if (wait[1].revents && read(keeper->wake, &ignored, sizeof(ignored)) < 0)
        abort();
    pthread_mutex_lock(&keeper->lock);
    bool restart = keeper->restart, stopping = keeper->stopping;
    keeper->restart = false;
    if (wait[0].revents)
        keeper->up = false;
    pthread_mutex_unlock(&keeper->lock);
    if (restart || stopping) {
        proc_kill(proc_of(keeper));
        if (!stopping)
            bring_up(keeper, 0);
    } else if (wait[0].revents) {
        int64_t died_ms = clock_boottime_ms();
        if (killed_as_told(keeper, proc_wait(proc_of(keeper), 0)))
            bring_up(keeper, died_ms);
        else
            return true;
    }
    return stopping;
}

static void *keeper_main(void *ctx)
{
    struct keeper *keeper = ctx;
    bring_up(keeper, 0);
    while (!keeper->wrong && !tend(keeper))
        ;
    pthread_mutex_lock(&keeper->lock);
    keeper->up = true; /* nobody need wait for it any more */
    pthread_cond_broadcast(&keeper->moved);
    pthread_mutex_unlock(&keeper->lock);
    /* Children die with the thread that made them; keep it until the end is asked for. */
    while (!keeper->stopping) {
        uint64_t ignored;
        if (read(keeper->wake, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
            break;
    }
    return NULL;
}

static void poke(struct keeper *keeper)
{
    uint64_t one = 1;
    if (write(keeper->wake, &one, sizeof(one)) != sizeof(one))
        abort();
}

bool keeper_await(struct keeper *keeper, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000 + 1;
    pthread_mutex_lock(&keeper->lock);
    int result = 0;
    while (!keeper->up && result == 0)
        result = pthread_cond_timedwait(&keeper->moved, &keeper->lock, &until);
    bool up = keeper->up;
    pthread_mutex_unlock(&keeper->lock);
    return up;
}

void keeper_start(struct keeper *keeper)
{
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->moved, NULL);
    keeper->wake = eventfd(0, EFD_CLOEXEC);
    if (keeper->wake < 0 || pthread_create(&keeper->thread, NULL, keeper_main, keeper) != 0)
        abort();
    keeper_await(keeper, 90000);
}

void keeper_arm(struct keeper *keeper, struct kill_place **list, size_t count)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->list = list;
    keeper->count = count;
    keeper->next = 0;
    keeper->restart = true;
    keeper->up = keeper->wrong != NULL;
    pthread_mutex_unlock(&keeper->lock);
    poke(keeper);
    keeper_await(keeper, 90000);
}

void keeper_stop(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    pthread_mutex_unlock(&keeper->lock);
    poke(keeper);
    pthread_join(keeper->thread, NULL);
    close(keeper->wake);
}
