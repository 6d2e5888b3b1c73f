/* The write jobs of the reconciler. */
#include <stdio.h>
#include <stdlib.h>

#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/due/reconcile_internal.h"
#include "controller/instance/instance.h"
#include "controller/instance/operation_rules.h"
#include "controller/instance/store_instance.h"
#include "controller/ledger/book/ledger_months.h"
#include "controller/ledger/book/ledger_seal.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/node/node.h"
#include "controller/operation/operation.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/usage/usage_kept.h"
#include "controller/world.h"

typedef void retry(struct reconcile *reconcile, int64_t key);

struct due {
    struct reconcile *reconcile;
    int64_t key;
    retry *again;
};

static void due_done(void *ctx, struct err *err)
{
    struct due *due = ctx;
    struct reconcile *reconcile = due->reconcile;
    if (err) {
        log_warn("reconcile.job", "key=%lld reason=\"%s\"", (long long)due->key, err->msg);
        due->again(reconcile, due->key);
    }
    free(due);
    pthread_mutex_lock(&reconcile->lock);
    if (--reconcile->jobs == 0)
        pthread_cond_broadcast(&reconcile->quiet);
    pthread_mutex_unlock(&reconcile->lock);
}

static bool submit(struct reconcile *reconcile, int64_t key, retry *again,
                   int (*run)(struct tx *, void *, struct err *))
{
    struct due *due = xmalloc(sizeof(*due));
    *due = (struct due){.reconcile = reconcile, .key = key, .again = again};
    pthread_mutex_lock(&reconcile->lock);
    reconcile->jobs++;
    pthread_mutex_unlock(&reconcile->lock);
    struct write_job job = {.run = run, .done = due_done, .ctx = due};
    if (writer_submit(reconcile->app->writer, &job))
        return true;
    due_done(due, NULL);
    return false;
}

static int deadline_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct due *due = ctx;
    struct instance auto_instance instance = {0};
    int64_t instance_key;
    int running = store_operation_instance(tx->db, due->key, &instance_key, err);
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
    return operation_finish(tx, due->key, &end, err);
}

/* Most have long ended: only those that still run are worth the writer's time. */
bool reconcile_submit_deadline(struct reconcile *reconcile, int64_t operation_key)
{
    struct err auto_err err = {0};
    int64_t instance_key;
    int running =
        store_operation_instance(app_reader(reconcile->app), operation_key, &instance_key, &err);
    if (running < 0)
        log_warn("reconcile.deadline", "reason=\"%s\"", err.msg);
    return running == 0 ||
           submit(reconcile, operation_key, reconcile_operation_again, deadline_run);
}

static int silent_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct due *due = ctx;
    /* A report may have come while this waited. */
    if (!reconcile_lease_over(due->reconcile, due->key))
        return 0;
    vouchers_lost(due->reconcile->app->vouchers, due->key);
    return node_fall_silent(tx, due->key, err);
}

/* There may be more hours that wait. */
static void seal_next(void *ctx)
{
    reconcile_seal_soon(ctx);
}

static int seal_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct due *due = ctx;
    struct app *app = due->reconcile->app;
    ledger_months_tidy(app->months);
    usage_kept_tidy(app->kept);
    int sealed = ledger_seal_due(tx, app->vouchers, app->settings.seal_delay_ms, err);
    if (sealed > 0)
        tx_after_commit(tx, seal_next, due->reconcile, NULL);
    return sealed < 0 ? -1 : 0;
}

static void seal_again(struct reconcile *reconcile, int64_t key)
{
    (void)reconcile, (void)key; /* the next tick does */
}

bool reconcile_submit_seal(struct reconcile *reconcile)
{
    return submit(reconcile, 0, seal_again, seal_run);
}

bool reconcile_submit_silent(struct reconcile *reconcile, int64_t node_key)
{
    return submit(reconcile, node_key, reconcile_silent_again, silent_run);
}
