/* Money, exact to the nano-unit: by numbers worked out by hand, and by random histories held
 * against a count of every single grain. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/mem.h"
#include "controller/rate.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, DAY_HOURS = 24 };

/* 2026-11-01T00:00:00Z */
#define NOVEMBER 1793491200000LL
#define DAY_MS (DAY_HOURS * (int64_t)HOUR_MS)

/* ---- tools ---- */

struct bill {
    quantity nanos, used;
    int64_t keys[16]; /* of the prices, in order; 0: none */
    int64_t until_ms;
    size_t count;
};

static void add_charge(void *ctx, const struct price *price, int64_t from_ms, int64_t to_ms,
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
}

static struct bill bill_part(const struct price_book *book, const struct segment *segment,
                             int meter, int64_t from_ms, int64_t to_ms)
{
    struct bill bill = {0};
    rate_segment(book, segment, meter, from_ms, to_ms, add_charge, &bill);
    return bill;
}

static struct bill bill_all(const struct price *prices, size_t count, const struct segment *segment,
                            int meter)
{
    struct price_book *book = price_book_new(prices, count);
    struct bill bill = bill_part(book, segment, meter, segment->start_ms, segment->end_ms);
    price_book_free(book);
    return bill;
}

#define assert_nanos(got, wanted) check_nanos(got, wanted, __LINE__)
static void check_nanos(quantity got, quantity wanted, int line)
{
    if (got != wanted)
        fail_msg("line %d: %lld nanos (high half %lld), not %lld", line, (long long)got,
                 (long long)(got >> 64), (long long)wanted);
}

static struct segment running(int64_t start_ms, int64_t length_ms)
{
    return (struct segment){.kind = SEGMENT_RUNNING,
                            .sign = 1,
                            .project_key = 1,
                            .flavor_key = 1,
                            .start_ms = start_ms,
                            .end_ms = start_ms + length_ms,
                            .origin_ms = start_ms,
                            .amounts = {1, 2, 1536}};
}

static struct price by_hour(int64_t nanos)
{
    return (struct price){.key = 1,
                          .meter = METER_RUNNING,
                          .nanos = nanos,
                          .grain_ms = HOUR_MS,
                          .valid_until_ms = INT64_MAX};
}

/* ---- by hand ---- */

static void test_rate__a_started_hour_counts_whole(void **state)
{
    (void)state;
    struct price price = by_hour(4000000);
    static const struct {
        int64_t length_ms, hours;
    } cases[] = {{1, 1}, {HOUR_MS - 1, 1}, {HOUR_MS, 1}, {HOUR_MS + 1, 2}, {720LL * HOUR_MS, 720}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct segment segment = running(NOVEMBER + 12345, cases[i].length_ms);
        assert_nanos(bill_all(&price, 1, &segment, METER_RUNNING).nanos, cases[i].hours * 4000000);
    }
}

static void test_rate__a_started_second_or_minute_counts_whole(void **state)
{
    (void)state;
    struct price price = by_hour(3600000);
    struct segment segment = running(NOVEMBER, 61 * SECOND_MS + 1);
    price.grain_ms = SECOND_MS;
    assert_nanos(bill_all(&price, 1, &segment, METER_RUNNING).nanos, 62 * 1000);
    price.grain_ms = MINUTE_MS;
    assert_nanos(bill_all(&price, 1, &segment, METER_RUNNING).nanos, 2 * 60 * 1000);
}

static void test_rate__what_is_asked_is_rounded_down_once(void **state)
{
    (void)state;
    struct price price = by_hour(1);
    price.grain_ms = SECOND_MS;
    struct segment segment = running(NOVEMBER, 2 * HOUR_MS - SECOND_MS);
    assert_nanos(bill_all(&price, 1, &segment, METER_RUNNING).nanos, 1);
    segment.end_ms++;
    assert_nanos(bill_all(&price, 1, &segment, METER_RUNNING).nanos, 2);
}

