/* The strict JSON reader and the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/http/problem.h"
#include "api/json/json.h"
#include "tests/unit/json_corpus.h"

/* ---- helpers ---- */

/* The text in a block of exactly its size, so that a sanitizer sees a read past it. */
static int check_exact(const char *text, size_t len, struct err *err)
{
    autofree char *copy = xmemdup(text, len);
    return json_check(copy, len, err);
}

static struct json *parse(const char *text)
{
    struct err auto_err err = {0};
    struct json *root = NULL;
    if (json_parse(text, strlen(text), &root, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    return root;
}

static void assert_error(const char *text, enum err_code code, const char *field, const char *msg)
{
    struct err auto_err err = {0};
    assert_int_equal(json_check(text, strlen(text), &err), -1);
    assert_int_equal(err.code, code);
    assert_string_equal(err.field, field);
    assert_string_equal(err.msg, msg);
}

static void assert_prints(const char *text, bool canonical, const char *wanted)
{
    struct json auto_json *root = parse(text);
    struct buf auto_buf out = {0};
    json_print(root, canonical, &out);
    assert_string_equal(out.data, wanted);
}

/* ---- the check ---- */

static void test_json__takes_every_valid_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(json_valid); i++) {
        struct err auto_err err = {0};
        struct json auto_json *root = NULL;
        const struct json_case *c = &json_valid[i];
        if (check_exact(c->text, c->len, &err) != 0 || json_parse(c->text, c->len, &root, &err))
            fail_msg("%s: %s", c->name, err.msg);
    }
}

static void assert_all_refused(const struct json_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err auto_err err = {0};
        if (check_exact(cases[i].text, cases[i].len, &err) == 0)
            fail_msg("taken: %s", cases[i].name);
        assert_true(err.code == ERR_INVALID || err.code == ERR_FIELD);
        assert_true(err.msg[0]);
    }
}

static void test_json__refuses_every_invalid_text(void **state)
{
    (void)state;
    assert_all_refused(json_invalid, ARRAY_SIZE(json_invalid));
}

static void test_json__refuses_what_lies_beyond_its_bounds(void **state)
{
    (void)state;
    assert_all_refused(json_beyond_bounds, ARRAY_SIZE(json_beyond_bounds));
}

static void test_json__refuses_every_proper_beginning_of_an_object(void **state)
{
    (void)state;
    static const char text[] = "{\"a\\u00e9\": [1.5e+3, true, null, \"\\uD83D\\uDE00\xC3\xA9\"]}";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct err auto_err err = {0};
        assert_int_equal(check_exact(text, len, &err), -1);
    }
    struct err auto_err err = {0};
    assert_int_equal(check_exact(text, sizeof(text) - 1, &err), 0);
}

static void test_json__refuses_every_control_character_in_a_string(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        struct err auto_err err = {0};
        const char text[] = {'"', (char)c, '"'};
        bool wanted = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        assert_int_equal(check_exact(text, 3, &err) == 0, wanted);
    }
}

/* Against the definition, not against the table that the code uses. */
static void test_json__takes_exactly_the_sequences_that_encode_scalar_values(void **state)
{
    (void)state;
    size_t taken = 0;
    for (uint32_t bytes = 0; bytes < 0x1000000; bytes += 1 + bytes % 7) {
        const unsigned char b[] = {(unsigned char)(0x80 | bytes >> 16), (unsigned char)(bytes >> 8),
                                   (unsigned char)bytes};
        uint32_t point = (b[0] & 15u) << 12 | (b[1] & 63u) << 6 | (b[2] & 63u);
        bool three = (b[0] & 0xF0) == 0xE0 && (b[1] & 0xC0) == 0x80 && (b[2] & 0xC0) == 0x80 &&
                     point >= 0x800 && (point < 0xD800 || point > 0xDFFF);
        if ((b[0] & 0xF0) != 0xE0)
            continue;
        char text[5] = {'"', (char)b[0], (char)b[1], (char)b[2], '"'};
        struct err auto_err err = {0};
        bool got = json_check(text, 5, &err) == 0;
        taken += got;
        assert_int_equal(got, three);
    }
    assert_true(taken > 1000);
}

