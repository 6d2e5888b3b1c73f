/* Uploads beside each other: how many there may be, and that none that ended is in the way of
 * the next. */
#include <stdatomic.h>

#include "api/base/limits.h"
#include "controller/access/shares.h"
#include "controller/wait/pool.h"
#include "tests/lib/bell.h"
#include "tests/lib/raw_http.h"
#include "tests/unit/controller_tenants.h"

enum { SIZE = 1 << 20 };

static void create(struct world *world, const char *name)
{
    world_did(world, 201, "POST", "/v1/images", "{\"name\":\"%s\",\"format\":\"raw\"}", name);
}

/* For a connection that is only there. */
#define auto_held auto_raw __attribute__((unused))

/* The head of an upload of `size` bytes; none of them yet. */
static struct raw begin(struct world *world, const char *token, const char *name, const char *query,
                        int size)
{
    autofree char *socket = xasprintf("%s/data/api.sock", world->dir);
    autofree char *head = xasprintf("PUT /v1/images/%s/content%s HTTP/1.1\r\nHost: x\r\n"
                                    "Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
                                    name, query, token, size);
    struct raw raw = raw_open_unix(socket);
    assert_true(raw_puts(&raw, head));
    return raw;
}

static void await_uploads(struct world *world, size_t count)
{
    world_until(world, shares_held(world->app->shares, SHARE_UPLOAD) == count);
}

static void reads(struct raw *raw, int status, const char *text)
{
    struct raw_reply auto_raw_reply reply = {0};
    raw_read(raw, &reply);
    if (reply.status != status || !reply.body.data || !strstr(reply.body.data, text))
        fail_msg("%d without \"%s\": %d %s", status, text, reply.status,
                 reply.body.data ? reply.body.data : "");
    autofree char *after = raw_header(&reply, "Retry-After");
    assert_int_equal(after != NULL, status == 429 || status == 503);
}

static void test_uploads__are_bounded_by_token_and_the_next_comes_when_one_ends(void **state)
{
    struct world *world = *state;
    autofree char *one = tenant_token(world, "default", "one", "member");
    autofree char *two = tenant_token(world, "default", "two", "member");
    struct raw raws[LIMIT_TOKEN_UPLOADS];
    for (int i = 0; i <= LIMIT_TOKEN_UPLOADS + 1; i++) {
        autofree char *name = xasprintf("i%d", i);
        create(world, name);
        if (i < LIMIT_TOKEN_UPLOADS)
            raws[i] = begin(world, one, name, "", SIZE);
    }
    await_uploads(world, LIMIT_TOKEN_UPLOADS);
    struct raw auto_raw more = begin(world, one, "i4", "", SIZE);
    reads(&more, 429, "this token has 4 uploads open");
    struct raw auto_held others = begin(world, two, "i5", "", SIZE);
    await_uploads(world, LIMIT_TOKEN_UPLOADS + 1);
    raw_close(&raws[0]);
    await_uploads(world, LIMIT_TOKEN_UPLOADS);
    struct raw auto_held next = begin(world, one, "i4", "", SIZE);
    await_uploads(world, LIMIT_TOKEN_UPLOADS + 1);
    for (int i = 1; i < LIMIT_TOKEN_UPLOADS; i++)
        raw_close(&raws[i]);
}

