/* The header reader: what it takes, and every single thing it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/base/err.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "controller/image/image_format.h"

enum { FILE_BYTES = 1 << 20 };

static void put(uint8_t *head, size_t at, size_t bytes, uint64_t value)
{
    for (size_t i = 0; i < bytes; i++)
        head[at + i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

/* A version 3 header of 1 GiB as qemu-img writes it. */
static void good(uint8_t head[IMAGE_HEAD_BYTES])
{
    memset(head, 0, IMAGE_HEAD_BYTES);
    put(head, 0, 4, 0x514649fb);
    put(head, 4, 4, 3);
    put(head, 20, 4, 16);         /* cluster bits */
    put(head, 24, 8, 1ULL << 30); /* virtual size */
    put(head, 36, 4, 2);          /* L1 entries */
    put(head, 40, 8, 0x30000);    /* L1 table */
    put(head, 48, 8, 0x10000);    /* refcount table */
    put(head, 56, 4, 1);
    put(head, 96, 4, 4);
    put(head, 100, 4, 112);
}

static int check(const uint8_t *head, size_t len, int64_t file, int64_t *ret_virtual,
                 struct err *err)
{
    return image_format_check(FORMAT_QCOW2, head, len, file, ret_virtual, err);
}

static void test_image_format__takes_a_plain_qcow2_of_either_version(void **state)
{
    (void)state;
    uint8_t head[IMAGE_HEAD_BYTES];
    int64_t bytes = 0;
    struct err auto_err err = {0};
    good(head);
    assert_int_equal(check(head, sizeof(head), FILE_BYTES, &bytes, &err), 0);
    assert_int_equal(bytes, 1LL << 30);
    put(head, 4, 4, 2);
    memset(head + 72, 0xff, 40); /* version 2 has nothing there */
    assert_int_equal(check(head, sizeof(head), FILE_BYTES, &bytes, &err), 0);
}

struct damage {
    size_t at, bytes;
    uint64_t value;
    const char *says;
};

static const struct damage damages[] = {
    {0, 4, 0x514649fa, "does not begin"},
    {4, 4, 1, "version"},
    {4, 4, 4, "version"},
    {8, 8, 512, "backing file"},
    {16, 4, 8, "backing file"},
    {20, 4, 8, "cluster size"},
    {20, 4, 22, "cluster size"},
    {20, 4, 0xffffffff, "cluster size"},
    {24, 8, 0, "virtual size"},
    {24, 8, (1ULL << 30) + 1, "virtual size"},
    {24, 8, 1ULL << 63, "virtual size"},
    {32, 4, 1, "encrypted"},
    {36, 4, 1, "L1 table does not fit"},
    {36, 4, 0xffffffff, "L1 table does not fit"},
    {40, 8, 0, "L1 table is not inside"},
    {40, 8, 0x30008, "L1 table is not inside"},
    {40, 8, FILE_BYTES, "L1 table is not inside"},
    {40, 8, 0xffffffffffff0000, "L1 table is not inside"},
    {48, 8, 0, "refcount table"},
    {48, 8, 2 * FILE_BYTES, "refcount table"},
    {56, 4, 0, "refcount table"},
    {56, 4, 0xffffffff, "refcount table"},
    {60, 4, 1, "snapshot table"},
    {60, 4, 0xffffffff, "snapshot table"},
    {72, 8, 1, "dirty"},
    {72, 8, 2, "dirty or corrupt"},
    {72, 8, 4, "external file"},
    {72, 8, 8, "compression"},
    {72, 8, 32, "not known"},
    {72, 8, 1ULL << 63, "not known"},
    {96, 4, 7, "refcounts"},
    {100, 4, 96, "header length"},
    {100, 4, 109, "header length"},
    {100, 4, 1 << 17, "header length"},
    {104, 1, 1, "compression"},
    {104, 1, 2, "compression"},
};

static void test_image_format__refuses_each_damage_and_says_which(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        uint8_t head[IMAGE_HEAD_BYTES];
        int64_t bytes;
        struct err auto_err err = {0};
        good(head);
        put(head, damages[i].at, damages[i].bytes, damages[i].value);
        if (check(head, sizeof(head), FILE_BYTES, &bytes, &err) == 0)
            fail_msg("damage %zu (%s) was taken", i, damages[i].says);
        assert_int_equal(err.code, ERR_BAD_IMAGE);
        if (!strstr(err.msg, damages[i].says))
            fail_msg("damage %zu: \"%s\" does not say %s", i, err.msg, damages[i].says);
    }
}

static void test_image_format__takes_zstd_when_header_and_features_agree(void **state)
{
    (void)state;
    uint8_t head[IMAGE_HEAD_BYTES];
    int64_t bytes;
    struct err auto_err err = {0};
    good(head);
    put(head, 72, 8, 8);
    put(head, 104, 1, 1);
    assert_int_equal(check(head, sizeof(head), FILE_BYTES, &bytes, &err), 0);
}

static void test_image_format__refuses_every_shortened_file(void **state)
{
    (void)state;
    uint8_t head[IMAGE_HEAD_BYTES];
    good(head);
    for (size_t len = 0; len < sizeof(head); len++) {
        uint8_t *exact = xmemdup(head, len ? len : 1); /* so that a sanitizer sees overreads */
        int64_t bytes;
        struct err auto_err err = {0};
        assert_int_equal(check(exact, len, (int64_t)len, &bytes, &err), -1);
        free(exact);
    }
}

static void test_image_format__survives_noise(void **state)
{
    (void)state;
    uint8_t head[IMAGE_HEAD_BYTES];
    for (int i = 0; i < 100000; i++) {
        int64_t bytes = 0;
        struct err auto_err err = {0};
        good(head);
        for (int k = 0; k < 4; k++)
            random_bytes(head + 4 + (size_t)random() % 108, 1);
        if (check(head, sizeof(head), FILE_BYTES, &bytes, &err) == 0)
            assert_true(bytes > 0);
    }
}

static void test_image_format__rounds_raw_up_to_sectors_and_knows_disguise(void **state)
{
    (void)state;
    uint8_t head[IMAGE_HEAD_BYTES];
    int64_t bytes;
    struct err auto_err err = {0};
    memset(head, 0, sizeof(head));
    assert_int_equal(image_format_check(FORMAT_RAW, head, 512, 1000, &bytes, &err), 0);
    assert_int_equal(bytes, 1024);
    assert_int_equal(image_format_check(FORMAT_RAW, head, 0, 0, &bytes, &err), -1);
    good(head);
    assert_int_equal(image_format_check(FORMAT_RAW, head, 512, FILE_BYTES, &bytes, &err), -1);
    assert_non_null(strstr(err.msg, "create it with format qcow2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_format__takes_a_plain_qcow2_of_either_version),
        cmocka_unit_test(test_image_format__refuses_each_damage_and_says_which),
        cmocka_unit_test(test_image_format__takes_zstd_when_header_and_features_agree),
        cmocka_unit_test(test_image_format__refuses_every_shortened_file),
        cmocka_unit_test(test_image_format__survives_noise),
        cmocka_unit_test(test_image_format__rounds_raw_up_to_sectors_and_knows_disguise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
