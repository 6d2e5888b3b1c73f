/* Malformed heads and chunks at the door of a real controller: whatever the bytes, the answer is
 * a problem document that names what was wrong, and the connection ends behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"
#include "tests/lib/raw_http.h"

static int start_controller(void **state)
{
    struct cloud *cloud = cloud_new("heads");
    cloud_start_controller(cloud, NULL, NULL);
    *state = cloud;
    return 0;
}

static int stop_controller(void **state)
{
    cloud_free(*state);
    return 0;
}

static struct raw open_controller(struct cloud *cloud)
{
    autofree char *path = xasprintf("%s/data/api.sock", cloud->dir);
    return raw_open_unix(path);
}

/* Text with what matters made visible, for a failure's message. */
static char *shown(const char *bytes, size_t len)
{
    struct buf out = {0};
    for (size_t i = 0; i < len && i < 600; i++)
        if (bytes[i] >= ' ' && bytes[i] <= '~')
            buf_printf(&out, "%c", bytes[i]);
        else
            buf_printf(&out, "\\x%02x", (unsigned char)bytes[i]);
    buf_puts(&out, len > 600 ? "..." : "");
    return buf_take(&out);
}

/* ---- a problem document and nothing else ---- */

/* NULL, or what is wrong with a reply of status 400 or more. */
static const char *fault_of_problem(const struct raw_reply *reply, const char *code,
                                    const char *word)
{
    autofree char *type = raw_header(reply, "Content-Type");
    autofree char *id = raw_header(reply, "X-Request-Id");
    auto_json struct json *problem = NULL;
    auto_err struct err err = {0};
    int64_t status = 0;
    if (!type || strcmp(type, "application/problem+json") != 0)
        return "its Content-Type is not application/problem+json";
    if (reply->body.len == 0 || json_parse(reply->body.data, reply->body.len, &problem, &err))
        return "its body is not JSON";
    if (!json_i64(json_get(problem, "status"), &status) || status != reply->status)
        return "its status is another than the document's";
    const char *its_id = json_str(json_get(problem, "request_id"));
    if (!its_id || !id || strcmp(its_id, id) != 0)
        return "it has no request id, or two";
    const char *its_code = json_str(json_get(problem, "code"));
    const char *detail = json_str(json_get(problem, "detail"));
    if (!its_code || !detail || !json_str(json_get(problem, "title")) ||
        !json_str(json_get(problem, "type")))
        return "it lacks type, title, code or detail";
    if (code && strcmp(code, its_code) != 0)
        return "its code is another";
    return word && !strcasestr(detail, word) ? "its detail does not name what was wrong" : NULL;
}

static const char *fault_of_refusal(struct raw *raw, const struct raw_reply *reply, int status,
                                    const char *code, const char *word)
{
    char byte;
    if (reply->status != status)
        return "its status is another";
    autofree char *connection = raw_header(reply, "Connection");
    if (!connection || strcmp(connection, "close") != 0)
        return "it does not say Connection: close";
    const char *fault = fault_of_problem(reply, code, word);
    if (fault)
        return fault;
    if (raw->in.len || raw_read_some(raw, &byte, 1))
        return "more bytes follow";
    return raw_ends(raw) ? NULL : "the connection stays open";
}

static void expect_refusal(struct cloud *cloud, const char *request, size_t len, int status,
                           const char *code, const char *word)
{
    auto_raw struct raw raw = open_controller(cloud);
    auto_raw_reply struct raw_reply reply = {0};
    raw_send(&raw, request, len);
    raw_read(&raw, &reply);
    const char *fault = fault_of_refusal(&raw, &reply, status, code, word);
    if (!fault)
        return;
    autofree char *sent = shown(request, len);
    cloud_fail("%s\n# wanted %d %s naming \"%s\"; %s:\n# %s%s", sent, status, code, word, fault,
               reply.head.len ? reply.head.data : "(nothing came)",
               reply.body.len ? reply.body.data : "");
}

struct head_case {
    const char *text;
    int status;
    const char *code, *word;
};

static void expect_all(struct cloud *cloud, const char *before, const struct head_case *cases,
                       size_t count, const char *after)
{
    for (size_t i = 0; i < count; i++) {
        autofree char *request = xasprintf("%s%s%s", before, cases[i].text, after);
        expect_refusal(cloud, request, strlen(request), cases[i].status, cases[i].code,
                       cases[i].word);
    }
}

