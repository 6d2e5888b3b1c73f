/* Questions about usage: cursors and times, then pages, files and forecasts through the API. */
#include "tests/unit/controller_tenants.h"

#include <sched.h>

#include "api/base/base64.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/evidence/vouch_set.h"
#include "controller/tx/readers.h"
#include "controller/usage/usage_query.h"
#include "tests/lib/focus_rules.h"

#define HOUR ((int64_t)HOUR_MS)

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(clock_parse(text, &ms), 0);
    return ms;
}

/* ---- cursors and times ---- */

static const struct ledger_moment present = {.observation_key = 90,
                                             .until_ms = 1700003600000,
                                             .seal_key = 4,
                                             .sealed_ms = 1700000000000,
                                             .revision = 55,
                                             .vouched = 77};

static struct usage_query query_of(void)
{
    return (struct usage_query){.question = {.from_ms = 1690000000000,
                                             .to_ms = 1700003600000,
                                             .period = USAGE_HOUR,
                                             .by = {USAGE_BY_PROJECT, USAGE_BY_LABEL},
                                             .by_count = 2},
                                .labels = {"team"},
                                .moment = present};
}

static void test_usage_cursor__carries_moment_and_place_to_the_next_page(void **state)
{
    (void)state;
    struct usage_query asked = query_of(), next = query_of();
    struct ledger_moment later = {91, 1700007200000, 5, 1700003600000, 60, 78};
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    usage_cursor(&asked, 1690002000000, 7, &text);
    next.moment = later;
    next.question.to_ms = later.until_ms;
    assert_int_equal(usage_cursor_parse(text.data, &later, &next, &err), 0);
    assert_memory_equal(&next.moment, &present, sizeof(present));
    assert_int_equal(next.position_ms, 1690002000000);
    assert_int_equal(next.skip, 7);
    assert_int_equal(next.question.to_ms, 1700003600000);
}

static void test_usage_cursor__of_another_question_is_refused(void **state)
{
    (void)state;
    struct usage_query asked = query_of();
    auto_buf struct buf text = {0};
    usage_cursor(&asked, 1690002000000, 7, &text);
    struct usage_query others[5];
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        others[i] = query_of();
    others[0].question.period = USAGE_DAY;
    others[1].question.by[0] = USAGE_BY_NODE;
    others[2].question.meters = 1;
    others[3].question.project_key = 9;
    others[4].labels[0][0] = 's';
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        auto_err struct err err = {0};
        assert_int_equal(usage_cursor_parse(text.data, &present, &others[i], &err), -1);
        assert_string_equal(err.field, "cursor");
        assert_non_null(strstr(err.msg, "another question"));
    }
}

static bool taken(unsigned long long print, const char *numbers)
{
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    struct usage_query query = query_of();
    autofree char *whole = xasprintf("u2.%llu.%s", print, numbers);
    base64_encode(whole, strlen(whole), &text);
    bool is = usage_cursor_parse(text.data, &present, &query, &err) == 0;
    assert_true(is || strcmp(err.field, "cursor") == 0);
    return is;
}

