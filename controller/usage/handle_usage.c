/* /v1/usage: rows as JSON in pages, or all of them as CSV; and the seals. */
#include <string.h>

#include "api/base/clock.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "controller/ledger/price/price.h"
#include "controller/ledger/segment/store_seal.h"
#include "controller/request/handlers.h"
#include "controller/tx/readers.h"
#include "controller/usage/csv.h"
#include "controller/usage/usage_file.h"
#include "controller/usage/usage_held.h"
#include "controller/usage/usage_json.h"
#include "controller/usage/usage_names.h"
#include "controller/usage/usage_query.h"
#include "controller/world.h"

static const char *const params[] = {"start",   "end",   "granularity", "group_by", "meter",
                                     "project", "limit", "cursor",      "format",   NULL};

/* ---- a page ---- */

struct page_rows {
    struct usage_json json;
    int64_t limit, count;
    int64_t period_ms; /* of the row before, and how many of its rows there were */
    size_t in_period;
    bool more;
};

static bool page_row(void *ctx, const struct usage_row *row)
{
    struct page_rows *page = ctx;
    if (row->start_ms != page->period_ms) {
        page->period_ms = row->start_ms;
        page->in_period = 0;
    }
    page->more = page->count == page->limit;
    if (page->more)
        return false;
    usage_json_row(&page->json, row);
    page->count++;
    page->in_period++;
    return true;
}

static int read_page(struct db *db, struct request *r, struct err *err)
{
    struct usage_query query;
    struct page_rows page = {0};
    if (request_only(r, params, err) != 0 ||
        request_query_i64(r, "limit", USAGE_PAGE_DEFAULT, 1, USAGE_PAGE, &page.limit, err) != 0 ||
        usage_query_parse(r, db, &query, err) != 0)
        return -1;
    auto_usage_names struct usage_names *names = usage_names_new();
    auto_buf struct buf cursor = {0};
    struct json_writer w = request_json(r, 200);
    page.json = (struct usage_json){.w = &w, .query = &query, .names = names};
    page.period_ms = query.position_ms;
    page.in_period = query.skip;
    page_open(&w, "usage");
    if (usage_query_rows(r, &query, names, page_row, &page, err) != 0)
        return -1;
    json_close(&w, ']');
    if (page.more)
        usage_cursor(&query, page.period_ms, page.in_period, &cursor);
    json_put_str(&w, "next", page.more ? cursor.data : NULL);
    json_put_i64(&w, "revision", query.moment.revision);
    json_put_str(&w, "currency", price_currency(r->app));
    json_put_time(&w, "sealed_until", query.moment.sealed_ms);
    json_put_time(&w, "measured_until", query.moment.until_ms);
    if (usage_held_put(&w, r, &query.moment, names, err) != 0)
        return -1;
    json_close(&w, '}');
    return 0;
}

/* ---- CSV ---- */

static void csv_name(struct csv *csv, struct usage_names *names, enum access_kind kind, int64_t key)
{
    const struct noun_row *row = usage_name(names, kind, key);
    csv_text(csv, row ? row->name : NULL);
    csv_text(csv, row ? row->id : NULL);
}

static enum access_kind resource_kind(int resource)
{
    return resource == RESOURCE_IMAGE ? ACCESS_IMAGE : ACCESS_INSTANCE;
}

static void csv_key(struct csv *csv, struct usage_names *names, int by, const struct usage_row *row)
{
    const struct usage_key *key = &row->key;
    switch (by) {
    case USAGE_BY_PROJECT:
        csv_name(csv, names, ACCESS_PROJECT, key->project_key);
        break;
    case USAGE_BY_RESOURCE:
        csv_name(csv, names, resource_kind(key->resource), key->resource_key);
        csv_raw(csv, resource_names[key->resource]);
        break;
    case USAGE_BY_FLAVOR:
        csv_name(csv, names, ACCESS_FLAVOR, key->flavor_key);
        break;
    case USAGE_BY_NODE:
        csv_name(csv, names, ACCESS_NODE, key->node_key);
        break;
    case USAGE_BY_METER:
        break;
    default:
        csv_text(csv, usage_label_text(names, key->labels[by - USAGE_BY_LABEL]));
    }
}

static void csv_head(struct csv *csv, const struct usage_query *query)
{
    static const char *const heads[] = {
        [USAGE_BY_PROJECT] = "project,project_id",
        [USAGE_BY_RESOURCE] = "instance,instance_id,resource",
        [USAGE_BY_FLAVOR] = "flavor,flavor_id",
        [USAGE_BY_NODE] = "node,node_id",
    };
    csv_raw(csv, "start,end");
    for (size_t i = 0; i < query->question.by_count; i++) {
        int by = query->question.by[i];
        char label[LIMIT_LABEL_NAME + 8];
        if (by >= USAGE_BY_LABEL) {
            snprintf(label, sizeof(label), "label:%s", query->labels[by - USAGE_BY_LABEL]);
            csv_text(csv, label);
        } else if (by != USAGE_BY_METER) {
            csv_raw(csv, heads[by]);
        }
    }
    csv_raw(csv, "meter,unit,quantity,unverified,correction,cost_nanos,currency");
    csv_line_end(csv);
}

