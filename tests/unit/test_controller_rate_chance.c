/* Money, exact to the nano-unit: random histories held against a walk along every single grain,
 * and what holds for all of them. */
#include "tests/unit/rate_bill.h"

enum { CASES = 50000, PRICES_MAX = 14 };

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
    struct price prices[PRICES_MAX + 1]; /* room for one more */
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

static struct price roll_price(struct chance *chance, int64_t key, int meter, int64_t around_ms)
{
    static const int64_t grains[] = {SECOND_MS, MINUTE_MS, HOUR_MS};
    static const int64_t ranges[] = {5, 100000, 9000000000000001};
    struct price price = {.key = key,
                          .meter = meter,
                          .project_key = (int64_t)roll(chance, 3),
                          .flavor_key = (int64_t)roll(chance, 3),
                          .nanos = (int64_t)roll(chance, (uint64_t)ranges[roll(chance, 3)]),
                          .grain_ms = meters[meter].counted ? 0 : grains[roll(chance, 3)],
                          .valid_from_ms = roll_moment(chance, around_ms),
                          .valid_until_ms = INT64_MAX};
    if (!meters[meter].counted && roll(chance, 2))
        price.minimum_ms = (int64_t)roll(chance, 5000) * SECOND_MS;
    if (roll(chance, 2))
        price.valid_from_ms = around_ms + (int64_t)roll(chance, 6 * HOUR_MS);
    if (roll(chance, 3) == 0)
        price.valid_from_ms = 0;
    if (roll(chance, 2))
        price.valid_until_ms = (price.valid_from_ms ? price.valid_from_ms : around_ms) +
                               (int64_t)roll(chance, 4 * HOUR_MS);
    return price;
}

