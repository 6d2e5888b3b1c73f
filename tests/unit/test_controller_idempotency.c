/* Idempotency-Key: asking again does it once, and only that. */
#include "tests/lib/raw_http.h"
#include "tests/unit/controller_tenants.h"

static struct answer post(struct world *world, const char *key, const char *path, const char *body)
{
    return cloud_call_as(&world->cloud, NULL, key, "POST", path, body);
}

static int64_t count_rows(struct world *world, const char *sql)
{
    struct err auto_err err = {0};
    struct stmt auto_stmt *stmt = db_stmt(app_reader(world->app), sql);
    assert_int_equal(stmt_step(stmt, &err), 1);
    return stmt_i64(stmt, 0);
}

static const char key_body[] = "{\"name\":\"me\",\"public_key\":\"" ED25519_LINE "\"}";
static const char other_body[] = "{\"name\":\"you\",\"public_key\":\"" ED25519_LINE "\"}";

static void test_idempotency__the_same_request_again_gets_the_same_answer(void **state)
{
    struct world *world = *state;
    struct answer auto_answer_json first = post(world, "k-1", "/v1/keys", key_body);
    struct answer auto_answer_json again = post(world, "k-1", "/v1/keys", key_body);
    assert_int_equal(first.status, 201);
    assert_int_equal(again.status, 201);
    assert_string_equal(first.text, again.text);
    assert_string_equal(first.etag, again.etag);
    assert_int_equal(count_rows(world, "SELECT count(*) FROM ssh_key"), 1);
    assert_int_equal(count_rows(world, "SELECT count(*) FROM audit WHERE action = 'key.create'"),
                     1);
    world_restart(world);
    struct answer auto_answer_json later = post(world, "k-1", "/v1/keys", key_body);
    assert_string_equal(first.text, later.text);
}

static void test_idempotency__a_replay_says_so_and_keeps_the_location(void **state)
{
    struct world *world = *state;
    autofree char *socket_path = xasprintf("%s/data/api.sock", world->dir);
    autofree char *text =
        xasprintf("POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                  "Idempotency-Key: k\r\nContent-Length: %zu\r\n\r\n%s",
                  world->cloud.token, strlen(key_body), key_body);
    struct raw auto_raw raw = raw_open_unix(socket_path);
    struct raw_reply auto_raw_reply reply = {0};
    raw_puts(&raw, text);
    raw_read(&raw, &reply);
    autofree char *first_location = raw_header(&reply, "Location");
    autofree char *first_mark = raw_header(&reply, "Idempotency-Replayed");
    raw_puts(&raw, text);
    raw_read(&raw, &reply);
    autofree char *location = raw_header(&reply, "Location");
    autofree char *mark = raw_header(&reply, "Idempotency-Replayed");
    assert_null(first_mark);
    assert_string_equal(mark, "true");
    assert_string_equal(location, first_location);
    assert_int_equal(strncmp(location, "/v1/keys/", 9), 0);
}

static void test_idempotency__another_body_is_refused(void **state)
{
    struct world *world = *state;
    struct answer auto_answer_json first = post(world, "k-1", "/v1/keys", key_body);
    assert_int_equal(first.status, 201);
    struct answer auto_answer_json other = post(world, "k-1", "/v1/keys", other_body);
    assert_int_equal(other.status, 422);
    world_is(&other, "code", "idempotency_key_reused");
    assert_int_equal(count_rows(world, "SELECT count(*) FROM ssh_key"), 1);
}

static void test_idempotency__keys_belong_to_a_token_and_a_path(void **state)
{
    struct world *world = *state;
    tenant_project(world, "acme");
    autofree char *dev = tenant_token(world, "acme", "dev", "member");
    struct answer auto_answer_json mine = post(world, "k-1", "/v1/keys", key_body);
    struct answer auto_answer_json theirs =
        cloud_call_as(&world->cloud, dev, "k-1", "POST", "/v1/keys", other_body);
    struct answer auto_answer_json elsewhere =
        post(world, "k-1", "/v1/images", "{\"name\":\"img\",\"format\":\"raw\"}");
    struct answer auto_answer_json project = post(world, "k-1", "/v1/keys?project=acme", key_body);
    assert_int_equal(mine.status, 201);
    assert_int_equal(theirs.status, 201);
    assert_int_equal(elsewhere.status, 201);
    assert_int_equal(project.status, 201);
    assert_int_equal(count_rows(world, "SELECT count(*) FROM ssh_key"), 3);
}

