/* Who vouches for what at present: the last pair of clocks of each host that is heard from, and
 * our own line of time. In memory, for those who ask what was used until now; what counts in
 * the end is written to the evidence log.
 *
 * Our own line is fixed at the first start within a boot, so that setting the wall clock
 * moves nothing. A clock that leaves its line by more than VOUCH_STEP_MS holds up sealing
 * until an operator has said which of both is right. Thread-safe. */
#ifndef MINICLOUD_CONTROLLER_VOUCH_H
#define MINICLOUD_CONTROLLER_VOUCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/hosts.h"

struct db;
struct err;
struct evidence;
struct tx;

enum { VOUCH_STEP_MS = 5000 };
/* Who was away for longer than this may have come back with a wrong clock, which would seal
 * the future for good: sealing waits to be told. */
enum { VOUCH_AWAY_DAYS = 7 };

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

/* A clock that has left its line, and nobody has said yet what holds. */
struct held {
    int64_t node_key; /* 0: our own */
    int64_t step_ms;  /* how far; positive: its clock is ahead */
    bool against_own; /* its line differs from ours; else its clock from its line */
};
/* 1: there is one; 0: none. Steps that were confirmed do not count; one that was noted does,
 * whatever became of that clock since. */
int vouchers_held(struct vouchers *vouchers, struct db *db, struct evidence *evidence,
                  struct held *ret_held, struct err *err);
/* So that a hold outlives its host's silence, its reboot and our own restart. */
int vouchers_note_held(struct tx *tx, const struct held *held, struct err *err);
/* An operator's word: `take` the clock as it is now for the whole of its boot, or keep the line.
 * ERR_CONFLICT when the host is not heard from (a noted step of it can be kept even then). */
int vouchers_confirm(struct vouchers *vouchers, struct tx *tx, int64_t node_key, bool take,
                     struct err *err);

#endif
