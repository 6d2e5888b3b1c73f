/* What a controller does when things go wrong around it: hosts that cannot look, copies of
 * the database, twins, clocks that jump. */
#include "controller/instance/instance.h"
#include "controller/instance/operation_rules.h"
#include "controller/instance/store_instance.h"
#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
#include "controller/tx/retention.h"
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

static void report(struct sim_agent *host)
{
    struct err auto_err err = {0};
    if (sim_round(host, true, 0, &err) != 0)
        fail_msg("%s", err.msg);
}

/* That the first host is in. */
static void epoch_of(struct world *world, char epoch[ID_TEXT_MAX])
{
    struct err auto_err err = {0};
    assert_int_equal(epoch_of_node(app_reader(world->app), 1, epoch, &err), 0);
}

/* ---- hosts that cannot look ---- */

static void test_fault__a_host_that_cannot_look_ends_no_tombstone(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    sim_blind(stage.host, true);
    world_did(stage.world, 202, "DELETE", stage.path, NULL);
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "deleting");
    sim_blind(stage.host, false);
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "deleted");
}

static void test_fault__a_host_that_cannot_look_loses_nothing_of_a_restored_database(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    char epoch[ID_TEXT_MAX];
    epoch_of(stage.world, epoch);
    sim_claim(stage.host, epoch, 1000000);
    report(stage.host);
    sim_claim(stage.host, NULL, 0);
    sim_blind(stage.host, true);
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, "SELECT observed_state FROM instance"),
                     STATE_RUNNING);
    assert_int_equal(world_number(stage.world, "SELECT adopt FROM instance"), 1);
    sim_blind(stage.host, false);
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, "SELECT adopt FROM instance"), 0);
    world_see(stage.world, stage.path, "state", "running");
}

/* ---- copies of the database ---- */

static void run(char *const argv[])
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* Puts one folder in place of another while the controller is down. */
static void replace(struct world *world, const char *from, const char *to)
{
    autofree char *source = xasprintf("%s/%s", world->dir, from);
    autofree char *target = xasprintf("%s/%s", world->dir, to);
    world_close(world);
    run((char *[]){(char[]){"rm"}, (char[]){"-rf"}, target, NULL});
    run((char *[]){(char[]){"cp"}, (char[]){"-a"}, source, target, NULL});
    world_open(world);
}

static void copy_away(struct world *world)
{
    replace(world, "data", "copy");
}

static void copy_back(struct world *world)
{
    replace(world, "copy", "data");
}

static void write_revisions(struct world *world, int count)
{
    for (int i = 0; i < count; i++)
        world_did(world, 200, "PATCH", "/v1/images/tiny", "{\"labels\":{\"n\":\"%d\"}}", i);
}

static void test_fault__a_copy_that_wrote_past_what_its_hosts_saw_is_noticed(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    char before[ID_TEXT_MAX], after[ID_TEXT_MAX];
    copy_away(stage.world);
    epoch_of(stage.world, before);
    write_revisions(stage.world, 3);
    report(stage.host);
    epoch_of(stage.world, after);
    assert_string_equal(before, after);
    copy_back(stage.world);
    write_revisions(stage.world, 20);
    report(stage.host);
    epoch_of(stage.world, after);
    assert_string_not_equal(before, after);
    assert_int_equal(world_number(stage.world, "SELECT adopt FROM instance"), 1);
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, "SELECT adopt FROM instance"), 0);
    world_see(stage.world, stage.path, "state", "running");
}

