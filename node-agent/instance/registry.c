/* The table of instances and networks. */
#include "node-agent/instance/registry.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/evidence/spool.h"
#include "node-agent/host/nat.h"
#include "node-agent/instance/seed.h"

struct desired *desired_ref(struct desired *desired)
{
    if (desired)
        atomic_fetch_add(&desired->refs, 1);
    return desired;
}

void desired_unref(struct desired *desired)
{
    if (!desired || atomic_fetch_sub(&desired->refs, 1) != 1)
        return;
    wire_release(&desired_instance_wire, &desired->value);
    free(desired);
}

static struct instance **bucket(struct agent *agent, const char *id)
{
    uint32_t hash = 2166136261u;
    for (; *id; id++)
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    return &agent->buckets[hash % BUCKETS];
}

struct instance *registry_find(struct agent *agent, const char *id)
{
    struct instance *instance = *bucket(agent, id);
    while (instance && strcmp(instance->id, id) != 0)
        instance = instance->next;
    return instance;
}

struct instance *registry_get(struct agent *agent, const char *id)
{
    struct instance *instance = registry_find(agent, id);
    if (instance)
        return instance;
    struct instance **head = bucket(agent, id);
    instance = xcalloc(1, sizeof *instance);
    text_copy(instance->id, sizeof instance->id, id);
    instance->next = *head;
    *head = instance;
    return instance;
}

void registry_each(struct agent *agent, void (*each)(void *ctx, struct instance *instance),
                   void *ctx)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct instance *instance = agent->buckets[i]; instance; instance = instance->next)
            each(ctx, instance);
    }
}

/* Gone for sure, told, and taken by the controller. */
static bool is_done(const struct instance *instance)
{
    const struct desired *desired = instance->desired;
    bool wanted = desired && (!desired->value.deleted || !instance->observed.converged);
    return !wanted && instance->seen && instance->observed.state == STATE_ABSENT &&
           instance->reported >= instance->changed && !instance->trouble.reason[0];
}

void registry_tidy(struct agent *agent)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct instance **at = &agent->buckets[i], *instance; (instance = *at);) {
            if (!is_done(instance) || !work_forget(agent->workers, &instance->work)) {
                at = &instance->next;
                continue;
            }
            *at = instance->next;
            desired_unref(instance->desired);
            free(instance);
        }
    }
}

/* ---- networks ---- */

void network_release(struct desired_network *network)
{
    free(network->id);
    free(network->name);
    free(network->cidr);
    free(network->gateway);
    memset(network, 0, sizeof *network);
}

static struct desired_network network_copy(const struct desired_network *network)
{
    struct desired_network copy = *network;
    copy.id = xstrdup(network->id);
    copy.name = xstrdup(network->name);
    copy.cidr = xstrdup(network->cidr);
    copy.gateway = xstrdup(network->gateway);
    return copy;
}

static struct desired_network *find_network(struct agent *agent, const char *id)
{
    for (size_t i = 0; i < agent->network_count; i++) {
        if (strcmp(agent->networks[i].id, id) == 0)
            return &agent->networks[i];
    }
    return NULL;
}

static void put_network(struct agent *agent, const struct desired_network *network)
{
    if (!network->id)
        return;
    struct desired_network *old = find_network(agent, network->id);
    if (old) {
        network_release(old);
    } else {
        agent->networks =
            xrealloc(agent->networks, (agent->network_count + 1) * sizeof *agent->networks);
        old = &agent->networks[agent->network_count++];
    }
    *old = network_copy(network);
}

bool registry_network(struct agent *agent, const char *id, struct desired_network *ret)
{
    pthread_mutex_lock(&agent->lock);
    const struct desired_network *network = find_network(agent, id);
    if (network)
        *ret = network_copy(network);
    pthread_mutex_unlock(&agent->lock);
    return network != NULL;
}

int registry_nat(struct agent *agent, struct err *err)
{
    auto_buf struct buf rules = {0};
    pthread_mutex_lock(&agent->nat_lock);
    pthread_mutex_lock(&agent->lock);
    nat_rules(agent->networks, agent->network_count, &rules);
    pthread_mutex_unlock(&agent->lock);
    int r = 0;
    if (!agent->nat || strcmp(agent->nat, rules.data) != 0) {
        r = nat_apply(rules.data, err);
        free(agent->nat);
        agent->nat = r == 0 ? buf_take(&rules) : NULL;
    }
    pthread_mutex_unlock(&agent->nat_lock);
    return r;
}

