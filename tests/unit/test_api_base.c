/* The small base: errors, buffers, clock, ids, base64, log, failpoint counting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/base/base64.h"
#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/id.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/base/utf8.h"
#include "api/http/problem.h"
#include "api/json/json.h"

/* ---- err ---- */

static void test_err__table_is_complete_and_its_names_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_CODES; i++) {
        const struct err_info *info = err_info((enum err_code)i);
        assert_non_null(info->name);
        assert_non_null(info->title);
        assert_in_range(info->status, 200, 599);
        assert_in_range(info->exit_code, 0, 7);
        assert_int_equal(i == ERR_NONE, info->exit_code == 0);
        if (i != ERR_NONE)
            assert_int_equal(err_code_from_name(info->name), i);
    }
    assert_int_equal(err_code_from_name("no_such_code"), ERR_INTERNAL);
    assert_int_equal(err_code_from_name(NULL), ERR_INTERNAL);
    assert_ptr_equal(err_info((enum err_code)4711), err_info(ERR_INTERNAL));
    assert_ptr_equal(err_info((enum err_code) - 1), err_info(ERR_INTERNAL));
}

static void test_err__context_stands_before_the_message(void **state)
{
    (void)state;
    struct err auto_err err = {0};
    errno = ENOENT;
    assert_int_equal(err_errno(&err, "cannot open %s", "x"), -1);
    assert_int_equal(err_context(&err, "starting %d", 1), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_string_equal(err.msg, "starting 1: cannot open x: No such file or directory");
}

static void test_err__may_be_refilled_from_itself(void **state)
{
    (void)state;
    struct err auto_err err = {0};
    err_field(&err, "/a", "one");
    err_field(&err, err.field, "two after %s", err.msg);
    assert_string_equal(err.field, "/a");
    assert_string_equal(err.msg, "two after one");
}

static void test_err__replaces_all_that_it_held(void **state)
{
    (void)state;
    struct err auto_err err = {0}, auto_err other = {0};
    err_field(&err, "/a", "one");
    err.more = xstrdup("{}");
    err_set(&err, ERR_CONFLICT, "two");
    assert_string_equal(err.field, "");
    assert_null(err.more);
    err.more = xstrdup("{}");
    other.more = xstrdup("{}");
    err_move(&other, &err);
    assert_int_equal(other.code, ERR_CONFLICT);
    assert_int_equal(err.code, ERR_NONE);
    assert_null(err.more);
}

static void test_err__cuts_long_messages_between_characters(void **state)
{
    (void)state;
    struct buf auto_buf text = {0};
    while (text.len < 2 * ERR_MSG_MAX)
        buf_puts(&text, "\xE2\x82\xAC");
    struct err auto_err err = {0};
    err_set(&err, ERR_INVALID, "%s", text.data);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
    err_set(&err, ERR_INVALID, "x%s", text.data);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 3);
    err_context(&err, "y");
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 3);
}

static void test_err__problem_is_json_with_the_members_of_more(void **state)
{
    (void)state;
    struct err auto_err err = {0}, auto_err none = {0};
    struct buf auto_buf out = {0};
    err_field(&err, "/name", "name: got \"\x01\xFF\"");
    err.more = xstrdup(" { \"hosts\": [1,2] } ");
    err_problem(&err, "0123456789abcdef", &out);
    assert_string_equal(
        out.data, "{\"type\":\"urn:minicloud:problem:invalid_field\","
                  "\"title\":\"A field has a value that is not allowed\",\"status\":400,"
                  "\"code\":\"invalid_field\",\"detail\":\"name: got \\\"\\u0001\xEF\xBF\xBD\\\"\","
                  "\"field\":\"/name\",\"request_id\":\"0123456789abcdef\","
                  "\"hosts\": [1,2] }");
    assert_int_equal(json_check(out.data, out.len, &none), 0);
}