static void test_rate__amounts_multiply(void **state)
{
    (void)state;
    struct segment segment = running(NOVEMBER, 90 * MINUTE_MS);
    struct price vcpu = by_hour(1000), memory = by_hour(1000);
    vcpu.meter = METER_RUNNING_VCPU;
    memory.meter = METER_RUNNING_MEMORY;
    assert_nanos(bill_all(&vcpu, 1, &segment, METER_RUNNING_VCPU).nanos, 2 * 2 * 1000);
    /* 1.5 GiB for two started hours. */
    assert_nanos(bill_all(&memory, 1, &segment, METER_RUNNING_MEMORY).nanos, 3000);
    assert_int_equal(bill_all(&vcpu, 1, &segment, METER_ROOT_DISK).count, 0);
}

static void test_rate__the_minimum_is_billed_at_once_and_never_again(void **state)
{
    (void)state;
    struct price price = by_hour(3600000);
    price.grain_ms = MINUTE_MS;
    price.minimum_ms = 150 * SECOND_MS; /* three started minutes */
    struct price_book *book = price_book_new(&price, 1);
    struct segment segment = running(NOVEMBER, 10 * MINUTE_MS);
    const int64_t to[] = {1, 3 * MINUTE_MS, 3 * MINUTE_MS + 1, 10 * MINUTE_MS};
    const int64_t minutes[] = {3, 3, 4, 10};
    for (size_t i = 0; i < ARRAY_SIZE(to); i++)
        assert_nanos(bill_part(book, &segment, METER_RUNNING, NOVEMBER, NOVEMBER + to[i]).nanos,
                     minutes[i] * 60000);
    assert_nanos(
        bill_part(book, &segment, METER_RUNNING, NOVEMBER + 1, NOVEMBER + 3 * MINUTE_MS).nanos, 0);
    price_book_free(book);
}

static void test_rate__a_grain_has_the_price_that_is_valid_when_it_starts(void **state)
{
    (void)state;
    struct price prices[] = {by_hour(100), by_hour(7)};
    prices[1].key = 2;
    prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER + 90 * MINUTE_MS;
    struct segment segment = running(NOVEMBER, 3 * HOUR_MS);
    struct bill bill = bill_all(prices, 2, &segment, METER_RUNNING);
    /* The second hour was started at the old price; only the third has the new one. */
    assert_nanos(bill.nanos, 100 + 100 + 7);
    assert_int_equal(bill.count, 2);
    assert_int_equal(bill.keys[0], 1);
    assert_int_equal(bill.keys[1], 2);
    /* Valid from the very moment that an hour starts. */
    prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER + HOUR_MS;
    assert_nanos(bill_all(prices, 2, &segment, METER_RUNNING).nanos, 100 + 7 + 7);
    prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER + HOUR_MS + 1;
    assert_nanos(bill_all(prices, 2, &segment, METER_RUNNING).nanos, 100 + 100 + 7);
}

static void test_rate__another_grain_counts_from_the_origin_too(void **state)
{
    (void)state;
    struct price prices[] = {by_hour(3600), by_hour(3600)};
    prices[1].key = 2;
    prices[0].grain_ms = SECOND_MS;
    prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER + 30 * MINUTE_MS;
    struct segment segment = running(NOVEMBER, 2 * HOUR_MS);
    /* Seconds for half an hour, then the hour that starts an hour after the origin. */
    assert_nanos(bill_all(prices, 2, &segment, METER_RUNNING).nanos, 1800 + 3600);
}

static void test_rate__the_minimum_belongs_to_the_price_at_the_origin(void **state)
{
    (void)state;
    struct price prices[] = {by_hour(3600), by_hour(7200)};
    prices[1].key = 2;
    for (int i = 0; i < 2; i++) {
        prices[i].grain_ms = SECOND_MS;
        prices[i].minimum_ms = MINUTE_MS;
    }
    prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER + 30 * SECOND_MS;
    struct segment segment = running(NOVEMBER, 61 * SECOND_MS);
    assert_nanos(bill_all(prices, 2, &segment, METER_RUNNING).nanos, 60 * 1 + 1 * 2);
}

