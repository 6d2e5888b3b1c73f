/* What was deleted goes when its time is over, and what bills and proofs need of it stays. The
 * clock is one that the test sets: ages are told to the retention as the writer tells them. */
#include <inttypes.h>
#include <sqlite3.h>

#include "api/base/failpoint.h"
#include "controller/instance/store_instance.h"
#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
#include "controller/tx/retention.h"
#include "controller/wait/watch.h"
#include "tests/lib/guard.h"
#include "tests/unit/controller_tenants.h"
#include "tests/unit/usage_world.h"

enum { KEEP_MS = 24 * 3600 * 1000 };

/* ---- the retention, at a time ---- */

struct pruning {
    int64_t aged_ms;
    bool more, fails;
};

static int prune_run(struct tx *tx, void *ctx, struct err *err)
{
    struct pruning *p = ctx;
    struct tx then = *tx;
    const struct retention keep = {.deleted_ms = KEEP_MS};
    then.aged_ms = p->aged_ms;
    if (retention_prune(&then, &keep, &p->more, err) != 0)
        return -1;
    return p->fails ? err_set(err, ERR_INTERNAL, "the power goes") : 0;
}

static int prune_once(struct world *world, struct pruning *p)
{
    struct err auto_err err = {0};
    struct write_job job = {.run = prune_run, .ctx = p};
    return writer_call(world->app->writer, &job, &err);
}

/* Until there is nothing left to do; the number of batches. */
static int prune_at(struct world *world, int64_t aged_ms)
{
    struct pruning p = {.aged_ms = aged_ms, .more = true};
    int batches = 0;
    while (p.more) {
        assert_int_equal(prune_once(world, &p), 0);
        batches++;
    }
    return batches;
}

static int64_t count(struct world *world, const char *sql)
{
    return world_number(world, sql);
}

static void remove_it(struct world *world, const char *path, int status)
{
    world_did(world, status, "DELETE", path, NULL);
}

/* The instance of the stage is deleted, and gone; when. */
static int64_t lose(struct stage *stage)
{
    autofree char *path = world_instance(stage->id);
    remove_it(stage->world, path, 202);
    world_settle(stage->host);
    world_settle(stage->host);
    world_see(stage->world, path, "state", "deleted");
    return count(stage->world, "SELECT gone_ms FROM instance WHERE key = 1");
}

static const char of_one[] = "SELECT (SELECT count(*) FROM instance WHERE key = 1) +"
                             " (SELECT count(*) FROM interface WHERE instance_key = 1) +"
                             " (SELECT count(*) FROM instance_seed WHERE instance_key = 1) +"
                             " (SELECT count(*) FROM instance_flavor_past WHERE instance_key = 1) +"
                             " (SELECT count(*) FROM operation WHERE instance_key = 1)";

static void test_retention__what_was_deleted_goes_one_ms_after_its_time(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    int64_t gone = lose(&stage), rows = count(world, of_one);
    count(world, "INSERT INTO instance_flavor_past (instance_key, vcpus, memory_mib)"
                 " VALUES (1, 1, 64)");
    assert_true(rows >= 4);
    prune_at(world, gone + KEEP_MS);
    assert_int_equal(count(world, of_one), rows + 1);
    assert_int_equal(count(world, "SELECT count(*) FROM instance_past"), 0);
    prune_at(world, gone + KEEP_MS + 1);
    assert_int_equal(count(world, of_one), 0);
    assert_int_equal(count(world, "SELECT count(*) FROM instance_past WHERE key = 1"), 1);
}

static void test_retention__what_is_not_gone_stays_however_long_ago_it_was_deleted(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *path = world_instance(stage.id);
    remove_it(stage.world, path, 202);
    count(stage.world, "UPDATE instance SET deleted_ms = 1");
    prune_at(stage.world, INT64_MAX / 2);
    world_see(stage.world, path, "state", "deleting");
    world_settle(stage.host);
    world_settle(stage.host);
    world_see(stage.world, path, "state", "deleted");
    count(stage.world, "UPDATE operation SET state = 0, finished_ms = NULL WHERE key ="
                       " (SELECT max(key) FROM operation)");
    prune_at(stage.world, INT64_MAX / 2);
    world_see(stage.world, path, "state", "deleted");
}