static void test_err__problem_without_field_or_more(void **state)
{
    (void)state;
    static const char *const empties[] = {NULL, "{}", "{ }", "", "x"};
    for (size_t i = 0; i < ARRAY_SIZE(empties); i++) {
        struct err auto_err err = {0};
        struct buf auto_buf out = {0};
        err_set(&err, ERR_NOT_FOUND, "no instance \"x\"");
        err.more = xstrdup(empties[i]);
        err_problem(&err, NULL, &out);
        assert_string_equal(out.data,
                            "{\"type\":\"urn:minicloud:problem:not_found\","
                            "\"title\":\"There is no such thing\",\"status\":404,"
                            "\"code\":\"not_found\",\"detail\":\"no instance \\\"x\\\"\"}");
    }
}

/* ---- mem and buf ---- */

static void test_mem__copies_and_hands_over(void **state)
{
    (void)state;
    assert_null(xstrdup(NULL));
    autofree char *part = xstrndup("abcdef", 3);
    assert_string_equal(part, "abc");
    autofree char *empty = xstrndup(NULL, 0);
    assert_string_equal(empty, "");
    autofree char *made = xasprintf("%d-%s", 7, part);
    assert_string_equal(made, "7-abc");
    char *taken = take(made);
    assert_null(made);
    free(taken);
    autofree void *nothing = xmalloc(0);
    autofree void *none = xcalloc(0, 0);
    assert_non_null(nothing);
    assert_non_null(none);
}

static void test_buf__adds_in_every_way(void **state)
{
    (void)state;
    struct buf auto_buf buf = {0};
    buf_add(&buf, NULL, 0);
    assert_string_equal(buf.data, "");
    buf_add(&buf, "a\0b", 3);
    buf_putc(&buf, 'c');
    buf_puts(&buf, "d");
    assert_memory_equal(buf.data, "a\0bcd", 6);
    buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    buf_printf(&buf, "%s-%03d", "x", 7);
    assert_string_equal(buf.data, "x-007");
    char *text = buf_take(&buf);
    assert_string_equal(text, "x-007");
    free(text);
    assert_null(buf.data);
    text = buf_take(&buf);
    assert_string_equal(text, "");
    free(text);
}

static void test_buf__prints_texts_longer_than_its_room(void **state)
{
    (void)state;
    for (size_t len = 0; len < 1200; len++) {
        struct buf auto_buf buf = {0};
        buf_printf(&buf, "%*d|", (int)len, 5);
        assert_int_equal(buf.len, (len ? len : 1) + 1);
        assert_int_equal(strlen(buf.data), buf.len);
        assert_int_equal(buf.data[buf.len - 1], '|');
    }
}

static void test_buf__prints_every_integer_as_printf_does(void **state)
{
    (void)state;
    static const long long values[] = {0,  1,   -1,   9,         10,        -10,
                                       99, 100, 4711, LLONG_MAX, LLONG_MIN, LLONG_MIN + 1};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        struct buf auto_buf buf = {0};
        autofree char *wanted = xasprintf("%lld", values[i]);
        buf_i64(&buf, values[i]);
        assert_string_equal(buf.data, wanted);
    }
}

static void test_utf8__cuts_only_between_characters(void **state)
{
    (void)state;
    static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    static const size_t wanted[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    for (size_t max = 0; max < ARRAY_SIZE(wanted); max++)
        assert_int_equal(utf8_cut(text, sizeof(text) - 1, max), wanted[max]);
    assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
}

/* ---- clock ---- */

static void test_clock__formats_what_gmtime_says(void **state)
{
    (void)state;
    for (int64_t s = -70000000000; s < 260000000000; s += 86399 * 997) {
        int64_t ms = s * 1000 + 7;
        char got[CLOCK_TEXT_MAX], wanted[CLOCK_TEXT_MAX];
        time_t seconds = (time_t)s;
        struct tm parts;
        gmtime_r(&seconds, &parts);
        if (parts.tm_year + 1900 < 0 || parts.tm_year + 1900 > 9999)
            continue;
        strftime(wanted, sizeof(wanted), "-%m-%dT%H:%M:%S.007Z", &parts);
        autofree char *whole = xasprintf("%04d%s", parts.tm_year + 1900, wanted);
        clock_format(ms, got);
        assert_string_equal(got, whole);
        int64_t back;
        assert_int_equal(clock_parse(got, &back), 0);
        assert_true(back == ms);
    }
}

static void test_clock__formats_the_edges(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1769860800123, "2026-01-31T12:00:00.123Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[CLOCK_TEXT_MAX];
        clock_format(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_clock__parses_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00.5z", 500},
        {"1970-01-01T00:00:00.1239999999999Z", 123},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T22:30:00.25-01:30", 250},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"0000-01-01T00:00:00Z", -62167219200000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t ms = 1;
        if (clock_parse(cases[i].text, &ms) != 0)
            fail_msg("%s", cases[i].text);
        assert_true(ms == cases[i].ms);
    }
}

static void test_clock__refuses_what_is_no_rfc_3339(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00 Z",
        "2026-1-31T12:00:00Z",
        "26-01-31T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z",
        "2026-01-00T12:00:00Z",
        "2026-01-32T12:00:00Z",
        "2026-04-31T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2024-02-30T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00+1:00",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:60",
        "2026-01-31T12:00:00ZZ",
        "2026-01-31T12:00:00Z ",
        " 2026-01-31T12:00:00Z",
        "+2026-01-31T12:00:00Z",
        "2026-01-31T-1:00:00Z",
        "1769860800",
        "now",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int64_t ms;
        if (clock_parse(bad[i], &ms) == 0)
            fail_msg("taken: %s", bad[i]);
    }
}

