/* Sums of usage: segments and prices to the rows of an answer, one for each period, group and
 * meter. Integers throughout; the sum of the parts is the whole, however a range or its groups
 * are cut. Pure: whoever reads the segments gives them one by one.
 *
 * The cost of a segment does not grow with its length: within a period it adds its share, over
 * whole periods it changes a rate at both ends, and the rates are summed up once at the end.
 * Only counted amounts and prices look at each period. Memory is bounded: where there are too
 * many groups for all periods, the answer stops at an earlier period and says so. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_SUM_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/ledger/price/rate.h"
#include "controller/ledger/segment/segment.h"

enum usage_period { USAGE_TOTAL, USAGE_HOUR, USAGE_DAY, USAGE_MONTH };
extern const char *const usage_period_names[];

/* What rows are told apart by. The meter always is one: quantities of two never add up. */
enum usage_by {
    USAGE_BY_PROJECT,
    USAGE_BY_RESOURCE,
    USAGE_BY_FLAVOR,
    USAGE_BY_NODE,
    USAGE_BY_METER,
    USAGE_BY_PRICE, /* each row then has one price, or none */
    USAGE_BY_CLASS, /* corrections apart from what they correct */
    USAGE_BY_LABEL, /* and the following: labels 0 .. USAGE_LABELS - 1 */
};
enum { USAGE_LABELS = 4, USAGE_KEYS = USAGE_BY_LABEL + USAGE_LABELS };

/* Values of labels, as small numbers; 0: it has none. */
struct usage_labels {
    void *ctx;
    int32_t (*of)(void *ctx, int label, const struct segment *segment);
    const char *(*text)(void *ctx, int32_t value); /* their order is the rows' */
};

struct usage_question {
    int64_t from_ms, to_ms;
    enum usage_period period;
    int by[USAGE_KEYS]; /* in the order in which rows are sorted */
    size_t by_count;
    unsigned meters;     /* bits 1 << enum meter; 0: all */
    int64_t project_key; /* 0: all */
    int periods_max;     /* to be answered in one go; 0: as many as there is room for */
    struct usage_labels labels;
};
bool usage_asks(const struct usage_question *question, int by);
unsigned usage_kinds(const struct usage_question *question); /* bits of segment_kind; 0: all */

/* What was not asked to be told apart is 0. */
struct usage_key {
    int64_t project_key, resource_key, flavor_key, node_key, price_key;
    int32_t labels[USAGE_LABELS];
    uint8_t resource, kind, correction, zero[5];
};

struct usage_row {
    int64_t start_ms, end_ms; /* the period, clipped to the question */
    struct usage_key key;
    const struct price *price; /* by price only; NULL: none */
    int meter;
    quantity used;
    quantity unverified; /* part of it: the hours in which an end is not proved */
    quantity correction; /* part of it that corrects what was sealed */
    quantity nanos;
};

struct usage_sum;
/* Borrows both; `book` NULL: nothing is priced. `budget`: bytes, about; 0: no bound. */
struct usage_sum *usage_sum_new(const struct usage_question *question,
                                const struct price_book *book, size_t budget);
void usage_sum_free(struct usage_sum *sum);
/* Segments of the ledger that meet [from, to): `from` lies before the question's where monthly
 * caps need what came before. */
void usage_sum_range(const struct usage_sum *sum, int64_t *ret_from_ms, int64_t *ret_to_ms);
void usage_sum_add(struct usage_sum *sum, const struct segment *segment);
/* After the last one. Up to where the rows speak: the question's end, or an earlier start of a
 * period from which to ask again. */
int64_t usage_sum_finish(struct usage_sum *sum);
/* By start, then the keys in their order, then meter. Those in which nothing was used and
 * nothing corrected are left out. The first `skip` are passed over; `each` says whether to go
 * on. */
typedef bool usage_row_each(void *ctx, const struct usage_row *row);
void usage_sum_rows(struct usage_sum *sum, size_t skip, usage_row_each *each, void *ctx);
/* The same of the periods that begin at `from_ms` or later. */
void usage_sum_rows_from(struct usage_sum *sum, int64_t from_ms, size_t skip, usage_row_each *each,
                         void *ctx);
/* Of finished ones: the range of their rows, and about what they take. */
void usage_sum_span(const struct usage_sum *sum, int64_t *ret_from_ms, int64_t *ret_to_ms);
size_t usage_sum_bytes(const struct usage_sum *sum);

/* A quantity in decimal digits. */
enum { QUANTITY_TEXT_MAX = 48 };
void quantity_text(quantity value, char text[QUANTITY_TEXT_MAX]);
/* value / 10^places with all its places: 4000000 of 9 is "0.004000000". */
void quantity_decimal(quantity value, int places, char text[QUANTITY_TEXT_MAX]);

#endif
