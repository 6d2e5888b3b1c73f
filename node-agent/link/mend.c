/* Puts back what somebody outside took from under the guests: the networks' rules, and
 * networks that were stopped or removed. At each listing of the host. */
#include "node-agent/link/mend.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/host/host.h"
#include "node-agent/instance/registry.h"

struct entry {
    char *mac, *address;
};

/* The DHCP entries that a network should have. */
struct entries {
    const char *network;
    struct entry *items;
    size_t count;
};

static void collect_entries(void *ctx, struct instance *instance)
{
    struct entries *entries = ctx;
    const struct desired_instance *d = instance->desired ? &instance->desired->value : NULL;
    const struct desired_interface *nics = d ? d->interfaces.items : NULL;
    if (!d || d->deleted || d->adopt)
        return;
    for (size_t i = 0; i < d->interfaces.count; i++) {
        const struct desired_interface *nic = &nics[i];
        if (!nic->network || !nic->mac || !nic->address ||
            strcmp(nic->network, entries->network) != 0)
            continue;
        entries->items = xrealloc(entries->items, (entries->count + 1) * sizeof *entries->items);
        entries->items[entries->count++] =
            (struct entry){.mac = xstrdup(nic->mac), .address = xstrdup(nic->address)};
    }
}

static int put_back(struct agent *agent, void *host, const struct desired_network *network,
                    struct err *err)
{
    struct entries entries = {.network = network->id};
    int r = 0;
    pthread_mutex_lock(&agent->lock);
    registry_each(agent, collect_entries, &entries);
    pthread_mutex_unlock(&agent->lock);
    if (entries.count > 0)
        log_warn("network.gone", "id=%s entries=%zu action=\"putting it back\"", network->id,
                 entries.count);
    for (size_t i = 0; i < entries.count; i++) {
        if (r == 0)
            r = agent->ops->network_ensure(host, network, entries.items[i].mac,
                                           entries.items[i].address, err);
        free(entries.items[i].mac);
        free(entries.items[i].address);
    }
    free(entries.items);
    return r;
}

/* The networks that we were told of, by id. */
static char **network_ids(struct agent *agent, size_t *ret_count)
{
    pthread_mutex_lock(&agent->lock);
    char **ids = xcalloc(agent->network_count + 1, sizeof *ids);
    for (size_t i = 0; i < agent->network_count; i++)
        ids[i] = xstrdup(agent->networks[i].id);
    *ret_count = agent->network_count;
    pthread_mutex_unlock(&agent->lock);
    return ids;
}

static int mend_one(struct agent *agent, void *host, const char *id, struct err *err)
{
    struct desired_network network = {0};
    bool active = false;
    if (agent->ops->network_active(host, id, &active, err))
        return -1;
    if (active || !registry_network(agent, id, &network))
        return 0;
    int r = put_back(agent, host, &network, err);
    network_release(&network);
    return r;
}

void mend_networks(struct agent *agent, void *host)
{
    size_t count;
    char **ids = network_ids(agent, &count);
    for (size_t i = 0; i < count; i++) {
        auto_err struct err err = {0};
        if (mend_one(agent, host, ids[i], &err))
            log_warn("network.mend", "id=%s error=\"%s\"", ids[i], err.msg);
        free(ids[i]);
    }
    free(ids);
}

void mend_rules(struct agent *agent)
{
    auto_err struct err err = {0};
    pthread_mutex_lock(&agent->lock);
    bool any = agent->network_count > 0;
    pthread_mutex_unlock(&agent->lock);
    if (any && registry_nat_again(agent, &err))
        log_warn("network.rules", "error=\"%s\"", err.msg);
}