static void test_idempotency__failures_are_not_kept(void **state)
{
    struct world *world = *state;
    world_did(world, 201, "POST", "/v1/keys", "%s", key_body);
    struct answer auto_answer_json taken = post(world, "k-1", "/v1/keys", key_body);
    assert_int_equal(taken.status, 409);
    world_did(world, 204, "DELETE", "/v1/keys/me", NULL);
    struct answer auto_answer_json now = post(world, "k-1", "/v1/keys", key_body);
    assert_int_equal(now.status, 201);
}

static void test_idempotency__a_secret_is_never_shown_twice(void **state)
{
    struct world *world = *state;
    static const char body[] = "{\"name\":\"ci\",\"role\":\"member\"}";
    struct answer auto_answer_json first = post(world, "t-1", "/v1/tokens", body);
    struct answer auto_answer_json again = post(world, "t-1", "/v1/tokens", body);
    assert_int_equal(first.status, 201);
    assert_int_equal(again.status, 409);
    world_is(&again, "code", "secret_already_shown");
    assert_int_equal(count_rows(world, "SELECT count(*) FROM idempotency WHERE secret = 1"
                                       " AND reply = ''"),
                     1);
    assert_int_equal(count_rows(world, "SELECT count(*) FROM token WHERE name = 'ci'"), 1);
    /* Nothing on the disk holds it. */
    autofree char *db_path = xasprintf("%s/data/minicloud.db", world->dir);
    autofree char *wal_path = xasprintf("%s-wal", db_path);
    const char *paths[] = {db_path, wal_path};
    const char *secret = answer_str(&first, "secret");
    for (int i = 0; i < 2; i++) {
        struct err auto_err err = {0};
        struct buf auto_buf bytes = {0};
        if (file_read(paths[i], 64 << 20, &bytes, &err) == 0)
            assert_null(memmem(bytes.data, bytes.len, secret, strlen(secret)));
    }
}

static int age_run(struct tx *tx, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(tx->db, "UPDATE idempotency SET created_ms = created_ms - ?");
    stmt_bind(stmt, "i", *(int64_t *)ctx);
    return stmt_run(stmt, err);
}

static void age(struct world *world, int64_t ms)
{
    struct err auto_err err = {0};
    struct write_job job = {.run = age_run, .ctx = &ms};
    assert_int_equal(writer_call(world->app->writer, &job, &err), 0);
}

static void test_idempotency__answers_are_kept_for_a_day(void **state)
{
    struct world *world = *state;
    struct answer auto_answer_json first = post(world, "k-1", "/v1/keys", key_body);
    assert_int_equal(first.status, 201);
    age(world, 24 * 3600 * 1000 - 60000);
    struct answer auto_answer_json again = post(world, "k-1", "/v1/keys", key_body);
    assert_int_equal(again.status, 201);
    age(world, 120000);
    struct answer auto_answer_json late = post(world, "k-1", "/v1/keys", other_body);
    assert_int_equal(late.status, 201);
    world_is(&late, "name", "you");
}

static void test_idempotency__a_key_that_cannot_be_one_is_refused_by_name(void **state)
{
    struct world *world = *state;
    char longest[257];
    memset(longest, 'k', 256);
    longest[256] = '\0';
    struct answer auto_answer_json too_long = post(world, longest, "/v1/keys", key_body);
    assert_int_equal(too_long.status, 400);
    world_is(&too_long, "field", "Idempotency-Key");
    longest[255] = '\0';
    struct answer auto_answer_json fits = post(world, longest, "/v1/keys", key_body);
    assert_int_equal(fits.status, 201);
    struct answer auto_answer_json blank = post(world, "a b", "/v1/keys", other_body);
    assert_int_equal(blank.status, 400);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(test_idempotency__##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_same_request_again_gets_the_same_answer),
        TEST(a_replay_says_so_and_keeps_the_location),
        TEST(another_body_is_refused),
        TEST(keys_belong_to_a_token_and_a_path),
        TEST(failures_are_not_kept),
        TEST(a_secret_is_never_shown_twice),
        TEST(answers_are_kept_for_a_day),
        TEST(a_key_that_cannot_be_one_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
