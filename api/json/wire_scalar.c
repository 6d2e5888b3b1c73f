/* Decoding of values that hold no others. */
#include <stdio.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "api/base/utf8.h"
#include "api/json/json.h"
#include "api/json/wire_internal.h"

enum { GOT_MAX = 60 }; /* how much of a refused text a message repeats */

/* As much of a text as a message can bear, owned by the caller. */
static char *excerpt(const char *text)
{
    size_t len = strlen(text), cut = utf8_cut(text, len, GOT_MAX);
    return xasprintf("\"%.*s%s\"", (int)cut, text, cut < len ? "..." : "");
}

static char *join_names(const char *const *names)
{
    struct buf auto_buf all = {0};
    for (size_t i = 0; names[i]; i++)
        buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    return buf_take(&all);
}

static int decode_str(const struct wire_decoder *d, const struct wire_field *field,
                      const struct json *node, const struct wire_place *place, char **out)
{
    const char *text = json_str(node);
    if (!text)
        return wire_refuse_type(d, place, "a string", node);
    if (wire_check_size(d, place, field->min, field->max, strlen(text), "bytes") != 0 ||
        wire_check_text(d, place, field->check, text) != 0)
        return -1;
    *out = xstrdup(text);
    return 0;
}

static int decode_i64(const struct wire_decoder *d, const struct wire_field *field,
                      const struct json *node, const struct wire_place *place, int64_t *out)
{
    if (json_type(node) != JSON_NUMBER)
        return wire_refuse_type(d, place, "an integer", node);
    if (!json_i64(node, out)) {
        struct buf auto_buf got = {0};
        json_print(node, false, &got);
        return wire_refuse(d, place, "must be an integer, got %s", got.data);
    }
    return wire_check_range(d, place, field, *out);
}

/* 0, or -[1-9][0-9]*, or [1-9][0-9]*, within 64 bits: one text for one number. */
static bool parse_decimal(const char *text, int64_t *ret)
{
    bool minus = *text == '-';
    const char *at = text + minus;
    if (*at == '0')
        return !minus && at[1] == '\0' && (*ret = 0, true);
    int64_t value = 0;
    for (const char *first = at; *at || at == first; at++) {
        if (*at < '0' || *at > '9')
            return false;
        /* Built below zero: the smallest number has no positive twin. */
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *at - '0', &value))
            return false;
    }
    return minus ? (*ret = value, true) : !__builtin_sub_overflow((int64_t)0, value, ret);
}

static int decode_dec64(const struct wire_decoder *d, const struct wire_field *field,
                        const struct json *node, const struct wire_place *place, int64_t *out)
{
    const char *text = json_str(node);
    /* Programs of before a field outgrew JSON's integers wrote it as one. */
    if (!text && d->mode == WIRE_LENIENT && json_i64(node, out))
        return wire_check_range(d, place, field, *out);
    if (!text)
        return wire_refuse_type(d, place, "a decimal number in a string, such as \"1024\"", node);
    autofree char *got = excerpt(text);
    if (!parse_decimal(text, out))
        return wire_refuse(d, place,
                           "must be a decimal number of at most 64 bits without leading zeros or a "
                           "plus sign, got %s",
                           got);
    return wire_check_range(d, place, field, *out);
}

static int decode_bool(const struct wire_decoder *d, const struct json *node,
                       const struct wire_place *place, bool *out)
{
    return json_bool(node, out) ? 0 : wire_refuse_type(d, place, "true or false", node);
}

static int decode_enum(const struct wire_decoder *d, const struct wire_field *field,
                       const struct json *node, const struct wire_place *place, int *out)
{
    const char *text = json_str(node);
    if (!text)
        return wire_refuse_type(d, place, "a string", node);
    for (int i = 0; field->names[i]; i++) {
        if (strcmp(field->names[i], text) == 0) {
            *out = i;
            return 0;
        }
    }
    autofree char *got = excerpt(text), *names = join_names(field->names);
    return wire_refuse(d, place, "must be one of %s; got %s", names, got);
}

static int decode_time(const struct wire_decoder *d, const struct json *node,
                       const struct wire_place *place, int64_t *out)
{
    const char *text = json_str(node);
    if (!text)
        return wire_refuse_type(d, place, "a time in a string", node);
    if (clock_parse(text, out) == 0)
        return 0;
    autofree char *got = excerpt(text);
    return wire_refuse(
        d, place, "must be a time as RFC 3339 has it, such as \"2026-01-31T12:00:00Z\", got %s",
        got);
}

static int decode_raw(const struct wire_decoder *d, const struct wire_field *field,
                      const struct json *node, const struct wire_place *place, char **out)
{
    struct buf auto_buf text = {0};
    json_print(node, false, &text);
    if (wire_check_size(d, place, field->min, field->max, text.len, "bytes") != 0)
        return -1;
    *out = buf_take(&text);
    return 0;
}

int wire_decode_scalar(const struct wire_decoder *d, const struct wire_field *field,
                       const struct json *node, const struct wire_place *place, void *at)
{
    switch (field->type) {
    case WIRE_STR:
        return decode_str(d, field, node, place, at);
    case WIRE_I64:
        return decode_i64(d, field, node, place, at);
    case WIRE_BOOL:
        return decode_bool(d, node, place, at);
    case WIRE_ENUM:
        return decode_enum(d, field, node, place, at);
    case WIRE_TIME:
        return decode_time(d, node, place, at);
    case WIRE_DEC64:
        return decode_dec64(d, field, node, place, at);
    case WIRE_RAW:
        return decode_raw(d, field, node, place, at);
    default:
        abort(); /* A type was added to the enum and not here. */
    }
}
