/* Requests that take their time: suspended and answered by other threads, slow clients, and a
 * server that stops in the midst of it; and what each kind of reply looks like. */
#include "tests/unit/http_site.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/guard.h"

#define HEAD_END "Host: x\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HEAD_END

static struct site site;

static void open_with(void (*handle)(struct site *, struct http_request *))
{
    site = (struct site){.handle = handle};
    site_open(&site);
}

/* ---- suspended requests ---- */

static void *reply_soon(void *arg)
{
    for (intptr_t left = (intptr_t)arg; left > 0; left--)
        site_reply(site_take(&site), "woken");
    return NULL;
}

static void test_suspended__answered_by_another_thread_10000_times(void **state)
{
    (void)state;
    enum { ROUNDS = 10000 };
    open_with(site_park);
    pthread_t thread;
    pthread_create(&thread, NULL, reply_soon, (void *)(intptr_t)ROUNDS);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    for (int i = 0; i < ROUNDS; i++) {
        raw_puts(&raw, GET("/"));
        raw_read(&raw, &reply);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.body.data, "woken");
    }
    pthread_join(thread, NULL);
    site_close(&site);
    assert_int_equal(atomic_load(&site.ended), ROUNDS);
}

enum { CROWD = 100, CROWD_ROUNDS = 20 };

struct crowd {
    pthread_mutex_t lock;
    pthread_cond_t full;
    struct http_request *all[CROWD];
    int count;
};

static struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER, .full = PTHREAD_COND_INITIALIZER};

static void join_crowd(struct site *at, struct http_request *req)
{
    (void)at;
    http_suspend(req);
    pthread_mutex_lock(&crowd.lock);
    crowd.all[crowd.count++] = req;
    pthread_cond_signal(&crowd.full);
    pthread_mutex_unlock(&crowd.lock);
}

static void wake_crowd(void)
{
    struct buf body = {0};
    buf_puts(&body, "news");
    struct http_shared *news =
        http_shared_new(&(struct http_reply){.status = 200, .etag = "7"}, &body);
    pthread_mutex_lock(&crowd.lock);
    while (crowd.count < CROWD)
        pthread_cond_wait(&crowd.full, &crowd.lock);
    crowd.count = 0;
    for (int i = 0; i < CROWD; i++)
        http_reply_shared(crowd.all[i], news);
    pthread_mutex_unlock(&crowd.lock);
    http_shared_unref(news);
}

static void test_shared_reply__wakes_a_crowd_each_with_its_own_request_id(void **state)
{
    (void)state;
    open_with(join_crowd);
    struct raw raws[CROWD];
    auto_raw_reply struct raw_reply reply = {0};
    for (int i = 0; i < CROWD; i++)
        raws[i] = raw_open(site.port);
    for (int round = 0; round < CROWD_ROUNDS; round++) {
        for (int i = 0; i < CROWD; i++)
            raw_puts(&raws[i], GET("/"));
        wake_crowd();
        for (int i = 0; i < CROWD; i++) {
            raw_read(&raws[i], &reply);
            assert_string_equal(reply.body.data, "news");
            autofree char *etag = raw_header(&reply, "ETag");
            assert_string_equal(etag, "\"7\"");
            autofree char *id = raw_header(&reply, "X-Request-Id");
            assert_null(id);
        }
    }
    for (int i = 0; i < CROWD; i++)
        raw_close(&raws[i]);
    site_close(&site);
}

/* `handle` is called again when nothing but http_continue() woke the request. */
static void park_twice(struct site *at, struct http_request *req)
{
    intptr_t calls = (intptr_t)http_data(req) + 1;
    http_set_data(req, (void *)calls);
    if (calls == 3)
        site_reply(req, "third call");
    else
        site_park(at, req);
}

static void test_continue__calls_the_handler_again(void **state)
{
    (void)state;
    open_with(park_twice);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    for (int i = 0; i < 500; i++) {
        raw_puts(&raw, GET("/"));
        http_continue(site_take(&site));
        http_continue(site_take(&site));
        raw_read(&raw, &reply);
        assert_string_equal(reply.body.data, "third call");
    }
    site_close(&site);
}

static void begin_parked(struct site *at, struct http_request *req)
{
    http_accept_body(req, 10);
    site_park(at, req);
}

static void test_begin__may_wait_before_the_body_is_read(void **state)
{
    (void)state;
    site = (struct site){.handle = site_echo, .begin = begin_parked};
    site_open(&site);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nContent-Length: 2\r\n" HEAD_END "hi");
    http_continue(site_take(&site));
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "PUT /a |hi");
    raw_puts(&raw, GET("/b"));
    site_reply(site_take(&site), "early");
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "early");
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nContent-Length: 2\r\n" HEAD_END "hi");
    site_reply(site_take(&site), "unread");
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "unread");
    assert_true(raw_ends(&raw));
    site_close(&site);
}

static void say_nothing(struct site *at, struct http_request *req)
{
    (void)at, (void)req;
}

