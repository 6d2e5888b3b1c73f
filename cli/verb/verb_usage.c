/* cloudctl usage show and now: what was used and what it costs, as a table, as a chart or as
 * the API says it. What to know about an answer goes to standard error. */
#include <langinfo.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/show/format.h"
#include "cli/verb/usage_chart.h"
#include "cli/verb/usage_rows.h"
#include "cli/verb/verbs.h"

/* The controller works an answer out anew for each page, so pages are as large as it allows. */
enum { PAGE = 10000 };

static void put_moment(const struct json *node, struct buf *out)
{
    int64_t wall_ms;
    const char *text = json_str(node);
    if (text && clock_parse(text, &wall_ms) == 0)
        moment_put(wall_ms, out);
    else
        buf_puts(out, "-");
}

static void note_moments(struct cli *cli, const struct json *page)
{
    auto_buf struct buf line = {0};
    if (json_str(json_get(page, "sealed_until"))) {
        buf_puts(&line, "Sealed until ");
        put_moment(json_get(page, "sealed_until"), &line);
    } else {
        buf_puts(&line, "Nothing is sealed yet");
    }
    buf_puts(&line, ", measured until ");
    put_moment(json_get(page, "measured_until"), &line);
    fprintf(cli->screen.err, "%s.\n", line.data);
}

/* Bills wait while sealing waits, so this is said in every format but those that hold it. */
static void note_held(struct cli *cli, const struct json *page)
{
    auto_buf struct buf line = {0};
    if (!usage_put_held(page, &line))
        return;
    fprintf(cli->screen.err,
            "cloudctl: usage %s: sealing waits: %s. Try: cloudctl usage confirm --help\n",
            cli->args->verb->name, line.data);
}

static void note_marks(struct cli *cli, const struct usage_view *view)
{
    if (view->unverified)
        fputs("?  the end of part of it is not proved\n", cli->screen.err);
    if (view->corrected)
        fputs("c  it corrects hours that were sealed before\n", cli->screen.err);
}

static const char *currency_of(const struct json *answer)
{
    const char *currency = json_str(json_get(answer, "currency"));
    return currency ? currency : "";
}

/* ---- show ---- */

static int fetch(struct cli *cli, const struct args *args, const struct usage_range *range,
                 struct remote_list *ret_list, struct err *err)
{
    auto_buf struct buf path = {0};
    if (remote_path(cli, args->noun, NULL, NULL, &path, err) != 0)
        return -1;
    remote_query_options(&path, args);
    if (range && !args_has(args, "granularity"))
        remote_query(&path, "granularity", period_names[range->period]);
    return remote_pages(cli, args->noun, path.data, PAGE, 0, ret_list, err);
}

static int show_text(struct cli *cli, struct usage_view *view, const struct remote_list *list,
                     struct err *err)
{
    struct output *output = &cli->output;
    const struct json *page = list->pages[0];
    auto_rows struct rows rows = {0};
    view->people = output->format == OUTPUT_TABLE;
    if (!args_has(cli->args, "columns"))
        usage_choose_columns(view, output);
    usage_view_settle(view, output);
    usage_make_rows(view, list, &rows);
    if (view->people && rows.count)
        usage_add_total(view, output, &rows);
    if (view->people && !rows.count)
        fprintf(cli->screen.err, "Nothing was used in this time.\n");
    else if (output_print(output, &cli->screen, rows.items, rows.count, false, err) != 0)
        return -1;
    if (view->people) {
        note_marks(cli, view);
        note_moments(cli, page);
    }
    note_held(cli, page);
    return 0;
}

static int show_pages(struct cli *cli, const struct remote_list *list, struct err *err)
{
    auto_buf struct buf text = {0};
    const char *name = cli->args->noun->plural;
    if (cli->output.format == OUTPUT_JSON)
        format_json_pages(list->pages[0], name, list->items, list->count, &text);
    else
        format_yaml_pages(list->pages[0], name, list->items, list->count, &text);
    if (fwrite(text.data, 1, text.len, cli->screen.out) != text.len)
        return err_set(err, ERR_CONFLICT, "standard output: not all could be written");
    return 0;
}

