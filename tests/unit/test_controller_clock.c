/* Clocks that are off: what holds up sealing, for whom it is told how, and what an operator's word
 * on it does. */

#include "tests/unit/usage_world.h"

#include "controller/ledger/clock/clock_step.h"
#include "controller/usage/usage_held.h"

enum { DAY_MS = 24 * 3600 * 1000 };

/* ---- helpers ---- */

/* What the host that was heard last shows, by so much later. */
static struct voucher step_clock(struct world *world, size_t host, int64_t by_ms)
{
    size_t count;
    autofree struct voucher *all = vouchers_all(world->app->vouchers, &count);
    assert_true(host < count);
    all[host].wall_ms += by_ms;
    vouchers_heard(world->app->vouchers, &all[host]);
    return all[host];
}

static void confirm(struct world *world, int status, const char *boot, const char *clock)
{
    world_did(world, status, "POST", "/v1/usage/confirm",
              "{\"node\":\"h1\",\"boot\":\"%s\",\"clock\":\"%s\"}", boot, clock);
}

static void see_held(struct world *world, int64_t count)
{
    struct answer auto_answer_json usage = world_call(world, 200, "GET", "/v1/usage", NULL);
    struct answer auto_answer_json metrics = world_call(world, 200, "GET", "/metrics", NULL);
    autofree char *line = xasprintf("\nminicloud_usage_held %lld\n", (long long)count);
    assert_int_equal(answer_i64(&usage, "held.count"), count ? count : -1);
    assert_non_null(strstr(metrics.text, line));
}

static int shift_line(struct tx *tx, void *ctx, struct err *err)
{
    return vouchers_take_line(tx->vouchers, tx, vouchers_line(tx->vouchers) + *(int64_t *)ctx, err);
}

/* As if somebody had set our own clock by so much the other way. */
static void shift_own_line(struct world *world, int64_t by_ms)
{
    struct err auto_err err = {0};
    struct write_job job = {.run = shift_line, .ctx = &by_ms};
    if (writer_call(world->app->writer, &job, &err) != 0)
        fail_msg("%s", err.msg);
}

/* ---- a hold and its end ---- */

static void test_clock__a_stepped_clock_holds_up_sealing_until_someone_confirms(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct vouchers *vouchers = stage.world->app->vouchers;
    size_t count;
    autofree struct voucher *all = vouchers_all(vouchers, &count);
    assert_int_equal(count, 1);
    all[0].wall_ms += 30LL * 24 * 3600 * 1000;
    long long ran = used(stage.world, "running", "");
    vouchers_heard(vouchers, &all[0]);
    struct answer auto_answer_json held = world_call(stage.world, 200, "GET", "/v1/usage", NULL);
    world_is(&held, "held.node", "h1");
    assert_in_range(used(stage.world, "running", ""), ran, ran + 5);
    assert_int_equal(seal(stage.world, 0), 0);
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM seal"), 0);
    /* Silence does not end it. */
    vouchers_lost(vouchers, all[0].node_key);
    assert_int_equal(seal(stage.world, 0), 0);
    world_see(stage.world, "/v1/usage", "held.node", "h1");
    vouchers_heard(vouchers, &all[0]);
    world_did(stage.world, 204, "POST", "/v1/usage/confirm",
              "{\"node\":\"h1\",\"clock\":\"keep\"}");
    assert_in_range(used(stage.world, "running", ""), ran, ran + 5);
    assert_int_equal(seal(stage.world, 0), 1);
    world_see(stage.world, "/v1/usage", "held", NULL);
}

/* Somebody took a clock that was wrong, and the host has booted since. */
static void test_clock__a_boot_that_is_over_can_be_laid_on_the_controllers_time(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct vouchers *vouchers = stage.world->app->vouchers;
    autofree char *boot = xstrdup(sim_boot_id(stage.host));
    size_t count;
    autofree struct voucher *all = vouchers_all(vouchers, &count);
    long long ran = used(stage.world, "running", "");
    all[0].wall_ms += 90LL * 24 * 3600 * 1000;
    vouchers_heard(vouchers, &all[0]);
    confirm(stage.world, 204, boot, "take");
    assert_int_equal(used(stage.world, "running", ""), -1); /* it lies in the future */
    sim_reboot(stage.host);
    world_settle(stage.host);
    confirm(stage.world, 409, boot, "take");
    confirm(stage.world, 409, boot, "keep");
    confirm(stage.world, 400, "another", "controller");
    confirm(stage.world, 204, boot, "controller");
    assert_true(used(stage.world, "running", "") >= ran - 5);
    world_did(stage.world, 400, "POST", "/v1/usage/confirm", "{\"clock\":\"controller\"}");
}