struct csv_rows {
    struct request *r;
    const struct usage_query *query;
    struct usage_names *names;
    struct usage_file *file;
    struct err *err;
    bool failed;
};

static bool csv_row(void *ctx, const struct usage_row *row)
{
    struct csv_rows *rows = ctx;
    struct csv csv = {.out = &rows->file->out};
    char text[QUANTITY_TEXT_MAX];
    _Static_assert((int)QUANTITY_TEXT_MAX >= (int)CLOCK_TEXT_MAX, "a time fits too");
    clock_format(row->start_ms, text);
    csv_raw(&csv, text);
    clock_format(row->end_ms, text);
    csv_raw(&csv, text);
    for (size_t i = 0; i < rows->query->question.by_count; i++)
        csv_key(&csv, rows->names, rows->query->question.by[i], row);
    csv_raw(&csv, meters[row->meter].name);
    csv_raw(&csv, meters[row->meter].unit);
    const quantity numbers[] = {row->used, row->unverified, row->correction, row->nanos};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        quantity_text(numbers[i], text);
        csv_raw(&csv, text);
    }
    csv_raw(&csv, price_currency(rows->r->app));
    csv_line_end(&csv);
    rows->failed = usage_file_flush(rows->file, rows->err) != 0;
    return !rows->failed;
}

static int write_csv(struct request *r, struct usage_file *file, struct err *err)
{
    struct usage_query query;
    if (request_only(r, params, err) != 0 ||
        usage_query_parse(r, request_reader(r), &query, err) != 0)
        return -1;
    auto_usage_names struct usage_names *names = usage_names_new();
    struct csv_rows rows = {.r = r, .query = &query, .names = names, .file = file, .err = err};
    struct csv head = {.out = &file->out};
    csv_head(&head, &query);
    if (usage_query_rows(r, &query, names, csv_row, &rows, err) != 0)
        return -1;
    return rows.failed ? -1 : 0;
}

void handle_usage_list(struct request *r)
{
    const char *format = http_query(r->http, "format"), *accept = http_header(r->http, "Accept");
    auto_err struct err err = {0};
    bool csv = format ? strcmp(format, "csv") == 0 : accept && strstr(accept, "text/csv");
    if (format && !csv && strcmp(format, "json") != 0)
        err_field(&err, "format", "format must be json or csv");
    else if (csv && (http_query(r->http, "limit") || http_query(r->http, "cursor")))
        err_field(&err, http_query(r->http, "limit") ? "limit" : "cursor",
                  "CSV comes whole: it takes neither limit nor cursor");
    if (err.code)
        request_fail(r, &err);
    else if (csv)
        usage_file_answer(r, write_csv, "text/csv; charset=utf-8", "usage.csv");
    else
        request_ledger(r, read_page);
}

/* ---- seals ---- */

static void put_seal(struct json_writer *w, const struct seal *seal)
{
    char hex[SHA256_TEXT_MAX];
    sha256_text(seal->chain, hex);
    json_open(w, NULL, '{');
    json_put_time(w, "until", seal->until_ms);
    json_put_time(w, "sealed_at", seal->sealed_ms);
    json_put_i64(w, "observations", seal->observation_key);
    json_put_i64(w, "segments", seal->segment_ordinal);
    json_put_str(w, "chain", hex);
    json_close(w, '}');
}

static int read_seals(struct db *db, struct request *r, struct err *err)
{
    static const char *const known[] = {"after", "limit", "cursor", NULL};
    struct page page;
    int64_t after = 0;
    const char *text = http_query(r->http, "after");
    if (request_only(r, known, err) != 0 || request_page(r, &page, err) != 0 ||
        (text && usage_time_parse("after", text, &after, err) != 0))
        return -1;
    struct seal seal = {.key = page.after_key};
    int64_t revision = app_revision(r->app), last = 0, count = 0;
    struct json_writer w = request_json(r, 200);
    int rc;
    page_open(&w, "seals");
    while ((rc = store_seal_next(db, seal.key, &seal, err)) == 1 && count < page.limit) {
        if (seal.until_ms <= after)
            continue;
        put_seal(&w, &seal);
        last = seal.key;
        count++;
    }
    page_close(&w, rc == 1, last, revision);
    return rc < 0 ? -1 : 0;
}

void handle_usage_seals(struct request *r)
{
    request_ledger(r, read_seals);
}
