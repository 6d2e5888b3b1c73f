/* Desired meets observed, for one instance. Only what differs is written. */
#include "controller/instance/instance_observed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/instance/instance.h"
#include "controller/instance/operation_rules.h"
#include "controller/instance/store_instance.h"
#include "controller/placement/hosts.h"
#include "controller/tx/writer.h"

static const char lost_reason[] = "not found on its host after the database was restored";

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Generations compare only within one epoch: the domain's, or without one the agent's. */
static bool comparable(const struct observed_instance *seen, const struct observe_how *how)
{
    return seen->epoch ? strcmp(seen->epoch, how->epoch) == 0 : how->same_epoch;
}

static struct outcome outcome_of(const struct instance *instance,
                                 const struct observed_instance *seen,
                                 const struct observe_how *how)
{
    bool known = comparable(seen, how);
    return (struct outcome){.converged = known && seen->converged,
                            .generation =
                                known ? smaller(seen->generation, instance->generation) : 0,
                            .final = seen->final};
}

/* ---- what cannot be ---- */

static bool within(int64_t value, int64_t most)
{
    return value >= 0 && value <= most;
}

/* Of counters what the row has came from us, and can be. */
char *instance_observed_fault(const struct instance *instance, const struct observed_instance *seen)
{
    const struct {
        const char *what;
        int64_t value, most;
    } all[] = {
        {"vcpus", seen->vcpus, LIMIT_VCPUS},
        {"memory_mib", seen->memory_mib, LIMIT_MEMORY_MIB},
        {"disk_gib", seen->disk_gib, LIMIT_DISK_GIB},
        {"run", seen->run, larger(LIMIT_COUNTER, instance->run)},
        {"disk_number", seen->disk_number, larger(LIMIT_COUNTER, instance->disk_number)},
        {"generation", seen->generation, larger(LIMIT_COUNTER, instance->generation)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (!within(all[i].value, all[i].most))
            return xasprintf("its host reports %s %" PRId64 ", and at most %" PRId64 " can be",
                             all[i].what, all[i].value, all[i].most);
    }
    return NULL;
}

int instance_observe_fault(struct tx *tx, struct instance *instance, const char *reason,
                           bool *ret_wrote, struct err *err)
{
    if (instance->observed_state == STATE_ERROR && same_text(instance->observed_reason, reason))
        return 0;
    *ret_wrote = true;
    instance->observed_state = STATE_ERROR;
    instance->observed_reason = reason;
    instance_event(tx, instance, "state:error", false);
    return store_instance_set_observed(tx->db, instance, err);
}

/* ---- after a restored database ---- */

static int adopt_lost(struct tx *tx, struct instance *instance, bool *ret_wrote, struct err *err)
{
    if (instance->observed_state == STATE_ERROR && instance->power == POWER_STOPPED &&
        same_text(instance->observed_reason, lost_reason))
        return 0;
    *ret_wrote = true;
    instance->power = POWER_STOPPED;
    instance->observed_state = STATE_ERROR;
    instance->observed_reason = lost_reason;
    /* `adopt` stays: the agent must not make an empty machine in its place. */
    if (instance_change(tx, instance, "state:error", err) != 0)
        return -1;
    struct outcome outcome = {.final = true, .generation = INT64_MAX};
    return operation_judge(tx, instance, &outcome, err);
}

static void adopt_sizes(struct tx *tx, struct instance *instance,
                        const struct observed_instance *seen)
{
    struct sizes was = instance->sizes, *now = &instance->sizes;
    now->vcpus = seen->vcpus > 0 ? seen->vcpus : was.vcpus;
    now->memory_mib = seen->memory_mib > 0 ? seen->memory_mib : was.memory_mib;
    now->disk_gib = seen->disk_gib > 0 ? seen->disk_gib : was.disk_gib;
    struct sizes delta = {now->vcpus - was.vcpus, now->memory_mib - was.memory_mib,
                          now->disk_gib - was.disk_gib};
    if (!delta.vcpus && !delta.memory_mib && !delta.disk_gib)
        return;
    hosts_use(tx->hosts, instance->node_key, &delta, 0);
    /* Which flavor it was resized to the copy does not know: explicit sizes are the truth. */
    instance->flavor_key = 0;
    instance->flavor = NULL;
}

/* The host's facts become what is desired. */
static int adopt_facts(struct tx *tx, struct instance *instance,
                       const struct observed_instance *seen, bool *ret_wrote, struct err *err)
{
    *ret_wrote = true;
    adopt_sizes(tx, instance, seen);
    instance->adopt = false;
    instance->power = seen->state == STATE_RUNNING ? POWER_RUNNING : POWER_STOPPED;
    instance->run = larger(instance->run, seen->run);
    instance->disk_number = seen->disk_number > 0 ? seen->disk_number : instance->disk_number;
    instance->generation = larger(instance->generation, seen->generation);
    /* A crashed one is desired stopped now, and shown so. */
    instance->observed_state = seen->state == STATE_RUNNING ? STATE_RUNNING : STATE_STOPPED;
    instance->observed_reason = NULL;
    instance->observed_generation = 0;
    instance->observed_run = seen->run;
    instance->observed_cause = seen->cause;
    if (instance_change(tx, instance, "adopted", err) != 0)
        return -1;
    return store_instance_set_observed(tx->db, instance, err);
}

static int adopt(struct tx *tx, struct instance *instance, const struct observed_instance *seen,
                 const struct observe_how *how, bool *ret_wrote, struct err *err)
{
    /* An agent of the old epoch may be in the middle of something: its facts can change. */
    if (!how->same_epoch)
        return 0;
    switch (seen->state) {
    case STATE_ABSENT:
        /* Only who has looked can say so: not while libvirt is away, or volumes are left. */
        return seen->converged ? adopt_lost(tx, instance, ret_wrote, err) : 0;
    case STATE_RUNNING:
    case STATE_STOPPED:
    case STATE_CRASHED:
        return adopt_facts(tx, instance, seen, ret_wrote, err);
    default:
        return 0;
    }
}

/* ---- in the ordinary course ---- */

/* A tombstone ends on proof of this epoch only, and of this very deletion. An agent that could
 * not look says so by `converged`: what it does not see may still be there. */
static bool proves_gone(const struct instance *instance, const struct observed_instance *seen,
                        const struct observe_how *how)
{
    return instance->deleted_ms && seen->state == STATE_ABSENT && seen->converged &&
           comparable(seen, how) && seen->generation >= instance->generation;
}

static int end_of(struct tx *tx, struct instance *instance, struct err *err)
{
    struct outcome outcome = {.converged = true, .generation = INT64_MAX};
    if (instance_gone(tx, instance, err) != 0)
        return -1;
    return operation_judge(tx, instance, &outcome, err);
}

/* What the row becomes. */
static struct instance look(const struct instance *instance, const struct observed_instance *seen,
                            const struct observe_how *how, int64_t now_ms)
{
    struct instance next = *instance;
    struct outcome outcome = outcome_of(instance, seen, how);
    next.observed_state = seen->state;
    /* Whoever asked for a stop has it, however the run ended. */
    if (seen->state == STATE_CRASHED && instance->power == POWER_STOPPED && outcome.converged)
        next.observed_state = STATE_STOPPED;
    next.observed_reason = seen->reason;
    next.observed_run = smaller(seen->run, instance->run);
    next.observed_cause = seen->cause;
    if (outcome.converged)
        next.observed_generation = larger(instance->observed_generation, outcome.generation);
    if (next.observed_run > instance->observed_run)
        next.started_ms = how->started_ms ? how->started_ms : now_ms;
    else if (next.observed_run == instance->observed_run && how->started_ms && next.observed_run)
        next.started_ms = how->started_ms;
    return next;
}

static bool shown_differs(const struct instance *a, const struct instance *b)
{
    return a->observed_state != b->observed_state || a->observed_cause != b->observed_cause ||
           a->started_ms != b->started_ms || !same_text(a->observed_reason, b->observed_reason);
}

/* The guest powered itself off in the very run that is wanted: so that is what is wanted. */
static bool guest_ended(const struct instance *next)
{
    return next->observed_state == STATE_STOPPED && next->observed_cause == CAUSE_GUEST &&
           next->observed_run == next->run && next->power == POWER_RUNNING && !next->deleted_ms;
}

static int write_seen(struct tx *tx, struct instance *next, bool shown, struct err *err)
{
    char what[32];
    snprintf(what, sizeof(what), "state:%s", state_names[instance_shown_state(next)]);
    bool ended = guest_ended(next);
    if (shown || ended)
        instance_event(tx, next, what, false);
    if (ended) {
        /* Nothing is left for the agent to do, so it is not woken; its next page tells it. */
        if (next->observed_generation == next->generation)
            next->observed_generation++;
        next->generation++;
        next->power = POWER_STOPPED;
        next->desired_revision = next->revision;
        if (store_instance_set_power(tx->db, next, err) != 0)
            return -1;
    }
    return store_instance_set_observed(tx->db, next, err);
}

int instance_observe(struct tx *tx, struct instance *instance, const struct observed_instance *seen,
                     const struct observe_how *how, bool *ret_wrote, bool *ret_gone,
                     struct err *err)
{
    if (proves_gone(instance, seen, how)) {
        *ret_wrote = *ret_gone = true;
        return end_of(tx, instance, err);
    }
    if (instance->adopt)
        return adopt(tx, instance, seen, how, ret_wrote, err);
    struct outcome outcome = outcome_of(instance, seen, how);
    struct instance next = look(instance, seen, how, tx->now_ms);
    bool shown = shown_differs(instance, &next);
    bool changed = shown || next.observed_generation != instance->observed_generation ||
                   next.observed_run != instance->observed_run || guest_ended(&next);
    if (changed) {
        *ret_wrote = true;
        if (write_seen(tx, &next, shown, err) != 0)
            return -1;
    }
    bool decides = changed || seen->final || seen->state == STATE_CRASHED;
    /* After a guest's own shutdown the old generation is as good as the new one. */
    if (outcome.converged)
        outcome.generation = larger(outcome.generation, next.observed_generation);
    int rc = decides && how->judge ? operation_judge(tx, &next, &outcome, err) : 0;
    char *owned = instance->owned;
    *instance = next;
    instance->owned = owned;
    return rc;
}

int instance_observe_missing(struct tx *tx, struct instance *instance, bool *ret_wrote,
                             struct err *err)
{
    /* Only an explicit `absent` ends a tombstone, or calls one lost that waits for adoption. */
    if (instance->deleted_ms || instance->adopt)
        return 0;
    bool was_there = instance->observed_state == STATE_RUNNING ||
                     instance->observed_state == STATE_STOPPED ||
                     instance->observed_state == STATE_CRASHED;
    if (!was_there)
        return 0;
    *ret_wrote = true;
    instance->observed_state = STATE_ABSENT;
    instance->observed_reason = "its host reports no such domain";
    instance_event(tx, instance, "state:provisioning", false);
    return store_instance_set_observed(tx->db, instance, err);
}

int instance_host_booted(struct tx *tx, struct instance *instance, struct err *err)
{
    if (instance->deleted_ms || instance->adopt || instance->power != POWER_RUNNING)
        return 0;
    instance->run++;
    instance->generation++;
    instance_event(tx, instance, "host_booted", true);
    return store_instance_set_power(tx->db, instance, err);
}
