/* The NoCloud seed, read back by libarchive as a guest's kernel would read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "node-agent/instance/seed.h"
#include "tests/unit/agent_fixture.h"

/* The text of one file of the ISO; NULL when it is not there. */
static char *read_file(const struct buf *iso, const char *name)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    char *content = NULL;
    archive_read_support_format_iso9660(archive);
    assert_int_equal(archive_read_open_memory(archive, iso->data, iso->len), ARCHIVE_OK);
    while (!content && archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        if (strcmp(archive_entry_pathname(entry), name) != 0)
            continue;
        size_t size = (size_t)archive_entry_size(entry);
        content = xcalloc(1, size + 1);
        assert_int_equal(archive_read_data(archive, content, size), size);
    }
    archive_read_free(archive);
    return content;
}

static void make(const struct desired_instance *d, struct buf *iso)
{
    auto_err struct err err = {0};
    if (seed_make(d, iso, &err))
        fail_msg("%s", err.msg);
}

static void test_seed__is_a_volume_called_cidata(void **state)
{
    (void)state;
    auto_buf struct buf iso = {0};
    struct desired_instance d = desired_running();
    make(&d, &iso);
    assert_true(iso.len > 34816);
    assert_memory_equal(iso.data + 32769, "CD001", 5);
    assert_memory_equal(iso.data + 32808, "cidata ", 7);
    assert_true(iso.len < 128 * 1024);
}

static void test_seed__holds_the_four_files(void **state)
{
    (void)state;
    auto_buf struct buf iso = {0};
    struct desired_instance d = desired_running();
    make(&d, &iso);
    autofree char *meta = read_file(&iso, "meta-data");
    autofree char *user = read_file(&iso, "user-data");
    autofree char *network = read_file(&iso, "network-config");
    autofree char *vendor = read_file(&iso, "vendor-data");
    assert_string_equal(meta, "instance-id: \"" INSTANCE "\"\nlocal-hostname: \"web1\"\n"
                              "public-keys:\n  - \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA "
                              "me@here\"\n");
    assert_string_equal(user, "#!/bin/sh\necho hello\n");
    assert_string_equal(network, "version: 2\nethernets:\n  net0:\n    match:\n"
                                 "      macaddress: \"52:54:01:4d:00:10\"\n    dhcp4: true\n"
                                 "    dhcp6: false\n");
    assert_string_equal(vendor, "");
}

static void test_seed__user_data_are_bytes(void **state)
{
    (void)state;
    auto_buf struct buf iso = {0};
    struct desired_instance d = desired_running();
    d.user_data = text("AAEC/w=="); /* 00 01 02 ff */
    make(&d, &iso);
    autofree char *user = read_file(&iso, "user-data");
    assert_memory_equal(user, "\0\1\2\377", 4);
}

static void test_seed__takes_the_largest_user_data(void **state)
{
    (void)state;
    enum { BASE64 = LIMIT_USER_DATA / 3 * 4 };
    auto_buf struct buf iso = {0};
    autofree char *base64 = xcalloc(1, BASE64 + 1);
    struct desired_instance d = desired_running();
    memset(base64, 'Q', BASE64);
    d.user_data = base64;
    make(&d, &iso);
    autofree char *user = read_file(&iso, "user-data");
    assert_int_equal(strlen(user), LIMIT_USER_DATA / 3 * 3);
}

static void test_seed__refuses_what_is_no_base64(void **state)
{
    (void)state;
    auto_buf struct buf iso = {0};
    auto_err struct err err = {0};
    struct desired_instance d = desired_running();
    d.user_data = text("not base64!");
    assert_int_equal(seed_make(&d, &iso, &err), -1);
    assert_int_equal(err.code, ERR_FIELD);
}

static void test_seed__quotes_what_people_choose(void **state)
{
    (void)state;
    auto_buf struct buf iso = {0};
    struct desired_instance d = desired_running();
    d.hostname = text("a\"\n: b");
    d.keys.count = 0;
    make(&d, &iso);
    autofree char *meta = read_file(&iso, "meta-data");
    assert_string_equal(meta, "instance-id: \"" INSTANCE "\"\nlocal-hostname: \"a\\\"\\n: b\"\n");
}

static void test_seed__another_content_has_another_digest(void **state)
{
    (void)state;
    char first[SHA256_TEXT_MAX], again[SHA256_TEXT_MAX], other[SHA256_TEXT_MAX];
    struct desired_instance d = desired_running();
    seed_digest(&d, first);
    d.generation = 7; /* is not in it */
    d.vcpus = 8;
    seed_digest(&d, again);
    assert_string_equal(first, again);
    d.hostname = text("web2");
    seed_digest(&d, other);
    assert_string_not_equal(first, other);
    d = desired_running();
    d.user_data = NULL;
    seed_digest(&d, other);
    assert_string_not_equal(first, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed__is_a_volume_called_cidata),
        cmocka_unit_test(test_seed__holds_the_four_files),
        cmocka_unit_test(test_seed__user_data_are_bytes),
        cmocka_unit_test(test_seed__takes_the_largest_user_data),
        cmocka_unit_test(test_seed__refuses_what_is_no_base64),
        cmocka_unit_test(test_seed__quotes_what_people_choose),
        cmocka_unit_test(test_seed__another_content_has_another_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
