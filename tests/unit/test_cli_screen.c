/* What an operator sees on a terminal of 80 columns: ids, times, meters, quantities and money
 * are whole, whatever has to give way. */
#include "tests/unit/cli_harness.h"
#include "tests/unit/cli_script.h"

static const struct screen terminal = {.out_tty = true, .width = 80};

#define ID_1 "01997f5e-7b1c-7def-8a3b-0123456789ab"
#define ID_2 "01997f5e-7b1c-7def-8a3b-0123456789ac"
#define ID_3 "01997f5e-7b1c-7def-8a3b-0123456789ad"
#define ID_4 "01997f5e-7b1c-7def-8a3b-0123456789ae"
#define CHAIN "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

/* ---- usage ---- */

#define ROW(hour, instance, meter, unit, quantity, cost)                                  \
    "{\"start\":\"2026-11-22T" hour ":00:00.000Z\",\"project\":\"default\",\"instance\":" \
    "\"" instance "\",\"flavor\":\"small\",\"meter\":\"" meter "\",\"unit\":\"" unit      \
    "\",\"quantity\":\"" quantity "\",\"unverified\":\"0\",\"correction\":\"0\","         \
    "\"cost_nanos\":\"" cost "\"}"
#define ANSWER(rows)                                                   \
    "{\"usage\":[" rows "],\"next\":null,\"revision\":7,\"currency\":" \
    "\"EUR\",\"sealed_until\":null,\"measured_until\":null,\"held\":null}"
#define GROUPED "cloudctl usage show --granularity hour --group-by project,instance,flavor"

static void test_screen__of_usage_has_hours_meters_and_sums_whole(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?granularity=hour&group_by=project,instance,flavor&limit=10000", 200,
         ANSWER(ROW("15", "database-primary-01", "running_memory", "mib_ms", "40499712",
                    "87000") "," ROW("16", "web1", "running", "ms", "3600000", "4000000")),
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run_on(terminal, "", GROUPED);
    assert_string_equal(
        ran.out,
        "PERIOD           PROJECT INSTANCE FLAVOR METER               QUANTITY         COST\n"
        "2026-11-22 15:00 default datab... small  running_memory 0.01099 GiB h 0.000087 EUR\n"
        "2026-11-22 16:00 default web1     small  running              1.000 h 0.004000 EUR\n"
        "total                                                                 0.004087 EUR\n");
    script_stop(&script);
}

static void test_screen__of_usage_is_80_columns_where_names_can_give_way(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?group_by=project,instance&limit=10000", 200,
         ANSWER(ROW("15", "a-machine-with-a-name-that-is-rather-long", "running_memory", "mib_ms",
                    "40499712", "87000")),
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran =
        run_on(terminal, "", "cloudctl usage show --group-by project,instance");
    assert_has(ran.out,
               "a-machine-with-a-name-that-... running_memory 0.01099 GiB h 0.000087 EUR\n");
    assert_int_equal(strcspn(ran.out, "\n"), 80);
    script_stop(&script);
}

static void test_columns__of_units_and_currencies_say_them_once(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?limit=10000", 200,
         ANSWER(ROW("15", "web1", "running_memory", "mib_ms", "1843200000", "4000000")), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage show --columns unit,quantity,cost,currency");
    assert_string_equal(ran.out, "UNIT  QUANTITY   COST CURRENCY\n"
                                 "GiB h    0.500 0.0040 EUR\n"
                                 "total          0.0040 EUR\n");
    script.at = 0;
    auto_ran struct ran csv = run("cloudctl usage show -o csv --columns unit,quantity,cost");
    assert_string_equal(csv.out, "unit,quantity,cost\nmib_ms,1843200000,0.0040\n");
    script_stop(&script);
}

static void test_columns__of_a_forecast_say_the_currency_once(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage/now", 200,
         "{\"currency\":\"EUR\",\"measured_until\":null,\"projects\":[{\"project\":\"acme\","
         "\"per_hour_nanos\":\"4000000\"}]}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage now --columns per-hour,currency");
    assert_string_equal(ran.out, "NEXT HOUR CURRENCY\n   0.0040 EUR\n");
    script_stop(&script);
}

/* ---- seals and segments ---- */

#define SEAL                                                                                    \
    "{\"seals\":[{\"until\":\"2026-11-22T16:00:00.000Z\",\"sealed_at\":"                        \
    "\"2020-01-01T00:00:00.000Z\",\"observations\":4,\"segments\":2,\"chain\":\"" CHAIN "\"}]," \
    "\"next\":null}"

