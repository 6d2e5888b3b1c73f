/* Bad input at the door of a real controller: each gets a problem document that names the
 * field and the limit, and nothing is half-made. Limits are met exactly at their edge, and one
 * past it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/buf.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"

static int start_controller(void **state)
{
    struct cloud *cloud = cloud_new("input");
    cloud_start_controller(cloud, NULL, NULL);
    *state = cloud;
    return 0;
}

static int stop_controller(void **state)
{
    cloud_free(*state);
    return 0;
}

/* ---- raw bytes in, first answer out ---- */

static int connect_raw(struct cloud *cloud)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 20};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/data/api.sock", cloud->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

/* The whole of what the server says until it closes or the answer is complete. */
static char *exchange(struct cloud *cloud, const void *bytes, size_t len)
{
    struct buf got = {0};
    int fd = connect_raw(cloud);
    char chunk[4096];
    ssize_t n;
    if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
        print_message("# the server closed before it had all\n");
    while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
        buf_add(&got, chunk, (size_t)n);
        const char *end = strstr(got.data, "\r\n\r\n");
        const char *length = strstr(got.data, "Content-Length: ");
        if (end && length && length < end &&
            got.len >= (size_t)(end - got.data) + 4 + strtoul(length + 16, NULL, 10))
            break;
    }
    close(fd);
    return buf_take(&got);
}

static void assert_raw(struct cloud *cloud, const char *request, size_t len, int status)
{
    autofree char *answer = exchange(cloud, request, len);
    autofree char *want = xasprintf("HTTP/1.1 %d ", status);
    if (strncmp(answer, want, strlen(want)) != 0)
        cloud_fail("wanted %d for %.*s..., got: %.300s", status, (int)(len < 120 ? len : 120),
                   request, answer);
    if (status >= 400 && !strstr(answer, "application/problem+json"))
        cloud_fail("no problem document for %.120s: %s", request, answer);
}

static void assert_head(struct cloud *cloud, const char *first_lines, int status)
{
    autofree char *request =
        xasprintf("%s\r\nAuthorization: Bearer %s\r\n\r\n", first_lines, cloud->token);
    assert_raw(cloud, request, strlen(request), status);
}

static void test_framing__ambiguous_requests_are_refused(void **state)
{
    struct cloud *cloud = *state;
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4", 400},
        {"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3", 400},
        {"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
         400},
        {"POST /v1/keys HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip", 400},
        {"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length : 3", 400},
        {"GET /v1/keys%00x HTTP/1.1\r\nHost: x", 400},
        {"GET /v1/keys/a%2fb HTTP/1.1\r\nHost: x", 400},
        {"GET /v1/keys/../tokens HTTP/1.1\r\nHost: x", 400},
        {"GET /v1//keys HTTP/1.1\r\nHost: x", 400},
        {"GET /v1/keys/%ff%fe HTTP/1.1\r\nHost: x", 400},
        {"GET /v1/keys/%zz HTTP/1.1\r\nHost: x", 400},
        {"GET /v1/keys?limit=1&limit=2 HTTP/1.1\r\nHost: x", 400},
        {"BREW /v1/keys HTTP/1.1\r\nHost: x", 405},
        {"DELETE /v1/keys HTTP/1.1\r\nHost: x", 405},
        {"GET /v1/nothing HTTP/1.1\r\nHost: x", 404},
        {"GET /v1/keys HTTP/1.1\r\nHost: x", 200},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_head(cloud, cases[i].head, cases[i].status);
}

static char *repeated(char c, size_t count)
{
    char *text = xmalloc(count + 1);
    memset(text, c, count);
    text[count] = '\0';
    return text;
}

static void test_framing__long_targets_and_huge_headers_are_refused(void **state)
{
    struct cloud *cloud = *state;
    autofree char *path = repeated('a', LIMIT_URI_BYTES);
    autofree char *target = xasprintf("GET /v1/%s HTTP/1.1\r\nHost: x", path);
    assert_head(cloud, target, 414);
    autofree char *value = repeated('b', LIMIT_HEADERS_BYTES);
    autofree char *headers = xasprintf("GET /v1/keys HTTP/1.1\r\nHost: x\r\nX-Big: %s", value);
    assert_head(cloud, headers, 431);
}

