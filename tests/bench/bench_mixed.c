/* mixed: everybody at once, for a minute. 64 clients of one project create and delete as fast
 * as they are answered; 20 hosts report it; 1,000 watchers wait for events, an eighth of them in
 * that project; 64 readers of another project ask for its usage without a pause; 2,000 sockets
 * are slow on purpose. Meanwhile four clients read one instance each 5 ms, and are timed. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api/base/mem.h"
#include "tests/bench/bench.h"
#include "tests/lib/crowd.h"
#include "tests/lib/slow.h"

enum {
    HOSTS = 20,
    CLIENTS = 64,
    WATCHERS = 1000,
    WATCHING_PROJECTS = 8,
    READERS = 64,
    SLOW = 2000,
    PROBES = 4,
    SECONDS = 60,
};

struct mixed {
    struct cloud *cloud;
    struct crowd crowd;
    char *socket;
    char *watch_tokens[WATCHING_PROJECTS], *read_token;
    _Atomic int64_t revision; /* watchers watch from here */
    atomic_bool over;
    /* Largest seen, by the observer. */
    int64_t wal_bytes;
    long pss_kib;
};

static char *make_token(struct cloud *cloud, const char *project, const char *role)
{
    if (strcmp(project, "default") != 0) {
        struct answer auto_answer_json made =
            cloud_call(cloud, "POST", "/v1/projects", "{\"name\":\"%s\"}", project);
        if (made.status != 201)
            cloud_fail("project: %d %s", made.status, made.text);
    }
    autofree char *path = xasprintf("/v1/tokens?project=%s", project);
    struct answer auto_answer_json made = cloud_call(
        cloud, "POST", path, "{\"name\":\"%s-%s\",\"role\":\"%s\"}", project, role, role);
    if (made.status != 201)
        cloud_fail("token: %d %s", made.status, made.text);
    return xstrdup(answer_str(&made, "secret"));
}

/* ---- what each asks ---- */

static size_t get(const char *path, const char *token, char *out, size_t cap)
{
    return (size_t)snprintf(
        out, cap, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", path,
        token);
}

static size_t make_watch(void *ctx, int connection, int64_t number, char *out, size_t cap)
{
    struct mixed *mixed = ctx;
    char path[128];
    (void)number;
    snprintf(path, sizeof(path), "/v1/events?wait=30s&after=%" PRId64,
             atomic_load(&mixed->revision));
    return get(path, mixed->watch_tokens[connection % WATCHING_PROJECTS], out, cap);
}

static size_t make_usage(void *ctx, int connection, int64_t number, char *out, size_t cap)
{
    static const char *const paths[] = {"/v1/usage?granularity=hour", "/v1/usage/now",
                                        "/v1/usage?group_by=instance"};
    struct mixed *mixed = ctx;
    (void)connection;
    return get(paths[(size_t)number % ARRAY_SIZE(paths)], mixed->read_token, out, cap);
}

static size_t make_probe(void *ctx, int connection, int64_t number, char *out, size_t cap)
{
    struct mixed *mixed = ctx;
    (void)connection;
    (void)number;
    return get("/v1/instances/probe", mixed->cloud->token, out, cap);
}

/* ---- all at once ---- */

struct part {
    const char *name;
    struct load load;
    struct load_result result;
    pthread_t thread;
};

static void *part_main(void *ctx)
{
    struct part *part = ctx;
    part->result = load_run(&part->load);
    return NULL;
}

static void *observe(void *ctx)
{
    struct mixed *mixed = ctx;
    autofree char *wal = xasprintf("%s/data/minicloud.db-wal", mixed->cloud->dir);
    while (!atomic_load(&mixed->over)) {
        struct stat st = {0};
        struct answer auto_answer_json events =
            cloud_call(mixed->cloud, "GET", "/v1/instances?limit=1", NULL);
        if (events.status == 200)
            atomic_store(&mixed->revision, answer_i64(&events, "revision"));
        if (stat(wal, &st) == 0 && st.st_size > mixed->wal_bytes)
            mixed->wal_bytes = st.st_size;
        long pss = proc_pss_kib(mixed->cloud->controller.pid);
        mixed->pss_kib = pss > mixed->pss_kib ? pss : mixed->pss_kib;
        nanosleep(&(struct timespec){.tv_nsec = 250 * 1000 * 1000}, NULL);
    }
    return NULL;
}

