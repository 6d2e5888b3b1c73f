/* Rows of clock_hold: each of a boot whose clock was found off, and what an operator accepted of
 * it. Knows nothing of how that is found out (clock_step.h). */
#ifndef MINICLOUD_CONTROLLER_LEDGER_CLOCK_CLOCK_HOLD_H
#define MINICLOUD_CONTROLLER_LEDGER_CLOCK_CLOCK_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/placement/hosts.h"

struct db;
struct err;
struct tx;

/* What a clock is off from. */
enum clock_against {
    CLOCK_ITS_LINE,  /* its own line of time: it was set */
    CLOCK_OUR_LINE,  /* the line lies elsewhere than the controller's own */
    CLOCK_LAST_SEAL, /* our own: so long ago that it may be wrong */
};

struct clock_hold {
    int64_t node_key; /* 0: our own machine */
    char boot_id[HOST_WORD_MAX];
    int64_t step_ms; /* how far; positive: ahead */
    int against;     /* enum clock_against */
    bool open;       /* it holds up sealing */
    /* What was accepted when it was closed: so far may the clock be off its line, and the line
     * off ours. */
    int64_t kept_step_ms, kept_line_ms;
};

/* Of one boot: 1; 0, all zeroes: there is none; -1. */
int clock_hold_find(struct db *db, int64_t node_key, const char *boot_id,
                    struct clock_hold *ret_hold, struct err *err);
/* Whether there is any, open or not: 1, 0, -1. */
int clock_hold_any(struct db *db, struct err *err);
/* The open one that was found first, of all machines or of one: 1, 0, -1. */
int clock_hold_oldest(struct db *db, struct clock_hold *ret_hold, struct err *err);
int clock_hold_oldest_of(struct db *db, int64_t node_key, struct clock_hold *ret_hold,
                         struct err *err);
/* How many are open. */
int clock_hold_count(struct db *db, int64_t *ret_count, struct err *err);

/* Opens it, anew if it was closed. */
int clock_hold_open(struct tx *tx, const struct clock_hold *hold, struct err *err);
/* Closes it at a moment of our own line, whether it was open or not. */
int clock_hold_close(struct tx *tx, const struct clock_hold *hold, int64_t at_ms, struct err *err);
/* All that are open of our own machine. */
int clock_hold_close_own(struct tx *tx, int64_t at_ms, struct err *err);
/* When one of our own machine was closed last by this time, in UTC by our line; 0: never. One that
 * lies behind it was closed while our clock was wrong. */
int clock_hold_own_closed(struct db *db, int64_t now_ms, int64_t *ret_ms, struct err *err);
/* Our own line has moved by so much: what is open against it is off by so much less, and within
 * `most_ms` not at all. */
int clock_hold_moved(struct tx *tx, int64_t by_ms, int64_t most_ms, struct err *err);

#endif