static void test_clock__boot_id_has_the_shape_of_an_id(void **state)
{
    (void)state;
    char text[BOOT_ID_MAX];
    clock_boot_id(text);
    assert_true(id_valid(text));
    assert_true(clock_boottime_ms() > 0);
    assert_true(clock_mono_ns() > 0);
    assert_true(clock_wall_ms() > 1700000000000);
}

/* ---- ids and hashes ---- */

static void test_id__is_a_version_7_uuid_of_now(void **state)
{
    (void)state;
    char text[ID_TEXT_MAX];
    int64_t before = clock_wall_ms();
    id_new(text);
    int64_t after = clock_wall_ms();
    assert_true(id_valid(text));
    assert_int_equal(text[14], '7');
    assert_non_null(strchr("89ab", text[19]));
    char digits[13] = {0};
    memcpy(digits, text, 8);
    memcpy(digits + 8, text + 9, 4);
    int64_t ms = strtoll(digits, NULL, 16);
    assert_true(ms >= before && ms <= after + 1);
}

static void test_id__of_one_process_keep_their_order(void **state)
{
    (void)state;
    char last[ID_TEXT_MAX] = "", next[ID_TEXT_MAX];
    for (int i = 0; i < 50000; i++) {
        id_new(next);
        assert_true(strcmp(last, next) < 0);
        memcpy(last, next, sizeof(last));
    }
}

enum { THREADS = 4, IDS = 5000 };
static char ids[THREADS][IDS][ID_TEXT_MAX];

static void *make_ids(void *list)
{
    char(*out)[ID_TEXT_MAX] = list;
    for (int i = 0; i < IDS; i++)
        id_new(out[i]);
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 18); /* time and counter, without the random part */
}

static void test_id__of_several_threads_never_share_a_stamp(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_ids, ids[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char(*all)[ID_TEXT_MAX] = ids[0];
    qsort(all, (size_t)THREADS * IDS, ID_TEXT_MAX, compare_ids);
    for (int i = 1; i < THREADS * IDS; i++)
        assert_true(memcmp(all[i - 1], all[i], 18) < 0);
}

static void test_id__shape_is_judged_exactly(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a0",
                                      "0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a0b0",
                                      "0190b6a81c2d-7e3f-8a4b-5c6d7e8f9a0bb-",
                                      "0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a0g",
                                      "{0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a}",
                                      "0190b6a8x1c2d-7e3f-8a4b-5c6d7e8f9a0b"};
    assert_true(id_valid("0190b6a8-1c2d-7e3f-8a4b-5c6d7e8f9a0b"));
    assert_true(id_valid("0190B6A8-1C2D-7E3F-8A4B-5C6D7E8F9A0B"));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(id_valid(bad[i]));
}

