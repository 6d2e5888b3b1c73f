/* GET /v1/instances/{instance}/usage: the segments themselves, sealed or not, with what they
 * were made of. It is what a tenant and an operator look at together. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "controller/ledger/book/ledger.h"
#include "controller/ledger/segment/segment.h"
#include "controller/ledger/segment/usage_fold.h"
#include "controller/noun/store_noun.h"
#include "controller/request/handlers.h"
#include "controller/usage/usage_names.h"
#include "controller/usage/usage_query.h"
#include "controller/world.h"

static const char *const params[] = {"project", "start", "end", "limit", "cursor", NULL};

struct wanted {
    int64_t instance_key;
    struct segments found;
};

static void take(void *ctx, const struct segment *segment)
{
    struct wanted *wanted = ctx;
    bool of_it =
        segment->resource == RESOURCE_INSTANCE && segment->resource_key == wanted->instance_key;
    if (of_it)
        segments_add(&wanted->found, segment);
}

static void put_big(struct json_writer *w, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    json_put_str(w, key, text);
}

static void put_amounts(struct json_writer *w, const struct segment *s)
{
    switch (s->kind) {
    case SEGMENT_RUNNING:
    case SEGMENT_ALLOCATED:
        json_put_i64(w, "vcpus", s->amounts[1]);
        json_put_i64(w, "memory_mib", s->amounts[2]);
        break;
    case SEGMENT_ROOT_DISK:
        json_put_i64(w, "disk_gib", s->amounts[0]);
        break;
    case SEGMENT_COUNTED:
        put_big(w, "cpu_ns", s->amounts[0]);
        put_big(w, "ingress_bytes", s->amounts[1]);
        put_big(w, "egress_bytes", s->amounts[2]);
        break;
    default:
        break;
    }
}

/* Who sees which node it was on. */
struct shown {
    struct usage_names *names;
    bool nodes;
};

static void put_name(struct json_writer *w, const struct shown *shown, const char *member,
                     enum access_kind kind, int64_t key)
{
    const struct noun_row *row = key ? usage_name(shown->names, kind, key) : NULL;
    json_put_str(w, member, row ? row->name : NULL);
}

static void put_segment(struct json_writer *w, const struct shown *shown, const struct segment *s)
{
    json_open(w, NULL, '{');
    json_put_str(w, "kind", segment_names[s->kind]);
    json_put_time(w, "start", s->start_ms);
    json_put_time(w, "end", s->end_ms);
    json_put_bool(w, "open", s->open);
    json_put_bool(w, "verified", s->verified);
    json_put_bool(w, "reversal", s->sign < 0);
    json_put_bool(w, "correction", s->correction);
    if (s->run)
        json_put_i64(w, "run", s->run);
    put_name(w, shown, "flavor", ACCESS_FLAVOR, s->flavor_key);
    if (shown->nodes)
        put_name(w, shown, "node", ACCESS_NODE, s->node_key);
    put_amounts(w, s);
    /* Its row in the ledger; none while it is not sealed. */
    if (s->key)
        json_put_i64(w, "segment", s->key);
    else
        json_put_null(w, "segment");
    json_close(w, '}');
}

static int by_start(const void *a, const void *b)
{
    const struct segment *left = a, *right = b;
    if (left->start_ms != right->start_ms)
        return left->start_ms < right->start_ms ? -1 : 1;
    if (left->kind != right->kind)
        return left->kind - right->kind;
    return left->key < right->key ? -1 : left->key > right->key;
}

/* The cursor is that of other questions about usage; the instance stands in for the project. */
static int ask(struct request *r, struct db *db, struct usage_query *query,
               struct ledger_filter *filter, struct err *err)
{
    const char *cursor = http_query(r->http, "cursor");
    if (request_only(r, params, err) != 0 ||
        request_row(r, db, ACCESS_SEE, ACCESS_INSTANCE, &query->question.project_key, err) != 0 ||
        ledger_now(r->app, &query->moment, err) != 0)
        return -1;
    struct noun_row row;
    if (noun_row(db, ACCESS_INSTANCE, query->question.project_key, &row, err) != 0)
        return -1;
    filter->project_key = row.project_key;
    if (cursor && usage_cursor_take(r->app, db, cursor, query, err) != 0)
        return -1;
    if (usage_range_parse(r, &query->moment, false, &filter->from_ms, &filter->to_ms, err) != 0)
        return -1;
    query->question.from_ms = filter->from_ms;
    query->question.to_ms = filter->to_ms;
    return 0;
}

static void put_page(struct json_writer *w, const struct usage_query *query,
                     const struct segments *found, size_t limit, const struct shown *shown)
{
    size_t end = found->count - query->skip > limit ? query->skip + limit : found->count;
    auto_buf struct buf next = {0};
    json_open(w, NULL, '{');
    json_open(w, "segments", '[');
    for (size_t i = query->skip; i < end; i++)
        put_segment(w, shown, &found->items[i]);
    json_close(w, ']');
    if (end < found->count)
        usage_cursor(query, query->question.from_ms, end, &next);
    json_put_str(w, "next", next.len ? next.data : NULL);
    json_put_time(w, "measured_until", query->moment.until_ms);
    if (query->moment.sealed_ms)
        json_put_time(w, "sealed_until", query->moment.sealed_ms);
    else
        json_put_null(w, "sealed_until");
    json_put_i64(w, "revision", query->moment.revision);
    json_close(w, '}');
}

static int show(struct db *db, struct request *r, struct wanted *wanted, struct err *err)
{
    struct usage_query query = {0};
    struct ledger_filter filter = {0};
    int64_t limit;
    if (ask(r, db, &query, &filter, err) != 0 ||
        request_query_i64(r, "limit", USAGE_PAGE_DEFAULT, 1, USAGE_PAGE, &limit, err) != 0)
        return -1;
    wanted->instance_key = query.question.project_key;
    if (ledger_read(r->app, db, &query.moment, &filter, take, wanted, err) != 0)
        return -1;
    if (query.skip > wanted->found.count)
        return err_field(err, "cursor", "cursor must be what an earlier page gave as `next`");
    if (wanted->found.count)
        qsort(wanted->found.items, wanted->found.count, sizeof(*wanted->found.items), by_start);
    auto_usage_names struct usage_names *names = usage_names_new();
    struct shown shown = {names, caller_is_operator(&r->caller)};
    usage_names_use(names, request_reader(r));
    struct json_writer w = request_json(r, 200);
    put_page(&w, &query, &wanted->found, (size_t)limit, &shown);
    return usage_names_failed(names, err);
}

static int show_on_pool(struct db *db, struct request *r, struct err *err)
{
    struct wanted wanted = {0};
    int rc = show(db, r, &wanted, err);
    segments_release(&wanted.found);
    return rc;
}

void handle_instance_usage(struct request *r)
{
    request_ledger(r, show_on_pool);
}