static int show_chart(struct cli *cli, const struct args *args, struct usage_view *view,
                      struct err *err)
{
    struct usage_range range;
    auto_list struct remote_list list = {0};
    auto_buf struct buf text = {0};
    const struct screen *screen = &cli->screen;
    int width = screen->out_tty && screen->width > 0 ? screen->width : 80;
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0, gaps = false;
    if (cli->output.chosen)
        return err_set(err, ERR_USAGE, "--chart goes with neither -o nor --columns");
    if (args_has(args, "group-by"))
        return err_set(err, ERR_USAGE, "--chart draws one bar for all: it goes without --group-by");
    if (usage_range_init(&range, args, clock_wall_ms(), err) != 0 ||
        fetch(cli, args, &range, &list, err) != 0 ||
        usage_range_settle(&range, args, list.pages[0], err) != 0)
        return -1;
    view->people = true;
    view->currency = currency_of(list.pages[0]);
    usage_view_measure(view, &list);
    usage_chart_put(view, &range, &list, width, utf8, &text, &gaps);
    fputs(text.data, screen->out);
    if (gaps)
        fprintf(screen->err, "%s  there is no proof for this time, so nothing is billed\n",
                utf8 ? "\xc2\xb7" : ".");
    note_moments(cli, list.pages[0]);
    note_held(cli, list.pages[0]);
    return 0;
}

int run_usage_show(struct cli *cli, const struct args *args, struct err *err)
{
    auto_view struct usage_view view = {0};
    auto_list struct remote_list list = {0};
    if (usage_view_init(&view, args, err) != 0)
        return -1;
    if (args_has(args, "start") && args_has(args, "end") &&
        args_number(args, "start", 0) >= args_number(args, "end", 0))
        return err_set(err, ERR_USAGE, "--end must be after --start");
    if (args_has(args, "chart"))
        return show_chart(cli, args, &view, err);
    if (fetch(cli, args, NULL, &list, err) != 0)
        return -1;
    view.currency = currency_of(list.pages[0]);
    usage_view_measure(&view, &list);
    if (cli->output.format == OUTPUT_JSON || cli->output.format == OUTPUT_YAML)
        return show_pages(cli, &list, err);
    return show_text(cli, &view, &list, err);
}

/* ---- now ---- */

static const struct {
    const char *name, *member;
} sums[] = {
    {"per-hour", "per_hour_nanos"},
    {"so-far", "month_so_far_nanos"},
    {"month-end", "month_at_end_nanos"},
};

static void measure_sums(const struct json *object, struct usage_view *view)
{
    for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
        amount nanos;
        if (!amount_of(json_get(object, sums[i].member), &nanos))
            continue;
        int decimals = money_decimals(nanos);
        view->decimals = decimals > view->decimals ? decimals : view->decimals;
    }
}

static void add_sums(const struct json *object, const char *project, const struct usage_view *view,
                     struct rows *rows)
{
    auto_buf struct buf text = {0};
    struct json_writer w = JSON_WRITER(&text);
    json_open(&w, NULL, '{');
    json_put_str(&w, "project", project);
    for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
        amount nanos;
        bool known = amount_of(json_get(object, sums[i].member), &nanos);
        autofree char *money = known ? usage_money(view, nanos) : NULL;
        json_put_str(&w, sums[i].name, money);
    }
    json_put_str(&w, "currency", view->currency);
    json_close(&w, '}');
    rows_add(rows, &text);
}

static void make_forecast(const struct json *answer, struct usage_view *view, struct rows *rows)
{
    const struct json *projects = json_get(answer, "projects");
    const struct json *first = projects ? json_first(projects) : NULL;
    measure_sums(answer, view);
    for (const struct json *item = first; item; item = json_next(item))
        measure_sums(item, view);
    for (const struct json *item = first; item; item = json_next(item))
        add_sums(item, json_str(json_get(item, "project")), view, rows);
    /* One project alone is the total. */
    if (view->people && (!first || json_next(first)))
        add_sums(answer, "total", view, rows);
}

int run_usage_now(struct cli *cli, const struct args *args, struct err *err)
{
    auto_buf struct buf path = {0};
    auto_json struct json *answer = NULL;
    auto_rows struct rows rows = {0};
    struct output *output = &cli->output;
    if (remote_path(cli, args->noun, NULL, "now", &path, err) != 0 ||
        remote_get(cli, path.data, &answer, err) != 0)
        return -1;
    if (output->format == OUTPUT_JSON || output->format == OUTPUT_YAML)
        return output_print(output, &cli->screen, &answer, 1, true, err);
    struct usage_view view = {.people = output->format == OUTPUT_TABLE,
                              .currency = currency_of(answer),
                              .decimals = MONEY_DECIMALS_MIN};
    usage_view_settle(&view, output);
    make_forecast(answer, &view, &rows);
    if (output_print(output, &cli->screen, rows.items, rows.count, false, err) != 0)
        return -1;
    if (view.people) {
        auto_buf struct buf line = {0};
        put_moment(json_get(answer, "measured_until"), &line);
        buf_puts(&line, "; the month ends at ");
        put_moment(json_get(answer, "month_end"), &line);
        fprintf(cli->screen.err, "Measured until %s.\n", line.data);
    }
    return 0;
}