/* The hold is of a boot that is over by the time that somebody looks. */
static void test_clock__what_holds_up_sealing_names_its_boot_and_is_what_is_confirmed(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct vouchers *vouchers = stage.world->app->vouchers;
    autofree char *boot = xstrdup(sim_boot_id(stage.host));
    size_t count;
    autofree struct voucher *all = vouchers_all(vouchers, &count);
    all[0].wall_ms -= 24LL * 3600 * 1000;
    vouchers_heard(vouchers, &all[0]);
    assert_int_equal(seal(stage.world, 0), 0);
    sim_reboot(stage.host);
    world_settle(stage.host);
    world_see(stage.world, "/v1/usage", "held.boot", boot);
    confirm(stage.world, 204, sim_boot_id(stage.host), "keep");
    world_see(stage.world, "/v1/usage", "held.boot", boot);
    world_did(stage.world, 204, "POST", "/v1/usage/confirm",
              "{\"node\":\"h1\",\"clock\":\"controller\"}");
    world_see(stage.world, "/v1/usage", "held", NULL);
    assert_int_equal(seal(stage.world, 0), 1);
}

/* A clock that is far ahead after a start would seal the future. */
static void test_clock__a_jump_of_days_since_the_last_seal_is_held_as_well(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    seal(stage.world, vouchers_now(stage.world->app->vouchers) - 8LL * 24 * 3600 * 1000);
    assert_int_equal(seal(stage.world, 0), 0);
    struct answer auto_answer_json held = world_call(stage.world, 200, "GET", "/v1/usage", NULL);
    assert_non_null(strstr(answer_str(&held, "held.reason"), "ahead of the last seal"));
    world_did(stage.world, 204, "POST", "/v1/usage/confirm", "{\"clock\":\"keep\"}");
    assert_int_equal(seal(stage.world, 0), 1);
    assert_int_equal(seal(stage.world, 0), 1);
    world_see(stage.world, "/v1/usage", "held", NULL);
}

/* ---- several ---- */

static void test_clock__every_clock_that_stepped_is_asked_about(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *h1 = world_host(world, "h1", 1500), *h2 = world_host(world, "h2", 1500);
    free(world_create(world, "one"));
    free(world_create(world, "two"));
    for (int i = 0; i < 2; i++) {
        world_settle(h1);
        world_settle(h2);
    }
    step_clock(world, 0, -DAY_MS);
    step_clock(world, 1, 30LL * DAY_MS);
    see_held(world, 2);
    assert_int_equal(seal(world, 0), 0);
    /* Neither its reboot nor our restart ends it. */
    sim_reboot(h1);
    sim_reboot(h2);
    world_settle(h1);
    world_settle(h2);
    see_held(world, 2);
    world_restart(world);
    see_held(world, 2);
    struct answer auto_answer_json held = world_call(world, 200, "GET", "/v1/usage", NULL);
    assert_non_null(strstr(answer_str(&held, "held.reason"), "the clock of node h1 is 1 day behind "
                                                             "where it was, and 1 more"));
    confirm(world, 204, answer_str(&held, "held.boot"), "keep");
    see_held(world, 1);
    world_see(world, "/v1/usage", "held.node", "h2");
    assert_int_equal(seal(world, 0), 0);
    world_did(world, 204, "POST", "/v1/usage/confirm",
              "{\"node\":\"h2\",\"clock\":\"controller\"}");
    see_held(world, 0);
    world_settle(h1);
    world_settle(h2);
    assert_int_equal(seal(world, 0), 1);
    sim_free(h1);
    sim_free(h2);
}

static void test_clock__what_was_kept_is_asked_again_only_when_it_steps_again(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct voucher stepped = step_clock(world, 0, 30LL * DAY_MS);
    assert_int_equal(seal(world, 0), 0);
    vouchers_lost(world->app->vouchers, stepped.node_key);
    confirm(world, 204, stepped.boot_id, "keep");
    vouchers_heard(world->app->vouchers, &stepped);
    see_held(world, 0);
    step_clock(world, 0, -30LL * DAY_MS); /* it was set right again */
    see_held(world, 0);
    step_clock(world, 0, 31LL * DAY_MS);
    see_held(world, 1);
    assert_int_equal(seal(world, 0), 0);
    confirm(world, 204, stepped.boot_id, "keep");
    see_held(world, 0);
    assert_int_equal(world_number(world, "SELECT count(*) FROM clock_hold"), 1);
}

