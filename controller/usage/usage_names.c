/* Names and labels, each read once and kept for the rows that follow. */
#include "controller/usage/usage_names.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/usage/store_usage.h"

/* Rows of one thing follow one another, so that few places are enough. */
enum { NAMES_KEPT = 256, KINDS = ACCESS_NETWORK + 1 };

struct kept {
    int64_t key; /* 0: free */
    struct noun_row row;
};

/* Values of one resource's labels. */
struct labelled {
    int64_t key;
    int resource;
    bool used;
    int32_t values[USAGE_LABELS];
};

struct usage_names {
    struct db *db;
    struct kept *kept[KINDS];
    char *json;
    int64_t json_key; /* whose labels `json` is */
    int json_resource;
    char label_names[USAGE_LABELS][LIMIT_LABEL_NAME + 1];
    struct labelled *labelled;
    size_t count, size;
    char **texts; /* value - 1 */
    size_t text_count, text_room;
    uint32_t *text_index;
    size_t text_size;
    struct err err;
};

struct usage_names *usage_names_new(void)
{
    return xcalloc(1, sizeof(struct usage_names));
}

void usage_names_free(struct usage_names *names)
{
    if (!names)
        return;
    for (int i = 0; i < KINDS; i++)
        free(names->kept[i]);
    for (size_t i = 0; i < names->text_count; i++)
        free(names->texts[i]);
    free(names->texts);
    free(names->text_index);
    free(names->labelled);
    free(names->json);
    err_clear(&names->err);
    free(names);
}

void usage_names_cleanup(struct usage_names **names)
{
    usage_names_free(*names);
}

void usage_names_use(struct usage_names *names, struct db *db)
{
    names->db = db;
}

int usage_names_failed(struct usage_names *names, struct err *err)
{
    if (!names->err.code)
        return 0;
    err_move(err, &names->err);
    return -1;
}

/* ---- names ---- */

const struct noun_row *usage_name(struct usage_names *names, enum access_kind kind, int64_t key)
{
    if (key == 0)
        return NULL;
    if (!names->kept[kind])
        names->kept[kind] = xcalloc(NAMES_KEPT, sizeof(struct kept));
    struct kept *kept = &names->kept[kind][(uint64_t)key % NAMES_KEPT];
    if (kept->key == key)
        return &kept->row;
    kept->key = 0;
    if (names->err.code || noun_row(names->db, kind, key, &kept->row, &names->err) != 0)
        return NULL;
    kept->key = key;
    return &kept->row;
}

/* ---- labels ---- */

const char *usage_labels_json(struct usage_names *names, int resource, int64_t key)
{
    if (names->json && names->json_key == key && names->json_resource == resource)
        return names->json;
    free(take(names->json));
    if (!names->err.code)
        store_usage_labels(names->db, resource, key, &names->json, &names->err);
    names->json_key = key;
    names->json_resource = resource;
    return names->json ? names->json : "{}";
}

void usage_names_label(struct usage_names *names, int label, const char *name)
{
    snprintf(names->label_names[label], sizeof(names->label_names[label]), "%s", name);
}

const char *usage_label_text(const struct usage_names *names, int32_t value)
{
    return value ? names->texts[value - 1] : NULL;
}

static size_t text_slot(const struct usage_names *names, const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (const char *at = text; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
    size_t slot = (hash ^ hash >> 32) & (names->text_size - 1);
    while (names->text_index[slot] && strcmp(names->texts[names->text_index[slot] - 1], text) != 0)
        slot = (slot + 1) & (names->text_size - 1);
    return slot;
}

static void texts_grow(struct usage_names *names)
{
    names->text_size = names->text_size ? names->text_size * 2 : 64;
    free(names->text_index);
    names->text_index = xcalloc(names->text_size, sizeof(*names->text_index));
    for (size_t i = 0; i < names->text_count; i++)
        names->text_index[text_slot(names, names->texts[i])] = (uint32_t)i + 1;
}

/* Takes the text over. */
static int32_t text_value(struct usage_names *names, char *text)
{
    if (names->text_count * 2 >= names->text_size)
        texts_grow(names);
    size_t slot = text_slot(names, text);
    if (names->text_index[slot]) {
        free(text);
        return (int32_t)names->text_index[slot];
    }
    if (names->text_count == names->text_room) {
        names->text_room = names->text_room ? names->text_room * 2 : 64;
        names->texts = xrealloc(names->texts, names->text_room * sizeof(char *));
    }
    names->texts[names->text_count++] = text;
    names->text_index[slot] = (uint32_t)names->text_count;
    return (int32_t)names->text_count;
}

static size_t labelled_slot(const struct labelled *all, size_t size, int resource, int64_t key)
{
    uint64_t hash = ((uint64_t)key * 2 + (uint64_t)resource) * 0x9e3779b97f4a7c15;
    size_t slot = (hash ^ hash >> 32) & (size - 1);
    while (all[slot].used && (all[slot].key != key || all[slot].resource != resource))
        slot = (slot + 1) & (size - 1);
    return slot;
}

static void labelled_grow(struct usage_names *names)
{
    size_t size = names->size ? names->size * 2 : 256;
    struct labelled *all = xcalloc(size, sizeof(*all));
    for (size_t i = 0; i < names->size; i++) {
        const struct labelled *old = &names->labelled[i];
        if (old->used)
            all[labelled_slot(all, size, old->resource, old->key)] = *old;
    }
    free(names->labelled);
    names->labelled = all;
    names->size = size;
}

static void read_labels(struct usage_names *names, struct labelled *labelled)
{
    for (int i = 0; i < USAGE_LABELS; i++) {
        char *text = NULL;
        if (!names->label_names[i][0] || names->err.code ||
            store_usage_label(names->db, labelled->resource, labelled->key, names->label_names[i],
                              &text, &names->err) != 0)
            continue;
        labelled->values[i] = text ? text_value(names, text) : 0;
    }
}

static int32_t label_of(void *ctx, int label, const struct segment *segment)
{
    struct usage_names *names = ctx;
    if (names->count * 2 >= names->size)
        labelled_grow(names);
    struct labelled *labelled = &names->labelled[labelled_slot(
        names->labelled, names->size, segment->resource, segment->resource_key)];
    if (!labelled->used) {
        *labelled = (struct labelled){
            .key = segment->resource_key, .resource = segment->resource, .used = true};
        read_labels(names, labelled);
        names->count++;
    }
    return labelled->values[label];
}

static const char *label_text(void *ctx, int32_t value)
{
    return usage_label_text(ctx, value);
}

struct usage_labels usage_names_labels(struct usage_names *names)
{
    return (struct usage_labels){.ctx = names, .of = label_of, .text = label_text};
}
