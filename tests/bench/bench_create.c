/* create_64 and create_1: acknowledged, synced creates a second, beside SQLite alone. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "tests/bench/bench.h"
#include "tests/lib/guard.h"

/* Each bench has one controller at a time. */
static int last_port;

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        cloud_fail("no free port on 127.0.0.1");
    return ntohs(address.sin_port);
}

int bench_port(const struct cloud *cloud)
{
    (void)cloud;
    return last_port;
}

struct cloud *bench_cloud(const char *name)
{
    struct cloud *cloud = cloud_new(name);
    autofree char *raw = xasprintf("%s/blank.raw", cloud->dir);
    /* Its one node reports once and is then left alone. */
    int port = free_port();
    autofree char *listen_flag = xasprintf("--listen=127.0.0.1:%d", port);
    const char *flags[] = {"--node-lease=1d", listen_flag, NULL};
    last_port = port;
    cloud_start_controller(cloud, NULL, flags);
    struct buf auto_buf blank = {0};
    struct err auto_err err = {0};
    buf_reserve(&blank, 1 << 20);
    memset(blank.data, 0, 1 << 20);
    if (file_write("bench", raw, blank.data, 1 << 20, 0644, &err) < 0)
        cloud_fail("%s", err.msg);
    cloud_add_image(cloud, "tiny", raw, "raw");
    return cloud;
}

char *bench_add_node(struct cloud *cloud)
{
    autofree char *path = xasprintf("%s/data/join.token", cloud->dir);
    struct buf auto_buf token = {0};
    struct err auto_err err = {0};
    if (file_read(path, 4096, &token, &err) < 0)
        cloud_fail("%s", err.msg);
    token.data[strcspn(token.data, "\n")] = '\0';
    struct answer auto_answer_json joined = cloud_call_as(
        cloud, token.data, NULL, "POST", "/v1/nodes",
        "{\"name\":\"boundless\",\"host_uuid\":\"00000000-0000-4000-8000-000000000001\","
        "\"boot_id\":\"bench\",\"protocol\":1,\"capacity\":{\"cpus\":1000000,"
        "\"memory_mib\":1000000000,\"disk_gib\":1000000000,\"virt\":\"qemu\"}}");
    if (joined.status != 201)
        cloud_fail("join: %d %s", joined.status, joined.text);
    struct answer auto_answer_json reported = cloud_call_as(
        cloud, answer_str(&joined, "token"), NULL, "POST", "/v1/node/observed",
        "{\"protocol\":1,\"boot_id\":\"bench\",\"incarnation\":\"1\",\"sequence\":1,\"full\":true,"
        "\"capacity\":{\"cpus\":1000000,\"memory_mib\":1000000000,\"disk_gib\":1000000000,"
        "\"virt\":\"qemu\"}}");
    if (reported.status != 200)
        cloud_fail("report: %d %s", reported.status, reported.text);
    return xstrdup(answer_str(&joined, "token"));
}

struct create_load {
    const struct cloud *cloud;
    int64_t first;
};

static size_t make_create(void *ctx, int connection, int64_t number, char *out, size_t cap)
{
    (void)connection;
    const struct create_load *c = ctx;
    char body[256];
    int len = snprintf(body, sizeof(body),
                       "{\"name\":\"c%lld\",\"image\":\"tiny\",\"vcpus\":1,\"memory_mib\":128,"
                       "\"disk_gib\":1}",
                       (long long)(c->first + number));
    return (size_t)snprintf(
        out, cap,
        "POST /v1/instances HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        "%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        c->cloud->token, len, body);
}

static double create_rate(struct cloud *cloud, int connections, int creates, int64_t *first)
{
    autofree char *socket_path = xasprintf("%s/data/api.sock", cloud->dir);
    struct create_load ctx = {.cloud = cloud, .first = *first};
    struct load load = {.socket = socket_path,
                        .connections = connections,
                        .requests = creates,
                        .make = make_create,
                        .ctx = &ctx,
                        .expect = 202};
    struct load_result result = load_run(&load);
    if (result.others)
        cloud_fail("unexpected answer: %s", result.first_other);
    *first += creates;
    return creates / result.seconds;
}

/* The limit's database: made by the controller too, so that schema and rows are the same. */
static char *limit_database(struct cloud *cloud)
{
    struct cloud *other = bench_cloud("limit");
    free(bench_add_node(other));
    proc_stop(&other->controller, 20000);
    autofree char *from = xasprintf("%s/data/minicloud.db", other->dir);
    char *to = xasprintf("%s/limit.db", cloud->dir);
    struct buf auto_buf bytes = {0};
    struct err auto_err err = {0};
    if (file_read(from, 64 << 20, &bytes, &err) < 0 ||
        file_write("bench", to, bytes.data, bytes.len, 0644, &err) < 0)
        cloud_fail("%s", err.msg);
    http_client_free(other->client);
    free(other->dir);
    free(other->bin);
    free(other->url);
    free(other->token);
    free(other);
    return to;
}

static void creates(const char *name, int connections, int count, const char *aim)
{
    struct cloud *cloud = bench_cloud("create");
    autofree char *limit = limit_database(cloud);
    free(bench_add_node(cloud));
    struct pairs pairs = {0};
    int64_t first = 0;
    create_rate(cloud, connections, count / 4, &first);
    limit_sqlite_creates(limit, count / 4, connections);
    for (int i = 0; i < BENCH_PAIRS; i++) {
        double ours = create_rate(cloud, connections, count, &first);
        pairs_add(&pairs, ours, limit_sqlite_creates(limit, count, connections));
    }
    pairs_print(&pairs, name, "creates a second, durable", aim);
    cloud_free(cloud);
}

void bench_create_64(void)
{
    creates("create_64", 64, 6400, ">= 0.6");
}

void bench_create_1(void)
{
    creates("create_1", 1, 1500, ">= 0.65");
}