static void test_retention__keys_are_not_given_out_again(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    prune_at(stage.world, lose(&stage) + KEEP_MS + 1);
    free(world_create(stage.world, "one"));
    assert_int_equal(count(stage.world, "SELECT max(key) FROM instance"), 2);
}

/* ---- who asks for it ---- */

static void is_told(struct world *world, const char *token, const char *method, const char *path,
                    const char *detail)
{
    struct answer auto_answer_json answer = tenant_call(world, token, method, path, NULL);
    assert_int_equal(answer.status, 404);
    if (!strstr(answer.text, detail))
        fail_msg("%s %s: no \"%s\" in %s", method, path, detail, answer.text);
}

static void test_retention__who_may_see_it_is_told_that_only_its_usage_is_kept(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    autofree char *path = world_instance(stage.id);
    autofree char *console = xasprintf("%s/console", path);
    autofree char *list = xasprintf("/v1/operations?instance=%s", stage.id);
    tenant_project(world, "other");
    autofree char *own = tenant_token(world, "default", "own", "member");
    autofree char *foreign = tenant_token(world, "other", "foreign", "member");
    prune_at(world, lose(&stage) + KEEP_MS + 1);
    is_told(world, world->cloud.token, "GET", path, "only its usage is kept");
    is_told(world, own, "GET", path, "only its usage is kept");
    is_told(world, own, "GET", console, "only its usage is kept");
    is_told(world, own, "DELETE", path, "there is no instance");
    is_told(world, foreign, "GET", path, "there is no instance");
    is_told(world, own, "GET", "/v1/instances/one", "there is no instance");
    struct answer auto_answer_json none = tenant_call(world, own, "GET", list, NULL);
    assert_int_equal(none.status, 200);
    assert_non_null(strstr(none.text, "\"operations\":[]"));
}

/* ---- bills and proofs ---- */

enum { ANSWERS = 7 };
struct bill {
    char *texts[ANSWERS];
};

static char *text_of(struct world *world, const char *method, const char *path, const char *body)
{
    struct answer answer = cloud_call(&world->cloud, method, path, body ? "%s" : NULL, body);
    if (answer.status != 200)
        fail_msg("%s gave %d: %s", path, answer.status, answer.text);
    /* Behind its rows an answer says of when it speaks, and evidence goes on. */
    char *end = strstr(answer.text, strcmp(method, "POST") == 0 ? "\"observations\"" : "\"next\"");
    if (end)
        *end = '\0';
    char *text = xstrdup(answer.text);
    answer_release(&answer);
    return text;
}

static struct bill bill_of(struct world *world, const char *id)
{
#define ALL "start=2026-01-01T00:00:00Z&end=2035-01-01T00:00:00Z"
    autofree char *segments = xasprintf("/v1/instances/%s/usage?" ALL, id);
    struct bill bill = {{
        text_of(world, "GET", "/v1/usage?group_by=project,instance,flavor,node,meter&" ALL, NULL),
        text_of(world, "GET", "/v1/usage?group_by=label:team,meter&" ALL, NULL),
        text_of(world, "GET", "/v1/usage/export?format=csv&" ALL, NULL),
        text_of(world, "GET", "/v1/usage/export?format=jsonl&" ALL, NULL),
        text_of(world, "GET", "/v1/usage/export?format=focus&" ALL, NULL),
        text_of(world, "GET", segments, NULL),
        text_of(world, "POST", "/v1/usage/verify", "{}"),
    }};
#undef ALL
    return bill;
}

static void bill_release(struct bill *bill)
{
    for (int i = 0; i < ANSWERS; i++)
        free(bill->texts[i]);
}
#define auto_bill __attribute__((cleanup(bill_release)))

static void must_be_same(const struct bill *before, const struct bill *after)
{
    for (int i = 0; i < ANSWERS; i++)
        assert_string_equal(before->texts[i], after->texts[i]);
}

