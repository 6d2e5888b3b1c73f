/* Bytes that two readers could read in two ways: each is refused and the connection ends, in
 * whatever pieces they come; and what is in order passes in any pieces. */
#include "tests/unit/http_site.h"

#define HEAD_END "Host: x\r\n\r\n"
#define CHUNKED "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HEAD_END
#define GET_B "GET /b HTTP/1.1\r\n" HEAD_END

struct bytes {
    const char *data;
    size_t len;
    const char *word; /* of the refusal's detail */
};
/* Texts with a NUL in them. */
#define BYTES(text, word)            \
    {                                \
        text, sizeof(text) - 1, word \
    }

static struct site site;

static void echo_or_turn(struct site *at, struct http_request *req)
{
    if (!site_turned(req))
        site_echo(at, req);
}

static int open_site(void **state)
{
    (void)state;
    site = (struct site){.handle = echo_or_turn};
    site_open(&site);
    return 0;
}

static int close_site(void **state)
{
    (void)state;
    site_close(&site);
    return 0;
}

/* In pieces of `piece` bytes, each of which the server has seen before the next is sent. */
static void send_pieces(struct raw *raw, const char *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        raw_send(raw, data + at, len - at < piece ? len - at : piece);
        if (at + piece < len)
            site_turn(&site);
    }
}

static char *shown(const struct bytes *bytes)
{
    struct buf out = {0};
    for (size_t i = 0; i < bytes->len; i++)
        if (bytes->data[i] >= ' ' && bytes->data[i] <= '~')
            buf_putc(&out, bytes->data[i]);
        else
            buf_printf(&out, "\\x%02x", (unsigned char)bytes->data[i]);
    return buf_take(&out);
}

static void expect_400(struct raw *raw, const struct bytes *sent)
{
    auto_raw_reply struct raw_reply reply = {0};
    autofree char *text = shown(sent);
    char byte;
    raw_read(raw, &reply);
    if (reply.status != 400 || !strstr(reply.body.data, sent->word))
        fail_msg("%s\n# wanted 400 with \"%s\", got %s%s", text, sent->word,
                 reply.head.data ? reply.head.data : "(nothing)",
                 reply.body.data ? reply.body.data : "");
    autofree char *connection = raw_header(&reply, "Connection");
    assert_string_equal(connection, "close");
    if (raw->in.len || raw_read_some(raw, &byte, 1))
        fail_msg("%s\n# more than one answer", text);
    assert_true(raw_ends(raw));
}

/* Each byte by byte, and all at once. */
static void expect_refusals(const struct bytes *cases, size_t count)
{
    for (size_t i = 0; i < 2 * count; i++) {
        const struct bytes *bytes = &cases[i / 2];
        auto_raw struct raw raw = raw_open(site.port);
        send_pieces(&raw, bytes->data, bytes->len, i % 2 ? bytes->len : 1);
        expect_400(&raw, bytes);
    }
}