/* Each is good but for one number that speaks of what is not known, or lies outside. */
static void test_usage_cursor__an_invented_one_is_refused(void **state)
{
    (void)state;
    struct usage_query asked = query_of();
    auto_buf struct buf good = {0}, plain = {0};
    auto_err struct err none = {0};
    usage_cursor(&asked, 1690002000000, 7, &good);
    assert_int_equal(base64_decode("x", good.data, &plain, &none), 0);
    unsigned long long print = strtoull(plain.data + 3, NULL, 10);
    static const char *const wrong[] = {
        "91.1700003600000.4.1700000000000.55.77.1690002000000.7.1690000000000.1700003600000",
        "90.1700003600000.5.1700000000000.55.77.1690002000000.7.1690000000000.1700003600000",
        "90.1700003600000.4.1700000000001.55.77.1690002000000.7.1690000000000.1700003600000",
        "90.1700003600000.4.1700000000000.56.77.1690002000000.7.1690000000000.1700003600000",
        "90.1600000000000.4.1700000000000.55.77.1690002000000.7.1690000000000.1700003600000",
        "90.1700003600000.4.1700000000000.55.77.1689999999999.7.1690000000000.1700003600000",
        "90.1700003600000.4.1700000000000.55.77.1700003600000.7.1690000000000.1700003600000",
        "90.1700003600000.4.1700000000000.55.77.1690002000000.-7.1690000000000.1700003600000",
        "90.1700003600000.4.1700000000000.55.77.1690002000000.7.1690000000000",
        "90.1700003600000.4.1700000000000.55.77.1690002000000.7.1690000000000.1700003600000.1",
        "90.1700003600000.4.1700000000000.55.-77.1690002000000.7.1690000000000.1700003600000",
        "90.99999999999999999999.4.1700000000000.55.77.1690002000000.7.1690000000000.1",
        "",
        NULL};
    assert_true(taken(print, "90.1700003600000.4.1700000000000.55.77.1690002000000.7."
                             "1690000000000.1700003600000"));
    for (size_t i = 0; wrong[i]; i++) {
        if (taken(print, wrong[i]))
            fail_msg("taken: %s", wrong[i]);
    }
    auto_err struct err err = {0};
    assert_int_equal(usage_cursor_parse("what?", &present, &asked, &err), -1);
    assert_string_equal(err.field, "cursor");
}

static void test_usage_cursor__begins_where_a_period_does(void **state)
{
    (void)state;
    struct usage_query query = query_of();
    query.position_ms = query.question.from_ms;
    assert_true(usage_position_fits(&query));
    query.position_ms = hour_floor(query.question.from_ms) + HOUR;
    assert_true(usage_position_fits(&query));
    query.question.period = USAGE_MONTH;
    assert_false(usage_position_fits(&query));
    query.position_ms = month_next(query.question.from_ms);
    assert_true(usage_position_fits(&query));
    query.question.period = USAGE_TOTAL;
    assert_false(usage_position_fits(&query));
}