static void test_handler__that_forgets_the_request_gets_an_internal_error(void **state)
{
    (void)state;
    open_with(say_nothing);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/"));
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 500);
    site_close(&site);
}

/* ---- replies ---- */

static void reply_kinds(struct site *at, struct http_request *req)
{
    (void)at;
    struct buf body = {0};
    auto_err struct err err = {0};
    const char *path = http_path(req);
    if (strcmp(path, "/created") == 0) {
        buf_puts(&body, "{}");
        http_reply(req,
                   &(struct http_reply){.status = 201,
                                        .etag = "abc",
                                        .location = "/v1/x",
                                        .extra_name = "X-Extra",
                                        .extra_value = "yes"},
                   &body);
    } else if (strcmp(path, "/none") == 0) {
        http_reply(req, &(struct http_reply){.status = 204}, &body);
    } else if (strcmp(path, "/401") == 0) {
        err_set(&err, ERR_UNAUTHENTICATED, "No token.");
        http_reply_err(req, &err);
    } else if (strcmp(path, "/twice") == 0) {
        site_reply(req, "first");
        site_reply(req, "second");
    } else {
        err_set(&err, ERR_METHOD, "No.");
        http_reply_err_with(req, &err, "Allow", "GET, PUT");
    }
}

static void expect_header(const struct raw_reply *reply, const char *name, const char *value)
{
    autofree char *found = raw_header(reply, name);
    if (!value)
        assert_null(found);
    else
        assert_string_equal(found ? found : "(absent)", value);
}

static void test_reply__has_the_headers_that_belong_to_it(void **state)
{
    (void)state;
    open_with(reply_kinds);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/created"));
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 201);
    expect_header(&reply, "Content-Type", "application/json");
    expect_header(&reply, "Cache-Control", "no-store");
    expect_header(&reply, "ETag", "\"abc\"");
    expect_header(&reply, "Location", "/v1/x");
    expect_header(&reply, "X-Extra", "yes");
    expect_header(&reply, "Connection", NULL);
    raw_puts(&raw, GET("/none"));
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 204);
    expect_header(&reply, "Content-Type", NULL);
    expect_header(&reply, "Content-Length", NULL);
    raw_puts(&raw, GET("/401"));
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 401);
    expect_header(&reply, "WWW-Authenticate", "Bearer");
    raw_puts(&raw, GET("/405"));
    raw_read(&raw, &reply);
    expect_header(&reply, "Allow", "GET, PUT");
    raw_puts(&raw, GET("/twice"));
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "first");
    site_close(&site);
}

static void reply_own_file(struct site *at, struct http_request *req)
{
    int fd = open(at->extra, O_RDONLY | O_CLOEXEC);
    struct stat found;
    fstat(fd, &found);
    http_reply_file(req, &(struct http_reply){.status = 200}, fd, found.st_size);
}

static void test_file__is_sent_whole(void **state)
{
    (void)state;
    enum { SIZE = 5 * 1024 * 1024 + 17 };
    autofree char *folder = guard_tempdir("http");
    autofree char *path = xasprintf("%s/file", folder);
    autofree char *content = xmalloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        content[i] = (char)(i * 31 + i / 251);
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, content, SIZE), SIZE);
    site = (struct site){.handle = reply_own_file, .extra = path};
    site_open(&site);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    for (int i = 0; i < 3; i++) {
        raw_puts(&raw, GET("/"));
        raw_read(&raw, &reply);
        assert_int_equal(reply.body.len, SIZE);
        assert_memory_equal(reply.body.data, content, SIZE);
    }
    site_close(&site);
}

/* ---- slow clients ---- */

static void open_impatient(void)
{
    site = (struct site){.handle = site_echo};
    site_open_with(&site, (struct http_settings){.request_ms = 300, .upload_idle_ms = 300});
}

static void test_slow_client__is_cut_off_in_head_and_body(void **state)
{
    (void)state;
    static const char *const beginnings[] = {
        "", "GE", "GET / HTTP/1.1\r\nHos", "PUT / HTTP/1.1\r\nContent-Length: 5\r\n" HEAD_END "ab"};
    open_impatient();
    for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
        auto_raw struct raw raw = raw_open(site.port);
        raw_puts(&raw, beginnings[i]);
        assert_true(raw_ends(&raw));
    }
    site_close(&site);
}

enum { TRICKLE_MS = 20 };

/* A byte every now and then does not help: the whole request has one deadline. */
static void test_slow_client__gains_nothing_by_trickling(void **state)
{
    (void)state;
    open_impatient();
    auto_raw struct raw raw = raw_open(site.port);
    raw_puts(&raw, "PUT / HTTP/1.1\r\nContent-Length: 100000\r\n" HEAD_END);
    int sent = 0;
    struct pollfd end = {.fd = raw.fd, .events = POLLIN};
    while (sent < 3000 && raw_send(&raw, "x", 1) && poll(&end, 1, TRICKLE_MS) == 0)
        sent++;
    assert_true(sent < 3000);
    site_close(&site);
}

