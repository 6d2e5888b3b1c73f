/* The life of a real guest, from create to delete, through the public API: a guest that boots
 * from its disk, reads its user-data, keeps a marker, obeys the power button, is resized and
 * rebuilt, and leaves nothing behind. */
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
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"
#include "tests/lib/guest.h"

enum { BOOT_MS = 120000 };

/* What the guest is told to do: say hello, and keep or show a marker on its disk. */
static const char user_data[] =
    "#!/bin/sh\\n"
    "echo hello from $(hostname) >/www/index.html\\n"
    "printf '#!/bin/sh\\\\necho; echo kept >/disk/marker; sync; echo ok\\\\n' >/www/cgi-bin/mark\\n"
    "printf '#!/bin/sh\\\\necho; cat /disk/marker 2>/dev/null || echo none\\\\n' "
    ">/www/cgi-bin/marker\\n"
    "printf '#!/bin/sh\\\\necho; echo bye; (sleep 0.2; poweroff -f) >/dev/null 2>&1 &\\\\n' "
    ">/www/cgi-bin/off\\n"
    "chmod +x /www/cgi-bin/*\\n";

static int start_cloud(void **state)
{
    struct cloud *cloud = cloud_new("life");
    autofree char *tiny = cloud_tiny_image(false);
    autofree char *stubborn = cloud_tiny_image(true);
    cloud_start_controller(cloud, NULL, NULL);
    cloud_start_agent(cloud, NULL, NULL);
    cloud_add_image(cloud, "tiny", tiny, "qcow2");
    cloud_add_image(cloud, "stubborn", stubborn, "qcow2");
    *state = cloud;
    return 0;
}

static int stop_cloud(void **state)
{
    cloud_free(*state);
    return 0;
}

static void create(struct cloud *cloud, const char *name, const char *image)
{
    cloud_done(cloud, "POST", "/v1/instances",
               "{\"name\":\"%s\",\"image\":\"%s\",\"vcpus\":1,\"memory_mib\":128,\"disk_gib\":1,"
               "\"user_data\":\"%s\"}",
               name, image, user_data);
}

static void assert_answers(struct cloud *cloud, const char *address, const char *path,
                           const char *want)
{
    autofree char *got = guest_ask(cloud, address, path);
    assert_string_equal(got, want);
}

/* One line "key=value" of the guest's facts. */
static long long fact(struct cloud *cloud, const char *address, const char *key)
{
    autofree char *url = xasprintf("http://%s/cgi-bin/facts", address);
    const char *argv[] = {"curl", "-sf", "--max-time", "10", url, NULL};
    int status = 0;
    autofree char *text = cloud_host_output(cloud, argv, &status);
    autofree char *prefix = xasprintf("%s=", key);
    const char *at = strstr(text, prefix);
    if (status != 0 || !at)
        cloud_fail("no %s in the guest's facts: %s", key, text);
    return strtoll(at + strlen(prefix), NULL, 10);
}

static void assert_cause(struct cloud *cloud, const char *name, const char *want)
{
    autofree char *path = xasprintf("/v1/instances/%s", name);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", path, NULL);
    assert_string_equal(answer_str(&shown, "state"), "stopped");
    assert_string_equal(answer_str(&shown, "stop_cause"), want);
}

/* Counts lines of a host command that contain `text`. */
static int host_lines(struct cloud *cloud, const char *const argv[], const char *text)
{
    int status = 0, count = 0;
    autofree char *output = cloud_host_output(cloud, argv, &status);
    for (char *rest = output, *line; (line = strsep(&rest, "\n"));)
        count += strstr(line, text) != NULL;
    return count;
}

/* The files named after an instance, one a line, wherever libvirt, QEMU and the agent write, or
 * might. libvirt cuts a domain's name, "mc-<id>", to 20 characters where it names folders. */
static char *files_of(struct cloud *cloud, const char *id)
{
    const char *argv[] = {"find",  "/etc",     "/run",     "/var", "/tmp",
                          "/root", "/dev/shm", cloud->dir, NULL};
    int status = 0;
    autofree char *cut = xstrndup(id, 17), *listing = cloud_host_output(cloud, argv, &status);
    auto_buf struct buf files = {0};
    for (char *rest = listing, *line; (line = strsep(&rest, "\n"));) {
        if (strstr(line, cut))
            buf_printf(&files, "%s\n", line);
    }
    return buf_take(&files);
}

