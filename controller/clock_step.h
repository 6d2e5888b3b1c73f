/* Clocks that have left their lines of time. A boot has one line from its CLOCK_BOOTTIME to UTC,
 * which no setting of its wall clock moves; but when the two part by more than CLOCK_STEP_MS, one
 * of them is wrong about the hour. Then sealing is held up until an operator has said what holds.
 */
#ifndef MINICLOUD_CONTROLLER_CLOCK_STEP_H
#define MINICLOUD_CONTROLLER_CLOCK_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/hosts.h"

struct db;
struct err;
struct evidence;
struct tx;
struct vouchers;

enum { CLOCK_STEP_MS = 5000 };
/* Who was away for longer than this may have come back with a wrong clock, which would seal
 * the future for good: sealing waits to be told. */
enum { CLOCK_AWAY_DAYS = 7 };

struct clock_held {
    int64_t node_key; /* 0: our own */
    char boot_id[HOST_WORD_MAX];
    int64_t step_ms;  /* how far; positive: its clock is ahead */
    bool against_own; /* its line differs from ours; else its clock from its line */
};
/* 1: there is one; 0: none. Steps that were confirmed do not count; one that was noted does,
 * whatever became of that clock since. */
int clock_held(struct vouchers *vouchers, struct db *db, struct evidence *evidence,
               struct clock_held *ret_held, struct err *err);
/* So that a hold outlives its host's silence, its reboot and our own restart. */
int clock_note_held(struct tx *tx, const struct clock_held *held, struct err *err);

/* What an operator can say of a boot. */
enum clock_word {
    CLOCK_KEEP,       /* the line as it is */
    CLOCK_TAKE,       /* the clock as it shows now, for the whole of the boot */
    CLOCK_CONTROLLER, /* our own time, for the whole of the boot */
};
extern const char *const clock_word_names[]; /* "keep","take","controller",NULL */

struct clock_verdict {
    int64_t node_key;    /* 0: our own clock, of which nobody's is better */
    const char *boot_id; /* NULL: the one that is held, else the present one */
    int word;            /* enum clock_word */
};
/* ERR_CONFLICT when there is nothing to be confirmed, or a clock would have to be read that cannot
 * be read now; ERR_INVALID of "boot" or "clock". */
int clock_confirm(struct vouchers *vouchers, struct tx *tx, const struct clock_verdict *verdict,
                  struct err *err);

#endif
