/* Verification: everything that was sealed, worked out again from the evidence alone. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_VERIFY_H
#define MINICLOUD_CONTROLLER_LEDGER_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "api/id.h"

struct db;
struct err;

struct ledger_verdict {
    int64_t seals, segments, observations, sealed_ms;
    char chain[SHA256_TEXT_MAX]; /* of the last seal: who keeps it elsewhere can prove the rest */
    /* The first thing that is not as it must be, by table, row and column; "": all is. */
    char difference[512];
};

/* Checks the chains of observations, segments and seals, then makes every seal again in memory
 * from the evidence that it knew, and compares each row with what is stored. Reads one state of
 * the database throughout. -1 only when it could not be read; a difference is no error. */
int ledger_verify(struct db *db, struct ledger_verdict *ret_verdict, struct err *err);

#endif