static void
test_fault__a_page_of_another_history_is_refused_until_the_host_has_reported(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct err auto_err err = {0};
    char before[ID_TEXT_MAX], after[ID_TEXT_MAX];
    copy_away(stage.world);
    write_revisions(stage.world, 3);
    report(stage.host);
    copy_back(stage.world);
    write_revisions(stage.world, 20);
    epoch_of(stage.world, before);
    assert_int_equal(sim_round(stage.host, false, 0, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    world_settle(stage.host);
    epoch_of(stage.world, after);
    assert_string_not_equal(before, after);
}

static void test_fault__a_history_that_is_its_own_gives_no_new_epoch(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    char before[ID_TEXT_MAX], after[ID_TEXT_MAX];
    epoch_of(stage.world, before);
    report(stage.host);
    copy_away(stage.world); /* only a restart */
    write_revisions(stage.world, 20);
    world_settle(stage.host);
    sim_restart(stage.host);
    world_settle(stage.host);
    epoch_of(stage.world, after);
    assert_string_equal(before, after);
}

static void test_fault__a_later_generation_on_a_host_proves_a_copy(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    char before[ID_TEXT_MAX], after[ID_TEXT_MAX];
    copy_away(stage.world);
    epoch_of(stage.world, before);
    free(world_act(stage.world, stage.id, "stop", "{}"));
    world_settle(stage.host);
    copy_back(stage.world);
    write_revisions(stage.world, 50);
    sim_restart(stage.host); /* it remembers no revision */
    report(stage.host);
    epoch_of(stage.world, after);
    assert_string_not_equal(before, after);
    world_settle(stage.host);
    world_see(stage.world, stage.path, "state", "stopped");
}

static void test_fault__an_instance_of_its_epoch_without_a_row_proves_a_copy(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    char before[ID_TEXT_MAX], after[ID_TEXT_MAX];
    copy_away(stage.world);
    epoch_of(stage.world, before);
    autofree char *later = world_create(stage.world, "later");
    world_settle(stage.host);
    copy_back(stage.world);
    write_revisions(stage.world, 50);
    sim_restart(stage.host);
    report(stage.host);
    epoch_of(stage.world, after);
    assert_string_not_equal(before, after);
    world_settle(stage.host);
    struct answer auto_answer_json node = world_call(stage.world, 200, "GET", "/v1/nodes/h1", NULL);
    world_is(&node, "quarantined.0.domain", later);
}

/* ---- twins ---- */

static int join(struct world *world, const char *boot_id, struct sim_agent **ret, struct err *err)
{
    struct sim_settings settings = {
        .url = world->cloud.url,
        .join_token = world->join,
        .name = "h1",
        .boot_id = boot_id,
        .passive = true,
        .capacity = {.cpus = 16, .memory_mib = 8192, .disk_gib = 500, .virt = VIRT_QEMU}};
    return sim_new(&settings, ret, err);
}

static void test_fault__a_living_host_keeps_its_node_when_its_twin_joins(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct err auto_err err = {0};
    struct sim_agent *twin = NULL;
    assert_int_equal(join(stage.world, NULL, &twin, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(err.msg, "node h1 is alive"));
    assert_non_null(strstr(err.msg, "UUID of its own"));
    report(stage.host); /* its token is good */
}

static void test_fault__a_silent_node_goes_to_the_next_boot_of_its_host(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct err auto_err err = {0};
    struct sim_agent *again = NULL;
    world_number(stage.world, "UPDATE node SET silent = 1");
    world_restart(stage.world);
    if (join(stage.world, NULL, &again, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(sim_node_id(again), sim_node_id(stage.host));
    sim_free(again);
}

static void stranger(struct stage *stage, int64_t uid, const char *address)
{
    sim_foreign(stage->host, "0b0b0b0b-0000-4000-8000-000000000001", 1, 256, uid, address);
    world_settle(stage->host);
}

static void refused_for_a_twin(struct stage *stage, const char *action, const char *what)
{
    struct answer auto_answer_json refused =
        world_call(stage->world, 409, "POST", world_action_path(stage->id, action), "{}");
    assert_non_null(strstr(answer_str(&refused, "detail"), "0b0b0b0b-0000-4000-8000-000000000001"));
    assert_non_null(strstr(answer_str(&refused, "detail"), what));
}

static void test_fault__nothing_starts_whose_user_id_a_quarantined_domain_holds(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    free(world_act(stage.world, stage.id, "stop", "{}"));
    world_settle(stage.host);
    stranger(&stage, 200000, NULL);
    refused_for_a_twin(&stage, "start", "user id");
    refused_for_a_twin(&stage, "rebuild", "user id");
    sim_lose(stage.host, "0b0b0b0b-0000-4000-8000-000000000001");
    world_settle(stage.host);
    free(world_act(stage.world, stage.id, "start", "{}"));
}

static void test_fault__nothing_is_rebuilt_whose_address_a_quarantined_domain_holds(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    stranger(&stage, 0, "10.77.0.2");
    refused_for_a_twin(&stage, "rebuild", "address");
    free(world_act(stage.world, stage.id, "start", "{}")); /* it runs: there is nothing to do */
}

/* ---- operations ---- */

static void test_fault__what_is_so_already_is_done_when_its_silent_host_returns(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct err auto_err err = {0};
    world_number(stage.world, "UPDATE node SET silent = 1");
    world_restart(stage.world);
    world_see(stage.world, stage.path, "state", "unknown");
    autofree char *start = world_act(stage.world, stage.id, "start", "{}");
    world_see(stage.world, start, "state", "running");
    assert_int_equal(sim_round(stage.host, false, 0, &err), 0); /* news, or a page: no report */
    report(stage.host);
    world_see(stage.world, start, "state", "done");
}

static void test_fault__a_wish_that_is_waited_for_already_is_the_same_operation(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    free(world_act(stage.world, stage.id, "stop", "{}"));
    world_settle(stage.host);
    autofree char *first = world_act(stage.world, stage.id, "start", "{}");
    autofree char *second = world_act(stage.world, stage.id, "start", "{}");
    assert_string_equal(first, second);
    assert_int_equal(
        world_number(stage.world, "SELECT count(*) FROM operation WHERE kind = 'start'"), 1);
    world_settle(stage.host);
    world_see(stage.world, first, "state", "done");
}

static void test_fault__a_report_ends_more_operations_than_one_look_takes(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    for (int i = 0; i < 150; i++)
        free(world_act(stage.world, stage.id, "reboot", "{}"));
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM operation WHERE state = 0"),
                     150);
    world_settle(stage.host);
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM operation WHERE state = 0"),
                     0);
}

static void test_fault__a_new_wish_supersedes_more_than_one_look_takes(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    for (int i = 0; i < 150; i++)
        free(world_act(stage.world, stage.id, "reboot", "{}"));
    free(world_act(stage.world, stage.id, "stop", "{}"));
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM operation WHERE state = 0"),
                     1);
}

/* Whether the operation shows `forced`; its tag, owned by the caller. */
static bool forced(struct world *world, const char *operation, char **ret_etag)
{
    bool value = false;
    struct answer auto_answer_json answer = world_call(world, 200, "GET", operation, NULL);
    json_bool(answer_at(&answer, "forced"), &value);
    *ret_etag = xstrdup(answer.etag);
    return value;
}

struct evidence {
    const char *id;
    int64_t run;
};

static int mark_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct evidence *evidence = ctx;
    struct instance auto_instance instance = {0};
    if (store_instance_find(tx->db, evidence->id, &instance, err) != 1)
        return -1;
    return operation_mark_forced(tx, &instance, evidence->run, err);
}

static void say_forced(struct stage *stage, int64_t ended)
{
    struct err auto_err err = {0};
    struct evidence evidence = {.id = stage->id, .run = ended};
    struct write_job job = {.run = mark_run, .ctx = &evidence};
    if (writer_call(stage->world->app->writer, &job, &err) != 0)
        fail_msg("%s", err.msg);
}

static void test_fault__evidence_of_force_is_told_of_the_run_it_is_about_and_seen(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    free(world_act(stage.world, stage.id, "reboot", "{}"));
    world_settle(stage.host);
    autofree char *stop = world_act(stage.world, stage.id, "stop", "{}");
    autofree char *before = NULL, *late = NULL, *after = NULL;
    assert_false(forced(stage.world, stop, &before));
    say_forced(&stage, 1); /* the run before */
    assert_false(forced(stage.world, stop, &late));
    assert_string_equal(before, late);
    say_forced(&stage, 2);
    assert_true(forced(stage.world, stop, &after));
    assert_string_not_equal(before, after);
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM event WHERE what = 'forced'"),
                     1);
}

