/* The evidence log: rows of `observation`, chained, and what is read back from them. Only
 * appended to; what the bill says follows from these rows alone (usage_fold.h). */
#ifndef MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_EVIDENCE_H
#define MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/node_protocol.h"
#include "controller/ledger/segment/usage_fold.h"

struct db;
struct err;
struct host;
struct tx;

/* What a host observed; flavor_key: which flavor its sizes are of, 0: none. 1: new; 0: a
 * repeat; -1. */
int evidence_add(struct tx *tx, int64_t node_key, const struct observation *observation,
                 int64_t flavor_key, struct err *err);

/* What the controller itself witnessed of a host (node_key 0: of its own machine). */
struct witnessed {
    int kind; /* enum observation_kind */
    int64_t node_key;
    const char *boot_id;
    int64_t boot_order;      /* booted, and of our own machine; 0: not known */
    const char *resource_id; /* "": of the whole host */
    int64_t run;
    bool noticed;
    int64_t boottime_ms, wall_ms;
    int64_t vcpus, memory_mib, disk_gib, flavor_key, bytes;
};
int evidence_witness(struct tx *tx, const struct witnessed *witnessed, struct err *err);
/* The host vouched for all of it when its last report came: to be written down before a newer
 * boot or process takes its place, when it falls silent, and before a seal. */
int evidence_host_seen(struct tx *tx, const struct host *host, struct err *err);
/* The same of our own machine, now. */
int evidence_own_seen(struct tx *tx, struct err *err);
/* A boot reports for the first time: whatever its rows say of its order, this holds. */
int evidence_booted(struct tx *tx, int64_t node_key, const struct node_report *report,
                    int64_t boot_order, struct err *err);
/* Now in the host's time, by the last pair of clocks; -1. */
int64_t evidence_host_now(struct tx *tx, const struct host *host, struct err *err);
/* Delete was accepted now: mapped to the host's time by the last pair of clocks. */
int evidence_deleted(struct tx *tx, const struct host *host, const char *resource_id,
                     struct err *err);

/* Runs of this boot that were started and not stopped, as far as the log knows, have ended by now,
 * all but the one that runs by the report. Should word of when come later, that counts. */
int evidence_ended(struct tx *tx, int64_t node_key, const struct node_report *report,
                   const struct observed_instance *seen, struct err *err);
/* A price is on these terms from now on (price_terms()). */
int evidence_priced(struct tx *tx, const char *price_id, int64_t terms, struct err *err);
/* Our own machine has, or no longer has, so many bytes of it. */
int evidence_image(struct tx *tx, const char *image_id, int kind, int64_t bytes, struct err *err);

/* The hash that a row carries: of the row before and of all its columns. */
struct evidence_row {
    struct observation o; /* texts borrowed */
    int64_t key, node_key, flavor_key, bytes, received_ms;
};
void evidence_chain(const uint8_t before[SHA256_BYTES], const struct evidence_row *row,
                    uint8_t ret_chain[SHA256_BYTES]);

/* Key and chain of the newest row; 0 and zeroes when there is none. */
int evidence_head(struct db *db, int64_t *ret_key, uint8_t ret_chain[SHA256_BYTES],
                  struct err *err);

/* ---- as of a moment ---- */

/* Which boots are known to vouch up to a moment that no row speaks of yet. NULL: none. */
typedef bool boot_vouches(void *ctx, int64_t node_key, const char *boot_id);

/* The log up to one row; keeps the boots that it has met. */
struct evidence;
struct evidence *evidence_at(struct db *db, int64_t observation_key, int64_t until_ms,
                             boot_vouches *vouches, void *ctx);
void evidence_free(struct evidence *evidence);
/* The same, going on from an earlier view, which must outlive it: so what has come since then
 * suffices. news_key: of earlier rows it is known that they speak of time before until_ms. */
struct evidence *evidence_after(struct evidence *before, int64_t observation_key, int64_t until_ms,
                                int64_t news_key, boot_vouches *vouches, void *ctx);
/* Takes over what is still true of the earlier view, and frees that one. Of each boot that
 * anything has come of since it must have been asked before. */
void evidence_settle(struct evidence *evidence);

/* The same view as of a later row, read by another connection; takes `kept` over. NULL: -1. */
struct evidence *evidence_go_on(struct evidence *kept, struct db *db, int64_t observation_key,
                                struct err *err);
int64_t evidence_key(const struct evidence *evidence);
/* Lines and order are known from a view of the same row, which must outlive this one. */
void evidence_lines_from(struct evidence *evidence, struct evidence *lines);

/* Its line and when it vouched. Borrowed; NULL on failure. */
const struct boot *evidence_boot(struct evidence *evidence, int64_t node_key, const char *boot_id,
                                 struct err *err);
/* Whether its line or its order is another one than in the view before. */
bool evidence_moved(const struct boot *boot);
/* Facts about one resource, in an array that the caller frees. Counted ones are not among them. */
int evidence_facts(struct evidence *evidence, const char *resource_id, struct fact **ret_facts,
                   size_t *ret_count, struct err *err);
/* Appends samples of its counters, in order: of one boot, from `from_ms` of its boottime on and
 * the last one before. */
struct counts {
    struct count *items;
    size_t count, cap;
};
/* The newest sample of a boot before a moment of its boottime; INT64_MIN: there is none. */
int evidence_last_count(struct evidence *evidence, const char *resource_id, const struct boot *boot,
                        int64_t before_ms, int64_t *ret_ms, struct err *err);
int evidence_counts(struct evidence *evidence, const char *resource_id, const struct boot *boot,
                    int64_t from_ms, struct counts *counts, struct err *err);

#endif
