/* Field tables: decoding with exact refusals, encoding, labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/json/validate.h"
#include "api/json/wire.h"

/* ---- a struct with a field of every kind ---- */

static const char *const colours[] = {"red", "green", "blue", NULL};

struct part {
    char *name;
    int64_t size;
};

struct thing {
    uint64_t present;
    char *name;
    char *note;
    char *secret;
    int64_t count;
    int64_t bytes;
    bool flag;
    int colour;
    int64_t created;
    struct labels labels;
    struct strings keys;
    struct part part;
    struct part *maybe;
    struct wire_list parts;
    char *raw;
};

static const struct wire_field part_fields[] = {
    {.name = "name",
     .type = WIRE_STR,
     .offset = offsetof(struct part, name),
     .max = 8,
     .flags = WIRE_REQUIRED},
    {.name = "size", .type = WIRE_I64, .offset = offsetof(struct part, size), .min = 1, .max = 9},
};

static const struct wire_struct part_wire = {
    .name = "part", .size = sizeof(struct part), .fields = part_fields, .count = 2};

#define F(member, kind, ...)                                                                 \
    {                                                                                        \
        .name = #member, .type = kind, .offset = offsetof(struct thing, member), __VA_ARGS__ \
    }

static const struct wire_field thing_fields[] = {
    F(name, WIRE_STR, .flags = WIRE_REQUIRED, .max = LIMIT_NAME, .check = validate_name),
    F(note, WIRE_STR, .flags = WIRE_NULLABLE | WIRE_OMIT, .max = 10),
    F(secret, WIRE_STR, .flags = WIRE_SECRET),
    F(count, WIRE_I64, .min = 1, .max = 256),
    F(bytes, WIRE_DEC64, .flags = WIRE_OMIT),
    F(flag, WIRE_BOOL, .flags = WIRE_OMIT),
    F(colour, WIRE_ENUM, .flags = WIRE_OMIT, .names = colours),
    F(created, WIRE_TIME, .flags = WIRE_NULLABLE),
    F(labels, WIRE_LABELS, .flags = WIRE_OMIT),
    F(keys, WIRE_STRS, .flags = WIRE_OMIT, .max = 3, .check = validate_name),
    F(part, WIRE_OBJECT, .sub = &part_wire),
    F(maybe, WIRE_OBJECT_P, .flags = WIRE_OMIT, .sub = &part_wire),
    F(parts, WIRE_LIST, .flags = WIRE_OMIT, .max = 2, .sub = &part_wire),
    F(raw, WIRE_RAW, .flags = WIRE_OMIT, .max = 20),
};

static const struct wire_struct thing_wire = {.name = "thing",
                                              .size = sizeof(struct thing),
                                              .fields = thing_fields,
                                              .count = ARRAY_SIZE(thing_fields),
                                              .present = offsetof(struct thing, present) + 1};

/* ---- helpers ---- */

static struct thing decode(const char *text, enum wire_mode mode)
{
    struct thing thing = {0};
    struct err auto_err err = {0};
    if (wire_parse(&thing_wire, text, strlen(text), mode, &thing, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    return thing;
}

static char *encode(const struct thing *thing)
{
    struct buf out = {0};
    struct json_writer w = JSON_WRITER(&out);
    wire_encode(&thing_wire, thing, &w, NULL);
    return buf_take(&out);
}

static bool is_zero(const void *memory, size_t len)
{
    const char *bytes = memory;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i])
            return false;
    }
    return true;
}

/* Members follow a valid name; leak checkers see what an error leaves behind. */
static void assert_refused(const char *members, const char *field, const char *msg)
{
    struct thing thing = {0};
    struct err auto_err err = {0};
    autofree char *text = xasprintf("{\"name\":\"a\"%s%s}", *members ? "," : "", members);
    assert_int_equal(wire_parse(&thing_wire, text, strlen(text), WIRE_STRICT, &thing, &err), -1);
    assert_int_equal(err.code, ERR_FIELD);
    assert_string_equal(err.field, field);
    assert_string_equal(err.msg, msg);
    assert_null(thing.name);
    assert_null(thing.labels.items);
    assert_null(thing.keys.items);
    assert_null(thing.parts.items);
    assert_null(thing.maybe);
}

