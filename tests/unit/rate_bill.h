/* What a segment costs, added up while rate_segment() tells it. */
#ifndef MINICLOUD_TESTS_RATE_BILL_H
#define MINICLOUD_TESTS_RATE_BILL_H

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/base/mem.h"
#include "controller/ledger/price/rate.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, DAY_HOURS = 24 };

/* 2026-11-01T00:00:00Z */
#define NOVEMBER 1793491200000LL
#define DAY_MS (DAY_HOURS * (int64_t)HOUR_MS)

enum { KEYS = 16 };

struct bill {
    quantity nanos, used;
    quantity asked[KEYS]; /* by each price, by its key */
    quantity priced;      /* of what was used, that a price held for */
    int64_t keys[KEYS];   /* of the prices, in order; 0: none */
    int64_t until_ms;
    size_t count;
};

static inline void add_charge(void *ctx, const struct price *price, int64_t from_ms, int64_t to_ms,
                              quantity used, quantity nanos)
{
    struct bill *bill = ctx;
    assert_true(from_ms < to_ms);
    if (bill->count)
        assert_int_equal(from_ms, bill->until_ms);
    if (!price)
        assert_true(nanos == 0);
    if (bill->count < ARRAY_SIZE(bill->keys))
        bill->keys[bill->count] = price ? price->key : 0;
    bill->count++;
    bill->until_ms = to_ms;
    bill->nanos += nanos;
    bill->used += used;
    if (price)
        bill->asked[price->key] += nanos;
    if (price)
        bill->priced += used;
}

static inline struct bill bill_part(const struct price_book *book, const struct segment *segment,
                                    int meter, int64_t from_ms, int64_t to_ms)
{
    struct bill bill = {0};
    rate_segment(book, segment, meter, from_ms, to_ms, add_charge, &bill);
    return bill;
}

#define assert_nanos(got, wanted) check_nanos(got, wanted, __LINE__)
static inline void check_nanos(quantity got, quantity wanted, int line)
{
    if (got != wanted)
        fail_msg("line %d: %lld nanos (high half %lld), not %lld", line, (long long)got,
                 (long long)(got >> 64), (long long)wanted);
}

#endif
