/* A real controller and clients that come in numbers: that hold connections and say nothing, or
 * ask and do not read. What others get, and what memory it costs, in counts and bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"
#include "tests/lib/raw_http.h"

enum { IDLE = 1100 };

/* A sanitizer's allocator keeps what is freed, and its shadow counts as memory: with it these
 * tests ask for answers only, not for bytes. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BYTES_TELL false
#endif
#endif
#ifndef BYTES_TELL
#define BYTES_TELL true
#endif

/* The usual number of descriptors, which the controller cannot raise. */
static const char *const few_files[] = {"prlimit", "--nofile=1024:1024", NULL};

/* Room for the test's own ends. */
static int raise_files(void **state)
{
    (void)state;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files);
}

static struct raw open_controller(struct cloud *cloud)
{
    autofree char *path = xasprintf("%s/data/api.sock", cloud->dir);
    return raw_open_unix(path);
}

/* The value of a metric that has no labels; -1: it is not there. */
static long long metric(struct cloud *cloud, const char *name)
{
    struct answer auto_answer_json got = cloud_call(cloud, "GET", "/metrics", NULL);
    autofree char *line = xasprintf("\n%s ", name);
    const char *at = got.status == 200 ? strstr(got.text, line) : NULL;
    return at ? strtoll(at + strlen(line), NULL, 10) : -1;
}

static void expect_health(struct cloud *cloud)
{
    struct answer auto_answer_json health = cloud_call(cloud, "GET", "/v1/healthz", NULL);
    assert_int_equal(health.status, 200);
}

static void test_1100_idle_connections__leave_the_controller_to_others(void **state)
{
    (void)state;
    struct cloud *cloud = cloud_new("idle");
    struct raw idle[IDLE];
    cloud->controller_wrap = few_files;
    cloud_start_controller(cloud, NULL, NULL);
    /* One connection is there before them, and asks for nothing that needs a database. */
    expect_health(cloud);
    for (int i = 0; i < IDLE; i++)
        idle[i] = open_controller(cloud);
    /* The server takes some newcomers at each turn; after these it has seen them all. */
    for (int i = 0; i < IDLE / 4; i++)
        expect_health(cloud);
    /* Rows, a file, a change: each needs descriptors that were never opened before. */
    static const char *const paths[] = {"/v1/instances", "/v1/usage/now", "/v1/usage/export",
                                        "/v1/events"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct answer auto_answer_json got = cloud_call(cloud, "GET", paths[i], NULL);
        if (got.status != 200)
            cloud_fail("%s: %d %s", paths[i], got.status, got.text ? got.text : "(nothing)");
    }
    struct answer auto_answer_json made =
        cloud_call(cloud, "POST", "/v1/projects", "{\"name\":\"others\"}");
    assert_int_equal(made.status, 201);
    long long limit = metric(cloud, "minicloud_http_connections_limit");
    assert_true(limit > 0 && limit <= 512);
    assert_true(metric(cloud, "minicloud_http_connections") <= limit);
    assert_true(metric(cloud, "minicloud_http_connections_unproved") <= limit / 4);
    assert_true(metric(cloud, "minicloud_http_connections_ousted_total") >= IDLE - limit / 4);
    assert_true(proc_running(&cloud->controller));
    for (int i = 0; i < IDLE; i++)
        raw_close(&idle[i]);
    cloud_free(cloud);
}

/* ---- who does not read ---- */

enum { SLOW = 2000, PIPELINED = 40 };

/* Resident bytes of the controller. */
static long long resident(struct cloud *cloud)
{
    auto_err struct err err = {0};
    auto_buf struct buf text = {0};
    autofree char *path = xasprintf("/proc/%d/status", cloud->controller.pid);
    if (file_read(path, 64 << 10, &text, &err) < 0)
        cloud_fail("%s", err.msg);
    const char *at = strstr(text.data, "VmRSS:");
    return at ? strtoll(at + 6, NULL, 10) * 1024 : 0;
}

static char *pipelined(const char *request)
{
    struct buf out = {0};
    for (int i = 0; i < PIPELINED; i++)
        buf_puts(&out, request);
    return buf_take(&out);
}

/* Connections of somebody who has a token, each with many answers waiting. */
static void open_slow(struct cloud *cloud, struct raw *slow, const char *request)
{
    autofree char *known = xasprintf(
        "GET /v1/networks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", cloud->token);
    autofree char *many = pipelined(request);
    for (int i = 0; i < SLOW; i++) {
        auto_raw_reply struct raw_reply reply = {0};
        slow[i] = open_controller(cloud);
        raw_puts(&slow[i], known);
        raw_read(&slow[i], &reply);
        assert_int_equal(reply.status, 200);
        raw_puts(&slow[i], many);
    }
}

/* Waits, by requests that wait, until the controller has no more than that. */
static void expect_memory_back(struct cloud *cloud, long long most)
{
    for (int tries = 0; tries < 60; tries++) {
        long long now = resident(cloud);
        if (now <= most) {
            print_message("# after: %lld KiB below the bound\n", (most - now) >> 10);
            return;
        }
        struct answer auto_answer_json health = cloud_call(cloud, "GET", "/v1/healthz", NULL);
        autofree char *path = xasprintf("/v1/events?after=%lld&wait=500ms",
                                        (long long)answer_i64(&health, "revision"));
        struct answer auto_answer_json waited = cloud_call(cloud, "GET", path, NULL);
        assert_int_equal(waited.status, 200);
    }
    cloud_fail("the memory was not given back: %lld KiB", resident(cloud) >> 10);
}

static void test_2000_slow_readers__of_one_text_share_it(void **state)
{
    (void)state;
    struct cloud *cloud = cloud_new("slow");
    static struct raw slow[SLOW];
    cloud_start_controller(cloud, NULL, NULL);
    expect_health(cloud);
    long long before = resident(cloud);
    open_slow(cloud, slow, "GET /v1/openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < SLOW; i++)
        expect_health(cloud);
    long long during = resident(cloud) - before;
    print_message("# %d slow readers: +%lld KiB\n", SLOW, during >> 10);
    assert_true(!BYTES_TELL || during < SLOW * 48LL * 1024);
    for (int i = 0; i < SLOW; i++)
        raw_close(&slow[i]);
    if (BYTES_TELL)
        expect_memory_back(cloud, before + (16LL << 20));
    expect_health(cloud);
    cloud_free(cloud);
}

static void test_contract__is_not_sent_again_to_who_has_it(void **state)
{
    (void)state;
    struct cloud *cloud = cloud_new("contract");
    cloud_start_controller(cloud, NULL, NULL);
    auto_raw struct raw raw = open_controller(cloud);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "GET /v1/openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read(&raw, &reply);
    autofree char *etag = raw_header(&reply, "ETag");
    assert_int_equal(reply.status, 200);
    assert_non_null(etag);
    autofree char *again =
        xasprintf("GET /v1/openapi.yaml HTTP/1.1\r\nHost: x\r\nIf-None-Match: %s\r\n\r\n", etag);
    raw_puts(&raw, again);
    raw_read(&raw, &reply);
    autofree char *same = raw_header(&reply, "ETag");
    assert_int_equal(reply.status, 304);
    assert_string_equal(same, etag);
    cloud_free(cloud);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1100_idle_connections__leave_the_controller_to_others),
        cmocka_unit_test(test_2000_slow_readers__of_one_text_share_it),
        cmocka_unit_test(test_contract__is_not_sent_again_to_who_has_it),
    };
    return cmocka_run_group_tests(tests, raise_files, NULL);
}