int registry_nat_again(struct agent *agent, struct err *err)
{
    pthread_mutex_lock(&agent->nat_lock);
    free(agent->nat);
    agent->nat = NULL;
    pthread_mutex_unlock(&agent->nat_lock);
    return registry_nat(agent, err);
}

/* ---- a page ---- */

/* Takes the row out of the page, which keeps zeroes. */
static struct desired *desired_take(const char *epoch, struct desired_instance *row)
{
    char digest[SHA256_TEXT_MAX];
    struct desired *desired = xcalloc(1, sizeof *desired);
    atomic_init(&desired->refs, 1);
    text_copy(desired->epoch, sizeof desired->epoch, epoch);
    desired->value = *row;
    memset(row, 0, sizeof *row);
    seed_digest(&desired->value, digest);
    volume_seed(desired->value.id, digest, desired->seed);
    return desired;
}

static void set_desired(struct agent *agent, struct instance *instance, struct desired *desired)
{
    if (!instance->desired || !desired ||
        instance->desired->value.generation != desired->value.generation ||
        strcmp(instance->desired->epoch, desired->epoch) != 0) {
        memset(&instance->trouble, 0, sizeof instance->trouble);
        instance->attempts = 0;
        instance->retry_at = 0;
    }
    desired_unref(instance->desired);
    instance->desired = desired;
    work_wake(agent->workers, &instance->work);
}

static int compare_ids(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Not in a full page: it is quarantined from now on, and by no means deleted. */
static void drop_others(struct agent *agent, const struct desired_page *page)
{
    const struct desired_instance *rows = page->instances.items;
    size_t n = page->instances.count;
    const char **ids = xcalloc(n + 1, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = rows[i].id;
    qsort(ids, n, sizeof *ids, compare_ids);
    for (size_t b = 0; b < BUCKETS; b++) {
        for (struct instance *i = agent->buckets[b]; i; i = i->next) {
            const char *id = i->id;
            if (bsearch(&id, ids, n, sizeof *ids, compare_ids))
                continue;
            if (i->desired || !agent->told)
                set_desired(agent, i, NULL);
        }
    }
    free(ids);
}

/* What an old epoch's controller was told the new one has not heard. */
static void owe(void *ctx, struct instance *instance)
{
    (void)ctx;
    instance->owed = true;
}

void registry_apply(struct agent *agent, struct desired_page *page)
{
    struct desired_instance *rows = page->instances.items;
    const struct desired_network *networks = page->networks.items;
    pthread_mutex_lock(&agent->lock);
    for (size_t i = 0; i < page->networks.count; i++)
        put_network(agent, &networks[i]);
    if (page->full)
        drop_others(agent, page);
    char before[EPOCH_MAX], ignored_mark[NODE_MARK_MAX + 1];
    int64_t ignored;
    text_copy(before, sizeof before, agent->epoch);
    if (!before[0])
        spool_noted(agent->spool, before, &ignored, ignored_mark); /* by our forerunner */
    if (strcmp(before, page->epoch) != 0) {
        log_info("sync.epoch", "epoch=%s before=%s", page->epoch, before[0] ? before : "none");
        registry_each(agent, owe, NULL);
    }
    text_copy(agent->epoch, sizeof agent->epoch, page->epoch);
    agent->revision = page->revision;
    text_copy(agent->mark, sizeof agent->mark, page->mark ? page->mark : "");
    agent->told = agent->told || page->full;
    for (size_t i = 0; i < page->instances.count; i++) {
        if (!id_valid(rows[i].id)) {
            log_warn("sync.bad_id", "id=\"%s\"", rows[i].id);
            continue;
        }
        struct desired *desired = desired_take(page->epoch, &rows[i]);
        set_desired(agent, registry_get(agent, desired->value.id), desired);
    }
    pthread_mutex_unlock(&agent->lock);
}

/* ---- what is reported ---- */

void registry_observe(struct agent *agent, struct instance *instance, const struct desired *desired,
                      const struct observed *observed)
{
    bool owed = instance->owed && instance->desired == desired;
    if (owed)
        instance->owed = false;
    if (instance->seen && !owed && memcmp(&instance->observed, observed, sizeof *observed) == 0)
        return;
    if (!instance->seen || instance->observed.state != observed->state)
        log_info("instance.state", "id=%s state=%s run=%lld cause=%s reason=\"%s\"", instance->id,
                 state_names[observed->state], (long long)observed->run,
                 cause_names[observed->cause], observed->reason);
    instance->observed = *observed;
    instance->seen = true;
    instance->changed = ++agent->changes;
    agent->report_wake(agent);
}
