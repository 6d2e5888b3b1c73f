/* Who vouched for a moment: the boots whose word was taken for what no row says yet. A moment
 * (ledger.h) names the set by a number that follows from what is in it, so all pages of an answer
 * take the word of the same hosts, whoever falls silent or comes back meanwhile. Which hosts vouch
 * changes seldom, so sets are few; the ones that were asked for last are kept. Thread-safe. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_VOUCH_SET_H
#define MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_VOUCH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/placement/hosts.h"

struct vouched {
    int64_t node_key; /* 0: the controller's own machine */
    char boot_id[HOST_WORD_MAX];
};
struct vouch_set;
struct vouch_sets;

struct vouch_sets *vouch_sets_new(void);
void vouch_sets_free(struct vouch_sets *sets);

/* Keeps a set of these, in any order, each node once at most: all vouched until then. Its number,
 * above 0. */
int64_t vouch_sets_put(struct vouch_sets *sets, const struct vouched *items, size_t count,
                       int64_t until_ms);
/* The set of a number that is known to have vouched so far, to be let go of by vouch_set_unref();
 * NULL: it is not kept (any more). */
const struct vouch_set *vouch_sets_get(struct vouch_sets *sets, int64_t number, int64_t until_ms);
void vouch_set_unref(const struct vouch_set *set);

bool vouch_set_has(const struct vouch_set *set, int64_t node_key, const char *boot_id);
/* All of it, in the order of their nodes. */
void vouch_set_each(const struct vouch_set *set,
                    void (*each)(void *ctx, int64_t node_key, const char *boot_id), void *ctx);

#endif
