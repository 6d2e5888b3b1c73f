/* /v1/usage/export: every hour of every resource, meter and price, as CSV, as JSON lines or as
 * FOCUS. Corrections are rows of their own. */
#include <string.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "controller/ledger/price/price.h"
#include "controller/request/handlers.h"
#include "controller/usage/csv.h"
#include "controller/usage/focus.h"
#include "controller/usage/usage_file.h"
#include "controller/usage/usage_names.h"
#include "controller/usage/usage_query.h"
#include "controller/world.h"

enum export_format { EXPORT_CSV, EXPORT_JSONL, EXPORT_FOCUS };
static const char *const export_names[] = {"csv", "jsonl", "focus", NULL};

/* A row with its names. */
struct line {
    const struct usage_row *row;
    const struct noun_row *project, *resource, *flavor, *node;
};

struct export
{
    enum export_format format;
    bool nodes; /* an operator sees them */
    const char *currency;
    struct usage_names *names;
    struct usage_file *file;
    struct err *err;
    bool failed;
};

static const char *name_of(const struct noun_row *row)
{
    return row ? row->name : NULL;
}

static const char *id_of(const struct noun_row *row)
{
    return row ? row->id : NULL;
}

/* ---- CSV ---- */

static void csv_head(const struct export *export)
{
    struct csv csv = {.out = &export->file->out};
    csv_raw(&csv, "start,end,project,project_id,resource,resource_id,name,flavor");
    if (export->nodes)
        csv_raw(&csv, "node");
    csv_raw(&csv, "meter,unit,quantity,unverified,correction,price_id,cost_nanos,currency");
    csv_line_end(&csv);
}

static void csv_number(struct csv *csv, quantity value)
{
    char text[QUANTITY_TEXT_MAX];
    quantity_text(value, text);
    csv_raw(csv, text);
}

static void csv_time(struct csv *csv, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    csv_raw(csv, text);
}

static void csv_line(const struct export *export, const struct line *line)
{
    struct csv csv = {.out = &export->file->out};
    const struct usage_row *row = line->row;
    csv_time(&csv, row->start_ms);
    csv_time(&csv, row->end_ms);
    csv_text(&csv, name_of(line->project));
    csv_text(&csv, id_of(line->project));
    csv_raw(&csv, resource_names[row->key.resource]);
    csv_text(&csv, id_of(line->resource));
    csv_text(&csv, name_of(line->resource));
    csv_text(&csv, name_of(line->flavor));
    if (export->nodes)
        csv_text(&csv, name_of(line->node));
    csv_raw(&csv, meters[row->meter].name);
    csv_raw(&csv, meters[row->meter].unit);
    csv_number(&csv, row->used);
    csv_number(&csv, row->unverified);
    csv_raw(&csv, row->key.correction ? "true" : "false");
    csv_text(&csv, row->price ? row->price->id : NULL);
    csv_number(&csv, row->nanos);
    csv_raw(&csv, export->currency);
    csv_line_end(&csv);
}

/* ---- JSON lines ---- */

static void json_number(struct json_writer *w, const char *key, quantity value)
{
    char text[QUANTITY_TEXT_MAX];
    quantity_text(value, text);
    json_put_str(w, key, text);
}

static void json_line(const struct export *export, const struct line *line)
{
    struct json_writer w = JSON_WRITER(&export->file->out);
    const struct usage_row *row = line->row;
    json_open(&w, NULL, '{');
    json_put_time(&w, "start", row->start_ms);
    json_put_time(&w, "end", row->end_ms);
    json_put_str(&w, "project", name_of(line->project));
    json_put_str(&w, "project_id", id_of(line->project));
    json_put_str(&w, "resource", resource_names[row->key.resource]);
    json_put_str(&w, "resource_id", id_of(line->resource));
    json_put_str(&w, "name", name_of(line->resource));
    json_put_str(&w, "flavor", name_of(line->flavor));
    if (export->nodes)
        json_put_str(&w, "node", name_of(line->node));
    json_put_str(&w, "meter", meters[row->meter].name);
    json_put_str(&w, "unit", meters[row->meter].unit);
    json_number(&w, "quantity", row->used);
    json_number(&w, "unverified", row->unverified);
    json_put_bool(&w, "correction", row->key.correction);
    json_put_str(&w, "price_id", row->price ? row->price->id : NULL);
    json_number(&w, "cost_nanos", row->nanos);
    json_put_str(&w, "currency", export->currency);
    json_close(&w, '}');
    buf_putc(&export->file->out, '\n');
}

