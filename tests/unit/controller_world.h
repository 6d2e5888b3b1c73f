/* A controller inside the test's own process, with simulated hosts, for tests that look
 * both at its API and at its rows. */
#ifndef MINICLOUD_TESTS_CONTROLLER_WORLD_H
#define MINICLOUD_TESTS_CONTROLLER_WORLD_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "controller/app.h"
#include "controller/db/db.h"
#include "controller/tx/writer.h"
#include "tests/lib/cloud.h"
#include "tests/lib/sim_agent.h"

struct world {
    char dir[64];
    struct app *app;
    struct cloud cloud; /* only what cloud_call() needs */
    char *join;
    int64_t operation_timeout_ms, node_lease_ms;
    int64_t wal_limit_mib; /* 0: the default */
};

static char *world_secret(const struct world *world, const char *name)
{
    struct buf text = {0};
    struct err auto_err err = {0};
    autofree char *path = xasprintf("%s/data/%s", world->dir, name);
    if (file_read(path, 256, &text, &err) != 0)
        fail_msg("%s", err.msg);
    text.data[strcspn(text.data, "\n")] = '\0';
    return buf_take(&text);
}

static void world_open(struct world *world)
{
    struct err auto_err err = {0};
    struct settings settings = {
        .data_dir = xasprintf("%s/data", world->dir),
        .listen = xstrdup(""),
        .http_threads = 1,
        .operation_timeout_ms = world->operation_timeout_ms,
        .node_lease_ms = world->node_lease_ms,
        .event_keep = 100000,
        .wal_limit_mib = world->wal_limit_mib,
        .network_cidr = xstrdup("10.77.0.0/24"),
    };
    if (app_start(&settings, &world->app, &err) != 0)
        fail_msg("the controller does not start: %s", err.msg);
    world->cloud.url = xasprintf("unix:%s/data/api.sock", world->dir);
    world->cloud.token = world_secret(world, "admin.token");
    world->join = world_secret(world, "join.token");
    struct http_client_settings client = {
        .url = world->cloud.url, .token = world->cloud.token, .user_agent = "test"};
    if (http_client_new(&client, &world->cloud.client, &err) != 0)
        fail_msg("%s", err.msg);
}

static void world_close(struct world *world)
{
    http_client_free(world->cloud.client);
    free(world->cloud.url);
    free(world->cloud.token);
    free(world->join);
    world->cloud = (struct cloud){0};
    world->join = NULL;
    app_stop(world->app);
    world->app = NULL;
}

static __attribute__((unused)) void world_restart(struct world *world)
{
    world_close(world);
    world_open(world);
}

static __attribute__((unused)) int world_setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    log_set_level(LOG_ERROR);
    snprintf(world->dir, sizeof(world->dir), "/tmp/minicloud-world-XXXXXX");
    if (!mkdtemp(world->dir))
        return -1;
    /* Nothing falls due by itself, however slow the machine is. */
    world->operation_timeout_ms = world->node_lease_ms = 3600000;
    world_open(world);
    *state = world;
    return 0;
}

static __attribute__((unused)) int world_teardown(void **state)
{
    struct world *world = *state;
    world_close(world);
    char *const argv[] = {(char[]){"rm"}, (char[]){"-rf"}, world->dir, NULL};
    pid_t child = fork();
    if (child == 0) {
        execvp("rm", argv);
        _exit(127);
    }
    int status;
    waitpid(child, &status, 0);
    free(world);
    return 0;
}

/* Fails unless the answer has this status; returns it for looking into. */
#define world_call(world, wanted, method, path, ...)                                           \
    world_expect(cloud_call(&(world)->cloud, method, path, __VA_ARGS__), wanted, method, path, \
                 __LINE__)

static __attribute__((unused)) struct answer
world_expect(struct answer answer, int wanted, const char *method, const char *path, int line)
{
    if (answer.status != wanted)
        fail_msg("line %d: %s %s gave %d, not %d: %s", line, method, path, answer.status, wanted,
                 answer.text);
    return answer;
}

/* The same where only the status matters. */
#define world_did(world, wanted, method, path, ...) \
    world_drop(world_call(world, wanted, method, path, __VA_ARGS__))

static __attribute__((unused)) void world_drop(struct answer answer)
{
    answer_release(&answer);
}

static __attribute__((unused)) void world_is(const struct answer *answer, const char *path,
                                             const char *wanted)
{
    const char *text = answer_str(answer, path);
    if ((text == NULL) != (wanted == NULL) || (text && strcmp(text, wanted) != 0))
        fail_msg("%s is %s, not %s, in %s", path, text ? text : "null", wanted ? wanted : "null",
                 answer->text);
}

/* The field of GET `resource`, now. */
static __attribute__((unused)) void world_see(struct world *world, const char *resource,
                                              const char *path, const char *wanted)
{
    struct answer auto_answer_json answer = world_call(world, 200, "GET", resource, NULL);
    world_is(&answer, path, wanted);
}

