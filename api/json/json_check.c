/* The strict reader's check: whether a text is RFC 8259 within our bounds. One
 * pass over the text with a stack of its own, so that nesting costs no call
 * depth; it builds nothing. json_names.c watches for duplicate names. */
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/hex.h"
#include "api/base/limits.h"
#include "api/base/pointer.h"
#include "api/base/utf8.h"
#include "api/json/json.h"
#include "api/json/json_internal.h"
#include "api/json/json_names.h"

/* An array or object that is not closed yet. */
struct frame {
    bool object;
    size_t index;          /* array: of the present item */
    size_t first_name;     /* object: where its names begin in `names` */
    struct json_span name; /* object: of the present member */
};

struct check {
    const char *text, *at, *end;
    struct frame frames[LIMIT_JSON_DEPTH];
    size_t depth;
    size_t items;
    struct json_names names;
    struct err *err;
};

/* What the grammar wants next. */
enum want { WANT_VALUE, WANT_ITEM_OR_END, WANT_NAME, WANT_NAME_OR_END, WANT_MORE, WANT_NOTHING };

/* ---- errors ---- */

static int fail_at(const struct check *c, const char *at, const char *what)
{
    size_t line = 1, column = 1;
    for (const char *p = c->text; p < at; p++) {
        column += ((unsigned char)*p & 0xC0) != 0x80;
        if (*p == '\n') {
            line++;
            column = 1;
        }
    }
    return err_set(c->err, ERR_INVALID, "not valid JSON: line %zu, column %zu: %s", line, column,
                   what);
}

static int fail(const struct check *c, const char *what)
{
    return fail_at(c, c->at, c->at == c->end ? "the text ends too early" : what);
}

