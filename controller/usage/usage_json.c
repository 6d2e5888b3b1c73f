/* Rows of usage as JSON; see usage_json.h. */
#include "controller/usage/usage_json.h"

#include <stdio.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "controller/usage/usage_names.h"
#include "controller/usage/usage_query.h"

/* ---- who ---- */

static void put_name(struct usage_json *json, enum access_kind kind, const char *key,
                     const char *id_key, int64_t row_key)
{
    const struct noun_row *row = usage_name(json->names, kind, row_key);
    json_put_str(json->w, key, row ? row->name : NULL);
    json_put_str(json->w, id_key, row ? row->id : NULL);
}

static void put_label(struct usage_json *json, int label, int32_t value)
{
    char key[LIMIT_LABEL_NAME + 8];
    snprintf(key, sizeof(key), "label:%s", json->query->labels[label]);
    json_put_key(json->w, key);
    json_put_str(json->w, NULL, usage_label_text(json->names, value));
}

static void put_key(struct usage_json *json, int by, const struct usage_key *key)
{
    enum access_kind resource = key->resource == RESOURCE_IMAGE ? ACCESS_IMAGE : ACCESS_INSTANCE;
    switch (by) {
    case USAGE_BY_PROJECT:
        put_name(json, ACCESS_PROJECT, "project", "project_id", key->project_key);
        break;
    case USAGE_BY_RESOURCE:
        put_name(json, resource, "instance", "instance_id", key->resource_key);
        json_put_str(json->w, "resource", resource_names[key->resource]);
        break;
    case USAGE_BY_FLAVOR:
        put_name(json, ACCESS_FLAVOR, "flavor", "flavor_id", key->flavor_key);
        break;
    case USAGE_BY_NODE:
        put_name(json, ACCESS_NODE, "node", "node_id", key->node_key);
        break;
    case USAGE_BY_METER:
        break;
    default:
        put_label(json, by - USAGE_BY_LABEL, key->labels[by - USAGE_BY_LABEL]);
    }
}

/* ---- what the row before said ---- */

/* Copies from what was written before to its end. */
static void copy_back(struct buf *out, size_t at, size_t len)
{
    buf_reserve(out, len);
    memcpy(out->data + out->len, out->data + at, len);
    out->len += len;
}

static void put_period(struct usage_json *json, const struct usage_row *row)
{
    struct buf *out = json->w->out;
    size_t at = out->len;
    if (json->any && row->start_ms == json->start_ms) {
        copy_back(out, json->at, json->period_len);
    } else {
        json->w->comma = false;
        json_open(json->w, NULL, '{');
        json_put_time(json->w, "start", row->start_ms);
        json_put_time(json->w, "end", row->end_ms);
        json->period_len = out->len - at;
    }
    json->w->comma = true;
}

static void put_who(struct usage_json *json, const struct usage_row *row)
{
    struct buf *out = json->w->out;
    size_t at = out->len;
    struct usage_key key = row->key;
    key.kind = 0; /* the meter says it */
    if (json->any && memcmp(&key, &json->key, sizeof(key)) == 0) {
        copy_back(out, json->at + json->period_len, json->who_len);
        return;
    }
    for (size_t i = 0; i < json->query->question.by_count; i++)
        put_key(json, json->query->question.by[i], &key);
    json->key = key;
    json->who_len = out->len - at;
}

/* ---- what ---- */

static char *put_text(char *to, const char *text, size_t len)
{
    memcpy(to, text, len);
    return to + len;
}

static char *put_number(char *to, quantity value)
{
    char text[QUANTITY_TEXT_MAX];
    if (value == 0)
        return put_text(to, "0", 1);
    quantity_text(value, text);
    return put_text(to, text, strlen(text));
}

#define PUT_LITERAL(to, literal) put_text(to, literal, sizeof(literal) - 1)

static void put_what(struct buf *out, const struct usage_row *row)
{
    const struct meter_def *meter = &meters[row->meter];
    enum { WORDS_MAX = 160 };
    buf_reserve(out, WORDS_MAX + 4 * QUANTITY_TEXT_MAX);
    char *to = out->data + out->len;
    to = PUT_LITERAL(to, ",\"meter\":\"");
    to = put_text(to, meter->name, strlen(meter->name));
    to = PUT_LITERAL(to, "\",\"unit\":\"");
    to = put_text(to, meter->unit, strlen(meter->unit));
    to = PUT_LITERAL(to, "\",\"quantity\":\"");
    to = put_number(to, row->used);
    to = PUT_LITERAL(to, "\",\"unverified\":\"");
    to = put_number(to, row->unverified);
    to = PUT_LITERAL(to, "\",\"correction\":\"");
    to = put_number(to, row->correction);
    to = PUT_LITERAL(to, "\",\"cost_nanos\":\"");
    to = put_number(to, row->nanos);
    to = PUT_LITERAL(to, "\"}");
    *to = '\0';
    out->len = (size_t)(to - out->data);
}

void usage_json_row(struct usage_json *json, const struct usage_row *row)
{
    struct buf *out = json->w->out;
    if (json->w->comma)
        buf_putc(out, ',');
    size_t at = out->len;
    put_period(json, row);
    /* Both copies are from the row before, so its place is forgotten only now. */
    size_t who_at = out->len;
    put_who(json, row);
    put_what(out, row);
    json->at = at;
    json->period_len = who_at - at;
    json->start_ms = row->start_ms;
    json->any = true;
    json->w->comma = true;
}