static void test_screen__of_seals_has_times_whole_and_hashes_short(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage/seals?limit=500", 200, SEAL, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran table = run_on(terminal, "", "cloudctl usage seals");
    assert_has(table.out, "\n2026-11-22 16:00 ");
    assert_has(table.out, " 9f86d081884c7d65...\n");
    script.at = 0;
    auto_ran struct ran chosen = run_on(terminal, "", "cloudctl usage seals --columns until,chain");
    assert_has(chosen.out, "2026-11-22 16:00 " CHAIN "\n");
    script.at = 0;
    auto_ran struct ran csv = run_on(terminal, "", "cloudctl usage seals -o csv");
    assert_has(csv.out, "2026-11-22T16:00:00.000Z,");
    assert_has(csv.out, "," CHAIN "\n");
    script_stop(&script);
}

#define SEGMENT(kind, flags, more)                                           \
    "{\"kind\":\"" kind "\",\"start\":\"2026-11-22T15:04:05.123Z\",\"end\":" \
    "\"2026-11-22T15:58:00.000Z\"," flags more ",\"segment\":4}"
#define FLAGS(open, verified, reversal, correction)                      \
    "\"open\":" open ",\"verified\":" verified ",\"reversal\":" reversal \
    ",\"correction\":" correction
#define SIZE ",\"vcpus\":1,\"memory_mib\":512"

static const char segments[] = "{\"segments\":[" SEGMENT("running", FLAGS("false", "true", "false", "false"), SIZE) "," SEGMENT(
    "running", FLAGS("false", "true", "true", "true"),
    SIZE) "," SEGMENT("running", FLAGS("false", "false", "false", "true"),
                      ",\"vcpus\":2,\"memory_mib\":2048") "," SEGMENT("root_disk",
                                                                      FLAGS("true", "true", "false",
                                                                            "false"),
                                                                      ",\"disk_gib\":5") "," SEGMENT("counted",
                                                                                                     FLAGS(
                                                                                                         "false",
                                                                                                         "true",
                                                                                                         "false",
                                                                                                         "false"),
                                                                                                     ",\"cpu_"
                                                                                                     "ns\":"
                                                                                                     "\"123456789"
                                                                                                     "01\","
                                                                                                     "\"ingress_"
                                                                                                     "bytes\":"
                                                                                                     "\"13938688"
                                                                                                     "\","
                                                                                                     "\"egress_"
                                                                                                     "bytes\":"
                                                                                                     "\"1023\"") "," SEGMENT("gap",
                                                                                                                             FLAGS(
                                                                                                                                 "false",
                                                                                                                                 "true",
                                                                                                                                 "false",
                                                                                                                                 "false"),
                                                                                                                             "") "],\"next\":null}";

static void test_screen__of_segments_says_what_was_counted_and_what_was_taken_back(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/instances/web1/usage?limit=500", 200, segments, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran table = run_on(terminal, "", "cloudctl usage segments web1");
#define WHEN "2026-11-22 15:04:05 2026-11-22 15:58 "
    assert_string_equal(table.out, "KIND      START (UTC)         END (UTC)        WHAT\n"
                                   "running   " WHEN "1 vCPU, 512M\n"
                                   "running   " WHEN "1 vCPU, 512M, taken back\n"
                                   "running   " WHEN "2 vCPUs, 2G, correction, end not proved\n"
                                   "root_disk " WHEN "5G, goes on\n"
                                   "counted   " WHEN "12.346s CPU, 13.3M in, 1023B out\n"
                                   "gap       " WHEN "-\n");
    script.at = 0;
    auto_ran struct ran chosen = run("cloudctl usage segments web1 --columns kind,note,verified");
    assert_has(chosen.out, "running   taken back                 yes\n");
    assert_has(chosen.out, "running   correction, end not proved no\n");
    assert_has(chosen.out, "gap       -                          -\n");
    script.at = 0;
    auto_ran struct ran csv = run("cloudctl usage segments web1 -o csv");
    assert_has(csv.out, "kind,start,end,vcpus,memory,disk,cpu,ingress,egress,reversal,correction,"
                        "verified\n");
    assert_has(csv.out, ",12345678901,13938688,1023,false,false,true\n");
    assert_has(csv.out,
               "gap,2026-11-22T15:04:05.123Z,2026-11-22T15:58:00.000Z,,,,,,,false,false,\n");
    script_stop(&script);
}

/* ---- prices ---- */

#define PRICE(id, meter, unit, per, from, until, more)                                  \
    "{\"id\":\"" id "\",\"meter\":\"" meter "\",\"unit\":\"" unit "\",\"flavor\":null," \
    "\"project\":\"an-important-customer\",\"nanos\":\"4000000\",\"currency\":\"EUR\"," \
    "\"per\":" per ",\"minimum_seconds\":60,\"monthly_cap_nanos\":\"2500000000\","      \
    "\"valid_from\":\"" from "T00:00:00.000Z\",\"valid_until\":" until                  \
    ",\"created_at\":\"2020-01-01T00:00:00.000Z\"" more "}"
