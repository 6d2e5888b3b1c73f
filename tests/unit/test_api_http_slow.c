/* Clients that ask and do not read: what waits for them is bounded in all, in bytes, and who
 * reads is served. */
#include "tests/unit/http_site.h"

#include "api/base/clock.h"
#include "api/http/http_server_impl.h"

#define HEAD_END "Host: x\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HEAD_END

enum {
    MAX_WAITING = 16 << 20,
    BIG = 1 << 20,
    CROWD = 60,
    PIPELINED = 40,
    TURNS = 100,
    GUARD_MS = 20000
};

static struct site site;

static void open_stream(struct site *at, struct http_request *req)
{
    struct http_stream *stream = http_reply_stream(req, &(struct http_reply){.status = 200});
    pthread_mutex_lock(&at->lock);
    at->extra = stream;
    pthread_cond_broadcast(&at->changed);
    pthread_mutex_unlock(&at->lock);
}

static void handle(struct site *at, struct http_request *req)
{
    if (site_turned(req))
        return;
    if (strcmp(http_path(req), "/stream") == 0) {
        open_stream(at, req);
        return;
    }
    struct buf body = {.data = xcalloc(1, BIG + 1), .len = BIG, .cap = BIG + 1};
    http_reply(req, &(struct http_reply){.status = 200, .content_type = "text/plain"}, &body);
}

static int open_site(void **state)
{
    (void)state;
    site = (struct site){.handle = handle};
    site_open_with(&site, (struct http_settings){.max_waiting = MAX_WAITING});
    return 0;
}

static int close_site(void **state)
{
    (void)state;
    site_close(&site);
    return 0;
}

static struct http_stats stats(void)
{
    struct http_stats now;
    http_server_stats(site.server, &now);
    return now;
}

static void expect_big(struct raw *raw)
{
    auto_raw_reply struct raw_reply reply = {0};
    raw_read(raw, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, BIG);
}

static void test_bytes_that_wait__are_bounded_by_cutting_off_the_slowest(void **state)
{
    (void)state;
    struct raw slow[CROWD];
    for (int i = 0; i < CROWD; i++) {
        auto_raw_reply struct raw_reply head = {0};
        slow[i] = raw_open(site.port);
        raw_puts(&slow[i], GET("/big"));
        raw_read_head(&slow[i], &head);
        assert_int_equal(head.status, 200);
        assert_true(stats().waiting_bytes <= MAX_WAITING);
    }
    /* Whoever reads gets all. */
    assert_int_equal(stats().cut, CROWD - MAX_WAITING / BIG);
    auto_raw struct raw reader = raw_open(site.port);
    raw_puts(&reader, GET("/big") GET("/big"));
    expect_big(&reader);
    expect_big(&reader);
    for (int i = 0; i < CROWD; i++)
        raw_close(&slow[i]);
    site_wait_ended(&site, CROWD + 2);
    assert_int_equal(stats().waiting_bytes, 0);
}

static void test_pipelined_requests__wait_until_the_answer_before_is_taken(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    for (int i = 0; i < PIPELINED; i++)
        raw_puts(&raw, GET("/big"));
    for (int i = 0; i < TURNS; i++)
        site_turn(&site);
    assert_int_equal(atomic_load(&site.begun), TURNS + 1);
    for (int i = 0; i < PIPELINED; i++)
        expect_big(&raw);
    assert_int_equal(stats().cut, 0);
}

static void test_large_reply__that_finds_no_room_is_a_503_with_retry_after(void **state)
{
    (void)state;
    struct buf body = {
        .data = xcalloc(1, MAX_WAITING + 1), .len = MAX_WAITING, .cap = MAX_WAITING + 1};
    struct http_shared *kept = http_shared_new(&(struct http_reply){.status = 200}, &body);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/big"));
    raw_read(&raw, &reply);
    autofree char *again = raw_header(&reply, "Retry-After");
    assert_int_equal(reply.status, 503);
    assert_string_equal(again, "1");
    assert_non_null(strstr(reply.body.data, "do not read"));
    site_turn(&site); /* small ones go on */
    http_shared_unref(kept);
    raw_puts(&raw, GET("/big"));
    expect_big(&raw);
}

static struct http_stream *take_stream(void)
{
    pthread_mutex_lock(&site.lock);
    while (!site.extra)
        pthread_cond_wait(&site.changed, &site.lock);
    struct http_stream *stream = take(site.extra);
    pthread_mutex_unlock(&site.lock);
    return stream;
}

static void test_stream__that_is_not_read_is_cut_early_where_much_waits(void **state)
{
    (void)state;
    struct buf body = {
        .data = xcalloc(1, MAX_WAITING + 1), .len = MAX_WAITING, .cap = MAX_WAITING + 1};
    struct http_shared *kept = http_shared_new(&(struct http_reply){.status = 200}, &body);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/stream"));
    raw_read_head(&raw, &reply);
    struct http_stream *stream = take_stream();
    char block[1024] = {0};
    while (http_stream_write(stream, block, sizeof(block)))
        ;
    assert_true(stats().waiting_bytes <= MAX_WAITING + 64 * 1024);
    site_wait_ended(&site, 1);
    http_stream_end(stream);
    assert_int_equal(stats().waiting_bytes, MAX_WAITING);
    http_shared_unref(kept);
    assert_int_equal(stats().waiting_bytes, 0);
}

static void test_memory_of_large_replies__is_given_back_while_their_connection_stays(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    uint64_t before = stats().trims;
    for (int64_t sent = 0; sent <= HTTP_TRIM_BYTES; sent += BIG) {
        raw_puts(&raw, GET("/big"));
        expect_big(&raw);
    }
    int64_t until_ms = clock_boottime_ms() + GUARD_MS;
    while (stats().trims == before && clock_boottime_ms() < until_ms) {
        auto_raw_reply struct raw_reply reply = {0};
        raw_puts(&raw, GET("/turn"));
        raw_read(&raw, &reply);
    }
    assert_true(stats().trims > before);
    assert_int_equal(stats().open, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_site, close_site)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_that_wait__are_bounded_by_cutting_off_the_slowest),
        TEST(test_pipelined_requests__wait_until_the_answer_before_is_taken),
        TEST(test_large_reply__that_finds_no_room_is_a_503_with_retry_after),
        TEST(test_memory_of_large_replies__is_given_back_while_their_connection_stays),
        TEST(test_stream__that_is_not_read_is_cut_early_where_much_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