/* By a wrong clock of our own every host is held: setting ours right is enough. */
static void test_clock__what_is_off_from_ours_is_not_when_ours_has_been_set_right(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    shift_own_line(world, -30LL * DAY_MS);
    see_held(world, 2);
    assert_int_equal(seal(world, 0), 0);
    sim_reboot(stage.host);
    world_settle(stage.host);
    struct answer auto_answer_json held = world_call(world, 200, "GET", "/v1/usage", NULL);
    world_is(&held, "held.node", NULL);
    assert_non_null(strstr(answer_str(&held, "held.reason"), "confirm without a node"));
    world_did(world, 204, "POST", "/v1/usage/confirm", "{\"clock\":\"take\"}");
    see_held(world, 0);
    assert_int_equal(seal(world, 0), 1);
}

static void test_clock__a_boot_of_our_own_that_is_over_can_be_left_as_it_was(void **state)
{
    struct world *world = *state;
    static const char words[][80] = {"{\"boot\":\"none\",\"clock\":\"keep\"}",
                                     "{\"boot\":\"gone\",\"clock\":\"take\"}",
                                     "{\"boot\":\"gone\",\"clock\":\"keep\"}"};
    static const int statuses[] = {400, 409, 204};
    world_number(world, "INSERT INTO clock_hold (boot_id, step_ms, against, noted_ms, kept_step_ms,"
                        " kept_line_ms) VALUES ('gone', 90000, 0, 1, 0, 0)");
    world_see(world, "/v1/usage", "held.boot", "gone");
    for (int i = 0; i < 3; i++) {
        see_held(world, 1);
        world_did(world, statuses[i], "POST", "/v1/usage/confirm", "%s", words[i]);
    }
    see_held(world, 0);
}

/* ---- a boot that was never heard from ---- */

struct told {
    const char *boot, *kind;
    int64_t sequence, run, ahead_ms;
};

/* The host's next boot reports, with evidence of boots before. */
static void tell(const struct stage *stage, const char *boot, const struct told *told, size_t count)
{
    static int64_t sequence;
    struct buf auto_buf body = {0};
    long long now = clock_boottime_ms(), wall = clock_wall_ms();
    buf_printf(&body,
               "{\"protocol\":1,\"version\":\"1\",\"boot_id\":\"%s\",\"boot_order\":%lld,"
               "\"incarnation\":\"i-%s\",\"sequence\":%lld,\"boottime_ms\":%lld,\"wall_ms\":%lld,"
               "\"full\":true,\"capacity\":{\"cpus\":16,\"memory_mib\":8192,\"disk_gib\":500,"
               "\"virt\":\"qemu\"},\"instances\":[],\"observations\":[",
               boot, wall * 4, boot, (long long)++sequence, now, wall);
    for (size_t i = 0; i < count; i++)
        buf_printf(&body,
                   "%s{\"boot_id\":\"%s\",\"boot_order\":%lld,\"incarnation\":\"spool\","
                   "\"sequence\":%lld,\"kind\":\"%s\",\"instance\":\"%s\",\"run\":%lld,"
                   "\"boottime_ms\":%lld,\"wall_ms\":%lld,\"vcpus\":1,\"memory_mib\":1024,"
                   "\"disk_gib\":10}",
                   i ? "," : "", told[i].boot,
                   strcmp(told[i].boot, boot) == 0 ? wall * 4 : wall * 2,
                   (long long)told[i].sequence, told[i].kind, stage->id, (long long)told[i].run,
                   now, wall + told[i].ahead_ms);
    buf_puts(&body, "]}");
    struct answer auto_answer_json answer = cloud_call_as(
        &stage->world->cloud, sim_token(stage->host), NULL, "POST", "/v1/node/observed", body.data);
    if (answer.status != 200)
        fail_msg("%s", answer.text);
}

