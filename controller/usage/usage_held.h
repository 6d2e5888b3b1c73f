/* What every answer about usage says beside its rows: whether clocks hold up sealing, in words for
 * whoever asks. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_HELD_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_HELD_H

#include <stdint.h>

#include "api/base/buf.h"

struct db;
struct err;
struct json_writer;
struct ledger_moment;
struct request;
struct usage_names;

/* "held" of an answer; null: nothing is. */
int usage_held_put(struct json_writer *w, struct request *r, const struct ledger_moment *moment,
                   struct usage_names *names, struct err *err);
/* How many are held. */
int usage_held_count(struct request *r, struct db *db, const struct ledger_moment *moment,
                     int64_t *ret_count, struct err *err);
/* "30 days", "1 hour 5 seconds": the largest unit and the next below. Below 0: without the sign. */
void usage_span_text(int64_t ms, struct buf *out);

#endif
