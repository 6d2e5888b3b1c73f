/* Children by fork and exec; ends seen through pidfds. */
#include "tests/lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/lib/guard.h"

enum { REAP_MS = 60000 }; /* a guard only: what was killed ends */

static void child(const char *const argv[], const char *const env[], const char *log, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; env && env[i]; i++)
        putenv(xstrdup(env[i]));
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    if (log) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(fd, 1);
        dup2(fd, 2);
        close(fd);
    }
    if (out >= 0)
        dup2(out, 1);
    char **copy = xcalloc(64, sizeof(char *));
    for (int i = 0; argv[i] && i < 63; i++)
        copy[i] = xstrdup(argv[i]);
    execvp(copy[0], copy);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static struct proc start(const char *const argv[], const char *const env[], const char *log,
                         int out)
{
    struct proc proc = {.pidfd = -1};
    fflush(NULL);
    proc.pid = fork();
    if (proc.pid < 0)
        abort();
    if (proc.pid == 0)
        child(argv, env, log, out);
    proc.pidfd = pidfd_open(proc.pid, 0);
    guard_kill(proc.pid);
    return proc;
}

struct proc proc_start(const char *const argv[], const char *const env[], const char *log)
{
    return start(argv, env, log, -1);
}

int proc_wait(struct proc *proc, int timeout_ms)
{
    struct pollfd ends = {.fd = proc->pidfd, .events = POLLIN};
    int64_t deadline = clock_boottime_ms() + timeout_ms;
    int status = 0;
    if (proc->pid <= 0)
        return 0;
    for (;;) {
        int64_t left = deadline - clock_boottime_ms();
        int ready = poll(&ends, 1, left > 0 ? (int)left : 0);
        if (ready > 0)
            break;
        if (ready == 0)
            return -1;
        if (errno != EINTR)
            abort();
    }
    while (waitpid(proc->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(proc->pidfd);
    proc->pid = 0;
    proc->pidfd = -1;
    return status;
}

bool proc_running(struct proc *proc)
{
    struct pollfd ends = {.fd = proc->pidfd, .events = POLLIN};
    return proc->pid > 0 && poll(&ends, 1, 0) == 0;
}

void proc_signal(struct proc *proc, int signal)
{
    if (proc->pid > 0)
        kill(proc->pid, signal);
}

int proc_stop(struct proc *proc, int timeout_ms)
{
    proc_signal(proc, SIGTERM);
    int status = proc_wait(proc, timeout_ms);
    if (status == -1) {
        proc_signal(proc, SIGKILL);
        status = proc_wait(proc, REAP_MS);
    }
    return status;
}

void proc_kill(struct proc *proc)
{
    proc_signal(proc, SIGKILL);
    proc_wait(proc, REAP_MS);
}

int proc_run(const char *const argv[], const char *const env[], const char *log, int timeout_ms)
{
    struct proc proc = start(argv, env, log, -1);
    int status = proc_wait(&proc, timeout_ms);
    if (status == -1) {
        proc_kill(&proc);
        return 128 + SIGKILL;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *proc_output(const char *const argv[], int *ret_status, int timeout_ms)
{
    struct buf text = {0};
    int ends[2];
    char chunk[4096];
    ssize_t got;
    if (pipe2(ends, O_CLOEXEC) < 0)
        abort();
    struct proc proc = start(argv, NULL, NULL, ends[1]);
    close(ends[1]);
    while ((got = read(ends[0], chunk, sizeof(chunk))) > 0 || (got < 0 && errno == EINTR)) {
        if (got > 0)
            buf_add(&text, chunk, (size_t)got);
    }
    close(ends[0]);
    int status = proc_wait(&proc, timeout_ms);
    if (ret_status)
        *ret_status = status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
    return buf_take(&text);
}

long proc_pss_kib(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/smaps_rollup", pid);
    FILE *in = fopen(path, "r");
    char line[256];
    long pss = -1;
    while (in && fgets(line, sizeof(line), in)) {
        if (sscanf(line, "Pss: %ld kB", &pss) == 1)
            break;
    }
    if (in)
        fclose(in);
    return pss;
}

long proc_cpu_ms(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/stat", pid);
    FILE *in = fopen(path, "r");
    unsigned long user = 0, sys = 0;
    if (!in)
        return -1;
    int found =
        fscanf(in, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys);
    fclose(in);
    return found == 2 ? (long)((user + sys) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK)) : -1;
}
