/* The revision log over HTTP: pages, long polls, streams, and what is no longer kept. */
#include <poll.h>

#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
#include "controller/wait/watch.h"
#include "tests/lib/raw_http.h"
#include "tests/unit/controller_tenants.h"

static struct raw open_raw(struct world *world)
{
    autofree char *path = xasprintf("%s/data/api.sock", world->dir);
    return raw_open_unix(path);
}

static void ask(struct world *world, struct raw *raw, const char *path, const char *more)
{
    autofree char *text =
        xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n", path,
                  world->cloud.token, more);
    assert_true(raw_puts(raw, text));
}

static void await_watchers(struct world *world, size_t count)
{
    world_until(world, watch_count(world->app->watch) == count);
}

static bool readable(const struct raw *raw)
{
    return poll(&(struct pollfd){.fd = raw->fd, .events = POLLIN}, 1, 0) != 0;
}

static void test_events__pages_follow_each_other_without_gap_or_repeat(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 10; i++) {
        autofree char *name = xasprintf("p%d", i);
        tenant_project(world, name);
    }
    int64_t last = watch_revision(world->app->watch), seen = 0;
    autofree char *cursor = NULL;
    for (int page = 0; page < 20; page++) {
        autofree char *path =
            xasprintf("/v1/events?limit=4%s%s", cursor ? "&cursor=" : "", cursor ? cursor : "");
        struct answer auto_answer_json answer = world_call(world, 200, "GET", path, NULL);
        for (struct json *item = json_first(answer_at(&answer, "events")); item;
             item = json_next(item)) {
            int64_t revision;
            assert_true(json_i64(json_get(item, "revision"), &revision));
            assert_int_equal(revision, ++seen);
        }
        assert_int_equal(answer_i64(&answer, "revision"), seen);
        free(cursor);
        cursor = xstrdup(answer_str(&answer, "next"));
        if (!cursor)
            break;
    }
    assert_int_equal(seen, last);
}

static void test_events__can_be_asked_of_one_kind_or_object(void **state)
{
    struct world *world = *state;
    tenant_project(world, "acme");
    struct answer auto_answer_json kind =
        world_call(world, 200, "GET", "/v1/events?kind=project&after=1", NULL);
    assert_int_equal(json_count(answer_at(&kind, "events")), 1);
    world_is(&kind, "events.0.name", "acme");
    world_is(&kind, "events.0.project", "acme");
    world_is(&kind, "events.0.what", "created");
    world_is(&kind, "events.0.actor", "token:admin");
    autofree char *path = xasprintf("/v1/events?id=%s", answer_str(&kind, "events.0.id"));
    struct answer auto_answer_json one = world_call(world, 200, "GET", path, NULL);
    assert_int_equal(json_count(answer_at(&one, "events")), 1);
}

static void test_events__what_is_not_kept_or_never_was_is_gone(void **state)
{
    struct world *world = *state;
    int64_t last = watch_revision(world->app->watch);
    autofree char *current = xasprintf("/v1/events?after=%lld", (long long)last);
    autofree char *beyond = xasprintf("/v1/events?after=%lld", (long long)last + 1);
    world_did(world, 200, "GET", current, NULL);
    struct answer auto_answer_json gone = world_call(world, 410, "GET", beyond, NULL);
    world_is(&gone, "code", "revision_gone");
}

static int prune_run(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct stmt auto_stmt *stmt = db_stmt(tx->db, "DELETE FROM event WHERE revision <= 5");
    return stmt_run(stmt, err);
}

static void test_events__a_revision_that_was_pruned_is_gone(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    struct write_job job = {.run = prune_run};
    assert_int_equal(writer_call(world->app->writer, &job, &err), 0);
    world_did(world, 410, "GET", "/v1/events?after=4", NULL);
    world_did(world, 200, "GET", "/v1/events?after=5", NULL);
    struct answer auto_answer_json all = world_call(world, 200, "GET", "/v1/events", NULL);
    assert_int_equal(answer_i64(&all, "events.0.revision"), 6);
}