static void assert_nothing_left(struct cloud *cloud, const char *id, const char *address)
{
    const char *domains[] = {"virsh", "-c", "qemu:///system", "list", "--all", "--uuid", NULL};
    const char *processes[] = {"ps", "-eo", "args", NULL};
    const char *networks[] = {"sh", "-c",
                              "for n in $(virsh -c qemu:///system net-list --name); do "
                              "virsh -c qemu:///system net-dumpxml $n; done",
                              NULL};
    autofree char *quoted = xasprintf("'%s'", address), *files = files_of(cloud, id);
    assert_int_equal(host_lines(cloud, domains, id), 0);
    assert_int_equal(host_lines(cloud, processes, id), 0);
    assert_int_equal(host_lines(cloud, networks, quoted), 0);
    assert_string_equal(files, "");
}

static void test_lifecycle__a_guest_lives_from_create_to_delete(void **state)
{
    struct cloud *cloud = *state;
    create(cloud, "web1", "tiny");
    autofree char *address = guest_address(cloud, "web1");

    assert_answers(cloud, address, "/", "hello from web1");
    assert_answers(cloud, address, "/cgi-bin/marker", "none");
    assert_answers(cloud, address, "/cgi-bin/mark", "ok");

    cloud_done(cloud, "POST", "/v1/instances/web1/stop", "{\"timeout_s\":60}");
    assert_cause(cloud, "web1", "asked");

    cloud_done(cloud, "POST", "/v1/instances/web1/start", "{}");
    assert_answers(cloud, address, "/cgi-bin/marker", "kept");
    assert_int_equal(fact(cloud, address, "cpus"), 1);
    assert_int_equal(fact(cloud, address, "disk_bytes"), 1LL << 30);
    long long memory_before = fact(cloud, address, "memory_kib");

    cloud_done(cloud, "POST", "/v1/instances/web1/stop", "{\"timeout_s\":60}");
    cloud_done(cloud, "POST", "/v1/instances/web1/resize",
               "{\"vcpus\":2,\"memory_mib\":192,\"disk_gib\":2}");
    cloud_done(cloud, "POST", "/v1/instances/web1/start", "{}");
    assert_answers(cloud, address, "/cgi-bin/marker", "kept");
    assert_int_equal(fact(cloud, address, "cpus"), 2);
    assert_int_equal(fact(cloud, address, "disk_bytes"), 2LL << 30);
    /* What a kernel reserves for itself varies a little with the size. */
    assert_in_range(fact(cloud, address, "memory_kib") - memory_before, 60 * 1024, 66 * 1024);

    cloud_done(cloud, "POST", "/v1/instances/web1/rebuild", "{}");
    assert_answers(cloud, address, "/cgi-bin/marker", "none");

    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/instances/web1", NULL);
    autofree char *id = xstrdup(answer_str(&shown, "id")), *files = files_of(cloud, id);
    assert_non_null(strstr(files, "/var/log/libvirt/qemu/mc-"));
    assert_non_null(strstr(files, "/var/log/libvirt/minicloud/"));
    cloud_done(cloud, "DELETE", "/v1/instances/web1", NULL);
    assert_nothing_left(cloud, id, address);
    autofree char *path = xasprintf("/v1/instances/%s", id);
    struct answer auto_answer_json gone = cloud_call(cloud, "GET", path, NULL);
    assert_string_equal(answer_str(&gone, "state"), "deleted");
}

static void test_lifecycle__an_image_that_ignores_the_power_button_is_forced(void **state)
{
    struct cloud *cloud = *state;
    create(cloud, "mule", "stubborn");
    autofree char *address = guest_address(cloud, "mule");
    assert_answers(cloud, address, "/", "hello from mule");
    cloud_done(cloud, "POST", "/v1/instances/mule/stop", "{\"timeout_s\":2}");
    assert_cause(cloud, "mule", "forced");
    cloud_done(cloud, "DELETE", "/v1/instances/mule", NULL);
}

static void test_lifecycle__a_guest_that_powers_itself_off_is_seen_within_two_seconds(void **state)
{
    struct cloud *cloud = *state;
    create(cloud, "tired", "tiny");
    autofree char *address = guest_address(cloud, "tired");
    assert_answers(cloud, address, "/", "hello from tired");
    assert_answers(cloud, address, "/cgi-bin/off", "bye");
    /* 0.2 s until the guest acts and its own way down are in this figure. */
    int64_t took = cloud_await(cloud, "/v1/instances/tired", "state", "stopped", 10000);
    print_message("# seen stopped after %lld ms\n", (long long)took);
    assert_cause(cloud, "tired", "guest");
    cloud_await(cloud, "/v1/instances/tired", "desired", "stopped", 2000);
    cloud_done(cloud, "DELETE", "/v1/instances/tired", NULL);
}

