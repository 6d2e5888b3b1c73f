/* The program cloudctl against a real controller without a host: contexts, the small nouns,
 * images, roles, events, completion, exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"

enum { PATIENCE_MS = 120 * 1000, OUTPUT_MAX = 8 * 1024 * 1024 };

static char *in_folder(const struct cloud *cloud, const char *name)
{
    return xasprintf("%s/%s", cloud->dir, name);
}

/* Runs "cloudctl WORDS" (split at spaces) and gives what it printed on both streams, which
 * tells a missing line from a misplaced one well enough here. Owned by the caller. */
static char *ctl(struct cloud *cloud, int expected_status, const char *words)
{
    autofree char *program = xasprintf("%s/cloudctl", cloud->bin);
    autofree char *log = in_folder(cloud, "printed");
    autofree char *copy = xstrdup(words);
    const char *argv[40] = {program};
    char *rest = copy, *word;
    for (size_t i = 1; (word = strsep(&rest, " ")) && i < ARRAY_SIZE(argv) - 1; i++)
        argv[i] = word;
    unlink(log);
    int status = proc_run(argv, NULL, log, PATIENCE_MS);
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    if (file_read(log, OUTPUT_MAX, &text, &err) != 0)
        buf_puts(&text, "");
    if (status != expected_status)
        cloud_fail("cloudctl %s: ended with %d, not %d: %s", words, status, expected_status,
                   text.data ? text.data : "");
    return buf_take(&text);
}

static void ctl_prints(struct cloud *cloud, int expected_status, const char *words,
                       const char *expected)
{
    autofree char *printed = ctl(cloud, expected_status, words);
    if (strcmp(printed, expected) != 0)
        cloud_fail("cloudctl %s: printed \"%s\", not \"%s\"", words, printed, expected);
}

static void ctl_says(struct cloud *cloud, int expected_status, const char *words, const char *part)
{
    autofree char *printed = ctl(cloud, expected_status, words);
    if (!strstr(printed, part))
        cloud_fail("cloudctl %s: printed \"%s\" without \"%s\"", words, printed, part);
}

static void write_file(const char *path, const void *data, size_t len)
{
    auto_err struct err err = {0};
    if (file_write("test", path, data, len, 0600, &err) != 0)
        cloud_fail("%s", err.msg);
}

static int start(void **state)
{
    struct cloud *cloud = cloud_new("cli");
    cloud_start_controller(cloud, NULL, NULL);
    setenv("XDG_CONFIG_HOME", cloud->dir, 1);
    unsetenv("CLOUDCTL_URL");
    unsetenv("CLOUDCTL_TOKEN");
    unsetenv("CLOUDCTL_CONTEXT");
    unsetenv("CLOUDCTL_PROJECT");
    autofree char *words = xasprintf("context create lab --url %s --token-file %s/data/admin.token",
                                     cloud->url, cloud->dir);
    ctl_prints(cloud, 0, words, "");
    *state = cloud;
    return 0;
}

static int stop(void **state)
{
    cloud_free(*state);
    return 0;
}

static void test_cli__small_nouns_live_and_die(void **state)
{
    struct cloud *cloud = *state;
    ctl_prints(cloud, 0, "flavor create f1 --vcpus 2 --memory 1G --disk 5G",
               "NAME VCPUS MEMORY DISK\nf1       2     1G   5G\n");
    ctl_says(cloud, 0, "flavor list -o csv --columns name,vcpus,memory,disk", "\nf1,2,1024,5\n");
    ctl_says(cloud, 1, "flavor create f1 --vcpus 2 --memory 1G --disk 5G", "cloudctl: flavor f1: ");
    autofree char *key_file = in_folder(cloud, "id.pub");
    static const char key[] = "ssh-ed25519 "
                              "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhsc"
                              "HR4f me@here\n";
    write_file(key_file, key, strlen(key));
    autofree char *words = xasprintf("key create me --file %s -o name", key_file);
    ctl_prints(cloud, 0, words, "me\n");
    ctl_prints(cloud, 0, "key update me --name mine -o name", "mine\n");
    ctl_prints(cloud, 0, "project create red blue -o name", "red\nblue\n");
    ctl_prints(cloud, 0, "project delete red blue --yes", "");
    ctl_says(cloud, 3, "flavor delete f1 nope --yes",
             "cloudctl: flavor nope: not found. Try: cloudctl flavor list\n");
    ctl_prints(cloud, 3, "flavor show f1",
               "cloudctl: flavor f1: not found. Try: cloudctl flavor list\n");
    ctl_prints(cloud, 0, "key delete mine --yes", "");
}

