/* What is due without anyone asking: deadlines, leases, waits. */
#include "controller/wait/deadlines.h"
#include "tests/unit/controller_world.h"

static void test_reconcile__an_operation_ends_at_its_deadline_and_the_desire_stays(void **state)
{
    struct world *world = *state;
    world->operation_timeout_ms = 400;
    world_restart(world);
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    autofree char *id = world_create(world, "one");
    autofree char *path = world_instance(id);
    autofree char *operation = world_act(world, id, "start", "{}");
    world_await(world, operation, "state", "failed");
    struct answer auto_answer_json ended = world_call(world, 200, "GET", operation, NULL);
    world_is(&ended, "error.code", "deadline_passed");
    assert_non_null(strstr(answer_str(&ended, "error.detail"), "provisioning"));
    world_see(world, path, "desired", "running");
    world_settle(host);
    world_see(world, path, "state", "running");
    assert_int_equal(world_number(world, "SELECT count(*) FROM operation WHERE state = 0"), 0);
    sim_free(host);
}

static void test_reconcile__deadlines_begin_anew_with_the_controller(void **state)
{
    enum { TIMEOUT_MS = 400 };
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    autofree char *id = world_create(world, "one");
    autofree char *operation = world_act(world, id, "start", "{}");
    world_number(world, "UPDATE operation SET timeout_ms = 400");
    int64_t before_ms = clock_boottime_ms();
    world_restart(world);
    world_await(world, operation, "state", "failed");
    assert_true(clock_boottime_ms() - before_ms >= TIMEOUT_MS);
    sim_free(host);
}

/* Leases begin anew with the controller, each in full. */
static void with_lease(struct world *world, int64_t ms)
{
    world->node_lease_ms = ms;
    world_restart(world);
}

static void test_reconcile__a_silent_host_makes_its_instances_unknown_until_it_speaks(void **state)
{
    struct world *world = *state;
    int64_t lease_ms = world->node_lease_ms;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    autofree char *id = world_create(world, "one");
    autofree char *path = world_instance(id);
    world_settle(host);
    struct answer auto_answer_json before = world_call(world, 200, "GET", path, NULL);
    world_is(&before, "state", "running");
    with_lease(world, 600);
    world_await(world, "/v1/nodes/h1", "state", "silent");
    struct answer auto_answer_json during = world_call(world, 200, "GET", path, NULL);
    world_is(&during, "state", "unknown");
    assert_string_not_equal(before.etag, during.etag);
    struct answer auto_answer_json listed =
        world_call(world, 200, "GET", "/v1/instances?state=unknown", NULL);
    assert_int_equal(json_count(answer_at(&listed, "instances")), 1);
    struct answer auto_answer_json refused =
        world_call(world, 409, "POST", "/v1/instances",
                   "{\"name\":\"two\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    world_is(&refused, "hosts.0.rule", "silent");
    assert_int_equal(world_number(world, "SELECT count(*) FROM event WHERE what = 'state:unknown'"),
                     1);
    with_lease(world, lease_ms);
    world_settle(host);
    struct answer auto_answer_json after = world_call(world, 200, "GET", path, NULL);
    world_is(&after, "state", "running");
    assert_string_equal(before.etag, after.etag);
    world_see(world, "/v1/nodes/h1", "state", "ready");
    sim_free(host);
}

static void test_reconcile__a_console_that_no_host_sends_is_answered_all_the_same(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    autofree char *id = world_create(world, "one");
    autofree char *path = xasprintf("/v1/instances/%s/console", id);
    struct answer auto_answer_json answer = world_call(world, 504, "GET", path, NULL);
    world_is(&answer, "code", "host_timeout");
    sim_free(host);
}

static void test_deadlines__come_out_in_order_and_only_when_due(void **state)
{
    (void)state;
    struct deadlines deadlines = {0};
    srandom(5);
    for (int64_t i = 0; i < 1000; i++)
        deadlines_add(&deadlines, random() % 500, i);
    int64_t key, taken = 0, last = -1;
    for (int64_t now = 0; now < 500; now++) {
        while (deadlines_take(&deadlines, now, &key)) {
            taken++;
            last = now;
        }
        assert_true(deadlines_next(&deadlines) > now);
    }
    assert_int_equal(taken, 1000);
    assert_in_range(last, 490, 499);
    assert_true(deadlines_next(&deadlines) == INT64_MAX);
    deadlines_release(&deadlines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reconcile__an_operation_ends_at_its_deadline_and_the_desire_stays),
        TEST(test_reconcile__deadlines_begin_anew_with_the_controller),
        TEST(test_reconcile__a_silent_host_makes_its_instances_unknown_until_it_speaks),
        TEST(test_reconcile__a_console_that_no_host_sends_is_answered_all_the_same),
        cmocka_unit_test(test_deadlines__come_out_in_order_and_only_when_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
