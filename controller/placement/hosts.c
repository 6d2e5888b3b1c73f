/* The placement table in memory, with a journal of what the current job changed. */
#include "controller/placement/hosts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"

enum change_kind { CHANGE_HOST, CHANGE_UID, CHANGE_ADDRESS };

/* How to undo one step. */
struct change {
    enum change_kind kind;
    size_t index; /* of a host's slot, or of a network */
    int64_t number;
    bool taken;
    struct host *old; /* owned */
};

struct hosts {
    struct host *items; /* by key; removed ones keep their slot until the next load */
    size_t count, cap;
    struct placement *placement;
    struct numbers uids;
    struct hosts_network *networks;
    size_t network_count;
    bool set_aside; /* some hosts are */
    struct change *changes;
    size_t change_count, change_cap;
};

/* ---- the journal ---- */

static struct change *note(struct hosts *hosts, enum change_kind kind, size_t index)
{
    if (hosts->change_count == hosts->change_cap) {
        hosts->change_cap = hosts->change_cap ? 2 * hosts->change_cap : 16;
        hosts->changes = xrealloc(hosts->changes, hosts->change_cap * sizeof(*hosts->changes));
    }
    struct change *change = &hosts->changes[hosts->change_count++];
    *change = (struct change){.kind = kind, .index = index};
    return change;
}

static void forget_changes(struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->change_count; i++)
        free(hosts->changes[i].old);
    hosts->change_count = 0;
}

static struct sizes free_of(const struct host *host)
{
    return (struct sizes){.vcpus = host->capacity.vcpus - host->used.vcpus,
                          .memory_mib = host->capacity.memory_mib - host->used.memory_mib,
                          .disk_gib = host->capacity.disk_gib - host->used.disk_gib};
}

static void refresh(struct hosts *hosts, size_t index)
{
    const struct host *host = &hosts->items[index];
    bool open = host->key && host->schedulable && host->reported && !host->silent;
    struct sizes free_now = free_of(host);
    placement_set(hosts->placement, index, open ? &free_now : NULL, &host->capacity);
}

static void undo(struct hosts *hosts, struct change *change)
{
    switch (change->kind) {
    case CHANGE_HOST:
        hosts->items[change->index] = *change->old;
        refresh(hosts, change->index);
        break;
    case CHANGE_UID:
        numbers_set(&hosts->uids, change->number, change->taken);
        break;
    case CHANGE_ADDRESS:
        numbers_set(&hosts->networks[change->index].numbers, change->number, change->taken);
        break;
    }
}

static void release_job(struct hosts *hosts)
{
    forget_changes(hosts);
}

static void rollback_job(struct hosts *hosts)
{
    for (size_t i = hosts->change_count; i > 0; i--)
        undo(hosts, &hosts->changes[i - 1]);
    forget_changes(hosts);
}

const struct hosts_hooks hosts_hooks = {
    .load = hosts_load, .release = release_job, .rollback = rollback_job};

/* ---- life ---- */

struct hosts *hosts_new(void)
{
    struct hosts *hosts = xcalloc(1, sizeof(*hosts));
    hosts->placement = placement_new();
    numbers_init(&hosts->uids, UID_FIRST, UID_LAST);
    return hosts;
}

static void release_networks(struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->network_count; i++)
        numbers_release(&hosts->networks[i].numbers);
    hosts->network_count = 0;
}

void hosts_reset(struct hosts *hosts)
{
    forget_changes(hosts);
    hosts->count = 0;
    placement_free(hosts->placement);
    hosts->placement = placement_new();
    numbers_release(&hosts->uids);
    numbers_init(&hosts->uids, UID_FIRST, UID_LAST);
    release_networks(hosts);
}

void hosts_free(struct hosts *hosts)
{
    if (!hosts)
        return;
    forget_changes(hosts);
    free(hosts->changes);
    placement_free(hosts->placement);
    numbers_release(&hosts->uids);
    release_networks(hosts);
    free(hosts->networks);
    free(hosts->items);
    free(hosts);
}