static void test_usage_time__takes_months_days_and_moments(void **state)
{
    (void)state;
    static const char *const good[][2] = {{"2026-11", "2026-11-01T00:00:00Z"},
                                          {"2026-11-22", "2026-11-22T00:00:00Z"},
                                          {"2026-11-22T10:30:00.5Z", "2026-11-22T10:30:00.500Z"},
                                          {"2026-11-22T10:30:00+01:00", "2026-11-22T09:30:00Z"}};
    static const char *const bad[] = {
        "", "2026", "2026-13", "2026-02-30", "yesterday", "2026-11-22 10:30", "1969-12", NULL};
    int64_t ms;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        auto_err struct err err = {0};
        assert_int_equal(usage_time_parse("start", good[i][0], &ms, &err), 0);
        assert_int_equal(ms, at(good[i][1]));
    }
    for (size_t i = 0; bad[i]; i++) {
        auto_err struct err err = {0};
        if (usage_time_parse("start", bad[i], &ms, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(err.field, "start");
    }
}

/* ---- through the API ---- */

/* Two instances of one project, one of another, that run on one host, and a price. */
struct stage {
    struct world *world;
    struct sim_agent *host;
    char *tenant; /* reader of project acme */
};

static void stage_open(struct stage *stage, void **state)
{
    struct world *world = *state;
    *stage = (struct stage){.world = world};
    world_did(world, 201, "POST", "/v1/prices",
              "{\"meter\":\"running\",\"nanos\":\"4000000\",\"per\":\"hour\"}");
    world_image(world, "tiny");
    stage->host = world_host(world, "host1", 65536);
    tenant_project(world, "acme");
    stage->tenant = tenant_token(world, "acme", "reading", "reader");
    free(world_create(world, "web1"));
    free(world_create(world, "web2"));
    world_did(world, 200, "PATCH", "/v1/images/tiny", "{\"public\":true}");
    world_did(world, 202, "POST", "/v1/instances?project=acme",
              "{\"name\":\"db\",\"image\":\"tiny\",\"vcpus\":2,\"memory_mib\":512,"
              "\"disk_gib\":10,\"labels\":{\"team\":\"=red, \\\"one\\\"\"}}");
    world_settle(stage->host);
    usleep(20000);
    world_settle(stage->host);
}

static void stage_close(struct stage *stage)
{
    sim_free(stage->host);
    free(stage->tenant);
}

static void test_usage_api__pages_speak_of_one_moment(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    autofree char *path = xstrdup("/v1/usage?group_by=instance&limit=1");
    autofree char *until = NULL, *before = NULL;
    size_t rows = 0;
    while (path) {
        struct answer auto_answer_json page = world_call(stage.world, 200, "GET", path, NULL);
        const char *next = answer_str(&page, "next");
        rows += json_count(answer_at(&page, "usage"));
        autofree char *row = xasprintf("%s/%s", answer_str(&page, "usage.0.instance"),
                                       answer_str(&page, "usage.0.meter"));
        assert_true(!before || strcmp(row, before) != 0);
        free(before);
        before = take(row);
        if (!until) {
            until = xstrdup(answer_str(&page, "measured_until"));
            free(world_create(stage.world, "late"));
            world_settle(stage.host);
        }
        world_is(&page, "measured_until", until);
        free(path);
        path = next ? xasprintf("/v1/usage?group_by=instance&limit=1&cursor=%s", next) : NULL;
    }
    /* Three machines: time, vcpus and memory that run, and a disk; and one image. */
    assert_in_range(rows, 13, 3 * 7 + 1);
    stage_close(&stage);
}

/* Sums that tell labels apart are made anew for each page. */
#define SECOND_PAGE "/v1/usage?group_by=instance,label:team&limit=1"

static char *next_of(const struct stage *stage)
{
    struct answer auto_answer_json page = world_call(stage->world, 200, "GET", SECOND_PAGE, NULL);
    return xasprintf(SECOND_PAGE "&cursor=%s", answer_str(&page, "next"));
}

static char *text_of(const struct stage *stage, const char *path)
{
    struct answer auto_answer_json page = world_call(stage->world, 200, "GET", path, NULL);
    return take(page.text);
}

/* As if its lease were over, before anything of it is written down. */
static void fall_silent(const struct stage *stage)
{
    struct vouchers *vouchers = stage->world->app->vouchers;
    size_t count;
    autofree struct voucher *all = vouchers_all(vouchers, &count);
    assert_int_equal(count, 1);
    vouchers_lost(vouchers, all[0].node_key);
}

static void test_usage_api__pages_take_the_word_of_a_host_that_fell_silent(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    autofree char *path = next_of(&stage);
    autofree char *before = text_of(&stage, path);
    fall_silent(&stage);
    autofree char *after = text_of(&stage, path);
    assert_string_equal(after, before);
    assert_non_null(strstr(before, "running"));
    stage_close(&stage);
}

static void test_usage_api__pages_do_not_take_the_word_of_a_host_that_came_back(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    fall_silent(&stage);
    autofree char *path = next_of(&stage);
    autofree char *before = text_of(&stage, path);
    world_settle(stage.host);
    autofree char *after = text_of(&stage, path);
    assert_string_equal(after, before);
    autofree char *anew = next_of(&stage);
    autofree char *now = text_of(&stage, anew);
    assert_string_not_equal(now, before);
    stage_close(&stage);
}

static void test_usage_api__pages_of_hosts_that_nobody_remembers_are_refused(void **state)
{
    enum { OTHERS = 100 };
    struct stage stage;
    stage_open(&stage, state);
    autofree char *path = next_of(&stage);
    struct vouch_sets *sets = vouchers_sets(stage.world->app->vouchers);
    for (int64_t key = 1; key <= OTHERS; key++)
        vouch_sets_put(sets, &(struct vouched){.node_key = key, .boot_id = "other"}, 1, 1);
    free(text_of(&stage, path)); /* the hosts are the same still */
    fall_silent(&stage);
    for (int64_t key = 1; key <= OTHERS; key++)
        vouch_sets_put(sets, &(struct vouched){.node_key = key, .boot_id = "other"}, 1, 1);
    struct answer auto_answer_json gone = world_call(stage.world, 410, "GET", path, NULL);
    world_is(&gone, "code", "revision_gone");
    stage_close(&stage);
}

/* A host that has told more than was read is not believed until that is read as well. */
static void test_usage_api__a_moment_is_read_after_those_who_vouch_for_it(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    struct app *app = stage.world->app;
    struct ledger_moment moment;
    auto_err struct err err = {0};
    int64_t before, now;
    uint8_t chain[SHA256_BYTES];
    app_snapshot_begin();
    assert_int_equal(evidence_head(app_reader(app), &before, chain, &err), 0);
    sim_reboot(stage.host);
    world_settle(stage.host);
    assert_int_equal(ledger_now(app, &moment, &err), 0);
    app_snapshot_end();
    assert_int_equal(evidence_head(app_reader(app), &now, chain, &err), 0);
    assert_true(now > before);
    assert_int_equal(moment.observation_key, now);
    stage_close(&stage);
}

/* As if the hosts of a page had gone on to vouch for an hour more. */
static void test_usage_api__a_cursor_cannot_make_hosts_vouch_for_what_they_did_not(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    struct answer auto_answer_json page = world_call(stage.world, 200, "GET", SECOND_PAGE, NULL);
    auto_buf struct buf plain = {0}, forged = {0}, text = {0};
    auto_err struct err err = {0};
    char *words[12];
    size_t count = 0;
    assert_int_equal(base64_decode("x", answer_str(&page, "next"), &plain, &err), 0);
    for (char *rest = plain.data, *word; (word = strsep(&rest, ".")) && count < 12;)
        words[count++] = word;
    for (size_t i = 0; i < count; i++) {
        int64_t more = i == 3 || i == count - 1 ? 3600 * 1000 : 0; /* until, end */
        if (more)
            buf_printf(&forged, ".%lld", (long long)(strtoll(words[i], NULL, 10) + more));
        else
            buf_printf(&forged, "%s%s", i ? "." : "", words[i]);
    }
    base64_encode(forged.data, forged.len, &text);
    autofree char *path = xasprintf(SECOND_PAGE "&cursor=%s", text.data);
    world_did(stage.world, 410, "GET", path, NULL);
    stage_close(&stage);
}

static void test_usage_api__pages_whose_labels_have_changed_are_refused(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    autofree char *path = next_of(&stage);
    struct answer auto_answer_json plain =
        world_call(stage.world, 200, "GET", "/v1/usage?group_by=instance&limit=1", NULL);
    autofree char *other =
        xasprintf("/v1/usage?group_by=instance&limit=1&cursor=%s", answer_str(&plain, "next"));
    world_did(stage.world, 200, "PATCH", "/v1/instances/web2", "{\"labels\":{\"team\":\"a\"}}");
    struct answer auto_answer_json gone = world_call(stage.world, 410, "GET", path, NULL);
    assert_non_null(strstr(answer_str(&gone, "detail"), "labels"));
    world_did(stage.world, 200, "GET", other, NULL);
    stage_close(&stage);
}

static void test_usage_api__groups_add_up_to_the_whole(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    static const char *const by[] = {"meter", "project", "instance", "node", "flavor,label:team"};
    /* Of a time that is over, so that each question has the same answer. */
    char start[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX];
    struct answer auto_answer_json now = world_call(stage.world, 200, "GET", "/v1/usage", NULL);
    int64_t until = at(answer_str(&now, "measured_until"));
    clock_format(until - 15, start);
    clock_format(until - 3, end);
    long long whole = -1;
    for (size_t i = 0; i < ARRAY_SIZE(by); i++) {
        autofree char *path =
            xasprintf("/v1/usage?start=%s&end=%s&meter=running&group_by=%s", start, end, by[i]);
        struct answer auto_answer_json usage = world_call(stage.world, 200, "GET", path, NULL);
        long long sum = 0;
        for (struct json *row = json_first(answer_at(&usage, "usage")); row; row = json_next(row))
            sum += strtoll(json_str(json_get(row, "quantity")), NULL, 10);
        assert_true(sum > 0);
        assert_true(whole < 0 || whole == sum);
        whole = sum;
    }
    stage_close(&stage);
}

static void test_usage_api__a_tenant_sees_its_own_and_no_nodes(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    struct answer auto_answer_json own =
        tenant_call(stage.world, stage.tenant, "GET", "/v1/usage?group_by=project,instance", NULL);
    assert_int_equal(own.status, 200);
    assert_true(json_count(answer_at(&own, "usage")) >= 4);
    assert_null(strstr(own.text, "web1"));
    assert_non_null(strstr(own.text, "\"db\""));
    struct answer auto_answer_json nodes =
        tenant_call(stage.world, stage.tenant, "GET", "/v1/usage?group_by=node", NULL);
    assert_int_equal(nodes.status, 403);
    world_is(&nodes, "field", "group_by");
    struct answer auto_answer_json file =
        tenant_call(stage.world, stage.tenant, "GET", "/v1/usage/export", NULL);
    assert_int_equal(file.status, 200);
    assert_null(strstr(file.text, "web1"));
    assert_null(strstr(file.text, "host1"));
    assert_int_equal(
        tenant_status(stage.world, stage.tenant, "GET", "/v1/usage?project=default", NULL), 404);
    assert_int_equal(tenant_status(stage.world, stage.tenant, "GET", "/v1/usage/seals", NULL), 403);
    stage_close(&stage);
}

static void test_usage_api__segments_name_what_splits_them(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    world_did(stage.world, 201, "POST", "/v1/flavors",
              "{\"name\":\"s\",\"vcpus\":2,\"memory_mib\":512,\"disk_gib\":10}");
    world_did(stage.world, 202, "POST", "/v1/instances?project=acme",
              "{\"name\":\"of\",\"image\":\"tiny\",\"flavor\":\"s\"}");
    /* What begins at the moment up to which its host vouches is told by a later one. */
    struct answer seen = {0};
    for (int i = 0; i < 100 && !answer_str(&seen, "segments.0.kind"); i++) {
        world_settle(stage.host);
        answer_release(&seen);
        seen = world_call(stage.world, 200, "GET", "/v1/instances/of/usage?project=acme", NULL);
    }
    world_is(&seen, "segments.0.flavor", "s");
    world_is(&seen, "segments.0.node", "host1");
    struct answer auto_answer_json tenant =
        tenant_call(stage.world, stage.tenant, "GET", "/v1/instances/of/usage", NULL);
    world_is(&tenant, "segments.0.flavor", "s");
    assert_null(strstr(tenant.text, "\"node\""));
    answer_release(&seen);
    stage_close(&stage);
}

static size_t lines_of(const char *text)
{
    size_t lines = 0;
    for (; (text = strchr(text, '\n')); text++)
        lines++;
    return lines;
}

static void test_usage_api__csv_has_every_row_and_no_formulas(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    struct answer auto_answer_json csv =
        world_call(stage.world, 200, "GET", "/v1/usage?format=csv&group_by=label:team", NULL);
    static const char head[] = "start,end,label:team,meter,unit,quantity,unverified,correction,"
                               "cost_nanos,currency\r\n";
    assert_memory_equal(csv.text, head, strlen(head));
    assert_non_null(strstr(csv.text, ",\"'=red, \"\"one\"\"\",running,ms,"));
    assert_true(lines_of(csv.text) >= 9);
    world_did(stage.world, 400, "GET", "/v1/usage?format=csv&limit=5", NULL);
    stage_close(&stage);
}

/* The host boots anew: from its last word until then nobody knows. */
static void leave_a_gap(struct stage *stage)
{
    enum { OFF_MS = 20 }; /* a boot takes longer than the clock's grain */
    int64_t until = clock_boottime_ms() + OFF_MS;
    while (clock_boottime_ms() < until)
        sched_yield();
    sim_reboot(stage->host);
    world_settle(stage->host);
    struct answer auto_answer_json gap =
        world_call(stage->world, 200, "GET", "/v1/usage?meter=gap", NULL);
    assert_non_null(answer_str(&gap, "usage.0.quantity"));
}

static void test_usage_api__exports_show_a_gap_and_focus_charges_for_none(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    leave_a_gap(&stage);
    static const struct {
        const char *format, *row;
        bool shown;
    } formats[] = {
        {"csv", ",gap,ms,", true}, {"jsonl", "\"meter\":\"gap\"", true}, {"focus", "gap", false}};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        autofree char *path = xasprintf("/v1/usage/export?format=%s", formats[i].format);
        struct answer auto_answer_json file = world_call(stage.world, 200, "GET", path, NULL);
        assert_int_equal(strstr(file.text, formats[i].row) != NULL, formats[i].shown);
    }
    stage_close(&stage);
}

