/* Adds rows up by period. Periods without rows are there too: nothing was used in them. */
#include "cli/verb/usage_chart.h"

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
#include "cli/show/chart.h"
#include "cli/verb/usage_rows.h"

enum { BARS_MAX = 1000, HOURS_SHOWN = 48 };

static size_t count_bars(const struct usage_range *range)
{
    size_t count = 0;
    int64_t at_ms = range->start_ms;
    for (; at_ms < range->end_ms && count <= BARS_MAX; count++)
        at_ms = period_next(range->period, at_ms);
    return count;
}

/* The ends that were asked for, else those that the controller takes when it is now. */
static void find_ends(struct usage_range *range, const struct args *args, int64_t now_ms)
{
    range->end_ms = args_number(args, "end", now_ms);
    int64_t last_ms = range->end_ms - 1 < now_ms ? range->end_ms - 1 : now_ms;
    range->start_ms = args_number(args, "start", period_floor(PERIOD_MONTH, last_ms));
}

static int check_ends(const struct usage_range *range, struct err *err)
{
    if (range->start_ms >= range->end_ms)
        return err_set(err, ERR_USAGE, "--end must be after --start");
    if (count_bars(range) > BARS_MAX)
        return err_set(err, ERR_USAGE,
                       "--chart draws at most %d bars, and that would be more. Try: a larger"
                       " --granularity",
                       BARS_MAX);
    return 0;
}

int usage_range_init(struct usage_range *range, const struct args *args, int64_t now_ms,
                     struct err *err)
{
    const char *granularity = args_text(args, "granularity");
    range->meters = args_text(args, "meter");
    find_ends(range, args, now_ms);
    bool is_short = range->end_ms - range->start_ms <= HOURS_SHOWN * 3600LL * 1000;
    range->period = granularity ? (enum period)name_index(period_names, granularity)
                    : is_short  ? PERIOD_HOUR
                                : PERIOD_DAY;
    return args_has(args, "end") ? check_ends(range, err) : 0;
}

int usage_range_settle(struct usage_range *range, const struct args *args,
                       const struct json *answer, struct err *err)
{
    int64_t measured_ms;
    const char *measured = json_str(json_get(answer, "measured_until"));
    if (measured && clock_parse(measured, &measured_ms) == 0)
        find_ends(range, args, measured_ms);
    return check_ends(range, err);
}

struct sums {
    const struct usage_range *range;
    char *meter; /* what the bars are of, owned; NULL: money */
    const char *unit;
    struct chart_bar *bars;
    int64_t *starts_ms;
    size_t count;
};

/* The first one that is asked for or, when all are, running. */
static char *meter_of_nothing(const char *asked)
{
    return asked ? xstrndup(asked, strcspn(asked, ",")) : xstrdup("running");
}

static char *charted_meter(const struct remote_list *list, const char *asked)
{
    const char *first = NULL;
    for (size_t i = 0; i < list->count; i++) {
        amount cost;
        const struct json *row = list->items[i];
        const char *meter = json_str(json_get(row, "meter"));
        if (amount_of(json_get(row, "cost_nanos"), &cost) && cost != 0)
            return NULL;
        if (!meter || usage_is_gap(row))
            continue;
        if (!first || strcmp(meter, "running") == 0)
            first = meter;
    }
    return first ? xstrdup(first) : meter_of_nothing(asked);
}

static bool is_of(const struct sums *sums, const char *meter)
{
    return sums->meter && strcmp(sums->meter, meter) == 0;
}

static void begin_sums(struct sums *sums)
{
    int64_t at_ms = sums->range->start_ms;
    sums->count = count_bars(sums->range);
    sums->bars = xcalloc(sums->count + 1, sizeof(*sums->bars));
    sums->starts_ms = xcalloc(sums->count + 1, sizeof(*sums->starts_ms));
    for (size_t i = 0; i < sums->count; i++) {
        sums->starts_ms[i] = at_ms;
        at_ms = period_next(sums->range->period, at_ms);
    }
}

/* The last one that began at or before it; rows come in any order. */
static struct chart_bar *bar_at(const struct sums *sums, int64_t wall_ms)
{
    size_t low = 0, high = sums->count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (sums->starts_ms[middle] <= wall_ms)
            low = middle;
        else
            high = middle;
    }
    return sums->count && sums->starts_ms[low] <= wall_ms ? &sums->bars[low] : NULL;
}

static void add_row(struct sums *sums, const struct json *row)
{
    int64_t start_ms;
    amount quantity = 0, cost = 0;
    const char *start = json_str(json_get(row, "start"));
    const char *meter = json_str(json_get(row, "meter"));
    struct chart_bar *bar =
        start && clock_parse(start, &start_ms) == 0 ? bar_at(sums, start_ms) : NULL;
    if (!bar || !meter)
        return;
    amount_of(json_get(row, "quantity"), &quantity);
    amount_of(json_get(row, "cost_nanos"), &cost);
    if (is_of(sums, meter)) {
        bar->value += quantity;
        sums->unit = json_str(json_get(row, "unit"));
    } else if (usage_is_gap(row)) {
        /* Hours have their length; of money nobody knows how much it would have been. */
        bool hours = is_of(sums, "running");
        bar->gap = hours ? bar->gap + quantity : quantity > 0 ? 1 : bar->gap;
    } else if (!sums->meter) {
        bar->value += cost;
    }
}

static char *value_text(const struct usage_view *view, const struct sums *sums, amount value)
{
    struct buf text = {0};
    if (!sums->meter)
        return usage_money(view, value);
    amount_put_quantity(value, sums->unit ? sums->unit : "ms", &text);
    return buf_take(&text);
}

/* The whole range is no hour, day or month, so it has both its ends. */
static char *bar_label(const struct usage_range *range, int64_t start_ms)
{
    struct buf text = {0};
    if (range->period != PERIOD_TOTAL) {
        period_put(range->period, start_ms, &text);
        return buf_take(&text);
    }
    moment_put_short(range->start_ms, &text);
    buf_puts(&text, " to ");
    moment_put_short(range->end_ms, &text);
    return buf_take(&text);
}

static void put_heading(const struct sums *sums, struct buf *out)
{
    const char *what = sums->meter ? sums->meter : "cost";
    if (sums->range->period == PERIOD_TOTAL)
        buf_printf(out, "%s, UTC\n", what);
    else
        buf_printf(out, "%s per %s, UTC\n", what, period_names[sums->range->period]);
}

void usage_chart_put(const struct usage_view *view, const struct usage_range *range,
                     const struct remote_list *list, int width, bool utf8, struct buf *out,
                     bool *ret_gaps)
{
    struct sums sums = {.range = range, .meter = charted_meter(list, range->meters)};
    amount total = 0;
    begin_sums(&sums);
    for (size_t i = 0; i < list->count; i++)
        add_row(&sums, list->items[i]);
    for (size_t i = 0; i < sums.count; i++) {
        struct chart_bar *bar = &sums.bars[i];
        bar->label = bar_label(range, sums.starts_ms[i]);
        bar->text = value_text(view, &sums, bar->value);
        total += bar->value;
        *ret_gaps |= bar->gap > 0;
    }
    put_heading(&sums, out);
    struct chart chart = {.bars = sums.bars, .count = sums.count, .width = width, .utf8 = utf8};
    chart_put(&chart, out);
    autofree char *sum = value_text(view, &sums, total);
    buf_printf(out, "total %s\n", sum);
    for (size_t i = 0; i < sums.count; i++) {
        free(sums.bars[i].label);
        free(sums.bars[i].text);
    }
    free(sums.meter);
    free(sums.bars);
    free(sums.starts_ms);
}