/* ---- each part of a head ---- */

static void test_request_line__that_cannot_be_read_is_named(void **state)
{
    static const struct head_case cases[] = {
        {"GARBAGE", 400, "invalid_request", "request line"},
        {"G", 400, "invalid_request", "request line"},
        {" ", 400, "invalid_request", "request line"},
        {"GET ", 400, "invalid_request", "request line"},
        {"GET /v1/healthz", 400, "invalid_request", "request line"},
        {"GET /v1/healthz ", 400, "invalid_request", "request line"},
        {" GET /v1/healthz HTTP/1.1", 400, "invalid_request", "request line"},
        {"GET  /v1/healthz HTTP/1.1", 400, "invalid_request", "request line"},
        {"GET /v1/healthz  HTTP/1.1", 400, "invalid_request", "path"},
        {"GET /v1 /healthz HTTP/1.1", 400, "invalid_request", "path"},
        {"GET /v1/healthz HTTP/1.1 ", 400, "invalid_request", "request line"},
        {"GET /v1/healthz HTTP/1.1 x", 400, "invalid_request", "request line"},
        {"GET\t/v1/healthz\tHTTP/1.1", 400, "invalid_request", "request line"},
        {"G(ET /v1/healthz HTTP/1.1", 400, "invalid_request", "request line"},
        {"G\x01T /v1/healthz HTTP/1.1", 400, "invalid_request", "request line"},
        {"G\xC3\xA4T /v1/healthz HTTP/1.1", 400, "invalid_request", "request line"},
        {"\x16\x03\x01\x02", 400, "invalid_request", "request line"},
    };
    expect_all(*state, "", cases, ARRAY_SIZE(cases), "\r\nHost: x\r\n\r\n");
}

static void test_http_version__that_is_bad_or_not_supported_is_named(void **state)
{
    static const struct head_case cases[] = {
        {"HTTP", 400, "invalid_request", "version"},
        {"HTTP/", 400, "invalid_request", "version"},
        {"HTTP/1", 400, "invalid_request", "version"},
        {"HTTP/1.", 400, "invalid_request", "version"},
        {"HTTP/1.10", 400, "invalid_request", "version"},
        {"HTTP/11.1", 400, "invalid_request", "version"},
        {"HTTP/x.y", 400, "invalid_request", "version"},
        {"http/1.1", 400, "invalid_request", "version"},
        {"FTP/1.1", 400, "invalid_request", "version"},
        {"HTTP/-1.1", 400, "invalid_request", "version"},
        {"HTTP/0.9", 505, "http_version_not_supported", "version"},
        {"HTTP/2.0", 505, "http_version_not_supported", "version"},
        {"HTTP/9.9", 505, "http_version_not_supported", "version"},
    };
    static const struct head_case http2[] = {
        {"PRI * HTTP/2.0", 505, "http_version_not_supported", "version"}};
    expect_all(*state, "GET /v1/healthz ", cases, ARRAY_SIZE(cases), "\r\nHost: x\r\n\r\n");
    expect_all(*state, "", http2, ARRAY_SIZE(http2), "\r\n\r\nSM\r\n\r\n");
}

static void test_header_line__that_cannot_be_read_is_named(void **state)
{
    static const struct head_case cases[] = {
        {"Host: x\r\nno colon", 400, "invalid_request", "colon"},
        {"no colon\r\nHost: x", 400, "invalid_request", "colon"},
        {"Host: x\r\nContent-Length: 3\r\nno colon", 400, "invalid_request", "colon"},
        {"Host: x\r\n: nameless", 400, "invalid_request", "header"},
        {"Host: x\r\nNa me: x", 400, "invalid_request", "header name"},
        {"Host: x\r\nName : x", 400, "invalid_request", "header name"},
        {"Host: x\r\nNa(me: x", 400, "invalid_request", "header name"},
        {"Host: x\r\nA: b\r\n folded", 400, "invalid_request", "folded"},
        {" Host: x", 400, "invalid_request", "header"},
        {"Host: x\nA: b", 400, "invalid_request", "line feed"},
        {"Host: x\r\nA: b\rc", 400, "invalid_request", "carriage return"},
        {"A: b", 400, "invalid_request", "Host"},
        {"Host: x\r\nHost: x", 400, "invalid_request", "Host"},
        {"Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b", 400, "invalid_request",
         "Authorization"},
    };
    expect_all(*state, "GET /v1/healthz HTTP/1.1\r\n", cases, ARRAY_SIZE(cases), "\r\n\r\n");
    static const char nul[] = "GET /v1/healthz HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n";
    expect_refusal(*state, nul, sizeof(nul) - 1, 400, "invalid_request", "NUL");
}

