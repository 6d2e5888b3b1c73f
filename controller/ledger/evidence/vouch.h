/* Who vouches for what at present: the last pair of clocks of each host that is heard from, and
 * our own line of time. In memory, for those who ask what was used until now; what counts in
 * the end is written to the evidence log.
 *
 * Our own line is fixed at the first start within a boot, so that setting the wall clock
 * moves nothing (clock_step.h). Thread-safe. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_VOUCH_H
#define MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_VOUCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/placement/hosts.h"

struct db;
struct err;
struct tx;

/* Of one host at its last report. */
struct voucher {
    int64_t node_key;
    char boot_id[HOST_WORD_MAX];
    int64_t vouched_ms;          /* by its CLOCK_BOOTTIME: all that ended before has been told */
    int64_t boottime_ms, own_ms; /* its clock and ours when the report came */
    int64_t wall_ms;             /* its wall clock then */
};

struct vouchers;
struct vouch_sets;
struct vouchers *vouchers_new(void);
void vouchers_free(struct vouchers *vouchers);
/* Our own line: as it was, if the machine still runs in the boot in which it was fixed. */
int vouchers_load(struct vouchers *vouchers, struct db *db, struct err *err);
int vouchers_keep(struct vouchers *vouchers, struct tx *tx, struct err *err);
/* Another line for our own boot, from the commit on. */
int vouchers_take_line(struct vouchers *vouchers, struct tx *tx, int64_t line_ms, struct err *err);

/* The place of our own boot in the order of boots (struct observation). */
int64_t vouchers_boot_order(struct vouchers *vouchers);
/* Our own line, and UTC now by it. */
int64_t vouchers_line(struct vouchers *vouchers);
int64_t vouchers_now(struct vouchers *vouchers);
/* UTC by our own line, for what bills depend on; the wall clock where there is no line. */
int64_t tx_utc(const struct tx *tx);

void vouchers_heard(struct vouchers *vouchers, const struct voucher *voucher);
void vouchers_lost(struct vouchers *vouchers, int64_t node_key);
/* 1: copied; 0: it is not heard from. */
bool vouchers_find(struct vouchers *vouchers, int64_t node_key, struct voucher *ret_voucher);
/* Who vouched for the moments of answers. */
struct vouch_sets *vouchers_sets(struct vouchers *vouchers);
/* Owned by the caller. */
struct voucher *vouchers_all(struct vouchers *vouchers, size_t *ret_count);

#endif
