/* Groups, and the sums of quantities in them. */
#include "controller/usage/usage_sum.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/usage/usage_sum_internal.h"

/* A year of hours; a longer question is answered in several goes. */
enum { PERIODS_MAX = 366 * 24, ARENA_BLOCK = 256 * 1024 };

const char *const usage_period_names[] = {"total", "hour", "day", "month", NULL};

bool usage_asks(const struct usage_question *question, int by)
{
    for (size_t i = 0; i < question->by_count; i++) {
        if (question->by[i] == by)
            return true;
    }
    return false;
}

unsigned usage_kinds(const struct usage_question *question)
{
    unsigned kinds = 0;
    for (int i = 0; i < METER_COUNT; i++)
        kinds |= question->meters & 1U << i ? 1U << meters[i].kind : 0;
    return kinds;
}

/* ---- memory ---- */

struct arena_block {
    struct arena_block *next;
    _Alignas(16) char bytes[];
};

void *arena_take(struct arena *arena, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (arena->used + size > arena->size) {
        arena->size = size > ARENA_BLOCK ? size : ARENA_BLOCK;
        struct arena_block *block = xcalloc(1, sizeof(*block) + arena->size);
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
        arena->total += arena->size;
    }
    void *taken = arena->blocks->bytes + arena->used;
    arena->used += size;
    return taken;
}

void arena_release(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena){0};
}

/* ---- periods ---- */

static int64_t period_floor(enum usage_period period, int64_t t_ms)
{
    switch (period) {
    case USAGE_HOUR:
        return hour_floor(t_ms);
    case USAGE_DAY:
        return day_floor(t_ms);
    case USAGE_MONTH:
        return month_floor(t_ms);
    case USAGE_TOTAL:
        break;
    }
    return t_ms;
}

static int64_t period_next(const struct usage_question *question, int64_t t_ms)
{
    switch (question->period) {
    case USAGE_HOUR:
        return hour_floor(t_ms) + HOUR_MS;
    case USAGE_DAY:
        return day_floor(t_ms) + 24 * (int64_t)HOUR_MS;
    case USAGE_MONTH:
        return month_next(t_ms);
    case USAGE_TOTAL:
        break;
    }
    return question->to_ms;
}

static void make_periods(struct usage_sum *sum)
{
    const struct usage_question *question = &sum->question;
    size_t room = 64;
    int most = question->periods_max;
    if (most == 0 || most > PERIODS_MAX)
        most = PERIODS_MAX;
    sum->bounds = xmalloc(room * sizeof(*sum->bounds));
    sum->first_ms = period_floor(question->period, question->from_ms);
    sum->bounds[0] = question->from_ms;
    int64_t at = question->from_ms;
    while (at < question->to_ms && sum->periods < most) {
        at = period_next(question, at);
        if (at > question->to_ms)
            at = question->to_ms;
        if ((size_t)sum->periods + 2 > room) {
            room *= 2;
            sum->bounds = xrealloc(sum->bounds, room * sizeof(*sum->bounds));
        }
        sum->bounds[++sum->periods] = at;
    }
    sum->to_ms = at;
}

int sum_period_at(const struct usage_sum *sum, int64_t t_ms)
{
    switch (sum->question.period) {
    case USAGE_HOUR:
        return (int)((t_ms - sum->first_ms) / HOUR_MS);
    case USAGE_DAY:
        return (int)((t_ms - sum->first_ms) / (24 * (int64_t)HOUR_MS));
    case USAGE_MONTH: {
        int low = 0, high = sum->periods - 1;
        while (low < high) {
            int middle = (low + high + 1) / 2;
            if (sum->bounds[middle] <= t_ms)
                low = middle;
            else
                high = middle - 1;
        }
        return low;
    }
    case USAGE_TOTAL:
        break;
    }
    return 0;
}

/* Fewer periods from here on: what was summed up for the earlier ones stays right. Each time
 * it takes as much again to come here, so all that is taken is some times the budget. */
void sum_shrink(struct usage_sum *sum)
{
    size_t taken = sum->arena.total + (sum->rates ? rates_bytes(sum->rates) : 0);
    while (sum->budget && sum->periods > 1 && taken > sum->budget * (sum->shrunk + 1)) {
        sum->shrunk++;
        sum->periods = (sum->periods + 1) / 2;
        sum->to_ms = sum->bounds[sum->periods];
    }
}

/* ---- groups ---- */

