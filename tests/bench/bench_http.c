/* healthz, read_one, list_1000, wake_1000: what reading costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/bench/bench.h"

enum { REQUESTS = 100000, CONNECTIONS = 32, WATCHERS = 1000 };

static size_t same_request(void *ctx, int connection, int64_t number, char *out, size_t cap)
{
    (void)connection;
    (void)number;
    return (size_t)snprintf(out, cap, "%s", (const char *)ctx);
}

static char *get_request(const struct cloud *cloud, const char *path)
{
    return xasprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", path,
                     cloud->token);
}

/* Requests per second of the server's own CPU time. */
static double rate_per_cpu(int port, pid_t pid, char *request, int64_t requests, double *ret_wall)
{
    struct load load = {.port = port,
                        .connections = CONNECTIONS,
                        .requests = requests,
                        .make = same_request,
                        .ctx = request,
                        .expect = 200};
    long before = proc_cpu_ms(pid);
    struct load_result result = load_run(&load);
    if (result.others)
        cloud_fail("unexpected answer: %s", result.first_other);
    *ret_wall = (double)requests / result.seconds;
    return (double)requests * 1000 / (double)(proc_cpu_ms(pid) - before);
}

static void against_bare_http(struct cloud *cloud, const char *name, const char *path,
                              const char *aim)
{
    autofree char *request = get_request(cloud, path);
    struct answer auto_answer_json sample = cloud_call(cloud, "GET", path, NULL);
    if (sample.status != 200)
        cloud_fail("%s: %d %s", path, sample.status, sample.text);
    struct limit_http *limit = limit_http_start(strlen(sample.text));
    struct pairs pairs = {0}, wall = {0};
    for (int i = 0; i < BENCH_PAIRS; i++) {
        double ours_wall, limit_wall;
        double ours =
            rate_per_cpu(bench_port(cloud), cloud->controller.pid, request, REQUESTS, &ours_wall);
        double bare = rate_per_cpu(limit_http_port(limit), limit_http_pid(limit), request, REQUESTS,
                                   &limit_wall);
        pairs_add(&pairs, ours, bare);
        pairs_add(&wall, ours_wall, limit_wall);
    }
    limit_http_stop(limit);
    pairs_print(&pairs, name, "requests per CPU second", aim);
    printf("%-18s %12.1f %12.1f            requests per second of wall time\n", "",
           median(wall.ours, wall.count), median(wall.limit, wall.count));
}

void bench_healthz(void)
{
    struct cloud *cloud = bench_cloud("healthz");
    against_bare_http(cloud, "healthz", "/v1/healthz", ">= 0.9");
    cloud_free(cloud);
}

static void create_stopped(struct cloud *cloud, int count)
{
    for (int i = 0; i < count; i++) {
        struct answer auto_answer_json made =
            cloud_call(cloud, "POST", "/v1/instances",
                       "{\"name\":\"i%d\",\"image\":\"tiny\",\"vcpus\":1,\"memory_mib\":128,"
                       "\"disk_gib\":1,\"labels\":{\"tier\":\"web\"}}",
                       i);
        if (made.status != 202)
            cloud_fail("create: %d %s", made.status, made.text);
    }
}

void bench_read_one(void)
{
    struct cloud *cloud = bench_cloud("readone");
    free(bench_add_node(cloud));
    create_stopped(cloud, 100);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/instances/i50", NULL);
    autofree char *path = xasprintf("/v1/instances/%s", answer_str(&shown, "id"));
    against_bare_http(cloud, "read_one", path, ">= 0.45");
    cloud_free(cloud);
}

void bench_list_1000(void)
{
    struct cloud *cloud = bench_cloud("list");
    free(bench_add_node(cloud));
    create_stopped(cloud, 1000);
    autofree char *socket_path = xasprintf("%s/data/api.sock", cloud->dir);
    autofree char *db = xasprintf("%s/data/minicloud.db", cloud->dir);
    autofree char *request = get_request(cloud, "/v1/instances?limit=1000");
    struct load load = {.socket = socket_path,
                        .connections = 1,
                        .requests = 40,
                        .make = same_request,
                        .ctx = request,
                        .expect = 200};
    struct pairs pairs = {0};
    load_run(&load);
    for (int i = 0; i < BENCH_PAIRS; i++) {
        double ours = load_run(&load).seconds / (double)load.requests * 1000;
        double bare = 0;
        for (int n = 0; n < 40; n++)
            bare += limit_sqlite_list(db, 1000) * 1000 / 40;
        pairs_add(&pairs, ours, bare);
    }
    pairs_print(&pairs, "list_1000", "ms a page", "<= 2.0");
    cloud_free(cloud);
}

