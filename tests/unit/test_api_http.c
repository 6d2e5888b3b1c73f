/* How the server reads requests: target, framing, limits; each refusal is a problem document
 * and says whether the connection goes on. */
#include "tests/unit/http_site.h"

#define HEAD_END "Host: x\r\n\r\n"

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

static void ask(struct raw *raw, const char *request, struct raw_reply *reply)
{
    assert_true(raw_puts(raw, request));
    raw_read(raw, reply);
}

static void expect_echo(const char *request, const char *echo)
{
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    ask(&raw, request, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body.data, echo);
    /* The connection goes on. */
    ask(&raw, "GET /again HTTP/1.1\r\n" HEAD_END, &reply);
    assert_string_equal(reply.body.data, "GET /again |");
}

static void check_problem(const struct raw_reply *reply, int status)
{
    autofree char *type = raw_header(reply, "Content-Type");
    autofree char *id = raw_header(reply, "X-Request-Id");
    autofree char *cache = raw_header(reply, "Cache-Control");
    assert_int_equal(reply->status, status);
    assert_string_equal(type, "application/problem+json");
    assert_string_equal(cache, "no-store");
    assert_int_equal(strlen(id), 16);
    assert_non_null(strstr(reply->body.data, "\"detail\":\""));
    assert_non_null(strstr(reply->body.data, id));
}

/* A request that cannot be trusted any further: problem, "Connection: close", the end. */
static void expect_cut_bytes(const char *request, size_t len, int status)
{
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_send(&raw, request, len);
    raw_read(&raw, &reply);
    check_problem(&reply, status);
    autofree char *connection = raw_header(&reply, "Connection");
    assert_string_equal(connection, "close");
    assert_true(raw_ends(&raw));
}

static void expect_cut(const char *request, int status)
{
    expect_cut_bytes(request, strlen(request), status);
}

/* A request that is understood and refused: the connection goes on. */
static void expect_refused(const char *request, int status)
{
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    ask(&raw, request, &reply);
    check_problem(&reply, status);
    ask(&raw, "GET /again HTTP/1.1\r\n" HEAD_END, &reply);
    assert_string_equal(reply.body.data, "GET /again |");
}

static void test_target__is_split_and_decoded(void **state)
{
    (void)state;
    expect_echo("GET / HTTP/1.1\r\n" HEAD_END, "GET / |");
    expect_echo("GET /v1/a%20b/%C3%A4 HTTP/1.1\r\n" HEAD_END, "GET /v1/a b/\xC3\xA4 |");
    expect_echo("GET /a?x=1&y=a%26b+c&z HTTP/1.1\r\n" HEAD_END, "GET /a x=1;y=a&b c;z=;|");
    expect_echo("GET /a?q=%2F%3d HTTP/1.1\r\n" HEAD_END, "GET /a q=/=;|");
    expect_echo("GET /a? HTTP/1.1\r\n" HEAD_END, "GET /a |");
    expect_echo("GET /a/.hidden/... HTTP/1.1\r\n" HEAD_END, "GET /a/.hidden/... |");
    expect_echo("GET http://x:80/b?c=d HTTP/1.1\r\n" HEAD_END, "GET /b c=d;|");
    expect_echo("OPTIONS * HTTP/1.1\r\n" HEAD_END, "OPTIONS * |");
    expect_echo("FROBNICATE /a HTTP/1.1\r\n" HEAD_END, "FROBNICATE /a |");
}

static void test_target__refuses_what_could_be_read_in_two_ways(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/a%00b",   "/a%2Fb", "/a%2fb",  "/a/../b",  "/a/%2e%2E",  "/./a", "/a/.",      "/a//b",
        "//a",      "/a/",    "/%FF",    "/%C0%AF",  "/%ED%A0%80", "/%4",  "/%zz",      "/a%",
        "/a?b=%",   "/a?=b",  "/a?b&&c", "/a?b=%00", "/a?b=%FF",   "/a#b", "/a?b=\x80", "/a%0Ab",
        "/a?b=%7F", "a",      "*a",      "http://x", "x:443",      "/\"",  "?a=b",
    };
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        autofree char *request = xasprintf("GET %s HTTP/1.1\r\n" HEAD_END, targets[i]);
        expect_refused(request, 400);
    }
    expect_refused("GET /a?b=1&c=2&b=3 HTTP/1.1\r\n" HEAD_END, 400);
}

