/* /v1/usage/now: what the month has cost so far, what the next hour costs if all stays as it
 * is, and what the whole month will have cost then. What is counted (CPU time, bytes) has no
 * future that could be known: it stays where it is. */
#include <stdlib.h>

#include "api/base/mem.h"
#include "controller/ledger/price/price.h"
#include "controller/request/handlers.h"
#include "controller/usage/usage_names.h"
#include "controller/usage/usage_query.h"
#include "controller/world.h"

enum { SO_FAR, NEXT_HOUR, WHOLE_MONTH, SUMS };

/* Three sums of the same segments, the latter two of them with what is open drawn out. */
struct forecast {
    struct usage_sum *sums[SUMS];
    int64_t to_ms[SUMS];
};

struct project_cost {
    int64_t project_key;
    quantity nanos[SUMS];
};

struct costs {
    struct project_cost *items; /* by project */
    size_t count;
    quantity total[SUMS];
    int which;
};

static bool goes_on(const struct segment *segment)
{
    return segment->open && segment->kind != SEGMENT_COUNTED && segment->kind != SEGMENT_GAP;
}

/* Rows of the ledger end with the month, and so do these. */
static void add_drawn_out(struct usage_sum *sum, const struct segment *segment, int64_t to_ms)
{
    struct segment part = *segment;
    if (goes_on(segment)) {
        int64_t month_end = month_next(segment->start_ms);
        while (month_end < to_ms) {
            part.end_ms = month_end;
            usage_sum_add(sum, &part);
            part.start_ms = month_end;
            month_end = month_next(month_end);
        }
        part.end_ms = to_ms > part.end_ms ? to_ms : part.end_ms;
    }
    usage_sum_add(sum, &part);
}

static void add_segment(void *ctx, const struct segment *segment)
{
    struct forecast *forecast = ctx;
    usage_sum_add(forecast->sums[SO_FAR], segment);
    for (int i = NEXT_HOUR; i < SUMS; i++)
        add_drawn_out(forecast->sums[i], segment, forecast->to_ms[i]);
}

static void costs_release(struct costs *costs)
{
    free(costs->items);
}

static struct project_cost *cost_of(struct costs *costs, int64_t project_key)
{
    size_t low = 0, high = costs->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (costs->items[middle].project_key < project_key)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < costs->count && costs->items[low].project_key == project_key)
        return &costs->items[low];
    costs->items = xrealloc(costs->items, (costs->count + 1) * sizeof(*costs->items));
    memmove(costs->items + low + 1, costs->items + low,
            (costs->count - low) * sizeof(*costs->items));
    costs->count++;
    costs->items[low] = (struct project_cost){.project_key = project_key};
    return &costs->items[low];
}

static bool add_cost(void *ctx, const struct usage_row *row)
{
    struct costs *costs = ctx;
    cost_of(costs, row->key.project_key)->nanos[costs->which] += row->nanos;
    costs->total[costs->which] += row->nanos;
    return true;
}

static int read_costs(struct request *r, struct db *db, const struct usage_query *query,
                      struct price_book *book, struct costs *costs, struct err *err)
{
    int64_t until = query->moment.until_ms, month = month_floor(until);
    struct forecast forecast = {
        .to_ms = {until, until + HOUR_MS, month_next(until)},
    };
    struct ledger_filter filter = {
        .from_ms = month, .to_ms = month_next(until), .project_key = query->question.project_key};
    for (int i = 0; i < SUMS; i++) {
        struct usage_question question = {.from_ms = i == NEXT_HOUR ? until : month,
                                          .to_ms = forecast.to_ms[i],
                                          .by = {USAGE_BY_PROJECT},
                                          .by_count = 1,
                                          .project_key = query->question.project_key};
        forecast.sums[i] = usage_sum_new(&question, book, 0);
    }
    int rc = ledger_read(r->app, db, &query->moment, &filter, add_segment, &forecast, err);
    for (int i = 0; i < SUMS; i++) {
        usage_sum_finish(forecast.sums[i]);
        costs->which = i;
        usage_sum_rows(forecast.sums[i], 0, add_cost, costs);
        usage_sum_free(forecast.sums[i]);
    }
    return rc;
}

static void put_nanos(struct json_writer *w, const char *key, quantity nanos)
{
    char text[QUANTITY_TEXT_MAX];
    quantity_text(nanos, text);
    json_put_str(w, key, text);
}

static void put_projects(struct json_writer *w, const struct costs *costs,
                         struct usage_names *names)
{
    json_open(w, "projects", '[');
    for (size_t i = 0; i < costs->count; i++) {
        const struct project_cost *item = &costs->items[i];
        const struct noun_row *row = usage_name(names, ACCESS_PROJECT, item->project_key);
        json_open(w, NULL, '{');
        json_put_str(w, "project", row ? row->name : NULL);
        json_put_str(w, "project_id", row ? row->id : NULL);
        put_nanos(w, "per_hour_nanos", item->nanos[NEXT_HOUR]);
        put_nanos(w, "month_so_far_nanos", item->nanos[SO_FAR]);
        put_nanos(w, "month_at_end_nanos", item->nanos[WHOLE_MONTH]);
        json_close(w, '}');
    }
    json_close(w, ']');
}

static int read_now(struct db *db, struct request *r, struct err *err)
{
    static const char *const known[] = {"project", NULL};
    struct usage_query query;
    struct price_book *book;
    struct costs costs __attribute__((cleanup(costs_release))) = {0};
    if (request_only(r, known, err) != 0 || usage_query_now(r, db, &query, err) != 0 ||
        price_book_load(db, query.question.project_key, &book, err) != 0)
        return -1;
    int rc = read_costs(r, db, &query, book, &costs, err);
    price_book_free(book);
    if (rc != 0)
        return -1;
    auto_usage_names struct usage_names *names = usage_names_new();
    usage_names_use(names, db);
    struct json_writer w = request_json(r, 200);
    json_open(&w, NULL, '{');
    json_put_str(&w, "currency", price_currency(r->app));
    json_put_time(&w, "measured_until", query.moment.until_ms);
    put_nanos(&w, "per_hour_nanos", costs.total[NEXT_HOUR]);
    json_put_time(&w, "month_start", month_floor(query.moment.until_ms));
    put_nanos(&w, "month_so_far_nanos", costs.total[SO_FAR]);
    json_put_time(&w, "month_end", month_next(query.moment.until_ms));
    put_nanos(&w, "month_at_end_nanos", costs.total[WHOLE_MONTH]);
    put_projects(&w, &costs, names);
    json_close(&w, '}');
    return usage_names_failed(names, err);
}

void handle_usage_now(struct request *r)
{
    request_ledger(r, read_now);
}
