/* A controller that meets a revision of its own epoch which it never wrote runs on a copy
 * from the past: a new epoch begins, and the hosts' facts are taken over. */
#include "api/err.h"
#include "api/log.h"
#include "controller/hosts.h"
#include "controller/meta.h"
#include "controller/node.h"
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

int node_mint_epoch(struct observing *o, struct err *err)
{
    if (epoch_mint(o->tx, o->epoch, err) != 0)
        return -1;
    log_warn("epoch.minted",
             "epoch=%s node=%lld reason=\"a host has seen a later revision than "
             "this database: it is a copy from the past\"",
             o->epoch, (long long)o->node_key);
    o->same_epoch = false;
    o->wrote = true;
    return store_instance_adopt_all(o->tx->db, wake_all(o->tx), err);
}
