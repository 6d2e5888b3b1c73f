/* From sums to rows: rates summed up, groups put in order, numbers as text. */
#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/usage/usage_sum_internal.h"

enum { AHEAD = 8 }; /* groups that are fetched while earlier ones are read */

static void settle(const struct usage_sum *sum, struct group *group, struct series *series)
{
    if (!series->rates)
        return;
    int periods = sum->periods < group->stride ? sum->periods : group->stride;
    for (int i = 0; i < sum->kinds[group->key.kind].count; i++) {
        quantity *sums = series->sums + i * group->stride, rate = 0;
        const quantity *rates = series->rates + i * group->stride;
        for (int p = 0; p < periods; p++) {
            rate += rates[p];
            sums[p] += rate * (sum->bounds[p + 1] - sum->bounds[p]);
        }
    }
}

int64_t usage_sum_finish(struct usage_sum *sum)
{
    sum_flush(sum);
    if (sum->rates)
        rates_finish(sum);
    rates_free(sum->rates);
    sum->rates = NULL;
    for (struct group *group = sum->first; group; group = group->next) {
        for (int k = 0; k < SERIES_COUNT; k++)
            settle(sum, group, &group->series[k]);
    }
    return sum->to_ms;
}

/* ---- order ---- */

/* What stands together in each period: all amounts of a group or, where the meter is asked for
 * before another key, one of them. */
struct line {
    int64_t first, second; /* by the first two keys, if these are numbers: mostly enough */
    const struct group *group;
    int amount, end; /* from one amount up to another */
    int meter;       /* of the first */
};

static int order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int order_labels(const struct usage_labels *labels, int32_t a, int32_t b)
{
    if (a == b || a == 0 || b == 0)
        return order(a, b);
    return strcmp(labels->text(labels->ctx, a), labels->text(labels->ctx, b));
}

static int64_t number_of(const struct line *line, int by)
{
    const struct usage_key *key = &line->group->key;
    switch (by) {
    case USAGE_BY_PROJECT:
        return key->project_key;
    case USAGE_BY_RESOURCE:
        return (int64_t)key->resource << 56 | key->resource_key;
    case USAGE_BY_FLAVOR:
        return key->flavor_key;
    case USAGE_BY_NODE:
        return key->node_key;
    case USAGE_BY_METER:
        return line->meter;
    case USAGE_BY_PRICE:
        return key->price_key;
    case USAGE_BY_CLASS:
        return key->correction;
    default:
        return 0;
    }
}

static int compare_by(const struct usage_sum *sum, int by, const struct line *a,
                      const struct line *b)
{
    if (by < USAGE_BY_LABEL)
        return order(number_of(a, by), number_of(b, by));
    return order_labels(&sum->question.labels, a->group->key.labels[by - USAGE_BY_LABEL],
                        b->group->key.labels[by - USAGE_BY_LABEL]);
}

static int compare(const void *a, const void *b, void *ctx)
{
    const struct usage_sum *sum = ctx;
    const struct line *left = a, *right = b;
    if (left->first != right->first)
        return order(left->first, right->first);
    const struct usage_question *question = &sum->question;
    if (left->second != right->second && question->by[0] < USAGE_BY_LABEL)
        return order(left->second, right->second);
    for (size_t i = 0; i < question->by_count; i++) {
        int rc = compare_by(sum, question->by[i], left, right);
        if (rc != 0)
            return rc;
    }
    return order(left->meter, right->meter);
}

static bool meter_comes_last(const struct usage_question *question)
{
    return !usage_asks(question, USAGE_BY_METER) ||
           question->by[question->by_count - 1] == USAGE_BY_METER;
}

static size_t lines_of(const struct usage_sum *sum, const struct group *group, bool whole,
                       struct line *lines)
{
    const struct usage_question *question = &sum->question;
    const struct kind_meters *kind = &sum->kinds[group->key.kind];
    size_t count = whole ? 1 : (size_t)kind->count;
    for (int k = 0; k < (int)count; k++) {
        struct line *line = &lines[k];
        *line = (struct line){.group = group, .amount = k, .end = whole ? kind->count : k + 1};
        line->meter = kind->meter[k];
        line->first = question->by_count > 0 ? number_of(line, question->by[0]) : 0;
        line->second = question->by_count > 1 ? number_of(line, question->by[1]) : 0;
    }
    return count;
}

