/* Instances from creation to deletion, seen through the API and a simulated host. */

#include "tests/unit/controller_world.h"

struct stage {
    struct world *world;
    struct sim_agent *host;
    char *id, *path; /* of an instance "one", running */
};

static struct stage stage_open(void **state)
{
    struct stage stage = {.world = *state};
    world_image(stage.world, "tiny");
    stage.host = world_host(stage.world, "h1", 8192);
    stage.id = world_create(stage.world, "one");
    stage.path = world_instance(stage.id);
    world_settle(stage.host);
    return stage;
}

static void stage_close(struct stage *stage)
{
    struct sim_count count;
    sim_count(stage->host, &count);
    assert_int_equal(count.double_starts, 0);
    sim_free(stage->host);
    free(stage->id);
    free(stage->path);
}
#define auto_stage __attribute__((cleanup(stage_close)))

static void test_instance__runs_once_its_host_says_so_and_ends_its_operation(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    struct answer auto_answer_json made =
        world_call(world, 202, "POST", "/v1/instances",
                   "{\"name\":\"one\",\"image\":\"tiny\",\"flavor\":\"small\"}");
    world_is(&made, "instance.state", "provisioning");
    world_is(&made, "instance.desired", "running");
    world_is(&made, "instance.flavor", "small");
    world_is(&made, "instance.node", "h1");
    world_is(&made, "instance.addresses.0.address", "10.77.0.2");
    world_is(&made, "operation.state", "running");
    autofree char *path = world_instance(answer_str(&made, "instance.id"));
    autofree char *operation = world_operation(made, __LINE__);
    made = (struct answer){0};
    world_settle(host);
    world_see(world, path, "state", "running");
    world_see(world, operation, "state", "done");
    sim_free(host);
}

static void test_instance__a_page_shows_what_one_shows(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct answer auto_answer_json one = world_call(stage.world, 200, "GET", stage.path, NULL);
    struct answer auto_answer_json all = world_call(stage.world, 200, "GET", "/v1/instances", NULL);
    struct buf auto_buf a = {0}, auto_buf b = {0};
    json_print(one.json, true, &a);
    json_print(answer_at(&all, "instances.0"), true, &b);
    assert_string_equal(a.data, b.data);
}

static void test_instance__a_guests_own_shutdown_makes_stopped_what_is_desired(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    assert_true(sim_guest_shutdown(stage.host, stage.id));
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "stopped");
    world_see(stage.world, stage.path, "desired", "stopped");
    world_see(stage.world, stage.path, "stop_cause", "guest");
    world_settle(stage.host);
    struct sim_count count;
    sim_count(stage.host, &count);
    assert_int_equal(count.starts, 1);
}

static void test_instance__a_crash_stays_crashed_until_a_start_allots_a_run(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    assert_true(sim_guest_crash(stage.host, stage.id));
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "crashed");
    world_see(stage.world, stage.path, "desired", "running");
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "crashed");
    autofree char *start = world_act(stage.world, stage.id, "start", "{}");
    world_see(stage.world, start, "state", "running");
    world_settle(stage.host);
    world_see(stage.world, start, "state", "done");
    world_see(stage.world, stage.path, "state", "running");
    struct sim_count count;
    sim_count(stage.host, &count);
    assert_int_equal(count.starts, 2);
}

static void test_instance__a_second_start_gives_no_second_run(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct answer auto_answer_json before = world_call(stage.world, 200, "GET", stage.path, NULL);
    autofree char *start = world_act(stage.world, stage.id, "start", "{}");
    world_see(stage.world, start, "state", "done");
    struct answer auto_answer_json after = world_call(stage.world, 200, "GET", stage.path, NULL);
    assert_int_equal(answer_i64(&before, "run"), answer_i64(&after, "run"));
    assert_int_equal(answer_i64(&before, "generation"), answer_i64(&after, "generation"));
}

static void test_instance__a_start_that_is_under_way_is_waited_for_not_repeated(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    free(world_act(stage.world, stage.id, "stop", "{}"));
    world_settle(stage.host);
    autofree char *first = world_act(stage.world, stage.id, "start", "{}");
    autofree char *second = world_act(stage.world, stage.id, "start", "{}");
    world_see(stage.world, first, "state", "running");
    world_see(stage.world, second, "state", "running");
    world_settle(stage.host);
    world_see(stage.world, first, "state", "done");
    world_see(stage.world, second, "state", "done");
    struct sim_count count;
    sim_count(stage.host, &count);
    assert_int_equal(count.starts, 2);
}