static uint64_t key_hash(const struct usage_key *key)
{
    uint64_t words[sizeof(*key) / 8], hash = 0x9e3779b97f4a7c15;
    _Static_assert(sizeof(*key) % 8 == 0, "a key is whole words");
    memcpy(words, key, sizeof(words));
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        hash = (hash ^ words[i]) * 0xbf58476d1ce4e5b9 + (hash >> 29);
    return hash ^ hash >> 32;
}

static void index_grow(struct usage_sum *sum)
{
    size_t size = sum->index_size ? sum->index_size * 4 : 1024;
    struct group **index = xcalloc(size, sizeof(*index));
    for (size_t i = 0; i < sum->index_size; i++) {
        if (!sum->index[i])
            continue;
        size_t slot = sum->index[i]->hash & (size - 1);
        while (index[slot])
            slot = (slot + 1) & (size - 1);
        index[slot] = sum->index[i];
    }
    free(sum->index);
    sum->index = index;
    sum->index_size = size;
}

static bool is_flat(const struct usage_sum *sum, const struct group *group)
{
    return group->stride == 1 || sum->kinds[group->key.kind].counted;
}

static size_t series_size(const struct usage_sum *sum, const struct group *group)
{
    size_t cells = (size_t)sum->kinds[group->key.kind].count * (size_t)group->stride;
    return cells * (is_flat(sum, group) ? 1 : 2) * sizeof(quantity);
}

static void series_set(const struct usage_sum *sum, struct group *group, int which, void *memory)
{
    int cells = sum->kinds[group->key.kind].count * group->stride;
    struct series *series = &group->series[which];
    series->sums = memory;
    series->rates = is_flat(sum, group) ? NULL : series->sums + cells;
}

static void series_make(struct usage_sum *sum, struct group *group, int which)
{
    series_set(sum, group, which, arena_take(&sum->arena, series_size(sum, group)));
}

static struct group *group_new(struct usage_sum *sum, const struct usage_key *key,
                               const struct price *price)
{
    struct group like = {.key = *key, .price = price, .stride = sum->periods};
    _Static_assert(sizeof(like) % 16 == 0, "what lies behind it is aligned");
    struct group *group = arena_take(&sum->arena, sizeof(like) + series_size(sum, &like));
    *group = like;
    series_set(sum, group, SERIES_USED, group + 1);
    if (sum->last)
        sum->last->next = group;
    else
        sum->first = group;
    sum->last = group;
    sum->count++;
    return group;
}

static struct group *group_of(struct usage_sum *sum, const struct usage_key *key, uint64_t hash,
                              const struct price *price)
{
    if (sum->count * 2 >= sum->index_size)
        index_grow(sum);
    size_t slot = hash & (sum->index_size - 1);
    for (; sum->index[slot]; slot = (slot + 1) & (sum->index_size - 1)) {
        struct group *group = sum->index[slot];
        if (memcmp(&group->key, key, sizeof(*key)) == 0)
            return group;
    }
    struct group *group = group_new(sum, key, price);
    group->hash = (uint32_t)hash;
    sum->index[slot] = group;
    sum_shrink(sum);
    return group;
}

static void key_of(const struct usage_sum *sum, const struct segment *segment,
                   struct usage_key *key)
{
    *key = (struct usage_key){.kind = (uint8_t)segment->kind};
    if (sum->by[USAGE_BY_PROJECT])
        key->project_key = segment->project_key;
    if (sum->by[USAGE_BY_RESOURCE]) {
        key->resource = (uint8_t)segment->resource;
        key->resource_key = segment->resource_key;
    }
    if (sum->by[USAGE_BY_FLAVOR])
        key->flavor_key = segment->flavor_key;
    if (sum->by[USAGE_BY_NODE])
        key->node_key = segment->node_key;
    if (sum->by[USAGE_BY_CLASS])
        key->correction = segment->correction;
    for (int i = 0; sum->by_labels && i < USAGE_LABELS; i++) {
        if (sum->by[USAGE_BY_LABEL + i])
            key->labels[i] = sum->question.labels.of(sum->question.labels.ctx, i, segment);
    }
}

struct group *sum_group(struct usage_sum *sum, const struct segment *segment,
                        const struct price *price)
{
    struct usage_key key;
    bool apart = sum->by[USAGE_BY_PRICE] && price;
    key_of(sum, segment, &key);
    key.price_key = apart ? price->key : 0;
    return group_of(sum, &key, key_hash(&key), apart ? price : NULL);
}