/* ---- decoding ---- */

static void test_wire__decodes_every_kind_of_field(void **state)
{
    (void)state;
    struct thing thing = decode(
        "{\"name\":\"web1\",\"note\":\"hi\",\"secret\":\"s\",\"count\":256,"
        "\"bytes\":\"-9223372036854775808\",\"flag\":true,\"colour\":\"blue\","
        "\"created\":\"2026-01-31T12:00:00.250+02:00\",\"labels\":{\"b\":\"2\",\"a\":\"1\"},"
        "\"keys\":[\"k1\",\"k2\"],\"part\":{\"name\":\"p\",\"size\":9},\"maybe\":{\"name\":\"m\"},"
        "\"parts\":[{\"name\":\"x\"},{\"name\":\"y\",\"size\":1}],\"raw\":{\"z\" : [1, 2]}}",
        WIRE_STRICT);
    assert_string_equal(thing.name, "web1");
    assert_string_equal(thing.note, "hi");
    assert_string_equal(thing.secret, "s");
    assert_int_equal(thing.count, 256);
    assert_true(thing.bytes == INT64_MIN);
    assert_true(thing.flag);
    assert_int_equal(thing.colour, 2);
    assert_true(thing.created == 1769853600250);
    assert_string_equal(thing.labels.items[0].name, "a");
    assert_string_equal(labels_get(&thing.labels, "b"), "2");
    assert_int_equal(thing.keys.count, 2);
    assert_string_equal(thing.keys.items[1], "k2");
    assert_int_equal(thing.part.size, 9);
    assert_string_equal(thing.maybe->name, "m");
    assert_int_equal(thing.parts.count, 2);
    assert_string_equal(((struct part *)thing.parts.items)[1].name, "y");
    assert_string_equal(thing.raw, "{\"z\":[1,2]}");
    assert_true(thing.present == (1u << ARRAY_SIZE(thing_fields)) - 1);
    wire_release(&thing_wire, &thing);
    assert_null(thing.maybe);
    assert_null(thing.parts.items);
}

static void test_wire__keeps_which_fields_were_present(void **state)
{
    (void)state;
    struct thing thing = decode("{\"note\":null,\"name\":\"a\"}", WIRE_STRICT);
    assert_true(thing.present == 3);
    assert_null(thing.note);
    wire_release(&thing_wire, &thing);
}

static void test_wire__refuses_an_unknown_field_and_lists_the_known(void **state)
{
    (void)state;
    assert_refused("\"nam\":1", "/nam",
                   "nam: unknown field; allowed are name, note, secret, count, bytes, flag, "
                   "colour, created, labels, keys, part, maybe, parts, raw");
    assert_refused("\"parts\":[{\"name\":\"x\"},{\"name\":\"y\",\"Size\":1}]", "/parts/1/Size",
                   "parts/1/Size: unknown field; allowed are name, size");
}

static void test_wire__ignores_an_unknown_field_when_lenient(void **state)
{
    (void)state;
    struct thing thing = decode("{\"new\":{\"x\":[1]},\"name\":\"a\"}", WIRE_LENIENT);
    assert_true(thing.present == 1);
    wire_release(&thing_wire, &thing);
}

static void test_wire__takes_null_for_absent_when_lenient(void **state)
{
    (void)state;
    struct thing thing = decode("{\"name\":\"a\",\"count\":null,\"labels\":null,\"maybe\":null,"
                                "\"part\":null,\"parts\":null,\"raw\":null,\"bytes\":null}",
                                WIRE_LENIENT);
    assert_int_equal(thing.count, 0);
    assert_null(thing.maybe);
    wire_release(&thing_wire, &thing);
}