static void test_uploads__all_together_hold_a_bounded_memory(void **state)
{
    struct world *world = *state;
    struct raw raws[LIMIT_PROJECTS_UPLOADS];
    int count = 0;
    for (int project = 0; count < LIMIT_PROJECTS_UPLOADS; project++) {
        autofree char *name = xasprintf("p%d", project);
        tenant_project(world, name);
        for (int t = 0; t < LIMIT_PROJECT_UPLOADS / LIMIT_TOKEN_UPLOADS; t++) {
            autofree char *label = xasprintf("t%d", t);
            autofree char *token = tenant_token(world, name, label, "member");
            for (int i = 0; i < LIMIT_TOKEN_UPLOADS; i++) {
                autofree char *image = xasprintf("i%d", count);
                autofree char *body = xasprintf("{\"name\":\"%s\",\"format\":\"raw\"}", image);
                assert_int_equal(tenant_status(world, token, "POST", "/v1/images", body), 201);
                raws[count++] = begin(world, token, image, "", SIZE);
            }
        }
    }
    await_uploads(world, LIMIT_PROJECTS_UPLOADS);
    autofree char *last = tenant_token(world, "default", "last", "member");
    create(world, "mine");
    struct raw auto_raw more = begin(world, last, "mine", "", SIZE);
    reads(&more, 503, "there are 24 uploads open");
    struct raw auto_held operators = begin(world, world->cloud.token, "mine", "", SIZE);
    await_uploads(world, LIMIT_PROJECTS_UPLOADS + 1);
    for (int i = 0; i < count; i++)
        raw_close(&raws[i]);
}

/* ---- one after the other ---- */

struct plug {
    atomic_int begun;
    atomic_bool open;
};

static void hold(void *ctx)
{
    struct plug *plug = ctx;
    plug->begun++;
    bell_ring();
    bell_await(plug->open);
}

/* Whatever is cleaned up behind a refused upload waits for the pool; the next one does not.
 * All threads of the pool are held; then one of them is let go, and finds the upload's end
 * and behind it something that holds it again. */
static void test_uploads__one_that_was_refused_is_not_in_the_way_of_the_next(void **state)
{
    enum { THREADS = 3 };
    static const char wrong[] =
        "?sha256=0000000000000000000000000000000000000000000000000000000000000000";
    struct world *world = *state;
    struct plug rest = {0}, gate = {0}, behind = {0};
    create(world, "image");
    struct raw auto_raw refused = begin(world, world->cloud.token, "image", wrong, 2);
    assert_true(raw_puts(&refused, "a"));
    await_uploads(world, 1);
    for (int i = 0; i < THREADS - 1; i++)
        assert_true(pool_submit(world->app->pool, hold, &rest));
    assert_true(pool_submit(world->app->pool, hold, &gate));
    bell_await(rest.begun + gate.begun == THREADS);
    assert_true(raw_puts(&refused, "b"));
    for (int i = 0; i < 20; i++) /* the server's one thread has read it and given it to the pool */
        world_did(world, 200, "GET", "/v1/healthz", NULL);
    assert_true(pool_submit(world->app->pool, hold, &behind));
    gate.open = true;
    bell_ring();
    reads(&refused, 422, "checksum");
    bell_await(behind.begun == 1);
    struct raw auto_held next = begin(world, world->cloud.token, "image", "", 512);
    for (int i = 0; i < 512; i++)
        assert_true(raw_puts(&next, "x"));
    for (int i = 0; i < 20; i++)
        world_did(world, 200, "GET", "/v1/healthz", NULL);
    rest.open = behind.open = true;
    bell_ring();
    reads(&next, 200, "\"ready\"");
}

static void test_uploads__end_with_their_token(void **state)
{
    struct world *world = *state;
    autofree char *token = tenant_token(world, "default", "brief", "member");
    create(world, "image");
    struct raw auto_raw raw = begin(world, token, "image", "", SIZE);
    assert_true(raw_puts(&raw, "some"));
    await_uploads(world, 1);
    world_did(world, 204, "DELETE", "/v1/tokens/brief?project=default", NULL);
    assert_true(raw_puts(&raw, "more"));
    reads(&raw, 401, "the token was deleted");
    await_uploads(world, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_uploads__are_bounded_by_token_and_the_next_comes_when_one_ends),
        TEST(test_uploads__all_together_hold_a_bounded_memory),
        TEST(test_uploads__one_that_was_refused_is_not_in_the_way_of_the_next),
        TEST(test_uploads__end_with_their_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
