/* Bodies that flow: streams to clients that read, stall or leave, and uploads into sinks that
 * push back or fail. */
#include "tests/unit/http_site.h"

#define HEAD_END "Host: x\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HEAD_END

static struct site site;

static void open_with(void (*handle)(struct site *, struct http_request *))
{
    site = (struct site){.handle = handle};
    site_open(&site);
}

static void expect_header(const struct raw_reply *reply, const char *name, const char *value)
{
    autofree char *found = raw_header(reply, name);
    if (!value)
        assert_null(found);
    else
        assert_string_equal(found ? found : "(absent)", value);
}

/* ---- streams ---- */

static void open_stream(struct site *at, struct http_request *req)
{
    if (site_turned(req))
        return;
    struct http_stream *stream = http_reply_stream(req, &(struct http_reply){.status = 200});
    pthread_mutex_lock(&at->lock);
    at->extra = stream;
    pthread_cond_broadcast(&at->changed);
    pthread_mutex_unlock(&at->lock);
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

static void test_stream__passes_on_what_is_written_when_it_is_written(void **state)
{
    (void)state;
    open_with(open_stream);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/"));
    raw_read_head(&raw, &reply);
    expect_header(&reply, "Content-Type", "text/event-stream");
    struct http_stream *stream = take_stream();
    for (int i = 0; i < 2000; i++) {
        char event[32], chunk[64];
        int len = snprintf(event, sizeof(event), "data: %d\n\n", i);
        assert_true(http_stream_write(stream, event, (size_t)len));
        int want = snprintf(chunk, sizeof(chunk), "%X\r\n%s\r\n", (unsigned)len, event);
        char got[64];
        for (size_t have = 0; have < (size_t)want;)
            have += raw_read_some(&raw, got + have, (size_t)want - have);
        assert_memory_equal(got, chunk, (size_t)want);
    }
    http_stream_end(stream);
    char last[8];
    assert_int_equal(raw_read_some(&raw, last, 5), 5);
    assert_memory_equal(last, "0\r\n\r\n", 5);
    /* The connection goes on. */
    raw_puts(&raw, GET("/"));
    raw_read_head(&raw, &reply);
    assert_int_equal(reply.status, 200);
    http_stream_end(take_stream());
    site_close(&site);
}

static void test_stream__learns_that_the_client_has_left(void **state)
{
    (void)state;
    open_with(open_stream);
    struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/"));
    raw_read_head(&raw, &reply);
    struct http_stream *stream = take_stream();
    raw_close(&raw);
    /* The first bytes go to a socket whose other end is closed, which answers with a reset; the
     * next ones meet it. The turns let the server try before there is more to send. */
    int writes = 0;
    while (http_stream_write(stream, ":\n\n", 3) && writes < 10000) {
        writes++;
        site_turn(&site);
    }
    assert_true(writes < 10000);
    site_wait_ended(&site, writes + 1);
    http_stream_end(stream);
    site_close(&site);
}

static void test_stream__cuts_off_a_client_that_does_not_read(void **state)
{
    (void)state;
    open_with(open_stream);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/"));
    raw_read_head(&raw, &reply);
    struct http_stream *stream = take_stream();
    autofree char *block = xcalloc(1, 64 * 1024);
    size_t written = 0;
    while (http_stream_write(stream, block, 64 * 1024))
        written += 64 * 1024;
    assert_true(written >= 1024 * 1024 && written < 64 * 1024 * 1024);
    assert_false(http_stream_write(stream, "x", 1));
    site_wait_ended(&site, 1);
    http_stream_end(stream);
    site_close(&site);
}

static void test_stream__one_write_beyond_the_bound_ends_a_waiting_stream(void **state)
{
    (void)state;
    open_with(open_stream);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/"));
    raw_read_head(&raw, &reply);
    struct http_stream *stream = take_stream();
    autofree char *block = xcalloc(1, 2 * 1024 * 1024);
    assert_false(http_stream_write(stream, block, 2 * 1024 * 1024));
    site_wait_ended(&site, 1);
    http_stream_end(stream);
    site_close(&site);
}

/* ---- uploads ---- */

enum { UPLOAD_BYTES = 20 * 1000 * 1000 };

/* A sink that takes odd amounts and makes the connection wait for a thread in between. */
struct upload {
    uint64_t sum;
    size_t bytes;
    int calls;
    int fail_at; /* 0: never */
};

static struct upload upload;

static uint64_t sum_of(uint64_t sum, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + (unsigned char)data[i];
    return sum;
}

static long odd_sink(void *ctx, struct http_request *req, const char *data, size_t len)
{
    (void)ctx;
    upload.calls++;
    if (upload.calls == upload.fail_at) {
        auto_err struct err err = {0};
        err_set(&err, ERR_STORAGE_FULL, "Full.");
        http_reply_err(req, &err);
        return -1;
    }
    size_t taken = upload.calls % 7 == 0 ? 0 : upload.calls % 5 == 0 ? len / 2 : len;
    upload.sum = sum_of(upload.sum, data, taken);
    upload.bytes += taken;
    if (taken < len || upload.calls % 11 == 0)
        site_park(&site, req);
    return (long)taken;
}

static void begin_upload(struct site *at, struct http_request *req)
{
    (void)at;
    http_accept_upload(req, odd_sink, NULL);
}

static void end_upload(struct site *at, struct http_request *req)
{
    (void)at, (void)req;
    site_reply(req, "stored");
}

static atomic_bool continuer_stops;

static void *keep_continuing(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&site.lock);
    while (!atomic_load(&continuer_stops)) {
        if (!site.waiting) {
            pthread_cond_wait(&site.changed, &site.lock);
            continue;
        }
        struct http_request *req = take(site.waiting);
        pthread_mutex_unlock(&site.lock);
        http_continue(req);
        pthread_mutex_lock(&site.lock);
    }
    pthread_mutex_unlock(&site.lock);
    return NULL;
}

