/* Makes rows whose members are named as usage_columns wants them, and says what an answer says
 * of itself. */
#include "cli/verb/usage_rows.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/types.h"
#include "cli/line/args.h"
#include "cli/remote/remote.h"
#include "cli/show/format.h"

static const char label_prefix[] = "label:";

void rows_add(struct rows *rows, const struct buf *object)
{
    auto_err struct err err = {0};
    rows->items = xrealloc(rows->items, (rows->count + 1) * sizeof(*rows->items));
    if (json_parse(object->data, object->len, &rows->items[rows->count], &err) == 0)
        rows->count++;
}

void rows_release(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        json_free(rows->items[i]);
    free(rows->items);
    *rows = (struct rows){0};
}

/* ---- how it was asked for ---- */

static bool is_label(const char *key)
{
    return strncmp(key, label_prefix, strlen(label_prefix)) == 0;
}

static int add_key(void *ctx, const char *piece, size_t len)
{
    struct usage_view *view = ctx;
    if (len == strlen("meter") && memcmp(piece, "meter", len) == 0)
        return 0; /* it always is one */
    if (view->key_count == USAGE_KEYS_MAX)
        return -1;
    char *key = xstrndup(piece, len);
    /* A column's path is split at dots, which labels may hold: so it gets a plain one. */
    static const char *const paths[USAGE_KEYS_MAX] = {
        "key0", "key1", "key2",  "key3",  "key4",  "key5",  "key6",  "key7",
        "key8", "key9", "key10", "key11", "key12", "key13", "key14", "key15"};
    view->label_columns[view->key_count] = (struct column){
        .name = key, .title = key, .path = paths[view->key_count], .flags = COLUMN_YIELDS};
    view->keys[view->key_count++] = key;
    return 0;
}

int usage_view_init(struct usage_view *view, const struct args *args, struct err *err)
{
    const char *granularity = args_text(args, "granularity");
    *view = (struct usage_view){.currency = "", .decimals = MONEY_DECIMALS_MIN};
    view->period = granularity ? (enum period)name_index(period_names, granularity) : PERIOD_TOTAL;
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, "group-by") == 0 &&
            list_each(args->given[i].text, add_key, view) != 0)
            return err_set(err, ERR_USAGE, "--group-by: at most %d", USAGE_KEYS_MAX);
    }
    if (!args_has(args, "group-by"))
        add_key(view, "project", strlen("project"));
    return 0;
}

void usage_view_release(struct usage_view *view)
{
    for (size_t i = 0; i < view->key_count; i++)
        free(view->keys[i]);
    view->key_count = 0;
}

static bool is_nonzero(const struct json *row, const char *name)
{
    amount value;
    return amount_of(json_get(row, name), &value) && value != 0;
}

bool usage_is_gap(const struct json *row)
{
    const char *meter = json_str(json_get(row, "meter"));
    return meter && strcmp(meter, "gap") == 0;
}

void usage_view_measure(struct usage_view *view, const struct remote_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        amount cost;
        const struct json *row = list->items[i];
        view->unverified |= is_nonzero(row, "unverified");
        view->corrected |= is_nonzero(row, "correction");
        if (!amount_of(json_get(row, "cost_nanos"), &cost))
            continue;
        /* More than any honest sum comes to stays what it was. */
        amount total;
        if (!__builtin_add_overflow(view->total, cost, &total))
            view->total = total;
        int decimals = money_decimals(cost);
        view->decimals = decimals > view->decimals ? decimals : view->decimals;
    }
}

char *usage_money(const struct usage_view *view, amount nanos)
{
    struct buf text = {0};
    money_put(nanos, view->decimals, &text);
    if (view->people && !view->currency_apart && *view->currency)
        buf_printf(&text, " %s", view->currency);
    return buf_take(&text);
}

/* ---- columns ---- */

static void add_column(struct output *output, const char *name)
{
    const struct column *column = usage_columns;
    while (column->name && strcmp(column->name, name) != 0)
        column++;
    if (column->name && output->count < COLUMNS_MAX)
        output->columns[output->count++] = column;
}

static void add_keys(const struct usage_view *view, struct output *output)
{
    for (size_t i = 0; i < view->key_count; i++) {
        if (is_label(view->keys[i]) && output->count < COLUMNS_MAX)
            output->columns[output->count++] = &view->label_columns[i];
        else
            add_column(output, view->keys[i]);
    }
}

void usage_choose_columns(const struct usage_view *view, struct output *output)
{
    static const char *const for_programs[] = {"meter",      "unit", "quantity", "unverified",
                                               "correction", "cost", "currency"};
    output->count = 0;
    if (view->people) {
        if (view->period != PERIOD_TOTAL)
            add_column(output, "period");
        add_keys(view, output);
        add_column(output, "meter");
        add_column(output, "quantity");
        add_column(output, "cost");
        if (view->unverified || view->corrected)
            add_column(output, "mark");
        return;
    }
    add_column(output, "start");
    add_column(output, "end");
    add_keys(view, output);
    for (size_t i = 0; i < ARRAY_SIZE(for_programs); i++)
        add_column(output, for_programs[i]);
}

void usage_view_settle(struct usage_view *view, const struct output *output)
{
    for (size_t i = 0; i < output->count; i++) {
        view->unit_apart |= strcmp(output->columns[i]->path, "unit") == 0;
        view->currency_apart |= strcmp(output->columns[i]->path, "currency") == 0;
    }
}

/* ---- rows ---- */