static void test_rate__the_most_specific_price_holds(void **state)
{
    (void)state;
    struct price prices[4];
    static const int64_t scopes[4][2] = {{0, 0}, {0, 5}, {3, 0}, {3, 5}};
    for (int i = 0; i < 4; i++) {
        prices[i] = by_hour(i);
        prices[i].key = i + 1;
        prices[i].project_key = scopes[i][0];
        prices[i].flavor_key = scopes[i][1];
    }
    struct price_book *book = price_book_new(prices, 4);
    int64_t until;
    assert_int_equal(price_find(book, METER_RUNNING, 3, 5, 0, &until)->key, 4);
    assert_int_equal(price_find(book, METER_RUNNING, 3, 6, 0, &until)->key, 3);
    assert_int_equal(price_find(book, METER_RUNNING, 4, 5, 0, &until)->key, 2);
    assert_int_equal(price_find(book, METER_RUNNING, 4, 6, 0, &until)->key, 1);
    assert_int_equal(price_find(book, METER_RUNNING, 3, 0, 0, &until)->key, 3);
    assert_int_equal(price_find(book, METER_RUNNING, 4, 0, 0, &until)->key, 1);
    assert_true(until == INT64_MAX);
    assert_null(price_find(book, METER_EGRESS, 3, 5, 0, &until));
    price_book_free(book);
}

static void test_rate__among_equals_the_one_that_began_last_holds_while_it_is_valid(void **state)
{
    (void)state;
    struct price prices[] = {by_hour(1), by_hour(2), by_hour(3)};
    for (int i = 0; i < 3; i++)
        prices[i].key = i + 1;
    prices[1].valid_from_ms = 100;
    prices[1].valid_until_ms = 200;
    prices[2].valid_from_ms = 100; /* made last, at the same time */
    prices[2].valid_until_ms = 150;
    struct price_book *book = price_book_new(prices, 3);
    static const struct {
        int64_t at, key, until;
    } cases[] = {{0, 1, 100}, {99, 1, 100}, {100, 3, 150}, {150, 2, 200}, {200, 1, INT64_MAX}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t until;
        const struct price *price = price_find(book, METER_RUNNING, 9, 9, cases[i].at, &until);
        assert_int_equal(price->key, cases[i].key);
        assert_true(until == cases[i].until);
    }
    int64_t until;
    assert_null(price_find(book, METER_RUNNING, 9, 9, -1, &until));
    assert_true(until == 0);
    price_book_free(book);
}

static void test_rate__the_general_price_goes_on_behind_a_special_one(void **state)
{
    (void)state;
    struct price prices[] = {by_hour(100), by_hour(1)};
    prices[1].key = 2;
    prices[1].project_key = 1;
    prices[1].valid_from_ms = NOVEMBER + HOUR_MS;
    prices[1].valid_until_ms = NOVEMBER + 3 * HOUR_MS;
    struct segment segment = running(NOVEMBER, 5 * HOUR_MS);
    struct bill bill = bill_all(prices, 2, &segment, METER_RUNNING);
    assert_nanos(bill.nanos, 3 * 100 + 2 * 1);
    assert_int_equal(bill.count, 3);
    assert_int_equal(bill.keys[2], 1);
}

static void test_rate__what_has_no_price_is_shown_and_costs_nothing(void **state)
{
    (void)state;
    struct price price = by_hour(100);
    price.valid_from_ms = NOVEMBER + HOUR_MS;
    price.valid_until_ms = NOVEMBER + 2 * HOUR_MS;
    struct segment segment = running(NOVEMBER, 4 * HOUR_MS);
    struct bill bill = bill_all(&price, 1, &segment, METER_RUNNING);
    assert_nanos(bill.nanos, 100);
    assert_true(bill.used == 4 * HOUR_MS);
    assert_int_equal(bill.count, 3);
    assert_int_equal(bill.keys[0], 0);
    assert_int_equal(bill.keys[2], 0);
    bill = bill_all(NULL, 0, &segment, METER_RUNNING);
    assert_int_equal(bill.count, 1);
    assert_true(bill.used == 4 * HOUR_MS);
}

static void test_rate__a_gap_is_never_priced(void **state)
{
    (void)state;
    struct price price = by_hour(100);
    price.meter = METER_GAP;
    struct segment segment = running(NOVEMBER, HOUR_MS);
    segment.kind = SEGMENT_GAP;
    struct bill bill = bill_all(&price, 1, &segment, METER_GAP);
    assert_nanos(bill.nanos, 0);
    assert_true(bill.used == HOUR_MS);
    assert_int_equal(bill.count, 1);
}

