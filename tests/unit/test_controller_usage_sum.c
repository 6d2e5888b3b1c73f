/* Sums of usage: by hand, and against adding up hour by hour, ten thousand times. */
#include "tests/unit/usage_ledger.h"

/* ---- rows taken down ---- */

enum { ROWS_MAX = 40000 };

struct taken {
    size_t count;
    struct usage_row rows[ROWS_MAX];
};

static bool take_row(void *ctx, const struct usage_row *row)
{
    struct taken *taken = ctx;
    assert_true(taken->count < ROWS_MAX);
    taken->rows[taken->count++] = *row;
    return true;
}

/* The whole answer, in as many goes as the budget asks for. */
static void ask(const struct usage_question *question, const struct price_book *book, size_t budget,
                const struct segment *segments, size_t count, struct taken *ret)
{
    struct usage_question part = *question;
    ret->count = 0;
    while (part.from_ms < part.to_ms) {
        struct usage_sum *sum = usage_sum_new(&part, book, budget);
        int64_t from, to;
        usage_sum_range(sum, &from, &to);
        for (size_t i = 0; i < count; i++) {
            if (segments[i].start_ms < to && segments[i].end_ms > from)
                usage_sum_add(sum, &segments[i]);
        }
        int64_t until = usage_sum_finish(sum);
        assert_true(until > part.from_ms);
        usage_sum_rows(sum, 0, take_row, ret);
        usage_sum_free(sum);
        part.from_ms = until;
    }
}

static struct taken *taken_new(void)
{
    return xcalloc(1, sizeof(struct taken));
}

static int64_t small(quantity value)
{
    assert_true(value >= INT64_MIN && value <= INT64_MAX);
    return (int64_t)value;
}

static struct segment running(int64_t start_ms, int64_t end_ms)
{
    return (struct segment){.key = 1,
                            .kind = SEGMENT_RUNNING,
                            .sign = 1,
                            .resource_key = 7,
                            .project_key = 3,
                            .node_key = 2,
                            .flavor_key = 5,
                            .start_ms = start_ms,
                            .end_ms = end_ms,
                            .origin_ms = start_ms,
                            .verified = true,
                            .amounts = {1, 2, 2048}};
}

static void test_usage_sum__hours_of_one_segment_are_cut_at_the_hour(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segment = running(at("2026-11-01T10:30:00Z"), at("2026-11-01T13:15:00.001Z"));
    struct usage_question question = {.from_ms = at("2026-11-01T00:00:00Z"),
                                      .to_ms = at("2026-12-01T00:00:00Z"),
                                      .period = USAGE_HOUR,
                                      .by = {USAGE_BY_PROJECT},
                                      .by_count = 1,
                                      .meters = 1U << METER_RUNNING | 1U << METER_RUNNING_VCPU};
    ask(&question, NULL, 0, &segment, 1, taken);
    static const int64_t lengths[] = {1800000, 3600000, 3600000, 900001};
    assert_int_equal(taken->count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(taken->rows[i].start_ms,
                         at("2026-11-01T10:00:00Z") + (int64_t)(i / 2) * HOUR);
        assert_int_equal(taken->rows[i].end_ms, taken->rows[i].start_ms + HOUR);
        assert_int_equal(taken->rows[i].meter, i % 2 ? METER_RUNNING_VCPU : METER_RUNNING);
        assert_int_equal(small(taken->rows[i].used), lengths[i / 2] * (i % 2 ? 2 : 1));
        assert_int_equal(taken->rows[i].key.project_key, 3);
        assert_int_equal(taken->rows[i].key.node_key, 0);
    }
}

static void test_usage_sum__a_period_is_clipped_to_what_was_asked(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segment = running(at("2026-10-01T00:00:00Z"), at("2026-11-01T00:00:00Z"));
    struct usage_question question = {.from_ms = at("2026-10-30T12:00:00.500Z"),
                                      .to_ms = at("2026-10-31T06:00:00Z"),
                                      .period = USAGE_DAY,
                                      .meters = 1U << METER_RUNNING};
    ask(&question, NULL, 0, &segment, 1, taken);
    assert_int_equal(taken->count, 2);
    assert_int_equal(taken->rows[0].start_ms, question.from_ms);
    assert_int_equal(small(taken->rows[0].used), 12 * HOUR - 500);
    assert_int_equal(taken->rows[1].end_ms, question.to_ms);
    assert_int_equal(small(taken->rows[1].used), 6 * HOUR);
}