static void stop_continuing(pthread_t thread)
{
    pthread_mutex_lock(&site.lock);
    atomic_store(&continuer_stops, true);
    pthread_cond_broadcast(&site.changed);
    pthread_mutex_unlock(&site.lock);
    pthread_join(thread, NULL);
}

static pthread_t open_uploads(void)
{
    pthread_t thread;
    upload = (struct upload){0};
    atomic_store(&continuer_stops, false);
    site = (struct site){.handle = end_upload, .begin = begin_upload};
    site_open(&site);
    pthread_create(&thread, NULL, keep_continuing, NULL);
    return thread;
}

static char *upload_content(void)
{
    char *content = xmalloc(UPLOAD_BYTES);
    for (int i = 0; i < UPLOAD_BYTES; i++)
        content[i] = (char)(i * 7 + i / 253);
    return content;
}

static void test_upload__arrives_whole_through_a_sink_that_pushes_back(void **state)
{
    (void)state;
    pthread_t thread = open_uploads();
    autofree char *content = upload_content();
    autofree char *head =
        xasprintf("PUT /a HTTP/1.1\r\nContent-Length: %d\r\n" HEAD_END, UPLOAD_BYTES);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    uint64_t sum = sum_of(0, content, UPLOAD_BYTES);
    for (int i = 0; i < 2; i++) {
        upload = (struct upload){0};
        raw_puts(&raw, head);
        assert_true(raw_send(&raw, content, UPLOAD_BYTES));
        raw_read(&raw, &reply);
        assert_string_equal(reply.body.data, "stored");
        assert_int_equal(upload.bytes, UPLOAD_BYTES);
        assert_true(upload.sum == sum);
    }
    stop_continuing(thread);
    site_close(&site);
}

