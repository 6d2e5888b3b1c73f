/* The ledger: segments, as the evidence proves them. Sealed time is in rows that nobody can
 * change, each chained by SHA-256 to the one before; what is newer is worked out on the way
 * from the same evidence by the same code (ledger_advance.c), so that sealing changes no total.
 *
 * A seal moves the watermark: it names the last piece of evidence it knew and the moment up to
 * which it speaks, and appends what follows from both. After it only corrections can speak of
 * the time before. So every seal can be worked out again from the evidence alone. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_H
#define MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/ledger/segment/segment.h"

struct app;
struct db;
struct err;
struct tx;

/* As of when an answer speaks: the same for all its pages, however much later they are read. */
struct ledger_moment {
    int64_t observation_key; /* evidence up to this one */
    int64_t until_ms;        /* and up to this moment, in UTC */
    /* What was sealed then: rows up to this seal, and the watermark. */
    int64_t seal_key, sealed_ms;
    int64_t revision; /* of the event log */
    int64_t vouched;  /* the number of the set of those whose word was taken (vouch_set.h) */
};

/* The present one: until_ms is what all hosts that are heard from have vouched for. Renews the
 * snapshot that this thread reads (readers.h). */
int ledger_now(struct app *app, struct ledger_moment *ret_moment, struct err *err);
/* Whether what the moment takes the word of is still known: if not, ERR_REVISION_GONE. */
int ledger_moment_known(struct app *app, const struct ledger_moment *moment, struct err *err);

struct ledger_filter {
    int64_t from_ms, to_ms; /* segments that meet this range; UTC */
    int64_t project_key;    /* 0: all */
    unsigned kinds;         /* bits 1 << enum segment_kind; 0: all */
};
/* Sealed ones month by month, those of one resource and kind in the order of their start; then
 * what is not sealed yet. `sign` and `correction` say what a row is. An open one ends at the
 * moment. Segments are not cut to the range. */
typedef void segment_each(void *ctx, const struct segment *segment);
int ledger_read(struct app *app, struct db *db, const struct ledger_moment *moment,
                const struct ledger_filter *filter, segment_each *each, void *ctx, struct err *err);

#endif