static void test_framing__a_body_past_its_limit_is_refused(void **state)
{
    struct cloud *cloud = *state;
    autofree char *head = xasprintf("POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                    "application/json\r\nContent-Length: %d",
                                    LIMIT_BODY_BYTES + 1);
    assert_head(cloud, head, 413);
}

/* ---- bodies where there are none, and none where there are ---- */

static void test_body__of_a_get_or_a_delete_is_refused_however_framed(void **state)
{
    struct cloud *cloud = *state;
    static const char *const methods[] = {"GET", "HEAD", "DELETE"};
    static const char *const bodies[] = {"Content-Length: 2\r\n\r\n{}",
                                         "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
                                         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(methods) * ARRAY_SIZE(bodies); i++) {
        const char *method = methods[i / ARRAY_SIZE(bodies)];
        autofree char *request =
            xasprintf("%s /v1/keys/none HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s",
                      method, cloud->token, bodies[i % ARRAY_SIZE(bodies)]);
        assert_raw(cloud, request, strlen(request), 400);
    }
    assert_head(cloud, "GET /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 0", 200);
}

static void test_patch__without_a_body_is_refused(void **state)
{
    struct cloud *cloud = *state;
    struct answer auto_answer_json made =
        cloud_call(cloud, "POST", "/v1/projects", "{\"name\":\"patched\"}");
    assert_int_equal(made.status, 201);
    static const char *const nouns[] = {"instances", "images", "keys", "projects", "nodes"};
    for (size_t i = 0; i < ARRAY_SIZE(nouns); i++) {
        autofree char *path = xasprintf("/v1/%s/patched", nouns[i]);
        struct answer auto_answer_json got = cloud_call_as(cloud, NULL, NULL, "PATCH", path, NULL);
        if (got.status != 400 || !strstr(answer_str(&got, "detail"), "PATCH needs a body"))
            cloud_fail("PATCH %s: %d %s", path, got.status, got.text);
        autofree char *chunked =
            xasprintf("PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                      path, cloud->token);
        assert_raw(cloud, chunked, strlen(chunked), 400);
    }
}

/* ---- JSON ---- */

static void assert_post(struct cloud *cloud, const char *path, const char *body, int status,
                        const char *field, const char *words)
{
    struct answer auto_answer_json got = cloud_call_as(cloud, NULL, NULL, "POST", path, body);
    const char *named = answer_str(&got, "field");
    if (got.status != status || (field && (!named || strcmp(named, field) != 0)) ||
        (words && (!answer_str(&got, "detail") || !strstr(answer_str(&got, "detail"), words))))
        cloud_fail("%s %.200s\n# wanted %d, field %s, \"%s\"\n# got %d %s", path, body, status,
                   field ? field : "-", words ? words : "", got.status, got.text);
}

static void test_json__what_rfc_8259_calls_invalid_is_refused(void **state)
{
    static const char *const texts[] = {
        "{",
        "{\"name\":}",
        "{\"name\":\"a\",}",
        "{'name':'a'}",
        "{name:1}",
        "[1,]",
        "{\"name\":\"a\"}{}",
        "{\"name\":01}",
        "{\"name\":1.}",
        "{\"name\":.5}",
        "{\"name\":+1}",
        "{\"name\":NaN}",
        "{\"name\":Infinity}",
        "// c\n{}",
        "{\"name\":\"\x01\"}",
        "{\"name\":\"\\x\"}",
        "{\"name\":\"\\u12\"}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"\xff\"}",
        "{\"name\":\"\xc0\xaf\"}",
        "\xef\xbb\xbf{}",
        "{\"name\":\"a\\u0000b\"}",
        "nul",
        "\"",
        "{\"name\":\"a\",\"n\\u0061me\":\"b\"}",
    };
    struct cloud *cloud = *state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_post(cloud, "/v1/projects", texts[i], 400, NULL, NULL);
    autofree char *deep = repeated('[', LIMIT_JSON_DEPTH + 1);
    assert_post(cloud, "/v1/projects", deep, 400, NULL, "deep");
}

static void test_json__wrong_types_and_unknown_fields_are_named(void **state)
{
    struct cloud *cloud = *state;
    assert_post(cloud, "/v1/projects", "[]", 400, NULL, "object");
    assert_post(cloud, "/v1/projects", "{}", 400, "/name", NULL);
    assert_post(cloud, "/v1/projects", "{\"name\":null}", 400, "/name", NULL);
    assert_post(cloud, "/v1/projects", "{\"name\":1}", 400, "/name", "string");
    assert_post(cloud, "/v1/projects", "{\"name\":\"a\",\"nmae\":\"b\"}", 400, "/nmae", NULL);
    assert_post(cloud, "/v1/projects", "{\"Name\":\"a\"}", 400, "/Name", NULL);
    assert_post(cloud, "/v1/flavors",
                "{\"name\":\"f\",\"vcpus\":\"1\",\"memory_mib\":512,\"disk_gib\":1}", 400, "/vcpus",
                NULL);
    assert_post(cloud, "/v1/flavors",
                "{\"name\":\"f\",\"vcpus\":1.5,\"memory_mib\":512,\"disk_gib\":1}", 400, "/vcpus",
                NULL);
}

static void post_flavor(struct cloud *cloud, long long vcpus, long long memory, long long disk,
                        const char *field)
{
    static int number;
    autofree char *body =
        xasprintf("{\"name\":\"edge%d\",\"vcpus\":%lld,\"memory_mib\":%lld,\"disk_gib\":%lld}",
                  ++number, vcpus, memory, disk);
    assert_post(cloud, "/v1/flavors", body, field ? 400 : 201, field, NULL);
}

static void test_limits__integers_at_and_past_their_range(void **state)
{
    struct cloud *cloud = *state;
    post_flavor(cloud, 1, LIMIT_MEMORY_MIB_MIN, 1, NULL);
    post_flavor(cloud, LIMIT_VCPUS, LIMIT_MEMORY_MIB, LIMIT_DISK_GIB, NULL);
    post_flavor(cloud, 0, 512, 1, "/vcpus");
    post_flavor(cloud, -1, 512, 1, "/vcpus");
    post_flavor(cloud, LIMIT_VCPUS + 1, 512, 1, "/vcpus");
    post_flavor(cloud, 1, LIMIT_MEMORY_MIB_MIN - 1, 1, "/memory_mib");
    post_flavor(cloud, 1, LIMIT_MEMORY_MIB + 1LL, 1, "/memory_mib");
    post_flavor(cloud, 1, 512, 0, "/disk_gib");
    post_flavor(cloud, 1, 512, LIMIT_DISK_GIB + 1, "/disk_gib");
    post_flavor(cloud, 9007199254740991LL, 512, 1, "/vcpus");
    post_flavor(cloud, 9007199254740993LL, 512, 1, "/vcpus");
}

static void test_limits__names_at_and_past_their_rule(void **state)
{
    struct cloud *cloud = *state;
    static const char *const bad[] = {"",    "-a",  "a-",  "A",
                                      "a_b", "a.b", "a b", "\\n",
                                      "é",   "a/b", "a%b", "0190a0b0-1111-7222-8333-444444444444"};
    autofree char *longest = repeated('n', LIMIT_NAME);
    autofree char *fits = xasprintf("{\"name\":\"%s\"}", longest);
    autofree char *past = xasprintf("{\"name\":\"%sn\"}", longest);
    assert_post(cloud, "/v1/projects", fits, 201, NULL, NULL);
    assert_post(cloud, "/v1/projects", past, 400, "/name", "63");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        autofree char *body = xasprintf("{\"name\":\"%s\"}", bad[i]);
        assert_post(cloud, "/v1/projects", body, 400, "/name", NULL);
    }
}

