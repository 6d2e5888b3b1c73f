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

#include "api/file.h"
#include "api/mem.h"
#include "tests/lib/cloud.h"
#include "tests/lib/raw_http.h"

enum { IDLE = 1100 };

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1100_idle_connections__leave_the_controller_to_others),
    };
    return cmocka_run_group_tests(tests, raise_files, NULL);
}