static void test_upload__in_chunks_arrives_whole(void **state)
{
    (void)state;
    pthread_t thread = open_uploads();
    autofree char *content = upload_content();
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HEAD_END);
    size_t sent = 0;
    for (size_t len = 1; sent < UPLOAD_BYTES / 4; len = len * 3 % 50021 + 1) {
        char size[16];
        snprintf(size, sizeof(size), "%zx\r\n", len);
        raw_puts(&raw, size);
        raw_send(&raw, content + sent, len);
        raw_puts(&raw, "\r\n");
        sent += len;
    }
    raw_puts(&raw, "0\r\n\r\n");
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "stored");
    assert_int_equal(upload.bytes, sent);
    assert_true(upload.sum == sum_of(0, content, sent));
    stop_continuing(thread);
    site_close(&site);
}

static void test_upload__that_fails_midway_is_answered_at_once(void **state)
{
    (void)state;
    pthread_t thread = open_uploads();
    upload.fail_at = 30;
    autofree char *content = upload_content();
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    /* Announces far more than it sends: the reply does not wait for the rest. */
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nContent-Length: 1000000000000\r\n" HEAD_END);
    raw_send(&raw, content, UPLOAD_BYTES / 10);
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 507);
    expect_header(&reply, "Connection", "close");
    assert_non_null(strstr(reply.body.data, "storage_full"));
    assert_true(raw_ends(&raw));
    site_wait_ended(&site, 1);
    assert_int_equal(atomic_load(&site.last_status), 507);
    stop_continuing(thread);
    site_close(&site);
}

static void test_upload__client_leaves_midway(void **state)
{
    (void)state;
    pthread_t thread = open_uploads();
    autofree char *content = upload_content();
    struct raw raw = raw_open(site.port);
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nContent-Length: 1000000000\r\n" HEAD_END);
    raw_send(&raw, content, UPLOAD_BYTES / 10);
    raw_close(&raw);
    site_wait_ended(&site, 1);
    assert_int_equal(atomic_load(&site.last_status), 0);
    stop_continuing(thread);
    site_close(&site);
}

static void test_stop__ends_streams(void **state)
{
    (void)state;
    open_with(open_stream);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/"));
    raw_read_head(&raw, &reply);
    struct http_stream *stream = take_stream();
    site_close(&site);
    assert_false(http_stream_write(stream, "x", 1));
    http_stream_end(stream);
    assert_true(raw_ends(&raw));
}

static void test_stop__cuts_an_upload_that_waits(void **state)
{
    (void)state;
    upload = (struct upload){.calls = 6}; /* the seventh call takes nothing and waits */
    site = (struct site){.handle = end_upload, .begin = begin_upload};
    site_open(&site);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nContent-Length: 10\r\n" HEAD_END "abc");
    site_take(&site);
    site_close(&site);
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 503);
    assert_true(raw_ends(&raw));
}

static void test_upload__may_be_answered_by_another_thread_midway(void **state)
{
    (void)state;
    upload = (struct upload){.calls = 6};
    site = (struct site){.handle = end_upload, .begin = begin_upload};
    site_open(&site);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nContent-Length: 10\r\n" HEAD_END "abc");
    auto_err struct err err = {0};
    err_set(&err, ERR_STORAGE_FULL, "Full.");
    http_reply_err(site_take(&site), &err);
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 507);
    assert_true(raw_ends(&raw));
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream__passes_on_what_is_written_when_it_is_written),
        cmocka_unit_test(test_stream__learns_that_the_client_has_left),
        cmocka_unit_test(test_stream__cuts_off_a_client_that_does_not_read),
        cmocka_unit_test(test_stream__one_write_beyond_the_bound_ends_a_waiting_stream),
        cmocka_unit_test(test_upload__arrives_whole_through_a_sink_that_pushes_back),
        cmocka_unit_test(test_upload__in_chunks_arrives_whole),
        cmocka_unit_test(test_upload__that_fails_midway_is_answered_at_once),
        cmocka_unit_test(test_upload__client_leaves_midway),
        cmocka_unit_test(test_stop__ends_streams),
        cmocka_unit_test(test_stop__cuts_an_upload_that_waits),
        cmocka_unit_test(test_upload__may_be_answered_by_another_thread_midway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