struct group *sum_group_corrected(struct usage_sum *sum, const struct group *group)
{
    struct usage_key key = group->key;
    key.correction = 1;
    return group_of(sum, &key, key_hash(&key), group->price);
}

/* ---- adding ---- */

void sum_add_at(struct usage_sum *sum, struct group *group, int which, int amount, int period,
                quantity value)
{
    if (period >= group->stride || period >= sum->periods)
        return;
    if (!group->series[which].sums)
        series_make(sum, group, which);
    group->series[which].sums[amount * group->stride + period] += value;
}

void sum_cost_at(struct usage_sum *sum, struct group *group, int amount, int period, quantity nanos)
{
    if (nanos == 0 || period >= group->stride || period >= sum->periods)
        return;
    if (!group->nanos)
        group->nanos = arena_take(&sum->arena, (size_t)sum->kinds[group->key.kind].count *
                                                   (size_t)group->stride * sizeof(quantity));
    group->nanos[amount * group->stride + period] += nanos;
}

/* A stretch within the question: the periods that it meets, and how much of the first and the
 * last one. */
struct stretch {
    int first, last;
    int64_t head_ms, tail_ms;
    int64_t from_ms; /* where it begins */
};

static struct stretch stretch_of(const struct usage_sum *sum, int64_t start_ms, int64_t end_ms)
{
    struct stretch stretch = {.first = sum_period_at(sum, start_ms), .from_ms = start_ms};
    if (end_ms <= sum->bounds[stretch.first + 1]) {
        stretch.last = stretch.first;
        stretch.head_ms = end_ms - start_ms;
        return stretch;
    }
    stretch.last = sum_period_at(sum, end_ms - 1);
    stretch.head_ms = sum->bounds[stretch.first + 1] - start_ms;
    stretch.tail_ms = end_ms - sum->bounds[stretch.last];
    return stretch;
}

static void add_timed(struct usage_sum *sum, struct group *group, int which,
                      const struct segment *segment, const struct stretch *stretch, unsigned done)
{
    const struct kind_meters *kind = &sum->kinds[segment->kind];
    if (!group->series[which].sums)
        series_make(sum, group, which);
    for (int i = 0; i < kind->count; i++) {
        if (done & 1U << i)
            continue;
        quantity rate = segment->amounts[meters[kind->meter[i]].amount];
        if (segment->sign < 0)
            rate = -rate;
        quantity *sums = group->series[which].sums + i * group->stride;
        sums[stretch->first] += rate * stretch->head_ms;
        if (stretch->first == stretch->last)
            continue;
        quantity *rates = group->series[which].rates + i * group->stride;
        sums[stretch->last] += rate * stretch->tail_ms;
        rates[stretch->first + 1] += rate;
        rates[stretch->last] -= rate;
    }
}

/* What segment_until() says, in 64 bits where they are enough: it is asked at every boundary. */
static quantity share_until(const struct segment *segment, int meter, int64_t t_ms)
{
    int64_t product, length = segment->end_ms - segment->start_ms;
    if (t_ms <= segment->start_ms || t_ms >= segment->end_ms ||
        __builtin_mul_overflow(segment->amounts[meters[meter].amount], t_ms - segment->start_ms,
                               &product))
        return segment_until(segment, meter, t_ms);
    return product / length;
}

static void add_counted(struct usage_sum *sum, struct group *group, int which,
                        const struct segment *segment, const struct stretch *stretch, unsigned done)
{
    const struct kind_meters *kind = &sum->kinds[segment->kind];
    if (!group->series[which].sums)
        series_make(sum, group, which);
    for (int i = 0; i < kind->count; i++) {
        if (done & 1U << i)
            continue;
        quantity *sums = group->series[which].sums + i * group->stride;
        quantity before = share_until(segment, kind->meter[i], stretch->from_ms);
        for (int p = stretch->first; p <= stretch->last; p++) {
            quantity until = share_until(segment, kind->meter[i], sum->bounds[p + 1]);
            sums[p] += segment->sign < 0 ? before - until : until - before;
            before = until;
        }
    }
}

