/* How long things are kept that nobody deletes: the revision log for watchers, and the
 * answers kept for Idempotency-Key. */
#ifndef MINICLOUD_CONTROLLER_RETENTION_H
#define MINICLOUD_CONTROLLER_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct tx;

/* Deletes a bounded number of what is past its time. *ret_more: there is more to do. */
int retention_prune(struct tx *tx, int64_t event_keep, bool *ret_more, struct err *err);

#endif
