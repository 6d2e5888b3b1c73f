/* What several want at once: room to wait in, a file's place, a token that is being revoked. */
#include <stdatomic.h>

#include "api/base/limits.h"
#include "controller/wait/watch.h"
#include "tests/lib/bell.h"
#include "tests/lib/raw_http.h"
#include "tests/unit/controller_world.h"

/* ---- watchers ---- */

static void never(void *ctx, bool expired)
{
    (void)ctx;
    (void)expired;
}

static void test_contention__people_who_watch_leave_the_agents_their_room(void **state)
{
    struct world *world = *state;
    struct watch *watch = world->app->watch;
    for (int i = 0; i < LIMIT_WATCHERS; i++)
        assert_true(watch_add(watch, WATCH_OPERATION, i + 1, INT64_MAX, 60000, never, NULL));
    assert_false(watch_add(watch, WATCH_EVENTS, 1, INT64_MAX, 60000, never, NULL));
    assert_true(watch_add(watch, WATCH_NODE, 1, INT64_MAX, 60000, never, NULL));
}

/* ---- races ---- */

static void test_contention__a_file_that_is_there_is_not_replaced(void **state)
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

static void test_contention__an_upload_never_takes_the_place_of_a_file_that_is_there(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    autofree char *file = xasprintf("%s/tiny.raw", world->dir);
    world_image(world, "tiny");
    autofree char *content = xasprintf("%s/data/images", world->dir);
    struct answer auto_answer_json image = world_call(world, 200, "GET", "/v1/images/tiny", NULL);
    autofree char *kept = xasprintf("%s/%s", content, answer_str(&image, "id"));
    /* As for one who read the row just before the first upload was committed. */
    world_number(world, "UPDATE image SET state = 0, sha256 = NULL");
    autofree char *other = xcalloc(1, 1 << 20);
    other[0] = 'x';
    assert_int_equal(file_write("test", file, other, 1 << 20, 0600, &err), 0);
    struct answer auto_answer_json again =
        cloud_upload(&world->cloud, "/v1/images/tiny/content", file);
    assert_int_equal(again.status, 409);
    world_close(world); /* all file work is done */
    struct buf auto_buf text = {0};
    int rc = file_read(kept, 2 << 20, &text, &err);
    world_open(world);
    assert_int_equal(rc, 0);
    assert_int_equal(text.len, 1 << 20);
}

struct revocation {
    atomic_bool begun, waited_for;
};

static int revoke_late(struct tx *tx, void *ctx, struct err *err)
{
    struct revocation *revocation = ctx;
    revocation->begun = true;
    bell_ring();
    bell_await(revocation->waited_for);
    struct stmt auto_stmt *stmt =
        db_stmt(tx->db, "UPDATE token SET deleted_ms = 1 WHERE name = 'm'");
    return stmt_run(stmt, err);
}

static uint64_t queued(struct world *world)
{
    struct writer_stats stats;
    writer_stats(world->app->writer, &stats);
    return stats.queue;
}

static void test_contention__a_token_revoked_while_its_request_waits_changes_nothing(void **state)
{
    static const char body[] = "{\"name\":\"late\",\"format\":\"raw\"}";
    struct world *world = *state;
    struct answer auto_answer_json made = world_call(
        world, 201, "POST", "/v1/tokens?project=default", "{\"name\":\"m\",\"role\":\"member\"}");
    struct revocation revocation = {0};
    struct write_job job = {.run = revoke_late, .ctx = &revocation};
    assert_true(writer_submit(world->app->writer, &job));
    bell_await(revocation.begun);
    autofree char *socket = xasprintf("%s/data/api.sock", world->dir);
    struct raw auto_raw late = raw_open_unix(socket);
    struct raw_reply auto_raw_reply reply = {0};
    autofree char *text = xasprintf("POST /v1/images HTTP/1.1\r\nHost: x\r\n"
                                    "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
                                    answer_str(&made, "secret"), strlen(body), body);
    assert_true(raw_puts(&late, text));
    world_until(world, queued(world) > 0); /* it is let in, and waits behind that */
    revocation.waited_for = true;
    bell_ring();
    raw_read(&late, &reply);
    assert_int_equal(reply.status, 401);
    assert_int_equal(world_number(world, "SELECT count(*) FROM image"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_contention__people_who_watch_leave_the_agents_their_room),
        TEST(test_contention__a_file_that_is_there_is_not_replaced),
        TEST(test_contention__an_upload_never_takes_the_place_of_a_file_that_is_there),
        TEST(test_contention__a_token_revoked_while_its_request_waits_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
