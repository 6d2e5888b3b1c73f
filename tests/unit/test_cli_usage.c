/* cloudctl usage and price against a scripted controller: what they ask, what they print,
 * how they end. */
#include "tests/unit/cli_harness.h"
#include "tests/unit/cli_script.h"

#include <arpa/inet.h>
#include <locale.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cli/line/command.h"

#define ENVELOPE                                                                         \
    "\"revision\":7,\"currency\":\"EUR\",\"sealed_until\":\"2026-11-02T00:00:00.000Z\"," \
    "\"measured_until\":\"2026-11-02T10:59:30.500Z\""
#define NOTE "Sealed until 2026-11-02 00:00:00 UTC, measured until 2026-11-02 10:59:30 UTC.\n"
#define ROW(day, who, meter, unit, quantity, cost)                                              \
    "{\"start\":\"2026-11-" day "T00:00:00.000Z\",\"end\":\"2026-11-" day "T24:00:00.000Z\","   \
    "\"project\":\"acme\",\"project_id\":\"p1\",\"instance\":" who ",\"label:tier.x\":\"f,g\"," \
    "\"meter\":\"" meter "\",\"unit\":\"" unit "\",\"quantity\":\"" quantity                    \
    "\",\"unverified\":\"0\",\"correction\":\"0\",\"cost_nanos\":\"" cost "\"}"
#define ANSWER(rows) "{\"usage\":[" rows "],\"next\":null," ENVELOPE ",\"held\":null}"
#define RUNNING ROW("01", "\"web1\"", "running", "ms", "4500000", "4000000")
#define MEMORY ROW("01", "\"web1\"", "running_memory", "mib_ms", "1843200000", "15")
#define GONE ROW("02", "null", "gap", "ms", "3600000", "0")

/* ---- show ---- */

static void test_show__a_table_in_hours_and_money_with_its_sum(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?granularity=day&group_by=project,instance,meter&limit=10000", 200,
         ANSWER(RUNNING "," MEMORY "," GONE), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran =
        run("cloudctl usage show --granularity day --group-by project --group-by instance,meter");
    assert_string_equal(ran.out,
                        "PERIOD     PROJECT INSTANCE METER             QUANTITY            COST\n"
                        "2026-11-01 acme    web1     running            1.250 h 0.004000000 EUR\n"
                        "2026-11-01 acme    web1     running_memory 0.500 GiB h 0.000000015 EUR\n"
                        "2026-11-02 acme    -        gap                1.000 h               -\n"
                        "total                                                  0.004000015 EUR\n");
    assert_string_equal(ran.err, NOTE);
    assert_int_equal(ran.code, 0);
    script_stop(&script);
}

static void test_show__without_options_is_the_month_by_project(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?limit=10000", 200, ANSWER(RUNNING), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage show");
    assert_string_equal(ran.out, "PROJECT METER   QUANTITY       COST\n"
                                 "acme    running  1.250 h 0.0040 EUR\n"
                                 "total                    0.0040 EUR\n");
    script_stop(&script);
}

static void test_show__sends_times_in_utc(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?project=p&start=2026-10-01T00:00:00.000Z&end=2026-11-01T08:00:00.000Z"
         "&meter=cpu,running&limit=10000",
         200, ANSWER(""), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage show --start 2026-10 --end "
                                  "2026-11-01T10:00:00+02:00 --meter cpu,running --project p");
    assert_string_equal(ran.out, "");
    assert_string_equal(ran.err, "Nothing was used in this time.\n" NOTE);
    assert_int_equal(ran.code, 0);
    script_stop(&script);
}

#define MARKED                                                                                 \
    "{\"start\":\"2026-11-01T00:00:00.000Z\",\"project\":\"acme\",\"meter\":\"running\","      \
    "\"unit\":\"ms\",\"quantity\":\"3600000\",\"unverified\":\"60000\",\"correction\":\"-1\"," \
    "\"cost_nanos\":\"-4000000\"}"