static void test_json__says_line_and_column_of_an_error(void **state)
{
    (void)state;
    assert_error("", ERR_INVALID, "", "not valid JSON: line 1, column 1: the text ends too early");
    assert_error("{\n  \"a\": 1,\n}", ERR_INVALID, "",
                 "not valid JSON: line 3, column 1: expected a member's name in double quotes");
    assert_error("[\"\xC3\xA9\" x]", ERR_INVALID, "",
                 "not valid JSON: line 1, column 6: expected ',' or ']'");
    assert_error("[\"abc", ERR_INVALID, "",
                 "not valid JSON: line 1, column 2: this string has no closing quote");
}

static void test_json__names_a_duplicate_by_its_pointer(void **state)
{
    (void)state;
    assert_error("{\"a\":[0,{\"b/c~\":1,\"b\\/c~\":2}]}", ERR_FIELD, "/a/1/b~1c~0",
                 "a/1/b~1c~0: this name stands twice in its object");
}

static void test_json__refuses_duplicate_names_after_unescaping(void **state)
{
    (void)state;
    assert_error("{\"a\":1,\"\\u0061\":2}", ERR_FIELD, "/a",
                 "a: this name stands twice in its object");
}

static void test_json__names_a_number_out_of_range_by_its_pointer(void **state)
{
    (void)state;
    assert_error("{\"a\":[1,9007199254740992]}", ERR_FIELD, "/a/1",
                 "a/1: integers must be from -9007199254740991 to 9007199254740991");
    assert_error("{\"a\":1e400}", ERR_FIELD, "/a", "a: the number is too large for a double");
}

static void test_json__cuts_a_pointer_that_is_too_long_between_characters(void **state)
{
    (void)state;
    struct buf auto_buf text = {0};
    buf_puts(&text, "{\"");
    for (int i = 0; i < 100; i++)
        buf_puts(&text, "\xC3\xA9");
    buf_puts(&text, "\":1e999}");
    struct err auto_err err = {0};
    assert_int_equal(json_check(text.data, text.len, &err), -1);
    assert_int_equal(strlen(err.field), ERR_FIELD_MAX - 1);
    struct buf auto_buf problem = {0};
    err_problem(&err, NULL, &problem);
    struct err auto_err none = {0};
    assert_int_equal(json_check(problem.data, problem.len, &none), 0);
    assert_null(strstr(problem.data, "\xEF\xBF\xBD"));
}

/* ---- size ---- */

/* The thread's own work, whatever else the machine does. */
static int64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void test_json__finds_a_duplicate_among_many_names_in_little_time(void **state)
{
    (void)state;
    struct buf auto_buf text = {0};
    buf_putc(&text, '{');
    for (int i = 0; i < 90000; i++)
        buf_printf(&text, "\"name%d\":0,", i);
    size_t len = text.len;
    int64_t start = thread_cpu_ns();
    struct err auto_err err = {0};
    buf_puts(&text, "\"other\":0}");
    assert_int_equal(json_check(text.data, text.len, &err), 0);
    text.len = len;
    buf_puts(&text, "\"name\\u0034711\":0}");
    assert_int_equal(json_check(text.data, text.len, &err), -1);
    assert_string_equal(err.field, "/name4711");
    /* All pairs would be eight thousand million comparisons. */
    assert_true(thread_cpu_ns() - start < 4000000000);
}

static void test_json__refuses_more_values_than_its_limit(void **state)
{
    (void)state;
    struct buf auto_buf text = {0};
    buf_putc(&text, '[');
    for (int i = 0; i < LIMIT_JSON_ITEMS - 2; i++)
        buf_puts(&text, "0,");
    struct err auto_err err = {0};
    size_t len = text.len;
    buf_puts(&text, "0]");
    assert_int_equal(json_check(text.data, text.len, &err), 0);
    text.len = len;
    buf_puts(&text, "0,0]");
    assert_int_equal(json_check(text.data, text.len, &err), -1);
    assert_non_null(strstr(err.msg, "100000"));
}

