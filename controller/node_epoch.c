/* A controller that meets something of its own epoch which it never wrote runs on a copy from
 * the past: a new epoch begins, and the hosts' facts are taken over. */
#include <string.h>

#include "api/err.h"
#include "api/log.h"
#include "controller/hosts.h"
#include "controller/meta.h"
#include "controller/node.h"
#include "controller/store_instance.h"
#include "controller/store_node.h"
#include "controller/writer.h"

/* Every agent must look: it sees another epoch and asks for everything. */
static int64_t wake_all(struct tx *tx)
{
    int64_t revision = 0;
    for (size_t i = 0; i < hosts_count(tx->hosts); i++) {
        const struct host *host = hosts_at(tx->hosts, i);
        if (host)
            revision = tx_event(tx, &(struct event_row){.node_key = host->key,
                                                        .kind = "node",
                                                        .id = host->id,
                                                        .name = host->name,
                                                        .what = "epoch"});
    }
    return revision;
}

static int mint(struct observing *o, const char *proof, struct err *err)
{
    if (epoch_mint(o->tx, o->epoch, err) != 0)
        return -1;
    log_warn("epoch.minted",
             "epoch=%s node=%lld reason=\"this database is a copy from the past: %s\"", o->epoch,
             (long long)o->node_key, proof);
    o->same_epoch = false;
    o->wrote = true;
    return store_instance_adopt_all(o->tx->db, wake_all(o->tx), err);
}

/* A domain's metadata outlive what the agent remembers of revisions. Rows are never deleted,
 * and their generations only grow: what a host has beyond them is of a later history. */
static int proves_restore(struct observing *o, const struct observed_instance *seen,
                          const char **ret_proof, struct err *err)
{
    int64_t generation;
    if (!seen->epoch || strcmp(seen->epoch, o->epoch) != 0 || seen->state >= STATE_ABSENT)
        return 0;
    int found = store_instance_generation(o->tx->db, seen->id, &generation, err);
    if (found == 0)
        *ret_proof = "a host has an instance of this epoch that it does not know";
    else if (found == 1 && seen->generation > generation)
        *ret_proof = "a host has a later generation of an instance";
    return found < 0 ? -1 : 0;
}

int node_look_for_restore(struct observing *o, struct err *err)
{
    const struct node_report *report = o->report;
    const struct observed_instance *items = report->instances.items;
    const char *proof = NULL;
    int foreign =
        o->same_epoch ? revision_foreign(o->tx->db, report->revision, report->mark, err) : 0;
    if (foreign < 0)
        return -1;
    if (foreign)
        proof = "a host has seen revisions that it never wrote";
    for (size_t i = 0; i < report->instances.count && !proof; i++) {
        if (proves_restore(o, &items[i], &proof, err) != 0)
            return -1;
    }
    return proof ? mint(o, proof, err) : 0;
}