static void test_usage_api__a_focus_export_holds_every_rule(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    leave_a_gap(&stage);
    char message[512];
    auto_buf struct buf text = {0};
    struct err auto_err err = {0};
    if (file_read("tests/data/focus-1.2.rules", 1 << 20, &text, &err) != 0)
        fail_msg("%s", err.msg);
    struct focus_rules *rules = focus_rules_read(text.data, message, sizeof(message));
    struct answer auto_answer_json focus =
        world_call(stage.world, 200, "GET", "/v1/usage/export?format=focus", NULL);
    long rows = focus_rules_check(rules, focus.text, message, sizeof(message));
    if (rows < 13)
        fail_msg("%ld rows: %s", rows, rows < 0 ? message : focus.text);
    struct answer auto_answer_json json =
        world_call(stage.world, 200, "GET", "/v1/usage/export?format=jsonl", NULL);
    size_t lines = 0;
    for (char *rest = json.text, *line; (line = strsep(&rest, "\n")) && *line; lines++)
        assert_int_equal(json_check(line, strlen(line), &err), 0);
    assert_true(lines >= 13);
    focus_rules_free(rules);
    stage_close(&stage);
}

static void test_usage_api__now_says_what_the_next_hour_costs(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    struct answer auto_answer_json now = world_call(stage.world, 200, "GET", "/v1/usage/now", NULL);
    /* Each began its first hour, and begins the second one within the next. */
    world_is(&now, "per_hour_nanos", "12000000");
    world_is(&now, "month_so_far_nanos", "12000000");
    world_is(&now, "currency", "EUR");
    assert_int_equal(json_count(answer_at(&now, "projects")), 2);
    world_is(&now, "projects.1.project", "acme");
    world_is(&now, "projects.1.per_hour_nanos", "4000000");
    int64_t left = at(answer_str(&now, "month_end")) - at(answer_str(&now, "measured_until"));
    long long end = strtoll(answer_str(&now, "month_at_end_nanos"), NULL, 10);
    assert_in_range(end, 12000000 * (left / HOUR), 12000000 * (left / HOUR + 2));
    stage_close(&stage);
}