static void test_sha256__agrees_with_the_published_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *hash;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t hash[SHA256_BYTES], again[SHA256_BYTES];
        char text[SHA256_TEXT_MAX];
        sha256(cases[i].text, strlen(cases[i].text), hash);
        sha256_text(hash, text);
        assert_string_equal(text, cases[i].hash);
        struct sha256_stream *stream = sha256_new();
        for (const char *c = cases[i].text; *c; c++)
            sha256_update(stream, c, 1);
        sha256_finish(stream, again);
        assert_memory_equal(hash, again, SHA256_BYTES);
        assert_int_equal(sha256_parse(text, again), 0);
        assert_memory_equal(hash, again, SHA256_BYTES);
    }
    sha256_free(sha256_new());
    sha256_free(NULL);
}

static void test_hmac__agrees_with_the_published_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *key, *text, *hex; /* RFC 4231, cases 1 and 2 */
    } cases[] = {
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
         "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t hash[SHA256_BYTES];
        char text[SHA256_TEXT_MAX];
        hmac_sha256(cases[i].key, strlen(cases[i].key), cases[i].text, strlen(cases[i].text), hash);
        sha256_text(hash, text);
        assert_string_equal(text, cases[i].hex);
    }
}

static void test_sha256__text_is_64_hex_digits_of_either_case(void **state)
{
    (void)state;
    uint8_t hash[SHA256_BYTES];
    const char *upper = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    assert_int_equal(sha256_parse(upper, hash), 0);
    assert_int_equal(hash[0], 0xBA);
    assert_int_equal(sha256_parse("", hash), -1);
    assert_int_equal(sha256_parse(upper + 1, hash), -1);
    autofree char *longer = xasprintf("%s0", upper), *wrong = xstrdup(upper);
    wrong[63] = 'g';
    assert_int_equal(sha256_parse(longer, hash), -1);
    assert_int_equal(sha256_parse(wrong, hash), -1);
}

static void test_secret__has_a_prefix_and_256_random_bits(void **state)
{
    (void)state;
    char one[SECRET_TEXT_MAX], two[SECRET_TEXT_MAX];
    secret_new('t', one);
    secret_new('t', two);
    assert_memory_equal(one, "mc_t_", 5);
    assert_int_equal(strlen(one), 5 + 43);
    assert_int_equal(strspn(one + 5,
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                            "-_"),
                     43);
    assert_string_not_equal(one, two);
}

static void test_base64__agrees_with_rfc_4648(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xFB\xFF\xFE", "+//+"}};
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct buf auto_buf coded = {0}, auto_buf plain = {0};
        struct err auto_err err = {0};
        base64_encode(pairs[i][0], strlen(pairs[i][0]), &coded);
        assert_string_equal(coded.data, pairs[i][1]);
        assert_int_equal(base64_decode("f", pairs[i][1], &plain, &err), 0);
        assert_int_equal(plain.len, strlen(pairs[i][0]));
        assert_memory_equal(plain.data, pairs[i][0], plain.len);
    }
}

