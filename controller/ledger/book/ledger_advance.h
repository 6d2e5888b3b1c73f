/* How the ledger moves from one moment to the next: what the evidence says now, held against
 * what the rows say. The same code seals, answers for what is not sealed yet, and verifies. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_ADVANCE_H
#define MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_ADVANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/segment/segment.h"
#include "controller/ledger/segment/usage_fold.h"

struct db;
struct err;

/* A row to be added, or (closes) an open row `segment.key` that ends at segment.end_ms. */
struct change {
    bool closes;
    struct segment segment;
};
struct changes {
    struct change *items;
    size_t count, cap;
};
void changes_release(struct changes *changes);

/* Pure: `have` are the rows of one resource that were not taken back, written up to from_ms;
 * `want` is what the evidence says. Rows that are right stay; an open one that has ended is
 * closed; one that said too much is closed where it had got to, taken back by a reversal, and
 * what is right is added. What speaks of time before from_ms is a correction. Sorts both. */
void ledger_diff(struct segments *have, struct segments *want, int64_t from_ms,
                 struct changes *ret_changes);

/* Where the rows are: in the database, or in the memory of who verifies. */
struct books {
    void *ctx;
    /* Appends those of one resource that were not taken back: all but counted ones, and of
     * these the ones that start at counted_from_ms or later. */
    int (*rows)(void *ctx, int resource, int64_t resource_key, int64_t counted_from_ms,
                struct segments *ret_rows, struct err *err);
    /* The nodes that have open rows, each once, and the open rows of one. */
    int (*open_nodes)(void *ctx, void (*each)(void *ctx, int64_t node_key), void *each_ctx,
                      struct err *err);
    int (*open_rows)(void *ctx, int64_t node_key,
                     void (*each)(void *ctx, const struct segment *row), void *each_ctx,
                     struct err *err);
};

struct step {
    int64_t from_key, from_ms; /* evidence known, and moment reached, so far */
    /* Evidence from here on was not told in full: it is new, or spoke of time behind from_ms. */
    int64_t news_key;
    int64_t to_key, to_ms;
    int64_t project_key; /* whose resources alone are looked at; 0: all */
    /* Views of from_key and of to_key that know some already, borrowed; NULL: none. */
    struct evidence *sealed, *newest;
    /* Between two resources, where no statement is under way; NULL: nothing. */
    void (*between)(void *ctx);
    void *between_ctx;
    boot_vouches *vouches; /* for moments that no row speaks of yet; NULL: none */
    /* Each boot of which `vouches` holds: it may be back without a row that says so. NULL: none, or
     * nothing was told before this step. */
    void (*each_vouching)(void *ctx, void (*each)(void *ctx, int64_t node_key, const char *boot_id),
                          void *each_ctx);
    void *ctx;
    /* What the step before knew of the boots, so that one step after the other need not ask again:
     * NULL in it at the first one; the caller frees it. NULL: there is no other step. */
    struct evidence **memory;
};
/* What follows, in an order that depends on nothing but the evidence; and the next step's
 * news_key. */
int ledger_advance(struct db *db, const struct books *books, const struct step *step,
                   struct changes *ret_changes, int64_t *ret_news_key, struct err *err);

/* The rows of the database as of a seal. */
struct db_books {
    struct db *db;
    int64_t seal_key;
};
struct books books_of_db(struct db_books *at);

#endif
