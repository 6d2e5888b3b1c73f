/* pidfds in one epoll and a thread that waits on it; see exits.h. */
#include "node-agent/evidence/exits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/evidence/ends.h"
#include "node-agent/host/qemu.h"
#include "node-agent/xml/facts.h"

enum { BUCKETS = 1024, EVENTS = 64, STACK_BYTES = 256 * 1024 };

struct watched {
    struct watched *next;
    char id[ID_TEXT_MAX];
    int64_t run, ended_at;
    int fd; /* -1: it has ended, or could not be watched */
};

struct exits {
    struct exits_settings settings;
    pthread_mutex_t lock;
    pthread_t thread;
    bool running;
    int epoll, stop;
    struct watched *buckets[BUCKETS];
};

static struct watched **bucket(struct exits *exits, const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *id; id++)
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    return &exits->buckets[hash % BUCKETS];
}

static struct watched *find(struct exits *exits, const char *id)
{
    struct watched *w = *bucket(exits, id);
    while (w && strcmp(w->id, id) != 0)
        w = w->next;
    return w;
}

static bool has_ended(int fd, int wait_ms)
{
    struct pollfd ends = {.fd = fd, .events = POLLIN};
    return poll(&ends, 1, wait_ms) == 1;
}

/* Closing alone would not take it out of the epoll while somebody has a duplicate. */
static void close_watched(struct exits *exits, struct watched *w)
{
    if (w->fd < 0)
        return;
    epoll_ctl(exits->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    close(w->fd);
    w->fd = -1;
}

/* ---- with the lock held ---- */

static void note_end(struct exits *exits, struct watched *w)
{
    struct end_line line = {
        .off = true, .run = w->run, .boottime_ms = clock_boottime_ms(), .witness = ENDS_BY_AGENT};
    auto_err struct err err = {0};
    w->ended_at = line.boottime_ms;
    close_watched(exits, w);
    text_copy(line.id, sizeof line.id, w->id);
    text_copy(line.boot_id, sizeof line.boot_id, exits->settings.boot_id);
    if (ends_append(exits->settings.ends_path, &line, &err))
        log_warn("exits.not_written", "id=%s error=\"%s\"", w->id, err.msg);
    exits->settings.ended(exits->settings.ctx, w->id, w->run, w->ended_at);
    log_debug("exits.ended", "id=%s run=%lld", w->id, (long long)w->run);
}

static void open_watched(struct exits *exits, struct watched *w)
{
    struct epoll_event event = {.events = EPOLLIN};
    w->fd = event.data.fd = qemu_pidfd(exits->settings.run_dir, w->id);
    if (w->fd >= 0 && epoll_ctl(exits->epoll, EPOLL_CTL_ADD, w->fd, &event) != 0) {
        log_warn("exits.not_watched", "id=%s error=\"%s\"", w->id, strerror(errno));
        close_watched(exits, w);
    }
}

/* The number may be another's by now, so it is asked once more. */
static void note_readable(struct exits *exits, int fd)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct watched *w = exits->buckets[i]; w; w = w->next) {
            if (w->fd == fd && has_ended(fd, 0)) {
                note_end(exits, w);
                return;
            }
        }
    }
}

void exits_look(struct exits *exits)
{
    struct epoll_event events[EVENTS];
    int n;
    pthread_mutex_lock(&exits->lock);
    do {
        n = epoll_wait(exits->epoll, events, EVENTS, 0);
        for (int i = 0; i < n; i++)
            note_readable(exits, events[i].data.fd);
    } while (n == EVENTS);
    pthread_mutex_unlock(&exits->lock);
}

/* ---- the thread ---- */

static void *exits_run(void *arg)
{
    struct exits *exits = arg;
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(exits->epoll, events, EVENTS, -1);
        pthread_mutex_lock(&exits->lock);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == exits->stop) {
                pthread_mutex_unlock(&exits->lock);
                return NULL;
            }
            note_readable(exits, events[i].data.fd);
        }
        pthread_mutex_unlock(&exits->lock);
    }
}

