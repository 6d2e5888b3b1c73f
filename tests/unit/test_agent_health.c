/* What the agent notices of a host that works, but not as it should: a libvirt that forgets what
 * QEMU can do, or is slow; and which group a guest's QEMU gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "node-agent/host/health.h"
#include "node-agent/host/kvm.h"
#include "tests/lib/guard.h"

static char *dir, *device;

static int set_up(void **state)
{
    (void)state;
    dir = guard_tempdir("health");
    device = xasprintf("%s/kvm", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(dir);
    free(device);
    guard_flush();
    return 0;
}

static void put_device(mode_t mode, gid_t group)
{
    int fd = open(device, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchown(fd, 0, group), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* ---- groups ---- */

static void test_group__is_never_roots_and_that_of_kvm_only_where_it_is_used(void **state)
{
    (void)state;
    enum { NOGROUP = 65534, KVM = 108 };
    assert_int_equal(kvm_group(VIRT_KVM, device), NOGROUP);
    put_device(0660, KVM);
    assert_int_equal(kvm_group(VIRT_KVM, device), KVM);
    assert_int_equal(kvm_group(VIRT_QEMU, device), NOGROUP);
    put_device(0666, 0);
    assert_int_equal(kvm_group(VIRT_KVM, device), NOGROUP);
    put_device(0600, 0);
    assert_int_equal(kvm_group(VIRT_KVM, device), NOGROUP);
    assert_int_equal(kvm_group(VIRT_QEMU, device), NOGROUP);
}

static void test_kvm__is_open_to_guests_by_its_group_or_to_all(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        gid_t group;
        bool open;
    } cases[] = {{0600, 0, false},   {0660, 0, false},   {0666, 0, true},    {0660, 108, true},
                 {0640, 108, false}, {0600, 108, false}, {0606, 108, false}, {0666, 108, true}};
    assert_false(kvm_open_to_guests(device));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put_device(cases[i].mode, cases[i].group);
        assert_int_equal(kvm_open_to_guests(device), cases[i].open);
    }
}

/* ---- libvirt ---- */

/* As libvirt does when it has probed a QEMU. */
static void probe(void)
{
    autofree char *path = xasprintf("%s/caps.xml", dir);
    auto_err struct err err = {0};
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    struct stat before, after;
    assert_int_equal(stat(dir, &before), 0);
    assert_int_equal(file_write("test", path, "caps", 4, 0600, &err), 0);
    assert_int_equal(stat(dir, &after), 0);
    if (before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
        before.st_mtim.tv_nsec != after.st_mtim.tv_nsec)
        return;
    times[1] = after.st_mtim; /* within one tick of the file system's clock */
    times[1].tv_sec++;
    assert_int_equal(utimensat(AT_FDCWD, dir, times, 0), 0);
}

static bool call(struct health *health, int64_t took_ms, bool probes)
{
    struct health_call call = {
        .what = "define", .took_ms = took_ms, .stamp_before = health_stamp(dir), .kvm = device};
    if (probes)
        probe();
    call.stamp_after = health_stamp(dir);
    return health_note_call(health, &call);
}

static void test_libvirt__that_probes_qemu_in_every_call_is_told_of_with_the_cure(void **state)
{
    (void)state;
    struct health health = {0};
    put_device(0600, 0);
    for (int i = 1; i < HEALTH_PROBES; i++)
        assert_false(call(&health, 900, true));
    assert_true(call(&health, 19000, true));
    const char *text = health.text[HEALTH_LIBVIRT_FORGETS];
    assert_non_null(strstr(text, "0600, of 0:0"));
    assert_non_null(strstr(text, "chmod 0660"));
    assert_non_null(strstr(text, "19000 ms"));
    assert_true(strlen(text) < HEALTH_TEXT_MAX - 1);
    assert_string_equal(health.text[HEALTH_LIBVIRT_SLOW], ""); /* it is explained */
}

static void test_libvirt__is_told_of_in_the_same_words_until_it_remembers(void **state)
{
    (void)state;
    struct health health = {0};
    for (int i = 0; i < HEALTH_PROBES; i++)
        call(&health, 900, true);
    autofree char *text = xstrdup(health.text[HEALTH_LIBVIRT_FORGETS]);
    assert_false(call(&health, 1000, true));
    assert_string_equal(health.text[HEALTH_LIBVIRT_FORGETS], text);
    assert_true(call(&health, 200, false));
    assert_string_equal(health.text[HEALTH_LIBVIRT_FORGETS], "");
}

/* As after an update of QEMU, with a worker for each of many guests. */
static void test_libvirt__one_probing_that_many_calls_saw_is_one(void **state)
{
    (void)state;
    struct health health = {0};
    struct health_call call = {.what = "define", .stamp_before = health_stamp(dir), .kvm = device};
    probe();
    call.stamp_after = health_stamp(dir);
    for (int i = 0; i < 3 * HEALTH_PROBES; i++)
        assert_false(health_note_call(&health, &call));
    assert_int_equal(health.in_a_row, 1);
}

static void test_libvirt__that_takes_five_seconds_is_told_of_until_it_does_not(void **state)
{
    (void)state;
    struct health health = {0};
    assert_false(call(&health, HEALTH_SLOW_MS - 1, false));
    assert_true(call(&health, HEALTH_SLOW_MS, false));
    assert_non_null(strstr(health.text[HEALTH_LIBVIRT_SLOW], "5000 ms for a define"));
    assert_false(call(&health, 2 * HEALTH_SLOW_MS, false));
    for (int i = 1; i < HEALTH_QUICK; i++)
        assert_false(call(&health, 100, false));
    assert_true(call(&health, 100, false));
    assert_string_equal(health.text[HEALTH_LIBVIRT_SLOW], "");
}

/* Its folder is somewhere else: then nothing is known. */
static void test_libvirt__whose_folder_is_not_there_is_not_told_of(void **state)
{
    (void)state;
    autofree char *nowhere = xasprintf("%s/nowhere", dir);
    assert_int_equal(health_stamp(nowhere), 0);
}

static void test_kvm__that_is_closed_to_guests_is_told_of(void **state)
{
    (void)state;
    struct health health = {0};
    put_device(0600, 0);
    assert_true(health_note_kvm(&health, true, device));
    assert_non_null(strstr(health.text[HEALTH_KVM_CLOSED], "0600, of 0:0"));
    assert_true(strlen(health.text[HEALTH_KVM_CLOSED]) < HEALTH_TEXT_MAX - 1);
    assert_true(health_note_kvm(&health, false, device));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_group__is_never_roots_and_that_of_kvm_only_where_it_is_used),
        TEST(test_kvm__is_open_to_guests_by_its_group_or_to_all),
        TEST(test_libvirt__that_probes_qemu_in_every_call_is_told_of_with_the_cure),
        TEST(test_libvirt__is_told_of_in_the_same_words_until_it_remembers),
        TEST(test_libvirt__one_probing_that_many_calls_saw_is_one),
        TEST(test_libvirt__that_takes_five_seconds_is_told_of_until_it_does_not),
        TEST(test_libvirt__whose_folder_is_not_there_is_not_told_of),
        TEST(test_kvm__that_is_closed_to_guests_is_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
