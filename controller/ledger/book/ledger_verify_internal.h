/* What the parts of verification share: where it has got to, and the rows that are open there.
 * All that it keeps in memory is these rows and what one seal changes. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_VERIFY_INTERNAL_H
#define MINICLOUD_CONTROLLER_LEDGER_BOOK_LEDGER_VERIFY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/ledger/book/ledger_advance.h"
#include "controller/ledger/book/ledger_verify.h"
#include "controller/ledger/book/store_segment.h"
#include "controller/ledger/segment/store_seal.h"

struct db;
struct err;

/* In the order of their keys; one that was closed stays until open_rows_settle(). */
struct open_rows {
    struct segment *items;
    size_t count, cap;
    struct open_node *nodes; /* that have open rows, in the order of their keys */
    size_t node_count, node_cap;
    bool closed;
};
/* Its key is greater than all others'. */
void open_rows_add(struct open_rows *open, const struct segment *row);
/* NULL: it is not open. */
const struct segment *open_rows_find(const struct open_rows *open, int64_t key);
void open_rows_close(struct open_rows *open, int64_t key);
void open_rows_settle(struct open_rows *open);
void open_rows_release(struct open_rows *open);

struct verify {
    struct db *db;
    struct ledger_verdict *verdict;
    struct seal before;       /* verified up to this one; zeroed: to none */
    struct segment_head head; /* of the rows that were closed so far */
    int64_t segment_key;      /* of the last row */
    int64_t observation_key;  /* of the last piece of evidence, and its hash */
    uint8_t observation_chain[SHA256_BYTES];
    struct open_rows open;
    struct evidence *memory;
};

/* Keeps the first. */
void verify_differs(struct verify *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The ledger as of v->before. Of rows that a later seal closed the database says when: what is
 * open is taken from memory, so that nothing is believed that was not compared yet. */
struct books verify_books(struct verify *v);

/* The evidence behind what was checked so far, up to a key. */
int verify_observations(struct verify *v, int64_t to_key, struct err *err);
/* Holds what the evidence says against the row that is stored, and takes it as said. */
int verify_change(struct verify *v, const struct change *change, int64_t seal_key, struct err *err);
/* Prices, against what was witnessed of them. */
int verify_prices(struct verify *v, struct err *err);
/* The rows that no seal has closed. */
int verify_open_rows(struct verify *v, struct err *err);

#endif