static void test_wire__refuses_null_where_it_has_no_meaning(void **state)
{
    (void)state;
    assert_refused("\"count\":null", "/count", "count: must not be null; leave it out instead");
    struct thing thing = {0};
    struct err auto_err err = {0};
    const char *text = "{\"name\":null}";
    assert_int_equal(wire_parse(&thing_wire, text, strlen(text), WIRE_LENIENT, &thing, &err), -1);
    assert_string_equal(err.msg, "name: must not be null");
}

static void test_wire__names_a_missing_required_field(void **state)
{
    (void)state;
    struct thing thing = {0};
    struct err auto_err err = {0};
    assert_int_equal(wire_parse(&thing_wire, "{}", 2, WIRE_STRICT, &thing, &err), -1);
    assert_string_equal(err.field, "/name");
    assert_string_equal(err.msg, "name: is required");
    assert_refused("\"maybe\":{\"size\":1}", "/maybe/name", "maybe/name: is required");
}

static void test_wire__refuses_a_root_that_is_no_object(void **state)
{
    (void)state;
    struct thing thing = {0};
    struct err auto_err err = {0};
    assert_int_equal(wire_parse(&thing_wire, "[1]", 3, WIRE_STRICT, &thing, &err), -1);
    assert_string_equal(err.field, "");
    assert_string_equal(err.msg, "the text: must be an object, got an array");
    assert_true(is_zero(&thing, sizeof(thing)));
}

static void test_wire__refuses_wrong_types_by_name(void **state)
{
    (void)state;
    assert_refused("\"note\":1", "/note", "note: must be a string, got a number");
    assert_refused("\"count\":\"1\"", "/count", "count: must be an integer, got a string");
    assert_refused("\"count\":true", "/count", "count: must be an integer, got true or false");
    assert_refused("\"flag\":0", "/flag", "flag: must be true or false, got a number");
    assert_refused("\"flag\":\"true\"", "/flag", "flag: must be true or false, got a string");
    assert_refused("\"colour\":1", "/colour", "colour: must be a string, got a number");
    assert_refused("\"created\":5", "/created",
                   "created: must be a time in a string, got a number");
    assert_refused("\"labels\":[]", "/labels",
                   "labels: must be an object of strings, got an array");
    assert_refused("\"labels\":{\"a\":\"x\",\"b\":1}", "/labels/b",
                   "labels/b: must be a string, got a number");
    assert_refused("\"keys\":\"k\"", "/keys", "keys: must be an array of strings, got a string");
    assert_refused("\"keys\":[\"a\",null]", "/keys/1", "keys/1: must be a string, got null");
    assert_refused("\"part\":[]", "/part", "part: must be an object, got an array");
    assert_refused("\"maybe\":false", "/maybe", "maybe: must be an object, got true or false");
    assert_refused("\"parts\":{}", "/parts", "parts: must be an array of objects, got an object");
    assert_refused("\"parts\":[{\"name\":\"x\"},7]", "/parts/1",
                   "parts/1: must be an object, got a number");
    assert_refused("\"bytes\":1", "/bytes",
                   "bytes: must be a decimal number in a string, such as \"1024\", got a number");
}

static void test_wire__refuses_integers_just_past_their_range(void **state)
{
    (void)state;
    assert_refused("\"count\":0", "/count", "count: must be from 1 to 256, got 0");
    assert_refused("\"count\":257", "/count", "count: must be from 1 to 256, got 257");
    assert_refused("\"count\":-1", "/count", "count: must be from 1 to 256, got -1");
    assert_refused("\"count\":1.5", "/count", "count: must be an integer, got 1.5");
    assert_refused("\"count\":1e300", "/count", "count: must be an integer, got 1e+300");
    struct thing low = decode("{\"name\":\"a\",\"count\":1}", WIRE_STRICT);
    struct thing high = decode("{\"name\":\"a\",\"count\":256}", WIRE_STRICT);
    wire_release(&thing_wire, &low);
    wire_release(&thing_wire, &high);
}