static void test_content_length__that_is_bad_or_out_of_range_is_named(void **state)
{
    static const struct head_case cases[] = {
        {"", 400, "invalid_request", "Content-Length"},
        {"x", 400, "invalid_request", "Content-Length"},
        {"3x", 400, "invalid_request", "Content-Length"},
        {"-1", 400, "invalid_request", "Content-Length"},
        {"+1", 400, "invalid_request", "Content-Length"},
        {"0x10", 400, "invalid_request", "Content-Length"},
        {"1 0", 400, "invalid_request", "Content-Length"},
        {"1.0", 400, "invalid_request", "Content-Length"},
        {"3,3", 400, "invalid_request", "Content-Length"},
        {"9223372036854775808", 413, "too_large", "Content-Length"},
        {"18446744073709551615", 413, "too_large", "Content-Length"},
        {"18446744073709551616", 413, "too_large", "Content-Length"},
        {"99999999999999999999999999999999", 413, "too_large", "Content-Length"},
        {"3\r\nContent-Length: 4", 400, "invalid_request", "Content-Length"},
        {"3\r\nTransfer-Encoding: chunked", 400, "invalid_request", "Content-Length"},
    };
    expect_all(*state, "POST /v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: ", cases,
               ARRAY_SIZE(cases), "\r\n\r\n{}");
}

static void test_chunks__that_cannot_be_read_are_named(void **state)
{
    struct cloud *cloud = *state;
    static const struct head_case cases[] = {
        {"zz\r\n", 400, "invalid_request", "chunk"},
        {"-1\r\n", 400, "invalid_request", "chunk"},
        {"0x3\r\nabc\r\n", 400, "invalid_request", "chunk"},
        {" 3\r\nabc\r\n", 400, "invalid_request", "chunk"},
        {"\r\n", 400, "invalid_request", "chunk"},
        {";x=y\r\n", 400, "invalid_request", "chunk"},
        {"3\r\nabcd\r\n", 400, "invalid_request", "chunk"},
        {"3\r\nabc3\r\nabc\r\n", 400, "invalid_request", "chunk"},
        {"3\r\nabc\r\nzz\r\n", 400, "invalid_request", "chunk"},
        {"10000000000000000\r\n", 413, "too_large", "chunk"},
        {"fffffffffffffffffffffffffffffffff\r\n", 413, "too_large", "chunk"},
        {"2\r\n{}\r\n0\r\nno colon\r\n\r\n", 400, "invalid_request", "trailer"},
    };
    autofree char *head =
        xasprintf("POST /v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                  "%s\r\nTransfer-Encoding: chunked\r\n\r\n",
                  cloud->token);
    expect_all(cloud, head, cases, ARRAY_SIZE(cases), "");
    autofree char *extension = xasprintf("%s3;%030000d\r\nabc\r\n0\r\n\r\n", head, 0);
    expect_refusal(cloud, extension, strlen(extension), 400, "invalid_request", "chunk");
    autofree char *trailer = xasprintf("%s2\r\n{}\r\n0\r\nA: %030000d\r\n\r\n", head, 0);
    expect_refusal(cloud, trailer, strlen(trailer), 431, "headers_too_large", "trailer");
    autofree char *none = xasprintf("POST /v1/projects HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                    "chunked, gzip\r\n\r\n");
    expect_refusal(cloud, none, strlen(none), 400, "invalid_request", "Transfer-Encoding");
}

static char *many(const char *before, const char *each, size_t count, const char *after)
{
    struct buf out = {0};
    buf_puts(&out, before);
    for (size_t i = 0; i < count; i++)
        buf_puts(&out, each);
    buf_puts(&out, after);
    return buf_take(&out);
}

static void expect_many(struct cloud *cloud, const char *before, const char *each, size_t count,
                        const char *after, int status, const char *code, const char *word)
{
    autofree char *request = many(before, each, count, after);
    expect_refusal(cloud, request, strlen(request), status, code, word);
}

static void test_size__of_a_head_beyond_its_bound_is_named(void **state)
{
    struct cloud *cloud = *state;
    static const char get[] = "GET /v1/healthz HTTP/1.1\r\nHost: x\r\n";
    static const char end[] = " HTTP/1.1\r\nHost: x\r\n\r\n";
    static const size_t sizes[] = {26000, 40000, 300000};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_t n = sizes[i];
        expect_many(cloud, "GET /", "a", n, end, 414, "uri_too_long", "target");
        expect_many(cloud, "GET /a?", "b=", n / 2, end, 414, "uri_too_long", "target");
        expect_many(cloud, get, "A: b\r\n", n / 6, "\r\n", 431, "headers_too_large", "header");
        autofree char *one = many("A: ", "b", n, "\r\n");
        expect_many(cloud, get, one, 1, "\r\n", 431, "headers_too_large", "header");
    }
    expect_many(cloud, "", "A", 30000, "\r\n\r\n", 414, "uri_too_long", "request line");
    expect_many(cloud, "GET ", " ", 30000, end, 414, "uri_too_long", "request line");
    /* The first fault is the one that is named. */
    autofree char *target = many("GET /", "a", 5000, " HTTP/1.1\r\n");
    expect_many(cloud, target, "A: b\r\n", 5000, "\r\n", 414, "uri_too_long", "target");
}

