/* Structs to JSON by their field tables. Everything is borrowed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/json/json.h"
#include "api/json/wire.h"
#include "api/json/wire_internal.h"

static void encode(const struct wire_struct *type, const char *in, struct json_writer *w,
                   const char *key, bool secrets);

/* Fields are read by memcpy where the table, not the compiler, knows their type. */
static int64_t get_i64(const char *at)
{
    int64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static int get_int(const char *at)
{
    int value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static bool get_bool(const char *at)
{
    bool value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static const void *get_pointer(const char *at)
{
    const void *value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static struct wire_list get_list(const char *at)
{
    struct wire_list list;
    memcpy(&list, at, sizeof(list));
    return list;
}

static struct strings get_strings(const char *at)
{
    struct strings strings;
    memcpy(&strings, at, sizeof(strings));
    return strings;
}

static struct labels get_labels(const char *at)
{
    struct labels labels;
    memcpy(&labels, at, sizeof(labels));
    return labels;
}

/* What WIRE_OMIT leaves out. */
static bool is_empty(const struct wire_field *field, const char *at)
{
    switch (field->type) {
    case WIRE_STR:
    case WIRE_RAW:
    case WIRE_OBJECT_P:
        return !get_pointer(at);
    case WIRE_I64:
    case WIRE_TIME:
    case WIRE_DEC64:
        return get_i64(at) == 0;
    case WIRE_BOOL:
        return !get_bool(at);
    case WIRE_ENUM:
        return get_int(at) == 0;
    case WIRE_LABELS:
        return get_labels(at).count == 0;
    case WIRE_STRS:
        return get_strings(at).count == 0;
    case WIRE_LIST:
        return get_list(at).count == 0;
    case WIRE_OBJECT:
        return false;
    }
    return false;
}

static void put_strings(struct json_writer *w, const char *key, const struct strings *strings)
{
    json_open(w, key, '[');
    for (size_t i = 0; i < strings->count; i++)
        json_put_str(w, NULL, strings->items[i]);
    json_close(w, ']');
}

static void put_list(const struct wire_struct *type, const char *at, struct json_writer *w,
                     const char *key, bool secrets)
{
    struct wire_list list = get_list(at);
    const char *items = list.items;
    json_open(w, key, '[');
    for (size_t i = 0; i < list.count; i++)
        encode(type, items + i * type->size, w, NULL, secrets);
    json_close(w, ']');
}

static void put_decimal(struct json_writer *w, const char *key, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, value);
    json_put_strn(w, key, text, (size_t)len);
}

/* A value that is no text, list or struct of its own. */
static void put_scalar(const struct wire_field *field, const char *at, struct json_writer *w)
{
    switch (field->type) {
    case WIRE_I64:
        json_put_i64(w, field->name, get_i64(at));
        return;
    case WIRE_BOOL:
        json_put_bool(w, field->name, get_bool(at));
        return;
    case WIRE_ENUM:
        json_put_str(w, field->name, field->names[get_int(at)]);
        return;
    case WIRE_TIME:
        json_put_time(w, field->name, get_i64(at));
        return;
    default:
        put_decimal(w, field->name, get_i64(at));
        return;
    }
}

static void put_pointer(const struct wire_field *field, const char *at, struct json_writer *w,
                        bool secrets)
{
    const void *value = get_pointer(at);
    if (!value)
        json_put_null(w, field->name);
    else if (field->type == WIRE_STR)
        json_put_str(w, field->name, value);
    else if (field->type == WIRE_RAW)
        json_put_raw(w, field->name, value, strlen(value));
    else
        encode(field->sub, value, w, field->name, secrets);
}

static void put_field(const struct wire_field *field, const char *at, struct json_writer *w,
                      bool secrets)
{
    struct strings strings;
    struct labels labels;
    switch (field->type) {
    case WIRE_STR:
    case WIRE_RAW:
    case WIRE_OBJECT_P:
        put_pointer(field, at, w, secrets);
        return;
    case WIRE_LABELS:
        labels = get_labels(at);
        wire_put_labels(w, field->name, &labels);
        return;
    case WIRE_STRS:
        strings = get_strings(at);
        put_strings(w, field->name, &strings);
        return;
    case WIRE_OBJECT:
        encode(field->sub, at, w, field->name, secrets);
        return;
    case WIRE_LIST:
        put_list(field->sub, at, w, field->name, secrets);
        return;
    default:
        put_scalar(field, at, w);
    }
}

static void encode(const struct wire_struct *type, const char *in, struct json_writer *w,
                   const char *key, bool secrets)
{
    json_open(w, key, '{');
    for (size_t i = 0; i < type->count; i++) {
        const struct wire_field *field = &type->fields[i];
        const char *at = in + field->offset;
        if ((field->flags & WIRE_SECRET) && !secrets)
            continue;
        if ((field->flags & WIRE_OMIT) && is_empty(field, at))
            continue;
        put_field(field, at, w, secrets);
    }
    json_close(w, '}');
}

void wire_encode(const struct wire_struct *type, const void *in, struct json_writer *w,
                 const char *key)
{
    encode(type, in, w, key, false);
}

void wire_encode_secret(const struct wire_struct *type, const void *in, struct json_writer *w,
                        const char *key)
{
    encode(type, in, w, key, true);
}