static int start_thread(struct exits *exits, struct err *err)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int r = pthread_create(&exits->thread, &attributes, exits_run, exits);
    pthread_attr_destroy(&attributes);
    if (r != 0)
        return err_set(err, ERR_INTERNAL, "no thread for guests' ends: %s", strerror(r));
    pthread_setname_np(exits->thread, "exits");
    exits->running = true;
    return 0;
}

static void release(struct exits *exits)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct watched *w = exits->buckets[i], *next; w; w = next) {
            next = w->next;
            close_watched(exits, w);
            free(w);
        }
    }
    if (exits->epoll >= 0)
        close(exits->epoll);
    if (exits->stop >= 0)
        close(exits->stop);
    pthread_mutex_destroy(&exits->lock);
    free(exits);
}

int exits_new(const struct exits_settings *settings, struct exits **ret_exits, struct err *err)
{
    struct exits *exits = xcalloc(1, sizeof *exits);
    pthread_mutex_init(&exits->lock, NULL);
    exits->settings = *settings;
    exits->epoll = epoll_create1(EPOLL_CLOEXEC);
    exits->stop = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = exits->stop};
    if (exits->epoll < 0 || exits->stop < 0 ||
        epoll_ctl(exits->epoll, EPOLL_CTL_ADD, exits->stop, &event) != 0)
        err_errno(err, "cannot watch guests' ends");
    else if (start_thread(exits, err) == 0) {
        *ret_exits = exits;
        return 0;
    }
    release(exits);
    return -1;
}

void exits_stop(struct exits *exits)
{
    if (!exits->running)
        return;
    eventfd_write(exits->stop, 1);
    pthread_join(exits->thread, NULL);
    exits->running = false;
}

void exits_free(struct exits *exits)
{
    if (!exits)
        return;
    exits_stop(exits);
    release(exits);
}

/* ---- what is watched ---- */

static struct watched *add(struct exits *exits, const char *id)
{
    struct watched **head = bucket(exits, id);
    struct watched *w = xcalloc(1, sizeof *w);
    text_copy(w->id, sizeof w->id, id);
    w->fd = -1;
    w->next = *head;
    *head = w;
    return w;
}

void exits_watch(struct exits *exits, const char *id, int64_t run)
{
    pthread_mutex_lock(&exits->lock);
    struct watched *w = find(exits, id);
    if (!w)
        w = add(exits, id);
    if (w->fd >= 0 && has_ended(w->fd, 0))
        note_end(exits, w);
    bool told = w->run == run && w->ended_at > 0;
    w->run = run;
    if (w->fd < 0 && !told) {
        w->ended_at = 0;
        open_watched(exits, w);
    }
    pthread_mutex_unlock(&exits->lock);
}

int64_t exits_ended(struct exits *exits, const char *id, int64_t run, int wait_ms)
{
    pthread_mutex_lock(&exits->lock);
    struct watched *w = find(exits, id);
    bool known = w && w->run == run;
    int fd = known && w->fd >= 0 ? fcntl(w->fd, F_DUPFD_CLOEXEC, 0) : -1;
    int64_t at = known ? w->ended_at : 0;
    pthread_mutex_unlock(&exits->lock);
    if (fd < 0)
        return at;
    bool ended = has_ended(fd, wait_ms);
    close(fd);
    if (!ended)
        return 0;
    pthread_mutex_lock(&exits->lock);
    w = find(exits, id);
    known = w && w->run == run;
    if (known && w->fd >= 0)
        note_end(exits, w);
    at = known ? w->ended_at : 0;
    pthread_mutex_unlock(&exits->lock);
    return at;
}

void exits_forget(struct exits *exits, const char *id)
{
    pthread_mutex_lock(&exits->lock);
    for (struct watched **at = bucket(exits, id), *w; (w = *at); at = &w->next) {
        if (strcmp(w->id, id) != 0)
            continue;
        *at = w->next;
        close_watched(exits, w);
        free(w);
        break;
    }
    pthread_mutex_unlock(&exits->lock);
}
