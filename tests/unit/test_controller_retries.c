/* Jobs of the controller's own that cannot be written are tried again until they can. */
#include <stdatomic.h>

#include "controller/db/db_internal.h"
#include "tests/lib/bell.h"
#include "tests/unit/controller_world.h"

static atomic_bool broken;
static atomic_int failures, successes;

/* attempt(): what a trigger asks on the writer's connection, whether to fail this write. */
static void attempt(sqlite3_context *context, int count, sqlite3_value **values)
{
    bool fails = broken;
    (void)count;
    (void)values;
    (*(fails ? &failures : &successes))++;
    bell_ring();
    sqlite3_result_int(context, fails);
}

static int define_attempt(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    /* Harmless, so that a trigger may call it. */
    return sqlite3_create_function(tx->db->raw, "attempt", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, NULL,
                                   attempt, NULL, NULL);
}

/* From now on writes fail as `trigger` says, until all is mended. */
static void break_writes(struct world *world, const char *trigger)
{
    struct err auto_err err = {0};
    struct write_job job = {.run = define_attempt};
    broken = true;
    failures = successes = 0;
    assert_int_equal(writer_call(world->app->writer, &job, &err), 0);
    world_number(world, trigger);
}

static void await_two_failures(void)
{
    bell_await(failures >= 2);
    assert_int_equal(successes, 0);
}

/* Returns when what is written by the next attempt can be read. */
static void mend_writes(struct world *world)
{
    broken = false;
    bell_await(successes >= 1);
    world_number(world, "SELECT 1"); /* behind it in the writer's queue */
}

static int setup_hasty_operations(void **state)
{
    struct world *world;
    world_setup(state);
    world = *state;
    world->operation_timeout_ms = 300;
    world_restart(world);
    return 0;
}

static int setup_hasty_leases(void **state)
{
    struct world *world;
    world_setup(state);
    world = *state;
    world->node_lease_ms = 500;
    world_restart(world);
    return 0;
}

static void test_retry__follows_a_deadline_that_could_not_be_written(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    break_writes(world, "CREATE TRIGGER broken BEFORE UPDATE ON operation"
                        " BEGIN SELECT RAISE(ABORT, 'broken') WHERE attempt(); END");
    struct answer auto_answer_json made =
        world_call(world, 202, "POST", "/v1/instances",
                   "{\"name\":\"one\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    autofree char *path = xasprintf("/v1/operations/%s", answer_str(&made, "operation.id"));
    await_two_failures();
    world_see(world, path, "state", "running");
    mend_writes(world);
    world_see(world, path, "state", "failed");
    world_see(world, path, "error.code", "deadline_passed");
    sim_free(host);
}

static void test_retry__follows_a_silence_that_could_not_be_written(void **state)
{
    struct world *world = *state;
    break_writes(world, "CREATE TRIGGER broken BEFORE UPDATE OF silent ON node WHEN new.silent"
                        " BEGIN SELECT RAISE(ABORT, 'broken') WHERE attempt(); END");
    struct sim_agent *host = world_host(world, "h1", 8192);
    await_two_failures();
    world_see(world, "/v1/nodes/h1", "state", "ready");
    mend_writes(world);
    world_see(world, "/v1/nodes/h1", "state", "silent");
    sim_free(host);
}

static void test_retry__follows_an_image_whose_end_could_not_be_written(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    break_writes(world, "CREATE TRIGGER broken BEFORE UPDATE OF file_gone_ms ON image"
                        " WHEN new.file_gone_ms IS NOT NULL"
                        " BEGIN SELECT RAISE(ABORT, 'broken') WHERE attempt(); END");
    world_did(world, 204, "DELETE", "/v1/images/tiny", NULL);
    await_two_failures();
    assert_int_equal(world_number(world, "SELECT count(*) FROM image WHERE file_gone_ms IS NULL"),
                     1);
    mend_writes(world);
    assert_int_equal(world_number(world, "SELECT count(*) FROM image WHERE file_gone_ms IS NULL"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_retry__follows_a_deadline_that_could_not_be_written,
                                        setup_hasty_operations, world_teardown),
        cmocka_unit_test_setup_teardown(test_retry__follows_a_silence_that_could_not_be_written,
                                        setup_hasty_leases, world_teardown),
        cmocka_unit_test_setup_teardown(test_retry__follows_an_image_whose_end_could_not_be_written,
                                        world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