#define ENDED \
    PRICE(ID_1, "running", "hour", "\"second\"", "2020-01-01", "\"2020-02-01T12:30:00.000Z\"", "")
#define HOLDING                                                           \
    PRICE(ID_2, "running_memory", "GiB-hour", "\"minute\"", "2020-02-01", \
          "\"2999-12-01T00:00:00.000Z\"", "")
#define COMING PRICE(ID_3, "allocated_vcpu", "vcpu-hour", "\"hour\"", "2999-01-01", "null", "")
#define WITHDRAWN                                                     \
    PRICE(ID_4, "network_egress", "GB", "null", "2999-01-01", "null", \
          ",\"deleted_at\":\"2020-01-02T00:00:00.000Z\"")

static void test_screen__of_prices_says_of_what_and_whether_they_hold(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/prices?limit=500", 200,
         "{\"prices\":[" ENDED "," HOLDING "," COMING "," WITHDRAWN "],\"next\":null}", false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run_on(terminal, "", "cloudctl price list");
    assert_string_equal(
        ran.out,
        "ID                                   METER          FLAVOR PROJECT              PRICE "
        "STATE     FROM (UTC) UNTIL (UTC)\n" ID_1
        " running        -      an-im...      0.0040 EUR/h ended     2020-01-01 "
        "2020-02-01 12:30\n" ID_2
        " running_memory -      an-im...  0.0040 EUR/GiB h holding   2020-02-01 "
        "2999-12-01\n" ID_3
        " allocated_vcpu -      an-im... 0.0040 EUR/vCPU h not begun 2999-01-01 -\n" ID_4
        " network_egress -      an-im...     0.0040 EUR/GB withdrawn 2999-01-01 -\n");
    script.at = 0;
    auto_ran struct ran billed = run("cloudctl price list --columns billed");
    assert_string_equal(billed.out, "BILLED\neach second\neach minute\neach hour\nas counted\n");
    script.at = 0;
    auto_ran struct ran csv =
        run("cloudctl price list -o csv --columns price,currency,unit,billed,minimum,state");
    assert_has(csv.out, "\n0.0040,EUR,hour,second,60,ended\n");
    script_stop(&script);
}

static void test_screen__of_one_price_has_its_units_and_its_end(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/prices/" ID_1, 200, ENDED, false, 0},
        {"GET /v1/prices/" ID_4, 200, WITHDRAWN, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ended = run("cloudctl price show " ID_1);
    assert_has(ended.out, "price       0.0040 EUR/h\n");
    assert_has(ended.out, "billed      each second\n");
    assert_has(ended.out, "minimum     60s\n");
    assert_has(ended.out, "monthly-cap 2.5000 EUR\n");
    assert_has(ended.out, "state       ended\n");
    auto_ran struct ran withdrawn = run("cloudctl price show " ID_4);
    assert_has(withdrawn.out, "state       withdrawn\n");
    assert_has(withdrawn.out, "withdrawn   2020-01-02T00:00:00.000Z\n");
    script_stop(&script);
}

/* Where the clock here is behind the controller's, it holds all the same. */
static void test_price__that_was_made_just_now_holds(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/prices", 201,
         "{\"id\":\"x\",\"meter\":\"cpu\",\"nanos\":\"1\",\"valid_from\":"
         "\"2999-01-01T00:00:00.000Z\",\"created_at\":\"2999-01-01T00:00:00.000Z\"}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran =
        run("cloudctl price create --meter cpu --price 1 --from now --until 2999-12");
    assert_has(ran.out, "state   holding\n");
    assert_has(script.log.data, "{\"meter\":\"cpu\",\"nanos\":\"1000000000\",\"valid_until\":"
                                "\"2999-12-01T00:00:00.000Z\"}");
    script_stop(&script);
}

static int setup(void **state)
{
    *state = clean_environment("cli-screen");
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_screen__of_usage_has_hours_meters_and_sums_whole),
        TEST(test_screen__of_usage_is_80_columns_where_names_can_give_way),
        TEST(test_columns__of_units_and_currencies_say_them_once),
        TEST(test_columns__of_a_forecast_say_the_currency_once),
        TEST(test_screen__of_seals_has_times_whole_and_hashes_short),
        TEST(test_screen__of_segments_says_what_was_counted_and_what_was_taken_back),
        TEST(test_screen__of_prices_says_of_what_and_whether_they_hold),
        TEST(test_screen__of_one_price_has_its_units_and_its_end),
        TEST(test_price__that_was_made_just_now_holds),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_flush();
    return failed;
}