static int fail_bound(const struct check *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int fail_bound(const struct check *c, const char *format, ...)
{
    char what[128];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return fail(c, what);
}

/* The pointer of the present value. */
static struct pointer here(const struct check *c)
{
    struct pointer pointer = {0};
    for (size_t i = 0; i < c->depth; i++) {
        const struct frame *frame = &c->frames[i];
        if (frame->object)
            pointer_add(&pointer, frame->name.text, frame->name.len);
        else
            pointer_add_index(&pointer, frame->index);
    }
    return pointer;
}

static int fail_value(const struct check *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int fail_value(const struct check *c, const char *format, ...)
{
    struct pointer pointer = here(c);
    char rule[128];
    va_list args;
    va_start(args, format);
    vsnprintf(rule, sizeof(rule), format, args);
    va_end(args);
    return err_field(c->err, pointer.text, "%s: %s", pointer_label(pointer.text), rule);
}

/* ---- strings ---- */

/* Bytes that stand for themselves in a string: ASCII but controls, " and \. */
static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Four hex digits; -1 when they are not. */
static int hex4(const char *at, const char *end)
{
    int value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* `at` stands on the backslash of a \u escape. */
static int check_unicode_escape(struct check *c)
{
    int unit = hex4(c->at + 2, c->end);
    if (unit < 0)
        return fail(c, "\\u wants four hexadecimal digits");
    if (unit == 0)
        return fail(c, "U+0000 is not allowed in a string");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return fail(c, "low surrogate without a high one before it");
    if (unit < 0xD800 || unit > 0xDBFF) {
        c->at += 6;
        return 0;
    }
    const char *second = c->at + 6;
    int low = c->end - second >= 6 && second[0] == '\\' && second[1] == 'u'
                  ? hex4(second + 2, c->end)
                  : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return fail(c, "high surrogate without a low one after it");
    c->at += 12;
    return 0;
}

static int check_escape(struct check *c)
{
    if (c->end - c->at < 2)
        return fail(c, "unfinished escape");
    char kind = c->at[1];
    if (kind == 'u')
        return check_unicode_escape(c);
    if (kind == '\0' || !strchr("\"\\/bfnrt", kind))
        return fail(c, "unknown escape; known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
    c->at += 2;
    return 0;
}

/* A control character, or a byte of a longer sequence. */
static int check_special(struct check *c)
{
    if ((unsigned char)*c->at < 0x20)
        return fail(c, "control characters in a string must be escaped");
    size_t len = utf8_sequence(c->at, (size_t)(c->end - c->at));
    if (len == 0)
        return fail(c, "not valid UTF-8");
    c->at += len;
    return 0;
}

/* `at` stands on the opening quote. The span lies between the quotes. */
static int check_string(struct check *c, struct json_span *ret_raw, bool *ret_escaped)
{
    const char *first = ++c->at;
    *ret_escaped = false;
    for (;;) {
        const char *at = c->at;
        while (at < c->end && is_plain((unsigned char)*at))
            at++;
        c->at = at;
        if (at == c->end)
            return fail_at(c, first - 1, "this string has no closing quote");
        if (*at == '"')
            break;
        *ret_escaped |= *at == '\\';
        if ((*at == '\\' ? check_escape(c) : check_special(c)) != 0)
            return -1;
    }
    *ret_raw = (struct json_span){first, (size_t)(c->at - first)};
    c->at++;
    return 0;
}

/* ---- numbers ---- */

static size_t skip_digits(struct check *c)
{
    const char *first = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return (size_t)(c->at - first);
}

static bool skip_char(struct check *c, const char *any)
{
    bool found = c->at < c->end && *c->at && strchr(any, *c->at);
    c->at += found;
    return found;
}

static int check_integer_range(const struct check *c, const char *digits, size_t count)
{
    int64_t value = 0;
    for (size_t i = 0; i < count && value <= JSON_INTEGER_MAX; i++)
        value = value * 10 + (digits[i] - '0');
    if (value > JSON_INTEGER_MAX)
        return fail_value(c, "integers must be from -%lld to %lld", JSON_INTEGER_MAX,
                          JSON_INTEGER_MAX);
    return 0;
}

static int check_double_range(const struct check *c, const char *first)
{
    /* strtod() wants a NUL, which the text may not have. */
    char copy[LIMIT_JSON_NUMBER + 1];
    size_t len = (size_t)(c->at - first);
    if (len > LIMIT_JSON_NUMBER)
        return fail_value(c, "a number must be at most %d bytes, got %zu", LIMIT_JSON_NUMBER, len);
    memcpy(copy, first, len);
    copy[len] = '\0';
    if (!isfinite(strtod_l(copy, NULL, json_locale())))
        return fail_value(c, "the number is too large for a double");
    return 0;
}

static int check_number(struct check *c)
{
    const char *first = c->at;
    skip_char(c, "-");
    const char *digits = c->at;
    size_t count = skip_digits(c);
    if (count == 0)
        return fail(c, "a number needs a digit here");
    if (count > 1 && *digits == '0')
        return fail_at(c, digits, "a number must not begin with a needless 0");
    bool integer = true;
    if (skip_char(c, ".")) {
        integer = false;
        if (skip_digits(c) == 0)
            return fail(c, "a number needs a digit after its point");
    }
    if (skip_char(c, "eE")) {
        integer = false;
        skip_char(c, "+-");
        if (skip_digits(c) == 0)
            return fail(c, "a number needs a digit in its exponent");
    }
    return integer ? check_integer_range(c, digits, count) : check_double_range(c, first);
}

/* ---- structure ---- */

static int open_bracket(struct check *c, bool object)
{
    if (c->depth == LIMIT_JSON_DEPTH)
        return fail_bound(c, "nested too deeply: at most %d arrays and objects in each other",
                          LIMIT_JSON_DEPTH);
    c->frames[c->depth++] =
        (struct frame){.object = object, .first_name = json_names_mark(&c->names)};
    c->at++;
    return object ? WANT_NAME_OR_END : WANT_ITEM_OR_END;
}

static int close_bracket(struct check *c)
{
    struct frame *frame = &c->frames[c->depth - 1];
    if (frame->object && json_names_close(&c->names, frame->first_name, &frame->name) != 0)
        return fail_value(c, "this name stands twice in its object");
    c->depth--;
    c->at++;
    return WANT_MORE;
}

static int check_literal(struct check *c)
{
    static const char *const literals[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        size_t len = strlen(literals[i]);
        if ((size_t)(c->end - c->at) >= len && memcmp(c->at, literals[i], len) == 0) {
            c->at += len;
            return 0;
        }
    }
    return fail(c, "expected a value");
}

static int check_value(struct check *c)
{
    struct json_span raw;
    bool escaped;
    if (c->at == c->end)
        return fail(c, "expected a value");
    if (++c->items > LIMIT_JSON_ITEMS)
        return fail_bound(c, "too many values: at most %d in one text", LIMIT_JSON_ITEMS);
    switch (*c->at) {
    case '{':
    case '[':
        return open_bracket(c, *c->at == '{');
    case '"':
        return check_string(c, &raw, &escaped) == 0 ? WANT_MORE : -1;
    case '-':
    case '0' ... '9':
        return check_number(c) == 0 ? WANT_MORE : -1;
    default:
        return check_literal(c) == 0 ? WANT_MORE : -1;
    }
}

static void skip_white(struct check *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
}

static int check_name(struct check *c)
{
    struct frame *frame = &c->frames[c->depth - 1];
    struct json_span raw;
    bool escaped;
    if (c->at == c->end || *c->at != '"')
        return fail(c, "expected a member's name in double quotes");
    if (check_string(c, &raw, &escaped) != 0)
        return -1;
    frame->name = json_names_add(&c->names, raw, escaped, (size_t)(c->end - c->text));
    skip_white(c);
    if (c->at == c->end || *c->at != ':')
        return fail(c, "expected ':' after the member's name");
    c->at++;
    return WANT_VALUE;
}

/* After a value: a comma, the end of what is open, or the end of the text. */
static int check_more(struct check *c)
{
    if (c->depth == 0)
        return c->at == c->end ? WANT_NOTHING : fail(c, "nothing may follow the value");
    struct frame *frame = &c->frames[c->depth - 1];
    if (c->at < c->end && *c->at == (frame->object ? '}' : ']'))
        return close_bracket(c);
    if (c->at == c->end || *c->at != ',')
        return fail(c, frame->object ? "expected ',' or '}'" : "expected ',' or ']'");
    c->at++;
    frame->index++;
    return frame->object ? WANT_NAME : WANT_VALUE;
}

static int check_next(struct check *c, int want)
{
    bool ends = c->at < c->end && *c->at == (want == WANT_NAME_OR_END ? '}' : ']');
    switch (want) {
    case WANT_ITEM_OR_END:
        return ends ? close_bracket(c) : check_value(c);
    case WANT_NAME_OR_END:
        return ends ? close_bracket(c) : check_name(c);
    case WANT_NAME:
        return check_name(c);
    case WANT_VALUE:
        return check_value(c);
    default:
        return check_more(c);
    }
}

int json_check(const char *text, size_t len, struct err *err)
{
    if (len == 0)
        text = "";
    struct check c = {.text = text, .at = text, .end = text + len, .err = err};
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        return fail(&c, "the text must not begin with a byte order mark");
    int want = WANT_VALUE;
    while (want >= 0 && want != WANT_NOTHING) {
        skip_white(&c);
        want = check_next(&c, want);
    }
    json_names_release(&c.names);
    return want < 0 ? -1 : 0;
}