static void test_usage_api__now_does_not_ask_again_for_the_hour_that_is_paid(void **state)
{
    struct stage stage;
    stage_open(&stage, state);
    world_did(stage.world, 201, "POST", "/v1/prices",
              "{\"meter\":\"running\",\"nanos\":\"4000000\",\"per\":\"second\"}");
    usleep(20000);
    world_settle(stage.host);
    struct answer auto_answer_json now = world_call(stage.world, 200, "GET", "/v1/usage/now", NULL);
    world_is(&now, "month_so_far_nanos", "12000000");
    /* Of the next hour each has paid for all but the seconds that it has run already. */
    long long next = strtoll(answer_str(&now, "per_hour_nanos"), NULL, 10);
    assert_in_range(next, 3 * 1111, 3 * 600 * 1111);
    stage_close(&stage);
}

static void test_usage_api__refuses_by_name(void **state)
{
    struct world *world = *state;
    static const char *const wrong[][2] = {
        {"group_by=vcpu", "group_by"},
        {"group_by=project,project", "group_by"},
        {"group_by=", "group_by"},
        {"group_by=label:a,label:b,label:c,label:d,label:e", "group_by"},
        {"group_by=label:a%22b", "group_by"},
        {"meter=running,bogus", "meter"},
        {"granularity=week", "granularity"},
        {"start=2026-11-02&end=2026-11-01", "end"},
        {"start=yesterday", "start"},
        {"start=1971&end=2026-01", "start"},
        {"start=1971-01&end=2026-01", "start"},
        {"limit=10001", "limit"},
        {"cursor=azE3", "cursor"},
        {"format=xml", "format"},
        {"page=2", "page"}};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        autofree char *path = xasprintf("/v1/usage?%s", wrong[i][0]);
        struct answer auto_answer_json answer = world_call(world, 400, "GET", path, NULL);
        world_is(&answer, "field", wrong[i][1]);
    }
    struct answer auto_answer_json odd =
        world_call(world, 400, "GET", "/v1/usage/export?start=2026-01-01T00:30:00Z", NULL);
    world_is(&odd, "field", "start");
    struct answer auto_answer_json seals =
        world_call(world, 200, "GET", "/v1/usage/seals?after=2026-01", NULL);
    assert_int_equal(json_count(answer_at(&seals, "seals")), 0);
}