/* As a host that goes down does: that must not change what is desired of the guest. */
static void test_lifecycle__a_guest_ended_by_its_host_is_still_desired_running(void **state)
{
    struct cloud *cloud = *state;
    create(cloud, "evicted", "tiny");
    autofree char *address = guest_address(cloud, "evicted");
    assert_answers(cloud, address, "/", "hello from evicted");
    struct answer auto_answer_json made = cloud_call(cloud, "GET", "/v1/instances/evicted", NULL);
    autofree char *command =
        xasprintf("kill -TERM $(cat /run/libvirt/qemu/mc-%s.pid)", answer_str(&made, "id"));
    const char *argv[] = {"sh", "-c", command, NULL};
    int status = 0;
    autofree char *said = cloud_host_output(cloud, argv, &status);
    if (status != 0)
        cloud_fail("%s: %s", command, said);
    cloud_await(cloud, "/v1/instances/evicted", "state", "crashed", 10000);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/instances/evicted", NULL);
    assert_string_equal(answer_str(&shown, "stop_cause"), "unseen");
    assert_string_equal(answer_str(&shown, "desired"), "running");
    cloud_done(cloud, "DELETE", "/v1/instances/evicted", NULL);
}

static void test_lifecycle__a_reboot_starts_the_guest_once_more(void **state)
{
    struct cloud *cloud = *state;
    create(cloud, "again", "tiny");
    autofree char *address = guest_address(cloud, "again");
    assert_answers(cloud, address, "/cgi-bin/mark", "ok");
    cloud_done(cloud, "POST", "/v1/instances/again/reboot", "{\"timeout_s\":60}");
    assert_answers(cloud, address, "/cgi-bin/marker", "kept");
    cloud_done(cloud, "POST", "/v1/instances/again/reboot", "{\"force\":true}");
    assert_answers(cloud, address, "/cgi-bin/marker", "kept");
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/instances/again", NULL);
    assert_int_equal(answer_i64(&shown, "run"), 3);
    struct answer auto_answer_json log =
        cloud_call(cloud, "GET", "/v1/instances/again/console?bytes=65536", NULL);
    assert_int_equal(log.status, 200);
    assert_non_null(strstr(log.text, "tiny: up in"));
    cloud_done(cloud, "DELETE", "/v1/instances/again", NULL);
}

/* Owner of the cached image on the host, as stat prints it. */
static char *cache_owner(struct cloud *cloud)
{
    const char *argv[] = {
        "sh", "-c",
        "find /var/lib/libvirt -name 'image-*.qcow2' -exec stat -c '%u:%g %a' {} + | sort", NULL};
    return cloud_host_output(cloud, argv, NULL);
}

static void test_lifecycle__two_guests_of_one_image_leave_its_owner_alone(void **state)
{
    struct cloud *cloud = *state;
    create(cloud, "one", "tiny");
    autofree char *before = cache_owner(cloud);
    create(cloud, "two", "tiny");
    autofree char *after = cache_owner(cloud);
    assert_string_not_equal(before, "");
    assert_string_equal(before, after);
    autofree char *address = guest_address(cloud, "two");
    assert_answers(cloud, address, "/", "hello from two");
    cloud_done(cloud, "DELETE", "/v1/instances/one", NULL);
    cloud_done(cloud, "DELETE", "/v1/instances/two", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifecycle__a_guest_lives_from_create_to_delete),
        cmocka_unit_test(test_lifecycle__an_image_that_ignores_the_power_button_is_forced),
        cmocka_unit_test(test_lifecycle__a_guest_that_powers_itself_off_is_seen_within_two_seconds),
        cmocka_unit_test(test_lifecycle__a_guest_ended_by_its_host_is_still_desired_running),
        cmocka_unit_test(test_lifecycle__a_reboot_starts_the_guest_once_more),
        cmocka_unit_test(test_lifecycle__two_guests_of_one_image_leave_its_owner_alone),
    };
    return cmocka_run_group_tests(tests, start_cloud, stop_cloud);
}
