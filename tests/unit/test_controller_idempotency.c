/* Idempotency-Key: asking again does it once, and only that. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "controller/tx/readers.h"
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

/* ---- while nothing new is taken ---- */

static void gave(struct world *world, const char *key, const char *path, const char *body,
                 int wanted, const char *text)
{
    struct answer auto_answer_json answer = post(world, key, path, body);
    if (answer.status != wanted || (text && strcmp(answer.text, text) != 0))
        fail_msg("key %s gave %d %s, not %d %s", key, answer.status, answer.text, wanted,
                 text ? text : "");
}

static const char token_body[] = "{\"name\":\"ci\",\"role\":\"member\"}";
static const char third_body[] = "{\"name\":\"third\",\"public_key\":\"" ED25519_LINE "\"}";

/* Takes all that is left but `leave` bytes. */
static void fill_disk(const char *path, off_t leave)
{
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    off_t size = 64 << 20;
    while (size > 4096 && posix_fallocate(fd, 0, size) != 0)
        size -= 65536;
    assert_int_equal(ftruncate(fd, size - leave), 0);
}

/* Creates, none of which needs the answer of another, until the disk is full. */
static void create_until_full(struct world *world)
{
    autofree char *padding = xmalloc(200);
    memset(padding, 'x', 199);
    padding[199] = '\0';
    for (int i = 0; i < 3000; i++) {
        autofree char *body = xasprintf("{\"name\":\"i%d\",\"format\":\"raw\",\"labels\":{"
                                        "\"a\":\"%s\",\"b\":\"%s\",\"c\":\"%s\"}}",
                                        i, padding, padding, padding);
        struct answer auto_answer_json made = post(world, NULL, "/v1/images", body);
        if (made.status == 507)
            return;
        assert_int_equal(made.status, 201);
    }
    fail_msg("the disk never was full");
}

static void test_idempotency__a_full_disk_keeps_no_answer_back(void **state)
{
    struct world *world = *state;
    autofree char *data = xasprintf("%s/data", world->dir);
    autofree char *filler = xasprintf("%s/filler", data);
    world_close(world);
    bool small = mount("tmpfs", data, "tmpfs", 0, "size=24m") == 0;
    int reason = errno;
    world_open(world);
    if (!small) {
        print_message("mounting a small disk needs root: %s\n", strerror(reason));
        skip();
    }
    struct answer auto_answer_json old = post(world, "old", "/v1/keys", other_body);
    age(world, 25 * 3600 * 1000);
    struct answer auto_answer_json first = post(world, "k-1", "/v1/keys", key_body);
    struct answer auto_answer_json secret = post(world, "t-1", "/v1/tokens", token_body);
    assert_int_equal(old.status, 201);
    assert_int_equal(first.status, 201);
    assert_int_equal(secret.status, 201);
    fill_disk(filler, 512 * 1024);
    create_until_full(world);

    gave(world, "k-2", "/v1/keys", third_body, 507, NULL);
    gave(world, "k-1", "/v1/keys", key_body, 201, first.text);
    gave(world, "k-1", "/v1/keys", other_body, 422, NULL);
    gave(world, "t-1", "/v1/tokens", token_body, 409, NULL);
    gave(world, "old", "/v1/keys", other_body, 507, NULL);
    world_did(world, 204, "DELETE", "/v1/keys/you", NULL);
    gave(world, "k-1", "/v1/keys", key_body, 201, first.text);
}

static int unmount(void **state)
{
    struct world *world = *state;
    autofree char *data = xasprintf("%s/data", world->dir);
    world_close(world);
    umount2(data, MNT_DETACH);
    world_open(world);
    return world_teardown(state);
}

struct block {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool inside, open;
};

static int block_run(struct tx *tx, void *ctx, struct err *err)
{
    struct block *block = ctx;
    (void)tx;
    (void)err;
    pthread_mutex_lock(&block->lock);
    block->inside = true;
    pthread_cond_broadcast(&block->changed);
    while (!block->open)
        pthread_cond_wait(&block->changed, &block->lock);
    pthread_mutex_unlock(&block->lock);
    return 0;
}

static int nothing_run(struct tx *tx, void *ctx, struct err *err)
{
    (void)tx;
    (void)ctx;
    (void)err;
    return 0;
}

/* The writer stands in one job, and behind it waits all that may wait. */
static void block_writer(struct world *world, struct block *block)
{
    struct write_job stands = {.run = block_run, .ctx = block}, waits = {.run = nothing_run};
    assert_true(writer_submit(world->app->writer, &stands));
    pthread_mutex_lock(&block->lock);
    while (!block->inside)
        pthread_cond_wait(&block->changed, &block->lock);
    pthread_mutex_unlock(&block->lock);
    while (writer_submit(world->app->writer, &waits))
        ;
}

static void test_idempotency__a_full_queue_keeps_no_answer_back(void **state)
{
    struct world *world = *state;
    /* The writer may still be leaving it when the test has its answers. */
    static struct block block = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                 .changed = PTHREAD_COND_INITIALIZER};
    struct answer auto_answer_json first = post(world, "k-1", "/v1/keys", key_body);
    struct answer auto_answer_json secret = post(world, "t-1", "/v1/tokens", token_body);
    assert_int_equal(first.status, 201);
    assert_int_equal(secret.status, 201);
    block_writer(world, &block);
    struct answer auto_answer_json fresh = post(world, "k-2", "/v1/keys", third_body);
    struct answer auto_answer_json again = post(world, "k-1", "/v1/keys", key_body);
    struct answer auto_answer_json other = post(world, "k-1", "/v1/keys", other_body);
    struct answer auto_answer_json shown = post(world, "t-1", "/v1/tokens", token_body);
    pthread_mutex_lock(&block.lock);
    block.open = true;
    pthread_cond_broadcast(&block.changed);
    pthread_mutex_unlock(&block.lock);
    assert_int_equal(fresh.status, 503);
    assert_int_equal(again.status, 201);
    assert_string_equal(again.text, first.text);
    assert_int_equal(other.status, 422);
    assert_int_equal(shown.status, 409);
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
        cmocka_unit_test_setup_teardown(test_idempotency__a_full_disk_keeps_no_answer_back,
                                        world_setup, unmount),
        TEST(a_full_queue_keeps_no_answer_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
