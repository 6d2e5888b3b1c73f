/* Usage through the API: what simulated hosts prove, sealed and not, and what operators do
 * with the ledger. */

#include "tests/unit/usage_world.h"

/* ---- what is used ---- */

static void test_usage__a_running_instance_is_measured_as_far_as_its_host_vouches(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    world_settle(stage.host);
    long long before = used(stage.world, "running", "");
    assert_true(before > 0);
    assert_int_equal(used(stage.world, "running_memory", "") % 1024, 0);
    used_beyond(stage.world, stage.host, "running", before);
    assert_int_equal(used(stage.world, "gap", ""), -1);
}

static void test_usage__a_stopped_instance_is_allocated_and_never_both(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *stop = world_act(stage.world, stage.id, "stop", "{\"force\":true}");
    world_settle(stage.host);
    world_see(stage.world, stop, "state", "done");
    long long ran = used(stage.world, "running", "");
    world_settle(stage.host);
    world_settle(stage.host);
    assert_int_equal(used(stage.world, "running", ""), ran);
    used_beyond(stage.world, stage.host, "allocated", 0);
    long long disk = used(stage.world, "root_disk", "");
    assert_int_equal(disk % 10, 0);
    /* Both together are as long as the disk was there. */
    long long states = used(stage.world, "running", "&end=2035-01-01T00:00:00Z") +
                       used(stage.world, "allocated", "&end=2035-01-01T00:00:00Z");
    assert_true(states * 10 >= disk);
}

static void test_usage__ends_when_delete_is_accepted(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *path = world_instance(stage.id);
    world_did(stage.world, 202, "DELETE", path, NULL);
    world_settle(stage.host);
    world_settle(stage.host);
    long long ran = used(stage.world, "running", "");
    long long disk = used(stage.world, "root_disk", "");
    world_settle(stage.host);
    assert_int_equal(used(stage.world, "running", ""), ran);
    assert_int_equal(used(stage.world, "root_disk", ""), disk);
    assert_int_equal(disk, ran * 10 + disk % 10 + (disk / 10 - ran) * 10);
}

static void test_usage__sealing_changes_no_total(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *path = world_instance(stage.id);
    autofree char *stop = world_act(stage.world, stage.id, "stop", "{\"force\":true}");
    world_settle(stage.host);
    world_see(stage.world, stop, "state", "done");
    int64_t now = vouchers_now(stage.world->app->vouchers);
    autofree char *start = world_act(stage.world, stage.id, "start", NULL);
    world_settle(stage.host);
    world_see(stage.world, start, "state", "done");
    world_did(stage.world, 202, "DELETE", path, NULL);
    world_settle(stage.host);
    world_settle(stage.host);
    static const char *const names[] = {"running", "allocated", "root_disk"};
    long long before[3];
    for (int i = 0; i < 3; i++)
        before[i] = used(stage.world, names[i], "");
    seal(stage.world, now);
    for (int i = 0; i < 3; i++)
        assert_int_equal(used(stage.world, names[i], ""), before[i]);
    world_settle(stage.host);
    seal(stage.world, vouchers_now(stage.world->app->vouchers));
    for (int i = 0; i < 3; i++)
        assert_int_equal(used(stage.world, names[i], ""), before[i]);
    assert_int_equal(
        world_number(stage.world, "SELECT count(*) FROM segment WHERE corrects_until_ms > 0"), 0);
}

static long long corrected(struct world *world)
{
    struct answer auto_answer_json usage =
        world_call(world, 200, "GET", "/v1/usage?start=2020-01-01T00:00:00Z&meter=running", NULL);
    return strtoll(answer_str(&usage, "usage.0.correction"), NULL, 10);
}

