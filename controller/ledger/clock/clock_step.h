/* Clocks that have left their lines of time. A boot has one line from its CLOCK_BOOTTIME to UTC,
 * which no setting of its wall clock moves; but when the two part by more than CLOCK_STEP_MS, one
 * of them is wrong about the hour. Then sealing is held up until an operator has said what holds
 * (clock_confirm.h).
 */
#ifndef MINICLOUD_CONTROLLER_LEDGER_CLOCK_CLOCK_STEP_H
#define MINICLOUD_CONTROLLER_LEDGER_CLOCK_CLOCK_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/ledger/clock/clock_hold.h"

struct db;
struct err;
struct evidence;
struct observation;
struct tx;
struct voucher;
struct vouchers;

enum { CLOCK_STEP_MS = 5000 };
/* Who was away for longer than this may have come back with a wrong clock, which would seal
 * the future for good: sealing waits to be told. */
enum { CLOCK_AWAY_DAYS = 7 };

struct clock_held {
    int64_t count;            /* of clocks that are off */
    struct clock_hold oldest; /* what was found first */
};
/* 1: there are some; 0: none; -1. Those that are noted, whatever became of the clock since, and
 * those found now. What was confirmed does not count. */
int clock_held(struct vouchers *vouchers, struct db *db, struct evidence *evidence,
               struct clock_held *ret_held, struct err *err);
/* The same, and notes all that is found now, so that a hold outlives its host's silence, its
 * reboot and our own restart. */
int clock_held_note(struct vouchers *vouchers, struct tx *tx, struct evidence *evidence,
                    struct clock_held *ret_held, struct err *err);
/* New evidence that by its boot's line lies in the future notes a hold of that boot: it may be
 * over without ever having been heard from. */
int clock_note_ahead(struct tx *tx, int64_t node_key, const struct observation *observation,
                     struct err *err);

/* ---- for clock_confirm.c ---- */

/* How far a clock is from its line, and that line from ours. */
struct clock_steps {
    int64_t node_key; /* 0: our own machine */
    char boot_id[HOST_WORD_MAX];
    int64_t step_ms, line_ms;
};
/* A boot of which there is no evidence has no line, and nothing to hold up: zeroes. */
int clock_steps_of(struct vouchers *vouchers, struct evidence *evidence,
                   const struct voucher *voucher, struct clock_steps *ret_steps, struct err *err);
void clock_steps_own(struct vouchers *vouchers, struct clock_steps *ret_steps);

#endif
