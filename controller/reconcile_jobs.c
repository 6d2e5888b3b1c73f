/* What is done when something is due: the rows of the timer's table. */
#include "controller/reconcile_jobs.h"

#include <stdio.h>

#include "api/base/err.h"
#include "api/base/log.h"
#include "controller/image/image.h"
#include "controller/instance/instance.h"
#include "controller/instance/operation_rules.h"
#include "controller/instance/store_instance.h"
#include "controller/ledger/book/ledger_months.h"
#include "controller/ledger/book/ledger_seal.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/node/node.h"
#include "controller/operation/operation.h"
#include "controller/placement/store_node.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/usage/usage_kept.h"
#include "controller/world.h"

/* ---- operations ---- */

static void operation_runs(void *ctx, int64_t key, int64_t timeout_ms)
{
    reconcile_in(ctx, DUE_OPERATIONS, key, timeout_ms);
}

static int load_operations(struct reconcile *reconcile, struct db *db, struct err *err)
{
    return store_operation_all_running(db, operation_runs, reconcile, err);
}

static int deadline_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct due_item *item = ctx;
    struct instance auto_instance instance = {0};
    int64_t instance_key;
    int running = store_operation_instance(tx->db, item->key, &instance_key, err);
    if (running <= 0)
        return running;
    if (store_instance_get(tx->db, instance_key, &instance, err) != 0)
        return -1;
    char detail[512];
    const char *reason = instance.observed_reason;
    snprintf(detail, sizeof(detail),
             "not finished in time; the instance was last seen %s%s%s. What was asked for stays "
             "wanted",
             state_names[instance_shown_state(&instance)], reason ? ": " : "",
             reason ? reason : "");
    struct operation_end end = {.state = OPERATION_FAILED, .code = ERR_DEADLINE, .detail = detail};
    return operation_finish(tx, item->key, &end, err);
}

/* Most have long ended: only those that still run are worth the writer's time. */
static bool deadline_due(struct app *app, int64_t operation_key)
{
    struct err auto_err err = {0};
    int64_t instance_key;
    int running = store_operation_instance(app_reader(app), operation_key, &instance_key, &err);
    if (running < 0)
        log_warn("reconcile.deadline", "reason=\"%s\"", err.msg);
    return running == 0 || reconcile_submit(app, DUE_OPERATIONS, operation_key, deadline_run);
}

/* ---- nodes ---- */

static int64_t node_lease_ms(const struct app *app)
{
    return app->settings.node_lease_ms;
}

static void node_is_there(void *ctx, int64_t node_key, bool silent)
{
    reconcile_renew(ctx, DUE_NODES, node_key, silent);
}

static int load_nodes(struct reconcile *reconcile, struct db *db, struct err *err)
{
    return store_node_keys(db, node_is_there, reconcile, err);
}

static int silent_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct due_item *item = ctx;
    /* A report may have come while this waited. */
    if (!reconcile_over(item->app->reconcile, DUE_NODES, item->key))
        return 0;
    vouchers_lost(item->app->vouchers, item->key);
    return node_fall_silent(tx, item->key, err);
}

static bool silent_due(struct app *app, int64_t node_key)
{
    return reconcile_submit(app, DUE_NODES, node_key, silent_run);
}

/* ---- files ---- */

static bool files_due(struct app *app, int64_t none)
{
    struct err auto_err err = {0};
    (void)none;
    if (image_reap(app, &err) == 0)
        return true;
    log_warn("image.reap", "reason=\"%s\"", err.msg);
    return false;
}

/* ---- seals ---- */

static int64_t seal_every_ms(const struct app *app)
{
    enum { SEAL_EVERY_MS = 60 * 1000 };
    return app->settings.seal_delay_ms > 0 ? SEAL_EVERY_MS : INT64_MAX;
}

/* There may be more hours that wait. */
static void seal_next(void *ctx)
{
    reconcile_now(ctx, DUE_SEAL);
}

static int seal_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct due_item *item = ctx;
    struct app *app = item->app;
    ledger_months_tidy(app->months);
    usage_kept_tidy(app->kept);
    int sealed = ledger_seal_due(tx, app->vouchers, app->settings.seal_delay_ms, err);
    if (sealed > 0)
        tx_after_commit(tx, seal_next, app->reconcile, NULL);
    return sealed < 0 ? -1 : 0;
}

static bool seal_due(struct app *app, int64_t none)
{
    return reconcile_submit(app, DUE_SEAL, none, seal_run);
}

/* ---- the table ---- */

const struct due_job reconcile_jobs[DUE_COUNT] = {
    [DUE_OPERATIONS] = {BY_DEADLINE, NULL, load_operations, deadline_due},
    [DUE_NODES] = {BY_LEASE, node_lease_ms, load_nodes, silent_due},
    [DUE_FILES] = {BY_TICK, NULL, NULL, files_due},
    [DUE_SEAL] = {BY_TICK, seal_every_ms, NULL, seal_due},
};
