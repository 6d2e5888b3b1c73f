/* Money, exact to the nano-unit, by numbers worked out by hand. */
#include "tests/unit/rate_bill.h"

static struct bill bill_all(const struct price *prices, size_t count, const struct segment *segment,
                            int meter)
{
    struct price_book *book = price_book_new(prices, count);
    struct bill bill = bill_part(book, segment, meter, segment->start_ms, segment->end_ms);
    price_book_free(book);
    return bill;
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

/* Two prices of one coin for each second, the second of which follows after `change_ms`. */
static void one_after_another(struct price prices[2], int64_t grain_ms, int64_t next_grain_ms,
                              int64_t change_ms)
{
    prices[0] = prices[1] = by_hour(3600);
    prices[0].grain_ms = grain_ms;
    prices[1].grain_ms = next_grain_ms;
    prices[1].key = 2;
    prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER + change_ms;
}

/* What both ask until so long after the segment began. */
static void asks_until(const struct price *prices, size_t count, const struct segment *segment,
                       int64_t length_ms, int64_t first, int64_t second)
{
    struct price_book *book = price_book_new(prices, count);
    struct bill bill =
        bill_part(book, segment, METER_RUNNING, segment->start_ms, segment->start_ms + length_ms);
    price_book_free(book);
    assert_nanos(bill.asked[1], first);
    assert_nanos(bill.asked[2], second);
}

static void test_rate__from_the_hour_to_the_second_nothing_is_paid_twice(void **state)
{
    (void)state;
    struct price prices[2];
    struct segment segment = running(NOVEMBER, 4 * HOUR_MS);
    one_after_another(prices, HOUR_MS, SECOND_MS, 90 * MINUTE_MS);
    asks_until(prices, 2, &segment, 90 * MINUTE_MS, 7200, 0);
    asks_until(prices, 2, &segment, 2 * HOUR_MS, 7200, 0);
    asks_until(prices, 2, &segment, 2 * HOUR_MS + 1, 7200, 1);
    asks_until(prices, 2, &segment, 4 * HOUR_MS, 7200, 7200);
}

static void test_rate__from_the_second_to_the_hour_no_time_is_free(void **state)
{
    (void)state;
    struct price prices[2];
    struct segment segment = running(NOVEMBER, 4 * HOUR_MS);
    /* The last second goes on for half a second into the new price. */
    one_after_another(prices, SECOND_MS, HOUR_MS, 30 * MINUTE_MS - 500);
    asks_until(prices, 2, &segment, 30 * MINUTE_MS - 500, 1800, 0);
    asks_until(prices, 2, &segment, 30 * MINUTE_MS, 1800, 0);
    asks_until(prices, 2, &segment, 30 * MINUTE_MS + 1, 1800, 3600);
    asks_until(prices, 2, &segment, 90 * MINUTE_MS, 1800, 3600);
    asks_until(prices, 2, &segment, 90 * MINUTE_MS + 1, 1800, 7200);
}

static void test_rate__the_first_price_counts_from_where_it_begins(void **state)
{
    (void)state;
    struct price price = by_hour(100);
    struct segment segment = running(NOVEMBER, 4 * HOUR_MS);
    price.valid_from_ms = NOVEMBER + 20 * MINUTE_MS;
    price.minimum_ms = 3 * HOUR_MS; /* of what begins under it, which this did not */
    asks_until(&price, 1, &segment, 20 * MINUTE_MS, 0, 0);
    asks_until(&price, 1, &segment, 20 * MINUTE_MS + 1, 100, 0);
    asks_until(&price, 1, &segment, 80 * MINUTE_MS, 100, 0);
    asks_until(&price, 1, &segment, 80 * MINUTE_MS + 1, 200, 0);
}

static void test_rate__between_two_prices_only_what_was_started_is_paid(void **state)
{
    (void)state;
    struct price prices[2];
    struct segment segment = running(NOVEMBER, 8 * HOUR_MS);
    one_after_another(prices, HOUR_MS, MINUTE_MS, 90 * MINUTE_MS);
    /* Begins again within the hour that was paid for, and counts from its end. */
    prices[1].valid_from_ms = NOVEMBER + 110 * MINUTE_MS;
    asks_until(prices, 2, &segment, 2 * HOUR_MS, 7200, 0);
    asks_until(prices, 2, &segment, 2 * HOUR_MS + 1, 7200, 60);
    asks_until(prices, 2, &segment, 3 * HOUR_MS, 7200, 3600);
    /* Begins later than that, between two minutes, and counts from where it begins. */
    prices[1].valid_from_ms = NOVEMBER + 3 * HOUR_MS + 100;
    asks_until(prices, 2, &segment, 3 * HOUR_MS + 100, 7200, 0);
    asks_until(prices, 2, &segment, 3 * HOUR_MS + 101, 7200, 60);
    asks_until(prices, 2, &segment, 3 * HOUR_MS + MINUTE_MS + 100, 7200, 60);
    asks_until(prices, 2, &segment, 3 * HOUR_MS + MINUTE_MS + 101, 7200, 120);
}

static void test_rate__a_change_within_the_minimum_waits_for_its_end(void **state)
{
    (void)state;
    struct price prices[2];
    struct segment segment = running(NOVEMBER, 4 * HOUR_MS);
    one_after_another(prices, MINUTE_MS, SECOND_MS, MINUTE_MS);
    prices[0].minimum_ms = prices[1].minimum_ms = 10 * MINUTE_MS - 1;
    asks_until(prices, 2, &segment, 1, 600, 0);
    asks_until(prices, 2, &segment, 10 * MINUTE_MS, 600, 0);
    asks_until(prices, 2, &segment, 10 * MINUTE_MS + 1, 600, 1);
    asks_until(prices, 2, &segment, HOUR_MS, 600, 3000);
    /* One that begins with the segment asks for its own. */
    prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER;
    asks_until(prices, 2, &segment, 1, 0, 600);
}

static void test_rate__a_price_that_comes_back_goes_on_rounding(void **state)
{
    (void)state;
    struct price prices[3] = {by_hour(1), by_hour(0), by_hour(0)};
    struct segment segment = running(NOVEMBER, 4 * HOUR_MS);
    prices[0].grain_ms = SECOND_MS;
    for (int i = 1; i < 3; i++) {
        prices[i].key = i + 1;
        prices[i].project_key = 1;
        prices[i].grain_ms = MINUTE_MS;
        prices[i].valid_from_ms = NOVEMBER + i * HOUR_MS - 30 * MINUTE_MS;
        prices[i].valid_until_ms = prices[i].valid_from_ms + 30 * MINUTE_MS;
    }
    /* Half an hour, nothing, half an hour, nothing: one nano for the two together. */
    asks_until(prices, 3, &segment, 90 * MINUTE_MS - SECOND_MS, 0, 0);
    asks_until(prices, 3, &segment, 90 * MINUTE_MS, 1, 0);
    asks_until(prices, 3, &segment, 3 * HOUR_MS - SECOND_MS, 1, 0);
    asks_until(prices, 3, &segment, 3 * HOUR_MS, 2, 0);
}

static void test_rate__months_cut_where_prices_change_ask_what_the_whole_does(void **state)
{
    (void)state;
    struct price prices[2];
    struct segment whole = running(NOVEMBER - 45 * MINUTE_MS, 4 * HOUR_MS);
    one_after_another(prices, HOUR_MS, SECOND_MS, 0);
    for (int64_t change = -HOUR_MS; change <= HOUR_MS; change += 5 * MINUTE_MS) {
        struct segment october = whole, november = whole;
        october.end_ms = november.start_ms = NOVEMBER;
        prices[0].valid_until_ms = prices[1].valid_from_ms = NOVEMBER + change;
        assert_nanos(bill_all(prices, 2, &october, METER_RUNNING).nanos +
                         bill_all(prices, 2, &november, METER_RUNNING).nanos,
                     bill_all(prices, 2, &whole, METER_RUNNING).nanos);
        assert_nanos(bill_all(prices, 2, &whole, METER_RUNNING).nanos, 4 * 3600);
    }
}

static void test_rate__each_second_apart_adds_up_over_a_change(void **state)
{
    (void)state;
    struct price prices[2];
    struct segment segment = running(NOVEMBER, 3 * HOUR_MS);
    one_after_another(prices, HOUR_MS, SECOND_MS, 90 * MINUTE_MS);
    struct price_book *book = price_book_new(prices, 2);
    quantity nanos = 0;
    for (int64_t at = NOVEMBER; at < segment.end_ms; at += SECOND_MS) {
        struct bill bill = bill_part(book, &segment, METER_RUNNING, at, at + SECOND_MS);
        bool hour = at == NOVEMBER || at == NOVEMBER + HOUR_MS;
        assert_nanos(bill.nanos, hour ? 3600 : at >= NOVEMBER + 2 * HOUR_MS);
        nanos += bill.nanos;
    }
    assert_nanos(nanos, bill_part(book, &segment, METER_RUNNING, 0, INT64_MAX).nanos);
    price_book_free(book);
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
        TEST(from_the_hour_to_the_second_nothing_is_paid_twice),
        TEST(from_the_second_to_the_hour_no_time_is_free),
        TEST(the_first_price_counts_from_where_it_begins),
        TEST(between_two_prices_only_what_was_started_is_paid),
        TEST(a_change_within_the_minimum_waits_for_its_end),
        TEST(a_price_that_comes_back_goes_on_rounding),
        TEST(months_cut_where_prices_change_ask_what_the_whole_does),
        TEST(each_second_apart_adds_up_over_a_change),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
