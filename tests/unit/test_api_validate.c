/* The rules for texts that people choose, each at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/base64.h"
#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/validate.h"

typedef int check_fn(const char *field, const char *text, struct err *err);

static void assert_taken(check_fn *check, const char *text)
{
    struct err auto_err err = {0};
    if (check("/f", text, &err) != 0)
        fail_msg("\"%s\": %s", text, err.msg);
}

static void assert_refused(check_fn *check, const char *text)
{
    struct err auto_err err = {0};
    if (check("/f", text, &err) == 0)
        fail_msg("taken: \"%s\"", text);
    assert_int_equal(err.code, ERR_FIELD);
    assert_string_equal(err.field, "/f");
    assert_memory_equal(err.msg, "f: ", 3);
}

static char *repeat(const char *piece, size_t count)
{
    struct buf out = {0};
    for (size_t i = 0; i < count; i++)
        buf_puts(&out, piece);
    return buf_take(&out);
}

static void test_name__is_a_dns_label(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0", "web1", "a-b", "a--b", "x1-2-3", "123", "xn--a"};
    static const char *const bad[] = {
        "",    "-",   "-a", "a-",       "A",     "aB", "a_b",     "a.b",          " a",   "a ",
        "a b", "a\n", "a/", "\xC3\xA9", "a\x7F", "a*", "caf\xC3", "\xEF\xBD\x81", "../x", "%00"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_taken(validate_name, good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(validate_name, bad[i]);
    autofree char *longest = repeat("a", LIMIT_NAME), *longer = repeat("a", LIMIT_NAME + 1);
    assert_taken(validate_name, longest);
    assert_refused(validate_name, longer);
}

static void test_name__shaped_like_an_id_is_refused(void **state)
{
    (void)state;
    assert_refused(validate_name, "0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a0b");
    assert_refused(validate_name, "00000000-0000-0000-0000-000000000000");
    assert_taken(validate_name, "0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a0");
    assert_taken(validate_name, "0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a0g");
}

static void test_name__tells_limit_and_length(void **state)
{
    (void)state;
    struct err auto_err err = {0};
    autofree char *longer = repeat("a", 64);
    assert_int_equal(validate_name("/name", longer, &err), -1);
    assert_string_equal(err.msg, "name: must be at most 63 bytes, got 64");
    assert_int_equal(validate_name("name", "", &err), -1);
    assert_string_equal(err.msg, "name: must not be empty");
}

static void test_word__is_printable_and_cannot_end_a_quote(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "1.2.3-rc1", "0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a0b"};
    static const char *const bad[] = {"a b", "a\n", "\x1B[2J",  "a\"",
                                      "a'",  "a\\", "\xC3\xA9", "\x7F"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_taken(validate_word, good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(validate_word, bad[i]);
}

static void test_hostname__is_labels_joined_by_dots(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "web1.example.com", "1.2.3.4", "a-b.c"};
    static const char *const bad[] = {"",    ".",   "a.",  ".a",    "a..b", "-a.b",       "a.b-",
                                      "A.b", "a b", "a_b", "a.b\n", "a/b",  "\xC3\xA9.de"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_taken(validate_hostname, good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(validate_hostname, bad[i]);
    autofree char *label = repeat("a", 63), *long_label = repeat("a", 64);
    assert_taken(validate_hostname, label);
    assert_refused(validate_hostname, long_label);
    autofree char *longest = repeat("a.", 126), *longer = repeat("a.", 127);
    autofree char *at_253 = xasprintf("%sa", longest), *at_255 = xasprintf("%sa", longer);
    assert_taken(validate_hostname, at_253);
    assert_refused(validate_hostname, at_255);
}

static void test_label_name__allows_letters_digits_and_four_marks(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "A", "0", "a.b/c_d-e", "app.example.com/role", "aZ9"};
    static const char *const bad[] = {"",  "-a",  "a-",  ".a",  "a.",  "/a",  "a/",
                                      "_", "a b", "a=b", "a,b", "a:b", "a\n", "\xC3\xA9"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_taken(validate_label_name, good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(validate_label_name, bad[i]);
    autofree char *longest = repeat("a", 63), *longer = repeat("a", 64);
    assert_taken(validate_label_name, longest);
    assert_refused(validate_label_name, longer);
}

static void test_label_value__is_any_text_without_control_characters(void **state)
{
    (void)state;
    static const char *const good[] = {"",         " ",       "a b", "\xC3\xA9", "\xF0\x9F\x98\x80",
                                       "=,;'\"\\", "\xC2\xA0"};
    static const char *const bad[] = {"\n",       "a\tb",        "\x1B[31m", "\x7F",
                                      "\xC2\x80", "\xC2\x9B[0m", "a\r",      "\x01"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_taken(validate_label_value, good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(validate_label_value, bad[i]);
    autofree char *longest = repeat("a", 255), *longer = repeat("a", 256);
    assert_taken(validate_label_value, longest);
    assert_refused(validate_label_value, longer);
}

/* ---- keys ---- */

