/* Requests that libmicrohttpd refuses by itself: the refusal is ours, once, whatever state the
 * connection is in. What each malformed head is answered with is in
 * tests/integration/test_bad_input_head.c. */
#include "tests/unit/http_site.h"

#include <sys/socket.h>

#define HEAD_END "Host: x\r\n\r\n"
#define CHUNKED "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HEAD_END

static struct site site;

static int open_site(void **state)
{
    (void)state;
    site = (struct site){.handle = site_echo};
    site_open(&site);
    return 0;
}

static int close_site(void **state)
{
    (void)state;
    site_close(&site);
    return 0;
}

static void expect_problem(struct raw *raw, int status, const char *word)
{
    auto_raw_reply struct raw_reply reply = {0};
    raw_read(raw, &reply);
    autofree char *type = raw_header(&reply, "Content-Type");
    autofree char *connection = raw_header(&reply, "Connection");
    assert_int_equal(reply.status, status);
    assert_string_equal(type, "application/problem+json");
    assert_string_equal(connection, "close");
    assert_non_null(strstr(reply.body.data, word));
}

static void expect_silence(struct raw *raw)
{
    char byte;
    assert_int_equal(raw->in.len, 0);
    assert_int_equal(raw_read_some(raw, &byte, 1), 0);
    assert_true(raw_ends(raw));
}

static void expect_echo(struct raw *raw)
{
    auto_raw_reply struct raw_reply reply = {0};
    raw_read(raw, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body.data, "GET /a |");
}

static void test_line_without_a_space__is_answered_wherever_it_comes(void **state)
{
    (void)state;
    static const char good[] = "GET /a HTTP/1.1\r\n" HEAD_END;
    for (int i = 0; i < 4; i++) {
        auto_raw struct raw raw = raw_open(site.port);
        if (i == 1 || i == 2)
            raw_puts(&raw, i == 2 ? "GET /a HTTP/1.1\r\n" HEAD_END "GARBAGE\r\n" : good);
        if (i == 1 || i == 2)
            expect_echo(&raw);
        if (i == 3)
            raw_puts(&raw, "\r\n\r\nGAR");
        if (i != 2)
            raw_puts(&raw, i == 3 ? "BAGE\r\n" : "GARBAGE\r\n");
        expect_problem(&raw, 400, "request line");
        expect_silence(&raw);
    }
}

/* The last word is for bad request lines only: nothing follows a reply that ends the connection,
 * and a client that has gone is told nothing. */
static void test_closing__adds_nothing_to_a_reply(void **state)
{
    (void)state;
    static const char *const closing[] = {
        "GET /a HTTP/1.1\r\nConnection: close\r\n" HEAD_END,
        "GET /a HTTP/1.1\r\nconnection: x, Close\r\n" HEAD_END,
        "GET /a HTTP/1.0\r\n" HEAD_END,
    };
    for (size_t i = 0; i < ARRAY_SIZE(closing); i++) {
        auto_raw struct raw raw = raw_open(site.port);
        raw_puts(&raw, closing[i]);
        expect_echo(&raw);
        expect_silence(&raw);
    }
    static const char *const refused[] = {
        "GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nno colon\r\n" HEAD_END,
        "GET /a HTTP/1.1\r\nContent-Length: x\r\n" HEAD_END,
        "GET /a\r\n" HEAD_END,
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        auto_raw struct raw raw = raw_open(site.port);
        raw_puts(&raw, refused[i]);
        expect_problem(&raw, 400, "detail");
        expect_silence(&raw);
    }
    auto_raw struct raw raw = raw_open(site.port);
    raw_puts(&raw, "GET /a HTTP/1.1\r\n" HEAD_END);
    expect_echo(&raw);
    shutdown(raw.fd, SHUT_WR);
    expect_silence(&raw);
}

static void test_refusal__reaches_a_client_that_sends_on(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    autofree char *flood = xasprintf("GET /a HTTP/1.1\r\nA: %04000000d\r\n\r\n", 0);
    raw_puts(&raw, flood);
    expect_problem(&raw, 431, "header");
    expect_silence(&raw);
}

static void test_bad_chunk__ends_the_request_with_the_status_that_was_sent(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    raw_puts(&raw, CHUNKED "3\r\nabc\r\nzz\r\n");
    expect_problem(&raw, 400, "chunk");
    expect_silence(&raw);
    site_wait_ended(&site, 1);
    assert_int_equal(atomic_load(&site.last_status), 400);
}

/* ---- a bad chunk behind one that a sleeping sink has taken ---- */

static long take_and_sleep(void *ctx, struct http_request *req, const char *data, size_t len)
{
    (void)data;
    site_park(ctx, req);
    return (long)len;
}

static void begin_upload(struct site *its_site, struct http_request *req)
{
    http_accept_upload(req, take_and_sleep, its_site);
}

static void test_bad_chunk__waits_for_who_still_works_on_the_one_before(void **state)
{
    (void)state;
    site.begin = begin_upload;
    for (int i = 0; i < 200; i++) {
        auto_raw struct raw raw = raw_open(site.port);
        raw_puts(&raw, CHUNKED "3\r\nabc\r\nzz\r\n");
        struct http_request *req = site_take(&site);
        assert_int_equal(strlen(http_request_id(req)), 16);
        if (i % 2)
            http_continue(req);
        else
            site_reply(req, "too late, or just in time");
        auto_raw_reply struct raw_reply reply = {0};
        raw_read(&raw, &reply);
        /* Answered before the bad chunk was looked at, the first answer is the one. */
        assert_true(reply.status == 400 || (i % 2 == 0 && reply.status == 200));
        expect_silence(&raw);
        site_wait_ended(&site, i + 1);
        assert_int_equal(atomic_load(&site.last_status), reply.status);
    }
}

/* ---- two faults in one head ---- */

static void test_second_fault__of_a_head_costs_no_memory(void **state)
{
    (void)state;
    struct buf auto_buf request = {0};
    buf_printf(&request, "GET /%0500d HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\nCookie: ", 0);
    for (int i = 0; i < 500; i++)
        buf_puts(&request, "a;");
    buf_puts(&request, "\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        auto_raw struct raw raw = raw_open(site.port);
        raw_send(&raw, request.data, request.len);
        expect_problem(&raw, 431, "header");
        expect_silence(&raw);
    }
    assert_int_equal(atomic_load(&site.begun), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_site, close_site)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_line_without_a_space__is_answered_wherever_it_comes),
        TEST(test_closing__adds_nothing_to_a_reply),
        TEST(test_refusal__reaches_a_client_that_sends_on),
        TEST(test_bad_chunk__ends_the_request_with_the_status_that_was_sent),
        TEST(test_bad_chunk__waits_for_who_still_works_on_the_one_before),
        TEST(test_second_fault__of_a_head_costs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