static void test_limits__user_data_and_labels_at_their_edge(void **state)
{
    struct cloud *cloud = *state;
    autofree char *most = repeated('u', LIMIT_USER_DATA);
    /* Nothing can be placed here, so what is accepted ends in a refusal by placement or by the
     * missing image: the point is which error comes. */
    autofree char *fits =
        xasprintf("{\"name\":\"u\",\"image\":\"none\",\"vcpus\":1,\"memory_mib\":128,"
                  "\"disk_gib\":1,\"user_data\":\"%s\"}",
                  most);
    autofree char *past =
        xasprintf("{\"name\":\"u\",\"image\":\"none\",\"vcpus\":1,\"memory_mib\":128,"
                  "\"disk_gib\":1,\"user_data\":\"%su\"}",
                  most);
    assert_post(cloud, "/v1/instances", fits, 404, NULL, "none");
    assert_post(cloud, "/v1/instances", past, 400, "/user_data", "65536");
    autofree char *value = repeated('v', LIMIT_LABEL_VALUE + 1);
    autofree char *label = xasprintf(
        "{\"name\":\"u\",\"image\":\"none\",\"vcpus\":1,\"memory_mib\":128,\"disk_gib\":1,"
        "\"labels\":{\"k\":\"%s\"}}",
        value);
    assert_post(cloud, "/v1/instances", label, 400, "/labels/k", "255");
}

