/* What sums of usage cost: prices asked segment by segment, period by period. What a price with
 * a monthly cap asks is kept until all segments are known, since the cap holds for a resource
 * over all its segments of a month in the order of time, whatever groups they fall into. */
#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/usage/usage_sum_internal.h"

/* Whether anything can be priced at all, asked once for each meter, project and flavor. */
struct scope {
    int64_t project_key, flavor_key;
    int meter;
    bool used, priced, capped;
};

/* What one capped price asks for one segment. */
struct capped {
    const struct price *price;
    int resource;
    int64_t resource_key, month_ms;
    int64_t start_ms, id; /* id: of the row it is or takes back; 0: it has none */
    int sign;
    bool correction;
    size_t place; /* in the order of adding */
    struct group *group;
    int amount;
    int first;        /* period; -1: what came before the question, in the same month */
    size_t count, at; /* of its periods' nanos */
};

struct rates {
    struct scope *scopes;
    size_t scope_count, scope_size;
    struct capped *capped;
    size_t count, capacity;
    quantity *nanos;
    size_t nanos_count, nanos_capacity;
};

struct rates *rates_new(void)
{
    return xcalloc(1, sizeof(struct rates));
}

void rates_free(struct rates *rates)
{
    if (!rates)
        return;
    free(rates->scopes);
    free(rates->capped);
    free(rates->nanos);
    free(rates);
}

size_t rates_bytes(const struct rates *rates)
{
    return rates->capacity * sizeof(*rates->capped) +
           rates->nanos_capacity * 4 * sizeof(*rates->nanos);
}

/* ---- scopes ---- */

static size_t scope_slot(const struct scope *scopes, size_t size, const struct scope *wanted)
{
    uint64_t hash = (uint64_t)wanted->project_key * 0x9e3779b97f4a7c15 +
                    (uint64_t)wanted->flavor_key * 0xbf58476d1ce4e5b9 + (uint64_t)wanted->meter;
    size_t slot = (hash ^ hash >> 29) & (size - 1);
    while (scopes[slot].used &&
           (scopes[slot].project_key != wanted->project_key ||
            scopes[slot].flavor_key != wanted->flavor_key || scopes[slot].meter != wanted->meter))
        slot = (slot + 1) & (size - 1);
    return slot;
}

static void scopes_grow(struct rates *rates)
{
    size_t size = rates->scope_size ? rates->scope_size * 2 : 128;
    struct scope *scopes = xcalloc(size, sizeof(*scopes));
    for (size_t i = 0; i < rates->scope_size; i++) {
        if (rates->scopes[i].used)
            scopes[scope_slot(scopes, size, &rates->scopes[i])] = rates->scopes[i];
    }
    free(rates->scopes);
    rates->scopes = scopes;
    rates->scope_size = size;
}

static void scope_ask(const struct usage_sum *sum, struct scope *scope)
{
    int64_t at, to, until;
    usage_sum_range(sum, &at, &to);
    for (; at < to; at = until) {
        const struct price *price =
            price_find(sum->book, scope->meter, scope->project_key, scope->flavor_key, at, &until);
        scope->priced = scope->priced || price;
        scope->capped = scope->capped || (price && price->monthly_cap_nanos);
    }
}

static struct scope scope_of(struct usage_sum *sum, const struct segment *segment, int meter)
{
    struct rates *rates = sum->rates;
    if (rates->scope_count * 2 >= rates->scope_size)
        scopes_grow(rates);
    struct scope wanted = {.project_key = segment->project_key,
                           .flavor_key = segment->flavor_key,
                           .meter = meter,
                           .used = true};
    struct scope *scope = &rates->scopes[scope_slot(rates->scopes, rates->scope_size, &wanted)];
    if (!scope->used) {
        scope_ask(sum, &wanted);
        *scope = wanted;
        rates->scope_count++;
    }
    return *scope;
}

/* ---- asking ---- */

struct asking {
    struct usage_sum *sum;
    const struct segment *segment;
    int amount, meter, period;
    struct group *group; /* unless told apart by price */
    size_t first_capped; /* of this segment and meter */
};

static void keep_nanos(struct rates *rates, quantity nanos)
{
    if (rates->nanos_count == rates->nanos_capacity) {
        rates->nanos_capacity = rates->nanos_capacity ? rates->nanos_capacity * 2 : 256;
        rates->nanos = xrealloc(rates->nanos, rates->nanos_capacity * sizeof(*rates->nanos));
    }
    rates->nanos[rates->nanos_count++] = nanos;
}