static void test_wire__refuses_texts_just_past_their_length(void **state)
{
    (void)state;
    assert_refused("\"note\":\"12345678901\"", "/note", "note: must be at most 10 bytes, got 11");
    /* Bytes, not characters. */
    assert_refused("\"note\":\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"", "/note",
                   "note: must be at most 10 bytes, got 12");
    assert_refused("\"part\":{\"name\":\"123456789\"}", "/part/name",
                   "part/name: must be at most 8 bytes, got 9");
    assert_refused("\"raw\":[\"1234567890123456789\"]", "/raw",
                   "raw: must be at most 20 bytes, got 23");
}

static void test_wire__runs_the_check_of_a_text_and_of_each_item(void **state)
{
    (void)state;
    assert_refused("\"keys\":[\"ok\",\"No\"]", "/keys/1",
                   "keys/1: must consist of a-z, 0-9 and -, and begin and end with a letter or "
                   "digit");
}

static void test_wire__refuses_too_many_items(void **state)
{
    (void)state;
    assert_refused("\"keys\":[\"a\",\"b\",\"c\",\"d\"]", "/keys",
                   "keys: must be at most 3 items, got 4");
    assert_refused("\"parts\":[{},{},{}]", "/parts", "parts: must be at most 2 items, got 3");
}

static void test_wire__refuses_an_enum_value_and_lists_the_known(void **state)
{
    (void)state;
    assert_refused("\"colour\":\"Red\"", "/colour",
                   "colour: must be one of red, green, blue; got \"Red\"");
    assert_refused("\"colour\":\"\"", "/colour",
                   "colour: must be one of red, green, blue; got \"\"");
}

static void test_wire__refuses_times_that_are_none(void **state)
{
    (void)state;
    assert_refused("\"created\":\"yesterday\"", "/created",
                   "created: must be a time as RFC 3339 has it, such as \"2026-01-31T12:00:00Z\", "
                   "got \"yesterday\"");
}

static void test_wire__takes_one_text_for_one_64_bit_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"1", true, 1},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"-0", false, 0},
        {"+1", false, 0},
        {"01", false, 0},
        {"-01", false, 0},
        {"00", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"0x1", false, 0},
        {"\xD9\xA1", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct thing thing = {0};
        struct err auto_err err = {0};
        autofree char *text = xasprintf("{\"name\":\"a\",\"bytes\":\"%s\"}", cases[i].text);
        int got = wire_parse(&thing_wire, text, strlen(text), WIRE_STRICT, &thing, &err);
        assert_int_equal(got, cases[i].ok ? 0 : -1);
        if (cases[i].ok)
            assert_true(thing.bytes == cases[i].value);
        else
            assert_string_equal(err.field, "/bytes");
        wire_release(&thing_wire, &thing);
    }
}

static void test_wire__takes_a_64_bit_number_of_an_older_program_as_an_integer(void **state)
{
    (void)state;
    static const char text[] = "{\"name\":\"a\",\"bytes\":9007199254740991}";
    struct thing thing = {0};
    struct err auto_err err = {0};
    assert_int_equal(wire_parse(&thing_wire, text, strlen(text), WIRE_STRICT, &thing, &err), -1);
    assert_int_equal(wire_parse(&thing_wire, text, strlen(text), WIRE_LENIENT, &thing, &err), 0);
    assert_true(thing.bytes == 9007199254740991);
    wire_release(&thing_wire, &thing);
}

/* ---- labels ---- */

static void test_wire__names_the_label_that_is_refused(void **state)
{
    (void)state;
    char value[301];
    memset(value, 'x', 300);
    value[300] = '\0';
    autofree char *members = xasprintf("\"labels\":{\"ok\":\"\",\"foo\":\"%s\"}", value);
    assert_refused(members, "/labels/foo", "labels/foo: must be at most 255 bytes, got 300");
    assert_refused("\"labels\":{\"a/b\":\"x\\ny\"}", "/labels/a~1b",
                   "labels/a~1b: must not hold control characters, has one at byte 2");
    assert_refused("\"labels\":{\"\":\"x\"}", "/labels/", "labels/: must not be empty");
    assert_refused("\"labels\":{\"-a\":\"x\"}", "/labels/-a",
                   "labels/-a: a label's name must consist of letters, digits and - _ . /, and "
                   "begin and end with a letter or digit");
}

