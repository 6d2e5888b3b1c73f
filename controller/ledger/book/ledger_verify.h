/* Verification: what was sealed, worked out again from the evidence alone. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_VERIFY_H
#define MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/id.h"

struct db;
struct err;

/* Which part of it: from behind a seal until the time is used up, but at least one seal. */
struct ledger_part {
    const uint8_t *after; /* the hash of that seal; NULL, or zeroes: from the beginning */
    int64_t budget_ms;
};

struct ledger_verdict {
    int64_t seals, segments, observations; /* of this part */
    bool more;                             /* seals are left: go on after `chain` */
    /* Of the last seal that was verified: who keeps it elsewhere can prove the rest. */
    int64_t sealed_ms;
    char chain[SHA256_TEXT_MAX];
    /* The first thing that is not as it must be, by table, row and column; "": all is. */
    char difference[512];
};

/* Seal by seal: checks the chains of observations, segments and seals, makes the seal again from
 * the evidence that it knew and from the rows before it, and compares each row with what is
 * stored. What the seal carries that it begins after is checked; rows before that are taken as
 * they are. Behind the last seal: that nothing is there which no seal speaks of, and that the
 * evidence goes on as it must. Reads one state of the database throughout.
 *
 * -1 only when it could not be read, or (ERR_FIELD) no seal has this hash; a difference is no
 * error. */
int ledger_verify(struct db *db, const struct ledger_part *part, struct ledger_verdict *ret_verdict,
                  struct err *err);

#endif
