/* The first start, and what protects the data folder. */
#include <ftw.h>
#include <sys/stat.h>

#include "api/base/failpoint.h"
#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
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

/* ---- a database that was lost ---- */

static void put(const struct world *world, const char *name, const char *bytes, size_t len)
{
    autofree char *path = data_path(world, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
}

static void drop(const struct world *world, const char *name)
{
    autofree char *path = data_path(world, name);
    unlink(path);
}

static void lose_database(const struct world *world)
{
    drop(world, "minicloud.db");
    drop(world, "minicloud.db-wal");
    drop(world, "minicloud.db-shm");
}

/* Starts on the folder; NULL: it did, otherwise why not. Owned by the caller. */
static char *start_once(const struct world *world)
{
    struct err auto_err err = {0};
    struct settings settings = settings_of(world);
    struct app *app = NULL;
    if (app_start(&settings, &app, &err) != 0)
        return xstrdup(err.msg);
    app_stop(app);
    return NULL;
}

static struct buf *listed; /* nftw() passes nothing on */

static int add_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    struct err auto_err err = {0};
    struct buf auto_buf bytes = {0};
    /* The lock holds a process id, and what a reader leaves beside a database is nothing. */
    if (kind != FTW_F || strstr(path, "/lock") || strstr(path, "-shm") ||
        (strstr(path, "-wal") && st->st_size == 0))
        return 0;
    if (file_read(path, 64 << 20, &bytes, &err) != 0)
        fail_msg("%s", err.msg);
    uint8_t hash[SHA256_BYTES];
    char text[SHA256_TEXT_MAX];
    sha256(bytes.data ? bytes.data : "", bytes.len, hash);
    sha256_text(hash, text);
    buf_printf(listed, "%s %s %o\n", path, text, st->st_mode);
    return 0;
}

/* Names, contents and modes of all files. Owned by the caller. */
static char *folder_list(const struct world *world)
{
    autofree char *data = data_path(world, "");
    struct buf list = {0};
    listed = &list;
    assert_int_equal(nftw(data, add_file, 8, FTW_PHYS), 0);
    return buf_take(&list);
}

static void refused_and_untouched(const struct world *world, const char *why)
{
    autofree char *before = folder_list(world);
    autofree char *said = start_once(world);
    autofree char *after = folder_list(world);
    if (!said || !strstr(said, why) || !strstr(said, "new-cloud"))
        fail_msg("\"%s\" does not say \"%s\" and what to do", said ? said : "it started", why);
    assert_string_equal(before, after);
}

static const char sqlite_empty[] = "SQLite format 3";

static void test_bootstrap__a_folder_that_lost_its_database_is_refused_untouched(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    world_close(world);
    autofree char *db = data_path(world, "minicloud.db");
    autofree char *kept = data_path(world, "kept");
    assert_int_equal(rename(db, kept), 0);
    refused_and_untouched(world, "minicloud.db is missing");
    put(world, "minicloud.db", "", 0);
    refused_and_untouched(world, "minicloud.db is empty");
    lose_database(world);
    struct db *bare = NULL;
    struct err auto_err err = {0};
    assert_int_equal(db_open(db, DB_WRITER, &bare, &err), 0);
    db_close(bare);
    refused_and_untouched(world, "minicloud.db has no tables");
    lose_database(world);
    assert_int_equal(db_open(db, DB_WRITER, &bare, &err), 0);
    struct stmt *stmt = db_stmt(bare, "CREATE TABLE other (value INTEGER)");
    assert_int_equal(stmt_run(stmt, &err), 0);
    stmt_done(&stmt);
    db_close(bare);
    refused_and_untouched(world, "minicloud.db belongs to another program");
    lose_database(world);
    put(world, "minicloud.db-wal", sqlite_empty, sizeof(sqlite_empty));
    refused_and_untouched(world, "minicloud.db is missing");
    lose_database(world);
    assert_int_equal(rename(kept, db), 0);
    world_open(world);
    world_see(world, "/v1/images/tiny", "state", "ready");
}

/* With its reason, and not by a crash or with half a start. */
static void says_why(const struct world *world, const char *why)
{
    autofree char *said = start_once(world);
    if (!said || !strstr(said, why))
        fail_msg("\"%s\" does not say \"%s\"", said ? said : "it started", why);
}

static void
test_bootstrap__what_cannot_be_read_is_said_and_nothing_is_made_in_its_place(void **state)
{
    struct world *world = *state;
    static const char other[] = "these are bytes of another program and no database at all........";
    world_close(world);
    autofree char *db = data_path(world, "minicloud.db"), *kept = data_path(world, "kept");
    autofree char *ballast = data_path(world, "ballast");
    assert_int_equal(rename(db, kept), 0);
    put(world, "minicloud.db", other, sizeof(other));
    says_why(world, "file is not a database");
    lose_database(world);
    assert_int_equal(rename(kept, db), 0);
    drop(world, "ballast");
    assert_int_equal(mkdir(ballast, 0700), 0);
    says_why(world, "cannot open");
    assert_int_equal(rmdir(ballast), 0);
    /* Images are there and nothing else, and they may not be looked at: no new cloud. */
    struct world locked = {0};
    struct err auto_err err = {0};
    snprintf(locked.dir, sizeof(locked.dir), "%.40s/locked", world->dir);
    autofree char *data = data_path(&locked, ""), *images = data_path(&locked, "images");
    assert_int_equal(file_mkdirs(data, 0700, &err), 0);
    assert_int_equal(symlink("images", images), 0);
    refused_and_untouched(&locked, "minicloud.db is missing");
    world_open(world);
}