static struct capped *capped_begin(const struct asking *asking, const struct price *price,
                                   struct group *group)
{
    struct rates *rates = asking->sum->rates;
    const struct segment *segment = asking->segment;
    if (rates->count == rates->capacity) {
        rates->capacity = rates->capacity ? rates->capacity * 2 : 64;
        rates->capped = xrealloc(rates->capped, rates->capacity * sizeof(*rates->capped));
    }
    struct capped *capped = &rates->capped[rates->count];
    *capped = (struct capped){.price = price,
                              .resource = segment->resource,
                              .resource_key = segment->resource_key,
                              .month_ms = month_floor(segment->start_ms),
                              .start_ms = segment->start_ms,
                              .id = segment->sign < 0 ? segment->reverses : segment->key,
                              .sign = segment->sign,
                              .correction = segment->correction,
                              .place = rates->count++,
                              .group = group,
                              .amount = asking->amount,
                              .first = asking->period,
                              .at = rates->nanos_count};
    return capped;
}

static void keep_capped(const struct asking *asking, const struct price *price, struct group *group,
                        quantity nanos)
{
    struct rates *rates = asking->sum->rates;
    struct capped *last =
        rates->count > asking->first_capped ? &rates->capped[rates->count - 1] : NULL;
    bool goes_on = last && last->price == price && last->group == group &&
                   last->first + (int)last->count >= asking->period;
    if (!goes_on)
        last = capped_begin(asking, price, group);
    if (last->first + (int)last->count > asking->period) {
        rates->nanos[rates->nanos_count - 1] += nanos;
        return;
    }
    keep_nanos(rates, nanos);
    last->count++;
}

static void take_charge(void *ctx, const struct price *price, int64_t from_ms, int64_t to_ms,
                        quantity used, quantity nanos)
{
    struct asking *asking = ctx;
    struct usage_sum *sum = asking->sum;
    int64_t unproved = segment_unproved_from(asking->segment);
    while (asking->period >= 0 && from_ms >= sum->bounds[asking->period + 1])
        asking->period++;
    struct group *group = asking->group;
    if (sum->by[USAGE_BY_PRICE])
        group = sum_group(sum, asking->segment, price);
    if (sum->by[USAGE_BY_PRICE] && asking->period >= 0) {
        int amount = asking->amount, period = asking->period;
        sum_add_at(sum, group, SERIES_USED, amount, period, used);
        if (unproved < to_ms)
            sum_add_at(sum, group, SERIES_UNVERIFIED, amount, period,
                       segment_within(asking->segment, asking->meter,
                                      unproved > from_ms ? unproved : from_ms, to_ms));
        if (asking->segment->correction)
            sum_add_at(sum, group, SERIES_CORRECTION, amount, period, used);
    }
    if (price && price->monthly_cap_nanos)
        keep_capped(asking, price, group, nanos);
    else if (asking->period >= 0)
        sum_cost_at(sum, group, asking->amount, asking->period, nanos);
}

static void ask_meter(struct usage_sum *sum, struct asking *asking, bool capped)
{
    const struct segment *segment = asking->segment;
    int64_t from = sum->question.from_ms;
    if (capped && segment->start_ms < from) {
        asking->period = -1;
        rate_segment(sum->book, segment, asking->meter, month_floor(from), from, take_charge,
                     asking);
    }
    int64_t start = segment->start_ms > from ? segment->start_ms : from;
    if (start >= segment->end_ms || start >= sum->to_ms)
        return;
    asking->period = sum_period_at(sum, start);
    rate_periods(sum->book, segment, asking->meter, sum->bounds + asking->period,
                 (size_t)(sum->periods - asking->period), take_charge, asking);
}

unsigned rates_add(struct usage_sum *sum, const struct segment *segment)
{
    const struct kind_meters *kind = &sum->kinds[segment->kind];
    unsigned done = 0;
    struct asking asking = {.sum = sum, .segment = segment};
    bool grouped = sum->by[USAGE_BY_PRICE];
    for (int i = 0; i < kind->count; i++) {
        struct scope scope = scope_of(sum, segment, kind->meter[i]);
        if (!scope.priced)
            continue;
        if (!grouped)
            asking.group = sum_group(sum, segment, NULL);
        grouped = true;
        asking.amount = i;
        asking.meter = kind->meter[i];
        asking.first_capped = sum->rates->count;
        ask_meter(sum, &asking, scope.capped);
        done |= sum->by[USAGE_BY_PRICE] ? 1U << i : 0;
    }
    sum_shrink(sum);
    return done;
}

/* ---- caps ---- */

static int order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Those under one cap stand together. */
static int compare_cap(const struct capped *a, const struct capped *b)
{
    int rc = order(a->price->key, b->price->key);
    if (rc == 0)
        rc = order(a->resource, b->resource);
    if (rc == 0)
        rc = order(a->resource_key, b->resource_key);
    return rc ? rc : order(a->month_ms, b->month_ms);
}

static int compare_capped(const void *left, const void *right)
{
    const struct capped *a = left, *b = right;
    int rc = compare_cap(a, b);
    if (rc == 0)
        rc = order(a->start_ms, b->start_ms);
    if (rc == 0)
        rc = order(a->id, b->id);
    return rc ? rc : order((int64_t)a->place, (int64_t)b->place);
}