static __attribute__((unused)) struct sim_agent *world_host(struct world *world, const char *name,
                                                            int64_t memory_mib)
{
    struct err auto_err err = {0};
    struct sim_agent *agent = NULL;
    struct sim_settings settings = {
        .url = world->cloud.url,
        .join_token = world->join,
        .name = name,
        .passive = true,
        .capacity = {.cpus = 16, .memory_mib = memory_mib, .disk_gib = 500, .virt = VIRT_QEMU}};
    if (sim_new(&settings, &agent, &err) != 0 || sim_round(agent, true, 0, &err) != 0)
        fail_msg("%s", err.msg);
    return agent;
}

/* Waits until the field of GET `resource` is this. */
static __attribute__((unused)) void world_await(struct world *world, const char *resource,
                                                const char *path, const char *wanted)
{
    enum { PATIENCE_MS = 60000 };
    cloud_await(&world->cloud, resource, path, wanted, PATIENCE_MS);
}

/* Waits until the condition holds, looking after each turn of the thread that serves HTTP. */
#define world_until(world, condition)                                     \
    do {                                                                  \
        int64_t until_ = clock_boottime_ms() + 60000;                     \
        while (!(condition)) {                                            \
            world_did(world, 200, "GET", "/v1/healthz", NULL);            \
            if (clock_boottime_ms() > until_)                             \
                fail_msg("line %d: %s never came", __LINE__, #condition); \
        }                                                                 \
    } while (0)

/* Lets the host do and report all that it was told. */
static __attribute__((unused)) void world_settle(struct sim_agent *agent)
{
    enum { WORK_MS = 10 }; /* more than the model takes for anything */
    for (int i = 0; i < 4; i++) {
        struct err auto_err err = {0};
        if (sim_round(agent, i == 3, 0, &err) != 0)
            fail_msg("%s", err.msg);
        sim_pass(agent, WORK_MS);
    }
}

/* A raw image of one MiB called `name`. */
static __attribute__((unused)) void world_image(struct world *world, const char *name)
{
    autofree char *file = xasprintf("%s/%s.raw", world->dir, name);
    autofree char *path = xasprintf("/v1/images/%s/content", name);
    FILE *out = fopen(file, "w");
    if (!out || ftruncate(fileno(out), 1 << 20) != 0)
        fail_msg("cannot write %s", file);
    fclose(out);

    world_did(world, 201, "POST", "/v1/images", "{\"name\":\"%s\",\"format\":\"raw\"}", name);
    struct answer auto_answer_json sent = cloud_upload(&world->cloud, path, file);
    if (sent.status != 200)
        fail_msg("upload: %s", sent.text);
}

/* Creates an instance of 1 vcpu, 1024 MiB and 10 GiB; returns its id, owned by the caller. */
static __attribute__((unused)) char *world_create(struct world *world, const char *name)
{
    struct answer auto_answer_json made =
        world_call(world, 202, "POST", "/v1/instances",
                   "{\"name\":\"%s\",\"image\":\"tiny\",\"vcpus\":1,\"memory_mib\":1024,"
                   "\"disk_gib\":10}",
                   name);
    return xstrdup(answer_str(&made, "instance.id"));
}

static __attribute__((unused)) char *world_instance(const char *id)
{
    return xasprintf("/v1/instances/%s", id);
}

/* Posts an action; returns the operation's path, owned by the caller. */
#define world_act(world, id, action, ...) \
    world_operation(                      \
        cloud_call(&(world)->cloud, "POST", world_action_path(id, action), __VA_ARGS__), __LINE__)

static __attribute__((unused)) const char *world_action_path(const char *id, const char *action)
{
    static char path[128];
    snprintf(path, sizeof(path), "/v1/instances/%s/%s", id, action);
    return path;
}

static __attribute__((unused)) char *world_operation(struct answer answer, int line)
{
    if (answer.status != 202)
        fail_msg("line %d: status %d: %s", line, answer.status, answer.text);
    char *path = xasprintf("/v1/operations/%s", answer_str(&answer, "operation.id"));
    answer_release(&answer);
    return path;
}

/* One number of the database, by a query of the test's own. */
struct world_query {
    const char *sql;
    int64_t value;
};

static int world_query_run(struct tx *tx, void *ctx, struct err *err)
{
    struct world_query *query = ctx;
    struct stmt auto_stmt *stmt = db_stmt(tx->db, query->sql);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        query->value = stmt_i64(stmt, 0);
    return rc < 0 ? -1 : 0;
}

static __attribute__((unused)) int64_t world_number(struct world *world, const char *sql)
{
    struct err auto_err err = {0};
    struct world_query query = {.sql = sql, .value = -1};
    struct write_job job = {.run = world_query_run, .ctx = &query};
    if (writer_call(world->app->writer, &job, &err) != 0)
        fail_msg("%s: %s", sql, err.msg);
    return query.value;
}

#endif
