/* Nodes: joining, reports and their order, boots, restored databases, strangers. */
#include <stdatomic.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/limits.h"
#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
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
    world_see(stage.world, stage.path, "state", "running");
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

static struct sim_guest guest_of(struct stage *stage)
{
    struct sim_guest guest = {0};
    assert_true(sim_guest(stage->host, stage->id, &guest));
    return guest;
}

static void test_node__joining_again_gives_the_node_back_and_another_token(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct sim_settings settings = {.url = stage.world->cloud.url,
                                    .join_token = stage.world->join,
                                    .name = "h1",
                                    .boot_id = sim_boot_id(stage.host),
                                    .passive = true};
    struct sim_agent *again = NULL;
    struct err auto_err err = {0};
    if (sim_new(&settings, &again, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(sim_node_id(again), sim_node_id(stage.host));
    assert_string_not_equal(sim_token(again), sim_token(stage.host));
    assert_int_equal(sim_round(stage.host, true, 0, &err), -1);
    assert_int_equal(err.code, ERR_UNAUTHENTICATED);
    sim_free(again);
}

static void test_node__refuses_reports_older_than_what_it_took(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    assert_true(sim_guest_shutdown(stage.host, stage.id));
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "stopped");
    assert_int_equal(sim_replay(stage.host, 0), 200); /* its answer was lost */
    for (unsigned back = 1; back < 6; back++)
        assert_int_equal(sim_replay(stage.host, back), 409);
    world_see(stage.world, stage.path, "state", "stopped");
}

static void test_node__refuses_reports_of_an_agent_process_or_boot_that_was_replaced(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    sim_restart(stage.host);
    world_settle(stage.host);
    assert_int_equal(sim_replay(stage.host, 5), 409);
    sim_reboot(stage.host);
    world_settle(stage.host);
    assert_int_equal(sim_replay(stage.host, 5), 409);
    world_restart(stage.world);
    world_see(stage.world, stage.path, "state", "running");
    assert_int_equal(sim_replay(stage.host, 5), 409);
}

static void test_node__an_agents_restart_disturbs_no_guest(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct sim_guest before = guest_of(&stage);
    sim_restart(stage.host);
    world_settle(stage.host);
    struct sim_guest after = guest_of(&stage);
    assert_int_equal(before.run, after.run);
    assert_int_equal(after.state, STATE_RUNNING);
    world_see(stage.world, stage.path, "state", "running");
}

static void test_node__a_new_boot_starts_again_what_is_desired_running_and_only_that(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *off = world_create(stage.world, "off");
    world_settle(stage.host);
    assert_true(sim_guest_shutdown(stage.host, off));
    world_settle(stage.host);
    sim_reboot(stage.host);
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "running");
    struct answer auto_answer_json one = world_call(stage.world, 200, "GET", stage.path, NULL);
    assert_int_equal(answer_i64(&one, "run"), 2);
    autofree char *off_path = world_instance(off);
    world_see(stage.world, off_path, "state", "stopped");
}

/* Its clock may be right again, and say less than the one it counted with before. */
static void test_node__boots_stay_in_the_order_in_which_they_reported(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    static const char orders[] = "SELECT count(*) FROM observation a JOIN observation b"
                                 " ON b.key > a.key AND b.boot_order <= a.boot_order"
                                 " WHERE a.kind = 8 AND b.kind = 8";
    static const int64_t counts[] = {4102444800000, 7, 0, 1800000000000};
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        sim_forget_boots(stage.host, counts[i]);
        sim_reboot(stage.host);
        world_settle(stage.host);
    }
    world_restart(stage.world);
    sim_reboot(stage.host);
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM observation WHERE kind = 8"),
                     2 + (int)ARRAY_SIZE(counts));
    assert_int_equal(world_number(stage.world, orders), 0);
}