static void test_instance__a_stop_supersedes_a_start_and_says_so(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    free(world_act(stage.world, stage.id, "stop", "{}"));
    world_settle(stage.host);
    autofree char *start = world_act(stage.world, stage.id, "start", "{}");
    autofree char *stop = world_act(stage.world, stage.id, "stop", "{}");
    world_see(stage.world, start, "state", "failed");
    world_see(stage.world, start, "error.code", "superseded");
    world_settle(stage.host);
    world_see(stage.world, stop, "state", "done");
    world_see(stage.world, stage.path, "state", "stopped");
}

static bool forced(struct world *world, const char *operation)
{
    bool value = false;
    struct answer auto_answer_json answer = world_call(world, 200, "GET", operation, NULL);
    json_bool(answer_at(&answer, "forced"), &value);
    return value;
}

static void test_instance__a_stop_tells_whether_force_was_needed(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *gentle = world_act(stage.world, stage.id, "stop", "{}");
    world_settle(stage.host);
    world_see(stage.world, gentle, "state", "done");
    assert_false(forced(stage.world, gentle));
    world_see(stage.world, stage.path, "stop_cause", "asked");
    free(world_act(stage.world, stage.id, "start", "{}"));
    world_settle(stage.host);
    autofree char *hard = world_act(stage.world, stage.id, "stop", "{\"force\":true}");
    world_settle(stage.host);
    assert_true(forced(stage.world, hard));
    world_see(stage.world, stage.path, "stop_cause", "forced");
}

static void test_instance__a_reboot_is_another_run_and_needs_a_running_one(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *reboot = world_act(stage.world, stage.id, "reboot", "{}");
    world_see(stage.world, reboot, "state", "running");
    world_settle(stage.host);
    world_see(stage.world, reboot, "state", "done");
    struct answer auto_answer_json one = world_call(stage.world, 200, "GET", stage.path, NULL);
    assert_int_equal(answer_i64(&one, "run"), 2);
    free(world_act(stage.world, stage.id, "stop", "{}"));
    world_settle(stage.host);
    struct answer auto_answer_json refused =
        world_call(stage.world, 409, "POST", world_action_path(stage.id, "reboot"), "{}");
    world_is(&refused, "code", "conflict");
}

static void test_instance__is_resized_only_when_stopped_and_its_disk_never_shrinks(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    const char *resize = "resize";
    struct answer auto_answer_json running =
        world_call(stage.world, 409, "POST", world_action_path(stage.id, resize), "{\"vcpus\":2}");
    assert_non_null(strstr(answer_str(&running, "detail"), "stop it"));
    free(world_act(stage.world, stage.id, "stop", "{}"));
    world_settle(stage.host);
    struct answer auto_answer_json shrink = world_call(
        stage.world, 400, "POST", world_action_path(stage.id, resize), "{\"disk_gib\":5}");
    world_is(&shrink, "field", "/disk_gib");
    struct answer auto_answer_json large = world_call(
        stage.world, 409, "POST", world_action_path(stage.id, resize), "{\"memory_mib\":9000}");
    world_is(&large, "code", "no_capacity");
    world_is(&large, "hosts.0.rule", "memory");
    autofree char *done = world_act(stage.world, stage.id, resize,
                                    "{\"vcpus\":2,\"memory_mib\":2048,\"disk_gib\":20}");
    world_settle(stage.host);
    world_see(stage.world, done, "state", "done");
    struct sim_guest guest;
    assert_true(sim_guest(stage.host, stage.id, &guest));
    assert_int_equal(guest.vcpus, 2);
    assert_int_equal(guest.memory_mib, 2048);
    assert_int_equal(guest.disk_gib, 20);
    struct answer auto_answer_json node = world_call(stage.world, 200, "GET", "/v1/nodes/h1", NULL);
    assert_int_equal(answer_i64(&node, "used_memory_mib"), 2048);
}

static void test_instance__a_rebuild_is_another_disk(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *rebuild = world_act(stage.world, stage.id, "rebuild", "{}");
    world_settle(stage.host);
    world_see(stage.world, rebuild, "state", "done");
    world_see(stage.world, stage.path, "state", "running");
    struct sim_guest guest;
    assert_true(sim_guest(stage.host, stage.id, &guest));
    assert_int_equal(guest.disk_number, 2);
}