static void test_usage__what_is_proved_late_is_a_correction_of_sealed_time_only(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct vouchers *vouchers = stage.world->app->vouchers;
    /* Sealed further than the host has vouched for: it is taken for lost. */
    int64_t until = vouchers_now(vouchers) + 30;
    seal(stage.world, until);
    while (vouchers_now(vouchers) < until + 10)
        world_settle(stage.host);
    world_settle(stage.host);
    long long late = corrected(stage.world), ran = used(stage.world, "running", "");
    assert_true(late > 0 && late <= 30 + ran);
    used_beyond(stage.world, stage.host, "running", ran);
    assert_int_equal(corrected(stage.world), late);
    seal(stage.world, vouchers_now(vouchers));
    assert_int_equal(corrected(stage.world), late);
}

/* Evidence that was acknowledged to the database that is no more does not come again. */
static void test_usage__what_a_restored_database_takes_over_is_measured_again(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    static const char word[] = "SELECT count(*) FROM observation WHERE kind = 0"
                               " AND incarnation = '' AND node_key > 0";
    assert_int_equal(world_number(stage.world, word), 0);
    sim_claim(stage.host, NULL, 1000000);
    world_settle(stage.host);
    sim_claim(stage.host, NULL, 0);
    world_settle(stage.host);
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, word), 1);
    autofree char *path = xasprintf("/v1/instances/%s/usage", stage.id);
    struct answer auto_answer_json usage = world_call(stage.world, 200, "GET", path, NULL);
    const char *first = strstr(usage.text, "\"running\"");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"running\""));
}

static void move_database(struct world *world, const char *from, const char *to)
{
    struct err auto_err err = {0};
    struct buf auto_buf all = {0};
    autofree char *in = xasprintf("%s/%s", world->dir, from);
    autofree char *out = xasprintf("%s/%s", world->dir, to);
    assert_int_equal(file_read(in, 1 << 26, &all, &err), 0);
    assert_int_equal(file_write("test", out, all.data, all.len, 0600, &err), 0);
}

/* The stop was acknowledged to the database that is no more. */
static void
test_usage__a_run_that_ended_unknown_to_a_restored_database_is_not_billed_on(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    world_close(world);
    move_database(world, "data/minicloud.db", "copy.db");
    world_open(world);
    world_settle(stage.host);
    autofree char *stop = world_act(world, stage.id, "stop", "{\"force\":true}");
    world_settle(stage.host);
    world_see(world, stop, "state", "done");
    world_close(world);
    move_database(world, "copy.db", "data/minicloud.db");
    world_open(world);
    autofree char *path = world_instance(stage.id);
    for (int i = 0; i < 4; i++)
        world_settle(stage.host);
    world_see(world, path, "state", "stopped");
    long long ran = used(world, "running", "");
    for (int i = 0; i < 8; i++)
        world_settle(stage.host);
    assert_int_equal(used(world, "running", ""), ran);
    assert_int_equal(world_number(world, "SELECT count(*) FROM observation WHERE kind = 1"), 1);
}

/* A row that is in the log cannot be taken out: what cannot be does not get in. */
static void test_usage__evidence_that_cannot_be_is_dropped(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    static const char count[] = "SELECT count(*) FROM observation";
    int64_t before = world_number(stage.world, count);
    static const struct observation wrong[] = {
        {.kind = OBS_STARTED, .boottime_ms = -1},
        {.kind = OBS_STARTED, .boottime_ms = 1LL << 52},
        {.kind = OBS_STARTED, .wall_ms = 1LL << 52},
        {.kind = OBS_STARTED, .vcpus = -1},
        {.kind = OBS_ALLOCATED, .disk_gib = 1LL << 52},
        {.kind = OBS_COUNTED, .cpu_ns = -1},
        {.kind = OBS_DELETED},
        {.kind = OBS_STARTED, .run = -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        sim_say(stage.host, stage.id, &wrong[i]);
    sim_say(stage.host, "01a204a6-0cbb-7000-8626-9586c5cf46bd", &(struct observation){0});
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, count), before);
    sim_say(stage.host, stage.id, &(struct observation){.kind = OBS_COUNTED, .run = 1});
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, count), before + 1);
}

/* ---- what a tenant sees ---- */