static void test_node__a_heartbeat_that_changes_nothing_writes_nothing(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct err auto_err err = {0};
    int64_t before = world_number(stage.world, "SELECT max(revision) FROM event");
    int64_t seen = world_number(stage.world, "SELECT sequence FROM node");
    for (int i = 0; i < 5; i++)
        assert_int_equal(sim_round(stage.host, true, 0, &err), 0);
    assert_int_equal(world_number(stage.world, "SELECT max(revision) FROM event"), before);
    assert_int_equal(world_number(stage.world, "SELECT sequence FROM node"), seen);
}

static void test_node__evidence_is_kept_once(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    static const char count[] =
        "SELECT count(*) FROM observation WHERE incarnation <> '' AND node_key > 0";
    assert_int_equal(world_number(stage.world, count), 2); /* allocated, started */
    sim_replay(stage.host, 0);
    sim_restart(stage.host);
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, count), 2);
    struct answer auto_answer_json one = world_call(stage.world, 200, "GET", stage.path, NULL);
    assert_non_null(answer_str(&one, "started_at"));
}

static void test_node__only_word_of_this_deletion_ends_a_tombstone(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct err auto_err err = {0};
    world_did(stage.world, 202, "DELETE", stage.path, NULL);
    /* The host lost it by itself and says so before it has heard of the deletion. */
    sim_lose(stage.host, stage.id);
    assert_int_equal(sim_round(stage.host, false, 0, &err), 0);
    world_see(stage.world, stage.path, "state", "deleting");
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "deleted");
}

/* ---- databases from the past ---- */

/* What a restored copy looks like from a host: it has seen more than was ever written. */
static void restored(struct stage *stage)
{
    char epoch[ID_TEXT_MAX];
    struct err auto_err err = {0};
    assert_int_equal(epoch_of_node(app_reader(stage->world->app), 1, epoch, &err), 0);
    sim_claim(stage->host, epoch, 1000000);
    assert_int_equal(sim_round(stage->host, true, 0, &err), 0);
    sim_claim(stage->host, NULL, 0);
    char fresh[ID_TEXT_MAX];
    assert_int_equal(epoch_of_node(app_reader(stage->world->app), 1, fresh, &err), 0);
    assert_string_not_equal(epoch, fresh);
}

static void test_node__a_restored_database_takes_the_hosts_facts_over(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    restored(&stage);
    struct answer auto_answer_json refused =
        world_call(stage.world, 409, "POST", world_action_path(stage.id, "stop"), "{}");
    assert_non_null(strstr(answer_str(&refused, "detail"), "try again soon"));
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "running");
    world_see(stage.world, stage.path, "desired", "running");
    struct sim_guest guest = guest_of(&stage);
    assert_int_equal(guest.run, 1);
    autofree char *stop = world_act(stage.world, stage.id, "stop", "{}");
    world_settle(stage.host);
    world_see(stage.world, stop, "state", "done");
}

static void test_node__a_restored_database_believes_that_a_guest_was_stopped(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    restored(&stage);
    sim_guest_shutdown(stage.host, stage.id);
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "stopped");
    world_see(stage.world, stage.path, "desired", "stopped");
    struct sim_count count;
    sim_count(stage.host, &count);
    assert_int_equal(count.starts, 1);
}

static void test_node__what_a_restored_database_misses_is_never_made_again_by_itself(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    restored(&stage);
    sim_lose(stage.host, stage.id);
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "error");
    world_see(stage.world, stage.path, "reason",
              "not found on its host after the database was restored");
    world_settle(stage.host);
    struct sim_guest guest = guest_of(&stage);
    assert_false(guest.exists);
    struct answer auto_answer_json refused =
        world_call(stage.world, 409, "POST", world_action_path(stage.id, "start"), "{}");
    assert_non_null(strstr(answer_str(&refused, "detail"), "rebuild or delete"));
    autofree char *rebuild = world_act(stage.world, stage.id, "rebuild", "{}");
    world_settle(stage.host);
    world_see(stage.world, rebuild, "state", "done");
    guest = guest_of(&stage);
    assert_true(guest.exists);
}