static void test_target__names_a_repeated_parameter(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    ask(&raw, "GET /a?limit=1&limit=2 HTTP/1.1\r\n" HEAD_END, &reply);
    assert_non_null(strstr(reply.body.data, "\"field\":\"limit\""));
}

static char *long_target(size_t len)
{
    struct buf target = {0};
    buf_puts(&target, "GET /");
    while (target.len < len + 4)
        buf_putc(&target, 'a');
    buf_puts(&target, " HTTP/1.1\r\n" HEAD_END);
    return buf_take(&target);
}

static void test_target__has_a_largest_size(void **state)
{
    (void)state;
    autofree char *fits = long_target(LIMIT_URI_BYTES);
    autofree char *over = long_target(LIMIT_URI_BYTES + 1);
    autofree char *far_over = long_target(16 * 1024);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    ask(&raw, fits, &reply);
    assert_int_equal(reply.status, 200);
    expect_refused(over, 414);
    expect_refused(far_over, 414);
}

static void test_target__takes_32_parameters_however_small(void **state)
{
    (void)state;
    auto_buf struct buf request = {0};
    buf_puts(&request, "GET /a?");
    for (int i = 0; i < 32; i++)
        buf_printf(&request, "%s%c%c", i ? "&" : "", 'a' + i / 16, 'a' + i % 16);
    auto_buf struct buf over = {0};
    buf_printf(&over, "%s&zz HTTP/1.1\r\n" HEAD_END, request.data);
    buf_puts(&request, " HTTP/1.1\r\n" HEAD_END);
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    ask(&raw, request.data, &reply);
    assert_int_equal(reply.status, 200);
    expect_refused(over.data, 400);
}

static void test_target__of_nothing_but_ampersands_is_refused(void **state)
{
    (void)state;
    auto_buf struct buf request = {0};
    buf_puts(&request, "GET /a?");
    for (int i = 0; i < 4000; i++)
        buf_putc(&request, '&');
    buf_puts(&request, " HTTP/1.1\r\n" HEAD_END);
    expect_refused(request.data, 400);
}

static void test_framing__refuses_what_could_be_smuggled(void **state)
{
    (void)state;
    expect_cut("POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n" HEAD_END "abc",
               400);
    expect_cut("POST /a HTTP/1.1\r\nContent-Length: 3\r\ncontent-length: 30\r\n" HEAD_END "abc",
               400);
    expect_cut("POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" HEAD_END
               "0\r\n\r\n",
               400);
    expect_cut("POST /a HTTP/1.1\r\nContent-Length : 3\r\n" HEAD_END "abc", 400);
    expect_cut("POST /a HTTP/1.1\r\nContent-Length\t: 3\r\n" HEAD_END "abc", 400);
    expect_cut("POST /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" HEAD_END, 400);
    expect_cut("POST /a HTTP/1.1\r\nTransfer-Encoding: identity\r\n" HEAD_END, 400);
    expect_cut("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" HEAD_END "0\r\n\r\n", 400);
    expect_cut("GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    expect_cut("GET /a HTTP/1.1\r\nAccept: b\r\n\r\n", 400);
    expect_cut("GET /a HTTP/1.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n" HEAD_END,
               400);
}

static void test_framing__refuses_folded_lines_bare_feeds_and_nuls(void **state)
{
    (void)state;
    static const char nul_in_value[] = "GET /a HTTP/1.1\r\nX: a\0b\r\n" HEAD_END;
    static const char two_nuls[] = "GET /a HTTP/1.1\r\nX: a\0\0Y: b\r\n" HEAD_END;
    static const char nul_in_target[] = "GET /a\0b HTTP/1.1\r\n" HEAD_END;
    static const char nul_in_method[] = "G\0T /a HTTP/1.1\r\n" HEAD_END;
    expect_cut("GET /a HTTP/1.1\r\nX: a\r\n b\r\n" HEAD_END, 400);
    expect_cut("POST /a HTTP/1.1\r\nTransfer-Enc: chunked\r\n oding\r\n" HEAD_END, 400);
    expect_cut("GET /a HTTP/1.1\nHost: x\n\n", 400);
    expect_cut("GET /a HTTP/1.1\r\nX: a\nY: b\r\n" HEAD_END, 400);
    expect_cut("GET /a HTTP/1.1\r\nX: a\rb\r\n" HEAD_END, 400);
    expect_cut("GET  /a HTTP/1.1\r\n" HEAD_END, 400);
    expect_cut("GET /a b HTTP/1.1\r\n" HEAD_END, 400);
    expect_cut("G@T /a HTTP/1.1\r\n" HEAD_END, 400);
    expect_cut_bytes(nul_in_value, sizeof(nul_in_value) - 1, 400);
    expect_cut_bytes(two_nuls, sizeof(two_nuls) - 1, 400);
    expect_cut_bytes(nul_in_target, sizeof(nul_in_target) - 1, 400);
    expect_cut_bytes(nul_in_method, sizeof(nul_in_method) - 1, 400);
}

/* libmicrohttpd answers these by itself, before it tells us; it must still refuse them. */
static void test_framing__the_library_refuses_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"POST /a HTTP/1.1\r\nContent-Length: 3x\r\n" HEAD_END, 400},
        {"POST /a HTTP/1.1\r\nContent-Length: -1\r\n" HEAD_END, 400},
        {"POST /a HTTP/1.1\r\nContent-Length: 3,3\r\n" HEAD_END, 400},
        {"POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" HEAD_END, 413},
        {"GET /a HTTP/1.1\r\nno colon\r\n" HEAD_END, 400},
        {"GET /a HTTP/2.0\r\n" HEAD_END, 505},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_raw struct raw raw = raw_open(site.port);
        auto_raw_reply struct raw_reply reply = {0};
        ask(&raw, cases[i].request, &reply);
        assert_int_equal(reply.status, cases[i].status);
        assert_true(raw_ends(&raw));
    }
    assert_int_equal(atomic_load(&site.begun), 0);
}

