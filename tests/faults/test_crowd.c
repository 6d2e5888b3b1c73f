/* What shows only when all are there at once: clients that create and delete, and hosts that
 * report what they are given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"
#include "tests/lib/crowd.h"
#include "tests/lib/guard.h"
#include "tests/lib/load.h"

enum { CLIENTS = 64, HOSTS = 20, CREATES = 6400 };

static void add_image(struct cloud *cloud)
{
    struct err auto_err err = {0};
    autofree char *path = xasprintf("%s/blank.raw", cloud->dir);
    autofree char *blank = xcalloc(1, 1 << 20);
    if (file_write("test", path, blank, 1 << 20, 0644, &err) < 0)
        cloud_fail("%s", err.msg);
    cloud_add_image(cloud, "tiny", path, "raw");
}

static void assert_all_taken(struct cloud *cloud, struct crowd *crowd, int64_t requests,
                             size_t (*make)(void *, int, int64_t, char *, size_t))
{
    autofree char *socket_path = xasprintf("%s/data/api.sock", cloud->dir);
    struct load load = {.socket = socket_path,
                        .connections = CLIENTS,
                        .requests = requests,
                        .make = make,
                        .ctx = crowd,
                        .expect = 202};
    struct load_result result = load_run(&load);
    if (result.others)
        cloud_fail("%lld of %lld were refused, the first so: %s", (long long)result.others,
                   (long long)requests, result.first_other);
}

/* The controller's own word of what it answered, to hosts as well. */
static void assert_nobody_was_told_of_a_full_disk(const struct cloud *cloud)
{
    struct buf auto_buf text = {0};
    struct err auto_err err = {0};
    autofree char *log = xasprintf("%s/controller.log", cloud->dir);
    if (file_read(log, 64 << 20, &text, &err) < 0)
        cloud_fail("%s", err.msg);
    const char *full = text.data ? strstr(text.data, "status=507") : NULL;
    if (full)
        cloud_fail("...%.*s", (int)strcspn(full, "\n"), full);
}

static void test_crowd__no_disk_is_called_full_that_has_room(void **state)
{
    (void)state;
    struct cloud *cloud = cloud_new("crowd");
    struct crowd crowd;
    cloud_start_controller(cloud, NULL, NULL);
    add_image(cloud);
    crowd_join(&crowd, cloud, HOSTS);
    /* Hosts that were away for a while have much to say at once. */
    crowd_silence(&crowd, true);
    assert_all_taken(cloud, &crowd, CREATES / 2, crowd_create);
    crowd_silence(&crowd, false);
    assert_all_taken(cloud, &crowd, CREATES / 2, crowd_create);
    crowd_await_running(&crowd);
    for (int c = 0; c < CLIENTS; c++)
        crowd.asked[c] *= 2; /* churn goes on behind these names */
    assert_all_taken(cloud, &crowd, CREATES, crowd_churn);
    assert_nobody_was_told_of_a_full_disk(cloud);
    crowd_leave(&crowd);
    cloud_free(cloud);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd__no_disk_is_called_full_that_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
