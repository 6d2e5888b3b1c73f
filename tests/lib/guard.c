/* The guard process holds the read end of a pipe. Each registration is one line through it;
 * end of file means that the test is over, however it ended. */
#include "tests/lib/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/mem.h"

enum { SEPARATOR = 0x1f };

static int guard_pipe = -1;
static pid_t guard_pid;

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    /* FTW_MOUNT: never walk into something that is still mounted there. */
    nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void run_program(char *line)
{
    char *argv[32];
    int count = 0;
    for (char *rest = line, *part; count < 31 && (part = strsep(&rest, "\x1f"));)
        argv[count++] = part;
    argv[count] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void undo(char *line)
{
    switch (line[0]) {
    case 'k': {
        /* "k<pid> <start time>": a reused pid has another start time. */
        int pid = 0;
        unsigned long long want = 0, have = 0;
        autofree char *path = NULL;
        if (sscanf(line + 1, "%d %llu", &pid, &want) != 2 || pid <= 1)
            return;
        path = xasprintf("/proc/%d/stat", pid);
        FILE *stat = fopen(path, "r");
        if (!stat)
            return;
        int found = fscanf(stat,
                           "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u "
                           "%*u %*d %*d %*d %*d %*d %*d %llu",
                           &have);
        fclose(stat);
        if (found == 1 && have == want)
            kill(pid, SIGKILL);
        return;
    }
    case 'x':
        run_program(line + 1);
        return;
    case 'r':
        remove_tree(line + 1);
        return;
    }
}

static void guard_main(int fd)
{
    char **lines = NULL;
    size_t count = 0;
    FILE *in = fdopen(fd, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, in)) > 0) {
        line[len - 1] = '\0';
        if (count % 256 == 0)
            lines = xrealloc(lines, (count + 256) * sizeof(*lines));
        lines[count++] = xstrdup(line);
    }
    while (count > 0)
        undo(lines[--count]);
    _exit(0);
}

static void guard_start(void)
{
    int ends[2];
    if (guard_pipe >= 0)
        return;
    if (pipe2(ends, O_CLOEXEC) < 0)
        abort();
    fflush(NULL);
    guard_pid = fork();
    if (guard_pid < 0)
        abort();
    if (guard_pid == 0) {
        setsid(); /* a Ctrl-C at the terminal is for the test; the guard cleans up after it */
        signal(SIGTERM, SIG_IGN);
        close(ends[1]);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1); /* a reader of the test's output must not wait for the guard */
        dup2(null, 2);
        guard_main(ends[0]);
    }
    close(ends[0]);
    guard_pipe = ends[1];
}

static void send_line(const char *line, size_t len)
{
    guard_start();
    if (write(guard_pipe, line, len) != (ssize_t)len)
        abort();
}

void guard_kill(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/stat", pid);
    unsigned long long start = 0;
    FILE *stat = fopen(path, "r");
    if (!stat)
        return;
    int found = fscanf(stat,
                       "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
                       "%*d %*d %*d %*d %*d %llu",
                       &start);
    fclose(stat);
    if (found != 1)
        return;
    autofree char *line = xasprintf("k%d %llu\n", pid, start);
    send_line(line, strlen(line));
}

void guard_run(const char *const argv[])
{
    struct buf auto_buf line = {0};
    buf_putc(&line, 'x');
    for (int i = 0; argv[i]; i++) {
        if (i)
            buf_putc(&line, SEPARATOR);
        buf_puts(&line, argv[i]);
    }
    buf_putc(&line, '\n');
    send_line(line.data, line.len);
}

void guard_remove(const char *path)
{
    autofree char *line = xasprintf("r%s\n", path);
    send_line(line, strlen(line));
}

void guard_flush(void)
{
    if (guard_pipe < 0)
        return;
    close(guard_pipe);
    guard_pipe = -1;
    while (waitpid(guard_pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

char *guard_tempdir(const char *name)
{
    const char *base = getenv("TMPDIR");
    char *path = xasprintf("%s/minicloud-%s-XXXXXX", base && base[0] ? base : "/tmp", name);
    if (!mkdtemp(path) || chmod(path, 0711) < 0)
        abort();
    guard_remove(path);
    return path;
}