static void test_events__bad_questions_are_refused_by_name(void **state)
{
    static const struct {
        const char *query, *field;
    } wrong[] = {
        {"after=-1", "after"}, {"after=x", "after"},     {"wait=61s", "wait"},
        {"wait=1m", "wait"},   {"limit=0", "limit"},     {"limit=1001", "limit"},
        {"since=3", "since"},  {"cursor=%3D", "cursor"}, {"cursor=YWJj", "cursor"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        autofree char *path = xasprintf("/v1/events?%s", wrong[i].query);
        struct answer auto_answer_json answer = world_call(world, 400, "GET", path, NULL);
        world_is(&answer, "field", wrong[i].field);
    }
}

static void test_events__many_who_wait_all_hear_of_one_commit(void **state)
{
    enum { WATCHERS = 100 };
    struct world *world = *state;
    struct raw raws[WATCHERS];
    autofree char *path =
        xasprintf("/v1/events?wait=60s&after=%lld", (long long)watch_revision(world->app->watch));
    for (int i = 0; i < WATCHERS; i++) {
        raws[i] = open_raw(world);
        ask(world, &raws[i], path, "");
    }
    await_watchers(world, WATCHERS);
    for (int i = 0; i < WATCHERS; i++)
        assert_false(readable(&raws[i]));
    tenant_project(world, "news");
    autofree char *first = NULL;
    for (int i = 0; i < WATCHERS; i++) {
        struct raw_reply auto_raw_reply reply = {0};
        raw_read(&raws[i], &reply);
        assert_int_equal(reply.status, 200);
        assert_non_null(strstr(reply.body.data, "\"name\":\"news\""));
        if (!first)
            first = xstrdup(reply.body.data);
        assert_string_equal(reply.body.data, first);
        raw_close(&raws[i]);
    }
}

static void test_events__news_of_another_kind_wakes_nobody(void **state)
{
    struct world *world = *state;
    struct raw auto_raw raw = open_raw(world);
    struct raw_reply auto_raw_reply reply = {0};
    autofree char *path = xasprintf("/v1/events?wait=60s&kind=key&after=%lld",
                                    (long long)watch_revision(world->app->watch));
    ask(world, &raw, path, "");
    await_watchers(world, 1);
    tenant_project(world, "not-a-key");
    await_watchers(world, 1); /* it looked, and waits again */
    assert_false(readable(&raw));
    world_did(world, 201, "POST", "/v1/keys", "{\"name\":\"me\",\"public_key\":\"%s\"}",
              ED25519_LINE);
    raw_read(&raw, &reply);
    assert_non_null(strstr(reply.body.data, "\"kind\":\"key\""));
    assert_null(strstr(reply.body.data, "not-a-key"));
}

static void test_events__an_empty_wait_ends_in_time(void **state)
{
    struct world *world = *state;
    int64_t start = clock_mono_ns(), last = watch_revision(world->app->watch);
    autofree char *path = xasprintf("/v1/events?wait=100ms&after=%lld", (long long)last);
    struct answer auto_answer_json answer = world_call(world, 200, "GET", path, NULL);
    assert_int_equal(json_count(answer_at(&answer, "events")), 0);
    assert_int_equal(answer_i64(&answer, "revision"), last);
    assert_true(clock_mono_ns() - start >= 100000000);
}

/* A handler reads one state; what is committed meanwhile must be news to it, or a watcher
 * that waits behind its revision sleeps through it. */
static void test_events__the_revision_of_a_read_is_never_newer_than_its_rows(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    int64_t before = watch_revision(world->app->watch), first, last;
    app_snapshot_begin();
    assert_int_equal(revision_range(app_reader(world->app), &first, &last, &err), 0);
    tenant_project(world, "meanwhile");
    assert_int_equal(app_revision(world->app), before);
    assert_int_equal(revision_range(app_reader(world->app), &first, &last, &err), 0);
    assert_int_equal(last, before);
    app_snapshot_end();
    assert_int_equal(app_revision(world->app), before + 1);
}

static int silent_run(struct tx *tx, void *ctx, struct err *err)
{
    return meta_set(tx, "silent", ctx, err);
}

static char *silent_value(struct world *world)
{
    struct err auto_err err = {0};
    char *value = NULL;
    app_snapshot_begin();
    assert_int_equal(meta_get(app_reader(world->app), "silent", &value, &err), 0);
    app_snapshot_end();
    return value;
}

/* The transaction of one handler is taken over by the next, but never past a commit, be it
 * one without an event; and it does not outlive a checkpoint. */
static void test_reads__a_snapshot_is_taken_over_only_while_nothing_was_committed(void **state)
{
    struct world *world = *state;
    struct err auto_err err = {0};
    assert_null(silent_value(world));
    for (int i = 0; i < 3; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%c", 'a' + i);
        struct write_job job = {.run = silent_run, .ctx = text};
        assert_int_equal(writer_call(world->app->writer, &job, &err), 0);
        autofree char *value = silent_value(world), *again = silent_value(world);
        assert_string_equal(value, text);
        assert_string_equal(again, text);
    }
    app_snapshot_begin();
    struct db *db = app_reader(world->app);
    app_snapshot_end();
    assert_true(db_in_transaction(db));
    readers_release(world->app->readers);
    assert_false(db_in_transaction(db));
    autofree char *value = silent_value(world);
    assert_string_equal(value, "c");
    assert_true(db_in_transaction(db));
    assert_ptr_equal(app_reader(world->app), db); /* outside: no transaction is kept */
    assert_false(db_in_transaction(db));
}

static void test_reads__a_snapshot_in_use_is_left_alone(void **state)
{
    struct world *world = *state;
    app_snapshot_begin();
    struct db *db = app_reader(world->app);
    readers_release(world->app->readers);
    assert_true(db_in_transaction(db));
    app_snapshot_end();
}

/* ---- streams ---- */

static void read_until(struct raw *raw, struct buf *got, const char *text)
{
    char bytes[512];
    while (!got->data || !strstr(got->data, text)) {
        size_t len = raw_read_some(raw, bytes, sizeof(bytes));
        if (len == 0)
            fail_msg("the stream ended before \"%s\": %s", text, got->data ? got->data : "");
        buf_add(got, bytes, len);
    }
}

static void test_events__a_stream_tells_what_was_and_what_comes(void **state)
{
    struct world *world = *state;
    struct raw auto_raw raw = open_raw(world);
    struct raw_reply auto_raw_reply reply = {0};
    struct buf auto_buf got = {0};
    tenant_project(world, "before");
    autofree char *path =
        xasprintf("/v1/events?after=%lld", (long long)watch_revision(world->app->watch) - 1);
    ask(world, &raw, path, "Accept: text/event-stream\r\n");
    raw_read_head(&raw, &reply);
    autofree char *type = raw_header(&reply, "Content-Type");
    assert_string_equal(type, "text/event-stream");
    read_until(&raw, &got, "\"name\":\"before\"");
    tenant_project(world, "after");
    read_until(&raw, &got, "\"name\":\"after\"");
    autofree char *id =
        xasprintf("id: %lld\ndata: {", (long long)watch_revision(world->app->watch));
    assert_non_null(strstr(got.data, id));
    /* Once each. */
    const char *first = strstr(got.data, "\"name\":\"before\"");
    assert_null(strstr(first + 1, "\"name\":\"before\""));
}

static void test_events__a_stream_goes_on_where_its_client_was(void **state)
{
    struct world *world = *state;
    struct raw auto_raw raw = open_raw(world);
    struct raw_reply auto_raw_reply reply = {0};
    struct buf auto_buf got = {0};
    tenant_project(world, "one");
    int64_t seen = watch_revision(world->app->watch);
    tenant_project(world, "two");
    autofree char *header =
        xasprintf("Accept: text/event-stream\r\nLast-Event-ID: %lld\r\n", (long long)seen);
    ask(world, &raw, "/v1/events", header);
    raw_read_head(&raw, &reply);
    read_until(&raw, &got, "\"name\":\"two\"");
    assert_null(strstr(got.data, "\"name\":\"one\""));
}

static void test_events__a_stream_of_a_gone_revision_is_refused(void **state)
{
    struct world *world = *state;
    struct raw auto_raw raw = open_raw(world);
    struct raw_reply auto_raw_reply reply = {0};
    ask(world, &raw, "/v1/events?after=99999", "Accept: text/event-stream\r\n");
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 410);
}

