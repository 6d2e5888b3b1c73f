/* JSON to structs by their field tables. Every refusal names the field as a JSON
 * pointer and says the limit in words. */
#include <string.h>

#include "api/base/buf.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/json/validate.h"
#include "api/json/wire.h"
#include "api/json/wire_internal.h"

static int decode_object(const struct wire_decoder *d, const struct wire_struct *type,
                         const struct json *node, const struct wire_place *place, char *out);

/* ---- values that hold others ---- */

static int decode_labels(const struct wire_decoder *d, const struct wire_field *field,
                         const struct json *node, const struct wire_place *place,
                         struct labels *out)
{
    if (json_type(node) != JSON_OBJECT)
        return wire_refuse_type(d, place, "an object of strings", node);
    int64_t max = field->max ? field->max : LIMIT_LABELS;
    if (wire_check_size(d, place, field->min, max, json_count(node), "labels") != 0)
        return -1;
    for (struct json *child = json_first(node); child; child = json_next(child)) {
        struct wire_place inner = {.parent = place, .name = json_name(child)};
        if (!json_str(child))
            return wire_refuse_type(d, &inner, "a string", child);
        /* A reader of replies takes what a later version may allow. */
        if (d->mode == WIRE_STRICT &&
            (wire_check_text(d, &inner, validate_label_name, inner.name) != 0 ||
             wire_check_text(d, &inner, validate_label_value, json_str(child))))
            return -1;
    }
    wire_take_labels(node, out);
    return 0;
}

static int decode_strs(const struct wire_decoder *d, const struct wire_field *field,
                       const struct json *node, const struct wire_place *place, struct strings *out)
{
    if (json_type(node) != JSON_ARRAY)
        return wire_refuse_type(d, place, "an array of strings", node);
    if (wire_check_size(d, place, field->min, field->max, json_count(node), "items") != 0)
        return -1;
    struct wire_place inner = {.parent = place};
    for (struct json *child = json_first(node); child; child = json_next(child), inner.index++) {
        const char *text = json_str(child);
        if (!text)
            return wire_refuse_type(d, &inner, "a string", child);
        if (wire_check_text(d, &inner, field->check, text) != 0)
            return -1;
        strings_add(out, text);
    }
    return 0;
}

static int decode_list(const struct wire_decoder *d, const struct wire_field *field,
                       const struct json *node, const struct wire_place *place,
                       struct wire_list *out)
{
    if (json_type(node) != JSON_ARRAY)
        return wire_refuse_type(d, place, "an array of objects", node);
    size_t count = json_count(node);
    if (wire_check_size(d, place, field->min, field->max, count, "items") != 0)
        return -1;
    if (count == 0)
        return 0;
    /* The reader bounded the count. All are zeroed first, so that release is safe. */
    out->items = xcalloc(count, field->sub->size);
    out->count = count;
    struct wire_place inner = {.parent = place};
    for (struct json *child = json_first(node); child; child = json_next(child), inner.index++) {
        char *at = (char *)out->items + inner.index * field->sub->size;
        if (decode_object(d, field->sub, child, &inner, at) != 0)
            return -1;
    }
    return 0;
}

static int decode_value(const struct wire_decoder *d, const struct wire_field *field,
                        const struct json *node, const struct wire_place *place, void *at)
{
    void **pointer = at;
    switch (field->type) {
    case WIRE_LABELS:
        return decode_labels(d, field, node, place, at);
    case WIRE_STRS:
        return decode_strs(d, field, node, place, at);
    case WIRE_LIST:
        return decode_list(d, field, node, place, at);
    case WIRE_OBJECT:
        return decode_object(d, field->sub, node, place, at);
    case WIRE_OBJECT_P:
        *pointer = xcalloc(1, field->sub->size);
        return decode_object(d, field->sub, node, place, *pointer);
    default:
        return wire_decode_scalar(d, field, node, place, at);
    }
}

/* ---- objects ---- */

/* A person's null must be meant; our own encoder writes null for what is absent. */
static int check_null(const struct wire_decoder *d, const struct wire_field *field,
                      const struct wire_place *place)
{
    if (field->flags & WIRE_REQUIRED)
        return wire_refuse(d, place, "must not be null");
    if (d->mode == WIRE_STRICT && !(field->flags & WIRE_NULLABLE))
        return wire_refuse(d, place, "must not be null; leave it out instead");
    return 0;
}

static size_t find_field(const struct wire_struct *type, const char *name)
{
    size_t i = 0;
    while (i < type->count && strcmp(type->fields[i].name, name) != 0)
        i++;
    return i;
}

static int refuse_unknown(const struct wire_decoder *d, const struct wire_struct *type,
                          const struct wire_place *place)
{
    struct buf auto_buf allowed = {0};
    for (size_t i = 0; i < type->count; i++)
        buf_printf(&allowed, "%s%s", i ? ", " : "", type->fields[i].name);
    return wire_refuse(d, place, "unknown field; allowed are %s",
                       type->count ? allowed.data : "none at all");
}

static int check_required(const struct wire_decoder *d, const struct wire_struct *type,
                          const struct wire_place *place, uint64_t present)
{
    for (size_t i = 0; i < type->count; i++) {
        struct wire_place inner = {.parent = place, .name = type->fields[i].name};
        if ((type->fields[i].flags & WIRE_REQUIRED) && !(present >> i & 1))
            return wire_refuse(d, &inner, "is required");
    }
    return 0;
}

static int decode_members(const struct wire_decoder *d, const struct wire_struct *type,
                          const struct json *node, const struct wire_place *place, char *out,
                          uint64_t *ret_present)
{
    for (struct json *child = json_first(node); child; child = json_next(child)) {
        struct wire_place inner = {.parent = place, .name = json_name(child)};
        size_t i = find_field(type, inner.name);
        if (i == type->count && d->mode == WIRE_LENIENT)
            continue;
        if (i == type->count)
            return refuse_unknown(d, type, &inner);
        const struct wire_field *field = &type->fields[i];
        bool null = json_type(child) == JSON_NULL;
        if (null ? check_null(d, field, &inner) != 0
                 : decode_value(d, field, child, &inner, out + field->offset) != 0)
            return -1;
        *ret_present |= (uint64_t)1 << i;
    }
    return 0;
}

static int decode_object(const struct wire_decoder *d, const struct wire_struct *type,
                         const struct json *node, const struct wire_place *place, char *out)
{
    uint64_t present = 0;
    if (json_type(node) != JSON_OBJECT)
        return wire_refuse_type(d, place, "an object", node);
    if (decode_members(d, type, node, place, out, &present) != 0 ||
        check_required(d, type, place, present) != 0)
        return -1;
    if (type->present)
        memcpy(out + type->present - 1, &present, sizeof(present));
    return 0;
}

int wire_decode(const struct wire_struct *type, const struct json *object, enum wire_mode mode,
                void *out, struct err *err)
{
    const struct wire_decoder d = {mode, err};
    if (decode_object(&d, type, object, NULL, out) == 0)
        return 0;
    wire_release(type, out);
    return -1;
}

int wire_parse(const struct wire_struct *type, const char *text, size_t len, enum wire_mode mode,
               void *out, struct err *err)
{
    struct json auto_json *root = NULL;
    if (json_parse(text, len, &root, err) != 0)
        return -1;
    return wire_decode(type, root, mode, out, err);
}