static void reply_large(struct site *at, struct http_request *req)
{
    (void)at;
    struct buf body = {0};
    buf_printf(&body, "%08000d", 1);
    http_reply(req, &(struct http_reply){.status = 200}, &body);
}

/* Replies without end asked for, none taken. */
static void test_slow_client__is_cut_off_when_it_does_not_take_its_replies(void **state)
{
    (void)state;
    site = (struct site){.handle = reply_large};
    site_open_with(&site, (struct http_settings){.request_ms = 300, .upload_idle_ms = 300});
    auto_raw struct raw raw = raw_open(site.port);
    int sent = 0;
    while (sent < 10 * 1000 * 1000 && raw_puts(&raw, GET("/")))
        sent++;
    assert_true(sent < 10 * 1000 * 1000);
    site_close(&site);
}

static void park(struct site *at, struct http_request *req)
{
    if (!site_turned(req))
        site_park(at, req);
}

/* Another client, who comes later, has been cut off for being slow, and the look in which that
 * was done is over: whoever waits since before has been looked at. */
static void outwait_a_slow_client(void)
{
    auto_raw struct raw slow = raw_open(site.port);
    raw_puts(&slow, "GET /slow");
    assert_true(raw_ends(&slow));
    site_turn(&site);
}

static void test_waiting__is_no_slowness(void **state)
{
    (void)state;
    site = (struct site){.handle = park};
    site_open_with(&site, (struct http_settings){.request_ms = 200, .upload_idle_ms = 200});
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/"));
    struct http_request *req = site_take(&site);
    outwait_a_slow_client();
    site_reply(req, "patience");
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "patience");
    site_close(&site);
}

/* The reaper gives the memory of waiting connections back after two seconds; what they hold
 * must survive that. */
static void test_waiting__long_loses_nothing_of_the_request(void **state)
{
    (void)state;
    site = (struct site){.handle = park};
    site_open_with(&site, (struct http_settings){.request_ms = 2500, .upload_idle_ms = 2500});
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    for (int i = 0; i < 2; i++) {
        raw_puts(&raw, "GET /a?b=c HTTP/1.1\r\nX-Kept: still here\r\n" HEAD_END GET("/next"));
        struct http_request *req = site_take(&site);
        outwait_a_slow_client();
        assert_string_equal(http_header(req, "x-kept"), "still here");
        assert_string_equal(http_path(req), "/a");
        assert_string_equal(http_query(req, "b"), "c");
        site_reply(req, "kept");
        raw_read(&raw, &reply);
        assert_string_equal(reply.body.data, "kept");
        req = site_take(&site);
        assert_string_equal(http_path(req), "/next");
        site_reply(req, "pipelined");
        raw_read(&raw, &reply);
        assert_string_equal(reply.body.data, "pipelined");
    }
    site_close(&site);
}

/* ---- stopping ---- */

static void test_stop__answers_who_still_waits(void **state)
{
    (void)state;
    open_with(join_crowd);
    crowd.count = 0;
    struct raw raws[CROWD];
    for (int i = 0; i < CROWD; i++) {
        raws[i] = raw_open(site.port);
        raw_puts(&raws[i], GET("/"));
    }
    struct raw idle = raw_open(site.port);
    pthread_mutex_lock(&crowd.lock);
    while (crowd.count < CROWD)
        pthread_cond_wait(&crowd.full, &crowd.lock);
    crowd.count = 0;
    pthread_mutex_unlock(&crowd.lock);
    site_close(&site);
    for (int i = 0; i < CROWD; i++) {
        auto_raw_reply struct raw_reply reply = {0};
        raw_read(&raws[i], &reply);
        assert_int_equal(reply.status, 503);
        raw_close(&raws[i]);
    }
    assert_true(raw_ends(&idle));
    raw_close(&idle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suspended__answered_by_another_thread_10000_times),
        cmocka_unit_test(test_shared_reply__wakes_a_crowd_each_with_its_own_request_id),
        cmocka_unit_test(test_continue__calls_the_handler_again),
        cmocka_unit_test(test_begin__may_wait_before_the_body_is_read),
        cmocka_unit_test(test_handler__that_forgets_the_request_gets_an_internal_error),
        cmocka_unit_test(test_reply__has_the_headers_that_belong_to_it),
        cmocka_unit_test(test_file__is_sent_whole),
        cmocka_unit_test(test_slow_client__is_cut_off_in_head_and_body),
        cmocka_unit_test(test_slow_client__gains_nothing_by_trickling),
        cmocka_unit_test(test_slow_client__is_cut_off_when_it_does_not_take_its_replies),
        cmocka_unit_test(test_waiting__is_no_slowness),
        cmocka_unit_test(test_waiting__long_loses_nothing_of_the_request),
        cmocka_unit_test(test_stop__answers_who_still_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