static void test_bootstrap__any_one_file_of_a_cloud_is_enough_to_ask(void **state)
{
    struct world *world = *state;
    static const char *const names[] = {"admin.token",      "join.token", "minicloud.db",
                                        "minicloud.db-wal", "ballast",    "marks.key",
                                        "images/some.qcow2"};
    char dir[sizeof(world->dir)];
    world_close(world);
    memcpy(dir, world->dir, sizeof(dir));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct world other = {0};
        snprintf(other.dir, sizeof(other.dir), "%.40s/%zu", dir, i);
        autofree char *data = data_path(&other, "images");
        struct err auto_err err = {0};
        assert_int_equal(file_mkdirs(data, 0700, &err), 0);
        put(&other, names[i], "", 0);
        autofree char *said = start_once(&other);
        if (!said || !strstr(said, "new-cloud"))
            fail_msg("%s alone: %s", names[i], said ? said : "it started");
        free(take(said));
        drop(&other, names[i]);
        put(&other, "README", "of somebody else", 16);
        said = start_once(&other);
        if (said)
            fail_msg("without %s: %s", names[i], said);
    }
    world_open(world);
}

static void test_bootstrap__a_new_cloud_begins_on_an_operators_word_and_takes_nothing(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    struct settings settings = settings_of(world);
    world_image(world, "tiny");
    autofree char *token = xstrdup(world->cloud.token), *join = xstrdup(world->join);
    struct answer auto_answer_json image = world_call(world, 200, "GET", "/v1/images/tiny", NULL);
    assert_int_equal(new_cloud(&settings, &err), -1); /* one is running */
    err_clear(&err);
    world_close(world);
    assert_int_equal(new_cloud(&settings, &err), -1);
    assert_non_null(strstr(err.msg, "has a cloud already"));
    err_clear(&err);
    lose_database(world);
    put(world, "minicloud.db-wal", sqlite_empty, sizeof(sqlite_empty));
    assert_int_equal(new_cloud(&settings, &err), -1);
    assert_non_null(strstr(err.msg, "move it away"));
    err_clear(&err);
    drop(world, "minicloud.db-wal");
    if (new_cloud(&settings, &err) != 0)
        fail_msg("%s", err.msg);
    settings_release(&settings);
    world_open(world);
    assert_string_equal(world->cloud.token, token);
    assert_string_equal(world->join, join);
    world_did(world, 404, "GET", "/v1/images/tiny", NULL);
    autofree char *file = xasprintf("%s/%s", world->app->image_dir, answer_str(&image, "id"));
    assert_int_equal(access(file, F_OK), 0);
    /* The word holds for one start. */
    world_close(world);
    lose_database(world);
    autofree char *said = start_once(world);
    assert_non_null(said);
    settings = settings_of(world);
    if (new_cloud(&settings, &err) != 0)
        fail_msg("%s", err.msg);
    settings_release(&settings);
    world_open(world);
}

/* ---- a first start that is killed ---- */

static int start_in_child(const struct world *world, const char *name, const char *value)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        setenv(name, value, 1);
        failpoint_init();
        struct err err = {0};
        struct settings settings = settings_of(world);
        struct app *app = NULL;
        _exit(app_start(&settings, &app, &err) == 0 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return status;
}

static void clear_folder(const struct world *world)
{
    autofree char *data = data_path(world, "");
    char *const argv[] = {(char[]){"rm"}, (char[]){"-rf"}, data, NULL};
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execvp("rm", argv);
        _exit(127);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

static void test_bootstrap__a_first_start_killed_anywhere_starts_again(void **state)
{
    struct world *world = *state;
    autofree char *log = xasprintf("%s/passed", world->dir);
    struct buf auto_buf passed = {0};
    struct err auto_err err = {0};
    int kills = 0;
    world_close(world);
    clear_folder(world);
    assert_int_equal(start_in_child(world, "MINICLOUD_FAILPOINT_LOG", log), 0);
    assert_int_equal(file_read(log, 1 << 20, &passed, &err), 0);
    for (char *rest = passed.data, *line; (line = strsep(&rest, "\n")) && *line; kills++) {
        *strchr(line, ' ') = ':';
        clear_folder(world);
        int status = start_in_child(world, "MINICLOUD_FAILPOINT", line);
        if (!WIFSIGNALED(status))
            fail_msg("%s was not reached again", line);
        autofree char *said = start_once(world);
        if (said)
            fail_msg("killed at %s: %s", line, said);
        autofree char *again = start_once(world);
        assert_null(again);
    }
    assert_true(kills > 10);
    world_open(world);
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
        TEST(a_folder_that_lost_its_database_is_refused_untouched),
        TEST(what_cannot_be_read_is_said_and_nothing_is_made_in_its_place),
        TEST(any_one_file_of_a_cloud_is_enough_to_ask),
        TEST(a_new_cloud_begins_on_an_operators_word_and_takes_nothing),
        TEST(a_first_start_killed_anywhere_starts_again),
        TEST(the_last_operators_token_comes_back_with_a_restart),
        TEST(a_second_controller_on_the_same_data_is_refused),
        TEST(the_admin_token_is_replaced_while_nobody_runs),
        TEST(there_is_nothing_to_replace_in_an_empty_folder),
        TEST(a_database_of_a_newer_program_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
