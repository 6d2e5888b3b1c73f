#include "tests/lib/crowd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"
#include "tests/lib/sim_agent.h"

enum { AWAIT_MS = 120000 };

static char *join_token(const struct cloud *cloud)
{
    struct buf text = {0};
    struct err auto_err err = {0};
    autofree char *path = xasprintf("%s/data/join.token", cloud->dir);
    if (file_read(path, 4096, &text, &err) < 0)
        cloud_fail("%s", err.msg);
    text.data[strcspn(text.data, "\n")] = '\0';
    return buf_take(&text);
}

void crowd_join(struct crowd *crowd, struct cloud *cloud, int hosts)
{
    autofree char *token = join_token(cloud);
    *crowd = (struct crowd){.cloud = cloud, .hosts = xcalloc((size_t)hosts, sizeof(*crowd->hosts))};
    while (crowd->host_count < hosts) {
        struct err auto_err err = {0};
        autofree char *name = xasprintf("host%d", crowd->host_count);
        struct sim_settings settings = {
            .url = cloud->url,
            .join_token = token,
            .name = name,
            .capacity = {
                .cpus = 100000, .memory_mib = 100000000, .disk_gib = 10000000, .virt = VIRT_QEMU}};
        if (sim_new(&settings, &crowd->hosts[crowd->host_count], &err) != 0)
            cloud_fail("%s: %s", name, err.msg);
        crowd->host_count++;
    }
}

void crowd_leave(struct crowd *crowd)
{
    while (crowd->host_count > 0)
        sim_free(crowd->hosts[--crowd->host_count]);
    free(crowd->hosts);
    crowd->hosts = NULL;
}

void crowd_await_running(struct crowd *crowd)
{
    for (int c = 0; c < CROWD_CLIENTS_MAX; c++) {
        for (; crowd->running[c] < crowd->asked[c]; crowd->running[c]++) {
            autofree char *path = xasprintf("/v1/instances/c%d-%" PRId64, c, crowd->running[c]);
            cloud_await(crowd->cloud, path, "state", "running", AWAIT_MS);
        }
    }
}

void crowd_silence(struct crowd *crowd, bool silent)
{
    for (int i = 0; i < crowd->host_count; i++)
        sim_silence(crowd->hosts[i], silent);
}

static const char *token_of(const struct crowd *crowd)
{
    return crowd->token ? crowd->token : crowd->cloud->token;
}

static size_t create(const struct crowd *crowd, int connection, int64_t number, char *out,
                     size_t cap)
{
    char body[256];
    int len = snprintf(body, sizeof(body),
                       "{\"name\":\"c%d-%" PRId64 "\",\"image\":\"tiny\",\"vcpus\":1,"
                       "\"memory_mib\":128,\"disk_gib\":1}",
                       connection, number);
    return (size_t)snprintf(out, cap,
                            "POST /v1/instances HTTP/1.1\r\nHost: localhost\r\n"
                            "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                            "Content-Length: %d\r\n\r\n%s",
                            token_of(crowd), len, body);
}

size_t crowd_create(void *crowd, int connection, int64_t number, char *out, size_t cap)
{
    struct crowd *c = crowd;
    (void)number;
    return create(c, connection, c->asked[connection]++, out, cap);
}

size_t crowd_churn(void *crowd, int connection, int64_t number, char *out, size_t cap)
{
    struct crowd *c = crowd;
    int64_t turn = c->asked[connection]++;
    (void)number;
    if (turn % 2 == 0)
        return create(c, connection, turn / 2, out, cap);
    return (size_t)snprintf(out, cap,
                            "DELETE /v1/instances/c%d-%" PRId64 " HTTP/1.1\r\nHost: localhost\r\n"
                            "Authorization: Bearer %s\r\n\r\n",
                            connection, turn / 2, token_of(c));
}