static void test_instance__deletion_frees_the_name_at_once_and_the_rest_on_proof(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct answer auto_answer_json gone = world_call(stage.world, 202, "DELETE", stage.path, NULL);
    world_is(&gone, "instance.state", "deleting");
    autofree char *operation = world_operation(gone, __LINE__);
    gone = (struct answer){0};
    autofree char *again = world_create(stage.world, "one");
    autofree char *again_path = world_instance(again);
    world_see(stage.world, again_path, "addresses.0.address", "10.77.0.3");
    world_settle(stage.host);
    world_see(stage.world, operation, "state", "done");
    world_see(stage.world, stage.path, "state", "deleted");
    autofree char *third = world_create(stage.world, "three");
    autofree char *third_path = world_instance(third);
    world_see(stage.world, third_path, "addresses.0.address", "10.77.0.2");
    assert_int_equal(world_number(stage.world, "SELECT count(DISTINCT uid) FROM instance"), 2);
    struct sim_guest guest;
    assert_false(sim_guest(stage.host, stage.id, &guest));
}

static void test_instance__a_final_error_fails_the_operation_with_the_hosts_reason(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    sim_fail_next(stage.host, "the pool is full", true);
    autofree char *id = world_create(stage.world, "two");
    autofree char *path = world_instance(id);
    world_settle(stage.host);
    world_see(stage.world, path, "state", "error");
    world_see(stage.world, path, "reason", "the pool is full");
    autofree char *start = world_act(stage.world, id, "start", "{}");
    world_settle(stage.host);
    world_see(stage.world, start, "state", "done");
    world_see(stage.world, path, "state", "running");
    world_see(stage.world, path, "reason", NULL);
}

static void test_instance__changes_of_names_answer_bare_and_obey_if_match(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct answer auto_answer_json before = world_call(stage.world, 200, "GET", stage.path, NULL);
    assert_non_null(before.etag);
    struct answer auto_answer_json changed = world_call(
        stage.world, 200, "PATCH", stage.path, "{\"name\":\"uno\",\"labels\":{\"tier\":\"web\"}}");
    world_is(&changed, "name", "uno");
    world_is(&changed, "labels.tier", "web");
    assert_string_not_equal(before.etag, changed.etag);
    struct answer auto_answer_json after = world_call(stage.world, 200, "GET", stage.path, NULL);
    assert_string_equal(after.etag, changed.etag);
    struct http_call call = {.method = "PATCH",
                             .path = stage.path,
                             .body = "{}",
                             .body_len = 2,
                             .if_match = before.etag};
    struct http_answer auto_answer stale = {0};
    struct err auto_err err = {0};
    assert_int_equal(http_client_call(stage.world->cloud.client, &call, &stale, &err), 0);
    assert_int_equal(stale.status, 412);
}

static void test_instance__its_tag_changes_when_its_image_is_renamed(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct answer auto_answer_json before = world_call(stage.world, 200, "GET", stage.path, NULL);

    world_did(stage.world, 200, "PATCH", "/v1/images/tiny", "{\"name\":\"small\"}");
    struct answer auto_answer_json after = world_call(stage.world, 200, "GET", stage.path, NULL);
    world_is(&after, "image", "small");
    assert_string_not_equal(before.etag, after.etag);
}

