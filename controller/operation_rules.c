/* The rules by which operations end. */
#include "controller/operation_rules.h"

#include <string.h>

#include "api/err.h"
#include "controller/instance.h"
#include "controller/operation.h"
#include "controller/writer.h"

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

static int supersede(struct tx *tx, const struct instance *instance, const char *kind,
                     struct err *err)
{
    struct operation_running items[OPERATIONS_RUNNING_MAX];
    int count = store_operation_running(tx->db, instance->key, items, OPERATIONS_RUNNING_MAX, err);
    char detail[64];
    snprintf(detail, sizeof(detail), "a later %s took its place", kind);
    struct operation_end end = {
        .state = OPERATION_FAILED, .code = ERR_SUPERSEDED, .detail = detail};
    for (int i = 0; i < count; i++) {
        if (supersedes(kind, items[i].kind) && operation_finish(tx, items[i].key, &end, err) != 0)
            return -1;
    }
    return count < 0 ? -1 : 0;
}

int operation_open(struct tx *tx, const struct instance *instance, const char *kind,
                   const struct wish *wish, struct operation_ref *ret_operation, struct err *err)
{
    if (!is(kind, "create") && supersede(tx, instance, kind, err) != 0)
        return -1;
    struct operation_new new = {
        .project_key = instance->project_key,
        .instance_key = instance->key,
        .token_key = wish->token_key,
        .kind = kind,
        .generation = instance->generation,
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

int operation_judge(struct tx *tx, const struct instance *instance, const struct outcome *outcome,
                    struct err *err)
{
    struct operation_running items[OPERATIONS_RUNNING_MAX];
    int count = store_operation_running(tx->db, instance->key, items, OPERATIONS_RUNNING_MAX, err);
    for (int i = 0; i < count; i++) {
        struct operation_end end = {.state = OPERATION_DONE, .forced = items[i].forced};
        end.detail = refuted(instance, &items[i], outcome);
        bool caught_up = outcome->converged && items[i].generation <= outcome->generation;
        if (end.detail) {
            end.state = OPERATION_FAILED;
            end.code = ERR_OPERATION_FAILED;
        } else if (!caught_up || !fulfilled(instance, items[i].kind)) {
            continue;
        }
        end.forced |= is(items[i].kind, "stop") && instance->observed_cause == CAUSE_FORCED;
        if (operation_finish(tx, items[i].key, &end, err) != 0)
            return -1;
    }
    return count < 0 ? -1 : 0;
}

int operation_mark_forced(struct tx *tx, int64_t instance_key, struct err *err)
{
    return store_operation_forced(tx->db, instance_key, err);
}