static void test_json__survives_nesting_bombs(void **state)
{
    (void)state;
    enum { BOMB = 1000000 };
    static const char *const units[] = {"[", "{\"a\":", "[{\"\":"};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        struct buf auto_buf text = {0};
        while (text.len < BOMB)
            buf_puts(&text, units[i]);
        struct err auto_err err = {0};
        assert_int_equal(json_check(text.data, text.len, &err), -1);
        assert_non_null(strstr(err.msg, "nested too deeply: at most 16"));
    }
}

/* ---- the tree ---- */

static void test_json__gets_members_by_their_exact_name(void **state)
{
    (void)state;
    struct json auto_json *root = parse("{\"A\":1,\"a\":2,\"\\u00e9\":\"x\"}");
    int64_t value = 0;
    assert_true(json_i64(json_get(root, "a"), &value));
    assert_int_equal(value, 2);
    assert_true(json_i64(json_get(root, "A"), &value));
    assert_int_equal(value, 1);
    assert_string_equal(json_str(json_get(root, "\xC3\xA9")), "x");
    assert_null(json_get(root, "b"));
    assert_null(json_get(NULL, "b"));
    assert_null(json_str(NULL));
}

static void test_json__walks_arrays_and_objects_in_order(void **state)
{
    (void)state;
    struct json auto_json *root = parse("{\"list\":[1,\"two\",null,true,{}],\"end\":false}");
    static const enum json_type types[] = {JSON_NUMBER, JSON_STRING, JSON_NULL, JSON_BOOL,
                                           JSON_OBJECT};
    struct json *list = json_first(root);
    assert_string_equal(json_name(list), "list");
    assert_int_equal(json_count(list), ARRAY_SIZE(types));
    size_t i = 0;
    for (struct json *item = json_first(list); item; item = json_next(item))
        assert_int_equal(json_type(item), types[i++]);
    bool flag = true;
    assert_true(json_bool(json_next(list), &flag));
    assert_false(flag);
    assert_false(json_bool(list, &flag));
    assert_string_equal(json_type_name(JSON_OBJECT), "an object");
}

static void test_json__reads_integers_exactly_up_to_2_to_the_53(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"9007199254740991", true, 9007199254740991},
        {"-9007199254740991", true, -9007199254740991},
        {"-0", true, 0},
        {"1e3", true, 1000},
        {"1.0", true, 1},
        {"1.5", false, 0},
        {"1e300", false, 0},
        {"9.1e15", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct json auto_json *root = parse(cases[i].text);
        int64_t value = 0;
        assert_int_equal(json_i64(root, &value), cases[i].ok);
        if (cases[i].ok)
            assert_int_equal(value, cases[i].value);
    }
}

static void test_json__parses_numbers_alike_in_every_locale(void **state)
{
    (void)state;
    /* Not every machine has this locale; where it is missing the test still holds. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    assert_prints("[1.5,0.001,1e-7]", false, "[1.5,0.001,1e-07]");
    setlocale(LC_ALL, "C");
}

static void test_json__prints_sorted_names_when_canonical(void **state)
{
    (void)state;
    const char *text = "{\"b\":[{\"z\":1,\"a\":2}],\"a\":\"\\u0007\\/\",\"B\":-0}";
    assert_prints(text, false, "{\"b\":[{\"z\":1,\"a\":2}],\"a\":\"\\u0007/\",\"B\":0}");
    assert_prints(text, true, "{\"B\":0,\"a\":\"\\u0007/\",\"b\":[{\"a\":2,\"z\":1}]}");
    assert_prints("[]", true, "[]");
    assert_prints(" { } ", true, "{}");
}

static void test_json__prints_doubles_that_read_back_the_same(void **state)
{
    (void)state;
    assert_prints("[0.1,1.7976931348623157e308,5e-324,0.30000000000000004,1e21]", false,
                  "[0.1,1.7976931348623157e+308,4.94065645841247e-324,0.30000000000000004,1e+21]");
}

/* ---- mutations ---- */

static uint64_t random_state;

/* xorshift64*: the same texts in every run. */
static uint32_t next_random(uint32_t below)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1D) >> 32) % below;
}