static void test_instance__is_refused_with_what_is_wrong_with_it(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct answer auto_answer_json taken =
        world_call(world, 409, "POST", "/v1/instances",
                   "{\"name\":\"one\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    world_is(&taken, "code", "name_taken");
    struct answer auto_answer_json both =
        world_call(world, 400, "POST", "/v1/instances",
                   "{\"name\":\"two\",\"image\":\"tiny\",\"flavor\":\"tiny\",\"vcpus\":1}");
    world_is(&both, "field", "/flavor");
    struct answer auto_answer_json half =
        world_call(world, 400, "POST", "/v1/instances",
                   "{\"name\":\"two\",\"image\":\"tiny\",\"vcpus\":1,\"disk_gib\":1}");
    world_is(&half, "field", "/memory_mib");
    struct answer auto_answer_json none =
        world_call(world, 404, "POST", "/v1/instances",
                   "{\"name\":\"two\",\"image\":\"none\",\"flavor\":\"tiny\"}");
    world_is(&none, "code", "not_found");
    struct answer auto_answer_json large =
        world_call(world, 409, "POST", "/v1/instances",
                   "{\"name\":\"two\",\"image\":\"tiny\",\"flavor\":\"xlarge\"}");
    world_is(&large, "code", "no_capacity");
    world_is(&large, "hosts.0.node", "h1");
    assert_int_equal(world_number(world, "SELECT count(*) FROM instance"), 1);
    assert_int_equal(world_number(world, "SELECT count(*) FROM event WHERE name = 'two'"), 0);
}

static void test_instance__user_data_reaches_the_host_and_nobody_else(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct answer auto_answer_json made =
        world_call(world, 202, "POST", "/v1/instances",
                   "{\"name\":\"two\",\"image\":\"tiny\",\"flavor\":\"tiny\","
                   "\"user_data\":\"c2VjcmV0LXdvcmQ=\",\"user_data_encoding\":\"base64\"}");
    assert_null(strstr(made.text, "c2Vjcm"));
    assert_null(strstr(made.text, "user_data"));
    assert_int_equal(world_number(world, "SELECT count(*) FROM instance_seed WHERE"
                                         " CAST(user_data AS TEXT) = 'secret-word'"),
                     1);
    autofree char *path = world_instance(answer_str(&made, "instance.id"));
    struct answer auto_answer_json shown = world_call(world, 200, "GET", path, NULL);
    assert_null(strstr(shown.text, "user_data"));
    world_did(world, 202, "DELETE", path, NULL);
    world_settle(stage.host);
    assert_int_equal(world_number(world, "SELECT count(*) FROM instance_seed"), 0);
}

static void test_instance__lists_by_label_state_and_name(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;

    world_did(world, 202, "POST", "/v1/instances",
              "{\"name\":\"two\",\"image\":\"tiny\",\"flavor\":\"tiny\","
              "\"labels\":{\"tier\":\"web\",\"env\":\"prod\"}}");
    const char *const finds_two[] = {"/v1/instances?label=tier%3Dweb",
                                     "/v1/instances?label=env%3Dprod,tier%3Dweb",
                                     "/v1/instances?state=provisioning", "/v1/instances?name=two",
                                     "/v1/instances?name=two&node=h1&image=tiny"};
    for (size_t i = 0; i < ARRAY_SIZE(finds_two); i++) {
        struct answer auto_answer_json page = world_call(world, 200, "GET", finds_two[i], NULL);
        assert_int_equal(json_count(answer_at(&page, "instances")), 1);
        world_is(&page, "instances.0.name", "two");
    }
    struct answer auto_answer_json none =
        world_call(world, 200, "GET", "/v1/instances?label=tier%3Ddb", NULL);
    assert_int_equal(json_count(answer_at(&none, "instances")), 0);
}

static void test_instance__pages_follow_one_another_without_gap_or_repeat(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "more%d", i);
        free(world_create(stage.world, name));
    }
    autofree char *path = xstrdup("/v1/instances?limit=2");
    int seen = 0;
    while (path) {
        struct answer auto_answer_json page = world_call(stage.world, 200, "GET", path, NULL);
        seen += (int)json_count(answer_at(&page, "instances"));
        const char *next = answer_str(&page, "next");
        struct buf auto_buf encoded = {0};
        if (next)
            http_encode(&encoded, next);
        free(path);
        path = next ? xasprintf("/v1/instances?limit=2&cursor=%s", encoded.data) : NULL;
    }
    assert_int_equal(seen, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_instance__runs_once_its_host_says_so_and_ends_its_operation),
        TEST(test_instance__a_page_shows_what_one_shows),
        TEST(test_instance__a_guests_own_shutdown_makes_stopped_what_is_desired),
        TEST(test_instance__a_crash_stays_crashed_until_a_start_allots_a_run),
        TEST(test_instance__a_second_start_gives_no_second_run),
        TEST(test_instance__a_start_that_is_under_way_is_waited_for_not_repeated),
        TEST(test_instance__a_stop_supersedes_a_start_and_says_so),
        TEST(test_instance__a_stop_tells_whether_force_was_needed),
        TEST(test_instance__a_reboot_is_another_run_and_needs_a_running_one),
        TEST(test_instance__is_resized_only_when_stopped_and_its_disk_never_shrinks),
        TEST(test_instance__a_rebuild_is_another_disk),
        TEST(test_instance__deletion_frees_the_name_at_once_and_the_rest_on_proof),
        TEST(test_instance__a_final_error_fails_the_operation_with_the_hosts_reason),
        TEST(test_instance__changes_of_names_answer_bare_and_obey_if_match),
        TEST(test_instance__its_tag_changes_when_its_image_is_renamed),
        TEST(test_instance__is_refused_with_what_is_wrong_with_it),
        TEST(test_instance__user_data_reaches_the_host_and_nobody_else),
        TEST(test_instance__lists_by_label_state_and_name),
        TEST(test_instance__pages_follow_one_another_without_gap_or_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