/* ---- hosts ---- */

/* A removed slot remembers its key as a negative number. */
static int64_t slot_key(const struct host *host)
{
    return host->key ? host->key : -host->sequence;
}

/* Slots are in order of keys: rows are loaded so, and new keys are always larger. */
static size_t slot_of(const struct hosts *hosts, int64_t key)
{
    size_t low = 0, high = hosts->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (slot_key(&hosts->items[middle]) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct host *hosts_find(const struct hosts *hosts, int64_t node_key)
{
    size_t slot = slot_of(hosts, node_key);
    if (slot == hosts->count || hosts->items[slot].key != node_key || node_key <= 0)
        return NULL;
    return &hosts->items[slot];
}

size_t hosts_count(const struct hosts *hosts)
{
    return hosts->count;
}

const struct host *hosts_at(const struct hosts *hosts, size_t index)
{
    return hosts->items[index].key ? &hosts->items[index] : NULL;
}

static struct host removed_slot(int64_t key)
{
    return (struct host){.sequence = -key};
}

static size_t slot_for(struct hosts *hosts, int64_t key)
{
    size_t slot = slot_of(hosts, key);
    if (slot < hosts->count) {
        /* A key in between never was: taking its neighbour's slot would lose that host. */
        assert(slot_key(&hosts->items[slot]) == key);
        return slot;
    }
    if (hosts->count == hosts->cap) {
        hosts->cap = hosts->cap ? 2 * hosts->cap : 16;
        hosts->items = xrealloc(hosts->items, hosts->cap * sizeof(*hosts->items));
    }
    hosts->items[hosts->count] = removed_slot(key);
    return hosts->count++;
}

static void replace(struct hosts *hosts, size_t slot, const struct host *host)
{
    note(hosts, CHANGE_HOST, slot)->old = xmemdup(&hosts->items[slot], sizeof(*host));
    hosts->items[slot] = *host;
    refresh(hosts, slot);
}

void hosts_put(struct hosts *hosts, const struct host *host)
{
    struct host copy = *host; /* may point into the table, which may move */
    replace(hosts, slot_for(hosts, copy.key), &copy);
}

void hosts_remove(struct hosts *hosts, int64_t node_key)
{
    if (!hosts_find(hosts, node_key))
        return;
    struct host gone = removed_slot(node_key);
    replace(hosts, slot_of(hosts, node_key), &gone);
}

void hosts_use(struct hosts *hosts, int64_t node_key, const struct sizes *delta, int64_t instances)
{
    const struct host *host = hosts_find(hosts, node_key);
    if (!host)
        return;
    struct host changed = *host;
    changed.used.vcpus += delta->vcpus;
    changed.used.memory_mib += delta->memory_mib;
    changed.used.disk_gib += delta->disk_gib;
    changed.instances += instances;
    replace(hosts, slot_of(hosts, node_key), &changed);
}

static struct placement_host view(const struct host *host)
{
    return (struct placement_host){.name = host->name,
                                   .free = free_of(host),
                                   .schedulable = host->schedulable,
                                   .reported = host->reported,
                                   .silent = host->silent};
}

static int refuse(const struct hosts *hosts, const struct sizes *need, struct err *err)
{
    autofree struct placement_host *views = xcalloc(hosts->count + 1, sizeof(*views));
    size_t count = 0;
    for (size_t i = 0; i < hosts->count; i++) {
        if (hosts->items[i].key)
            views[count++] = view(&hosts->items[i]);
    }
    return placement_refuse(views, count, need, err);
}

int hosts_place(struct hosts *hosts, const struct sizes *need, const struct host **ret_host,
                struct err *err)
{
    size_t slot;
    if (!placement_choose(hosts->placement, need, &slot))
        return refuse(hosts, need, err);
    *ret_host = &hosts->items[slot];
    return 0;
}

void hosts_set_aside(struct hosts *hosts, int64_t node_key)
{
    size_t slot = slot_of(hosts, node_key);
    hosts->set_aside = true;
    placement_set(hosts->placement, slot, NULL, &hosts->items[slot].capacity);
}

void hosts_put_back(struct hosts *hosts)
{
    for (size_t i = 0; hosts->set_aside && i < hosts->count; i++)
        refresh(hosts, i);
    hosts->set_aside = false;
}

int hosts_room(struct hosts *hosts, int64_t node_key, const struct sizes *more, struct err *err)
{
    const struct host *host = hosts_find(hosts, node_key);
    if (!host)
        return err_set(err, ERR_CONFLICT, "the instance's node is not there any more");
    struct placement_host seen = view(host);
    /* The instance is there already: only amounts count, and only those that grow. */
    seen.schedulable = seen.reported = true;
    seen.silent = false;
    struct sizes need = {.vcpus = more->vcpus > 0 ? more->vcpus : INT32_MIN,
                         .memory_mib = more->memory_mib > 0 ? more->memory_mib : INT32_MIN,
                         .disk_gib = more->disk_gib > 0 ? more->disk_gib : INT32_MIN};
    int64_t needed, free_amount;
    if (placement_judge(&seen, &need, &needed, &free_amount) == RULE_NONE)
        return 0;
    need = (struct sizes){.vcpus = more->vcpus > 0 ? more->vcpus : 0,
                          .memory_mib = more->memory_mib > 0 ? more->memory_mib : 0,
                          .disk_gib = more->disk_gib > 0 ? more->disk_gib : 0};
    placement_refuse(&seen, 1, &need, err);
    return err_context(err, "it would need more on its node");
}

/* ---- numbers ---- */

int64_t hosts_uid_lowest(const struct hosts *hosts)
{
    return numbers_lowest(&hosts->uids);
}

const struct numbers *hosts_uids(const struct hosts *hosts)
{
    return &hosts->uids;
}

void hosts_uid_set(struct hosts *hosts, int64_t uid, bool taken)
{
    struct change *change = note(hosts, CHANGE_UID, 0);
    change->number = uid;
    change->taken = numbers_set(&hosts->uids, uid, taken);
}

const struct hosts_network *hosts_network_default(const struct hosts *hosts)
{
    return hosts->network_count ? &hosts->networks[0] : NULL;
}

const struct hosts_network *hosts_network_find(const struct hosts *hosts, int64_t network_key)
{
    for (size_t i = 0; i < hosts->network_count; i++) {
        if (hosts->networks[i].key == network_key)
            return &hosts->networks[i];
    }
    return NULL;
}

const struct hosts_network *hosts_network_of(const struct hosts *hosts, int64_t number)
{
    for (size_t i = 0; i < hosts->network_count; i++) {
        if (numbers_inside(&hosts->networks[i].numbers, number))
            return &hosts->networks[i];
    }
    return NULL;
}

void hosts_network_add(struct hosts *hosts, int64_t key, const char *id, const char *name,
                       int64_t first, int64_t last)
{
    size_t count = hosts->network_count + 1;
    hosts->networks = xrealloc(hosts->networks, count * sizeof(*hosts->networks));
    struct hosts_network *network = &hosts->networks[hosts->network_count++];
    *network = (struct hosts_network){.key = key};
    snprintf(network->id, sizeof(network->id), "%s", id);
    snprintf(network->name, sizeof(network->name), "%s", name);
    numbers_init(&network->numbers, first, last);
}

void hosts_address_set(struct hosts *hosts, int64_t network_key, int64_t number, bool taken)
{
    for (size_t i = 0; i < hosts->network_count; i++) {
        if (hosts->networks[i].key != network_key)
            continue;
        struct change *change = note(hosts, CHANGE_ADDRESS, i);
        change->number = number;
        change->taken = numbers_set(&hosts->networks[i].numbers, number, taken);
    }
}
