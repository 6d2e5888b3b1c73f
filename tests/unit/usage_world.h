/* A host with one running instance, for tests of what is measured there, and sealing. */
#ifndef MINICLOUD_TESTS_USAGE_WORLD_H
#define MINICLOUD_TESTS_USAGE_WORLD_H

#include "tests/unit/controller_world.h"

#include "controller/ledger/book/ledger_seal.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/placement/hosts.h"

struct sealing {
    struct world *world;
    int64_t until_ms; /* 0: only if an hour is due */
    int sealed;
};

static int seal_run(struct tx *tx, void *ctx, struct err *err)
{
    struct sealing *s = ctx;
    if (!s->until_ms) {
        s->sealed = ledger_seal_due(tx, s->world->app->vouchers, 1, err);
        return s->sealed < 0 ? -1 : 0;
    }
    for (size_t i = 0; i < hosts_count(tx->hosts); i++) {
        const struct host *host = hosts_at(tx->hosts, i);
        if (host && evidence_host_seen(tx, host, err) != 0)
            return -1;
    }
    return ledger_seal(tx, s->until_ms, err);
}

static int seal(struct world *world, int64_t until_ms)
{
    struct err auto_err err = {0};
    struct sealing s = {.world = world, .until_ms = until_ms};
    struct write_job job = {.run = seal_run, .ctx = &s};
    if (writer_call(world->app->writer, &job, &err) != 0)
        fail_msg("%s", err.msg);
    return s.sealed;
}

/* Quantity of a meter over all time, -1: no row. */
static long long used(struct world *world, const char *meter, const char *more)
{
    autofree char *path = xasprintf("/v1/usage?start=2020-01-01T00:00:00Z&meter=%s%s", meter, more);
    struct answer auto_answer_json usage = world_call(world, 200, "GET", path, NULL);
    const char *text = answer_str(&usage, "usage.0.quantity");
    return text ? strtoll(text, NULL, 10) : -1;
}

/* Until there is more of it than that. */
static __attribute__((unused)) long long used_beyond(struct world *world, struct sim_agent *host,
                                                     const char *meter, long long before)
{
    long long now;
    while ((now = used(world, meter, "")) <= before)
        world_settle(host);
    return now;
}

struct stage {
    struct world *world;
    struct sim_agent *host;
    char *id;
};

static struct stage stage_open(void **state)
{
    struct stage stage = {.world = *state};
    world_image(stage.world, "tiny");
    stage.host = world_host(stage.world, "h1", 8192);
    stage.id = world_create(stage.world, "one");
    world_settle(stage.host);
    used_beyond(stage.world, stage.host, "running", 5);
    return stage;
}

static void stage_close(struct stage *stage)
{
    sim_free(stage->host);
    free(stage->id);
}
#define auto_stage __attribute__((cleanup(stage_close)))

#endif