static struct example roll_example(uint64_t seed)
{
    struct chance chance = {seed};
    struct example e = {.count = (size_t)roll(&chance, PRICES_MAX + 1)};
    do {
        e.meter = (int)roll(&chance, METER_COUNT);
    } while (e.meter == METER_GAP);
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
    for (size_t i = 0; i < e.count; i++)
        e.prices[i] = roll_price(&chance, (int64_t)i + 1, e.meter, e.segment.origin_ms);
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

/* Where the next price of all begins; t_ms: none does before. */
static int64_t plainly_begins(const struct example *e, int64_t after_ms, int64_t t_ms)
{
    int64_t next = t_ms;
    for (size_t i = 0; i < e->count; i++) {
        int64_t from = e->prices[i].valid_from_ms;
        if (from > after_ms && from < next)
            next = from;
    }
    return next;
}

/* Of each price, by its key, the grains that start before t: one where the other ended. */
static void count_grains(const struct example *e, int64_t t_ms, quantity *grains)
{
    int64_t at = e->segment.origin_ms;
    const struct price *price = plainly_holds(e, at);
    for (int64_t ms = 0; at < t_ms && price && ms < price->minimum_ms; ms += price->grain_ms)
        grains[price->key]++;
    if (price && grains[price->key])
        at += (int64_t)grains[price->key] * price->grain_ms;
    while (at < t_ms) {
        price = plainly_holds(e, at);
        if (price)
            grains[price->key]++;
        at = price ? at + price->grain_ms : plainly_begins(e, at, t_ms);
    }
}

static void check_grains(struct chance *chance, struct example *e, const struct price_book *book)
{
    const struct meter_def *def = &meters[e->meter];
    const struct segment *segment = &e->segment;
    (void)chance;
    if (def->counted)
        return;
    quantity before[KEYS] = {0}, after[KEYS] = {0};
    quantity unit = (quantity)def->priced_unit_hi * def->priced_unit_lo;
    struct bill bill = bill_range(e, book, segment->start_ms, segment->end_ms);
    count_grains(e, segment->start_ms, before);
    count_grains(e, segment->end_ms, after);
    for (size_t i = 0; i < e->count; i++) {
        const struct price *p = &e->prices[i];
        quantity by = (quantity)p->nanos * segment->amounts[def->amount] * p->grain_ms;
        assert_nanos(bill.asked[p->key], by * after[p->key] / unit - by * before[p->key] / unit);
    }
}

static void test_rate__closed_forms_agree_with_a_walk_along_every_grain(void **state)
{
    (void)state;
    each_example(check_grains);
}

/* One nano for each millisecond, whatever holds, so that what is asked is the time paid for. */
static void check_time_paid(struct chance *chance, struct example *e, const struct price_book *book)
{
    struct example even = *e;
    (void)book;
    if (meters[e->meter].counted)
        return;
    even.meter = METER_RUNNING;
    even.segment.kind = SEGMENT_RUNNING;
    even.segment.amounts[0] = 1;
    even.segment.start_ms = even.segment.origin_ms;
    for (size_t i = 0; i < e->count; i++) {
        even.prices[i].meter = METER_RUNNING;
        even.prices[i].nanos = HOUR_MS;
        even.prices[i].minimum_ms = 0;
    }
    struct price_book *even_book = price_book_new(even.prices, even.count);
    for (int64_t at = even.segment.origin_ms; at < even.segment.end_ms;) {
        at += 1 + (int64_t)roll(chance, HOUR_MS);
        struct bill bill = bill_range(&even, even_book, 0, at);
        assert_true(bill.nanos >= bill.priced);
        assert_true(bill.nanos < bill.used + HOUR_MS);
    }
    price_book_free(even_book);
}

static void test_rate__no_time_is_free_and_none_is_paid_twice(void **state)
{
    (void)state;
    each_example(check_time_paid);
}

/* One more price from some moment on, and another one ended there. */
static void check_later(struct chance *chance, struct example *e, const struct price_book *book)
{
    int64_t length = e->segment.end_ms - e->segment.start_ms;
    int64_t at = e->segment.start_ms + 1 + (int64_t)roll(chance, (uint64_t)length);
    struct bill wanted = bill_range(e, book, INT64_MIN, at);
    if (e->count && e->prices[0].valid_until_ms > at)
        e->prices[0].valid_until_ms = at > e->prices[0].valid_from_ms ? at : 0;
    e->prices[e->count] = roll_price(chance, (int64_t)e->count + 1, e->meter, at);
    e->prices[e->count].valid_from_ms = at;
    e->prices[e->count++].valid_until_ms = INT64_MAX;
    struct price_book *changed = price_book_new(e->prices, e->count);
    struct bill bill = bill_range(e, changed, INT64_MIN, at);
    price_book_free(changed);
    assert_memory_equal(bill.asked, wanted.asked, sizeof(bill.asked));
    assert_int_equal(bill.count, wanted.count);
}

static void test_rate__a_price_that_changes_later_never_changes_the_past(void **state)
{
    (void)state;
    each_example(check_later);
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

/* All that is told of some periods, one for each call. */
struct told {
    int64_t from_ms, to_ms, key;
    quantity used, nanos;
};

struct story {
    struct told told[64];
    size_t count;
};

static void tell(void *ctx, const struct price *price, int64_t from_ms, int64_t to_ms,
                 quantity used, quantity nanos)
{
    struct story *story = ctx;
    assert_true(story->count < ARRAY_SIZE(story->told));
    story->told[story->count++] =
        (struct told){from_ms, to_ms, price ? price->key : 0, used, nanos};
}

static void check_periods(struct chance *chance, struct example *e, const struct price_book *book)
{
    enum { PERIODS = 5 };
    struct story one = {0}, apart = {0};
    int64_t bounds[PERIODS + 1], length = e->segment.end_ms - e->segment.start_ms;
    bounds[0] = e->segment.start_ms + (int64_t)roll(chance, (uint64_t)length) - length / 4;
    for (size_t i = 1; i <= PERIODS; i++)
        bounds[i] = bounds[i - 1] + 1 + (int64_t)roll(chance, (uint64_t)length / 3 + 1);
    rate_periods(book, &e->segment, e->meter, bounds, PERIODS, tell, &one);
    for (size_t i = 0; i < PERIODS; i++)
        rate_segment(book, &e->segment, e->meter, bounds[i], bounds[i + 1], tell, &apart);
    assert_int_equal(one.count, apart.count);
    for (size_t i = 0; i < one.count; i++) {
        assert_true(one.told[i].from_ms == apart.told[i].from_ms);
        assert_true(one.told[i].to_ms == apart.told[i].to_ms);
        assert_true(one.told[i].key == apart.told[i].key);
        assert_true(one.told[i].used == apart.told[i].used);
        assert_nanos(one.told[i].nanos, apart.told[i].nanos);
    }
}

static void test_rate__periods_in_one_go_are_told_as_one_by_one(void **state)
{
    (void)state;
    each_example(check_periods);
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
        TEST(the_price_found_is_the_one_of_the_plain_rule),
        TEST(closed_forms_agree_with_a_walk_along_every_grain),
        TEST(no_time_is_free_and_none_is_paid_twice),
        TEST(a_price_that_changes_later_never_changes_the_past),
        TEST(parts_add_up_however_a_range_is_cut),
        TEST(periods_in_one_go_are_told_as_one_by_one),
        TEST(hours_sum_to_segments),
        TEST(a_prefix_never_exceeds_the_whole),
        TEST(rows_cut_at_the_end_of_a_month_ask_what_one_would),
        TEST(a_reversal_takes_back_exactly_what_was_asked),
        TEST(the_order_of_prices_does_not_matter),
        TEST(parts_below_a_cap_add_up_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