static void test_cli__an_image_goes_up_and_comes_down_unchanged(void **state)
{
    struct cloud *cloud = *state;
    enum { BYTES = 3 * 1024 * 1024 + 512 };
    autofree char *up = in_folder(cloud, "up.raw"), *down = in_folder(cloud, "down.raw");
    autofree char *bytes = xcalloc(1, BYTES);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (char)(i * 2654435761U >> 13);
    write_file(up, bytes, BYTES);
    autofree char *create = xasprintf(
        "image create r1 --file %s --label os=none -o csv --columns name,state,format,size", up);
    ctl_prints(cloud, 0, create, "name,state,format,size\nr1,ready,raw,3146240\n");
    autofree char *download = xasprintf("image download r1 --file %s", down);
    ctl_prints(cloud, 0, download, "");
    auto_buf struct buf got = {0};
    auto_err struct err err = {0};
    assert_int_equal(file_read(down, BYTES + 1, &got, &err), 0);
    assert_int_equal(got.len, BYTES);
    assert_memory_equal(got.data, bytes, BYTES);
    ctl_prints(cloud, 0, "image update r1 --label a=b --unlabel os -o csv --columns labels",
               "labels\na=b\n");
    ctl_prints(cloud, 0, "image list --label a=b -o name", "r1\n");
    ctl_prints(cloud, 0, "image list --label os=none -o name", "");
    ctl_prints(cloud, 0, "image delete r1 --yes", "");
}

static void test_cli__roles_and_projects_are_held_to(void **state)
{
    struct cloud *cloud = *state;
    autofree char *secret = in_folder(cloud, "reader.token");
    autofree char *create =
        xasprintf("token create look --role reader --project default --save %s", secret);
    ctl_prints(cloud, 0, create, "");
    autofree char *list = xasprintf("instance list --token-file %s -o json", secret);
    ctl_prints(cloud, 0, list, "[]\n");
    autofree char *make = xasprintf("project create evil --token-file %s", secret);
    ctl_says(cloud, 4, make, "cloudctl: project evil: ");
    ctl_says(cloud, 0, "token list --project default -o name", "look\n");
    ctl_prints(cloud, 0, "token delete look --project default --yes", "");
    autofree char *after = xasprintf("instance list --token-file %s", secret);
    ctl_says(cloud, 4, after, "Try: cloudctl context create");
}

static void test_cli__failures_end_with_their_code(void **state)
{
    struct cloud *cloud = *state;
    ctl_prints(cloud, 3, "instance show nope",
               "cloudctl: instance nope: not found. Try: cloudctl instance list\n");
    ctl_prints(cloud, 3, "instance stop nope",
               "cloudctl: instance nope: not found. Try: cloudctl instance list\n");
    ctl_says(cloud, 2, "instance delete nope", "Try: --yes");
    ctl_says(cloud, 7, "instance list --url unix:/nowhere/api.sock", "cannot reach");
    ctl_says(cloud, 3, "operation wait 0190a0b0-1111-7222-8333-444444444444", "not found");
    ctl_says(cloud, 0, "status", "controller  unix:/");
    ctl_says(cloud, 0, "version", "controller  ");
}

static void test_cli__without_a_host_the_refusal_says_so(void **state)
{
    struct cloud *cloud = *state;
    autofree char *file = in_folder(cloud, "small.raw");
    static const char zeros[1024 * 1024];
    write_file(file, zeros, sizeof(zeros));
    autofree char *image = xasprintf("image create s1 --file %s -o name", file);
    ctl_prints(cloud, 0, image, "s1\n");
    ctl_says(cloud, 1, "instance create a --image s1 --vcpus 1 --memory 128M --disk 1G",
             "Try: cloudctl node list");
    ctl_says(cloud, 3, "instance create a --image nope --vcpus 1 --memory 128M --disk 1G",
             "cloudctl image list");
    ctl_prints(cloud, 0, "image delete s1 --yes", "");
}

static void test_cli__events_tell_what_was_done(void **state)
{
    struct cloud *cloud = *state;
    ctl_prints(cloud, 0, "project create seen -o name", "seen\n");
    ctl_says(cloud, 0, "event list --kind project -o csv --columns kind,name", "project,seen\n");
    ctl_says(cloud, 0, "event list --follow --after 0 --kind project --limit 1 -o json", "{\"");
    ctl_prints(cloud, 0, "project delete seen --yes", "");
}

static void test_cli__completion_knows_the_names(void **state)
{
    struct cloud *cloud = *state;
    ctl_prints(cloud, 0, "project create alpha alps beta -o name", "alpha\nalps\nbeta\n");
    ctl_prints(cloud, 0, "__complete project show al", "alpha\nalps\n");
    ctl_prints(cloud, 0, "__complete instance list --project b", "beta\n");
    ctl_prints(cloud, 0, "project delete alpha alps beta --yes", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli__small_nouns_live_and_die),
        cmocka_unit_test(test_cli__an_image_goes_up_and_comes_down_unchanged),
        cmocka_unit_test(test_cli__roles_and_projects_are_held_to),
        cmocka_unit_test(test_cli__failures_end_with_their_code),
        cmocka_unit_test(test_cli__without_a_host_the_refusal_says_so),
        cmocka_unit_test(test_cli__events_tell_what_was_done),
        cmocka_unit_test(test_cli__completion_knows_the_names),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
