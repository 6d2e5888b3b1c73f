/* How long things are kept that nobody deletes: the revision log for watchers, the answers
 * kept for Idempotency-Key, the audit, operations that have ended, and what was deleted.
 *
 * Of what was deleted that stays which bills and proofs look up (schema.c), and all that was
 * written of its use. Nodes, flavors, networks, prices and projects, which operators alone make,
 * stay: bills name them. The pages that become free are used again: the file does not grow, nor
 * does it shrink. */
#ifndef MINICLOUD_CONTROLLER_TX_RETENTION_H
#define MINICLOUD_CONTROLLER_TX_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct tx;

struct retention {
    int64_t events;     /* revisions, 0: all */
    int64_t audit_ms;   /* 0: all of the audit */
    int64_t deleted_ms; /* since it is gone; 0: all that was deleted */
};
/* Deletes a bounded number of what is past its time. *ret_more: there is more to do. */
int retention_prune(struct tx *tx, const struct retention *keep, bool *ret_more, struct err *err);

#endif
