/* Rows of the ledger. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_BOOK_STORE_SEGMENT_H
#define MINICLOUD_CONTROLLER_LEDGER_BOOK_STORE_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/id.h"
#include "controller/ledger/book/ledger.h"
#include "controller/ledger/book/ledger_advance.h"

struct db;
struct err;

/* The hash that a closed row carries: of the closed row before and of all its columns. */
void segment_chain(const uint8_t before[SHA256_BYTES], const struct segment *segment,
                   uint8_t ret_chain[SHA256_BYTES]);

/* The newest closed row's place and hash; 0 and zeroes when there is none. */
struct segment_head {
    int64_t ordinal;
    uint8_t chain[SHA256_BYTES];
};
int store_segment_head(struct db *db, struct segment_head *ret_head, struct err *err);
/* Writes a change and moves `head` on. Fills ordinal of the segment, and key of a new row. */
int store_segment_change(struct db *db, struct change *change, int64_t seal_key,
                         struct segment_head *head, struct err *err);
/* One row as it is stored. 1; 0: there is none; -1. */
struct segment_row {
    struct segment segment;
    bool sound; /* no column holds what reading it would hide */
    bool chained;
    uint8_t chain[SHA256_BYTES];
};
int store_segment_row(struct db *db, int64_t key, struct segment_row *ret_row, struct err *err);
/* The first with this key or a later one, and the seal that wrote it. 1, 0, -1. */
int store_segment_next(struct db *db, int64_t key, int64_t *ret_key, int64_t *ret_seal_key,
                       struct err *err);
/* The last one that this seal, or one before, wrote: keys grow with seals. 0: there is none. */
int store_segment_last_key_at(struct db *db, int64_t seal_key, int64_t *ret_key, struct err *err);
/* Those that were open as of a seal, in the order of their keys. */
int store_segment_open(struct db *db, int64_t seal_key, segment_each *each, void *ctx,
                       struct err *err);
/* Appends what the books (ledger_advance.h) have of one resource: rows as of a seal, up to a key,
 * that start before a moment. No row of a seal starts at its moment or later. */
struct segment_query {
    int64_t seal_key, last_key, until_ms;
    int resource;
    int64_t resource_key, counted_from_ms;
};
int store_segment_live(struct db *db, const struct segment_query *query, struct segments *ret_rows,
                       struct err *err);
/* Rows as of a seal whose start lies in [from, to); an open one has end_ms 0. */
int store_segment_between(struct db *db, const struct ledger_filter *filter, int64_t seal_key,
                          segment_each *each, void *ctx, struct err *err);

/* Rows behind a key whose start lies within the filter, as they are now; until `each` says to
 * stop. Its kinds are not looked at. */
typedef bool segment_while(void *ctx, const struct segment *segment);
int store_segment_started(struct db *db, int64_t after_key, const struct ledger_filter *filter,
                          segment_while *each, void *ctx, struct err *err);
int store_segment_last_key(struct db *db, int64_t *ret_key, struct err *err);

#endif