static char *labels_text(int count)
{
    struct buf out = {0};
    buf_puts(&out, "\"labels\":{");
    for (int i = 0; i < count; i++)
        buf_printf(&out, "%s\"l%d\":\"v\"", i ? "," : "", i);
    buf_putc(&out, '}');
    return buf_take(&out);
}

static void test_wire__bounds_the_number_of_labels(void **state)
{
    (void)state;
    autofree char *many = labels_text(LIMIT_LABELS + 1), *most = labels_text(LIMIT_LABELS);
    assert_refused(many, "/labels", "labels: must be at most 64 labels, got 65");
    autofree char *text = xasprintf("{\"name\":\"a\",%s}", most);
    struct thing thing = decode(text, WIRE_STRICT);
    assert_int_equal(thing.labels.count, LIMIT_LABELS);
    for (size_t i = 0; i < thing.labels.count; i++)
        assert_string_equal(labels_get(&thing.labels, thing.labels.items[i].name), "v");
    assert_null(labels_get(&thing.labels, "l"));
    assert_null(labels_get(&thing.labels, "z"));
    wire_release(&thing_wire, &thing);
}

static void test_labels__print_canonically_and_parse_back(void **state)
{
    (void)state;
    struct labels labels = {0}, again = {0};
    struct err auto_err err = {0};
    assert_int_equal(labels_parse("{\"b\":\"\\\"\",\"a/\\u00e9\":\"1\",\"B\":\"\"}", &labels, &err),
                     0);
    struct buf auto_buf text = {0};
    labels_print(&labels, &text);
    assert_string_equal(text.data, "{\"B\":\"\",\"a/\xC3\xA9\":\"1\",\"b\":\"\\\"\"}");
    assert_int_equal(labels_parse(text.data, &again, &err), 0);
    assert_int_equal(again.count, 3);
    labels_release(&labels);
    labels_release(&again);
    assert_int_equal(labels_parse("{\"a\":1}", &labels, &err), -1);
    assert_int_equal(labels_parse("[]", &labels, &err), -1);
    assert_int_equal(labels_parse("{", &labels, &err), -1);
    assert_null(labels.items);
    buf_reset(&text);
    labels_print(&labels, &text);
    assert_string_equal(text.data, "{}");
}

/* ---- encoding ---- */

static void test_wire__encodes_what_it_decodes(void **state)
{
    (void)state;
    const char *text =
        "{\"name\":\"web1\",\"note\":\"h\\\"\",\"count\":2,\"bytes\":\"9223372036854775807\","
        "\"flag\":true,\"colour\":\"green\",\"created\":\"2026-01-31T12:00:00.000Z\","
        "\"labels\":{\"a\":\"1\"},\"keys\":[\"k\"],\"part\":{\"name\":\"p\",\"size\":1},"
        "\"maybe\":{\"name\":\"m\",\"size\":2},\"parts\":[{\"name\":\"x\",\"size\":3}],"
        "\"raw\":[1,{\"a\":null}]}";
    struct thing thing = decode(text, WIRE_STRICT);
    autofree char *out = encode(&thing);
    assert_string_equal(out, text);
    wire_release(&thing_wire, &thing);
}

static void test_wire__leaves_out_what_is_empty_only_where_asked(void **state)
{
    (void)state;
    struct thing thing = {0};
    autofree char *out = encode(&thing);
    assert_string_equal(out, "{\"name\":null,\"count\":0,\"created\":null,"
                             "\"part\":{\"name\":null,\"size\":0}}");
}