static void test_rate__an_hour_over_the_end_of_the_month_is_paid_once(void **state)
{
    (void)state;
    struct price price = by_hour(100);
    struct segment whole = running(NOVEMBER - 30 * MINUTE_MS, 2 * HOUR_MS);
    struct segment october = whole, november = whole;
    october.end_ms = november.start_ms = NOVEMBER;
    quantity first = bill_all(&price, 1, &october, METER_RUNNING).nanos;
    quantity second = bill_all(&price, 1, &november, METER_RUNNING).nanos;
    assert_nanos(first, 100);
    assert_nanos(second, 100); /* the hour that starts at 00:30 */
    assert_nanos(first + second, bill_all(&price, 1, &whole, METER_RUNNING).nanos);
    /* An hour that starts with the month is the new month's. */
    october.origin_ms = november.origin_ms = NOVEMBER - HOUR_MS;
    assert_nanos(bill_all(&price, 1, &november, METER_RUNNING).nanos, 200);
}

static void test_rate__rounding_goes_on_over_the_end_of_the_month(void **state)
{
    (void)state;
    struct price price = by_hour(1);
    price.grain_ms = MINUTE_MS;
    struct segment whole = running(NOVEMBER - 30 * MINUTE_MS, HOUR_MS);
    struct segment october = whole, november = whole;
    october.end_ms = november.start_ms = NOVEMBER;
    assert_nanos(bill_all(&price, 1, &october, METER_RUNNING).nanos, 0);
    assert_nanos(bill_all(&price, 1, &november, METER_RUNNING).nanos, 1);
    assert_nanos(bill_all(&price, 1, &whole, METER_RUNNING).nanos, 1);
}

static void test_rate__what_was_counted_is_split_where_prices_change(void **state)
{
    (void)state;
    struct price prices[] = {by_hour(1000000000), by_hour(2000000000)};
    struct segment segment = {.kind = SEGMENT_COUNTED,
                              .sign = 1,
                              .start_ms = NOVEMBER,
                              .end_ms = NOVEMBER + 1000,
                              .origin_ms = NOVEMBER - 5 * HOUR_MS,
                              .amounts = {7200000000000, 11, 3000000000}};
    prices[1].key = 2;
    for (int i = 0; i < 2; i++) {
        prices[i].meter = METER_EGRESS;
        prices[i].grain_ms = 0;
    }
    prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER + 500;
    assert_nanos(bill_all(prices, 2, &segment, METER_EGRESS).nanos, 1500000000 + 3000000000);
    prices[0].valid_until_ms = INT64_MAX;
    assert_nanos(bill_all(prices, 1, &segment, METER_EGRESS).nanos, 3000000000);
    prices[0].meter = METER_CPU; /* two hours of CPU within a second */
    assert_nanos(bill_all(prices, 1, &segment, METER_CPU).nanos, 2000000000);
    prices[0].meter = METER_INGRESS;
    assert_nanos(bill_all(prices, 1, &segment, METER_INGRESS).nanos, 11);
    segment.end_ms = segment.start_ms;
    assert_int_equal(bill_all(prices, 1, &segment, METER_INGRESS).count, 0);
}

static void test_rate__what_is_taken_back_cancels(void **state)
{
    (void)state;
    struct price price = by_hour(7);
    price.grain_ms = SECOND_MS;
    struct segment segment = running(NOVEMBER, 12345678);
    struct bill bill = bill_all(&price, 1, &segment, METER_RUNNING_VCPU);
    segment.sign = -1;
    struct bill back = bill_all(&price, 1, &segment, METER_RUNNING_VCPU);
    assert_nanos(bill.nanos + back.nanos, 0);
    assert_true(bill.used == -back.used);
    bill = bill_all(&price, 1, &segment, METER_RUNNING);
    assert_nanos(bill.nanos, -(quantity)12346 * 7 / 3600);
}