static void test_usage_sum__months_differ_in_length(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    static const char *const starts[] = {"2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z",
                                         "2027-03-01T00:00:00Z", "2027-04-01T00:00:00Z"};
    struct segment whole = running(at(starts[0]), at(starts[3]));
    struct usage_question question = {.from_ms = at(starts[0]),
                                      .to_ms = at(starts[3]),
                                      .period = USAGE_MONTH,
                                      .meters = 1U << METER_RUNNING};
    ask(&question, NULL, 0, &whole, 1, taken);
    static const int64_t days[] = {31, 28, 31};
    assert_int_equal(taken->count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(small(taken->rows[i].used), days[i] * 24 * HOUR);
}

static void test_usage_sum__a_terabyte_year_does_not_overflow(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment image = running(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    image.kind = SEGMENT_IMAGE;
    image.resource = RESOURCE_IMAGE;
    image.amounts[0] = 1000000000000;
    struct usage_question question = {.from_ms = image.start_ms, .to_ms = image.end_ms};
    ask(&question, NULL, 0, &image, 1, taken);
    char text[QUANTITY_TEXT_MAX];
    quantity_text(taken->rows[0].used, text);
    assert_string_equal(text, "31536000000000000000000");
}

static void test_usage_sum__a_correction_is_part_of_the_sum_and_shown(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segments[3];
    segments[0] = running(at("2026-11-01T10:00:00Z"), at("2026-11-01T12:30:00Z"));
    segments[0].verified = false;
    segments[1] = segments[0];
    segments[1].key = 2;
    segments[1].sign = -1;
    segments[1].reverses = 1;
    segments[1].correction = true;
    segments[2] = running(at("2026-11-01T10:00:00Z"), at("2026-11-01T11:00:00Z"));
    segments[2].key = 3;
    segments[2].correction = true;
    struct usage_question question = {.from_ms = at("2026-11-01T00:00:00Z"),
                                      .to_ms = at("2026-11-02T00:00:00Z"),
                                      .meters = 1U << METER_RUNNING};
    ask(&question, NULL, 0, segments, 3, taken);
    assert_int_equal(taken->count, 1);
    assert_int_equal(small(taken->rows[0].used), HOUR);
    assert_int_equal(small(taken->rows[0].correction), -3 * HOUR / 2);
    assert_int_equal(small(taken->rows[0].unverified), 0);
    question.by[question.by_count++] = USAGE_BY_CLASS;
    ask(&question, NULL, 0, segments, 3, taken);
    assert_int_equal(taken->count, 2);
    assert_int_equal(small(taken->rows[0].used), 5 * HOUR / 2);
    /* The hours before were sealed when it still went on. */
    assert_int_equal(small(taken->rows[0].unverified), HOUR / 2);
    assert_int_equal(taken->rows[1].key.correction, 1);
    assert_int_equal(small(taken->rows[1].used), -3 * HOUR / 2);
}

static struct price by_the_hour(int64_t nanos)
{
    return (struct price){.key = 1,
                          .id = "p",
                          .meter = METER_RUNNING,
                          .nanos = nanos,
                          .grain_ms = 3600000,
                          .valid_until_ms = INT64_MAX};
}

static void test_usage_sum__a_started_hour_is_asked_for_where_it_starts(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segment = running(at("2026-11-01T10:30:00Z"), at("2026-11-01T11:40:00Z"));
    struct price price = by_the_hour(4000000);
    struct price_book *book = price_book_new(&price, 1);
    struct usage_question question = {.from_ms = at("2026-11-01T00:00:00Z"),
                                      .to_ms = at("2026-11-02T00:00:00Z"),
                                      .period = USAGE_HOUR,
                                      .meters = 1U << METER_RUNNING};
    ask(&question, book, 0, &segment, 1, taken);
    assert_int_equal(taken->count, 2);
    assert_int_equal(small(taken->rows[0].nanos), 4000000);
    assert_int_equal(small(taken->rows[1].nanos), 4000000);
    price_book_free(book);
}

static void test_usage_sum__what_an_hour_paid_for_is_not_asked_again_by_the_second(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segment = running(at("2026-11-01T10:30:00Z"), at("2026-11-01T14:00:00Z"));
    struct price prices[] = {by_the_hour(3600), by_the_hour(3600)};
    prices[1].key = 2;
    prices[1].grain_ms = 1000;
    prices[0].valid_until_ms = prices[1].valid_from_ms = at("2026-11-01T11:45:00Z");
    struct price_book *book = price_book_new(prices, 2);
    struct usage_question question = {.from_ms = at("2026-11-01T10:00:00Z"),
                                      .to_ms = at("2026-11-01T14:00:00Z"),
                                      .period = USAGE_HOUR,
                                      .by = {USAGE_BY_PRICE},
                                      .by_count = 1,
                                      .meters = 1U << METER_RUNNING};
    ask(&question, book, 0, &segment, 1, taken);
    static const int64_t keys[] = {1, 1, 2, 2, 2}, nanos[] = {3600, 3600, 0, 1800, 3600};
    assert_int_equal(taken->count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(taken->rows[i].price->key, keys[i]);
        assert_int_equal(small(taken->rows[i].nanos), nanos[i]);
    }
    price_book_free(book);
}

static void test_usage_sum__a_cap_holds_over_flavors_and_counts_from_the_month(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segments[2];
    segments[0] = running(at("2026-11-01T00:00:00Z"), at("2026-11-01T10:00:00Z"));
    segments[1] = running(at("2026-11-01T10:00:00Z"), at("2026-11-01T20:00:00Z"));
    segments[1].key = 2;
    segments[1].flavor_key = 6;
    struct price price = by_the_hour(10);
    price.monthly_cap_nanos = 125;
    struct price_book *book = price_book_new(&price, 1);
    struct usage_question question = {.from_ms = at("2026-11-01T04:00:00Z"),
                                      .to_ms = at("2026-12-01T00:00:00Z"),
                                      .by = {USAGE_BY_FLAVOR},
                                      .by_count = 1,
                                      .meters = 1U << METER_RUNNING};
    ask(&question, book, 0, segments, 2, taken);
    assert_int_equal(taken->count, 2);
    assert_int_equal(small(taken->rows[0].nanos), 60);
    assert_int_equal(small(taken->rows[1].nanos), 25);
    price_book_free(book);
}

static void test_usage_sum__a_correction_below_a_cap_frees_what_lay_above(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segments[3];
    segments[0] = running(at("2026-11-01T00:00:00Z"), at("2026-11-01T10:00:00Z"));
    segments[1] = running(at("2026-11-01T10:00:00Z"), at("2026-11-01T20:00:00Z"));
    segments[1].key = 2;
    segments[2] = segments[0];
    segments[2].key = 3;
    segments[2].sign = -1;
    segments[2].reverses = 1;
    segments[2].correction = true;
    struct price price = by_the_hour(10);
    price.monthly_cap_nanos = 125;
    struct price_book *book = price_book_new(&price, 1);
    struct usage_question question = {.from_ms = at("2026-11-01T00:00:00Z"),
                                      .to_ms = at("2026-12-01T00:00:00Z"),
                                      .by = {USAGE_BY_PRICE, USAGE_BY_CLASS},
                                      .by_count = 2,
                                      .meters = 1U << METER_RUNNING};
    ask(&question, book, 0, segments, 3, taken);
    assert_int_equal(taken->count, 2);
    assert_int_equal(small(taken->rows[0].nanos), 125);
    assert_int_equal(small(taken->rows[1].used), -10 * HOUR);
    assert_int_equal(small(taken->rows[1].nanos), -25);
    assert_ptr_equal(taken->rows[1].price, &price);
    price_book_free(book);
}

static void test_usage_sum__a_cap_goes_on_behind_another_price(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segment = running(at("2026-11-01T00:00:00Z"), at("2026-11-01T06:00:00Z"));
    struct price prices[] = {by_the_hour(10), by_the_hour(1)};
    prices[0].monthly_cap_nanos = 35;
    prices[1].key = 2;
    prices[1].project_key = segment.project_key;
    prices[1].valid_from_ms = segment.start_ms + 2 * HOUR;
    prices[1].valid_until_ms = segment.start_ms + 4 * HOUR;
    struct price_book *book = price_book_new(prices, 2);
    struct usage_question question = {.from_ms = segment.start_ms,
                                      .to_ms = segment.end_ms,
                                      .period = USAGE_HOUR,
                                      .meters = 1U << METER_RUNNING};
    ask(&question, book, 0, &segment, 1, taken);
    static const int64_t nanos[] = {10, 10, 1, 1, 10, 5};
    assert_int_equal(taken->count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(small(taken->rows[i].nanos), nanos[i]);
    price_book_free(book);
}

/* Resource 1 has "b", 2 has "a", 3 has none. */
static int32_t label_of(void *ctx, int label, const struct segment *segment)
{
    (void)ctx;
    assert_int_equal(label, 1);
    return segment->resource_key == 3 ? 0 : (int32_t)segment->resource_key;
}

static const char *label_text(void *ctx, int32_t value)
{
    (void)ctx;
    return value == 1 ? "b" : "a";
}

static void test_usage_sum__labels_come_in_the_order_of_their_texts(void **state)
{
    (void)state;
    autofree struct taken *taken = taken_new();
    struct segment segments[4];
    for (int64_t i = 0; i < 4; i++) {
        segments[i] = running(at("2026-11-01T00:00:00Z"), at("2026-11-01T01:00:00Z"));
        segments[i].key = i + 1;
        segments[i].resource_key = 1 + i % 3;
    }
    struct usage_question question = {.from_ms = segments[0].start_ms,
                                      .to_ms = segments[0].end_ms,
                                      .by = {USAGE_BY_LABEL + 1},
                                      .by_count = 1,
                                      .meters = 1U << METER_RUNNING,
                                      .labels = {.of = label_of, .text = label_text}};
    ask(&question, NULL, 0, segments, 4, taken);
    static const int32_t values[] = {0, 2, 1};
    assert_int_equal(taken->count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(taken->rows[i].key.labels[1], values[i]);
    assert_int_equal(small(taken->rows[2].used), 2 * HOUR);
}

static void test_usage_sum__numbers_are_written_exactly(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        int places;
        const char *text;
    } cases[] = {{4000000, 9, "0.004000000"},
                 {0, 0, "0"},
                 {-1, 3, "-0.001"},
                 {12345, 3, "12.345"},
                 {-7, 0, "-7"},
                 {0, 2, "0.00"},
                 {INT64_MIN, 0, "-9223372036854775808"},
                 {1000, 3, "1.000"}};
    char text[QUANTITY_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        quantity_decimal(cases[i].value, cases[i].places, text);
        assert_string_equal(text, cases[i].text);
    }
    quantity lowest = (quantity)((unsigned __int128)1 << 127);
    quantity_text(lowest, text);
    assert_string_equal(text, "-170141183460469231731687303715884105728");
}

static bool stop_at_two(void *ctx, const struct usage_row *row)
{
    (void)row;
    return ++*(int *)ctx < 2;
}

static void test_usage_sum__rows_come_from_where_a_page_ended(void **state)
{
    (void)state;
    struct segment segment = running(at("2026-11-01T00:00:00Z"), at("2026-11-01T05:00:00Z"));
    struct usage_question question = {.from_ms = segment.start_ms,
                                      .to_ms = segment.end_ms,
                                      .period = USAGE_HOUR,
                                      .meters = 1U << METER_RUNNING};
    struct usage_sum *sum = usage_sum_new(&question, NULL, 0);
    usage_sum_add(sum, &segment);
    usage_sum_finish(sum);
    int calls = 0;
    usage_sum_rows(sum, 0, stop_at_two, &calls);
    assert_int_equal(calls, 2);
    struct taken *rest = taken_new();
    usage_sum_rows(sum, 2, take_row, rest);
    assert_int_equal(rest->count, 3);
    assert_int_equal(rest->rows[0].start_ms, segment.start_ms + 2 * HOUR);
    free(rest);
    usage_sum_free(sum);
}

/* ---- the same, slowly ---- */

static bool same_key(const struct usage_question *question, const struct usage_key *key,
                     const struct segment *segment)
{
    if (key->kind != segment->kind)
        return false;
    if (usage_asks(question, USAGE_BY_PROJECT) && key->project_key != segment->project_key)
        return false;
    if (usage_asks(question, USAGE_BY_RESOURCE) &&
        (key->resource_key != segment->resource_key || key->resource != segment->resource))
        return false;
    if (usage_asks(question, USAGE_BY_FLAVOR) && key->flavor_key != segment->flavor_key)
        return false;
    if (usage_asks(question, USAGE_BY_CLASS) && key->correction != segment->correction)
        return false;
    return !usage_asks(question, USAGE_BY_NODE) || key->node_key == segment->node_key;
}

/* An overlap times an amount, or the difference of two shares rounded down. */
static quantity used_slowly(const struct segment *segment, int meter, int64_t from, int64_t to)
{
    const struct meter_def *def = &meters[meter];
    int64_t low = from > segment->start_ms ? from : segment->start_ms;
    int64_t high = to < segment->end_ms ? to : segment->end_ms;
    quantity amount = segment->amounts[def->amount], length = segment->end_ms - segment->start_ms;
    if (def->kind != segment->kind || low >= high)
        return 0;
    quantity used = def->counted ? amount * (high - segment->start_ms) / length -
                                       amount * (low - segment->start_ms) / length
                                 : amount * (high - low);
    return used * segment->sign;
}

static void check_used(const struct ledger *ledger, const struct usage_question *question,
                       const struct taken *taken)
{
    for (size_t i = 0; i < taken->count; i++) {
        const struct usage_row *row = &taken->rows[i];
        quantity sums[3] = {0};
        for (size_t k = 0; k < ledger->count; k++) {
            const struct segment *segment = &ledger->segments[k];
            if (!same_key(question, &row->key, segment))
                continue;
            quantity used = used_slowly(segment, row->meter, row->start_ms, row->end_ms);
            sums[0] += used;
            int64_t hour = segment->end_ms / HOUR * HOUR;
            sums[1] += segment->verified
                           ? 0
                           : used_slowly(segment, row->meter,
                                         hour > row->start_ms ? hour : row->start_ms, row->end_ms);
            sums[2] += segment->correction ? used : 0;
        }
        assert_true(row->used == sums[0]);
        assert_true(row->unverified == sums[1]);
        assert_true(row->correction == sums[2]);
    }
}

/* Of one meter; -1: all added up, which is a number to compare by and nothing else. */
static quantity total_used(const struct taken *taken, int meter)
{
    quantity sum = 0;
    for (size_t i = 0; i < taken->count; i++)
        sum += meter < 0 || taken->rows[i].meter == meter ? taken->rows[i].used : 0;
    return sum;
}

static quantity total_nanos(const struct taken *taken, int meter)
{
    quantity sum = 0;
    for (size_t i = 0; i < taken->count; i++)
        sum += meter < 0 || taken->rows[i].meter == meter ? taken->rows[i].nanos : 0;
    return sum;
}

struct tally {
    const struct price *price;
    quantity nanos;
};

static void tally_one(void *ctx, const struct price *price, int64_t from_ms, int64_t to_ms,
                      quantity used, quantity nanos)
{
    struct tally *tally = ctx;
    (void)from_ms;
    (void)to_ms;
    (void)used;
    tally->nanos += price == tally->price ? nanos : 0;
}

/* All that a price asks of a resource from the beginning of a month, reversals taken off. */
static quantity asked_until(const struct ledger *ledger, const struct price *price,
                            int64_t resource, int64_t month_ms, int64_t until_ms)
{
    struct tally tally = {.price = price};
    for (size_t i = 0; i < ledger->count; i++) {
        const struct segment *segment = &ledger->segments[i];
        if (segment->resource_key == resource && month_floor(segment->start_ms) == month_ms)
            rate_segment(ledger->book, segment, price->meter, month_ms, until_ms, tally_one,
                         &tally);
    }
    quantity cap = price->monthly_cap_nanos;
    return cap && tally.nanos > cap ? cap : tally.nanos;
}

static quantity nanos_slowly(const struct ledger *ledger, int meter, int64_t from, int64_t to)
{
    quantity sum = 0;
    int64_t months[] = {month_floor(from), month_floor(to - 1)};
    for (size_t m = 0; m < (months[0] == months[1] ? 1 : 2); m++) {
        for (size_t i = 0; i < ledger->price_count; i++) {
            if (ledger->prices[i].meter != meter)
                continue;
            for (int64_t resource = 1; resource <= RESOURCES; resource++)
                sum += asked_until(ledger, &ledger->prices[i], resource, months[m], to) -
                       asked_until(ledger, &ledger->prices[i], resource, months[m], from);
        }
    }
    return sum;
}

static void check_nanos(const struct ledger *ledger, const struct taken *taken, int64_t from,
                        int64_t to)
{
    for (int meter = 0; meter < METER_COUNT; meter++)
        assert_true(total_nanos(taken, meter) == nanos_slowly(ledger, meter, from, to));
}

static void random_keys(struct usage_question *question, struct dice *dice)
{
    static const int keys[] = {USAGE_BY_PROJECT, USAGE_BY_RESOURCE, USAGE_BY_FLAVOR, USAGE_BY_NODE,
                               USAGE_BY_METER};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (below(dice, 2))
            question->by[question->by_count++] = keys[i];
    }
}

static bool same_group(const struct usage_row *a, const struct usage_row *b)
{
    return a->meter == b->meter && memcmp(&a->key, &b->key, sizeof(a->key)) == 0;
}

static bool same_row(const struct usage_row *a, const struct usage_row *b)
{
    return same_group(a, b) && a->start_ms == b->start_ms && a->end_ms == b->end_ms &&
           a->used == b->used && a->unverified == b->unverified && a->correction == b->correction &&
           a->nanos == b->nanos;
}

/* Of each group, and so of all. */
static void check_parts(const struct taken *whole, const struct taken *parts)
{
    for (size_t i = 0; i < whole->count; i++) {
        quantity used = 0, nanos = 0;
        for (size_t k = 0; k < parts->count; k++) {
            if (!same_group(&whole->rows[i], &parts->rows[k]))
                continue;
            used += parts->rows[k].used;
            nanos += parts->rows[k].nanos;
        }
        assert_true(whole->rows[i].used == used);
        assert_true(whole->rows[i].nanos == nanos);
    }
    assert_true(total_used(whole, -1) == total_used(parts, -1));
    assert_true(total_nanos(whole, -1) == total_nanos(parts, -1));
}

struct sheets {
    struct taken *whole, *parts, *more;
};

static void check_ledger(const struct ledger *ledger, struct dice *dice, struct sheets *sheets)
{
    struct usage_question question = {.from_ms = ledger->from_ms, .to_ms = ledger->to_ms};
    const struct segment *rows = ledger->segments;
    random_keys(&question, dice);
    ask(&question, ledger->book, 0, rows, ledger->count, sheets->whole);
    check_used(ledger, &question, sheets->whole);
    check_nanos(ledger, sheets->whole, question.from_ms, question.to_ms);
    /* Hours, days or months sum up to the whole, group by group, whatever memory there is. */
    question.period = USAGE_HOUR + (int)below(dice, 3);
    ask(&question, ledger->book, 0, rows, ledger->count, sheets->parts);
    check_used(ledger, &question, sheets->parts);
    check_parts(sheets->whole, sheets->parts);
    ask(&question, ledger->book, 1, rows, ledger->count, sheets->more);
    assert_int_equal(sheets->more->count, sheets->parts->count);
    for (size_t i = 0; i < sheets->more->count; i++)
        assert_true(same_row(&sheets->more->rows[i], &sheets->parts->rows[i]));
    /* A range cut anywhere. */
    question.period = USAGE_TOTAL;
    int64_t cut = question.from_ms + 1 + below(dice, question.to_ms - question.from_ms - 1);
    question.to_ms = cut;
    ask(&question, ledger->book, 0, rows, ledger->count, sheets->parts);
    size_t first = sheets->parts->count;
    question.to_ms = ledger->to_ms;
    question.from_ms = cut;
    ask(&question, ledger->book, 0, rows, ledger->count, sheets->more);
    for (size_t i = 0; i < sheets->more->count; i++)
        take_row(sheets->parts, &sheets->more->rows[i]);
    assert_true(sheets->parts->count >= first);
    check_parts(sheets->whole, sheets->parts);
}

/* What is grouped sums up to what is not, and in one way to the other. */
static void check_groups(const struct ledger *ledger, struct dice *dice, struct sheets *sheets)
{
    static const int keys[][3] = {
        {USAGE_BY_PROJECT}, {USAGE_BY_NODE}, {USAGE_BY_RESOURCE, USAGE_BY_PRICE, USAGE_BY_CLASS}};
    struct taken *sheet[] = {sheets->whole, sheets->parts, sheets->more};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct usage_question question = {.from_ms = ledger->from_ms,
                                          .to_ms = ledger->to_ms,
                                          .by_count = i < 2 ? 1 : 3,
                                          .period = (int)below(dice, 4)};
        memcpy(question.by, keys[i], sizeof(keys[i]));
        ask(&question, ledger->book, 0, ledger->segments, ledger->count, sheet[i]);
        check_nanos(ledger, sheet[i], ledger->from_ms, ledger->to_ms);
    }
    for (int meter = 0; meter < METER_COUNT; meter++) {
        quantity used = total_used(sheets->whole, meter);
        assert_true(used == total_used(sheets->parts, meter));
        assert_true(used == total_used(sheets->more, meter));
    }
}

static void test_usage_sum__ten_thousand_ledgers_add_up_exactly(void **state)
{
    (void)state;
    struct sheets sheets = {taken_new(), taken_new(), taken_new()};
    static struct ledger ledger;
    size_t rows = 0;
    for (uint64_t seed = 1; seed <= 10000; seed++) {
        struct dice dice = {.state = seed * 0x9e3779b97f4a7c15};
        random_ledger(&ledger, &dice);
        check_ledger(&ledger, &dice, &sheets);
        check_groups(&ledger, &dice, &sheets);
        rows += sheets.more->count;
        price_book_free(ledger.book);
    }
    assert_true(rows > 100000);
    free(sheets.whole);
    free(sheets.parts);
    free(sheets.more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_sum__hours_of_one_segment_are_cut_at_the_hour),
        cmocka_unit_test(test_usage_sum__a_period_is_clipped_to_what_was_asked),
        cmocka_unit_test(test_usage_sum__months_differ_in_length),
        cmocka_unit_test(test_usage_sum__a_terabyte_year_does_not_overflow),
        cmocka_unit_test(test_usage_sum__a_correction_is_part_of_the_sum_and_shown),
        cmocka_unit_test(test_usage_sum__a_started_hour_is_asked_for_where_it_starts),
        cmocka_unit_test(test_usage_sum__what_an_hour_paid_for_is_not_asked_again_by_the_second),
        cmocka_unit_test(test_usage_sum__a_cap_holds_over_flavors_and_counts_from_the_month),
        cmocka_unit_test(test_usage_sum__a_correction_below_a_cap_frees_what_lay_above),
        cmocka_unit_test(test_usage_sum__a_cap_goes_on_behind_another_price),
        cmocka_unit_test(test_usage_sum__labels_come_in_the_order_of_their_texts),
        cmocka_unit_test(test_usage_sum__numbers_are_written_exactly),
        cmocka_unit_test(test_usage_sum__rows_come_from_where_a_page_ended),
        cmocka_unit_test(test_usage_sum__ten_thousand_ledgers_add_up_exactly),
    };
    return cmocka_run_group_tests_name("usage_sum", tests, NULL, NULL);
}