static void test_events__stopping_answers_all_who_wait(void **state)
{
    struct world *world = *state;
    struct raw auto_raw poller = open_raw(world);
    struct raw auto_raw stream = open_raw(world);
    struct raw_reply auto_raw_reply polled = {0}, streamed = {0};
    autofree char *path =
        xasprintf("/v1/events?wait=60s&after=%lld", (long long)watch_revision(world->app->watch));
    ask(world, &poller, path, "");
    ask(world, &stream, "/v1/events", "Accept: text/event-stream\r\n");
    raw_read_head(&stream, &streamed);
    await_watchers(world, 2);
    int64_t start = clock_mono_ns();
    world_restart(world);
    assert_true(clock_mono_ns() - start < 45000000000); /* not the wait's own end */
    raw_read(&poller, &polled);
    assert_int_equal(polled.status, 200);
    assert_true(raw_ends(&stream));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_events__##name, world_setup, world_teardown)
#define READ(name) cmocka_unit_test_setup_teardown(test_reads__##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pages_follow_each_other_without_gap_or_repeat),
        TEST(can_be_asked_of_one_kind_or_object),
        TEST(what_is_not_kept_or_never_was_is_gone),
        TEST(a_revision_that_was_pruned_is_gone),
        TEST(bad_questions_are_refused_by_name),
        TEST(many_who_wait_all_hear_of_one_commit),
        TEST(news_of_another_kind_wakes_nobody),
        TEST(an_empty_wait_ends_in_time),
        TEST(the_revision_of_a_read_is_never_newer_than_its_rows),
        READ(a_snapshot_is_taken_over_only_while_nothing_was_committed),
        READ(a_snapshot_in_use_is_left_alone),
        TEST(a_stream_tells_what_was_and_what_comes),
        TEST(a_stream_goes_on_where_its_client_was),
        TEST(a_stream_of_a_gone_revision_is_refused),
        TEST(stopping_answers_all_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