static void put_copy(const struct json *row, const char *name, struct json_writer *w)
{
    const struct json *node = json_get(row, name);
    auto_buf struct buf text = {0};
    if (!node)
        return;
    json_print(node, false, &text);
    json_put_raw(w, name, text.data, text.len);
}

static void put_quantity(const struct usage_view *view, const struct json *row, const char *name,
                         struct json_writer *w)
{
    amount quantity;
    auto_buf struct buf text = {0};
    const char *unit = json_str(json_get(row, "unit"));
    bool shown = view->people && unit && amount_of(json_get(row, name), &quantity);
    if (!shown) {
        put_copy(row, name, w);
        return;
    }
    bool nothing = quantity == 0 && strcmp(name, "quantity") != 0;
    if (!nothing && view->unit_apart)
        amount_put_number(quantity, unit, &text);
    else if (!nothing)
        amount_put_quantity(quantity, unit, &text);
    json_put_str(w, name, text.data);
}

/* Unproven time has no cost at all, which is not the same as a cost of zero. */
static void put_cost(const struct usage_view *view, const struct json *row, struct json_writer *w)
{
    amount cost;
    bool known = amount_of(json_get(row, "cost_nanos"), &cost) && !usage_is_gap(row);
    autofree char *text = known ? usage_money(view, cost) : NULL;
    json_put_str(w, "cost", text);
    json_put_str(w, "currency", view->currency);
}

static void put_period(const struct usage_view *view, const struct json *row, struct json_writer *w)
{
    int64_t start_ms;
    auto_buf struct buf text = {0};
    const char *start = json_str(json_get(row, "start"));
    if (!start || clock_parse(start, &start_ms) != 0)
        return;
    period_put(view->period, start_ms, &text);
    json_put_str(w, "period", text.data);
}

/* Labels under the paths of their columns; the whole of what tells this row from others. */
static void put_keys(const struct usage_view *view, const struct json *row, struct json_writer *w)
{
    auto_buf struct buf name = {0};
    if (view->period != PERIOD_TOTAL && json_str(json_get(row, "start")))
        buf_printf(&name, "%s/", json_str(json_get(row, "start")));
    for (size_t i = 0; i < view->key_count; i++) {
        const char *value = json_str(json_get(row, view->keys[i]));
        buf_printf(&name, "%s/", value ? value : "");
        if (is_label(view->keys[i]))
            json_put_str(w, view->label_columns[i].path, value);
    }
    const char *meter = json_str(json_get(row, "meter"));
    buf_puts(&name, meter ? meter : "");
    json_put_str(w, "name", name.data);
}

static void put_mark(const struct json *row, struct json_writer *w)
{
    char mark[3] = "", *at = mark;
    if (is_nonzero(row, "unverified"))
        *at++ = '?';
    if (is_nonzero(row, "correction"))
        *at++ = 'c';
    json_put_str(w, "mark", *mark ? mark : " ");
}

/* That of the quantity beside it. */
static void put_unit(const struct usage_view *view, const struct json *row, struct json_writer *w)
{
    const char *unit = json_str(json_get(row, "unit"));
    json_put_str(w, "unit", unit && view->people ? amount_shown_unit(unit) : unit);
}

static void make_row(const struct usage_view *view, const struct json *row, struct buf *out)
{
    static const char *const copied[] = {"start",    "end",      "project",     "project_id",
                                         "resource", "instance", "instance_id", "flavor",
                                         "node",     "meter"};
    struct json_writer w = JSON_WRITER(out);
    json_open(&w, NULL, '{');
    for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
        put_copy(row, copied[i], &w);
    put_period(view, row, &w);
    put_keys(view, row, &w);
    put_unit(view, row, &w);
    put_quantity(view, row, "quantity", &w);
    put_quantity(view, row, "unverified", &w);
    put_quantity(view, row, "correction", &w);
    put_cost(view, row, &w);
    put_mark(row, &w);
    json_close(&w, '}');
}

void usage_make_rows(const struct usage_view *view, const struct remote_list *list,
                     struct rows *rows)
{
    for (size_t i = 0; i < list->count; i++) {
        auto_buf struct buf text = {0};
        make_row(view, list->items[i], &text);
        rows_add(rows, &text);
    }
}

static const char *total_cell(const struct usage_view *view, const char *path, const char *total,
                              bool first)
{
    if (strcmp(path, "cost") == 0)
        return total;
    if (strcmp(path, "currency") == 0)
        return view->currency;
    return first ? "total" : " ";
}

void usage_add_total(const struct usage_view *view, const struct output *output, struct rows *rows)
{
    auto_buf struct buf text = {0};
    autofree char *total = usage_money(view, view->total);
    struct json_writer w = JSON_WRITER(&text);
    json_open(&w, NULL, '{');
    for (size_t i = 0; i < output->count; i++) {
        const char *path = output->columns[i]->path;
        json_put_str(&w, path, total_cell(view, path, total, i == 0));
    }
    json_close(&w, '}');
    rows_add(rows, &text);
}

bool usage_put_held(const struct json *answer, struct buf *out)
{
    const struct json *held = json_get(answer, "held");
    const char *reason = json_str(json_get(held, "reason"));
    const char *node = json_str(json_get(held, "node"));
    if (!held || json_type(held) != JSON_OBJECT)
        return false;
    if (node && !(reason && strstr(reason, node)))
        buf_printf(out, "node %s: ", node);
    /* What is said to callers of the API is said by our own hint. */
    const char *advice = reason ? strstr(reason, "; POST ") : NULL;
    buf_puts(out, reason ? reason : "a clock stepped");
    if (advice)
        out->data[out->len -= strlen(advice)] = '\0';
    format_harmless(out->data, out->len, ' ');
    return true;
}