static const struct told bad_boot[] = {
    {.boot = "bad", .kind = "allocated", .sequence = 1, .ahead_ms = 25550LL * DAY_MS},
    {.boot = "good", .kind = "started", .sequence = 2, .run = 2},
};

/* What runs now would be billed in the future only. */
static void test_clock__a_boot_that_only_its_spool_tells_of_is_held(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    tell(&stage, "good", bad_boot, 2);
    struct answer auto_answer_json held = world_call(world, 200, "GET", "/v1/usage", NULL);
    world_is(&held, "held.node", "h1");
    world_is(&held, "held.boot", "bad");
    assert_non_null(
        strstr(answer_str(&held, "held.reason"), "25550 days ahead of the controller's;"));
    assert_int_equal(seal(world, 0), 0);
    confirm(world, 409, "bad", "take");
    confirm(world, 204, "bad", "controller");
    see_held(world, 0);
    long long ran = used(world, "running", "");
    int64_t until = clock_boottime_ms() + 60000;
    do
        tell(&stage, "good", NULL, 0);
    while (used(world, "running", "") < ran + 5 && clock_boottime_ms() < until);
    assert_true(used(world, "running", "") >= ran + 5);
    assert_int_equal(seal(world, 0), 1);
}

static void test_clock__more_evidence_of_a_boot_that_was_confirmed_asks_nobody_again(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct told again = bad_boot[0];
    tell(&stage, "good", bad_boot, 2);
    see_held(stage.world, 1);
    tell(&stage, "good", bad_boot, 2);
    see_held(stage.world, 1);
    confirm(stage.world, 204, "bad", "keep");
    again.sequence = 3;
    tell(&stage, "good", &again, 1);
    see_held(stage.world, 0);
    again = (struct told){.boot = "worse", .kind = "allocated", .sequence = 4, .ahead_ms = DAY_MS};
    tell(&stage, "good", &again, 1);
    see_held(stage.world, 1);
}

/* Its line is where it was; so is what it proves. */
static void test_clock__evidence_with_a_stepped_wall_clock_is_not_in_the_future(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    const int64_t wall_ms = clock_wall_ms() + 30LL * DAY_MS;
    const struct observation what = {.kind = OBS_COUNTED, .run = 1, .wall_ms = wall_ms};
    sim_say(stage.host, stage.id, &what);
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM observation WHERE"
                                               " wall_ms > received_ms + 86400000"),
                     1);
    see_held(stage.world, 0);
}

/* ---- by our own time ---- */

static int64_t laid_beside_ours(struct world *world)
{
    static const char line[] = "SELECT wall_ms - boottime_ms FROM observation WHERE kind = 7"
                               " ORDER BY key DESC LIMIT 1";
    return world_number(world, line) - vouchers_line(world->app->vouchers);
}

/* Our own line is a day ahead of our wall clock, which somebody has set back. */
static void test_clock__a_boot_that_is_over_is_laid_on_our_line_and_not_on_our_clock(void **state)
{
    struct world *world = *state;
    shift_own_line(world, DAY_MS);
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    autofree char *boot = xstrdup(sim_boot_id(host));
    free(world_create(world, "one"));
    world_settle(host);
    confirm(world, 204, boot, "controller");
    assert_in_range(laid_beside_ours(world) + 1000, 0, 2000);
    sim_reboot(host);
    world_settle(host);
    confirm(world, 204, boot, "controller");
    assert_in_range(laid_beside_ours(world) + 1000, 0, 60000);
    sim_free(host);
}

static int witness_by_line(struct tx *tx, void *ctx, struct err *err)
{
    const struct stage *stage = ctx;
    return evidence_witness(tx,
                            &(struct witnessed){.kind = OBS_ALLOCATED,
                                                .node_key = 1,
                                                .boot_id = sim_boot_id(stage->host),
                                                .resource_id = stage->id,
                                                .boottime_ms = clock_boottime_ms() + DAY_MS,
                                                .wall_ms = tx->now_ms,
                                                .vcpus = 1,
                                                .memory_mib = 1024,
                                                .disk_gib = 10},
                            err);
}

/* The line was a day behind, and by it we told what its time was. */
static void test_clock__what_we_wrote_by_a_line_does_not_speak_for_that_line(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct err auto_err err = {0};
    struct write_job job = {.run = witness_by_line, .ctx = &stage};
    autofree char *boot = xstrdup(sim_boot_id(stage.host));
    assert_int_equal(writer_call(stage.world->app->writer, &job, &err), 0);
    sim_reboot(stage.host);
    world_settle(stage.host);
    confirm(stage.world, 204, boot, "controller");
    assert_in_range(laid_beside_ours(stage.world) + 1000, 0, 60000);
}