/* Made for this test by ssh-keygen; fingerprints as `ssh-keygen -l` prints them. */
static const struct {
    const char *text;
    const char *fingerprint;
} keys[] = {
    {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGM+/R1qF1cn5+GaAWNck4azXCuvHSRyp5GhpkjAYv+D me@"
     "host",
     "SHA256:hcEpf5AwHnE7fHEQ6Ads2DY+kF2SwJJ8WULMUwPmjsA"},
    {"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCsRrGlGePJ0s9o2Y0OK0RhuHFsdsBiXsFKT3oinHB6MVP5"
     "7nNJ+s4EiRVcam9mFlyDWBCpisKlBiB6AsNgGOY2VmLNPflUPnh3EO4dVNOmz9r2QLOCOHdeAkQQfLGUQe4t"
     "MRdYJHEm3i0e7Jm1u1Y39NQG7SAp094u3jaIJ3y+KabdIF1nNPGy2fViHAbmihTquwaevj7H52mZvxASxMq8"
     "ryjM5asARWBK3H1QvU+MSh7QlAyriFtnw9f5VmTelF3QIhrHh1irwmQns+PSGt/vl4TMvPkMsvABq8nxpE70"
     "7F9ygWTneXHLdQZuaBM50HsZxXBf6Ei35Pmt6QJRAsYV x",
     "SHA256:UopY0mxv7Xo81Rj//tHy4M/1vvlFC+Bgi6qg9Ly0ZsM"},
    {"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGoXc3fgnhj9"
     "INoGRvujwbBPX6xjQ7r3dZ5CnRN05PsFzKJviqcNyzrBQ5TMGy7qtjea7X6aRfjmaMwKrRaVtHc= x",
     "SHA256:iMIm/cybxq9YU/l5QgHoYTInbpxCdU53aZBMaA8/ecs"},
    {"ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBCdPRCWtxrqI"
     "mEayb1zuV9nF1WZ0jZMWAqVkZhPNq4R/SUdXBSOnBBMf/D7/gO+fdHNodlj6fbDVCsrcyXCxMwsNlWb+KSni"
     "1291g71QmHBr3Pjp3Eq9+pBBeo6729mU6A== x",
     "SHA256:4z0AvU/m7w51QxXcAkee72zDI/tHOaaiTT6L8ssTuEM"},
    {"ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAHjAXFNWj79"
     "yN2GTxhcU7FO8bC/Ko6ylYug/BIDnwxjuwgjlONWmeswJ/wTw8Nfe8ff3s4bk+cB+t+swxogA+szJwGcliiv"
     "h1RI6KdlvOgAf5ev/gX+uq+LiHqBnxKXkzeLoNJ7G/J9gvFrrhIq80fTPrD8YLlGqkb6ZRzHqfryy5YH/w=="
     " x",
     "SHA256:kdYJwR4SiXoRxwjiCghOHgjl8XaWKHludeaXcrojjjY"},
};

static void test_public_key__of_every_known_type_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_taken(validate_public_key, keys[i].text);
}

static void test_public_key__may_have_no_comment_or_a_long_one(void **state)
{
    (void)state;
    size_t len = (size_t)(strrchr(keys[0].text, ' ') - keys[0].text);
    autofree char *bare = xstrndup(keys[0].text, len);
    autofree char *wordy = xasprintf("%s and a comment of some words \xC3\xA9", bare);
    assert_taken(validate_public_key, bare);
    assert_taken(validate_public_key, wordy);
}