static void test_node__a_lost_instance_of_a_restored_database_can_be_deleted(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    restored(&stage);
    sim_lose(stage.host, stage.id);
    world_settle(stage.host);
    world_did(stage.world, 202, "DELETE", stage.path, NULL);
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "deleted");
}

/* ---- strangers ---- */

static void test_node__a_stranger_is_counted_its_numbers_not_given_out(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    static const char stranger[] = "0b0b0b0b-0000-4000-8000-000000000001";
    sim_foreign(stage.host, stranger, 2, 3000, 200001, "10.77.0.3");
    world_settle(stage.host);
    struct answer auto_answer_json node = world_call(stage.world, 200, "GET", "/v1/nodes/h1", NULL);
    world_is(&node, "quarantined.0.domain", stranger);
    assert_int_equal(answer_i64(&node, "used_memory_mib"), 1024 + 3000);
    assert_int_equal(answer_i64(&node, "instances"), 1);
    autofree char *id = world_create(stage.world, "two");
    autofree char *path = world_instance(id);
    world_see(stage.world, path, "addresses.0.address", "10.77.0.4");
    assert_int_equal(world_number(stage.world, "SELECT max(uid) FROM instance"), 200002);
    struct answer auto_answer_json full =
        world_call(stage.world, 409, "POST", "/v1/instances",
                   "{\"name\":\"big\",\"image\":\"tiny\",\"vcpus\":1,\"memory_mib\":4000,"
                   "\"disk_gib\":1}");
    world_is(&full, "code", "no_capacity");
    sim_lose(stage.host, stranger);
    world_settle(stage.host);
    autofree char *third = world_create(stage.world, "three");
    autofree char *third_path = world_instance(third);
    world_see(stage.world, third_path, "addresses.0.address", "10.77.0.3");
}

static void test_node__an_instance_on_a_host_that_does_not_own_it_is_a_stranger(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct sim_agent *other = world_host(stage.world, "h2", 4096);
    sim_foreign(other, stage.id, 1, 512, 200000, "10.77.0.2");
    world_settle(other);
    struct answer auto_answer_json node = world_call(stage.world, 200, "GET", "/v1/nodes/h2", NULL);
    world_is(&node, "quarantined.0.domain", stage.id);
    world_see(stage.world, stage.path, "state", "running");
    world_see(stage.world, stage.path, "node", "h1");
    sim_free(other);
}

/* ---- conditions ---- */

/* The host speaks by hand: a full report with these conditions. */
static struct answer told_conditions(struct stage *stage, const char *conditions)
{
    static int64_t sequence;
    autofree char *body = xasprintf(
        "{\"protocol\":1,\"boot_id\":\"%s\",\"incarnation\":\"by-hand\",\"sequence\":%lld,"
        "\"boottime_ms\":%lld,\"wall_ms\":%lld,\"full\":true,\"capacity\":{\"cpus\":64,"
        "\"memory_mib\":8192,\"disk_gib\":10240,\"virt\":\"qemu\"},\"conditions\":[%s],"
        "\"instances\":[],\"observations\":[]}",
        sim_boot_id(stage->host), (long long)++sequence, (long long)clock_boottime_ms(),
        (long long)clock_wall_ms(), conditions);
    return cloud_call_as(&stage->world->cloud, sim_token(stage->host), NULL, "POST",
                         "/v1/node/observed", body);
}

static void tell_conditions(struct stage *stage, const char *conditions)
{
    struct answer auto_answer_json answer = told_conditions(stage, conditions);
    if (answer.status != 200)
        fail_msg("%d: %s", answer.status, answer.text);
}

static void assert_refused(struct stage *stage, const char *conditions, const char *why)
{
    struct answer auto_answer_json answer = told_conditions(stage, conditions);
    assert_int_equal(answer.status, 400);
    if (!strstr(answer.text, why) || !strstr(answer.text, "/conditions"))
        fail_msg("no \"%s\" in %s", why, answer.text);
}