static void test_wire__shows_a_secret_only_when_asked(void **state)
{
    (void)state;
    char secret[] = "hush", name[] = "a";
    struct thing thing = {.name = name, .secret = secret};
    autofree char *out = encode(&thing);
    assert_null(strstr(out, "hush"));
    struct buf auto_buf shown = {0};
    struct json_writer w = JSON_WRITER(&shown);
    wire_encode_secret(&thing_wire, &thing, &w, NULL);
    assert_non_null(strstr(shown.data, "\"secret\":\"hush\""));
}

static void test_strings__grow_one_by_one(void **state)
{
    (void)state;
    struct strings strings = {0};
    for (int i = 0; i < 100; i++) {
        autofree char *text = xasprintf("s%d", i);
        strings_add(&strings, text);
    }
    assert_int_equal(strings.count, 100);
    assert_string_equal(strings.items[99], "s99");
    strings_release(&strings);
    assert_null(strings.items);
}

/* Every way to cut or change a text that is right ends in a value or an error that
 * names something, and never leaks (the sanitizer runs say so). */
static void test_wire__survives_every_changed_byte(void **state)
{
    (void)state;
    static const char text[] =
        "{\"name\":\"a\",\"labels\":{\"a\":\"1\"},\"keys\":[\"k\"],"
        "\"maybe\":{\"name\":\"m\"},\"parts\":[{\"name\":\"x\"}],\"raw\":[]}";
    static const char with[] = "\"{}[]:,0-n\\ \xFF";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        for (size_t j = 0; j < sizeof(with); j++) {
            char changed[sizeof(text)];
            memcpy(changed, text, sizeof(text));
            changed[i] = with[j];
            struct thing thing = {0};
            struct err auto_err err = {0};
            if (wire_parse(&thing_wire, changed, sizeof(text) - 1, WIRE_STRICT, &thing, &err) != 0)
                assert_true(err.msg[0]);
            wire_release(&thing_wire, &thing);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire__decodes_every_kind_of_field),
        cmocka_unit_test(test_wire__keeps_which_fields_were_present),
        cmocka_unit_test(test_wire__refuses_an_unknown_field_and_lists_the_known),
        cmocka_unit_test(test_wire__ignores_an_unknown_field_when_lenient),
        cmocka_unit_test(test_wire__takes_null_for_absent_when_lenient),
        cmocka_unit_test(test_wire__refuses_null_where_it_has_no_meaning),
        cmocka_unit_test(test_wire__names_a_missing_required_field),
        cmocka_unit_test(test_wire__refuses_a_root_that_is_no_object),
        cmocka_unit_test(test_wire__refuses_wrong_types_by_name),
        cmocka_unit_test(test_wire__refuses_integers_just_past_their_range),
        cmocka_unit_test(test_wire__refuses_texts_just_past_their_length),
        cmocka_unit_test(test_wire__runs_the_check_of_a_text_and_of_each_item),
        cmocka_unit_test(test_wire__refuses_too_many_items),
        cmocka_unit_test(test_wire__refuses_an_enum_value_and_lists_the_known),
        cmocka_unit_test(test_wire__refuses_times_that_are_none),
        cmocka_unit_test(test_wire__takes_one_text_for_one_64_bit_number),
        cmocka_unit_test(test_wire__takes_a_64_bit_number_of_an_older_program_as_an_integer),
        cmocka_unit_test(test_wire__names_the_label_that_is_refused),
        cmocka_unit_test(test_wire__bounds_the_number_of_labels),
        cmocka_unit_test(test_labels__print_canonically_and_parse_back),
        cmocka_unit_test(test_wire__encodes_what_it_decodes),
        cmocka_unit_test(test_wire__leaves_out_what_is_empty_only_where_asked),
        cmocka_unit_test(test_wire__shows_a_secret_only_when_asked),
        cmocka_unit_test(test_strings__grow_one_by_one),
        cmocka_unit_test(test_wire__survives_every_changed_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
