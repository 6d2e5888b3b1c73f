/* Sealed months in memory, row by row, so that a bill need not be read from the database
 * each time it is asked for. What is kept is a copy of rows that nobody can change; rows that
 * speak of such a month later on (corrections) are added before it is used again. Whoever
 * verifies reads the rows themselves. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_MONTHS_H
#define MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_MONTHS_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/ledger/book/ledger.h"

struct ledger_months;
struct ledger_months *ledger_months_new(void);
void ledger_months_free(struct ledger_months *months);

/* The rows that start in the month, of one project or (0) of all, as of the moment; those of
 * one resource and kind stand together, in the order of their start. 1: done; 0: that month is not
 * sealed whole, too long to be kept, or neither kept nor to be (`load`): read the rows; -1. */
int ledger_months_read(struct ledger_months *months, struct db *db,
                       const struct ledger_moment *moment, int64_t month_ms, int64_t project_key,
                       bool load, segment_each *each, void *ctx, struct err *err);
/* Lets go of what was not asked for lately. */
void ledger_months_tidy(struct ledger_months *months);

#endif
