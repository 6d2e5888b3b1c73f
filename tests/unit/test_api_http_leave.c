/* Clients that leave while their request, or their stream, sleeps: seen at once, and told to
 * whoever will answer. */
#include "tests/unit/http_site.h"

#include <sys/socket.h>
#include <time.h>

#include "tests/lib/guard.h"

#define HEAD_END "Host: x\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HEAD_END

static struct site site;

static void park(struct site *at, struct http_request *req)
{
    if (!site_turned(req))
        site_park(at, req);
}

static void open_with(void (*handle)(struct site *, struct http_request *),
                      struct http_settings settings)
{
    site = (struct site){.handle = handle};
    site_open_with(&site, settings);
}

static void leave_while_asleep(struct raw raw)
{
    raw_puts(&raw, GET("/"));
    struct http_request *req = site_take(&site);
    raw_close(&raw);
    assert_true(site_wait_left(&site, 1));
    site_reply(req, "to nobody");
    site_wait_ended(&site, 1);
}

static void test_leave__of_a_client_that_waits_is_told(void **state)
{
    (void)state;
    open_with(park, (struct http_settings){0});
    leave_while_asleep(raw_open(site.port));
    site_turn(&site);
    assert_int_equal(atomic_load(&site.left), 1); /* once */
    site_close(&site);
}

static void test_leave__is_told_of_unix_sockets_too(void **state)
{
    (void)state;
    autofree char *folder = guard_tempdir("leave");
    autofree char *path = xasprintf("%s/socket", folder);
    open_with(park, (struct http_settings){.unix_path = path});
    leave_while_asleep(raw_open_unix(path));
    site_close(&site);
}

/* Whoever still wants the answer keeps the connection open. */
static void test_leave__is_to_close_the_sending_side_alone(void **state)
{
    (void)state;
    open_with(park, (struct http_settings){0});
    auto_raw struct raw raw = raw_open(site.port);
    raw_puts(&raw, GET("/"));
    struct http_request *req = site_take(&site);
    shutdown(raw.fd, SHUT_WR);
    assert_true(site_wait_left(&site, 1));
    site_reply(req, "to nobody");
    assert_true(raw_ends(&raw));
    site_close(&site);
}

/* Bytes that wait to be read are no leaving. */
static void test_leave__is_not_what_a_pipelined_request_looks_like(void **state)
{
    (void)state;
    open_with(park, (struct http_settings){0});
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, GET("/1") GET("/2"));
    struct http_request *req = site_take(&site);
    site_turn(&site);
    assert_int_equal(atomic_load(&site.left), 0);
    site_reply(req, "first");
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "first");
    req = site_take(&site);
    assert_int_equal(atomic_load(&site.left), 0);
    site_reply(req, "second");
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "second");
    site_close(&site);
}

static void test_leave__between_requests_is_none(void **state)
{
    (void)state;
    open_with(park, (struct http_settings){0});
    struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    for (int i = 0; i < 3; i++) {
        raw_puts(&raw, GET("/"));
        site_reply(site_take(&site), "back soon");
        raw_read(&raw, &reply);
        assert_string_equal(reply.body.data, "back soon");
    }
    raw_close(&raw);
    leave_while_asleep(raw_open(site.port)); /* its own, and no other's */
    assert_int_equal(atomic_load(&site.left), 1);
    site_close(&site);
}

/* ---- many ---- */

enum { CROWD = 500 };

static struct http_request *crowd[CROWD];
static int crowd_count;

static void join_crowd(struct site *at, struct http_request *req)
{
    if (site_turned(req))
        return;
    http_suspend(req);
    pthread_mutex_lock(&at->lock);
    crowd[crowd_count++] = req;
    pthread_cond_broadcast(&at->changed);
    pthread_mutex_unlock(&at->lock);
}

static void test_leave__of_a_crowd_at_once_misses_nobody(void **state)
{
    (void)state;
    open_with(join_crowd, (struct http_settings){0});
    struct raw raws[CROWD];
    crowd_count = 0;
    for (int i = 0; i < CROWD; i++) {
        raws[i] = raw_open(site.port);
        raw_puts(&raws[i], GET("/"));
    }
    pthread_mutex_lock(&site.lock);
    while (crowd_count < CROWD)
        pthread_cond_wait(&site.changed, &site.lock);
    pthread_mutex_unlock(&site.lock);
    for (int i = 0; i < CROWD; i++)
        raw_close(&raws[i]);
    assert_true(site_wait_left(&site, CROWD));
    for (int i = 0; i < CROWD; i++)
        site_reply(crowd[i], "to nobody");
    site_wait_ended(&site, CROWD);
    assert_int_equal(atomic_load(&site.left), CROWD);
    site_close(&site);
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

static struct http_stream *stream_of(struct raw *raw, struct raw_reply *reply)
{
    raw_puts(raw, GET("/"));
    pthread_mutex_lock(&site.lock);
    while (!site.extra)
        pthread_cond_wait(&site.changed, &site.lock);
    pthread_mutex_unlock(&site.lock);
    raw_read_head(raw, reply);
    return site.extra;
}

static bool ended_in_time(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&site.lock);
    while (atomic_load(&site.ended) < 1 &&
           pthread_cond_timedwait(&site.changed, &site.lock, &until) == 0)
        ;
    pthread_mutex_unlock(&site.lock);
    return atomic_load(&site.ended) == 1;
}

/* Nothing is written, so that no failing write tells of it. */
static void test_leave__ends_a_stream_that_is_quiet(void **state)
{
    (void)state;
    open_with(open_stream, (struct http_settings){0});
    struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    struct http_stream *stream = stream_of(&raw, &reply);
    raw_close(&raw);
    assert_true(ended_in_time());
    assert_false(http_stream_write(stream, "x", 1));
    http_stream_end(stream);
    site_close(&site);
}

/* Its end does not wait for ever for a client that takes nothing of what came before. */
static void test_stream__that_has_ended_is_cut_when_nobody_takes_the_rest(void **state)
{
    (void)state;
    enum { SIZE = 1000 * 1000 }; /* more than a Unix socket holds */
    autofree char *folder = guard_tempdir("leave");
    autofree char *path = xasprintf("%s/socket", folder);
    open_with(open_stream,
              (struct http_settings){.unix_path = path, .request_ms = 300, .upload_idle_ms = 300});
    auto_raw struct raw raw = raw_open_unix(path);
    auto_raw_reply struct raw_reply reply = {0};
    autofree char *much = xcalloc(1, SIZE);
    struct http_stream *stream = stream_of(&raw, &reply);
    assert_true(http_stream_write(stream, much, SIZE));
    http_stream_end(stream);
    assert_true(ended_in_time());
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leave__of_a_client_that_waits_is_told),
        cmocka_unit_test(test_leave__is_told_of_unix_sockets_too),
        cmocka_unit_test(test_leave__is_to_close_the_sending_side_alone),
        cmocka_unit_test(test_leave__is_not_what_a_pipelined_request_looks_like),
        cmocka_unit_test(test_leave__between_requests_is_none),
        cmocka_unit_test(test_leave__of_a_crowd_at_once_misses_nobody),
        cmocka_unit_test(test_leave__ends_a_stream_that_is_quiet),
        cmocka_unit_test(test_stream__that_has_ended_is_cut_when_nobody_takes_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
