/* Counts the passages of every named site and acts at the one asked for. Counting
 * goes on only while armed, under one lock: a test's run, not a product's. */
#include "api/base/failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/mem.h"

enum action { ACTION_KILL, ACTION_ERROR, ACTION_STOP };

struct site {
    struct site *next;
    unsigned long count;
    char name[];
};

bool failpoint_armed;

/* Written by failpoint_init() alone, before threads. */
static char *target_site;
static unsigned long target_count;
static enum action target_action;
static int log_fd = -1;

static pthread_mutex_t sites_lock = PTHREAD_MUTEX_INITIALIZER;
static struct site *sites;

/* A misspelt failpoint would make a fault test pass without its fault. */
static _Noreturn void refuse(const char *variable, const char *text)
{
    fprintf(stderr, "%s: cannot use \"%s\": %s\n", variable, text,
            "want MINICLOUD_FAILPOINT=site:n[:kill|error|stop], MINICLOUD_FAILPOINT_LOG=path");
    exit(2);
}

/* Read from the end: site names contain colons themselves. */
static void parse_target(const char *text)
{
    static const char *const actions[] = {":kill", ":error", ":stop"};
    autofree char *copy = xstrdup(text);
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        char *tail = strrchr(copy, ':');
        if (tail && strcmp(tail, actions[i]) == 0) {
            target_action = (enum action)i;
            *tail = '\0';
            break;
        }
    }
    char *colon = strrchr(copy, ':');
    if (!colon || colon == copy || colon[1] < '0' || colon[1] > '9')
        refuse("MINICLOUD_FAILPOINT", text);
    char *end;
    errno = 0;
    target_count = strtoul(colon + 1, &end, 10);
    if (*end || errno || target_count == 0)
        refuse("MINICLOUD_FAILPOINT", text);
    *colon = '\0';
    free(target_site);
    target_site = take(copy);
}

void failpoint_init(void)
{
    const char *target = getenv("MINICLOUD_FAILPOINT");
    const char *log = getenv("MINICLOUD_FAILPOINT_LOG");
    if (target && *target)
        parse_target(target);
    if (log && *log) {
        log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0)
            refuse("MINICLOUD_FAILPOINT_LOG", log);
    }
    failpoint_armed = target_site || log_fd >= 0;
}

static struct site *find_site(const char *name)
{
    for (struct site *site = sites; site; site = site->next) {
        if (strcmp(site->name, name) == 0)
            return site;
    }
    size_t size = strlen(name) + 1;
    struct site *site = xcalloc(1, sizeof(*site) + size);
    memcpy(site->name, name, size);
    site->next = sites;
    sites = site;
    return site;
}

/* Counts and logs one passage; the log line goes out before anything acts. */
static unsigned long pass(const char *name)
{
    pthread_mutex_lock(&sites_lock);
    unsigned long count = ++find_site(name)->count;
    if (log_fd >= 0) {
        autofree char *line = xasprintf("%s %lu\n", name, count);
        ssize_t ignored = write(log_fd, line, strlen(line));
        (void)ignored;
    }
    pthread_mutex_unlock(&sites_lock);
    return count;
}

int failpoint_hit(const char *site, struct err *err)
{
    unsigned long count = pass(site);
    if (!target_site || count != target_count || strcmp(site, target_site) != 0)
        return 0;
    if (target_action == ACTION_ERROR)
        return err ? err_set(err, ERR_INTERNAL, "failpoint %s, passage %lu", site, count) : 0;
    kill(getpid(), target_action == ACTION_STOP ? SIGSTOP : SIGKILL);
    return 0;
}