static char *headers_of(size_t len)
{
    struct buf request = {0};
    buf_puts(&request, "GET /a HTTP/1.1\r\n");
    size_t start = request.len;
    buf_puts(&request, "Host: x\r\n");
    for (int i = 0; request.len - start + 1024 < len; i++)
        buf_printf(&request, "X%02d: %01000d\r\n", i, 7);
    size_t left = len - (request.len - start);
    buf_printf(&request, "Last: %0*d\r\n\r\n", (int)left - 8, 7);
    return buf_take(&request);
}

static void test_headers__have_a_largest_size(void **state)
{
    (void)state;
    autofree char *fits = headers_of(LIMIT_HEADERS_BYTES);
    autofree char *over = headers_of(LIMIT_HEADERS_BYTES + 1);
    autofree char *more = headers_of(LIMIT_HEADERS_BYTES + 3000);
    autofree char *far_over = headers_of(100 * 1024);
    expect_echo(fits, "GET /a |");
    expect_cut(over, 431);
    expect_cut(more, 431);
    /* Beyond its pool libmicrohttpd answers by itself. */
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, far_over);
    raw_read(&raw, &reply);
    assert_true(reply.status == 431 || reply.status == 0);
    assert_true(raw_ends(&raw));
}

static void test_largest_head__of_target_and_headers_together_fits(void **state)
{
    (void)state;
    auto_buf struct buf request = {0};
    autofree char *headers = headers_of(LIMIT_HEADERS_BYTES);
    buf_puts(&request, "GET /");
    while (request.len < 4 + LIMIT_URI_BYTES)
        buf_putc(&request, 'a');
    buf_puts(&request, headers + strlen("GET /a"));
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    ask(&raw, request.data, &reply);
    assert_int_equal(reply.status, 200);
}

static void test_method__head_is_a_get_without_its_body(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "HEAD /a HTTP/1.1\r\n" HEAD_END "GET /b HTTP/1.1\r\n" HEAD_END);
    raw_read_head(&raw, &reply);
    autofree char *length = raw_header(&reply, "Content-Length");
    assert_string_equal(length, "8"); /* "GET /a |" */
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "GET /b |");
}

static void test_pipelining__answers_in_order(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    auto_buf struct buf requests = {0};
    for (int i = 0; i < 200; i++)
        buf_printf(&requests, "POST /n/%d HTTP/1.1\r\nContent-Length: 2\r\n" HEAD_END "xy", i);
    raw_puts(&raw, requests.data);
    for (int i = 0; i < 200; i++) {
        autofree char *echo = xasprintf("POST /n/%d |xy", i);
        raw_read(&raw, &reply);
        assert_string_equal(reply.body.data, echo);
    }
}