/* ---- FOCUS ---- */

static void focus_line(const struct export *export, const struct line *line)
{
    struct csv csv = {.out = &export->file->out};
    const struct usage_row *row = line->row;
    struct focus_charge charge = {
        .start_ms = row->start_ms,
        .meter = row->meter,
        .correction = row->key.correction,
        .used = row->used,
        .unverified = row->unverified,
        .nanos = row->nanos,
        .price = row->price,
        .currency = export->currency,
        .project_id = id_of(line->project),
        .project_name = name_of(line->project),
        .resource = row->key.resource,
        .resource_id = id_of(line->resource),
        .resource_name = name_of(line->resource),
        .flavor_name = name_of(line->flavor),
        .tags = usage_labels_json(export->names, row->key.resource, row->key.resource_key),
    };
    focus_row(&csv, &charge);
}

/* ---- all rows ---- */

static bool export_row(void *ctx, const struct usage_row *row)
{
    struct export *export = ctx;
    const struct usage_key *key = &row->key;
    enum access_kind kind = key->resource == RESOURCE_IMAGE ? ACCESS_IMAGE : ACCESS_INSTANCE;
    struct line line = {
        .row = row,
        .project = usage_name(export->names, ACCESS_PROJECT, key->project_key),
        .resource = usage_name(export->names, kind, key->resource_key),
        .flavor = usage_name(export->names, ACCESS_FLAVOR, key->flavor_key),
        .node = usage_name(export->names, ACCESS_NODE, key->node_key),
    };
    if (export->format == EXPORT_CSV)
        csv_line(export, &line);
    else if (export->format == EXPORT_JSONL)
        json_line(export, &line);
    else
        focus_line(export, &line);
    export->failed = usage_file_flush(export->file, export->err) != 0;
    return !export->failed;
}

static void head(const struct export *export)
{
    struct csv csv = {.out = &export->file->out};
    if (export->format == EXPORT_CSV)
        csv_head(export);
    else if (export->format == EXPORT_FOCUS)
        focus_head(&csv);
}

static int parse(struct request *r, const struct export *export, struct usage_query *query,
                 struct err *err)
{
    static const char *const params[] = {"start", "end", "format", "project", NULL};
    static const int keys[] = {USAGE_BY_PROJECT, USAGE_BY_RESOURCE, USAGE_BY_FLAVOR,
                               USAGE_BY_METER,   USAGE_BY_PRICE,    USAGE_BY_CLASS};
    struct usage_question *question = &query->question;
    if (request_only(r, params, err) != 0 ||
        usage_query_now(r, request_reader(r), query, err) != 0 ||
        usage_range_parse(r, &query->moment, true, &question->from_ms, &question->to_ms, err) != 0)
        return -1;
    question->period = USAGE_HOUR;
    query->position_ms = question->from_ms;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        question->by[question->by_count++] = keys[i];
    if (export->nodes && export->format != EXPORT_FOCUS)
        question->by[question->by_count++] = USAGE_BY_NODE;
    if (export->format == EXPORT_FOCUS)
        question->meters = ((1U << METER_COUNT) - 1) & ~(1U << METER_GAP);
    return 0;
}

static int format_of(const struct request *r)
{
    const char *format = http_query(r->http, "format");
    return format ? name_index(export_names, format) : EXPORT_CSV;
}

static int write_export(struct request *r, struct usage_file *file, struct err *err)
{
    struct usage_query query;
    struct export export = {.format = (enum export_format)format_of(r),
                            .nodes = caller_is_operator(&r->caller),
                            .currency = price_currency(r->app),
                            .file = file,
                            .err = err};
    if (parse(r, &export, &query, err) != 0)
        return -1;
    auto_usage_names struct usage_names *names = usage_names_new();
    export.names = names;
    head(&export);
    if (usage_query_rows(r, &query, names, export_row, &export, err) != 0)
        return -1;
    return export.failed ? -1 : 0;
}

void handle_usage_export(struct request *r)
{
    static const char *const types[] = {"text/csv; charset=utf-8", "application/jsonl",
                                        "text/csv; charset=utf-8"};
    static const char *const files[] = {"usage.csv", "usage.jsonl", "focus.csv"};
    int format = format_of(r);
    auto_err struct err err = {0};
    if (format >= 0) {
        usage_file_answer(r, write_export, types[format], files[format]);
        return;
    }
    err_field(&err, "format", "format must be csv, jsonl or focus");
    request_fail(r, &err);
}
