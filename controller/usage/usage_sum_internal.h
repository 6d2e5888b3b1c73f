/* What the files of usage_sum share: groups, their sums, and what prices ask. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_SUM_INTERNAL_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_SUM_INTERNAL_H

#include "controller/usage/usage_sum.h"

/* Blocks of zeroed memory, freed together. */
struct arena {
    struct arena_block *blocks;
    size_t used, size; /* of the newest block */
    size_t total;
};
void *arena_take(struct arena *arena, size_t size);
void arena_release(struct arena *arena);

/* For each amount of the kind `stride` sums, and as many changes of the rate per millisecond
 * where a whole period begins. NULL: nothing yet. */
struct series {
    quantity *sums, *rates;
};

enum { SERIES_USED, SERIES_UNVERIFIED, SERIES_CORRECTION, SERIES_COUNT };

/* What it used lies right behind it: one place in memory for each segment that is added. */
struct group {
    struct usage_key key;
    struct series series[SERIES_COUNT];
    quantity *nanos;
    const struct price *price;
    struct group *next; /* in the order of their making */
    uint32_t hash;
    int stride; /* periods there were when it was made */
};

/* A segment on its way to its group: a handful go together, so that what they need from memory
 * is fetched at the same time. */
struct waiting {
    struct segment segment;
    struct usage_key key;
    uint64_t hash;
    unsigned done; /* amounts that were added already */
};
enum { WAITING_MAX = 16 };

/* The meters of one kind of segment that were asked for. */
struct kind_meters {
    int count;
    int meter[SEGMENT_AMOUNTS];
    bool counted;
};

struct rates; /* usage_cost.c */
struct line;  /* usage_rows.c */

struct usage_sum {
    struct usage_question question;
    const struct price_book *book;
    size_t budget, shrunk;
    struct kind_meters kinds[SEGMENT_GAP + 1];
    /* Period i is [bounds[i], bounds[i + 1]). `first_ms`: where the first would begin whole. */
    int64_t *bounds, first_ms, to_ms;
    int periods;
    bool by[USAGE_KEYS], by_labels;
    struct group **index;                /* by hash; NULL: free */
    struct group *first, *last, *recent; /* recent: that was added to */
    size_t count, index_size;
    struct arena arena;
    struct rates *rates;
    struct line *lines; /* in the order of rows, once it was asked for */
    size_t line_count;
    struct waiting waiting[WAITING_MAX];
    int waiting_count;
};

/* The group of a segment, for a price and a class where these are told apart. */
struct group *sum_group(struct usage_sum *sum, const struct segment *segment,
                        const struct price *price);
/* The same group among the corrections. */
struct group *sum_group_corrected(struct usage_sum *sum, const struct group *group);
/* Adds to one period. */
void sum_add_at(struct usage_sum *sum, struct group *group, int series, int amount, int period,
                quantity value);
void sum_cost_at(struct usage_sum *sum, struct group *group, int amount, int period,
                 quantity nanos);
int sum_period_at(const struct usage_sum *sum, int64_t t_ms);
static inline void group_prefetch(const struct group *group)
{
    for (size_t line = 0; group && line < sizeof(*group) + 3 * sizeof(quantity); line += 64)
        __builtin_prefetch((const char *)group + line, 1);
}
/* Adds the segments that wait. */
void sum_flush(struct usage_sum *sum);
/* Keeps to the budget: fewer periods from here on. */
void sum_shrink(struct usage_sum *sum);

/* Asks the prices for one segment. Returns bits of the meters (by place in its kind) whose
 * quantities were added here as well, price by price. */
struct rates *rates_new(void);
void rates_free(struct rates *rates);
size_t rates_bytes(const struct rates *rates); /* that it will have taken when finished */
unsigned rates_add(struct usage_sum *sum, const struct segment *segment);
void rates_finish(struct usage_sum *sum);

#endif