static int compare_ids(const void *a, const void *b)
{
    return order(*(const int64_t *)a, *(const int64_t *)b);
}

/* Sorted: those that stand with both signs. */
static size_t find_reversed(const struct capped *capped, size_t count, int64_t *ids)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (capped[i].sign < 0 && capped[i].id)
            ids[found++] = capped[i].id;
    }
    if (found)
        qsort(ids, found, sizeof(*ids), compare_ids);
    return found;
}

/* Marks those rows that others take back, and these, with sign 0: they never were. A row that
 * was itself a correction may stand here in two parts, of which its reversal takes back both. */
static void drop_reversed(struct capped *capped, size_t count)
{
    autofree int64_t *ids = xcalloc(count + 1, sizeof(*ids));
    autofree bool *there = xcalloc(count + 1, sizeof(*there));
    size_t found = find_reversed(capped, count, ids);
    for (size_t i = 0; i < count && found; i++) {
        const int64_t *id = bsearch(&capped[i].id, ids, found, sizeof(*ids), compare_ids);
        if (id && capped[i].sign > 0)
            there[id - ids] = true;
    }
    for (size_t i = 0; i < count && found; i++) {
        const int64_t *id = bsearch(&capped[i].id, ids, found, sizeof(*ids), compare_ids);
        if (id && there[id - ids])
            capped[i].sign = 0;
    }
}

/* What is asked below the cap of those that count, in the order of time; of the others nothing.
 * `asked` lies beside rates->nanos. What remains of one resource does not overlap, so segment
 * after segment is the order of time. */
static void ask_below_cap(const struct rates *rates, const struct capped *capped, size_t count,
                          bool ordinary_only, quantity *asked, quantity *line)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        if (ordinary_only ? !capped[i].correction : capped[i].sign != 0) {
            memcpy(line + length, rates->nanos + capped[i].at, capped[i].count * sizeof(*line));
            length += capped[i].count;
        }
    }
    rate_cap(capped[0].price->monthly_cap_nanos, 0, line, length);
    length = 0;
    for (size_t i = 0; i < count; i++) {
        if (ordinary_only ? !capped[i].correction : capped[i].sign != 0) {
            memcpy(asked + capped[i].at, line + length, capped[i].count * sizeof(*line));
            length += capped[i].count;
        } else {
            memset(asked + capped[i].at, 0, capped[i].count * sizeof(*line));
        }
    }
}

static void cost_of(struct usage_sum *sum, const struct capped *capped, const quantity *asked)
{
    for (size_t i = 0; i < capped->count; i++) {
        if (capped->first + (int)i >= 0)
            sum_cost_at(sum, capped->group, capped->amount, capped->first + (int)i,
                        asked[capped->at + i]);
    }
}

/* What corrections of other rows changed for this one. */
static void change_of(struct usage_sum *sum, const struct capped *capped, const quantity *asked,
                      const quantity *ordinary)
{
    for (size_t i = 0; i < capped->count; i++) {
        quantity nanos = asked[capped->at + i] - ordinary[capped->at + i];
        if (capped->first + (int)i >= 0 && nanos != 0)
            sum_cost_at(sum, sum_group_corrected(sum, capped->group), capped->amount,
                        capped->first + (int)i, nanos);
    }
}

/* Where corrections are told apart, the ordinary rows keep what they asked before any was
 * known, and the difference that the corrections make is a correction. */
static void settle_cap(struct usage_sum *sum, struct capped *capped, size_t count,
                       quantity *scratch)
{
    const struct rates *rates = sum->rates;
    quantity *asked = scratch, *line = asked + rates->nanos_count,
             *ordinary = line + rates->nanos_count;
    bool apart = sum->by[USAGE_BY_CLASS];
    drop_reversed(capped, count);
    ask_below_cap(rates, capped, count, false, asked, line);
    if (apart)
        ask_below_cap(rates, capped, count, true, ordinary, line);
    for (size_t i = 0; i < count; i++) {
        bool kept = apart && !capped[i].correction;
        cost_of(sum, &capped[i], kept ? ordinary : asked);
        if (kept)
            change_of(sum, &capped[i], asked, ordinary);
    }
}

void rates_finish(struct usage_sum *sum)
{
    struct rates *rates = sum->rates;
    if (rates->count == 0)
        return;
    autofree quantity *scratch = xcalloc(3 * rates->nanos_count + 1, sizeof(quantity));
    qsort(rates->capped, rates->count, sizeof(*rates->capped), compare_capped);
    for (size_t first = 0, next; first < rates->count; first = next) {
        for (next = first + 1;
             next < rates->count && compare_cap(&rates->capped[first], &rates->capped[next]) == 0;)
            next++;
        settle_cap(sum, rates->capped + first, next - first, scratch);
    }
}