/* ---- what is kept ---- */

static int prune(struct tx *tx, void *ctx, struct err *err)
{
    const struct retention keep = {.audit_ms = 24LL * 3600 * 1000};
    struct tx then = *tx;
    bool more;
    then.now_ms += *(const int64_t *)ctx;
    return retention_prune(&then, &keep, &more, err);
}

static void prune_at(struct world *world, int64_t later_ms)
{
    struct err auto_err err = {0};
    struct write_job job = {.run = prune, .ctx = &later_ms};
    if (writer_call(world->app->writer, &job, &err) != 0)
        fail_msg("%s", err.msg);
}

static void test_fault__old_audit_and_ended_operations_go_and_running_ones_stay(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    free(world_act(world, stage.id, "stop", "{}"));
    world_number(world, "UPDATE operation SET created_ms = 1, finished_ms = finished_ms * 0 + 1");
    world_number(world, "UPDATE audit SET time_ms = 1");
    world_did(world, 200, "PATCH", "/v1/images/tiny", "{}");
    prune_at(world, 0);
    assert_int_equal(world_number(world, "SELECT count(*) FROM operation"), 1);
    assert_int_equal(world_number(world, "SELECT state FROM operation"), 0);
    assert_int_equal(world_number(world, "SELECT count(*) FROM audit"), 1);
}

