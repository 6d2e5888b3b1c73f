/* Databases from the past. A controller that meets something of its own epoch which it never
 * wrote runs on a copy: a new epoch begins, and facts are taken over from the hosts.
 *
 * Whose facts? A host that proves it, by our own signature (marks.h), or an operator that says
 * so, speaks for all of them. The bare word of a host (a revision or an epoch without a
 * signature, metadata of domains) is believed for its own share: that node gets an epoch of its
 * own, and its instances are adopted, at most once in NODE_EPOCH_SECONDS. Each host of a copy
 * whose key was lost says so for itself, one after the other. */
#include <stdio.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "controller/instance/store_instance.h"
#include "controller/node/marks.h"
#include "controller/node/node.h"
#include "controller/placement/hosts.h"
#include "controller/placement/store_node.h"
#include "controller/tx/meta.h"
#include "controller/tx/writer.h"

/* Its agent must look: it sees another epoch and asks for everything. */
static int64_t wake(struct tx *tx, const struct host *host)
{
    return tx_event(tx, &(struct event_row){.node_key = host->key,
                                            .kind = "node",
                                            .id = host->id,
                                            .name = host->name,
                                            .what = "epoch"});
}

int epoch_begin(struct tx *tx, const char *after, char epoch[ID_TEXT_MAX], struct err *err)
{
    int64_t revision = 0;
    if (epoch_mint(tx, after, epoch, err) != 0)
        return -1;
    for (size_t i = 0; i < hosts_count(tx->hosts); i++) {
        const struct host *host = hosts_at(tx->hosts, i);
        if (host)
            revision = wake(tx, host);
    }
    return store_instance_adopt_all(tx->db, 0, revision, err);
}

static int begin_for_all(struct observing *o, const char *proof, struct err *err)
{
    if (epoch_begin(o->tx, o->report->epoch, o->epoch, err) != 0)
        return -1;
    log_warn("epoch.minted",
             "epoch=%s node_key=%lld reason=\"this database is a copy from the past: %s\"",
             o->epoch, (long long)o->node_key, proof);
    o->same_epoch = false;
    o->wrote = true;
    return 0;
}

/* false: this node has begun an epoch a moment ago. */
static bool may_begin(struct observing *o)
{
    struct host host = *hosts_find(o->tx->hosts, o->node_key);
    int64_t now = clock_boottime_ms();
    if (host.epoch_own_ms && now - host.epoch_own_ms < NODE_EPOCH_SECONDS * 1000LL)
        return false;
    host.epoch_own_ms = now;
    hosts_put(o->tx->hosts, &host);
    return true;
}

/* What it says is of another history; until it may speak of that again, nothing of what it says
 * compares with ours. */
static int begin_for_one(struct observing *o, const char *claim, struct err *err)
{
    o->same_epoch = false;
    if (!may_begin(o)) {
        observing_refuse(o, "", "it has begun an epoch of its own a moment ago");
        return 0;
    }
    if (epoch_mint_of_node(o->tx, o->node_key, o->epoch, err) != 0)
        return -1;
    const struct host *host = hosts_find(o->tx->hosts, o->node_key);
    log_warn("epoch.node",
             "epoch=%s node=%s reason=\"%s, and cannot prove it: believed for its own instances "
             "only; if this database is a copy from the past, say so for all: cloudctl system "
             "restored\"",
             o->epoch, host->name, claim);
    o->wrote = true;
    return store_instance_adopt_all(o->tx->db, o->node_key, wake(o->tx, host), err);
}

/* A domain's metadata outlive what the agent remembers of revisions. What has gone is remembered,
 * and their generations only grow: what a host has beyond them is of a later history. */
static int claims_later(struct observing *o, const struct observed_instance *seen,
                        const char **ret_claim, struct err *err)
{
    int64_t generation;
    if (!seen->epoch || strcmp(seen->epoch, o->epoch) != 0 || seen->state >= STATE_ABSENT)
        return 0;
    int found = store_instance_generation(o->tx->db, seen->id, &generation, err);
    if (found == 0)
        *ret_claim = "it has an instance of this epoch that the database does not know";
    else if (found == 1 && seen->generation > generation)
        *ret_claim = "it has a later generation of an instance";
    return found < 0 ? -1 : 0;
}

int node_look_for_restore(struct observing *o, struct err *err)
{
    const struct node_report *report = o->report;
    const struct observed_instance *items = report->instances.items;
    const char *claim = NULL;
    enum claim worth;
    if (marks_judge(o->tx->marks, o->tx->db, o->epoch, report, &worth, err) != 0)
        return -1;
    if (worth == CLAIM_PROVEN)
        return begin_for_all(o, "a host was told of revisions that it does not have", err);
    if (worth == CLAIM_UNPROVEN)
        claim = "it has seen revisions that the database does not have";
    for (size_t i = 0; i < report->instances.count && !claim; i++) {
        if (claims_later(o, &items[i], &claim, err) != 0)
            return -1;
    }
    return claim ? begin_for_one(o, claim, err) : 0;
}