static const char *const seeds[] = {
    "{\"name\":\"web1\",\"vcpus\":2,\"labels\":{\"a\":\"b\",\"c\":\"\"},\"keys\":[\"x\",\"y\"]}",
    "[0,-0,1.5,1e3,-1E-2,9007199254740991,1e308]",
    "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
    "\"\\uD83D\\uDE00\\\"\\\\\\/\\b\\f\\n\\r\\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
    "{\"a\":{\"a\":{\"a\":[true,false,null]}},\"b\":{},\"c\":[]}",
};

static void mutate(struct buf *text)
{
    static const char pieces[] = "{}[]\",:\\u0eE+-.19tfn \n\t\xC3\xA9\xED\xA0\x80\xFF";
    size_t at = next_random((uint32_t)text->len + 1);
    switch (next_random(4)) {
    case 0: /* another byte */
        if (at < text->len)
            text->data[at] = pieces[next_random(sizeof(pieces))];
        return;
    case 1: /* one byte less */
        if (at < text->len) {
            memmove(text->data + at, text->data + at + 1, text->len - at);
            text->len--;
        }
        return;
    case 2: /* one byte more */
        buf_putc(text, ' ');
        memmove(text->data + at + 1, text->data + at, text->len - 1 - at);
        text->data[at] = pieces[next_random(sizeof(pieces))];
        return;
    default: /* some of it twice */
        if (text->len < 400 && at < text->len) {
            autofree char *copy = xmemdup(text->data + at, text->len - at);
            buf_add(text, copy, text->len - at);
        }
    }
}

/* What the check takes, cJSON takes, and what we print of it is a fixed point. */
static bool compare_check_and_tree(const char *text, size_t len)
{
    struct err auto_err err = {0}, auto_err again = {0};
    struct json auto_json *root = NULL, auto_json *second = NULL;
    autofree char *exact = xmemdup(text, len);
    bool checked = json_check(exact, len, &err) == 0;
    bool parsed = json_parse(exact, len, &root, &again) == 0;
    assert_int_equal(checked, parsed);
    assert_int_equal(err.code, again.code);
    if (!parsed)
        return false;
    struct buf auto_buf once = {0}, auto_buf twice = {0};
    json_print(root, true, &once);
    if (json_parse(once.data, once.len, &second, &err) != 0)
        fail_msg("%s: %s", once.data, err.msg);
    json_print(second, true, &twice);
    assert_string_equal(once.data, twice.data);
    return true;
}

static void test_json__check_and_tree_agree_on_mutated_texts(void **state)
{
    (void)state;
    size_t taken = 0, refused = 0;
    random_state = 0x6D696E69636C6F75;
    for (int round = 0; round < 40000; round++) {
        struct buf auto_buf text = {0};
        buf_puts(&text, seeds[round % (int)ARRAY_SIZE(seeds)]);
        for (uint32_t i = next_random(4); i > 0; i--)
            mutate(&text);
        if (compare_check_and_tree(text.data, text.len))
            taken++;
        else
            refused++;
    }
    assert_true(taken > 1000);
    assert_true(refused > 1000);
}

/* ---- the writer ---- */

static void test_json_writer__puts_commas_where_they_belong(void **state)
{
    (void)state;
    struct buf auto_buf out = {0};
    struct json_writer w = JSON_WRITER(&out);
    json_open(&w, NULL, '{');
    json_put_str(&w, "a", "x");
    json_put_str(&w, "none", NULL);
    json_open(&w, "list", '[');
    json_put_i64(&w, NULL, INT64_MIN);
    json_put_bool(&w, NULL, true);
    json_open(&w, NULL, '{');
    json_close(&w, '}');
    json_open(&w, NULL, '[');
    json_close(&w, ']');
    json_close(&w, ']');
    json_put_key(&w, "k\"ey");
    json_put_null(&w, NULL);
    json_put_time(&w, "never", 0);
    json_put_time(&w, "then", 1);
    json_put_raw(&w, "raw", "[1]xx", 3);
    json_close(&w, '}');
    assert_string_equal(out.data,
                        "{\"a\":\"x\",\"none\":null,\"list\":[-9007199254740991,true,{},[]],"
                        "\"k\\\"ey\":null,\"never\":null,\"then\":\"1970-01-01T00:00:00.001Z\","
                        "\"raw\":[1]}");
}

