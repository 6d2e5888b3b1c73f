/* The first start, and what protects the data folder. */
#include <sys/stat.h>

#include "controller/meta.h"
#include "tests/unit/controller_tenants.h"

static char *data_path(const struct world *world, const char *name)
{
    return xasprintf("%s/data/%s", world->dir, name);
}

static struct settings settings_of(const struct world *world)
{
    return (struct settings){.data_dir = xasprintf("%s/data", world->dir),
                             .listen = xstrdup(""),
                             .http_threads = 1,
                             .operation_timeout_ms = 20000,
                             .node_lease_ms = 20000,
                             .event_keep = 100000,
                             .network_cidr = xstrdup("10.77.0.0/24")};
}

static void test_bootstrap__the_first_start_makes_what_a_first_request_needs(void **state)
{
    struct world *world = *state;
    struct answer auto_answer_json flavors = world_call(world, 200, "GET", "/v1/flavors", NULL);
    assert_int_equal(json_count(answer_at(&flavors, "flavors")), 5);
    world_is(&flavors, "flavors.0.name", "tiny");
    world_see(world, "/v1/projects/default", "name", "default");
    struct answer auto_answer_json networks = world_call(world, 200, "GET", "/v1/networks", NULL);
    world_is(&networks, "networks.0.cidr", "10.77.0.0/24");
    world_did(world, 200, "GET", "/v1/healthz", NULL);
}

static void
test_bootstrap__secrets_are_in_private_files_and_only_hashes_in_the_database(void **state)
{
    struct world *world = *state;
    const char *secrets[] = {world->cloud.token, world->join};
    const char *files[] = {"admin.token", "join.token"};
    for (int i = 0; i < 2; i++) {
        struct stat st;
        uint8_t hash[SHA256_BYTES];
        struct err auto_err err = {0};
        autofree char *path = data_path(world, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        sha256(secrets[i], strlen(secrets[i]), hash);
        struct stmt auto_stmt *stmt =
            db_stmt(app_reader(world->app), "SELECT count(*) FROM token WHERE hash = ?");
        stmt_bind(stmt, "b", (const void *)hash, sizeof(hash));
        assert_int_equal(stmt_step(stmt, &err), 1);
        assert_int_equal(stmt_i64(stmt, 0), 1);
        static const char *const databases[] = {"minicloud.db", "minicloud.db-wal"};
        for (int d = 0; d < 2; d++) {
            struct buf auto_buf bytes = {0};
            autofree char *database = data_path(world, databases[d]);
            if (file_read(database, 64 << 20, &bytes, &err) == 0)
                assert_null(memmem(bytes.data, bytes.len, secrets[i], strlen(secrets[i])));
        }
    }
}

static void test_bootstrap__later_starts_change_nothing(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    char before[ID_TEXT_MAX], after[ID_TEXT_MAX];
    autofree char *token = xstrdup(world->cloud.token);
    assert_int_equal(epoch_get(app_reader(world->app), before, &err), 0);
    struct answer auto_answer_json health = world_call(world, 200, "GET", "/v1/healthz", NULL);
    world_restart(world);
    assert_int_equal(epoch_get(app_reader(world->app), after, &err), 0);
    assert_string_equal(before, after);
    assert_string_equal(token, world->cloud.token);
    struct answer auto_answer_json again = world_call(world, 200, "GET", "/v1/healthz", NULL);
    assert_string_equal(health.text, again.text);
}

/* Files from a start that lost its power before the first COMMIT. */
static void test_bootstrap__tokens_without_their_database_are_made_again(void **state)
{
    struct world *world = *state;
    autofree char *lost = xstrdup(world->cloud.token);
    world_close(world);
    static const char *const names[] = {"minicloud.db", "minicloud.db-wal", "minicloud.db-shm"};
    for (int i = 0; i < 3; i++) {
        autofree char *path = data_path(world, names[i]);
        unlink(path);
    }
    world_open(world);
    assert_string_not_equal(lost, world->cloud.token);
    assert_int_equal(tenant_status(world, lost, "GET", "/v1/keys", NULL), 401);
    world_did(world, 200, "GET", "/v1/keys", NULL);
}

static void test_bootstrap__the_last_operators_token_comes_back_with_a_restart(void **state)
{
    struct world *world = *state;
    autofree char *lost = xstrdup(world->cloud.token);
    world_did(world, 204, "DELETE", "/v1/tokens/admin", NULL);
    world_did(world, 401, "GET", "/v1/keys", NULL);
    world_restart(world);
    assert_string_not_equal(lost, world->cloud.token);
    world_did(world, 200, "GET", "/v1/keys", NULL);
    assert_int_equal(tenant_status(world, lost, "GET", "/v1/keys", NULL), 401);
}

static void test_bootstrap__a_second_controller_on_the_same_data_is_refused(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    struct settings settings = settings_of(world);
    struct app *second = NULL;
    assert_int_equal(app_start(&settings, &second, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(err.msg, "locked"));
    world_did(world, 200, "GET", "/v1/keys", NULL);
}

static void test_bootstrap__the_admin_token_is_replaced_while_nobody_runs(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    autofree char *old = xstrdup(world->cloud.token);
    autofree char *other = tenant_token(world, NULL, "second", "admin");
    struct settings settings = settings_of(world);
    assert_int_equal(admin_token_replace(&settings, &err), -1);
    assert_non_null(strstr(err.msg, "a controller runs"));
    world_did(world, 200, "GET", "/v1/keys", NULL);
    err_clear(&err);
    world_close(world);
    assert_int_equal(admin_token_replace(&settings, &err), 0);
    settings_release(&settings);
    world_open(world);
    assert_string_not_equal(old, world->cloud.token);
    world_did(world, 200, "GET", "/v1/keys", NULL);
    assert_int_equal(tenant_status(world, old, "GET", "/v1/keys", NULL), 401);
    assert_int_equal(tenant_status(world, other, "GET", "/v1/keys", NULL), 200);
}

static void test_bootstrap__there_is_nothing_to_replace_in_an_empty_folder(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    struct settings settings = {.data_dir = world->dir};
    assert_int_equal(admin_token_replace(&settings, &err), -1);
    assert_non_null(strstr(err.msg, "no database"));
}

static int age_run(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct stmt auto_stmt *stmt = db_stmt(tx->db, "PRAGMA user_version = 1000");
    return stmt_run(stmt, err);
}

static void test_bootstrap__a_database_of_a_newer_program_is_left_alone(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    struct write_job job = {.run = age_run};
    assert_int_equal(writer_call(world->app->writer, &job, &err), 0);
    world_close(world);
    world->join = NULL; /* the teardown closes again */
    struct settings settings = settings_of(world);
    struct app *app = NULL;
    assert_int_equal(app_start(&settings, &app, &err), -1);
    assert_non_null(strstr(err.msg, "version 1000"));
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(test_bootstrap__##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_first_start_makes_what_a_first_request_needs),
        TEST(secrets_are_in_private_files_and_only_hashes_in_the_database),
        TEST(later_starts_change_nothing),
        TEST(tokens_without_their_database_are_made_again),
        TEST(the_last_operators_token_comes_back_with_a_restart),
        TEST(a_second_controller_on_the_same_data_is_refused),
        TEST(the_admin_token_is_replaced_while_nobody_runs),
        TEST(there_is_nothing_to_replace_in_an_empty_folder),
        TEST(a_database_of_a_newer_program_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