static void test_base64__refuses_all_but_one_text_for_each_value(void **state)
{
    (void)state;
    static const char *const bad[] = {"A",
                                      "AA",
                                      "AAA",
                                      "=",
                                      "==",
                                      "====",
                                      "A===",
                                      "Zh==",
                                      "Zm9=",
                                      "Zg=A",
                                      "Z=g=",
                                      "Zg==Zg==",
                                      "Zm 9",
                                      "Zm9\n",
                                      "Zm9-",
                                      "Zm9_",
                                      "Zg==\n",
                                      "AAAA=",
                                      "\xC3\xA9\xC3\xA9",
                                      "AA=A"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct buf auto_buf plain = {0};
        struct err auto_err err = {0};
        if (base64_decode("/user_data", bad[i], &plain, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(err.field, "/user_data");
        assert_memory_equal(err.msg, "user_data: ", 11);
    }
}

/* ---- log ---- */

static void test_log__writes_one_line_and_no_control_characters(void **state)
{
    (void)state;
    int pipes[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    log_debug("test.hidden", "%s", "below the level");
    log_info("test.shown", "a=\"%s\"", "x\ny\x1B[0m\x7F\xC3\xA9");
    log_set_level(LOG_ERROR);
    log_warn("test.hidden", "%s", "");
    log_error("test.bare", "%s", "");
    log_set_level(LOG_INFO);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipes[1]);
    char text[512] = "";
    ssize_t len = read(pipes[0], text, sizeof(text) - 1);
    close(pipes[0]);
    assert_true(len > 0);
    assert_memory_equal(text, "time=2", 6);
    assert_non_null(strstr(text, "Z level=info event=test.shown a=\"x\\ny\\x1b[0m\\x7f\xC3\xA9\"\n"
                                 "time="));
    assert_non_null(strstr(text, "Z level=error event=test.bare\n"));
    assert_null(strstr(text, "hidden"));
}

/* ---- failpoint ---- */

static void *pass_sites(void *unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++) {
        struct err auto_err err = {0};
        autofree char *site = xasprintf("base.site:%d", i % 50);
        assert_int_equal(FAILPOINT(site, &err), 0);
        FAILPOINT_VOID("base.void");
    }
    return NULL;
}

static void test_failpoint__counts_every_site_on_every_thread(void **state)
{
    (void)state;
    char path[] = "/tmp/minicloud-failpoint-XXXXXX";
    autoclose int fd = mkstemp(path);
    setenv("MINICLOUD_FAILPOINT_LOG", path, 1);
    failpoint_init();
    unsetenv("MINICLOUD_FAILPOINT_LOG");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pass_sites, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    failpoint_armed = false;
    autofree char *text = xcalloc(1, 1 << 17);
    assert_true(read(fd, text, (1 << 17) - 1) > 0);
    unlink(path);
    size_t lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, THREADS * 400);
    assert_non_null(strstr(text, "base.void 800\n"));
    assert_non_null(strstr(text, "base.site:49 16\n"));
    assert_null(strstr(text, "base.site:49 17\n"));
}

static void test_failpoint__off_costs_no_call(void **state)
{
    (void)state;
    failpoint_armed = false;
    assert_int_equal(FAILPOINT(NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__table_is_complete_and_its_names_are_unique),
        cmocka_unit_test(test_err__context_stands_before_the_message),
        cmocka_unit_test(test_err__may_be_refilled_from_itself),
        cmocka_unit_test(test_err__replaces_all_that_it_held),
        cmocka_unit_test(test_err__cuts_long_messages_between_characters),
        cmocka_unit_test(test_err__problem_is_json_with_the_members_of_more),
        cmocka_unit_test(test_err__problem_without_field_or_more),
        cmocka_unit_test(test_mem__copies_and_hands_over),
        cmocka_unit_test(test_buf__adds_in_every_way),
        cmocka_unit_test(test_buf__prints_texts_longer_than_its_room),
        cmocka_unit_test(test_buf__prints_every_integer_as_printf_does),
        cmocka_unit_test(test_utf8__cuts_only_between_characters),
        cmocka_unit_test(test_clock__formats_what_gmtime_says),
        cmocka_unit_test(test_clock__formats_the_edges),
        cmocka_unit_test(test_clock__parses_rfc_3339),
        cmocka_unit_test(test_clock__refuses_what_is_no_rfc_3339),
        cmocka_unit_test(test_clock__boot_id_has_the_shape_of_an_id),
        cmocka_unit_test(test_id__is_a_version_7_uuid_of_now),
        cmocka_unit_test(test_id__of_one_process_keep_their_order),
        cmocka_unit_test(test_id__of_several_threads_never_share_a_stamp),
        cmocka_unit_test(test_id__shape_is_judged_exactly),
        cmocka_unit_test(test_sha256__agrees_with_the_published_vectors),
        cmocka_unit_test(test_hmac__agrees_with_the_published_vectors),
        cmocka_unit_test(test_sha256__text_is_64_hex_digits_of_either_case),
        cmocka_unit_test(test_secret__has_a_prefix_and_256_random_bits),
        cmocka_unit_test(test_base64__agrees_with_rfc_4648),
        cmocka_unit_test(test_base64__refuses_all_but_one_text_for_each_value),
        cmocka_unit_test(test_log__writes_one_line_and_no_control_characters),
        cmocka_unit_test(test_failpoint__counts_every_site_on_every_thread),
        cmocka_unit_test(test_failpoint__off_costs_no_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