#define API(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_cursor__carries_moment_and_place_to_the_next_page),
        cmocka_unit_test(test_usage_cursor__of_another_question_is_refused),
        cmocka_unit_test(test_usage_cursor__an_invented_one_is_refused),
        cmocka_unit_test(test_usage_cursor__begins_where_a_period_does),
        cmocka_unit_test(test_usage_time__takes_months_days_and_moments),
        API(test_usage_api__pages_speak_of_one_moment),
        API(test_usage_api__pages_take_the_word_of_a_host_that_fell_silent),
        API(test_usage_api__pages_do_not_take_the_word_of_a_host_that_came_back),
        API(test_usage_api__pages_of_hosts_that_nobody_remembers_are_refused),
        API(test_usage_api__a_moment_is_read_after_those_who_vouch_for_it),
        API(test_usage_api__a_cursor_cannot_make_hosts_vouch_for_what_they_did_not),
        API(test_usage_api__pages_whose_labels_have_changed_are_refused),
        API(test_usage_api__groups_add_up_to_the_whole),
        API(test_usage_api__a_tenant_sees_its_own_and_no_nodes),
        API(test_usage_api__segments_name_what_splits_them),
        API(test_usage_api__csv_has_every_row_and_no_formulas),
        API(test_usage_api__exports_show_a_gap_and_focus_charges_for_none),
        API(test_usage_api__a_focus_export_holds_every_rule),
        API(test_usage_api__now_says_what_the_next_hour_costs),
        API(test_usage_api__now_does_not_ask_again_for_the_hour_that_is_paid),
        API(test_usage_api__refuses_by_name),
    };
    return cmocka_run_group_tests_name("usage_query", tests, NULL, NULL);
}