/* An instance and its image, both with a label, deleted and gone. */
static void lose_all(struct stage *stage)
{
    struct world *world = stage->world;
    autofree char *path = world_instance(stage->id);
    world_did(world, 200, "PATCH", path, "{\"labels\":{\"team\":\"blue\"}}");
    world_did(world, 200, "PATCH", "/v1/images/tiny", "{\"labels\":{\"team\":\"red\"}}");
    lose(stage);
    remove_it(world, "/v1/images/tiny", 204);
    world_until(world, count(world, "SELECT file_gone_ms FROM image") > 0);
    /* Until its host has vouched for later than all that. */
    int64_t now = vouchers_now(world->app->vouchers);
    while (vouchers_now(world->app->vouchers) < now + 2)
        world_settle(stage->host);
    world_settle(stage->host);
}

static void test_retention__bills_and_proofs_are_the_same_before_and_after(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    lose_all(&stage);
    seal(world, vouchers_now(world->app->vouchers));
    struct bill auto_bill before = bill_of(world, stage.id);
    assert_non_null(strstr(before.texts[0], "\"one\""));
    assert_non_null(strstr(before.texts[1], "\"blue\""));
    assert_non_null(strstr(before.texts[1], "\"red\""));
    assert_non_null(strstr(before.texts[2], "tiny"));
    assert_non_null(strstr(before.texts[4], "blue"));
    assert_non_null(strstr(before.texts[6], "\"difference\":null"));
    prune_at(world, INT64_MAX / 2);
    assert_int_equal(count(world, of_one), 0);
    assert_int_equal(count(world, "SELECT count(*) FROM image"), 0);
    struct bill auto_bill after = bill_of(world, stage.id);
    must_be_same(&before, &after);
    world_restart(world);
    struct bill auto_bill again = bill_of(world, stage.id);
    must_be_same(&before, &again);
}

/* What is not sealed yet is worked out from the evidence: whose it is must be known. */
static void test_retention__what_is_not_sealed_yet_is_billed_all_the_same(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    lose_all(&stage);
    long long ran = used(world, "running", ""), kept = used(world, "image", "");
    prune_at(world, INT64_MAX / 2);
    assert_int_equal(count(world, of_one), 0);
    assert_int_equal(used(world, "running", ""), ran);
    assert_int_equal(used(world, "image", ""), kept);
    seal(world, vouchers_now(world->app->vouchers));
    assert_int_equal(used(world, "running", ""), ran);
    assert_int_equal(used(world, "image", ""), kept);
}

/* ---- hosts that still speak of it ---- */

static void test_retention__a_host_that_still_has_it_proves_no_restored_database(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    static const char epoch[] = "SELECT count(*) FROM event WHERE what = 'adopt'";
    autofree char *before = NULL, *after = NULL;
    struct err auto_err err = {0};
    assert_int_equal(meta_get(app_reader(world->app), "epoch", &before, &err), 0);
    /* As when its node was removed, and comes back. */
    count(world, "UPDATE operation SET state = 1, finished_ms = 1");
    count(world, "UPDATE interface SET released_ms = 1");
    count(world, "UPDATE instance SET deleted_ms = 1, gone_ms = 1");
    prune_at(world, KEEP_MS + 2);
    assert_int_equal(count(world, of_one), 0);
    world_settle(stage.host);
    assert_int_equal(meta_get(app_reader(world->app), "epoch", &after, &err), 0);
    assert_string_equal(before, after);
    assert_int_equal(count(world, epoch), 0);
    assert_int_equal(count(world, "SELECT count(*) FROM quarantine"), 1);
}

static void test_retention__late_evidence_of_it_finds_its_host_and_its_flavor(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct err auto_err err = {0};
    int64_t node = 0, flavor = 0;
    count(world, "INSERT INTO flavor VALUES (7, 'f7', 1, 'f7', 1, 1024, 10, 0, 0, NULL)");
    count(world, "UPDATE instance SET flavor_key = 7");
    prune_at(world, lose(&stage) + KEEP_MS + 1);
    struct observation late = {
        .kind = OBS_STARTED, .instance = stage.id, .vcpus = 1, .memory_mib = 1024};
    struct db *db = app_reader(world->app);
    assert_int_equal(store_instance_node(db, stage.id, &node, &err), 1);
    assert_int_equal(node, 1);
    assert_int_equal(store_instance_flavor_of(db, &late, &flavor, &err), 0);
    assert_int_equal(flavor, 7);
}

