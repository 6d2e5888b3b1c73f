/* Quantities, money, times and bars: text out of integers and back, at the edges. */
#include "tests/unit/cli_harness.h"

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "cli/line/amount.h"
#include "cli/line/moment.h"
#include "cli/show/chart.h"

/* ---- quantities ---- */

static void assert_quantity(const char *quantity, const char *unit, const char *text)
{
    amount value;
    auto_buf struct buf out = {0};
    assert_true(amount_parse(quantity, &value));
    amount_put_quantity(value, unit, &out);
    assert_string_equal(out.data, text);
}

static void test_quantity__is_shown_in_what_prices_are_for(void **state)
{
    (void)state;
    assert_quantity("4500000", "ms", "1.250 h");
    assert_quantity("7200000", "vcpu_ms", "2.000 vCPU h");
    assert_quantity("1843200000", "mib_ms", "0.500 GiB h");
    assert_quantity("18000000", "gib_ms", "5.000 GiB h");
    assert_quantity("3600000000000000", "byte_ms", "1.000 GB h");
    assert_quantity("1500000000", "bytes", "1.500 GB");
    assert_quantity("5400000000000", "ns", "1.500 CPU h");
    assert_quantity("12", "parsec", "12 parsec");
}

static void test_quantity__is_rounded_half_up(void **state)
{
    (void)state;
    assert_quantity("3599999", "ms", "1.000 h");
    assert_quantity("5401799", "ms", "1.500 h");
    assert_quantity("5401800", "ms", "1.501 h");
    assert_quantity("-5401800", "ms", "-1.501 h");
    assert_quantity("-4500000", "ms", "-1.250 h");
    assert_quantity("31536000000000000000000", "byte_ms", "8760000.000 GB h");
    assert_quantity("999999999999999999999999999999999999", "byte_ms",
                    "277777777777777777777.778 GB h");
}

static void test_quantity__that_is_small_has_four_digits(void **state)
{
    (void)state;
    assert_quantity("79101", "ms", "0.02197 h");
    assert_quantity("-79101", "ms", "-0.02197 h");
    assert_quantity("3600", "ms", "0.001 h");
    assert_quantity("1800", "ms", "0.0005 h");
    assert_quantity("1", "ms", "0.000000278 h");
    assert_quantity("1234567", "bytes", "0.001235 GB");
    assert_quantity("1800000", "ms", "0.500 h");
}

static void test_quantity__nothing_has_no_sign(void **state)
{
    (void)state;
    assert_quantity("0", "ms", "0.000 h");
    assert_quantity("1", "byte_ms", "0.000 GB h");
    assert_quantity("-1", "byte_ms", "0.000 GB h");
}

static void test_quantity__text_must_be_a_whole_number(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",   "-",   "1.5", "1e3", " 1",
        "1 ", "0x1", "+1",  "--1", "1000000000000000000000000000000000000"};
    amount value;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(amount_parse(bad[i], &value));
    assert_false(amount_of(NULL, &value));
}

/* ---- money ---- */

static void assert_money(const char *nanos, const char *text)
{
    amount value;
    auto_buf struct buf out = {0};
    assert_true(amount_parse(nanos, &value));
    money_put(value, money_decimals(value), &out);
    assert_string_equal(out.data, text);
}

static void test_money__has_four_decimals_or_as_many_as_it_takes(void **state)
{
    (void)state;
    assert_money("0", "0.0000");
    assert_money("4000000", "0.0040");
    assert_money("1", "0.000000001");
    assert_money("-1", "-0.000000001");
    assert_money("10000", "0.00001");
    assert_money("1234500000000", "1234.5000");
    assert_money("-12340000000", "-12.3400");
    assert_money("9223372036854775807000000000", "9223372036854775807.0000");
}