/* Once for all pages. Sealed rows come in an order in which there mostly is nothing to sort. */
static void put_in_order(struct usage_sum *sum)
{
    if (sum->lines)
        return;
    struct line *lines = xcalloc(sum->count * SEGMENT_AMOUNTS + 1, sizeof(*lines));
    bool whole = meter_comes_last(&sum->question);
    size_t count = 0, ordered = 1;
    for (const struct group *group = sum->first; group; group = group->next)
        count += lines_of(sum, group, whole, lines + count);
    while (ordered < count && compare(&lines[ordered - 1], &lines[ordered], sum) <= 0)
        ordered++;
    if (ordered < count)
        qsort_r(lines, count, sizeof(*lines), compare, sum);
    sum->lines = lines;
    sum->line_count = count;
}

/* ---- rows ---- */

static quantity value_at(const quantity *sums, const struct group *group, int amount, int period)
{
    return sums && period < group->stride ? sums[amount * group->stride + period] : 0;
}

static bool row_of(const struct usage_sum *sum, const struct group *group, int amount, int period,
                   struct usage_row *row)
{
    row->used = value_at(group->series[SERIES_USED].sums, group, amount, period);
    row->unverified = value_at(group->series[SERIES_UNVERIFIED].sums, group, amount, period);
    row->correction = value_at(group->series[SERIES_CORRECTION].sums, group, amount, period);
    row->nanos = value_at(group->nanos, group, amount, period);
    if (row->used == 0 && row->unverified == 0 && row->correction == 0 && row->nanos == 0)
        return false;
    row->start_ms = sum->bounds[period];
    row->end_ms = sum->bounds[period + 1];
    row->key = group->key;
    row->price = group->price;
    row->meter = sum->kinds[group->key.kind].meter[amount];
    return true;
}

void usage_sum_rows(struct usage_sum *sum, size_t skip, usage_row_each *each, void *ctx)
{
    usage_sum_rows_from(sum, sum->question.from_ms, skip, each, ctx);
}

void usage_sum_rows_from(struct usage_sum *sum, int64_t from_ms, size_t skip, usage_row_each *each,
                         void *ctx)
{
    struct usage_row row;
    put_in_order(sum);
    const struct line *lines = sum->lines;
    size_t count = sum->line_count;
    for (int period = 0; period < sum->periods; period++) {
        if (sum->bounds[period] < from_ms)
            continue;
        for (size_t i = 0; i < count; i++) {
            group_prefetch(i + AHEAD < count ? lines[i + AHEAD].group : NULL);
            for (int k = lines[i].amount; k < lines[i].end; k++) {
                if (!row_of(sum, lines[i].group, k, period, &row))
                    continue;
                if (skip > 0)
                    skip--;
                else if (!each(ctx, &row))
                    return;
            }
        }
    }
}

/* ---- numbers as text ---- */

void quantity_decimal(quantity value, int places, char text[QUANTITY_TEXT_MAX])
{
    char digits[QUANTITY_TEXT_MAX];
    unsigned __int128 rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    int at = QUANTITY_TEXT_MAX;
    digits[--at] = '\0';
    for (int i = 0; rest || i <= places; i++) {
        if (i == places && places > 0)
            digits[--at] = '.';
        unsigned digit;
        if (rest >> 64) {
            digit = (unsigned)(rest % 10);
            rest /= 10;
        } else { /* mostly; a division of 128 bits takes ten times as long */
            digit = (unsigned)((uint64_t)rest % 10);
            rest = (uint64_t)rest / 10;
        }
        digits[--at] = (char)('0' + digit);
    }
    if (value < 0)
        digits[--at] = '-';
    memcpy(text, digits + at, (size_t)(QUANTITY_TEXT_MAX - at));
}

void quantity_text(quantity value, char text[QUANTITY_TEXT_MAX])
{
    quantity_decimal(value, 0, text);
}