static void test_usage__a_tenant_sees_its_own_and_no_nodes(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    world_did(stage.world, 201, "POST", "/v1/projects", "{\"name\":\"acme\"}");
    struct answer auto_answer_json made =
        world_call(stage.world, 201, "POST", "/v1/tokens?project=acme",
                   "{\"name\":\"t\",\"role\":\"reader\"}");
    const char *token = answer_str(&made, "secret");
    struct cloud *cloud = &stage.world->cloud;
    struct answer auto_answer_json usage =
        cloud_call_as(cloud, token, NULL, "GET", "/v1/usage", NULL);
    struct answer auto_answer_json nodes =
        cloud_call_as(cloud, token, NULL, "GET", "/v1/usage?group_by=node", NULL);
    assert_int_equal(usage.status, 200);
    if (!strstr(usage.text, "\"usage\":[]"))
        fail_msg("%s", usage.text);
    assert_int_equal(nodes.status, 403);
}

/* ---- verification ---- */

static void test_usage__verify_names_the_row_that_was_changed(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *path = world_instance(stage.id);
    world_did(stage.world, 202, "DELETE", path, NULL);
    world_settle(stage.host);
    world_settle(stage.host);
    /* Lines of time differ by a millisecond or two. */
    seal(stage.world, vouchers_now(stage.world->app->vouchers) + 100);
    struct answer auto_answer_json good =
        world_call(stage.world, 200, "POST", "/v1/usage/verify", "{}");
    assert_non_null(strstr(good.text, "\"verified\":true"));
    assert_non_null(strstr(good.text, "\"more\":false"));
    world_number(stage.world, "DROP TRIGGER segment_no_update");
    world_number(stage.world, "UPDATE segment SET end_ms = end_ms + 1 WHERE key ="
                              " (SELECT max(key) FROM segment WHERE end_ms > 0)");
    struct answer auto_answer_json bad =
        world_call(stage.world, 200, "POST", "/v1/usage/verify", "{}");
    assert_non_null(strstr(bad.text, "\"verified\":false"));
    assert_non_null(strstr(answer_str(&bad, "difference"), "end_ms"));
    struct answer auto_answer_json since =
        world_call(stage.world, 200, "POST", "/v1/usage/verify", "{\"after\":\"%s\"}",
                   answer_str(&good, "chain"));
    assert_non_null(strstr(since.text, "\"verified\":true"));
    assert_non_null(strstr(since.text, "\"seals\":0"));
    assert_string_equal(answer_str(&since, "chain"), answer_str(&good, "chain"));
}

static void test_usage__verify_refuses_to_begin_after_what_is_no_seals_chain(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    static const char *const chains[] = {
        "", "12", "x000000000000000000000000000000000000000000000000000000000000000",
        "1000000000000000000000000000000000000000000000000000000000000000"};
    for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
        struct answer auto_answer_json answer = world_call(
            stage.world, 400, "POST", "/v1/usage/verify", "{\"after\":\"%s\"}", chains[i]);
        assert_string_equal(answer_str(&answer, "code"), "invalid_field");
        assert_string_equal(answer_str(&answer, "field"), "/after");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        TEST(test_usage__a_running_instance_is_measured_as_far_as_its_host_vouches),
        TEST(test_usage__a_stopped_instance_is_allocated_and_never_both),
        TEST(test_usage__ends_when_delete_is_accepted),
        TEST(test_usage__sealing_changes_no_total),
        TEST(test_usage__what_is_proved_late_is_a_correction_of_sealed_time_only),
        TEST(test_usage__what_a_restored_database_takes_over_is_measured_again),
        TEST(test_usage__a_run_that_ended_unknown_to_a_restored_database_is_not_billed_on),
        TEST(test_usage__evidence_that_cannot_be_is_dropped),
        TEST(test_usage__a_tenant_sees_its_own_and_no_nodes),
        TEST(test_usage__verify_names_the_row_that_was_changed),
        TEST(test_usage__verify_refuses_to_begin_after_what_is_no_seals_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