static void add_to(struct usage_sum *sum, struct group *group, const struct segment *segment,
                   unsigned done)
{
    int64_t start = segment->start_ms, end = segment->end_ms;
    if (start < sum->question.from_ms)
        start = sum->question.from_ms;
    if (end > sum->to_ms)
        end = sum->to_ms;
    if (start >= end)
        return;
    int64_t unproved = segment_unproved_from(segment);
    const int64_t from[SERIES_COUNT] = {start, unproved < start ? start : unproved,
                                        segment->correction ? start : end};
    for (int i = 0; i < SERIES_COUNT; i++) {
        if (from[i] >= end)
            continue;
        struct stretch stretch = stretch_of(sum, from[i], end);
        if (sum->kinds[segment->kind].counted)
            add_counted(sum, group, i, segment, &stretch, done);
        else
            add_timed(sum, group, i, segment, &stretch, done);
    }
}

void sum_flush(struct usage_sum *sum)
{
    for (int i = 0; i < sum->waiting_count && sum->index_size; i++)
        group_prefetch(sum->index[sum->waiting[i].hash & (sum->index_size - 1)]);
    for (int i = 0; i < sum->waiting_count; i++) {
        const struct waiting *waiting = &sum->waiting[i];
        sum->recent = group_of(sum, &waiting->key, waiting->hash, NULL);
        add_to(sum, sum->recent, &waiting->segment, waiting->done);
    }
    sum->waiting_count = 0;
}

static bool same_key(const struct usage_key *a, const struct usage_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void add_later(struct usage_sum *sum, const struct segment *segment,
                      const struct usage_key *key, unsigned done)
{
    struct waiting *waiting = &sum->waiting[sum->waiting_count++];
    *waiting =
        (struct waiting){.segment = *segment, .key = *key, .hash = key_hash(key), .done = done};
    if (sum->index_size)
        __builtin_prefetch(&sum->index[waiting->hash & (sum->index_size - 1)]);
    if (sum->waiting_count == WAITING_MAX)
        sum_flush(sum);
}

void usage_sum_add(struct usage_sum *sum, const struct segment *segment)
{
    const struct kind_meters *kind = &sum->kinds[segment->kind];
    int64_t project_key = sum->question.project_key;
    struct usage_key key;
    if (!kind->count || (project_key && segment->project_key != project_key))
        return;
    unsigned done = sum->rates ? rates_add(sum, segment) : 0;
    if (done == (1U << kind->count) - 1 || segment->end_ms <= sum->question.from_ms ||
        segment->start_ms >= sum->to_ms)
        return;
    key_of(sum, segment, &key);
    /* Sealed rows come group by group: then none need wait. */
    if (sum->waiting_count && same_key(&sum->waiting[sum->waiting_count - 1].key, &key))
        sum_flush(sum);
    if (sum->recent && same_key(&sum->recent->key, &key))
        add_to(sum, sum->recent, segment, done);
    else
        add_later(sum, segment, &key, done);
}

/* ---- making ---- */

struct usage_sum *usage_sum_new(const struct usage_question *question,
                                const struct price_book *book, size_t budget)
{
    struct usage_sum *sum = xcalloc(1, sizeof(*sum));
    sum->question = *question;
    sum->book = book;
    sum->budget = budget;
    for (int i = 0; i < METER_COUNT; i++) {
        struct kind_meters *kind = &sum->kinds[meters[i].kind];
        if (question->meters && !(question->meters & 1U << i))
            continue;
        kind->meter[kind->count++] = i;
        kind->counted = meters[i].counted;
    }
    for (size_t i = 0; i < question->by_count; i++)
        sum->by[question->by[i]] = true;
    for (int i = 0; i < USAGE_LABELS; i++)
        sum->by_labels = sum->by_labels || sum->by[USAGE_BY_LABEL + i];
    make_periods(sum);
    if (book)
        sum->rates = rates_new();
    return sum;
}

void usage_sum_free(struct usage_sum *sum)
{
    if (!sum)
        return;
    rates_free(sum->rates);
    arena_release(&sum->arena);
    free(sum->bounds);
    free(sum->index);
    free(sum->lines);
    free(sum);
}

void usage_sum_range(const struct usage_sum *sum, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
    *ret_from_ms = sum->book ? month_floor(sum->question.from_ms) : sum->question.from_ms;
    *ret_to_ms = sum->to_ms;
}

void usage_sum_span(const struct usage_sum *sum, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
    *ret_from_ms = sum->question.from_ms;
    *ret_to_ms = sum->to_ms;
}

size_t usage_sum_bytes(const struct usage_sum *sum)
{
    return sum->arena.total + sum->index_size * sizeof(*sum->index) +
           sum->count * SEGMENT_AMOUNTS * 48; /* lines in order */
}