static void test_chunks__framed_in_any_way_but_one_are_refused(void **state)
{
    (void)state;
    static const struct bytes cases[] = {
        BYTES(CHUNKED "3\nabc\r\n0\r\n\r\n" GET_B, "line feed"),
        BYTES(CHUNKED "3\r\nabc\n0\r\n\r\n" GET_B, "line feed"),
        BYTES(CHUNKED "3\r\nabc\r\n0\n\r\n" GET_B, "line feed"),
        BYTES(CHUNKED "3\r\nabc\r\n0\r\n\n" GET_B, "line feed"),
        BYTES(CHUNKED "3;a\nb\r\nabc\r\n0\r\n\r\n" GET_B, "line feed"),
        BYTES(CHUNKED "3;a\rb\r\nabc\r\n0\r\n\r\n" GET_B, "carriage return"),
        BYTES(CHUNKED "3;a=\x01\r\nabc\r\n0\r\n\r\n" GET_B, "control"),
        BYTES(CHUNKED "3;a\0b\r\nabc\r\n0\r\n\r\n" GET_B, "NUL"),
        BYTES(CHUNKED "3\0\r\nabc\r\n0\r\n\r\n" GET_B, "chunk"),
        BYTES(CHUNKED "3 \r\nabc\r\n0\r\n\r\n" GET_B, "chunk"),
        BYTES(CHUNKED "3\r\nabc\r\n0\r\nA: b\n\r\n" GET_B, "trailer"),
        BYTES(CHUNKED "3\r\nabc\r\n0\r\nA: b\x7f\r\n\r\n" GET_B, "trailer"),
        BYTES(CHUNKED "3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n" GET_B, "trailer"),
        BYTES(CHUNKED "3\r\nabc\r\n0\r\n\0\n" GET_B, "trailer"),
        BYTES(CHUNKED "3\r\nabc\r\n0\r\n\0A: b\r\n\r\n" GET_B, "trailer"),
    };
    expect_refusals(cases, ARRAY_SIZE(cases));
    assert_int_equal(atomic_load(&site.last_status), 400);
}

static void test_head__with_a_nul_or_a_control_is_refused(void **state)
{
    (void)state;
    static const struct bytes cases[] = {
        BYTES("\0\r\nGET /a HTTP/1.1\r\n" HEAD_END, "NUL"),
        BYTES("\0GET /x HTTP/1.1\r\nGET /a HTTP/1.1\r\n" HEAD_END, "NUL"),
        BYTES("\nGET /a HTTP/1.1\r\n" HEAD_END, "line feed"),
        BYTES("GET /a HTTP/1.1\0\nHost: x\r\n\r\n", "NUL"),
        BYTES("GET /a HTTP/1.1\r\nHost: x\0\nA: b\r\n\r\n", "NUL"),
        BYTES("GET /a HTTP/1.1\r\nHost: x\r\n\0\n" GET_B, "NUL"),
        BYTES("GET /a HTTP/1.1\r\nHost: x\r\n\0A: b\r\n\r\n", "NUL"),
        BYTES("GET /a HTTP/1.1\r\nHost: x\r\n\n" GET_B, "line feed"),
        BYTES("GET /a HTTP/1.1\r\nA: b\x01"
              "c\r\n" HEAD_END,
              "control"),
        BYTES("GET /a HTTP/1.1\r\nA: b\x1b[2J\r\n" HEAD_END, "control"),
        BYTES("GET /a HTTP/1.1\r\nA: b\x7f\r\n" HEAD_END, "control"),
        BYTES("GET /a HTTP/1.1\r\nA: b\vc\r\n" HEAD_END, "control"),
        BYTES("GET /a HTTP/1.1\r\nA: b\r\r\n" HEAD_END, "carriage return"),
        BYTES("\r\n\r\n\r\n\r\n\r\nGET /a HTTP/1.1\r\n" HEAD_END, "empty lines"),
    };
    expect_refusals(cases, ARRAY_SIZE(cases));
}

static void test_host__is_a_host_and_nothing_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "x/path", "user@x", "user:pw@x", "x?a", "x#a", "x y",      "a, b", "x:80:80",
        "x:8a",   "x:-1",   "[::1",      "[]",  "::1", "\xC3\xA4", "x\\y", "http://x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        auto_raw struct raw raw = raw_open(site.port);
        autofree char *text = xasprintf("GET /a HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
        raw_puts(&raw, text);
        expect_400(&raw, &(struct bytes){text, strlen(text), "Host"});
    }
    static const char *const good[] = {"x", "x:80", "a.b-c_d~:8080", "127.0.0.1:1", "[::1]:80",
                                       "",  "x "};
    auto_raw struct raw raw = raw_open(site.port);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        auto_raw_reply struct raw_reply reply = {0};
        autofree char *text = xasprintf("GET /a HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        raw_puts(&raw, text);
        raw_read(&raw, &reply);
        assert_int_equal(reply.status, 200);
    }
}