/* ---- wake_1000 ---- */

struct watchers {
    int epoll;
    int fds[WATCHERS];
};

static void watch_all(struct watchers *w, const char *socket_path, const char *request)
{
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < WATCHERS; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
        w->fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(w->fds[i], (struct sockaddr *)&address, sizeof(address)) < 0)
            cloud_fail("cannot connect watcher %d", i);
        if (write(w->fds[i], request, strlen(request)) < 0)
            cloud_fail("cannot send for watcher %d", i);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = w->fds[i]};
        epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->fds[i], &event);
    }
}

/* Until the controller's metrics say that all wait. */
static void await_suspended(struct cloud *cloud)
{
    int64_t deadline = clock_boottime_ms() + 20000;
    for (;;) {
        struct answer auto_answer_json metrics = cloud_call(cloud, "GET", "/metrics", NULL);
        const char *at = metrics.text ? strstr(metrics.text, "\nminicloud_watchers ") : NULL;
        if (at && strtol(at + strlen("\nminicloud_watchers "), NULL, 10) >= WATCHERS)
            return;
        if (clock_boottime_ms() > deadline)
            cloud_fail("the watchers did not all arrive");
    }
}

/* Reads until every watcher was answered. */
static void collect(struct watchers *w)
{
    int left = WATCHERS;
    while (left > 0) {
        struct epoll_event events[128];
        int ready = epoll_wait(w->epoll, events, 128, 20000);
        if (ready <= 0)
            cloud_fail("%d watchers were not woken", left);
        for (int i = 0; i < ready; i++) {
            char answer[2048];
            if (recv(events[i].data.fd, answer, sizeof(answer), 0) <= 0)
                cloud_fail("a watcher was cut off");
            epoll_ctl(w->epoll, EPOLL_CTL_DEL, events[i].data.fd, NULL);
            left--;
        }
    }
}

static void release(struct watchers *w)
{
    for (int i = 0; i < WATCHERS; i++)
        close(w->fds[i]);
    close(w->epoll);
}

void bench_wake_1000(void)
{
    struct cloud *cloud = bench_cloud("wake");
    autofree char *socket_path = xasprintf("%s/data/api.sock", cloud->dir);
    double took[BENCH_PAIRS_MAX], kib[BENCH_PAIRS_MAX];
    long waiting_cpu = 0;
    for (int round = 0; round < BENCH_PAIRS; round++) {
        struct watchers w;
        struct answer auto_answer_json health = cloud_call(cloud, "GET", "/v1/healthz", NULL);
        autofree char *path =
            xasprintf("/v1/events?after=%lld&wait=60s", (long long)answer_i64(&health, "revision"));
        autofree char *request = get_request(cloud, path);
        long before = proc_pss_kib(cloud->controller.pid);
        watch_all(&w, socket_path, request);
        await_suspended(cloud);
        kib[round] = (double)(proc_pss_kib(cloud->controller.pid) - before) / WATCHERS;
        long cpu = proc_cpu_ms(cloud->controller.pid);
        usleep(1000 * 1000); /* the wait itself is what is measured here */
        waiting_cpu += proc_cpu_ms(cloud->controller.pid) - cpu;
        double start = now_s();
        struct answer auto_answer_json made =
            cloud_call(cloud, "POST", "/v1/projects", "{\"name\":\"p%d\"}", round);
        if (made.status != 201)
            cloud_fail("project: %d %s", made.status, made.text);
        collect(&w);
        took[round] = (now_s() - start) * 1000;
        release(&w);
    }
    figure_print("wake_1000", "<= 40 ms, <= 8 KiB each, no CPU",
                 "%.1f ms to the last, %.1f KiB each (first round), %.1f %% CPU while waiting",
                 median(took, BENCH_PAIRS), kib[0], (double)waiting_cpu / BENCH_PAIRS / 10);
    cloud_free(cloud);
}