static void test_body__is_collected_up_to_its_limit(void **state)
{
    (void)state;
    expect_echo("POST /a HTTP/1.1\r\nContent-Length: 0\r\n" HEAD_END, "POST /a |");
    expect_echo("POST /a HTTP/1.1\r\nContent-Length: 3\r\n" HEAD_END "abc", "POST /a |abc");
    expect_echo("POST /a HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\n" HEAD_END
                "2\r\nab\r\n1;x=y\r\nc\r\n0\r\nTrailer: t\r\n\r\n",
                "POST /a |abc");
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    autofree char *body = xcalloc(1, SITE_BODY_LIMIT);
    autofree char *head =
        xasprintf("PUT /a HTTP/1.1\r\nContent-Length: %d\r\n" HEAD_END, SITE_BODY_LIMIT);
    raw_puts(&raw, head);
    raw_send(&raw, body, SITE_BODY_LIMIT);
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, SITE_BODY_LIMIT + strlen("PUT /a |"));
}

static void test_body__beyond_its_limit_is_refused_unread(void **state)
{
    (void)state;
    autofree char *declared =
        xasprintf("PUT /a HTTP/1.1\r\nContent-Length: %d\r\n" HEAD_END, SITE_BODY_LIMIT + 1);
    expect_cut(declared, 413);
    auto_buf struct buf chunked = {0};
    buf_puts(&chunked, "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HEAD_END);
    for (int i = 0; i < 11; i++)
        buf_printf(&chunked, "2710\r\n%010000d\r\n", i);
    expect_cut(chunked.data, 413); /* without its last chunk */
}

static void test_body__refusal_reaches_a_client_that_sends_on(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    autofree char *body = xcalloc(1, 4 * 1024 * 1024);
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nContent-Length: 4194304\r\n" HEAD_END);
    assert_true(raw_send(&raw, body, 4 * 1024 * 1024));
    raw_read(&raw, &reply);
    check_problem(&reply, 413);
    assert_true(raw_ends(&raw));
}

static void test_body__malformed_chunks_end_the_connection(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    ask(&raw, "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HEAD_END "zz\r\n", &reply);
    assert_int_equal(reply.status, 400);
    assert_true(raw_ends(&raw));
}

static void test_expect__is_answered_before_the_body(void **state)
{
    (void)state;
    auto_raw struct raw raw = raw_open(site.port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" HEAD_END);
    raw_read_head(&raw, &reply);
    assert_int_equal(reply.status, 100);
    ask(&raw, "hi", &reply);
    assert_string_equal(reply.body.data, "PUT /a |hi");
    expect_cut("PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n" HEAD_END,
               413);
}

static void test_empty_lines__before_a_request_are_skipped(void **state)
{
    (void)state;
    expect_echo("\r\n\r\nGET /a HTTP/1.1\r\n" HEAD_END, "GET /a |");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_site, close_site)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_target__is_split_and_decoded),
        TEST(test_target__refuses_what_could_be_read_in_two_ways),
        TEST(test_target__names_a_repeated_parameter),
        TEST(test_target__has_a_largest_size),
        TEST(test_target__takes_32_parameters_however_small),
        TEST(test_target__of_nothing_but_ampersands_is_refused),
        TEST(test_framing__refuses_what_could_be_smuggled),
        TEST(test_framing__refuses_folded_lines_bare_feeds_and_nuls),
        TEST(test_framing__the_library_refuses_the_rest),
        TEST(test_headers__have_a_largest_size),
        TEST(test_largest_head__of_target_and_headers_together_fits),
        TEST(test_method__head_is_a_get_without_its_body),
        TEST(test_pipelining__answers_in_order),
        TEST(test_body__is_collected_up_to_its_limit),
        TEST(test_body__beyond_its_limit_is_refused_unread),
        TEST(test_body__refusal_reaches_a_client_that_sends_on),
        TEST(test_body__malformed_chunks_end_the_connection),
        TEST(test_expect__is_answered_before_the_body),
        TEST(test_empty_lines__before_a_request_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