static void test_queries__unknown_and_out_of_range_parameters_are_named(void **state)
{
    struct cloud *cloud = *state;
    static const struct {
        const char *path, *field;
    } cases[] = {
        {"/v1/instances?limit=0", "limit"},      {"/v1/instances?limit=1001", "limit"},
        {"/v1/instances?limit=x", "limit"},      {"/v1/instances?limti=1", "limti"},
        {"/v1/instances?cursor=zzz", "cursor"},  {"/v1/events?wait=61s", "wait"},
        {"/v1/events?after=-1", "after"},        {"/v1/events?after=99999999999999999999", "after"},
        {"/v1/operations?state=maybe", "state"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct answer auto_answer_json got = cloud_call(cloud, "GET", cases[i].path, NULL);
        const char *field = answer_str(&got, "field");
        if (got.status != 400 || !field || strcmp(field, cases[i].field) != 0)
            cloud_fail("%s: %d %s", cases[i].path, got.status, got.text);
    }
}

static void test_bad_input__leaves_nothing_half_made(void **state)
{
    struct cloud *cloud = *state;
    struct answer auto_answer_json before = cloud_call(cloud, "GET", "/v1/healthz", NULL);
    assert_post(cloud, "/v1/projects", "{\"name\":\"-\"}", 400, "/name", NULL);
    assert_post(cloud, "/v1/instances",
                "{\"name\":\"x\",\"image\":\"none\",\"vcpus\":1,\"memory_mib\":128,\"disk_gib\":1}",
                404, NULL, NULL);
    struct answer auto_answer_json after = cloud_call(cloud, "GET", "/v1/healthz", NULL);
    assert_int_equal(answer_i64(&before, "revision"), answer_i64(&after, "revision"));
    struct answer auto_answer_json list = cloud_call(cloud, "GET", "/v1/instances", NULL);
    assert_int_equal(json_count(answer_at(&list, "instances")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing__ambiguous_requests_are_refused),
        cmocka_unit_test(test_framing__long_targets_and_huge_headers_are_refused),
        cmocka_unit_test(test_framing__a_body_past_its_limit_is_refused),
        cmocka_unit_test(test_body__of_a_get_or_a_delete_is_refused_however_framed),
        cmocka_unit_test(test_patch__without_a_body_is_refused),
        cmocka_unit_test(test_json__what_rfc_8259_calls_invalid_is_refused),
        cmocka_unit_test(test_json__wrong_types_and_unknown_fields_are_named),
        cmocka_unit_test(test_limits__integers_at_and_past_their_range),
        cmocka_unit_test(test_limits__names_at_and_past_their_rule),
        cmocka_unit_test(test_limits__user_data_and_labels_at_their_edge),
        cmocka_unit_test(test_queries__unknown_and_out_of_range_parameters_are_named),
        cmocka_unit_test(test_bad_input__leaves_nothing_half_made),
    };
    return cmocka_run_group_tests(tests, start_controller, stop_controller);
}