static void test_node__what_is_amiss_with_it_is_shown_until_its_host_says_so_no_more(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    tell_conditions(&stage, "{\"code\":\"slow\",\"text\":\"it is slow: hurry\"},"
                            "{\"code\":\"hot\",\"text\":\"it is hot: cool it\"}");
    struct answer auto_answer_json node = world_call(world, 200, "GET", "/v1/nodes/h1", NULL);
    world_is(&node, "conditions.0.code", "hot");
    world_is(&node, "conditions.1.code", "slow");
    world_is(&node, "conditions.1.text", "it is slow: hurry");
    autofree char *since = xstrdup(answer_str(&node, "conditions.1.since"));
    assert_non_null(since);
    int64_t events = world_number(world, "SELECT count(*) FROM event WHERE kind = 'node'");

    /* The same again is no news; other words are, and it is since when it was. */
    tell_conditions(&stage, "{\"code\":\"hot\",\"text\":\"it is hot: cool it\"},"
                            "{\"code\":\"slow\",\"text\":\"it is slow: hurry\"}");
    assert_int_equal(world_number(world, "SELECT count(*) FROM event WHERE kind = 'node'"), events);
    world_restart(world);
    tell_conditions(&stage, "{\"code\":\"slow\",\"text\":\"it is very slow\"}");
    struct answer auto_answer_json later = world_call(world, 200, "GET", "/v1/nodes/h1", NULL);
    world_is(&later, "conditions.0.text", "it is very slow");
    world_is(&later, "conditions.0.since", since);
    assert_null(answer_at(&later, "conditions.1"));
    assert_true(world_number(world, "SELECT count(*) FROM event WHERE kind = 'node'") > events);
    struct answer auto_answer_json metrics = world_call(world, 200, "GET", "/metrics", NULL);
    assert_non_null(strstr(metrics.text, "\nminicloud_nodes_with_conditions 1\n"));

    tell_conditions(&stage, "");
    struct answer auto_answer_json well = world_call(world, 200, "GET", "/v1/nodes/h1", NULL);
    assert_non_null(answer_at(&well, "conditions"));
    assert_null(answer_at(&well, "conditions.0"));
}

static void test_node__what_a_host_says_is_amiss_is_bounded_and_of_one_line(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    auto_buf struct buf many = {0}, large = {0};
    for (int i = 0; i <= LIMIT_CONDITIONS; i++)
        buf_printf(&many, "%s{\"code\":\"c%d\",\"text\":\"t\"}", i ? "," : "", i);
    assert_refused(&stage, many.data, "16");
    buf_puts(&large, "{\"code\":\"c\",\"text\":\"");
    for (int i = 0; i <= LIMIT_REASON; i++)
        buf_putc(&large, 'x');
    buf_puts(&large, "\"}");
    assert_refused(&stage, large.data, "1024");
    assert_refused(&stage, "{\"code\":\"a b\",\"text\":\"t\"}", "a-z, 0-9 and _");
    assert_refused(&stage, "{\"code\":\"a\",\"text\":\"t\\u001b[2J\"}", "control characters");
    assert_refused(&stage, "{\"code\":\"a\",\"text\":\"t\\u009b2J\"}", "control characters");
    assert_refused(&stage, "{\"code\":\"a\",\"text\":\"\"}", "text");
    assert_refused(&stage, "{\"code\":\"a\",\"text\":\"t\"},{\"code\":\"a\",\"text\":\"u\"}",
                   "twice");
    struct answer auto_answer_json node = world_call(stage.world, 200, "GET", "/v1/nodes/h1", NULL);
    assert_null(answer_at(&node, "conditions.0"));
}

static void test_node__one_that_was_removed_leaves_no_conditions(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    tell_conditions(&stage, "{\"code\":\"hot\",\"text\":\"it is hot: cool it\"}");
    world_did(stage.world, 204, "DELETE", "/v1/nodes/h1?force=true", NULL);
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM node_condition"), 0);
}