static void test_public_key__fingerprint_is_that_of_ssh_keygen(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        autofree char *text = public_key_fingerprint(keys[i].text);
        assert_string_equal(text, keys[i].fingerprint);
    }
    autofree char *none = public_key_fingerprint("ssh-ed25519 ???");
    assert_string_equal(none, "");
}

static void test_public_key__is_refused_when_any_part_is_wrong(void **state)
{
    (void)state;
    const char *data = strchr(keys[0].text, ' ') + 1;
    autofree char *other_type = xasprintf("ssh-rsa %s", data);
    autofree char *unknown_type = xasprintf("ssh-dss %s", data);
    autofree char *with_options = xasprintf("command=\"x\" %s", keys[0].text);
    autofree char *two_lines = xasprintf("%s\n%s", keys[0].text, keys[0].text);
    autofree char *ends_in_newline = xasprintf("%s\n", keys[0].text);
    autofree char *no_type = xstrdup(data);
    const char *const bad[] = {"",
                               "ssh-ed25519",
                               "ssh-ed25519 ",
                               "ssh-ed25519  ",
                               "ssh-ed25519 AAAA",
                               "ssh-ed25519 A",
                               "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
                               "ssh-ed25519 !!!!",
                               " ssh-ed25519 AAAA",
                               "-----BEGIN OPENSSH PRIVATE KEY-----",
                               "ssh-ed25519 /////w==",
                               other_type,
                               unknown_type,
                               with_options,
                               two_lines,
                               ends_in_newline,
                               no_type};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(validate_public_key, bad[i]);
}

/* Every shorter blob, and one that is a byte longer. */
static void test_public_key__must_be_whole_and_no_more(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
        const char *data = strchr(keys[k].text, ' ') + 1;
        autofree char *word = xstrndup(data, strcspn(data, " "));
        autofree char *type = xstrndup(keys[k].text, (size_t)(data - 1 - keys[k].text));
        struct buf auto_buf bytes = {0};
        struct err auto_err err = {0};
        assert_int_equal(base64_decode("f", word, &bytes, &err), 0);
        buf_putc(&bytes, 'x');
        for (size_t len = 0; len <= bytes.len; len++) {
            struct buf auto_buf text = {0};
            buf_printf(&text, "%s ", type);
            base64_encode(bytes.data, len, &text);
            assert_int_equal(validate_public_key("/f", text.data, &err) == 0, len == bytes.len - 1);
        }
    }
}

static void test_public_key__is_bounded(void **state)
{
    (void)state;
    autofree char *comment = repeat("x", LIMIT_PUBLIC_KEY);
    autofree char *text = xasprintf("%s %s", keys[0].text, comment);
    struct err auto_err err = {0};
    assert_int_equal(validate_public_key("/key", text, &err), -1);
    assert_non_null(strstr(err.msg, "key: must be at most 16384 bytes, got "));
    text[LIMIT_PUBLIC_KEY] = '\0';
    assert_taken(validate_public_key, text);
}

static void test_private_key__is_called_by_its_name(void **state)
{
    (void)state;
    struct err auto_err err = {0};
    validate_public_key("/key", "-----BEGIN OPENSSH PRIVATE KEY----- b3Bl", &err);
    assert_non_null(strstr(err.msg, "this is a private key"));
    assert_null(strstr(err.msg, "b3Bl"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name__is_a_dns_label),
        cmocka_unit_test(test_name__shaped_like_an_id_is_refused),
        cmocka_unit_test(test_name__tells_limit_and_length),
        cmocka_unit_test(test_word__is_printable_and_cannot_end_a_quote),
        cmocka_unit_test(test_hostname__is_labels_joined_by_dots),
        cmocka_unit_test(test_label_name__allows_letters_digits_and_four_marks),
        cmocka_unit_test(test_label_value__is_any_text_without_control_characters),
        cmocka_unit_test(test_public_key__of_every_known_type_is_taken),
        cmocka_unit_test(test_public_key__may_have_no_comment_or_a_long_one),
        cmocka_unit_test(test_public_key__fingerprint_is_that_of_ssh_keygen),
        cmocka_unit_test(test_public_key__is_refused_when_any_part_is_wrong),
        cmocka_unit_test(test_public_key__must_be_whole_and_no_more),
        cmocka_unit_test(test_public_key__is_bounded),
        cmocka_unit_test(test_private_key__is_called_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
