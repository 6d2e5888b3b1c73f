/* The rules by which operations end. */
#include "controller/instance/operation_rules.h"

#include <string.h>

#include "api/base/err.h"
#include "controller/instance/store_instance.h"
#include "controller/operation/operation.h"
#include "controller/tx/writer.h"

static bool is(const char *kind, const char *one)
{
    return strcmp(kind, one) == 0;
}

static bool wants_running(const char *kind)
{
    return is(kind, "start") || is(kind, "reboot") || is(kind, "create");
}

/* Whether a new wish makes an older one pointless. Two that want the same end together. */
static bool supersedes(const char *new_kind, const char *old_kind)
{
    if (is(new_kind, "delete"))
        return !is(old_kind, "delete");
    if (is(new_kind, "stop"))
        return wants_running(old_kind);
    if (is(new_kind, "start"))
        return is(old_kind, "stop");
    /* Two resizes or two rebuilds: only the last one's sizes or image come about. */
    return (is(new_kind, "resize") || is(new_kind, "rebuild")) && is(new_kind, old_kind);
}

/* Shows `each` all running operations of an instance, a bounded number at a time. */
typedef int running_each(struct tx *tx, const struct operation_running *item, const void *ctx,
                         struct err *err);
static int each_running(struct tx *tx, int64_t instance_key, running_each *each, const void *ctx,
                        struct err *err)
{
    struct operation_running items[OPERATIONS_AT_ONCE];
    int64_t after_key = 0;
    int count;
    do {
        count = store_operation_running(tx->db, instance_key, after_key, items, err);
        for (int i = 0; i < count; i++) {
            if (each(tx, &items[i], ctx, err) != 0)
                return -1;
            after_key = items[i].key;
        }
    } while (count == OPERATIONS_AT_ONCE);
    return count < 0 ? -1 : 0;
}

static int supersede_one(struct tx *tx, const struct operation_running *item, const void *ctx,
                         struct err *err)
{
    const char *kind = ctx;
    char detail[64];
    if (!supersedes(kind, item->kind))
        return 0;
    snprintf(detail, sizeof(detail), "a later %s took its place", kind);
    struct operation_end end = {
        .state = OPERATION_FAILED, .code = ERR_SUPERSEDED, .detail = detail};
    return operation_finish(tx, item->key, &end, err);
}

int operation_open(struct tx *tx, const struct instance *instance, const char *kind,
                   const struct wish *wish, struct operation_ref *ret_operation, struct err *err)
{
    if (!is(kind, "create") && each_running(tx, instance->key, supersede_one, kind, err) != 0)
        return -1;
    int same =
        store_operation_same(tx->db, instance->key, kind, instance->generation, ret_operation, err);
    if (same != 0)
        return same < 0 ? -1 : 0;
    struct operation_new new = {
        .project_key = instance->project_key,
        .instance_key = instance->key,
        .kind = kind,
        .generation = instance->generation,
        .run = instance->run,
        .timeout_ms = wish->timeout_ms,
        .revision = instance->revision,
    };
    return operation_create(tx, &new, ret_operation, err);
}

int operation_open_done(struct tx *tx, const struct instance *instance, const char *kind,
                        const struct wish *wish, struct operation_ref *ret_operation,
                        struct err *err)
{
    struct operation_end end = {.state = OPERATION_DONE};
    if (operation_open(tx, instance, kind, wish, ret_operation, err) != 0)
        return -1;
    return operation_finish(tx, ret_operation->key, &end, err);
}

/* A run that started and was then ended by its guest was started all the same. */
static bool started(const struct instance *instance)
{
    return instance->observed_state == STATE_RUNNING ||
           (instance->observed_state == STATE_STOPPED && instance->observed_run == instance->run);
}

static bool fulfilled(const struct instance *instance, const char *kind)
{
    bool stopped = instance->observed_state == STATE_STOPPED;
    if (is(kind, "delete"))
        return instance->gone_ms != 0;
    if (is(kind, "stop"))
        return stopped;
    if (is(kind, "start") || is(kind, "reboot"))
        return started(instance);
    return instance->power == POWER_RUNNING ? started(instance) : stopped;
}

static const char *reason_or(const struct instance *instance, const char *fallback)
{
    return instance->observed_reason ? instance->observed_reason : fallback;
}

/* Why it will never be fulfilled; NULL: it still may. */
static const char *refuted(const struct instance *instance, const struct operation_running *item,
                           const struct outcome *outcome)
{
    /* The run number tells which start crashed, whatever generation the host had seen. */
    bool crashed = instance->observed_state == STATE_CRASHED &&
                   instance->observed_run == instance->run && instance->power == POWER_RUNNING;
    if (crashed && !is(item->kind, "delete") && !is(item->kind, "stop"))
        return reason_or(instance, "the guest crashed");
    bool error = instance->observed_state == STATE_ERROR && outcome->final;
    if (error && item->generation <= outcome->generation)
        return reason_or(instance, "the host could not do it");
    return NULL;
}

struct judging {
    const struct instance *instance;
    const struct outcome *outcome;
};

static int judge_one(struct tx *tx, const struct operation_running *item, const void *ctx,
                     struct err *err)
{
    const struct judging *judging = ctx;
    const struct instance *instance = judging->instance;
    const struct outcome *outcome = judging->outcome;
    struct operation_end end = {.state = OPERATION_DONE, .forced = item->forced};
    end.detail = refuted(instance, item, outcome);
    bool caught_up = outcome->converged && item->generation <= outcome->generation;
    if (end.detail) {
        end.state = OPERATION_FAILED;
        end.code = ERR_OPERATION_FAILED;
    } else if (!caught_up || !fulfilled(instance, item->kind)) {
        return 0;
    }
    end.forced |= is(item->kind, "stop") && instance->observed_cause == CAUSE_FORCED &&
                  instance->observed_run == item->run;
    return operation_finish(tx, item->key, &end, err);
}

int operation_judge(struct tx *tx, const struct instance *instance, const struct outcome *outcome,
                    struct err *err)
{
    struct judging judging = {.instance = instance, .outcome = outcome};
    return each_running(tx, instance->key, judge_one, &judging, err);
}

struct forcing {
    const struct instance *instance;
    int64_t run;
};

static int mark_one(struct tx *tx, const struct operation_running *item, const void *ctx,
                    struct err *err)
{
    const struct forcing *forcing = ctx;
    const struct instance *instance = forcing->instance;
    /* A stop ends the run that it met, a reboot whichever came before the one that it allots. */
    bool concerned = (is(item->kind, "stop") && item->run == forcing->run) ||
                     (is(item->kind, "reboot") && item->run > forcing->run);
    if (item->forced || !concerned)
        return 0;
    int64_t revision = tx_event(tx, &(struct event_row){.project_key = instance->project_key,
                                                        .kind = "operation",
                                                        .id = item->id,
                                                        .name = instance->name,
                                                        .what = "forced"});
    tx_touch(tx, WATCH_OPERATION, item->key);
    return store_operation_forced(tx->db, item->key, revision, err);
}

int operation_mark_forced(struct tx *tx, const struct instance *instance, int64_t run,
                          struct err *err)
{
    struct forcing forcing = {.instance = instance, .run = run};
    return each_running(tx, instance->key, mark_one, &forcing, err);
}
