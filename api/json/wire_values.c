/* Labels and lists of strings, and the release of any wire struct: what the
 * decoder and the encoder share. */
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/json/wire.h"
#include "api/json/wire_internal.h"

void labels_release(struct labels *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        free(labels->items[i].name);
        free(labels->items[i].value);
    }
    free(labels->items);
    *labels = (struct labels){0};
}

const char *labels_get(const struct labels *labels, const char *name)
{
    size_t low = 0, high = labels->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, labels->items[middle].name);
        if (order == 0)
            return labels->items[middle].value;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

void wire_put_labels(struct json_writer *w, const char *key, const struct labels *labels)
{
    json_open(w, key, '{');
    for (size_t i = 0; i < labels->count; i++) {
        json_put_key(w, labels->items[i].name);
        json_put_str(w, NULL, labels->items[i].value);
    }
    json_close(w, '}');
}

void labels_print(const struct labels *labels, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    wire_put_labels(&w, NULL, labels);
}

static int compare_labels(const void *left, const void *right)
{
    const struct label *a = left, *b = right;
    return strcmp(a->name, b->name);
}

void wire_take_labels(const struct json *object, struct labels *ret_labels)
{
    size_t count = json_count(object);
    if (count == 0)
        return;
    ret_labels->items = xcalloc(count, sizeof(*ret_labels->items));
    for (struct json *child = json_first(object); child; child = json_next(child)) {
        struct label *label = &ret_labels->items[ret_labels->count++];
        label->name = xstrdup(json_name(child));
        label->value = xstrdup(json_str(child));
    }
    qsort(ret_labels->items, ret_labels->count, sizeof(*ret_labels->items), compare_labels);
}

int labels_parse(const char *text, struct labels *ret_labels, struct err *err)
{
    struct json auto_json *root = NULL;
    if (json_parse(text, strlen(text), &root, err) != 0)
        return -1;
    if (json_type(root) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "labels: must be an object");
    for (struct json *child = json_first(root); child; child = json_next(child)) {
        if (!json_str(child))
            return err_set(err, ERR_INVALID, "labels: each value must be a string");
    }
    wire_take_labels(root, ret_labels);
    return 0;
}

void strings_release(struct strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct strings){0};
}

void strings_add(struct strings *strings, const char *text)
{
    /* Grows at powers of two, which the count alone tells. */
    if ((strings->count & (strings->count - 1)) == 0) {
        size_t cap = strings->count ? strings->count * 2 : 1;
        strings->items = xrealloc(strings->items, cap * sizeof(*strings->items));
    }
    strings->items[strings->count++] = xstrdup(text);
}

static void release_list(const struct wire_struct *type, struct wire_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        wire_release(type, (char *)list->items + i * type->size);
    free(list->items);
    *list = (struct wire_list){0};
}

static void release_field(const struct wire_field *field, void *at)
{
    void **pointer = at;
    switch (field->type) {
    case WIRE_STR:
    case WIRE_RAW:
        free(*pointer);
        *pointer = NULL;
        return;
    case WIRE_LABELS:
        labels_release(at);
        return;
    case WIRE_STRS:
        strings_release(at);
        return;
    case WIRE_OBJECT:
        wire_release(field->sub, at);
        return;
    case WIRE_OBJECT_P:
        if (*pointer)
            wire_release(field->sub, *pointer);
        free(*pointer);
        *pointer = NULL;
        return;
    case WIRE_LIST:
        release_list(field->sub, at);
        return;
    case WIRE_I64:
    case WIRE_BOOL:
    case WIRE_ENUM:
    case WIRE_TIME:
    case WIRE_DEC64:
        return;
    }
}

void wire_release(const struct wire_struct *type, void *value)
{
    for (size_t i = 0; i < type->count; i++)
        release_field(&type->fields[i], (char *)value + type->fields[i].offset);
}
