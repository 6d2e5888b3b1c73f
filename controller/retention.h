/* How long things are kept that nobody deletes: the revision log for watchers, the answers
 * kept for Idempotency-Key, the audit, and operations that have ended. */
#ifndef MINICLOUD_CONTROLLER_RETENTION_H
#define MINICLOUD_CONTROLLER_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct tx;

struct retention {
    int64_t events;   /* revisions, 0: all */
    int64_t audit_ms; /* 0: all of the audit */
};
/* Deletes a bounded number of what is past its time. *ret_more: there is more to do. */
int retention_prune(struct tx *tx, const struct retention *keep, bool *ret_more, struct err *err);

#endif