static void test_target__with_a_user_in_it_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"http://user@x/a", "http://u:p@x/a", "http:///a",
                                      "http://x:y/a"};
    auto_raw struct raw raw = raw_open(site.port);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        auto_raw_reply struct raw_reply reply = {0};
        autofree char *text = xasprintf("GET %s HTTP/1.1\r\n" HEAD_END, bad[i]);
        raw_puts(&raw, text);
        raw_read(&raw, &reply);
        assert_int_equal(reply.status, 400);
        assert_non_null(strstr(reply.body.data, "names no host"));
    }
}

/* ---- what is ahead ---- */

static void test_fault__of_a_pipelined_request_comes_after_the_answers_before(void **state)
{
    (void)state;
    static const struct bytes cases[] = {
        BYTES("\0\r\n", "NUL"),
        BYTES("\0GET /c HTTP/1.1\r\n" HEAD_END, "NUL"),
        BYTES("GET /c HTTP/1.1\nHost: x\n\n", "line feed"),
        BYTES("GET /c HTTP/1.1\r\nA: \x01\r\n" HEAD_END, "control"),
        BYTES(CHUNKED "1\na\r\n0\r\n\r\n", "line feed"),
    };
    static const struct bytes before[] = {
        BYTES(GET_B, ""),
        BYTES("PUT /b HTTP/1.1\r\nContent-Length: 2\r\n" HEAD_END "\0\n", ""),
        BYTES(CHUNKED "2\r\n\n\n\r\n0\r\nA: b\r\n\r\n", ""),
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases) * ARRAY_SIZE(before); i++) {
        const struct bytes *good = &before[i % ARRAY_SIZE(before)];
        const struct bytes *fault = &cases[i / ARRAY_SIZE(before)];
        auto_buf struct buf all = {0};
        auto_raw_reply struct raw_reply reply = {0};
        auto_raw struct raw raw = raw_open(site.port);
        buf_add(&all, GET_B, sizeof(GET_B) - 1);
        buf_add(&all, good->data, good->len);
        buf_add(&all, fault->data, fault->len);
        raw_send(&raw, all.data, all.len);
        for (int answers = 0; answers < 2; answers++) {
            raw_read(&raw, &reply);
            assert_int_equal(reply.status, 200);
        }
        expect_400(&raw, fault);
    }
}

static void test_good_requests__pass_however_they_are_cut(void **state)
{
    (void)state;
    static const char all[] =
        "\r\nPUT /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nA:\t\xC3\xA4 \r\n" HEAD_END
        "2\r\n\r\n\r\nA;x=\"y\";z\r\n0123456789\r\n0\r\nB: c\r\n\r\n"
        "PUT /2 HTTP/1.1\r\nContent-Length: 4\r\n" HEAD_END "\n\0\r\n"
        "GET /3 HTTP/1.1\r\n" HEAD_END;
    static const char *const bodies[] = {"PUT /1 |\r\n0123456789", "PUT /2 |\n", "GET /3 |"};
    for (size_t cut = 1; cut < sizeof(all) - 1; cut++) {
        auto_raw struct raw raw = raw_open(site.port);
        auto_raw_reply struct raw_reply reply = {0};
        raw_send(&raw, all, cut);
        site_turn(&site);
        raw_send(&raw, all + cut, sizeof(all) - 1 - cut);
        for (int i = 0; i < 3; i++) {
            raw_read(&raw, &reply);
            assert_int_equal(reply.status, 200);
            assert_string_equal(reply.body.data, bodies[i]);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_site, close_site)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_chunks__framed_in_any_way_but_one_are_refused),
        TEST(test_head__with_a_nul_or_a_control_is_refused),
        TEST(test_host__is_a_host_and_nothing_else),
        TEST(test_target__with_a_user_in_it_is_refused),
        TEST(test_fault__of_a_pipelined_request_comes_after_the_answers_before),
        TEST(test_good_requests__pass_however_they_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