static void test_json_writer__escapes_what_must_be_and_nothing_else(void **state)
{
    (void)state;
    struct buf auto_buf out = {0};
    struct json_writer w = JSON_WRITER(&out);
    json_put_str(&w, NULL, "a\"b\\c/d\b\f\n\r\t\x01\x1F\x7F\xC3\xA9\xF0\x9F\x98\x80");
    assert_string_equal(out.data, "\"a\\\"b\\\\c/d\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\xC3\xA9\xF0\x9F"
                                  "\x98\x80\"");
}

static void test_json_writer__replaces_what_is_no_utf_8(void **state)
{
    (void)state;
    struct buf auto_buf out = {0};
    struct json_writer w = JSON_WRITER(&out);
    json_put_strn(&w, NULL, "a\xFF\xC3(\xE2\x82\0z\xED\xA0\x80", 11);
    assert_string_equal(out.data, "\"a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                                  "z\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void test_json_writer__writes_what_the_reader_takes_for_any_bytes(void **state)
{
    (void)state;
    random_state = 0x77726974;
    for (int round = 0; round < 5000; round++) {
        char bytes[64];
        size_t len = next_random(sizeof(bytes));
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)next_random(256);
        struct buf auto_buf out = {0};
        struct json_writer w = JSON_WRITER(&out);
        json_put_strn(&w, NULL, bytes, len);
        struct err auto_err err = {0};
        if (json_check(out.data, out.len, &err) != 0)
            fail_msg("%s", err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__takes_every_valid_text),
        cmocka_unit_test(test_json__refuses_every_invalid_text),
        cmocka_unit_test(test_json__refuses_what_lies_beyond_its_bounds),
        cmocka_unit_test(test_json__refuses_every_proper_beginning_of_an_object),
        cmocka_unit_test(test_json__refuses_every_control_character_in_a_string),
        cmocka_unit_test(test_json__takes_exactly_the_sequences_that_encode_scalar_values),
        cmocka_unit_test(test_json__says_line_and_column_of_an_error),
        cmocka_unit_test(test_json__names_a_duplicate_by_its_pointer),
        cmocka_unit_test(test_json__refuses_duplicate_names_after_unescaping),
        cmocka_unit_test(test_json__names_a_number_out_of_range_by_its_pointer),
        cmocka_unit_test(test_json__cuts_a_pointer_that_is_too_long_between_characters),
        cmocka_unit_test(test_json__finds_a_duplicate_among_many_names_in_little_time),
        cmocka_unit_test(test_json__refuses_more_values_than_its_limit),
        cmocka_unit_test(test_json__survives_nesting_bombs),
        cmocka_unit_test(test_json__gets_members_by_their_exact_name),
        cmocka_unit_test(test_json__walks_arrays_and_objects_in_order),
        cmocka_unit_test(test_json__reads_integers_exactly_up_to_2_to_the_53),
        cmocka_unit_test(test_json__parses_numbers_alike_in_every_locale),
        cmocka_unit_test(test_json__prints_sorted_names_when_canonical),
        cmocka_unit_test(test_json__prints_doubles_that_read_back_the_same),
        cmocka_unit_test(test_json__check_and_tree_agree_on_mutated_texts),
        cmocka_unit_test(test_json_writer__puts_commas_where_they_belong),
        cmocka_unit_test(test_json_writer__escapes_what_must_be_and_nothing_else),
        cmocka_unit_test(test_json_writer__replaces_what_is_no_utf_8),
        cmocka_unit_test(test_json_writer__writes_what_the_reader_takes_for_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