static void run_all(struct mixed *mixed, struct part *parts, size_t count)
{
    pthread_t observer;
    if (pthread_create(&observer, NULL, observe, mixed) != 0)
        cloud_fail("no thread");
    for (size_t i = 0; i < count; i++) {
        parts[i].load.socket = mixed->socket;
        parts[i].load.seconds = SECONDS;
        parts[i].load.reconnects = true;
        if (pthread_create(&parts[i].thread, NULL, part_main, &parts[i]) != 0)
            cloud_fail("no thread");
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(parts[i].thread, NULL);
    atomic_store(&mixed->over, true);
    pthread_join(observer, NULL);
}

/* A 5xx is honest if it is a 503 that says when to come again. */
static int64_t print_statuses(const struct part *part)
{
    int64_t dishonest = part->result.unexplained;
    printf("  %-9s %7.0f/s ", part->name, (double)part->result.answers / part->result.seconds);
    for (int status = 0; status < LOAD_STATUS_MAX; status++) {
        int64_t count = part->result.by_status[status];
        if (count)
            printf(" %d: %" PRId64, status, count);
        dishonest += status >= 500 && status != 503 ? count : 0;
    }
    printf("  closed: %" PRId64 "\n", part->result.closed);
    return dishonest;
}

static void make_tokens(struct mixed *mixed)
{
    mixed->crowd.token = make_token(mixed->cloud, "default", "member");
    mixed->read_token = make_token(mixed->cloud, "default", "reader");
    mixed->watch_tokens[0] = xstrdup(mixed->read_token);
    for (int i = 1; i < WATCHING_PROJECTS; i++) {
        autofree char *name = xasprintf("watch%d", i);
        mixed->watch_tokens[i] = make_token(mixed->cloud, name, "reader");
    }
}

static void release(struct mixed *mixed)
{
    crowd_leave(&mixed->crowd);
    for (int i = 0; i < WATCHING_PROJECTS; i++)
        free(mixed->watch_tokens[i]);
    free(mixed->read_token);
    free(mixed->crowd.token);
    free(mixed->socket);
    cloud_free(mixed->cloud);
}

void bench_mixed(void)
{
    struct mixed mixed = {.cloud = bench_cloud("mixed")};
    struct part parts[] = {
        {.name = "clients",
         .load = {.connections = CLIENTS, .make = crowd_churn, .ctx = &mixed.crowd, .expect = 202}},
        {.name = "watchers",
         .load = {.connections = WATCHERS,
                  .make = make_watch,
                  .ctx = &mixed,
                  .expect = 200,
                  .pause = 0.2}},
        {.name = "readers",
         .load = {.connections = READERS, .make = make_usage, .ctx = &mixed, .expect = 200}},
        {.name = "probes",
         .load = {.connections = PROBES,
                  .make = make_probe,
                  .ctx = &mixed,
                  .expect = 200,
                  .pause = 0.005}},
    };
    mixed.socket = xasprintf("%s/data/api.sock", mixed.cloud->dir);
    crowd_join(&mixed.crowd, mixed.cloud, HOSTS);
    make_tokens(&mixed);
    cloud_done(mixed.cloud, "POST", "/v1/instances",
               "{\"name\":\"probe\",\"image\":\"tiny\",\"vcpus\":1,\"memory_mib\":128,"
               "\"disk_gib\":1}");
    long before = proc_pss_kib(mixed.cloud->controller.pid);
    struct slow *slow = slow_start(bench_port(mixed.cloud), SLOW);
    run_all(&mixed, parts, ARRAY_SIZE(parts));
    int64_t cut = slow_stop(slow);
    crowd_silence(&mixed.crowd, true);
    nanosleep(&(struct timespec){.tv_sec = 10}, NULL); /* idle memory is trimmed by then */
    long after = proc_pss_kib(mixed.cloud->controller.pid);
    figure_print("mixed", "p99 <= 50 ms, no other 5xx than honest 503, <= 64 MiB more",
                 "p99 of point reads %.1f ms; WAL %.0f MiB; memory %ld MiB before, %ld at most, "
                 "%ld after; %" PRId64 " slow sockets cut",
                 load_latency_ms(&parts[3].result, 0.99), (double)mixed.wal_bytes / 1048576,
                 before / 1024, mixed.pss_kib / 1024, after / 1024, cut);
    int64_t dishonest = 0;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        dishonest += print_statuses(&parts[i]);
    printf("  %-9s %" PRId64 "\n", "not so:", dishonest);
    release(&mixed);
}