/* ---- who is told what ---- */

static void test_clock__a_node_that_was_removed_is_confirmed_by_its_id(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    step_clock(world, 0, -DAY_MS);
    assert_int_equal(seal(world, 0), 0);
    world_did(world, 204, "DELETE", "/v1/nodes/h1?force=true", NULL);
    struct answer auto_answer_json held = world_call(world, 200, "GET", "/v1/usage", NULL);
    world_is(&held, "held.node", "h1");
    world_is(&held, "held.node_id", sim_node_id(stage.host));
    assert_non_null(strstr(answer_str(&held, "held.reason"), "node_id"));
    world_did(world, 404, "POST", "/v1/usage/confirm", "{\"node\":\"h1\",\"clock\":\"keep\"}");
    world_did(world, 204, "POST", "/v1/usage/confirm",
              "{\"node\":\"%s\",\"boot\":\"%s\",\"clock\":\"keep\"}",
              answer_str(&held, "held.node_id"), answer_str(&held, "held.boot"));
    see_held(world, 0);
}

static void
test_clock__a_tenant_is_told_neither_which_host_nor_what_only_operators_can(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    world_did(stage.world, 201, "POST", "/v1/projects", "{\"name\":\"acme\"}");
    struct answer auto_answer_json made = world_call(
        stage.world, 201, "POST", "/v1/tokens?project=acme", "{\"name\":\"t\",\"role\":\"admin\"}");
    step_clock(stage.world, 0, 30LL * DAY_MS);
    struct answer auto_answer_json usage = cloud_call_as(
        &stage.world->cloud, answer_str(&made, "secret"), NULL, "GET", "/v1/usage", NULL);
    world_is(&usage, "held.reason",
             "a host's clock is 30 days ahead of where it was; an operator has to say which time "
             "holds");
    world_is(&usage, "held.node", NULL);
    world_is(&usage, "held.node_id", NULL);
    world_is(&usage, "held.boot", NULL);
}

static void test_clock__spans_of_time_are_written_for_people(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0 seconds"},
                 {1400, "1 second"},
                 {-5001, "5 seconds"},
                 {59999, "1 minute"},
                 {61000, "1 minute 1 second"},
                 {7200000, "2 hours"},
                 {7201000, "2 hours"},
                 {5400000, "1 hour 30 minutes"},
                 {2592000000 - 3, "30 days"},
                 {-90000000, "1 day 1 hour"},
                 {INT64_MIN + 1, "106751991167 days 7 hours"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf auto_buf text = {0};
        usage_span_text(cases[i].ms, &text);
        assert_string_equal(text.data, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        TEST(test_clock__a_stepped_clock_holds_up_sealing_until_someone_confirms),
        TEST(test_clock__a_boot_that_is_over_can_be_laid_on_the_controllers_time),
        TEST(test_clock__what_holds_up_sealing_names_its_boot_and_is_what_is_confirmed),
        TEST(test_clock__a_jump_of_days_since_the_last_seal_is_held_as_well),
        TEST(test_clock__every_clock_that_stepped_is_asked_about),
        TEST(test_clock__what_was_kept_is_asked_again_only_when_it_steps_again),
        TEST(test_clock__what_is_off_from_ours_is_not_when_ours_has_been_set_right),
        TEST(test_clock__a_boot_of_our_own_that_is_over_can_be_left_as_it_was),
        TEST(test_clock__a_boot_that_only_its_spool_tells_of_is_held),
        TEST(test_clock__more_evidence_of_a_boot_that_was_confirmed_asks_nobody_again),
        TEST(test_clock__evidence_with_a_stepped_wall_clock_is_not_in_the_future),
        TEST(test_clock__a_boot_that_is_over_is_laid_on_our_line_and_not_on_our_clock),
        TEST(test_clock__what_we_wrote_by_a_line_does_not_speak_for_that_line),
        TEST(test_clock__a_node_that_was_removed_is_confirmed_by_its_id),
        TEST(test_clock__a_tenant_is_told_neither_which_host_nor_what_only_operators_can),
        cmocka_unit_test(test_clock__spans_of_time_are_written_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
