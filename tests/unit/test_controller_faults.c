/* What a controller does when things go wrong around it: hosts that cannot look, copies of
 * the database, twins, jobs that fail, clocks that jump. */
#include "api/limits.h"
#include "controller/instance.h"
#include "controller/meta.h"
#include "controller/operation_rules.h"
#include "controller/request.h"
#include "controller/retention.h"
#include "controller/shares.h"
#include "controller/store_instance.h"
#include "controller/watch.h"
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

static void epoch_of(struct world *world, char epoch[ID_TEXT_MAX])
{
    struct err auto_err err = {0};
    assert_int_equal(epoch_get(app_reader(world->app), epoch, &err), 0);
}

/* Whether GET `resource` shows `wanted` at `path` within five seconds. */
static bool comes_true(struct world *world, const char *resource, const char *path,
                       const char *wanted)
{
    for (int i = 0; i < 500; i++) {
        struct answer auto_answer_json answer = world_call(world, 200, "GET", resource, NULL);
        const char *text = answer_str(&answer, path);
        if (text && strcmp(text, wanted) == 0)
            return true;
        usleep(10000);
    }
    return false;
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

/* ---- jobs that fail ---- */

static int setup_hasty(void **state)
{
    struct world *world;
    world_setup(state);
    world = *state;
    world_close(world);
    world->operation_timeout_ms = 300;
    world->node_lease_ms = 500;
    world_open(world);
    return 0;
}

static void test_fault__a_deadline_that_could_not_be_written_is_tried_again(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    struct answer auto_answer_json made =
        world_call(world, 202, "POST", "/v1/instances",
                   "{\"name\":\"one\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    autofree char *path = xasprintf("/v1/operations/%s", answer_str(&made, "operation.id"));
    world_number(world, "CREATE TRIGGER broken BEFORE UPDATE ON operation"
                        " BEGIN SELECT RAISE(ABORT, 'broken'); END");
    usleep(800000);
    world_see(world, path, "state", "running");
    world_number(world, "DROP TRIGGER broken");
    assert_true(comes_true(world, path, "state", "failed"));
    world_see(world, path, "error.code", "deadline_passed");
    sim_free(host);
}

static void test_fault__a_silence_that_could_not_be_written_is_tried_again(void **state)
{
    struct world *world = *state;
    struct sim_agent *host = world_host(world, "h1", 8192);
    world_number(world, "CREATE TRIGGER broken BEFORE UPDATE OF silent ON node"
                        " BEGIN SELECT RAISE(ABORT, 'broken'); END");
    usleep(1000000);
    world_see(world, "/v1/nodes/h1", "state", "ready");
    world_number(world, "DROP TRIGGER broken");
    assert_true(comes_true(world, "/v1/nodes/h1", "state", "silent"));
    sim_free(host);
}

static void test_fault__an_image_whose_end_could_not_be_written_is_tried_again(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    world_number(world, "CREATE TRIGGER broken BEFORE UPDATE OF file_gone_ms ON image"
                        " WHEN new.file_gone_ms IS NOT NULL"
                        " BEGIN SELECT RAISE(ABORT, 'broken'); END");
    world_did(world, 204, "DELETE", "/v1/images/tiny", NULL);
    usleep(500000);
    world_number(world, "DROP TRIGGER broken");
    for (int i = 0; i < 500; i++) {
        if (world_number(world, "SELECT count(*) FROM image WHERE file_gone_ms IS NULL") == 0)
            return;
        usleep(10000);
    }
    fail_msg("the image's file is still there");
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

/* ---- watchers ---- */

static void never(void *ctx, bool expired)
{
    (void)ctx;
    (void)expired;
}

static void test_fault__people_who_watch_leave_the_agents_their_room(void **state)
{
    struct world *world = *state;
    struct watch *watch = world->app->watch;
    for (int i = 0; i < LIMIT_WATCHERS; i++)
        assert_true(watch_add(watch, WATCH_OPERATION, i + 1, INT64_MAX, 60000, never, NULL));
    assert_false(watch_add(watch, WATCH_EVENTS, 1, INT64_MAX, 60000, never, NULL));
    assert_true(watch_add(watch, WATCH_NODE, 1, INT64_MAX, 60000, never, NULL));
}

static void test_fault__one_projects_token_cannot_hold_all_watchers(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    struct shares *shares = world->app->shares;
    struct caller member = {.token_key = 5, .project_key = 1},
                  other = {.token_key = 6, .project_key = 1}, operator= {.token_key = 7};
    int64_t key = 0;
    for (int i = 0; i < LIMIT_TOKEN_WATCHERS; i++)
        assert_int_equal(shares_take(shares, &member, &key, &err), 0);
    int64_t refused;
    assert_int_equal(shares_take(shares, &member, &refused, &err), -1);
    assert_int_equal(err.code, ERR_TOO_MANY_REQUESTS);
    assert_int_equal(shares_take(shares, &other, &refused, &err), 0);
    for (int i = 0; i < 2 * LIMIT_TOKEN_WATCHERS; i++)
        assert_int_equal(shares_take(shares, &operator, & refused, &err), 0);
    shares_give(shares, key);
    assert_int_equal(shares_take(shares, &member, &key, &err), 0);
    err_clear(&err);
}

static void test_fault__a_long_poll_gives_its_share_back(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    struct answer auto_answer_json made = world_call(
        world, 201, "POST", "/v1/tokens?project=default", "{\"name\":\"m\",\"role\":\"reader\"}");
    int64_t after = world_number(world, "SELECT max(revision) FROM event");
    autofree char *path = xasprintf("/v1/events?wait=50ms&after=%lld", (long long)after);
    for (int i = 0; i < 3; i++) {
        struct answer auto_answer_json page =
            cloud_call_as(&world->cloud, answer_str(&made, "secret"), NULL, "GET", path, NULL);
        assert_int_equal(page.status, 200);
    }
    usleep(20000);
    int64_t token = world_number(world, "SELECT key FROM token WHERE name = 'm'"), key;
    struct caller member = {.token_key = token, .project_key = 1};
    for (int i = 0; i < LIMIT_TOKEN_WATCHERS; i++)
        assert_int_equal(shares_take(world->app->shares, &member, &key, &err), 0);
    struct answer auto_answer_json refused =
        cloud_call_as(&world->cloud, answer_str(&made, "secret"), NULL, "GET", path, NULL);
    assert_int_equal(refused.status, 429);
}

/* ---- races ---- */

static void test_fault__a_file_that_is_there_is_not_replaced(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    autofree char *old = xasprintf("%s/old", world->dir);
    autofree char *new = xasprintf("%s/new", world->dir);
    assert_int_equal(file_write("test", old, "old", 3, 0600, &err), 0);
    assert_int_equal(file_write("test", new, "new", 3, 0600, &err), 0);
    assert_int_equal(file_rename_new("test", new, old, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    struct buf auto_buf text = {0};
    err_clear(&err);
    assert_int_equal(file_read(old, 16, &text, &err), 0);
    assert_string_equal(text.data, "old");
}

static void test_fault__an_upload_never_takes_the_place_of_a_file_that_is_there(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    autofree char *file = xasprintf("%s/tiny.raw", world->dir);
    world_image(world, "tiny");
    autofree char *content = xasprintf("%s/data/images", world->dir);
    struct answer auto_answer_json image = world_call(world, 200, "GET", "/v1/images/tiny", NULL);
    autofree char *kept = xasprintf("%s/%s", content, answer_str(&image, "id"));
    /* As for one who read the row just before the first upload was committed. */
    world_number(world, "UPDATE image SET state = 0");
    struct answer auto_answer_json again =
        cloud_upload(&world->cloud, "/v1/images/tiny/content", file);
    assert_int_equal(again.status, 409);
    usleep(50000);
    struct buf auto_buf text = {0};
    assert_int_equal(file_read(kept, 2 << 20, &text, &err), 0);
    assert_int_equal(text.len, 1 << 20);
}

static int revoke_late(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    usleep(400000); /* the request comes, is let in, and waits behind this */
    struct stmt auto_stmt *stmt =
        db_stmt(tx->db, "UPDATE token SET deleted_ms = 1 WHERE name = 'm'");
    return stmt_run(stmt, err);
}

static void test_fault__a_token_revoked_while_its_request_waits_changes_nothing(void **state)
{
    struct world *world = *state;
    struct answer auto_answer_json made = world_call(
        world, 201, "POST", "/v1/tokens?project=default", "{\"name\":\"m\",\"role\":\"member\"}");
    struct write_job job = {.run = revoke_late};
    assert_true(writer_submit(world->app->writer, &job));
    struct answer auto_answer_json late =
        cloud_call_as(&world->cloud, answer_str(&made, "secret"), NULL, "POST", "/v1/images",
                      "{\"name\":\"late\",\"format\":\"raw\"}");
    assert_int_equal(late.status, 401);
    assert_int_equal(world_number(world, "SELECT count(*) FROM image"), 0);
}

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
#define HASTY(name) cmocka_unit_test_setup_teardown(name, setup_hasty, world_teardown)

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
        HASTY(test_fault__a_deadline_that_could_not_be_written_is_tried_again),
        HASTY(test_fault__a_silence_that_could_not_be_written_is_tried_again),
        HASTY(test_fault__an_image_whose_end_could_not_be_written_is_tried_again),
        TEST(test_fault__what_is_so_already_is_done_when_its_silent_host_returns),
        TEST(test_fault__a_wish_that_is_waited_for_already_is_the_same_operation),
        TEST(test_fault__a_report_ends_more_operations_than_one_look_takes),
        TEST(test_fault__a_new_wish_supersedes_more_than_one_look_takes),
        TEST(test_fault__evidence_of_force_is_told_of_the_run_it_is_about_and_seen),
        TEST(test_fault__old_audit_and_ended_operations_go_and_running_ones_stay),
        TEST(test_fault__a_clock_that_jumps_forward_makes_nothing_old),
        TEST(test_fault__ages_go_with_the_clock_while_it_is_right),
        TEST(test_fault__a_host_remembers_only_its_last_sixteen_pasts),
        TEST(test_fault__people_who_watch_leave_the_agents_their_room),
        TEST(test_fault__one_projects_token_cannot_hold_all_watchers),
        TEST(test_fault__a_long_poll_gives_its_share_back),
        TEST(test_fault__a_file_that_is_there_is_not_replaced),
        TEST(test_fault__an_upload_never_takes_the_place_of_a_file_that_is_there),
        TEST(test_fault__a_token_revoked_while_its_request_waits_changes_nothing),
        TEST(test_fault__other_sizes_on_the_host_are_no_flavor_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
