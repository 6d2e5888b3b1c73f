/* Money: what segments cost by the prices that were valid. Pure.
 *
 * A price bills by grain: every second, minute or hour that was started. Grains follow one
 * another from the segment's origin on: each has the price that is valid when it starts and the
 * length that this price bills by, and the next one starts where it ends, by the price that is
 * valid there. So no moment is paid for twice, whatever the prices change to, and none under a
 * price is free. Where no price is valid nothing is asked, and the first grain of the next one
 * starts when that begins, or later, where what was paid for ends. The grains of the minimum all
 * start at once, at the origin: only the price that is valid there asks for its minimum.
 *
 * What a price asks of a segment up to a moment is rounded down once, over all stretches in
 * which it is valid, and a stretch costs the difference of two such sums: so parts add up to the
 * whole exactly, however the range is cut, and more time never costs less. What is asked up to
 * a moment never depends on a price that begins later. A monthly cap holds for one price,
 * resource and UTC month: what lies above it is not asked. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_PRICE_RATE_H
#define MINICLOUD_CONTROLLER_LEDGER_PRICE_RATE_H

#include <stddef.h>
#include <stdint.h>

#include "controller/ledger/segment/segment.h"

struct price {
    int64_t key;
    const char *id;
    int meter;
    int64_t project_key, flavor_key;       /* 0: any */
    int64_t nanos;                         /* for one priced unit of the meter (meters[]) */
    int64_t grain_ms;                      /* 1,000, 60,000 or 3,600,000; of no use if counted */
    int64_t minimum_ms;                    /* billed at once at the origin; 0: none */
    int64_t monthly_cap_nanos;             /* 0: none */
    int64_t valid_from_ms, valid_until_ms; /* half-open; INT64_MAX: no end */
};

/* All prices, for finding the one that holds. Borrows `prices`, which must outlive it. */
struct price_book;
struct price_book *price_book_new(const struct price *prices, size_t count);
void price_book_free(struct price_book *book);
/* Gives the prices, and the block that their ids are in, over to the book. */
void price_book_own(struct price_book *book, struct price *prices, void *ids);
/* The most specific one that is valid: of project and flavor, of the project, of the flavor, of
 * all; among equals the one that began last. NULL: it is not priced. *ret_until_ms: until when
 * this answer holds. */
const struct price *price_find(const struct price_book *book, int meter, int64_t project_key,
                               int64_t flavor_key, int64_t at_ms, int64_t *ret_until_ms);

/* What a price asks for the part of one segment within [from, to), caps apart; with the sign. */
typedef void charge_each(void *ctx, const struct price *price, int64_t from_ms, int64_t to_ms,
                         quantity used, quantity nanos);
/* Calls `each` for every price that holds within the part, in the order of time; a stretch
 * without a price comes with price NULL and 0 nanos. */
void rate_segment(const struct price_book *book, const struct segment *segment, int meter,
                  int64_t from_ms, int64_t to_ms, charge_each *each, void *ctx);
/* The same for periods that follow one another, in one go: period i is [bounds[i],
 * bounds[i + 1]). What comes is cut where they meet. */
void rate_periods(const struct price_book *book, const struct segment *segment, int meter,
                  const int64_t *bounds, size_t periods, charge_each *each, void *ctx);

/* Sums below the cap: of charges before caps, one for each period of one price, resource and
 * month in the order of time, to what is asked in each. `before` is the sum of the month before
 * the first period. */
void rate_cap(int64_t cap_nanos, quantity before, quantity *nanos, size_t count);

#endif