static void test_cookies__that_exhaust_the_librarys_memory_are_refused(void **state)
{
    struct cloud *cloud = *state;
    static const char get[] = "GET /v1/healthz HTTP/1.1\r\nHost: x\r\nCookie: ";
    expect_many(cloud, get, "a;", 500, "\r\n\r\n", 431, "headers_too_large", "header");
    expect_many(cloud, get, "a;", 500, "\r\nContent-Length: x\r\n\r\n", 431, "headers_too_large",
                "header");
    expect_many(cloud, get, "a;", 500, "\r\nContent-Length: 5\r\n\r\n", 431, "headers_too_large",
                "header");
}

/* ---- whatever the bytes ---- */

enum { MUTATIONS = 2000 };

struct random {
    uint64_t state;
};

static uint64_t random_below(struct random *random, uint64_t bound)
{
    uint64_t x = random->state += 0x9E3779B97F4A7C15U;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
    x = (x ^ x >> 27) * 0x94D049BB133111EBU;
    return (x ^ x >> 31) % bound;
}

/* One edit: a byte changed, some taken out, some said twice, or something put in. */
static void mutate(struct random *random, struct buf *text)
{
    static const char *const pieces[] = {"\r\n",
                                         "\n",
                                         "\r",
                                         " ",
                                         "\t",
                                         ":",
                                         ";",
                                         ",",
                                         "%",
                                         "?",
                                         "&",
                                         "=",
                                         "/",
                                         "\"",
                                         "0",
                                         "9",
                                         "-",
                                         "\x7f",
                                         "\xff",
                                         "HTTP",
                                         "\v",
                                         "\r\n ",
                                         "\x1b",
                                         "chunked",
                                         "2.0",
                                         "Content-Length: 9\r\n",
                                         "Host: y\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "99999999999999999999"};
    size_t at = random_below(random, text->len), rest = text->len - at;
    size_t span = 1 + random_below(random, rest < 12 ? rest : 12);
    struct buf out = {0};
    buf_add(&out, text->data, at);
    switch (random_below(random, 5)) {
    case 0: {
        char byte = (char)random_below(random, 256);
        buf_add(&out, &byte, 1);
        buf_add(&out, text->data + at + 1, rest - 1);
        break;
    }
    case 1:
        buf_add(&out, text->data + at + span, rest - span);
        break;
    case 2:
        buf_add(&out, text->data + at, span);
        buf_add(&out, text->data + at, rest);
        break;
    default:
        buf_puts(&out, pieces[random_below(random, ARRAY_SIZE(pieces))]);
        buf_add(&out, text->data + at, rest);
        break;
    }
    buf_release(text);
    *text = out;
}

/* Whether these bytes hold a whole request for certain: a head that ended, and no body. */
static bool surely_whole(const struct buf *text)
{
    const char *at = text->data, *end = at + text->len;
    if (memchr(at, '\0', text->len) || strcasestr(at, "length") || strcasestr(at, "encoding"))
        return false;
    while (at < end && (*at == '\r' || *at == '\n'))
        at++;
    return strstr(at, "\n\r\n") || strstr(at, "\n\n");
}

static bool readable(struct raw *raw, int wait_ms)
{
    struct pollfd fd = {.fd = raw->fd, .events = POLLIN};
    return raw->in.len || poll(&fd, 1, wait_ms) == 1;
}

static const char *fault_of_answer(const struct raw_reply *reply)
{
    if (reply->status < 200 || reply->status > 599)
        return "it has no status of HTTP";
    return reply->status >= 400 ? fault_of_problem(reply, NULL, NULL) : NULL;
}

/* Sends, and reads until the server closes; NULL, or what is wrong with an answer. Fills `reply`
 * with the last one. Where the server may rightly wait for more, its silence is taken for that. */
static const char *converse(struct cloud *cloud, const struct buf *text, struct raw_reply *reply,
                            int *ret_answers)
{
    auto_raw struct raw raw = open_controller(cloud);
    bool whole = surely_whole(text);
    *ret_answers = 0;
    raw_send(&raw, text->data, text->len);
    if (!whole && !readable(&raw, 100))
        return NULL;
    for (;; ++*ret_answers) {
        raw_read(&raw, reply);
        if (reply->status == 100)
            raw_read(&raw, reply);
        if (reply->status == 0)
            break;
        const char *fault = fault_of_answer(reply);
        if (fault)
            return fault;
        shutdown(raw.fd, SHUT_WR);
    }
    if (raw.in.len)
        return "what follows is no reply";
    if (!raw_ends(&raw))
        return "the connection hangs";
    return whole && *ret_answers == 0 ? "a whole request had no answer" : NULL;
}

static void test_mutated_heads__get_an_answer_or_a_problem(void **state)
{
    struct cloud *cloud = *state;
    static const char *const heads[] = {
        "GET /v1/healthz HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
        "GET /v1/instances?limit=2&label=a%3Db HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        "%s\r\nUser-Agent: t\r\n\r\n",
        "POST /v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: "
        "application/json\r\nContent-Length: 2\r\n\r\n{}",
        "POST /v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        "%s\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "DELETE /v1/projects/none HTTP/1.0\r\nAuthorization: Bearer %s\r\nConnection: "
        "close\r\n\r\n",
    };
    struct random random = {.state = 20260722};
    int silent = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        auto_buf struct buf text = {0};
        auto_raw_reply struct raw_reply reply = {0};
        int answers = 0;
        /* The token stands in a few bytes so that edits fall elsewhere as well. */
        const char *head = heads[random_below(&random, ARRAY_SIZE(heads))];
        const char *slot = strstr(head, "%s");
        buf_add(&text, head, slot ? (size_t)(slot - head) : strlen(head));
        if (slot)
            buf_printf(&text, "%s%s", random_below(&random, 2) ? cloud->token : "t", slot + 2);
        for (uint64_t n = 1 + random_below(&random, 3); n; n--)
            mutate(&random, &text);
        const char *fault = converse(cloud, &text, &reply, &answers);
        silent += answers == 0;
        if (!fault)
            continue;
        autofree char *sent = shown(text.data, text.len);
        cloud_fail("number %d: %s\n# %s:\n# %s%s", i, sent, fault,
                   reply.head.len ? reply.head.data : "(nothing came)",
                   reply.body.len ? reply.body.data : "");
    }
    print_message("# %d of %d were cut short and got no answer\n", silent, MUTATIONS);
    assert_true(silent < MUTATIONS / 10);
    struct answer auto_answer_json after = cloud_call(cloud, "GET", "/v1/healthz", NULL);
    assert_int_equal(after.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_line__that_cannot_be_read_is_named),
        cmocka_unit_test(test_http_version__that_is_bad_or_not_supported_is_named),
        cmocka_unit_test(test_header_line__that_cannot_be_read_is_named),
        cmocka_unit_test(test_content_length__that_is_bad_or_out_of_range_is_named),
        cmocka_unit_test(test_chunks__that_cannot_be_read_are_named),
        cmocka_unit_test(test_size__of_a_head_beyond_its_bound_is_named),
        cmocka_unit_test(test_cookies__that_exhaust_the_librarys_memory_are_refused),
        cmocka_unit_test(test_mutated_heads__get_an_answer_or_a_problem),
    };
    return cmocka_run_group_tests(tests, start_controller, stop_controller);
}
