/* Output: ages, sizes, tables, YAML that cannot be misread, CSV of RFC 4180. */
#include "tests/unit/cli_harness.h"

#include <locale.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/show/cell.h"
#include "cli/show/format.h"
#include "cli/show/output.h"

static struct json *parse(const char *text)
{
    auto_err struct err err = {0};
    struct json *root = NULL;
    if (json_parse(text, strlen(text), &root, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    return root;
}

static void assert_age(int64_t seconds, const char *text)
{
    auto_buf struct buf out = {0};
    cell_age(seconds * 1000, &out);
    assert_string_equal(out.data, text);
}

static void test_age__is_one_number_with_one_unit(void **state)
{
    (void)state;
    assert_age(0, "0s");
    assert_age(-5, "0s");
    assert_age(59, "59s");
    assert_age(60, "1m");
    assert_age(3599, "59m");
    assert_age(3600, "1h");
    assert_age(86399, "23h");
    assert_age(86400, "1d");
    assert_age(364 * 86400LL, "364d");
    assert_age(365 * 86400LL, "1y");
    assert_age(30 * 365 * 86400LL, "30y");
}

static void assert_bytes(int64_t bytes, const char *text)
{
    auto_buf struct buf out = {0};
    cell_bytes(bytes, &out);
    assert_string_equal(out.data, text);
}

static void test_bytes__are_short(void **state)
{
    (void)state;
    assert_bytes(0, "0B");
    assert_bytes(1023, "1023B");
    assert_bytes(1024, "1K");
    assert_bytes(1536, "1.5K");
    assert_bytes(13 * 1024 * 1024 + 300 * 1024, "13.3M");
    assert_bytes(5LL << 30, "5G");
    assert_bytes(INT64_MAX, "8E");
}

static void assert_cell(const char *path, enum cell_type type, enum cell_style style,
                        const char *object, const char *text)
{
    auto_json struct json *root = parse(object);
    auto_buf struct buf out = {0};
    struct column column = {"c", "C", path, type, 0};
    int64_t now_ms = 0;
    assert_int_equal(clock_parse("2026-01-31T12:05:00.000Z", &now_ms), 0);
    cell_put(&column, root, style, now_ms, &out);
    assert_string_equal(out.data ? out.data : "", text);
}

static void test_cell__follows_paths_through_arrays_and_objects(void **state)
{
    (void)state;
    const char *object = "{\"a\":[{\"b\":\"1\"},{\"b\":null},{\"b\":\"2\"}],\"l\":{\"x\":\"1\","
                         "\"y\":\"2\"},\"e\":{\"code\":\"boom\"},\"n\":null,\"t\":true,\"i\":7}";
    assert_cell("a.b", CELL_TEXT, CELL_PEOPLE, object, "1,2");
    assert_cell("l", CELL_TEXT, CELL_PEOPLE, object, "x=1,y=2");
    assert_cell("e.code", CELL_TEXT, CELL_PEOPLE, object, "boom");
    assert_cell("n.code", CELL_TEXT, CELL_PEOPLE, object, "-");
    assert_cell("n", CELL_TEXT, CELL_PLAIN, object, "");
    assert_cell("t", CELL_TEXT, CELL_PEOPLE, object, "yes");
    assert_cell("t", CELL_TEXT, CELL_PLAIN, object, "true");
    assert_cell("i", CELL_TEXT, CELL_PEOPLE, object, "7");
    assert_cell("missing", CELL_TEXT, CELL_PEOPLE, object, "-");
}

static void test_cell__times_are_ages_in_tables_only(void **state)
{
    (void)state;
    const char *object = "{\"t\":\"2026-01-31T12:00:00.000Z\",\"m\":512,\"g\":5,\"s\":\"1536\"}";
    assert_cell("t", CELL_TIME, CELL_PEOPLE, object, "5m");
    assert_cell("t", CELL_TIME, CELL_DETAIL, object, "2026-01-31T12:00:00.000Z");
    assert_cell("t", CELL_TIME, CELL_PLAIN, object, "2026-01-31T12:00:00.000Z");
    assert_cell("m", CELL_MIB, CELL_PEOPLE, object, "512M");
    assert_cell("m", CELL_MIB, CELL_PLAIN, object, "512");
    assert_cell("g", CELL_GIB, CELL_PEOPLE, object, "5G");
    assert_cell("s", CELL_BYTES, CELL_PEOPLE, object, "1.5K");
    assert_cell("s", CELL_BYTES, CELL_PLAIN, object, "1536");
    assert_cell("t", CELL_DATE, CELL_PEOPLE, object, "2026-01-31 12:00");
    assert_cell("t", CELL_DATE, CELL_DETAIL, object, "2026-01-31T12:00:00.000Z");
    assert_cell("m", CELL_SECONDS, CELL_PEOPLE, object, "512s");
    assert_cell("m", CELL_SECONDS, CELL_PLAIN, object, "512");
}

static void test_cell__counts_of_nanoseconds_are_rounded_seconds(void **state)
{
    (void)state;
    const char *object = "{\"n\":\"12345678901\",\"small\":\"1234567\"}";
    assert_cell("n", CELL_NANOSECONDS, CELL_PEOPLE, object, "12.346s");
    assert_cell("small", CELL_NANOSECONDS, CELL_PEOPLE, object, "0.001235s");
    assert_cell("n", CELL_NANOSECONDS, CELL_PLAIN, object, "12345678901");
}

static void test_cell__hashes_are_short_in_tables_only(void **state)
{
    (void)state;
    const char *object = "{\"h\":\"0123456789abcdef0123\",\"s\":\"0123456789abcdef\"}";
    assert_cell("h", CELL_HASH, CELL_PEOPLE, object, "0123456789abcdef...");
    assert_cell("s", CELL_HASH, CELL_PEOPLE, object, "0123456789abcdef");
    assert_cell("h", CELL_HASH, CELL_DETAIL, object, "0123456789abcdef0123");
    assert_cell("h", CELL_HASH, CELL_PLAIN, object, "0123456789abcdef0123");
}

static void assert_yaml(const char *json, const char *yaml)
{
    auto_json struct json *root = parse(json);
    auto_buf struct buf out = {0};
    format_yaml(root, &out);
    assert_string_equal(out.data, yaml);
}

static void test_yaml__quotes_what_could_be_read_as_something_else(void **state)
{
    (void)state;
    static const char *const quoted[] = {"",    "true", "No",   "null", "~",  "1",    "0x1f", "1e3",
                                         "-",   "- a",  "a: b", "a #b", "#a", "y",    ".inf", "&a",
                                         "*a",  "!a",   "|",    ">",    "%a", "@a",   "`a",   "a b",
                                         "a,b", "[a]",  "{a}",  "?",    ":",  "2026", "=",    "<<"};
    static const char *const plain[] = {"web1", "running", "/dev/vda", "a.b_c-d", "v1.2", "x@y"};
    for (size_t i = 0; i < ARRAY_SIZE(quoted); i++) {
        auto_buf struct buf out = {0};
        autofree char *expected = xasprintf("\"%s\"", quoted[i]);
        format_yaml_string(quoted[i], &out);
        assert_string_equal(out.data, expected);
    }
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        auto_buf struct buf out = {0};
        format_yaml_string(plain[i], &out);
        assert_string_equal(out.data, plain[i]);
    }
}

static void test_yaml__escapes_what_may_not_stand_in_it(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    format_yaml_string("a\"b\\c\n\t\x01\x7f \xc3\xa9 \xc2\x85 \xe2\x80\xa8 \xef\xbb\xbf", &out);
    assert_string_equal(out.data, "\"a\\\"b\\\\c\\n\\t\\x01\\x7F \xc3\xa9 \\x85 \\L \\uFEFF\"");
}

static void test_yaml__nests_maps_and_lists(void **state)
{
    (void)state;
    assert_yaml("{\"name\":\"web1\",\"num\":1,\"ok\":true,\"none\":null,\"empty\":[],\"l\":{},"
                "\"a\":[{\"x\":\"1\",\"ys\":[\"p\",\"q\"]},\"z\"],\"m\":{\"k\":{\"d\":\"e\"}}}",
                "name: web1\nnum: 1\nok: true\nnone: null\nempty: []\nl: {}\n"
                "a:\n  - x: \"1\"\n    ys:\n      - p\n      - q\n  - z\n"
                "m:\n  k:\n    d: e\n");
    assert_yaml("[]", "[]\n");
    assert_yaml("[[\"a\"],[]]", "- - a\n- []\n");
}

static void assert_csv(const char *text, const char *cell)
{
    auto_buf struct buf out = {0};
    format_csv_cell(text, &out);
    assert_string_equal(out.data ? out.data : "", cell);
}

static void test_csv__quotes_commas_quotes_and_line_breaks(void **state)
{
    (void)state;
    assert_csv("plain", "plain");
    assert_csv("", "");
    assert_csv("a,b", "\"a,b\"");
    assert_csv("say \"x\"", "\"say \"\"x\"\"\"");
    assert_csv("two\nlines", "\"two\nlines\"");
    assert_csv("cr\r", "\"cr\r\"");
}

static void test_json__is_indented_and_complete(void **state)
{
    (void)state;
    auto_json struct json *root = parse("{\"a\":[1,{\"b\\\"\":null}],\"e\":{},\"s\":\"x\\ny\"}");
    auto_buf struct buf out = {0};
    format_json(root, &out);
    assert_string_equal(out.data, "{\n  \"a\": [\n    1,\n    {\n      \"b\\\"\": null\n    }\n"
                                  "  ],\n  \"e\": {},\n  \"s\": \"x\\ny\"\n}\n");
    auto_json struct json *again = parse(out.data);
    assert_non_null(again);
}

/* ---- whole outputs ---- */

static char *print(const char *noun, const char *line, struct screen screen, const char *items,
                   bool single)
{
    char *out = NULL;
    size_t len;
    auto_args struct args args = {0};
    auto_err struct err err = {0};
    struct output output;
    auto_json struct json *root = parse(items);
    struct json *list[8];
    size_t count = 0;
    autofree char *words = xstrdup(line);
    char *argv[16], *rest = words, *word;
    int argc = 0;
    while ((word = strsep(&rest, " ")))
        argv[argc++] = word;
    assert_int_equal(args_parse(argc, argv, &args, &err), 0);
    for (struct json *item = json_first(root); item; item = json_next(item))
        list[count++] = item;
    screen.out = open_memstream(&out, &len);
    screen.err = screen.out;
    assert_int_equal(output_prepare(&args, noun_find(noun), &output, &err), 0);
    assert_int_equal(output_print(&output, &screen, list, count, single, &err), 0);
    fclose(screen.out);
    return out;
}

static const char flavors[] =
    "[{\"id\":\"0198\",\"name\":\"small\",\"vcpus\":1,\"memory_mib\":512,\"disk_gib\":5},"
    "{\"id\":\"0199\",\"name\":\"large\",\"vcpus\":8,\"memory_mib\":16384,\"disk_gib\":100}]";
static const struct screen piped = {0};

static void test_output__table_csv_and_names_of_a_list(void **state)
{
    (void)state;
    autofree char *table = print("flavor", "cloudctl flavor list", piped, flavors, false);
    assert_string_equal(table, "NAME  VCPUS MEMORY DISK\nsmall     1   512M   5G\n"
                               "large     8    16G 100G\n");
    autofree char *csv =
        print("flavor", "cloudctl flavor list -o csv --columns memory,name", piped, flavors, false);
    assert_string_equal(csv, "memory,name\n512,small\n16384,large\n");
    autofree char *names = print("flavor", "cloudctl flavor list -o name", piped, flavors, false);
    assert_string_equal(names, "small\nlarge\n");
}

static void test_output__one_thing_is_an_object_and_a_list_an_array(void **state)
{
    (void)state;
    const char *one = "[{\"name\":\"small\"}]";
    autofree char *object = print("flavor", "cloudctl flavor show a -o json", piped, one, true);
    assert_string_equal(object, "{\n  \"name\": \"small\"\n}\n");
    autofree char *array = print("flavor", "cloudctl flavor list -o json", piped, one, false);
    assert_string_equal(array, "[\n  {\n    \"name\": \"small\"\n  }\n]\n");
    autofree char *none = print("flavor", "cloudctl flavor list -o json", piped, "[]", false);
    assert_string_equal(none, "[]\n");
    autofree char *yaml = print("flavor", "cloudctl flavor list -o yaml", piped, one, false);
    assert_string_equal(yaml, "- name: small\n");
    autofree char *detail = print("flavor", "cloudctl flavor show a", piped, flavors, true);
    assert_has(detail, "memory 512M\n");
}

static const char instances[] =
    "[{\"name\":\"a-rather-long-instance-name-that-goes-on-and-on\",\"state\":\"provisioning\","
    "\"node\":\"a-node-with-a-long-name-too\",\"addresses\":[{\"address\":\"10.77.255.254\"}],"
    "\"flavor\":\"extra-large\",\"image\":\"debian-12-genericcloud\","
    "\"created_at\":\"2026-01-31T12:00:00.000Z\"}]";

static void test_output__a_terminal_gets_what_fits_and_a_pipe_all(void **state)
{
    (void)state;
    struct screen terminal = {.out_tty = true, .width = 80};
    autofree char *narrow = print("instance", "cloudctl instance list", terminal, instances, false);
    for (const char *line = narrow; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    autofree char *wide = print("instance", "cloudctl instance list", piped, instances, false);
    assert_has(wide, "a-rather-long-instance-name-that-goes-on-and-on");
    assert_has(wide, "debian-12-genericcloud");
}

static const char tokens[] =
    "[{\"name\":\"continuous-integration\",\"id\":\"01997f5e-7b1c-7def-8a3b-0123456789ab\","
    "\"role\":\"member\",\"project\":\"a-rather-long-project\","
    "\"created_at\":\"2020-01-31T12:00:00.000Z\"}]";

static void test_output__names_give_way_before_ids(void **state)
{
    (void)state;
    struct screen terminal = {.out_tty = true, .width = 80},
                  narrow = {.out_tty = true, .width = 40};
    const char *line = "cloudctl token list --columns name,id,role,project";
    autofree char *fits = print("token", line, terminal, tokens, false);
    assert_string_equal(fits, "NAME              ID                                   ROLE   "
                              "PROJECT\n"
                              "continuous-int... 01997f5e-7b1c-7def-8a3b-0123456789ab member "
                              "a-rather-long-p...\n");
    autofree char *floored = print("token", line, narrow, tokens, false);
    assert_has(floored, "\nconti... 01997f5e-7b1c-7def-8a3b-0123456789ab member a-rat...\n");
}

static void test_output__a_cut_counts_columns_not_bytes(void **state)
{
    (void)state;
    const char *items = "[{\"name\":\"a\\u0001\\u0001\\u0001\\u0001\",\"id\":\"0123456789\"},"
                        "{\"name\":\"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\","
                        "\"id\":\"x\"}]";
    const char *line = "cloudctl project list --columns name,id";
    struct screen terminal = {.out_tty = true, .width = 19};
    autofree char *plain = print("project", line, terminal, items, false);
    assert_has(plain, "a\\x01...");
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    autofree char *wide = print("project", line, terminal, items, false);
    setlocale(LC_CTYPE, "C");
    assert_has(wide, "a\\x01\u2026");
    assert_has(wide, "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u2026 x");
}

static void test_output__control_bytes_do_not_reach_the_screen(void **state)
{
    (void)state;
    const char *evil = "[{\"name\":\"a\\u001b[31mb\",\"id\":\"c\\u0007d\"}]";
    struct screen terminal = {.out_tty = true, .width = 80};
    autofree char *table = print("project", "cloudctl project list", terminal, evil, false);
    assert_null(strchr(table, '\033'));
    assert_null(strchr(table, '\a'));
    autofree char *detail = print("project", "cloudctl project show x", terminal, evil, true);
    assert_null(strchr(detail, '\033'));
}

static void test_harmless__no_control_character_reaches_a_terminal(void **state)
{
    (void)state;
    static const char *const words[][2] = {
        {"plain", "plain"},
        {"a\x1b[31mb\x7f\n", "a [31mb  "},
        {"csi \xc2\x9b"
         "31m",
         "csi   31m"},
        {"\xc2\xa0 and \xc3\xbc stay", "\xc2\xa0 and \xc3\xbc stay"},
        {"cut \xc2", "cut \xc2"},
        {"", ""}};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        autofree char *text = xstrdup(words[i][0]);
        format_harmless(text, strlen(text), ' ');
        assert_string_equal(text, words[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_age__is_one_number_with_one_unit),
        cmocka_unit_test(test_harmless__no_control_character_reaches_a_terminal),
        cmocka_unit_test(test_bytes__are_short),
        cmocka_unit_test(test_cell__follows_paths_through_arrays_and_objects),
        cmocka_unit_test(test_cell__times_are_ages_in_tables_only),
        cmocka_unit_test(test_cell__counts_of_nanoseconds_are_rounded_seconds),
        cmocka_unit_test(test_cell__hashes_are_short_in_tables_only),
        cmocka_unit_test(test_yaml__quotes_what_could_be_read_as_something_else),
        cmocka_unit_test(test_yaml__escapes_what_may_not_stand_in_it),
        cmocka_unit_test(test_yaml__nests_maps_and_lists),
        cmocka_unit_test(test_csv__quotes_commas_quotes_and_line_breaks),
        cmocka_unit_test(test_json__is_indented_and_complete),
        cmocka_unit_test(test_output__table_csv_and_names_of_a_list),
        cmocka_unit_test(test_output__one_thing_is_an_object_and_a_list_an_array),
        cmocka_unit_test(test_output__a_terminal_gets_what_fits_and_a_pipe_all),
        cmocka_unit_test(test_output__names_give_way_before_ids),
        cmocka_unit_test(test_output__a_cut_counts_columns_not_bytes),
        cmocka_unit_test(test_output__control_bytes_do_not_reach_the_screen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