/* ---- removal ---- */

static void test_node__is_not_removed_while_it_has_instances_unless_forced(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct answer auto_answer_json refused =
        world_call(stage.world, 409, "DELETE", "/v1/nodes/h1", NULL);
    world_is(&refused, "code", "in_use");

    world_did(stage.world, 204, "DELETE", "/v1/nodes/h1?force=true", NULL);
    world_see(stage.world, stage.path, "state", "deleted");
    struct err auto_err err = {0};
    assert_int_equal(sim_round(stage.host, true, 0, &err), -1);
    /* The host comes back as another node, and what runs there is a stranger. */
    struct sim_agent *again = world_host(stage.world, "h1", 8192);
    sim_foreign(again, stage.id, 1, 1024, 200000, "10.77.0.2");
    world_settle(again);
    struct answer auto_answer_json node = world_call(stage.world, 200, "GET", "/v1/nodes/h1", NULL);
    world_is(&node, "quarantined.0.domain", stage.id);
    sim_free(again);
}

static void test_node__one_that_is_not_schedulable_gets_nothing_new(void **state)
{
    struct stage auto_stage stage = stage_open(state);

    world_did(stage.world, 200, "PATCH", "/v1/nodes/h1", "{\"schedulable\":false}");
    struct answer auto_answer_json refused =
        world_call(stage.world, 409, "POST", "/v1/instances",
                   "{\"name\":\"two\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    world_is(&refused, "hosts.0.rule", "schedulable");
}

/* ---- console ---- */

struct service {
    struct sim_agent *host;
    atomic_bool over;
};

static void *serve(void *ctx)
{
    struct service *service = ctx;
    struct err auto_err err = {0};
    while (!service->over)
        sim_round(service->host, false, 1000, &err);
    return NULL;
}

static void test_node__sends_the_console_that_a_person_asks_for(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    pthread_t thread;
    struct service service = {.host = stage.host};
    assert_int_equal(pthread_create(&thread, NULL, serve, &service), 0);
    autofree char *path = xasprintf("%s/console?bytes=100", stage.path);
    struct answer auto_answer_json log = world_call(stage.world, 200, "GET", path, NULL);
    service.over = true;
    assert_non_null(strstr(log.text, stage.id));
    pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_node__joining_again_gives_the_node_back_and_another_token),
        TEST(test_node__refuses_reports_older_than_what_it_took),
        TEST(test_node__refuses_reports_of_an_agent_process_or_boot_that_was_replaced),
        TEST(test_node__an_agents_restart_disturbs_no_guest),
        TEST(test_node__a_new_boot_starts_again_what_is_desired_running_and_only_that),
        TEST(test_node__boots_stay_in_the_order_in_which_they_reported),
        TEST(test_node__a_heartbeat_that_changes_nothing_writes_nothing),
        TEST(test_node__evidence_is_kept_once),
        TEST(test_node__only_word_of_this_deletion_ends_a_tombstone),
        TEST(test_node__a_restored_database_takes_the_hosts_facts_over),
        TEST(test_node__a_restored_database_believes_that_a_guest_was_stopped),
        TEST(test_node__what_a_restored_database_misses_is_never_made_again_by_itself),
        TEST(test_node__a_lost_instance_of_a_restored_database_can_be_deleted),
        TEST(test_node__a_stranger_is_counted_its_numbers_not_given_out),
        TEST(test_node__an_instance_on_a_host_that_does_not_own_it_is_a_stranger),
        TEST(test_node__what_is_amiss_with_it_is_shown_until_its_host_says_so_no_more),
        TEST(test_node__what_a_host_says_is_amiss_is_bounded_and_of_one_line),
        TEST(test_node__one_that_was_removed_leaves_no_conditions),
        TEST(test_node__is_not_removed_while_it_has_instances_unless_forced),
        TEST(test_node__one_that_is_not_schedulable_gets_nothing_new),
        TEST(test_node__sends_the_console_that_a_person_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