static int64_t nanos_of(const char *text)
{
    int64_t nanos = -1;
    auto_err struct err err = {0};
    if (money_parse(text, INT64_MAX, &nanos, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    return nanos;
}

static void test_money__is_read_exactly(void **state)
{
    (void)state;
    assert_int_equal(nanos_of("0.004"), 4000000);
    assert_int_equal(nanos_of("2.50"), 2500000000);
    assert_int_equal(nanos_of("0"), 0);
    assert_int_equal(nanos_of("7"), 7000000000);
    assert_int_equal(nanos_of("0.000000001"), 1);
    assert_int_equal(nanos_of("0.1"), 100000000); /* which no double is */
    assert_int_equal(nanos_of("9223372036.854775807"), INT64_MAX);
}

static void assert_no_money(const char *text, int64_t max_nanos, const char *rule)
{
    int64_t nanos;
    auto_err struct err err = {0};
    assert_int_equal(money_parse(text, max_nanos, &nanos, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_string_equal(err.msg, rule);
}

static void test_money__refusals_name_the_rule(void **state)
{
    (void)state;
    static const char *const no_amounts[] = {"",    ".5", "5.", ".",     "1,5", "1e3",
                                             "0x1", "+1", "1 ", "1.2.3", "EUR", "1.-2"};
    for (size_t i = 0; i < ARRAY_SIZE(no_amounts); i++)
        assert_no_money(no_amounts[i], INT64_MAX, "must be an amount such as 0.004 or 2.50");
    assert_no_money("-1", INT64_MAX, "must not be negative");
    assert_no_money("0.0000000001", INT64_MAX, "must have at most 9 decimals");
    assert_no_money("0.0000000000", INT64_MAX, "must have at most 9 decimals");
    assert_no_money("9223372036.854775808", INT64_MAX, "must be at most 9223372036.854775807");
    assert_no_money("99999999999999999999", INT64_MAX, "must be at most 9223372036.854775807");
    assert_no_money("9000000.000000001", LIMIT_PRICE_NANOS, "must be at most 9000000");
}

/* ---- times ---- */

static const char now_text[] = "2026-03-01T10:20:30.456Z"; /* a Sunday after a short February */

static void assert_moment(const char *now, const char *text, const char *expected)
{
    int64_t now_ms, ms;
    char found[CLOCK_TEXT_MAX];
    assert_int_equal(clock_parse(now, &now_ms), 0);
    if (moment_parse(text, now_ms, &ms) != 0)
        fail_msg("%s is not read", text);
    clock_format(ms, found);
    assert_string_equal(found, expected);
}

static void test_moment__reads_what_people_write(void **state)
{
    (void)state;
    assert_moment(now_text, "now", "2026-03-01T10:20:30.456Z");
    assert_moment(now_text, "today", "2026-03-01T00:00:00.000Z");
    assert_moment(now_text, "yesterday", "2026-02-28T00:00:00.000Z");
    assert_moment("2028-03-01T10:20:30Z", "yesterday", "2028-02-29T00:00:00.000Z");
    assert_moment(now_text, "month", "2026-03-01T00:00:00.000Z");
    assert_moment("2026-12-31T23:59:59.999Z", "month", "2026-12-01T00:00:00.000Z");
    assert_moment(now_text, "-24h", "2026-02-28T10:20:30.456Z");
    assert_moment(now_text, "-7d", "2026-02-22T10:20:30.456Z");
    assert_moment(now_text, "-2w", "2026-02-15T10:20:30.456Z");
    assert_moment(now_text, "-90s", "2026-03-01T10:19:00.456Z");
    assert_moment(now_text, "-30m", "2026-03-01T09:50:30.456Z");
    assert_moment(now_text, "2026-11", "2026-11-01T00:00:00.000Z");
    assert_moment(now_text, "2028-02-29", "2028-02-29T00:00:00.000Z");
    assert_moment(now_text, "2026-11-01T10:00:00Z", "2026-11-01T10:00:00.000Z");
    assert_moment(now_text, "2026-11-01T10:00:00.5+02:00", "2026-11-01T08:00:00.500Z");
}

static void test_moment__reads_nothing_else(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "-24",
                                      "-h",
                                      "-24x",
                                      "-24hh",
                                      "- 24h",
                                      "24h",
                                      "2026",
                                      "2026-13",
                                      "2026-00",
                                      "2026-02-29",
                                      "2026-11-31",
                                      "2026-1",
                                      "2026-11-1",
                                      "tomorrow",
                                      "Now",
                                      "2026-11-01T10:00:00",
                                      "2026-11-01T10",
                                      "-99999999999999999999h",
                                      "-9223372036854775807w",
                                      "-2000000000h",
                                      "2026-11-01T10:00:00Z and more"};
    int64_t ms, now_ms;
    assert_int_equal(clock_parse(now_text, &now_ms), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (moment_parse(bad[i], now_ms, &ms) == 0)
            fail_msg("%s is read", bad[i]);
    }
}

static void assert_next(enum period period, const char *at, const char *next)
{
    int64_t at_ms;
    char text[CLOCK_TEXT_MAX];
    assert_int_equal(clock_parse(at, &at_ms), 0);
    clock_format(period_next(period, at_ms), text);
    assert_string_equal(text, next);
    assert_true(period_floor(period, at_ms) <= at_ms);
}

static void test_period__months_have_their_length(void **state)
{
    (void)state;
    assert_next(PERIOD_MONTH, "2026-01-31T23:59:59.999Z", "2026-02-01T00:00:00.000Z");
    assert_next(PERIOD_MONTH, "2026-02-01T00:00:00Z", "2026-03-01T00:00:00.000Z");
    assert_next(PERIOD_MONTH, "2028-02-29T12:00:00Z", "2028-03-01T00:00:00.000Z");
    assert_next(PERIOD_MONTH, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00.000Z");
    assert_next(PERIOD_DAY, "2028-02-28T12:00:00Z", "2028-02-29T00:00:00.000Z");
    assert_next(PERIOD_DAY, "2026-02-28T00:00:00Z", "2026-03-01T00:00:00.000Z");
    assert_next(PERIOD_HOUR, "2026-12-31T23:00:00.001Z", "2027-01-01T00:00:00.000Z");
    assert_next(PERIOD_HOUR, "1969-12-31T22:30:00Z", "1969-12-31T23:00:00.000Z");
}

static void assert_period(enum period period, const char *at, const char *text)
{
    int64_t at_ms;
    auto_buf struct buf out = {0};
    assert_int_equal(clock_parse(at, &at_ms), 0);
    period_put(period, at_ms, &out);
    assert_string_equal(out.data, text);
}

static void test_period__is_named_as_short_as_it_can_be(void **state)
{
    (void)state;
    assert_period(PERIOD_MONTH, "2026-11-01T00:00:00Z", "2026-11");
    assert_period(PERIOD_MONTH, "2026-11-02T00:00:00Z", "2026-11-02");
    assert_period(PERIOD_DAY, "2026-11-02T00:00:00Z", "2026-11-02");
    assert_period(PERIOD_DAY, "2026-11-02T10:30:00Z", "2026-11-02 10:30");
    assert_period(PERIOD_HOUR, "2026-11-02T00:00:00Z", "2026-11-02 00:00");
}

static void assert_short(const char *at, const char *text)
{
    int64_t at_ms;
    auto_buf struct buf out = {0};
    assert_int_equal(clock_parse(at, &at_ms), 0);
    moment_put_short(at_ms, &out);
    assert_string_equal(out.data, text);
}

static void test_moment__is_shown_without_the_zeros_behind(void **state)
{
    (void)state;
    assert_short("2026-11-02T00:00:00.000Z", "2026-11-02");
    assert_short("2026-11-02T10:30:00.000Z", "2026-11-02 10:30");
    assert_short("2026-11-02T10:30:05.999Z", "2026-11-02 10:30:05");
    assert_short("2026-11-02T00:00:00.001Z", "2026-11-02 00:00");
}

/* ---- bars ---- */

static char a[] = "a", bb[] = "bb", t1[] = "1", t10[] = "10";

static void assert_chart(const struct chart_bar *bars, size_t count, int width, bool utf8,
                         const char *text)
{
    auto_buf struct buf out = {0};
    struct chart chart = {.bars = bars, .count = count, .width = width, .utf8 = utf8};
    chart_put(&chart, &out);
    assert_string_equal(out.data ? out.data : "", text);
}

static void test_chart__the_longest_bar_fills_the_line(void **state)
{
    (void)state;
    const struct chart_bar bars[] = {{a, t10, 80, 0}, {bb, t1, 40, 0}, {a, t1, 0, 0}};
    assert_chart(bars, 3, 14, false, "a  ######## 10\nbb ####      1\na            1\n");
    assert_chart(bars, 2, 14, true,
                 "a  \u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588 10\n"
                 "bb \u2588\u2588\u2588\u2588      1\n");
    assert_chart(bars, 0, 80, true, "");
}

static void test_chart__eighths_tell_small_differences(void **state)
{
    (void)state;
    static const char *const last[] = {" ",      "\u258f", "\u258e", "\u258d", "\u258c",
                                       "\u258b", "\u258a", "\u2589", "\u2588"};
    for (int eighths = 1; eighths <= 8; eighths++) {
        const struct chart_bar bars[] = {{a, t1, 64, 0}, {a, t1, eighths, 0}};
        autofree char *text = xasprintf("a \u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588 1\n"
                                        "a %s        1\n",
                                        last[eighths]);
        assert_chart(bars, 2, 12, true, text);
    }
}

static void test_chart__what_is_more_than_nothing_is_seen(void **state)
{
    (void)state;
    amount huge = (amount)1 << 120;
    const struct chart_bar bars[] = {{a, t1, huge, 0}, {a, t1, 1, 0}, {a, t1, -5, 0}};
    assert_chart(bars, 3, 12, false, "a ######## 1\na #        1\na          1\n");
    const struct chart_bar nothing[] = {{a, t1, 0, 0}};
    assert_chart(nothing, 1, 12, true, "a          1\n");
}

static void test_chart__gaps_are_dots_and_never_lost(void **state)
{
    (void)state;
    const struct chart_bar bars[] = {{a, t1, 70, 0}, {a, t1, 70, 1}, {a, t1, 0, 35}, {a, t1, 0, 0}};
    assert_chart(bars, 4, 12, false, "a ######   1\na ######.  1\na ...      1\na          1\n");
    assert_chart(bars + 2, 2, 12, true,
                 "a \u00b7\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7  1\n"
                 "a          1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantity__is_shown_in_what_prices_are_for),
        cmocka_unit_test(test_quantity__is_rounded_half_up),
        cmocka_unit_test(test_quantity__that_is_small_has_four_digits),
        cmocka_unit_test(test_quantity__nothing_has_no_sign),
        cmocka_unit_test(test_quantity__text_must_be_a_whole_number),
        cmocka_unit_test(test_money__has_four_decimals_or_as_many_as_it_takes),
        cmocka_unit_test(test_money__is_read_exactly),
        cmocka_unit_test(test_money__refusals_name_the_rule),
        cmocka_unit_test(test_moment__reads_what_people_write),
        cmocka_unit_test(test_moment__reads_nothing_else),
        cmocka_unit_test(test_period__months_have_their_length),
        cmocka_unit_test(test_period__is_named_as_short_as_it_can_be),
        cmocka_unit_test(test_moment__is_shown_without_the_zeros_behind),
        cmocka_unit_test(test_chart__the_longest_bar_fills_the_line),
        cmocka_unit_test(test_chart__eighths_tell_small_differences),
        cmocka_unit_test(test_chart__what_is_more_than_nothing_is_seen),
        cmocka_unit_test(test_chart__gaps_are_dots_and_never_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
