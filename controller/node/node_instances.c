/* The instances of a report, one by one: own ones, and what is none of ours. */
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/instance/instance.h"
#include "controller/instance/instance_evidence.h"
#include "controller/instance/instance_observed.h"
#include "controller/instance/store_instance.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/node/node.h"
#include "controller/tx/writer.h"

/* The instances that the database has on this node, sorted by id. */
struct own {
    struct instance *items;
    bool *named; /* by the report */
    size_t count, cap;
};

static void collect(void *ctx, const struct instance *instance)
{
    struct own *own = ctx;
    if (own->count == own->cap) {
        own->cap = own->cap ? 2 * own->cap : 32;
        own->items = xrealloc(own->items, own->cap * sizeof(*own->items));
    }
    struct instance *item = &own->items[own->count++];
    *item = *instance;
    instance_keep(item);
}

static int by_id(const void *a, const void *b)
{
    const struct instance *left = a, *right = b;
    return strcmp(left->id, right->id);
}

static void own_release(struct own *own)
{
    for (size_t i = 0; i < own->count; i++)
        instance_release(&own->items[i]);
    free(own->items);
    free(own->named);
}

static int own_load(struct observing *o, struct own *own, struct err *err)
{
    if (store_instance_of_node(o->tx->db, o->node_key, collect, own, err) != 0)
        return -1;
    if (own->count)
        qsort(own->items, own->count, sizeof(*own->items), by_id);
    own->named = xcalloc(own->count + 1, sizeof(*own->named));
    return 0;
}

static struct instance *own_find(const struct own *own, const char *id)
{
    struct instance key = {.id = id};
    if (!own->count)
        return NULL;
    return bsearch(&key, own->items, own->count, sizeof(*own->items), by_id);
}

/* When the run began, if the same report brings the evidence. */
static int64_t evidence(const struct node_report *report, const struct observed_instance *seen)
{
    const struct observation *items = report->observations.items;
    for (size_t i = report->observations.count; i > 0; i--) {
        const struct observation *item = &items[i - 1];
        if (item->kind == OBS_STARTED && item->run == seen->run &&
            strcmp(item->instance, seen->id) == 0 && !observation_fault(item))
            return item->wall_ms;
    }
    return 0;
}

static int observe_fault(struct observing *o, struct instance *instance, const char *fault,
                         struct err *err)
{
    observing_refuse(o, instance->id, "of an instance it says what cannot be");
    int rc = instance_observe_fault(o->tx, instance, fault, &o->wrote, err);
    instance->observed_reason = NULL; /* `fault` is gone soon */
    return rc;
}

static int observe_one(struct observing *o, struct instance *instance,
                       const struct observed_instance *seen, struct err *err)
{
    autofree char *fault = instance_observed_fault(instance, seen);
    if (fault)
        return observe_fault(o, instance, fault, err);
    struct observe_how how = {
        .epoch = o->epoch,
        .same_epoch = o->same_epoch,
        /* What a dead boot's runs came to decides nothing: they begin anew. */
        .judge = !o->new_boot,
        .started_ms = evidence(o->report, seen)};
    bool is_there = seen->state == STATE_RUNNING || seen->state == STATE_STOPPED ||
                    seen->state == STATE_CRASHED;
    if (o->new_boot && is_there &&
        instance_witness_there(o->tx, o->node_key, o->report, seen, err) != 0)
        return -1;
    instance->node_silent = false; /* it speaks */
    bool ran = instance->observed_state == STATE_RUNNING;
    bool adopting = instance->adopt, was_lost = instance->observed_state == STATE_ERROR;
    if (instance_observe(o->tx, instance, seen, &how, &o->wrote, &o->freed, err) != 0)
        return -1;
    bool taken_over = adopting && !instance->adopt && is_there;
    bool given_up = adopting && !was_lost && instance->observed_state == STATE_ERROR &&
                    seen->state == STATE_ABSENT;
    if (ran && seen->state != STATE_RUNNING && !o->more && !taken_over && !given_up)
        return evidence_ended(o->tx, o->node_key, o->report, seen, err);
    if (taken_over || given_up)
        return instance_witness_taken_over(o->tx, o->node_key, o->report, seen, err);
    return 0;
}

/* Of what cannot be said of any domain nothing is taken, not even that there is one. */
static bool may_be_reported(struct observing *o, const struct observed_instance *seen)
{
    bool known = id_valid(seen->id);
    if (known && seen->state <= STATE_ABSENT)
        return true;
    observing_refuse(o, known ? seen->id : "",
                     known ? "no state that a host may report" : "no id of a domain");
    return false;
}

/* 1: own; 0: foreign. */
static int observe_alone(struct observing *o, const struct observed_instance *seen, struct err *err)
{
    struct instance auto_instance instance = {0};
    int found = store_instance_find(o->tx->db, seen->id, &instance, err);
    if (found < 0)
        return -1;
    if (!found || instance.node_key != o->node_key || instance.gone_ms)
        return 0;
    return observe_one(o, &instance, seen, err) == 0 ? 1 : -1;
}

static int observe_changed(struct observing *o, size_t *foreign, size_t *ret_count, struct err *err)
{
    const struct observed_instance *items = o->report->instances.items;
    for (size_t i = 0; i < o->report->instances.count; i++) {
        int own = may_be_reported(o, &items[i]) ? observe_alone(o, &items[i], err) : 1;
        if (own < 0)
            return -1;
        if (!own)
            foreign[(*ret_count)++] = i;
    }
    return 0;
}

static int observe_named(struct observing *o, struct own *own, size_t *foreign, size_t *ret_count,
                         struct err *err)
{
    const struct observed_instance *items = o->report->instances.items;
    for (size_t i = 0; i < o->report->instances.count; i++) {
        if (!may_be_reported(o, &items[i]))
            continue;
        struct instance *instance = own_find(own, items[i].id);
        if (!instance) {
            foreign[(*ret_count)++] = i;
            continue;
        }
        own->named[instance - own->items] = true;
        if (!instance->gone_ms && observe_one(o, instance, &items[i], err) != 0)
            return -1;
    }
    return 0;
}

static int observe_rest(struct observing *o, struct own *own, struct err *err)
{
    for (size_t i = 0; i < own->count; i++) {
        if (!own->named[i] && instance_observe_missing(o->tx, &own->items[i], &o->wrote, err) != 0)
            return -1;
        if (o->new_boot && !own->items[i].gone_ms) {
            o->wrote = true;
            if (instance_host_booted(o->tx, &own->items[i], err) != 0)
                return -1;
        }
    }
    return 0;
}

static int observe_all(struct observing *o, size_t *foreign, size_t *ret_count, struct err *err)
{
    struct own own = {0};
    int rc = own_load(o, &own, err);
    if (rc == 0)
        rc = observe_named(o, &own, foreign, ret_count, err);
    if (rc == 0)
        rc = observe_rest(o, &own, err);
    own_release(&own);
    return rc;
}

int node_observe_instances(struct observing *o, struct err *err)
{
    autofree size_t *foreign = xcalloc(o->report->instances.count + 1, sizeof(*foreign));
    size_t count = 0;
    int rc = o->report->full ? observe_all(o, foreign, &count, err)
                             : observe_changed(o, foreign, &count, err);
    if (rc != 0)
        return -1;
    if (!o->report->full && !count)
        return 0;
    return node_observe_quarantine(o, foreign, count, err);
}