static void test_show__marks_what_is_unproved_and_what_corrects(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?limit=10000", 200, ANSWER(RUNNING "," MARKED), false, 0},
        {"GET /v1/usage?limit=10000", 200, ANSWER(RUNNING "," MARKED), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage show");
    assert_string_equal(ran.out, "PROJECT METER   QUANTITY        COST \n"
                                 "acme    running  1.250 h  0.0040 EUR  \n"
                                 "acme    running  1.000 h -0.0040 EUR ?c\n"
                                 "total                     0.0000 EUR  \n");
    assert_has(ran.err, "?  the end of part of it is not proved\n");
    assert_has(ran.err, "c  it corrects");
    auto_ran struct ran chosen =
        run("cloudctl usage show --columns meter,unverified,correction,cost");
    assert_string_equal(chosen.out, "METER   UNVERIFIED     CORRECTION        COST\n"
                                    "running          -              -  0.0040 EUR\n"
                                    "running  0.01667 h -0.000000278 h -0.0040 EUR\n"
                                    "total                              0.0000 EUR\n");
    script_stop(&script);
}

static void test_show__follows_all_pages_and_keeps_what_the_answer_says(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?limit=10000", 200,
         "{\"usage\":[{\"meter\":\"running\"}],\"next\":\"c 2\"," ENVELOPE ",\"held\":null}", false,
         0},
        {"GET /v1/usage?limit=10000&cursor=c 2", 200,
         "{\"usage\":[{\"meter\":\"cpu\"}],\"next\":null," ENVELOPE ",\"held\":null}", false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran json = run("cloudctl usage show -o json");
    assert_string_equal(json.out, "{\n  \"usage\": [\n    {\n      \"meter\": \"running\"\n    },\n"
                                  "    {\n      \"meter\": \"cpu\"\n    }\n  ],\n"
                                  "  \"revision\": 7,\n  \"currency\": \"EUR\",\n"
                                  "  \"sealed_until\": \"2026-11-02T00:00:00.000Z\",\n"
                                  "  \"measured_until\": \"2026-11-02T10:59:30.500Z\",\n"
                                  "  \"held\": null\n}\n");
    assert_string_equal(json.err, "");
    script.at = 0;
    auto_ran struct ran yaml = run("cloudctl usage show -o yaml");
    assert_string_equal(yaml.out, "usage:\n  - meter: running\n  - meter: cpu\nrevision: 7\n"
                                  "currency: EUR\nsealed_until: \"2026-11-02T00:00:00.000Z\"\n"
                                  "measured_until: \"2026-11-02T10:59:30.500Z\"\nheld: null\n");
    script_stop(&script);
}

static void test_show__programs_get_exact_numbers(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?granularity=day&group_by=label:tier.x&limit=10000", 200,
         ANSWER(RUNNING "," GONE), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran csv =
        run("cloudctl usage show --granularity day --group-by label:tier.x -o csv");
    assert_string_equal(
        csv.out, "start,end,label:tier.x,meter,unit,quantity,unverified,correction,cost,currency\n"
                 "2026-11-01T00:00:00.000Z,2026-11-01T24:00:00.000Z,\"f,g\",running,ms,4500000,0,"
                 "0,0.0040,EUR\n"
                 "2026-11-02T00:00:00.000Z,2026-11-02T24:00:00.000Z,\"f,g\",gap,ms,3600000,0,0,,"
                 "EUR\n");
    assert_string_equal(csv.err, "");
    script.at = 0;
    auto_ran struct ran names =
        run("cloudctl usage show --granularity day --group-by label:tier.x -o name");
    assert_string_equal(names.out, "2026-11-01T00:00:00.000Z/f,g/running\n"
                                   "2026-11-02T00:00:00.000Z/f,g/gap\n");
    script_stop(&script);
}

static void test_show__says_why_sealing_waits_and_what_to_do(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?limit=10000", 200,
         "{\"usage\":[],\"next\":null," ENVELOPE ",\"held\":{\"reason\":\"the clock of node n1 "
         "stepped by 2592000\\u001b s\",\"node\":\"n1\"}}",
         false, 0},
        {"GET /v1/usage?limit=10000", 200,
         "{\"usage\":[],\"next\":null,\"currency\":\"EUR\",\"sealed_until\":null,"
         "\"measured_until\":null,\"held\":{\"reason\":\"it stepped\",\"node\":\"n1\"}}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran csv = run("cloudctl usage show -o csv");
    assert_string_equal(csv.err, "cloudctl: usage show: sealing waits: the clock of node n1 "
                                 "stepped by 2592000  s. Try: cloudctl usage confirm --help\n");
    auto_ran struct ran table = run("cloudctl usage show");
    assert_has(table.err, "Nothing is sealed yet, measured until -.\n");
    assert_has(table.err, "usage show: sealing waits: node n1: it stepped. Try: ");
    assert_int_equal(table.code, 0);
    script_stop(&script);
}

static void test_pages__of_a_moment_that_is_gone_are_asked_for_again(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?limit=10000", 410, PROBLEM("410", "revision_gone", "gone"), false, 0},
        {"GET /v1/events?after=5&limit=100", 410, PROBLEM("410", "revision_gone", "gone"), false,
         0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran usage = run("cloudctl usage show");
    assert_string_equal(usage.err, "cloudctl: usage show: gone. Try: the same command again\n");
    auto_ran struct ran events = run("cloudctl event list --after 5");
    assert_has(events.err, "Try: the same command without --after\n");
    script_stop(&script);
}

/* ---- chart ---- */

#define CHART "&granularity=day&limit=10000"
#define RANGE "start=2026-11-01T00:00:00.000Z&end=2026-11-05T00:00:00.000Z"
#define CHART_LINE "cloudctl usage show --chart --start 2026-11-01 --end 2026-11-05"

static void test_chart__draws_the_cost_of_each_day(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?" RANGE CHART, 200,
         ANSWER(RUNNING "," GONE "," ROW("04", "\"web1\"", "running", "ms", "1", "1000000") "," ROW(
             "04", "\"db\"", "running_vcpu", "vcpu_ms", "1", "1000000")),
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    struct screen terminal = {.out_tty = true, .width = 40};
    auto_ran struct ran ran = run_on(terminal, "", CHART_LINE);
    assert_string_equal(ran.out, "cost per day, UTC\n"
                                 "2026-11-01 #################  0.0040 EUR\n"
                                 "2026-11-02 .                  0.0000 EUR\n"
                                 "2026-11-03                    0.0000 EUR\n"
                                 "2026-11-04 ########           0.0020 EUR\n"
                                 "total 0.0060 EUR\n");
    assert_string_equal(ran.err, ".  there is no proof for this time, so nothing is billed\n" NOTE);
    script_stop(&script);
}

static void test_chart__draws_hours_where_nothing_has_a_price(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?" RANGE CHART, 200,
         ANSWER(ROW("01", "\"a\"", "running_vcpu", "vcpu_ms", "99",
                    "0") "," ROW("01", "\"a\"", "running", "ms", "7200000", "0") "," GONE),
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    struct screen terminal = {.out_tty = true, .width = 28};
    auto_ran struct ran ran = run_on(terminal, "", CHART_LINE);
    setlocale(LC_CTYPE, "C");
    assert_string_equal(ran.out, "running per day, UTC\n"
                                 "2026-11-01 \u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588  "
                                 "2.000 h\n"
                                 "2026-11-02 \u00b7\u00b7\u00b7\u00b7      0.000 h\n"
                                 "2026-11-03           0.000 h\n"
                                 "2026-11-04           0.000 h\n"
                                 "total 2.000 h\n");
    script_stop(&script);
}

static void test_chart__of_what_is_not_there_names_the_meter_that_was_asked_for(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?" RANGE "&meter=gap" CHART, 200, ANSWER(GONE), false, 0},
        {"GET /v1/usage?" RANGE "&meter=cpu,image" CHART, 200, ANSWER(""), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran gap = run(CHART_LINE " --meter gap");
    assert_has(gap.out, "gap per day, UTC\n");
    assert_has(gap.out, "# 1.000 h\n");
    assert_has(gap.out, "total 1.000 h\n");
    assert_string_equal(gap.err, NOTE);
    auto_ran struct ran none = run(CHART_LINE " --meter cpu,image");
    assert_has(none.out, "cpu per day, UTC\n");
    script_stop(&script);
}

/* Whatever the clock here shows. */
static void test_chart__ends_where_it_was_measured_until(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?granularity=day&limit=10000", 200, ANSWER(RUNNING), false, 0},
        {"GET /v1/usage?start=2020-01-02T08:00:00.000Z&granularity=hour&limit=10000", 200,
         "{\"usage\":[],\"next\":null,\"measured_until\":\"2020-01-02T10:59:30.500Z\"}", false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran month = run("cloudctl usage show --chart --granularity day");
    assert_has(month.out, "\n2026-11-01 #");
    assert_has(month.out, "\n2026-11-02  ");
    assert_null(strstr(month.out, "2026-11-03"));
    assert_null(strstr(month.out, "2026-10"));
    /* Nor does it matter how many hours there would be by that clock. */
    auto_ran struct ran hours =
        run("cloudctl usage show --chart --start 2020-01-02T08:00:00Z --granularity hour");
    assert_has(hours.out, "\n2020-01-02 10:00");
    assert_null(strstr(hours.out, "2020-01-02 11:00"));
    script_stop(&script);
}

static void test_chart__of_the_whole_has_both_its_ends(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage?granularity=total&limit=10000", 200, ANSWER(RUNNING), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage show --chart --granularity total");
    assert_has(ran.out, "cost, UTC\n2026-11-01 to 2026-11-02 10:59:30 #");
    script_stop(&script);
}

static void assert_refused(const char *line, const char *message)
{
    auto_ran struct ran ran = run(line);
    assert_has(ran.err, message);
    assert_string_equal(ran.out, "");
    assert_int_equal(ran.code, 2);
}

static void test_usage__what_cannot_be_meant_is_refused_by_name(void **state)
{
    (void)state;
    assert_refused("cloudctl usage show --start soon", "--start soon: must be a time such as");
    assert_refused("cloudctl usage show --end 2026-02-29", "--end 2026-02-29: must be a time");
    assert_refused("cloudctl usage show --start 2026-11 --end 2026-11",
                   "--end must be after --start");
    assert_refused("cloudctl usage export --format csv --start 2026-11 --end 2026-10",
                   "--end must be after --start");
    assert_refused("cloudctl usage show --granularity week",
                   "--granularity week: must be hour, day, month or total");
    assert_refused("cloudctl usage show --group-by a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
                   "--group-by: at most 16");
    assert_refused("cloudctl usage show --columns name", "usage has no column name");
    assert_refused("cloudctl usage now --columns meter", "usage has no column meter; it has "
                                                         "project,per-hour,");
    assert_refused("cloudctl usage show --chart -o json", "--chart goes with neither");
    assert_refused("cloudctl usage show --chart --group-by project", "without --group-by");
    assert_refused("cloudctl usage show --chart --granularity hour --start 2020-01 --end 2026-01",
                   "at most 1000 bars");
    assert_refused("cloudctl usage export", "--format is needed");
    assert_refused("cloudctl usage confirm n1 --yes", "--clock is needed");
    assert_refused("cloudctl usage confirm n1 --clock maybe", "must be keep, take or controller");
    assert_refused("cloudctl usage confirm n1 --clock take",
                   "it must be confirmed, and there is no terminal to ask on. Try: --yes");
    assert_refused("cloudctl price create --meter cpu --price -1", "--price -1: must not be");
    assert_refused("cloudctl price create --meter cpu --price 0.0000000001",
                   "--price 0.0000000001: must have at most 9 decimals");
    assert_refused("cloudctl price create --meter cpu --price 9000000.1",
                   "--price 9000000.1: must be at most 9000000");
    assert_refused("cloudctl price create --meter cpu --price 1 --monthly-cap 0",
                   "--monthly-cap 0: must be more than 0");
    assert_refused("cloudctl price create --meter cpu --price 1 --minimum 25h",
                   "--minimum 25h: must be from 0 to 86400");
    assert_refused("cloudctl price create --meter cpu --price 1 --per day", "--per day: must be");
    assert_refused("cloudctl price end x", "it must be confirmed, and");
}

/* ---- now ---- */

#define SUMS(hour, so_far, end)                                        \
    "\"per_hour_nanos\":\"" hour "\",\"month_so_far_nanos\":\"" so_far \
    "\",\"month_at_end_nanos\":\"" end "\""
#define NOW(projects)                                                        \
    "{\"currency\":\"EUR\",\"measured_until\":\"2026-11-02T10:59:30.500Z\"," \
    "\"month_start\":\"2026-11-01T00:00:00.000Z\",\"month_end\":"            \
    "\"2026-12-01T00:00:00.000Z\"," SUMS("5000000", "120000000",             \
                                         "3600000000") ",\"projects\":[" projects "]}"
#define ACME "{\"project\":\"acme\"," SUMS("4000000", "100000000", "2880000000") "}"
#define LAB "{\"project\":\"lab\"," SUMS("1000000", "20000000", "720000000") "}"

static void test_now__shows_each_project_and_the_sum(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage/now", 200, NOW(ACME "," LAB), false, 0},
        {"GET /v1/usage/now?project=acme", 200, NOW(ACME), false, 0},
        {"GET /v1/usage/now", 200, NOW(ACME "," LAB), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran all = run("cloudctl usage now");
    assert_string_equal(all.out, "PROJECT  NEXT HOUR MONTH SO FAR AT MONTH'S END\n"
                                 "acme    0.0040 EUR   0.1000 EUR     2.8800 EUR\n"
                                 "lab     0.0010 EUR   0.0200 EUR     0.7200 EUR\n"
                                 "total   0.0050 EUR   0.1200 EUR     3.6000 EUR\n");
    assert_string_equal(all.err, "Measured until 2026-11-02 10:59:30 UTC; the month ends at "
                                 "2026-12-01 00:00:00 UTC.\n");
    auto_ran struct ran one = run("cloudctl usage now --project acme");
    assert_null(strstr(one.out, "total"));
    auto_ran struct ran csv = run("cloudctl usage now -o csv --columns project,per-hour,currency");
    assert_string_equal(csv.out, "project,per-hour,currency\nacme,0.0040,EUR\nlab,0.0010,EUR\n");
    script_stop(&script);
}

/* ---- export ---- */

static void test_export__goes_to_standard_output_or_to_a_file(void **state)
{
    static const struct step steps[] = {
        {"GET /v1/usage/export?format=focus&start=2026-10-01T00:00:00.000Z", 200, "a,b\n1,2\n",
         false, 0},
        {"GET /v1/usage/export?project=p&format=jsonl", 200, "{}\n", false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran out = run("cloudctl usage export --format focus --start 2026-10");
    assert_string_equal(out.out, "a,b\n1,2\n");
    assert_string_equal(out.err, "");
    autofree char *line =
        xasprintf("cloudctl usage export --format jsonl --project p --output %s/usage.jsonl",
                  (const char *)*state);
    auto_ran struct ran filed = run(line);
    assert_int_equal(filed.code, 0);
    assert_string_equal(filed.out, "");
    autofree char *path = xasprintf("%s/usage.jsonl", (const char *)*state);
    char text[8] = "";
    struct stat info;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof(text) - 1, file), 3);
    fclose(file);
    assert_string_equal(text, "{}\n");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);
    script_stop(&script);
}

static void assert_no_files(const char *folder)
{
    autofree char *part = xasprintf("%s/x.csv.part", folder);
    autofree char *whole = xasprintf("%s/x.csv", folder);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(access(whole, F_OK), -1);
}

static void test_export__leaves_no_file_when_it_is_refused(void **state)
{
    static const struct step steps[] = {
        {"GET /v1/usage/export?format=csv", 403, PROBLEM("403", "forbidden", "not yours"), false,
         0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    autofree char *line =
        xasprintf("cloudctl usage export --format csv --output %s/x.csv", (const char *)*state);
    auto_ran struct ran ran = run(line);
    assert_int_equal(ran.code, 4);
    assert_has(ran.err, "cloudctl: usage export: not yours");
    assert_no_files(*state);
    script_stop(&script);
}

/* Answers one request with the beginning of a reply, and hangs up. */
static void *cut_short(void *ctx)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n4\r\na,b\n\r\n";
    char request[4096];
    int fd = accept(*(int *)ctx, NULL, NULL);
    if (recv(fd, request, sizeof(request), 0) > 0 &&
        send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL) < 0)
        perror("send");
    shutdown(fd, SHUT_WR);
    while (recv(fd, request, sizeof(request), 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void test_export__half_an_answer_is_no_export(void **state)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof(address);
    pthread_t thread;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(pthread_create(&thread, NULL, cut_short, &listener), 0);
    autofree char *url = xasprintf("http://127.0.0.1:%d", ntohs(address.sin_port));
    setenv("CLOUDCTL_URL", url, 1);
    autofree char *line =
        xasprintf("cloudctl usage export --format csv --output %s/x.csv", (const char *)*state);
    auto_ran struct ran ran = run(line);
    pthread_join(thread, NULL);
    close(listener);
    assert_int_equal(ran.code, 7);
    assert_no_files(*state);
}

/* ---- verify, seals, confirm ---- */

#define CHAIN "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define VERDICT(verified, difference)                                             \
    "{\"verified\":" verified ",\"seals\":3,\"segments\":12,\"observations\":40," \
    "\"sealed_until\":\"2026-11-02T00:00:00.000Z\",\"chain\":\"" CHAIN            \
    "\",\"difference\":" difference "}"

static void test_verify__says_what_was_proved(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/usage/verify", 200, VERDICT("true", "null"), false, 0},
        {"POST /v1/usage/verify", 200,
         "{\"verified\":true,\"seals\":0,\"segments\":0,\"observations\":0,\"sealed_until\":null,"
         "\"chain\":null,\"difference\":null}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage verify --project acme");
    assert_string_equal(ran.out, "verified: 12 segments of 40 observations in 3 seals,\n"
                                 "sealed until 2026-11-02T00:00:00.000Z; chain\n" CHAIN "\n");
    assert_string_equal(ran.err, "");
    assert_has(script.log.data, "POST /v1/usage/verify {}");
    assert_int_equal(ran.code, 0);
    auto_ran struct ran empty = run("cloudctl usage verify");
    assert_string_equal(empty.out, "verified: 0 segments of 0 observations in 0 seals; nothing is "
                                   "sealed yet\n");
    script_stop(&script);
}

static void test_verify__ends_with_5_and_names_the_difference(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/usage/verify", 200,
         VERDICT("false", "\"segment 17: end_ms is 5, the evidence says 6\""), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage verify");
    assert_string_equal(ran.out, "");
    assert_string_equal(ran.err, "cloudctl: usage verify: not verified: segment 17: end_ms is 5, "
                                 "the evidence says 6\n");
    assert_int_equal(ran.code, 5);
    script.at = 0;
    auto_ran struct ran csv = run("cloudctl usage verify -o csv --columns verified,chain");
    assert_string_equal(csv.out, "verified,chain\nfalse," CHAIN "\n");
    assert_int_equal(csv.code, 5);
    script_stop(&script);
}

#define CHAIN_2 "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
#define PAGE(until, chain, more)                                                         \
    "{\"verified\":true,\"seals\":2,\"segments\":5,\"observations\":7,\"sealed_until\":" \
    "\"2026-11-0" until "T00:00:00.000Z\",\"chain\":\"" chain                            \
    "\",\"difference\":null,\"more\":" more "}"

static void test_verify__goes_on_page_by_page_and_sums_up(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/usage/verify", 200, PAGE("1", CHAIN_2, "true"), false, 0},
        {"POST /v1/usage/verify", 200, VERDICT("true", "null"), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage verify");
    assert_string_equal(ran.out, "verified: 17 segments of 47 observations in 5 seals,\n"
                                 "sealed until 2026-11-02T00:00:00.000Z; chain\n" CHAIN "\n");
    assert_has(script.log.data, "{\"after\":\"" CHAIN_2 "\"}");
    script.at = 0;
    auto_ran struct ran json = run("cloudctl usage verify -o json");
    assert_has(json.out, "\"seals\": 5");
    assert_has(json.out, "\"segments\": 17");
    assert_has(json.out, "\"observations\": 47");
    assert_has(json.out, "\"chain\": \"" CHAIN "\"");
    script_stop(&script);
}

static void test_verify__shows_on_a_terminal_how_far_it_is(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/usage/verify", 200, PAGE("1", CHAIN_2, "true"), false, 0},
        {"POST /v1/usage/verify", 200, VERDICT("true", "null"), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    struct screen terminal = {.err_tty = true, .width = 80};
    auto_ran struct ran ran = run_on(terminal, "", "cloudctl usage verify");
    assert_has(ran.err, "verified until 2026-11-01T00:00:00.000Z");
    script_stop(&script);
}

static void test_verify__begins_after_the_chain_that_was_kept(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/usage/verify", 200, VERDICT("true", "null"), false, 0},
        {"POST /v1/usage/verify", 400,
         "{\"type\":\"about:blank\",\"status\":400,\"code\":\"invalid_field\",\"field\":\"/after\","
         "\"detail\":\"after: no seal has this chain\"}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage verify --after " CHAIN_2);
    assert_int_equal(ran.code, 0);
    assert_has(script.log.data, "{\"after\":\"" CHAIN_2 "\"}");
    auto_ran struct ran none = run("cloudctl usage verify --after " CHAIN);
    assert_has(none.err, "after: no seal has this chain");
    assert_int_equal(none.code, 1);
    script_stop(&script);
}

static void test_verify__that_breaks_off_says_how_to_go_on(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/usage/verify", 200, PAGE("1", CHAIN_2, "true"), false, 0},
        {"POST /v1/usage/verify", 500,
         "{\"type\":\"about:blank\",\"status\":500,\"code\":\"internal\",\"detail\":\"a disk\"}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage verify");
    assert_has(ran.err, "--after " CHAIN_2);
    assert_has(ran.err, "a disk");
    assert_string_equal(ran.out, "");
    assert_int_equal(ran.code, 1);
    script_stop(&script);
}

/* A controller that leads in a circle. */
static void test_verify__that_gets_no_further_ends(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/usage/verify", 200, PAGE("1", CHAIN_2, "true"), false, 0},
        {"POST /v1/usage/verify", 200, PAGE("1", CHAIN_2, "true"), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage verify");
    assert_has(ran.err, "leads no further");
    assert_int_equal(ran.code, 1);
    script_stop(&script);
}

#define SEAL(hour, chain)                                                                     \
    "{\"until\":\"2026-11-01T" hour ":00:00.000Z\",\"sealed_at\":"                            \
    "\"2026-11-01T" hour ":15:00.000Z\",\"observations\":4,\"segments\":2,\"chain\":\"" chain \
    "\"}"

static void test_seals__are_listed_page_by_page(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/usage/seals?limit=500", 200,
         "{\"seals\":[" SEAL("01", "ab") "],\"next\":\"c\",\"revision\":1}", false, 0},
        {"GET /v1/usage/seals?limit=500&cursor=c", 200,
         "{\"seals\":[" SEAL("02", "cd") "],\"next\":null,\"revision\":1}", false, 0},
        {"GET /v1/usage/seals?limit=1", 200, "{\"seals\":[],\"next\":null}", false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl usage seals -o csv --project acme");
    assert_string_equal(ran.out, "until,sealed,observations,segments,chain\n"
                                 "2026-11-01T01:00:00.000Z,2026-11-01T01:15:00.000Z,4,2,ab\n"
                                 "2026-11-01T02:00:00.000Z,2026-11-01T02:15:00.000Z,4,2,cd\n");
    auto_ran struct ran none = run("cloudctl usage seals --limit 1");
    assert_string_equal(none.err, "Nothing is sealed yet.\n");
    script_stop(&script);
}

static void test_confirm__asks_first_and_says_which_clock_holds(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/usage/confirm", 200, "{}", false, 0},
        {"GET /v1/usage?limit=1", 200, ANSWER(""), false, 0},
        {"POST /v1/usage/confirm", 204, NULL, false, 0},
        {"GET /v1/usage?limit=1", 200,
         "{\"usage\":[],\"held\":{\"reason\":\"the clock of node n2 stepped; POST /v1/usage/confirm"
         " says which time holds\",\"node\":\"n2\"}}",
         false, 0},
        {"POST /v1/usage/confirm", 204, NULL, false, 0},
        {"GET /v1/usage?limit=1", 503, PROBLEM("503", "unavailable", "not now"), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    struct screen terminal = {.in_tty = true, .err_tty = true, .width = 80};
    auto_ran struct ran no = run_on(terminal, "n\n", "cloudctl usage confirm n1 --clock take");
    assert_int_equal(no.code, 1);
    assert_has(no.err, "take n1's clock as it shows now? [y/N] ");
    auto_ran struct ran yes = run_on(terminal, "y\n", "cloudctl usage confirm n1 --clock take");
    assert_int_equal(yes.code, 0);
    assert_has(yes.err, "n1: confirmed; sealing goes on\n");
    auto_ran struct ran own = run("cloudctl usage confirm --clock keep --yes");
    assert_int_equal(own.code, 0);
    assert_string_equal(own.err, "the controller: confirmed; sealing still waits: the clock of "
                                 "node n2 stepped\n");
    assert_has(script.log.data, "POST /v1/usage/confirm {\"node\":\"n1\",\"clock\":\"take\"}\n");
    assert_has(script.log.data, "POST /v1/usage/confirm {\"clock\":\"keep\"}\n");
    auto_ran struct ran over =
        run_on(terminal, "", "cloudctl usage confirm n1 --clock controller --boot b1 --yes");
    assert_int_equal(over.code, 0);
    assert_has(over.err, "n1: confirmed\n");
    assert_has(script.log.data, "POST /v1/usage/confirm {\"node\":\"n1\",\"boot\":\"b1\","
                                "\"clock\":\"controller\"}\n");
    script_stop(&script);
}

/* ---- prices ---- */

#define PRICE                                                                                    \
    "{\"id\":\"x1\",\"meter\":\"running\",\"unit\":\"hour\",\"flavor\":\"small\",\"project\":"   \
    "null,\"nanos\":\"4000000\",\"currency\":\"EUR\",\"per\":\"minute\",\"minimum_seconds\":60," \
    "\"monthly_cap_nanos\":\"2500000000\",\"valid_from\":\"2026-12-01T00:00:00.000Z\","          \
    "\"valid_until\":null}"

static void test_price__is_sent_in_nano_units(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/prices", 201, PRICE, false, 0},
        {"POST /v1/prices", 201, PRICE, false, 0},
        {0},
    };
    struct script script;
    setenv("CLOUDCTL_PROJECT", "lab", 1);
    script_start(&script, steps);
    auto_ran struct ran ran =
        run("cloudctl price create --meter running --flavor small --price 0.004 --per minute "
            "--minimum 60s --monthly-cap 2.50 --from 2026-12");
    assert_string_equal(ran.err, "");
    assert_has(ran.out, "price       0.0040 EUR/h\n");
    assert_has(ran.out, "monthly-cap 2.5000 EUR\n");
    assert_has(ran.out, "from        2026-12-01T00:00:00.000Z\n");
    assert_has(script.log.data,
               "{\"meter\":\"running\",\"nanos\":\"4000000\",\"flavor\":\"small\","
               "\"per\":\"minute\",\"minimum_seconds\":60,\"monthly_cap_nanos\":\"2500000000\","
               "\"valid_from\":\"2026-12-01T00:00:00.000Z\"}");
    auto_ran struct ran own =
        run("cloudctl price create --meter cpu --price 0 --project acme -o name");
    assert_string_equal(own.out, "x1\n");
    assert_has(script.log.data, "{\"project\":\"acme\",\"meter\":\"cpu\",\"nanos\":\"0\"}");
    script_stop(&script);
}

static void test_price__is_listed_and_ended(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/prices?meter=running&limit=500", 200,
         "{\"prices\":[" PRICE "],\"next\":null,\"revision\":1}", false, 0},
        {"DELETE /v1/prices/x1", 204, NULL, false, 0},
        {"DELETE /v1/prices/x2", 404, PROBLEM("404", "not_found", "there is no price x2"), false,
         0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran list =
        run("cloudctl price list --meter running --columns id,meter,flavor,project,price,billed");
    assert_string_equal(list.out, "ID METER   FLAVOR PROJECT        PRICE BILLED\n"
                                  "x1 running small  -       0.0040 EUR/h each minute\n");
    struct screen terminal = {.in_tty = true, .err_tty = true, .width = 80};
    auto_ran struct ran ended = run_on(terminal, "y\n", "cloudctl price end x1 x2");
    assert_has(ended.err, "end price x1, x2? [y/N] ");
    assert_has(ended.err, "x1: ended\n");
    assert_has(ended.err, "cloudctl: price x2: not found. Try: cloudctl price list\n");
    assert_int_equal(ended.code, 3);
    script_stop(&script);
}

static void test_usage__completion_offers_keys_meters_and_nodes(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/nodes?limit=500", 200,
         "{\"nodes\":[{\"name\":\"n1\"}],\"next\":null,\"revision\":1}", false, 0},
        {0},
    };
    struct script script;
    auto_ran struct ran keys = run("cloudctl __complete usage show --group-by project,l");
    assert_string_equal(keys.out, "project,label:\n");
    auto_ran struct ran meters = run("cloudctl __complete price create --meter net");
    assert_string_equal(meters.out, "network_ingress\nnetwork_egress\n");
    auto_ran struct ran columns = run("cloudctl __complete usage now --columns mo");
    assert_string_equal(columns.out, "month-end\n");
    auto_ran struct ran files = run("cloudctl __complete usage export --output x");
    assert_string_equal(files.out, ":files\n");
    script_start(&script, steps);
    auto_ran struct ran nodes = run("cloudctl __complete usage confirm n");
    assert_string_equal(nodes.out, "n1\n");
    script_stop(&script);
}

static int setup(void **state)
{
    *state = clean_environment("cli-usage");
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
        TEST(test_show__a_table_in_hours_and_money_with_its_sum),
        TEST(test_show__without_options_is_the_month_by_project),
        TEST(test_show__sends_times_in_utc),
        TEST(test_show__marks_what_is_unproved_and_what_corrects),
        TEST(test_show__follows_all_pages_and_keeps_what_the_answer_says),
        TEST(test_show__programs_get_exact_numbers),
        TEST(test_show__says_why_sealing_waits_and_what_to_do),
        TEST(test_pages__of_a_moment_that_is_gone_are_asked_for_again),
        TEST(test_chart__draws_the_cost_of_each_day),
        TEST(test_chart__draws_hours_where_nothing_has_a_price),
        TEST(test_chart__of_what_is_not_there_names_the_meter_that_was_asked_for),
        TEST(test_chart__ends_where_it_was_measured_until),
        TEST(test_chart__of_the_whole_has_both_its_ends),
        TEST(test_usage__what_cannot_be_meant_is_refused_by_name),
        TEST(test_now__shows_each_project_and_the_sum),
        TEST(test_export__goes_to_standard_output_or_to_a_file),
        TEST(test_export__leaves_no_file_when_it_is_refused),
        TEST(test_export__half_an_answer_is_no_export),
        TEST(test_verify__says_what_was_proved),
        TEST(test_verify__ends_with_5_and_names_the_difference),
        TEST(test_verify__goes_on_page_by_page_and_sums_up),
        TEST(test_verify__shows_on_a_terminal_how_far_it_is),
        TEST(test_verify__begins_after_the_chain_that_was_kept),
        TEST(test_verify__that_breaks_off_says_how_to_go_on),
        TEST(test_verify__that_gets_no_further_ends),
        TEST(test_seals__are_listed_page_by_page),
        TEST(test_confirm__asks_first_and_says_which_clock_holds),
        TEST(test_price__is_sent_in_nano_units),
        TEST(test_price__is_listed_and_ended),
        TEST(test_usage__completion_offers_keys_meters_and_nodes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_flush();
    return failed;
}