/* The largest price for the largest image over ten thousand years, by the second. */
static void test_rate__the_largest_numbers_fit(void **state)
{
    (void)state;
    struct price price = by_hour(9000000000000000);
    price.meter = METER_IMAGE;
    price.grain_ms = SECOND_MS;
    price.minimum_ms = DAY_MS;
    int64_t hours = 10000LL * 365 * DAY_HOURS;
    struct segment segment = {.kind = SEGMENT_IMAGE,
                              .sign = 1,
                              .start_ms = 0,
                              .end_ms = hours * HOUR_MS,
                              .amounts = {16LL << 40}};
    quantity per_hour = (quantity)9000000 * (16LL << 40); /* nanos in a GB-hour by bytes in a GB */
    assert_nanos(bill_all(&price, 1, &segment, METER_IMAGE).nanos, per_hour * hours);
    price.grain_ms = HOUR_MS;
    assert_nanos(bill_all(&price, 1, &segment, METER_IMAGE).nanos, per_hour * hours);

    struct segment counted = {.kind = SEGMENT_COUNTED,
                              .sign = -1,
                              .end_ms = hours * HOUR_MS,
                              .amounts = {INT64_MAX, INT64_MAX, INT64_MAX}};
    price.meter = METER_EGRESS;
    assert_nanos(bill_all(&price, 1, &counted, METER_EGRESS).nanos, -(quantity)9000000 * INT64_MAX);
}

static void test_rate__above_the_cap_nothing_is_asked(void **state)
{
    (void)state;
    quantity nanos[] = {60, 30, 30, 10, -50, 5, 20};
    const quantity wanted[] = {60, 30, 10, 0, -20, 5, 15};
    rate_cap(100, 0, nanos, ARRAY_SIZE(nanos));
    for (size_t i = 0; i < ARRAY_SIZE(nanos); i++)
        assert_nanos(nanos[i], wanted[i]);
    quantity later[] = {30, 30};
    rate_cap(100, 90, later, 2); /* of what came before, 90 were asked */
    assert_nanos(later[0], 10);
    assert_nanos(later[1], 0);
    quantity free_of_cap[] = {30};
    rate_cap(0, 90, free_of_cap, 1);
    assert_nanos(free_of_cap[0], 30);
}

/* ---- by chance ---- */

enum { CASES = 20000, PRICES_MAX = 7 };

struct chance {
    uint64_t state;
};

