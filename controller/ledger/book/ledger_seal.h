/* Sealing: the watermark moves, and what follows from the evidence is written down for good. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_SEAL_H
#define MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_SEAL_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct tx;
struct vouchers;

/* Seals up to a moment, from all the evidence that is there. Nothing when that was sealed
 * already. */
int ledger_seal(struct tx *tx, int64_t until_ms, struct err *err);

/* Seals the next full hour (the first time: all of them) that ended `delay_ms` ago or more, if
 * every host that is heard from has vouched for it and no clock has stepped. 1: sealed; 0: not yet;
 * -1. */
int ledger_seal_due(struct tx *tx, struct vouchers *vouchers, int64_t delay_ms, struct err *err);

#endif