/* ---- a little at a time ---- */

static const char many_operations[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
    " INSERT INTO operation (id, project_key, instance_key, kind, generation, state, timeout_ms,"
    " revision, created_ms, finished_ms) SELECT 'o' || i, 1, 1, 'stop', 1, 1, 1, 1,"
    " 4000000000000, 4000000000000 FROM n";

static void test_retention__a_batch_is_bounded_whatever_hangs_on_one_instance(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct pruning p = {.aged_ms = lose(&stage) + KEEP_MS + 1};
    count(world, many_operations);
    for (int batches = 1;; batches++) {
        int64_t before = count(world, of_one);
        assert_int_equal(prune_once(world, &p), 0);
        assert_in_range(before - count(world, of_one), 1, 110);
        if (!p.more) {
            assert_in_range(batches, 50, 60);
            break;
        }
        /* What is left still fits together. */
        autofree char *path = world_instance(stage.id);
        world_see(world, path, "state", "deleted");
    }
    assert_int_equal(count(world, of_one), 0);
}

static void test_retention__a_batch_that_is_cut_off_leaves_all_as_it_was(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct pruning p = {.aged_ms = lose(&stage) + KEEP_MS + 1, .fails = true};
    int64_t rows = count(world, of_one);
    assert_int_equal(prune_once(world, &p), -1);
    assert_int_equal(count(world, of_one), rows);
    assert_int_equal(count(world, "SELECT count(*) FROM instance_past"), 0);
    p.fails = false;
    assert_int_equal(prune_once(world, &p), 0);
    assert_int_equal(prune_once(world, &p), 0); /* there is nothing more to be done */
    assert_int_equal(count(world, "SELECT count(*) FROM instance_past"), 1);
}

/* ---- kills ---- */

enum { LIVES = 200, KILLS = 4 };

static void put_lives(const char *path)
{
    static const char lives[] =
        "INSERT INTO node (id, name, host_uuid, cpus, memory_mib, disk_gib, virt, protocol,"
        " revision, created_ms) VALUES ('n', 'n', 'n', 1, 1, 1, 1, 1, 0, 0);"
        "INSERT INTO project (id, name, revision, created_ms) VALUES ('p', 'p', 0, 0);"
        "INSERT INTO network (id, project_key, name, cidr, gateway, nat, public, revision,"
        " created_ms) VALUES ('w', 1, 'w', '', '', 0, 1, 0, 0);"
        "INSERT INTO image (id, project_key, name, public, format, state, revision, created_ms)"
        " VALUES ('m', 1, 'm', 0, 0, 0, 0, 0);"
        "CREATE TEMP TABLE n AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c"
        " WHERE i < 200) SELECT i FROM c;"
        "INSERT INTO instance (id, project_key, name, hostname, node_key, image_key, vcpus,"
        " memory_mib, disk_gib, uid, power, generation, run, disk_number, stop_timeout_ms,"
        " desired_revision, revision, created_ms, deleted_ms, gone_ms) SELECT 'v' || i, 1, 'v', "
        "'v',"
        " 1, 1, 1, 64, 1, 300000 + i, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1 FROM n;"
        "INSERT INTO interface (instance_key, network_key, position, address, address_number, mac,"
        " released_ms) SELECT i, 1, 0, 'a', i, 'm', 1 FROM n;"
        "INSERT INTO operation (id, project_key, instance_key, kind, generation, state, timeout_ms,"
        " revision, created_ms, finished_ms) SELECT 'o' || i, 1, i, 'delete', 1, 1, 1, 0,"
        " 4000000000000, 4000000000000 FROM n;";
    struct err auto_err err = {0};
    struct db *db = NULL;
    sqlite3 *raw = NULL;
    assert_int_equal(db_open(path, DB_WRITER, &db, &err), 0);
    assert_int_equal(db_migrate(db, &err), 0);
    db_close(db);
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    if (sqlite3_exec(raw, lives, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(raw));
    sqlite3_close(raw);
}

static int prune_to_the_end(const char *path)
{
    struct err auto_err err = {0};
    struct writer *writer = NULL;
    struct pruning p = {.aged_ms = KEEP_MS + 2, .more = true};
    struct watch *watch = watch_new();
    struct writer_settings settings = {.db_path = path, .watch = watch};
    struct write_job job = {.run = prune_run, .ctx = &p};
    if (writer_start(&settings, &writer, &err) != 0)
        return 1;
    while (p.more) {
        if (writer_call(writer, &job, &err) != 0)
            return 1;
    }
    writer_stop(writer);
    watch_free(watch);
    return 0;
}

/* Its wait status. */
static int prune_in_child(const char *path, const char *failpoint)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        setenv("MINICLOUD_FAILPOINT", failpoint, 1);
        failpoint_init();
        _exit(prune_to_the_end(path));
    }
    waitpid(child, &status, 0);
    return status;
}