/* splitmix64 */
static uint64_t roll(struct chance *chance, uint64_t below)
{
    uint64_t z = (chance->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

struct example {
    struct price prices[PRICES_MAX];
    size_t count;
    struct segment segment;
    int meter;
};

/* Moments close to the segment's and to whole grains, so that edges meet. */
static int64_t roll_moment(struct chance *chance, int64_t around_ms)
{
    static const int64_t steps[] = {1, SECOND_MS, MINUTE_MS, HOUR_MS};
    int64_t step = steps[roll(chance, 4)];
    return around_ms + step * ((int64_t)roll(chance, 60) - 20);
}

static struct price roll_price(struct chance *chance, int64_t key, int meter)
{
    static const int64_t grains[] = {SECOND_MS, MINUTE_MS, HOUR_MS};
    static const int64_t ranges[] = {5, 100000, 9000000000000001};
    struct price price = {.key = key,
                          .meter = meter,
                          .project_key = (int64_t)roll(chance, 3),
                          .flavor_key = (int64_t)roll(chance, 3),
                          .nanos = (int64_t)roll(chance, (uint64_t)ranges[roll(chance, 3)]),
                          .grain_ms = meters[meter].counted ? 0 : grains[roll(chance, 3)],
                          .valid_from_ms = roll_moment(chance, NOVEMBER),
                          .valid_until_ms = INT64_MAX};
    if (!meters[meter].counted && roll(chance, 2))
        price.minimum_ms = (int64_t)roll(chance, 5000) * SECOND_MS;
    if (roll(chance, 3) == 0)
        price.valid_from_ms = 0;
    if (roll(chance, 2))
        price.valid_until_ms = price.valid_from_ms + (int64_t)roll(chance, 4 * HOUR_MS);
    return price;
}

static struct example roll_example(uint64_t seed)
{
    struct chance chance = {seed};
    struct example e = {.count = (size_t)roll(&chance, PRICES_MAX + 1)};
    do {
        e.meter = (int)roll(&chance, METER_COUNT);
    } while (e.meter == METER_GAP);
    for (size_t i = 0; i < e.count; i++)
        e.prices[i] = roll_price(&chance, (int64_t)i + 1, e.meter);
    e.segment = (struct segment){.kind = meters[e.meter].kind,
                                 .sign = 1,
                                 .project_key = 1 + (int64_t)roll(&chance, 2),
                                 .flavor_key = (int64_t)roll(&chance, 3),
                                 .origin_ms = roll_moment(&chance, NOVEMBER)};
    e.segment.start_ms = e.segment.origin_ms;
    if (roll(&chance, 3) == 0)
        e.segment.start_ms += (int64_t)roll(&chance, 3 * HOUR_MS);
    e.segment.end_ms = e.segment.start_ms + 1 + (int64_t)roll(&chance, 5 * HOUR_MS);
    for (int i = 0; i < SEGMENT_AMOUNTS; i++)
        e.segment.amounts[i] = (int64_t)roll(&chance, i == 0 ? 5 : 1000000);
    return e;
}

/* Runs one check on every example, with its book. */
typedef void example_check(struct chance *chance, struct example *e, const struct price_book *book);

static void each_example(example_check *check)
{
    for (uint64_t seed = 1; seed <= CASES; seed++) {
        struct example e = roll_example(seed);
        struct chance chance = {seed * 7919};
        struct price_book *book = price_book_new(e.prices, e.count);
        check(&chance, &e, book);
        price_book_free(book);
    }
}

static struct bill bill_range(const struct example *e, const struct price_book *book,
                              int64_t from_ms, int64_t to_ms)
{
    return bill_part(book, &e->segment, e->meter, from_ms, to_ms);
}

/* The rule of precedence, said in the plainest way. */
static const struct price *plainly_holds(const struct example *e, int64_t at_ms)
{
    const struct price *best = NULL;
    int best_rank = -1;
    for (size_t i = 0; i < e->count; i++) {
        const struct price *p = &e->prices[i];
        if (at_ms < p->valid_from_ms || at_ms >= p->valid_until_ms ||
            (p->project_key && p->project_key != e->segment.project_key) ||
            (p->flavor_key && p->flavor_key != e->segment.flavor_key))
            continue;
        int rank = 2 * (p->project_key != 0) + (p->flavor_key != 0);
        if (rank > best_rank || (rank == best_rank && p->valid_from_ms >= best->valid_from_ms)) {
            best = p;
            best_rank = rank;
        }
    }
    return best;
}

static void check_precedence(struct chance *chance, struct example *e,
                             const struct price_book *book)
{
    for (int i = 0; i < 8; i++) {
        int64_t at =
                    roll_moment(chance, i % 2 || !e->count ? NOVEMBER : e->prices[0].valid_from_ms),
                until;
        const struct price *price =
            price_find(book, e->meter, e->segment.project_key, e->segment.flavor_key, at, &until);
        assert_ptr_equal(price, plainly_holds(e, at));
        assert_true(until > at);
        assert_ptr_equal(price, plainly_holds(e, until - 1));
        if (until < INT64_MAX)
            assert_ptr_not_equal(price, plainly_holds(e, until));
    }
}

static void test_rate__the_price_found_is_the_one_of_the_plain_rule(void **state)
{
    (void)state;
    each_example(check_precedence);
}

/* Every grain of one price that starts before t while it holds, one by one. */
static quantity count_grains(const struct example *e, const struct price *price, int64_t t_ms)
{
    const struct segment *s = &e->segment;
    quantity grains = 0;
    for (int64_t k = 0;; k++) {
        bool at_once = k * price->grain_ms < price->minimum_ms;
        int64_t at = at_once ? s->origin_ms : s->origin_ms + k * price->grain_ms;
        if (at >= t_ms)
            return grains;
        grains += plainly_holds(e, at) == price;
    }
}

static void check_grains(struct chance *chance, struct example *e, const struct price_book *book)
{
    const struct meter_def *def = &meters[e->meter];
    /* Counting takes its time: one example in four, and all with a single price. */
    if (def->counted || (roll(chance, 4) && e->count > 1))
        return;
    quantity wanted = 0, unit = (quantity)def->priced_unit_hi * def->priced_unit_lo;
    for (size_t i = 0; i < e->count; i++) {
        const struct price *p = &e->prices[i];
        quantity by = (quantity)p->nanos * e->segment.amounts[def->amount] * p->grain_ms;
        wanted += by * count_grains(e, p, e->segment.end_ms) / unit -
                  by * count_grains(e, p, e->segment.start_ms) / unit;
    }
    assert_nanos(bill_range(e, book, e->segment.start_ms, e->segment.end_ms).nanos, wanted);
}

static void test_rate__closed_forms_agree_with_counting_every_grain(void **state)
{
    (void)state;
    each_example(check_grains);
}

static void check_parts(struct chance *chance, struct example *e, const struct price_book *book)
{
    int64_t start = e->segment.start_ms, end = e->segment.end_ms, at = start - 1;
    struct bill whole = bill_range(e, book, INT64_MIN, INT64_MAX);
    quantity nanos = 0, used = 0;
    while (at < end + 1) {
        int64_t next = at + 1 + (int64_t)roll(chance, (uint64_t)(end - start) / 2 + 2);
        struct bill part = bill_range(e, book, at, next);
        nanos += part.nanos;
        used += part.used;
        at = next;
    }
    assert_nanos(nanos, whole.nanos);
    assert_true(used == whole.used);
    assert_true(used == segment_within(&e->segment, e->meter, start, end));
}

static void test_rate__parts_add_up_however_a_range_is_cut(void **state)
{
    (void)state;
    each_example(check_parts);
}

static void check_hours(struct chance *chance, struct example *e, const struct price_book *book)
{
    (void)chance;
    quantity nanos = 0;
    for (int64_t at = hour_floor(e->segment.start_ms); at < e->segment.end_ms; at += HOUR_MS)
        nanos += bill_range(e, book, at, at + HOUR_MS).nanos;
    assert_nanos(nanos, bill_range(e, book, e->segment.start_ms, e->segment.end_ms).nanos);
}

static void test_rate__hours_sum_to_segments(void **state)
{
    (void)state;
    each_example(check_hours);
}

static void check_prefixes(struct chance *chance, struct example *e, const struct price_book *book)
{
    int64_t start = e->segment.start_ms, at = start;
    quantity before = 0;
    while (at < e->segment.end_ms) {
        at += 1 + (int64_t)roll(chance, HOUR_MS);
        quantity now = bill_range(e, book, start, at).nanos;
        assert_true(now >= before);
        before = now;
    }
    /* What is known of it up to some moment is a shorter segment, and asks the same. */
    struct example known = *e;
    known.segment.end_ms = start + 1 + (int64_t)roll(chance, (uint64_t)(at - start));
    if (meters[e->meter].counted || known.segment.end_ms > e->segment.end_ms)
        return;
    assert_nanos(bill_range(&known, book, start, INT64_MAX).nanos,
                 bill_range(e, book, start, known.segment.end_ms).nanos);
}

static void test_rate__a_prefix_never_exceeds_the_whole(void **state)
{
    (void)state;
    each_example(check_prefixes);
}

/* A segment cut at the end of a month keeps its origin, and the two rows ask what one would. */
static void check_months(struct chance *chance, struct example *e, const struct price_book *book)
{
    struct example first = *e, second = *e;
    if (meters[e->meter].counted || e->segment.end_ms - e->segment.start_ms < 2)
        return;
    first.segment.end_ms = second.segment.start_ms =
        e->segment.start_ms + 1 +
        (int64_t)roll(chance, (uint64_t)(e->segment.end_ms - e->segment.start_ms - 1));
    assert_nanos(bill_range(&first, book, INT64_MIN, INT64_MAX).nanos +
                     bill_range(&second, book, INT64_MIN, INT64_MAX).nanos,
                 bill_range(e, book, INT64_MIN, INT64_MAX).nanos);
}

static void test_rate__rows_cut_at_the_end_of_a_month_ask_what_one_would(void **state)
{
    (void)state;
    each_example(check_months);
}

static void check_reversal(struct chance *chance, struct example *e, const struct price_book *book)
{
    int64_t from = e->segment.start_ms + (int64_t)roll(chance, HOUR_MS);
    struct bill bill = bill_range(e, book, from, INT64_MAX);
    e->segment.sign = -1;
    struct bill back = bill_range(e, book, from, INT64_MAX);
    assert_nanos(bill.nanos + back.nanos, 0);
    assert_true(bill.used + back.used == 0);
}

static void test_rate__a_reversal_takes_back_exactly_what_was_asked(void **state)
{
    (void)state;
    each_example(check_reversal);
}

static void check_order(struct chance *chance, struct example *e, const struct price_book *book)
{
    struct bill wanted = bill_range(e, book, INT64_MIN, INT64_MAX);
    struct example other = *e;
    for (size_t i = other.count; i > 1; i--) {
        size_t j = (size_t)roll(chance, i);
        struct price kept = other.prices[j];
        other.prices[j] = other.prices[i - 1];
        other.prices[i - 1] = kept;
    }
    struct price_book *shuffled = price_book_new(other.prices, other.count);
    struct bill got = bill_range(&other, shuffled, INT64_MIN, INT64_MAX);
    price_book_free(shuffled);
    assert_nanos(got.nanos, wanted.nanos);
    assert_int_equal(got.count, wanted.count);
    assert_memory_equal(got.keys, wanted.keys, sizeof(got.keys));
}

static void test_rate__the_order_of_prices_does_not_matter(void **state)
{
    (void)state;
    each_example(check_order);
}

static void check_cap(struct chance *chance, struct example *e, const struct price_book *book)
{
    enum { PARTS = 6 };
    quantity parts[PARTS], whole = 0, sum = 0;
    int64_t at = e->segment.start_ms, step = (e->segment.end_ms - at) / PARTS + 1;
    for (int i = 0; i < PARTS; i++, at += step)
        whole += parts[i] = bill_range(e, book, at, at + step).nanos;
    quantity limit = whole < 4000000000000000000 ? whole : 4000000000000000000;
    int64_t cap = 1 + (int64_t)roll(chance, (uint64_t)limit * 2 + 1);
    /* In two goes, as of two pages. */
    quantity first = parts[0] + parts[1];
    rate_cap(cap, 0, parts, 2);
    rate_cap(cap, first, parts + 2, PARTS - 2);
    for (int i = 0; i < PARTS; i++) {
        assert_true(parts[i] >= 0);
        sum += parts[i];
    }
    assert_nanos(sum, whole < cap ? whole : cap);
}

static void test_rate__parts_below_a_cap_add_up_too(void **state)
{
    (void)state;
    each_example(check_cap);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_rate__##name)
    const struct CMUnitTest tests[] = {
        TEST(a_started_hour_counts_whole),
        TEST(a_started_second_or_minute_counts_whole),
        TEST(what_is_asked_is_rounded_down_once),
        TEST(amounts_multiply),
        TEST(the_minimum_is_billed_at_once_and_never_again),
        TEST(a_grain_has_the_price_that_is_valid_when_it_starts),
        TEST(another_grain_counts_from_the_origin_too),
        TEST(the_minimum_belongs_to_the_price_at_the_origin),
        TEST(the_most_specific_price_holds),
        TEST(among_equals_the_one_that_began_last_holds_while_it_is_valid),
        TEST(the_general_price_goes_on_behind_a_special_one),
        TEST(what_has_no_price_is_shown_and_costs_nothing),
        TEST(a_gap_is_never_priced),
        TEST(an_hour_over_the_end_of_the_month_is_paid_once),
        TEST(rounding_goes_on_over_the_end_of_the_month),
        TEST(what_was_counted_is_split_where_prices_change),
        TEST(what_is_taken_back_cancels),
        TEST(the_largest_numbers_fit),
        TEST(above_the_cap_nothing_is_asked),
        TEST(the_price_found_is_the_one_of_the_plain_rule),
        TEST(closed_forms_agree_with_counting_every_grain),
        TEST(parts_add_up_however_a_range_is_cut),
        TEST(hours_sum_to_segments),
        TEST(a_prefix_never_exceeds_the_whole),
        TEST(rows_cut_at_the_end_of_a_month_ask_what_one_would),
        TEST(a_reversal_takes_back_exactly_what_was_asked),
        TEST(the_order_of_prices_does_not_matter),
        TEST(parts_below_a_cap_add_up_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