static void test_fault__a_clock_that_jumps_forward_makes_nothing_old(void **state)
{
    struct world *world = *state;
    struct answer auto_answer_json made = cloud_call_as(&world->cloud, world->cloud.token, "key-1",
                                                        "POST", "/v1/projects", "{\"name\":\"p\"}");
    assert_int_equal(made.status, 201);
    int64_t audit = world_number(world, "SELECT count(*) FROM audit");
    prune_at(world, 400LL * 24 * 3600 * 1000);
    assert_int_equal(world_number(world, "SELECT count(*) FROM idempotency"), 1);
    assert_int_equal(world_number(world, "SELECT count(*) FROM audit"), audit);
}

static int jumped(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    assert_true(tx->aged_ms <= tx->now_ms);
    assert_true(tx->now_ms - tx->aged_ms < 60000);
    return 0;
}

static void test_fault__ages_go_with_the_clock_while_it_is_right(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    struct write_job job = {.run = jumped};
    assert_int_equal(writer_call(world->app->writer, &job, &err), 0);
}

static void test_fault__a_host_remembers_only_its_last_sixteen_pasts(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    for (int i = 0; i < 20; i++) {
        sim_restart(stage.host);
        report(stage.host);
    }
    assert_int_equal(world_number(stage.world, "SELECT count(*) FROM node_past"), 16);
    assert_int_equal(sim_replay(stage.host, 3), 409);
}

/* ---- sizes ---- */

static void test_fault__other_sizes_on_the_host_are_no_flavor_any_more(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    char epoch[ID_TEXT_MAX];
    world_number(stage.world, "UPDATE instance SET memory_mib = 512, flavor_key ="
                              " (SELECT min(key) FROM flavor)");
    epoch_of(stage.world, epoch);
    sim_claim(stage.host, epoch, 1000000);
    report(stage.host);
    sim_claim(stage.host, NULL, 0);
    world_settle(stage.host);
    world_see(stage.world, stage.path, "flavor", NULL);
    assert_int_equal(world_number(stage.world, "SELECT memory_mib FROM instance"), 1024);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fault__a_host_that_cannot_look_ends_no_tombstone),
        TEST(test_fault__a_host_that_cannot_look_loses_nothing_of_a_restored_database),
        TEST(test_fault__a_copy_that_wrote_past_what_its_hosts_saw_is_noticed),
        TEST(test_fault__a_page_of_another_history_is_refused_until_the_host_has_reported),
        TEST(test_fault__a_history_that_is_its_own_gives_no_new_epoch),
        TEST(test_fault__a_later_generation_on_a_host_proves_a_copy),
        TEST(test_fault__an_instance_of_its_epoch_without_a_row_proves_a_copy),
        TEST(test_fault__a_living_host_keeps_its_node_when_its_twin_joins),
        TEST(test_fault__a_silent_node_goes_to_the_next_boot_of_its_host),
        TEST(test_fault__nothing_starts_whose_user_id_a_quarantined_domain_holds),
        TEST(test_fault__nothing_is_rebuilt_whose_address_a_quarantined_domain_holds),
        TEST(test_fault__what_is_so_already_is_done_when_its_silent_host_returns),
        TEST(test_fault__a_wish_that_is_waited_for_already_is_the_same_operation),
        TEST(test_fault__a_report_ends_more_operations_than_one_look_takes),
        TEST(test_fault__a_new_wish_supersedes_more_than_one_look_takes),
        TEST(test_fault__evidence_of_force_is_told_of_the_run_it_is_about_and_seen),
        TEST(test_fault__old_audit_and_ended_operations_go_and_running_ones_stay),
        TEST(test_fault__a_clock_that_jumps_forward_makes_nothing_old),
        TEST(test_fault__ages_go_with_the_clock_while_it_is_right),
        TEST(test_fault__a_host_remembers_only_its_last_sixteen_pasts),
        TEST(test_fault__other_sizes_on_the_host_are_no_flavor_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