static int64_t raw_number(const char *path, const char *sql)
{
    sqlite3 *raw = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(raw, sql, -1, &stmt, NULL), SQLITE_OK);
    int64_t value = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    sqlite3_close(raw);
    return value;
}

/* Each is there as a whole, or as what is kept of it, and never both. */
static int64_t whole_ones(const char *path)
{
    int64_t whole = raw_number(path, "SELECT count(*) FROM instance");
    assert_int_equal(whole + raw_number(path, "SELECT count(*) FROM instance_past"), LIVES);
    assert_int_equal(raw_number(path, "SELECT count(DISTINCT key) FROM instance_ever"), LIVES);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM interface"), whole);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_int_equal(raw_number(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
                     1);
    return whole;
}

static void test_retention__a_kill_at_any_commit_leaves_each_whole_or_past(void **state)
{
    (void)state;
    static const char *const sites[] = {"db.commit", "db.commit.after"};
    autofree char *dir = guard_tempdir("retention");
    autofree char *path = xasprintf("%s/killed.db", dir);
    put_lives(path);
    int64_t whole = whole_ones(path);
    assert_int_equal(whole, LIVES);
    for (int i = 0; i < KILLS; i++) {
        autofree char *failpoint = xasprintf("%s:%d:kill", sites[i % 2], 1 + i / 2);
        assert_true(WIFSIGNALED(prune_in_child(path, failpoint)));
        int64_t left = whole_ones(path);
        assert_in_range(left, 1, whole);
        whole = left;
    }
    assert_true(whole < LIVES);
    assert_int_equal(prune_to_the_end(path), 0);
    assert_int_equal(whole_ones(path), 0);
}

/* ---- the small nouns ---- */

static void test_retention__tokens_keys_and_images_go_when_nothing_names_them(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    autofree char *secret = tenant_token(world, "default", "short", "member");
    world_did(world, 201, "POST", "/v1/keys",
              "{\"name\":\"k\",\"public_key\":\"" ED25519_LINE "\"}");
    struct answer auto_answer_json kept =
        cloud_call_as(&world->cloud, secret, "again", "POST", "/v1/images",
                      "{\"name\":\"never\",\"format\":\"raw\"}");
    assert_int_equal(kept.status, 201);
    remove_it(world, "/v1/images/never", 204);
    remove_it(world, "/v1/images/tiny", 204);
    remove_it(world, "/v1/keys/k", 204);
    remove_it(world, "/v1/tokens/short?project=default", 204);
    int64_t last = count(world, "SELECT max(deleted_ms) FROM token");
    prune_at(world, last + KEEP_MS);
    assert_int_equal(count(world, "SELECT count(*) FROM token WHERE deleted_ms IS NOT NULL"), 1);
    /* Its answer is as old as that, and goes first; the image's file is still needed. */
    prune_at(world, last + KEEP_MS + 1);
    assert_int_equal(count(world, "SELECT count(*) FROM token WHERE deleted_ms IS NOT NULL"), 0);
    assert_int_equal(count(world, "SELECT count(*) FROM ssh_key"), 0);
    assert_int_equal(count(world, "SELECT count(*) FROM image"), 1);
    assert_int_equal(count(world, "SELECT count(*) FROM image_past"), 0);
    lose(&stage);
    world_until(world, count(world, "SELECT file_gone_ms FROM image") > 0);
    prune_at(world, INT64_MAX / 2);
    assert_int_equal(count(world, "SELECT count(*) FROM image"), 0);
    assert_int_equal(count(world, "SELECT count(*) FROM image_past"), 1);
}

