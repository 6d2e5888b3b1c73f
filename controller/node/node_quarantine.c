/* Domains on a host that this database does not know, or not there: counted in its capacity,
 * their numbers not given out on that host (instance_numbers.c), never touched. What a host says
 * of them takes nothing from other hosts, nor from a row that has an address. */
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/node/node.h"
#include "controller/placement/address.h"
#include "controller/placement/hosts.h"
#include "controller/placement/store_node.h"
#include "controller/tx/writer.h"

/* What is in quarantine on one node, in the order of domains. */
struct held {
    struct quarantined *items;
    char **owned;
    bool *named; /* by the report */
    size_t count, cap;
};

static void collect(void *ctx, const struct quarantined *row)
{
    struct held *held = ctx;
    if (held->count == held->cap) {
        held->cap = held->cap ? 2 * held->cap : 16;
        held->items = xrealloc(held->items, held->cap * sizeof(*held->items));
        held->owned = xrealloc(held->owned, held->cap * sizeof(*held->owned));
        held->named = xrealloc(held->named, held->cap * sizeof(*held->named));
    }
    struct quarantined *item = &held->items[held->count];
    *item = *row;
    const char **const fields[] = {&item->domain, &item->name, &item->address};
    held->owned[held->count] = texts_keep(fields, ARRAY_SIZE(fields));
    held->named[held->count++] = false;
}

static void held_release(struct held *held)
{
    for (size_t i = 0; i < held->count; i++)
        free(held->owned[i]);
    free(held->items);
    free(held->owned);
    free(held->named);
}

static ptrdiff_t held_find(const struct held *held, const char *domain)
{
    size_t low = 0, high = held->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(held->items[middle].domain, domain);
        if (order == 0)
            return (ptrdiff_t)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static void use(struct tx *tx, int64_t node_key, const struct quarantined *row, int sign)
{
    struct sizes delta = {sign * row->sizes.vcpus, sign * row->sizes.memory_mib,
                          sign * row->sizes.disk_gib};
    hosts_use(tx->hosts, node_key, &delta, 0);
}

static int leave(struct tx *tx, int64_t node_key, const struct quarantined *row, struct err *err)
{
    if (store_quarantine_remove(tx->db, node_key, row->domain, err) != 0)
        return -1;
    use(tx, node_key, row, -1);
    return 0;
}

static int64_t amount(int64_t value)
{
    if (value > LIMIT_HOST_AMOUNT)
        return LIMIT_HOST_AMOUNT;
    return value > 0 ? value : 0;
}

static struct quarantined from_report(const struct observed_instance *seen)
{
    return (struct quarantined){
        .domain = seen->id,
        .name = seen->name,
        .state = seen->state,
        .sizes = {amount(seen->vcpus), amount(seen->memory_mib), amount(seen->disk_gib)},
        .uid = seen->uid >= UID_FIRST && seen->uid <= UID_LAST ? seen->uid : 0,
        .address = address_number(seen->address) >= 0 ? seen->address : NULL,
    };
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same(const struct quarantined *a, const struct quarantined *b)
{
    return a->state == b->state && a->sizes.vcpus == b->sizes.vcpus &&
           a->sizes.memory_mib == b->sizes.memory_mib && a->sizes.disk_gib == b->sizes.disk_gib &&
           a->uid == b->uid && same_text(a->name, b->name) && same_text(a->address, b->address);
}

static int enter(struct observing *o, const struct quarantined *row, const struct quarantined *old,
                 struct err *err)
{
    if (old && leave(o->tx, o->node_key, old, err) != 0)
        return -1;
    o->wrote = o->node_event = true;
    use(o->tx, o->node_key, row, 1);
    return store_quarantine_put(o->tx->db, o->node_key, row, o->tx->now_ms, err);
}

static int observe_one(struct observing *o, struct held *held, const struct observed_instance *seen,
                       struct err *err)
{
    struct quarantined row = from_report(seen);
    ptrdiff_t at = held_find(held, row.domain);
    const struct quarantined *old = at >= 0 ? &held->items[at] : NULL;
    if (row.state == STATE_ABSENT)
        return 0; /* gone: leaves with those that a full report does not name */
    if (at >= 0)
        held->named[at] = true;
    if (old && same(&row, old))
        return 0;
    if (!old && held->count + o->strangers >= LIMIT_NODE_STRANGERS) {
        observing_refuse(o, row.domain, "more domains in quarantine than are counted");
        return 0;
    }
    o->strangers += !old;
    return enter(o, &row, old, err);
}

static bool said_absent(const struct observing *o, const char *domain)
{
    const struct observed_instance *items = o->report->instances.items;
    for (size_t i = 0; i < o->report->instances.count; i++) {
        if (items[i].state == STATE_ABSENT && strcmp(items[i].id, domain) == 0)
            return true;
    }
    return false;
}

static int leave_unnamed(struct observing *o, struct held *held, struct err *err)
{
    for (size_t i = 0; i < held->count; i++) {
        if (held->named[i] || !(o->report->full || said_absent(o, held->items[i].domain)))
            continue;
        o->wrote = o->node_event = true;
        if (leave(o->tx, o->node_key, &held->items[i], err) != 0)
            return -1;
    }
    return 0;
}

static int by_domain(const void *a, const void *b, void *ctx)
{
    const struct observed_instance *items = ctx;
    return strcmp(items[*(const size_t *)a].id, items[*(const size_t *)b].id);
}

int node_observe_quarantine(struct observing *o, size_t *foreign, size_t count, struct err *err)
{
    struct held held = {0};
    struct observed_instance *items = o->report->instances.items;
    if (count)
        qsort_r(foreign, count, sizeof(*foreign), by_domain, items);
    int rc = store_quarantine_list(o->tx->db, o->node_key, collect, &held, err);
    for (size_t i = 0; i < count && rc == 0; i++) {
        /* One that a report names twice is counted once. */
        if (i == 0 || strcmp(items[foreign[i]].id, items[foreign[i - 1]].id) != 0)
            rc = observe_one(o, &held, &items[foreign[i]], err);
    }
    if (rc == 0)
        rc = leave_unnamed(o, &held, err);
    held_release(&held);
    return rc;
}

int node_forget_quarantine(struct tx *tx, int64_t node_key, struct err *err)
{
    struct held held = {0};
    int rc = store_quarantine_list(tx->db, node_key, collect, &held, err);
    for (size_t i = 0; i < held.count && rc == 0; i++)
        rc = leave(tx, node_key, &held.items[i], err);
    held_release(&held);
    return rc;
}