/* From a copy of the folder, or since its unlink failed: the file has an id that bills speak of. */
static void
test_retention__the_file_of_an_image_that_went_becomes_no_second_image_of_its_id(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct answer auto_answer_json image = world_call(world, 200, "GET", "/v1/images/tiny", NULL);
    const char *id = answer_str(&image, "id");
    autofree char *file = xasprintf("%s/%s", world->app->image_dir, id);
    autofree char *orphan = xasprintf("/v1/orphans/%s", id);
    autofree char *import = xasprintf("%s/import", orphan);
    remove_it(world, "/v1/images/tiny", 204);
    lose(&stage);
    world_until(world, count(world, "SELECT file_gone_ms FROM image") > 0);
    world_until(world, access(file, F_OK) != 0);
    prune_at(world, INT64_MAX / 2);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs("a file from a copy", out);
    fclose(out);
    world_did(world, 409, "POST", import, "{\"name\":\"back\",\"format\":\"raw\"}");
    struct answer auto_answer_json list = world_call(world, 200, "GET", "/v1/orphans", NULL);
    assert_non_null(strstr(list.text, "\"importable\":false"));
    assert_non_null(strstr(list.text, "its image was deleted long ago"));
    assert_int_equal(count(world, "SELECT count(*) FROM image_ever"), 1);
    remove_it(world, orphan, 204);
    assert_int_not_equal(access(file, F_OK), 0);
}

static void test_retention__a_token_stays_while_an_answer_is_kept_for_it(void **state)
{
    struct world *world = *state;
    autofree char *secret = tenant_token(world, "default", "short", "member");
    struct answer auto_answer_json kept =
        cloud_call_as(&world->cloud, secret, "again", "POST", "/v1/images",
                      "{\"name\":\"x\",\"format\":\"raw\"}");
    assert_int_equal(kept.status, 201);
    remove_it(world, "/v1/tokens/short?project=default", 204);
    count(world, "UPDATE token SET deleted_ms = 1 WHERE deleted_ms IS NOT NULL");
    prune_at(world, clock_wall_ms());
    assert_int_equal(count(world, "SELECT count(*) FROM token WHERE deleted_ms IS NOT NULL"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_retention__what_was_deleted_goes_one_ms_after_its_time),
        TEST(test_retention__what_is_not_gone_stays_however_long_ago_it_was_deleted),
        TEST(test_retention__keys_are_not_given_out_again),
        TEST(test_retention__who_may_see_it_is_told_that_only_its_usage_is_kept),
        TEST(test_retention__bills_and_proofs_are_the_same_before_and_after),
        TEST(test_retention__what_is_not_sealed_yet_is_billed_all_the_same),
        TEST(test_retention__a_host_that_still_has_it_proves_no_restored_database),
        TEST(test_retention__late_evidence_of_it_finds_its_host_and_its_flavor),
        TEST(test_retention__a_batch_is_bounded_whatever_hangs_on_one_instance),
        TEST(test_retention__a_batch_that_is_cut_off_leaves_all_as_it_was),
        cmocka_unit_test(test_retention__a_kill_at_any_commit_leaves_each_whole_or_past),
        TEST(test_retention__tokens_keys_and_images_go_when_nothing_names_them),
        TEST(test_retention__the_file_of_an_image_that_went_becomes_no_second_image_of_its_id),
        TEST(test_retention__a_token_stays_while_an_answer_is_kept_for_it),
    };
    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
