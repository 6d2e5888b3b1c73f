/* Sealed months in memory; see ledger_months.h. A month's rows are one block that is never
 * changed once others can see it: who adds to it makes another one. */
#include "controller/ledger/book/ledger_months.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "controller/ledger/book/store_segment.h"

enum {
    KEPT = 64,
    KEPT_BYTES = 64 * 1024 * 1024, /* of all together, and so of one */
    IDLE_MS = 10 * 60 * 1000,
};

struct month {
    int refs;                      /* under the lock */
    int64_t start_ms, project_key; /* 0: of all */
    _Atomic int64_t last_key;      /* of the whole table: rows up to this one were looked at */
    int64_t used_ms;
    bool refused; /* too long, or not closed: there are no rows here */
    bool news;
    struct segment *rows;
    size_t count, room;
};

struct ledger_months {
    pthread_mutex_t lock;
    struct month *kept[KEPT];
};

struct ledger_months *ledger_months_new(void)
{
    struct ledger_months *months = xcalloc(1, sizeof(*months));
    pthread_mutex_init(&months->lock, NULL);
    return months;
}

static void unref(struct month *month)
{
    if (!month || --month->refs > 0)
        return;
    free(month->rows);
    free(month);
}

void ledger_months_free(struct ledger_months *months)
{
    if (!months)
        return;
    for (int i = 0; i < KEPT; i++)
        unref(months->kept[i]);
    pthread_mutex_destroy(&months->lock);
    free(months);
}

/* ---- what is kept ---- */

static bool better(const struct month *month, const struct month *found)
{
    if (!found || month->last_key != found->last_key)
        return !found || month->last_key > found->last_key;
    return !month->project_key;
}

/* The one that knows most: of all projects, or of the one. */
static struct month *find(struct ledger_months *months, int64_t start_ms, int64_t project_key)
{
    struct month *found = NULL;
    pthread_mutex_lock(&months->lock);
    for (int i = 0; i < KEPT; i++) {
        struct month *month = months->kept[i];
        if (month && month->start_ms == start_ms &&
            (!month->project_key || month->project_key == project_key) &&
            (!month->refused || month->project_key == project_key) && better(month, found))
            found = month;
    }
    if (found) {
        found->refs++;
        found->used_ms = clock_boottime_ms();
    }
    pthread_mutex_unlock(&months->lock);
    return found;
}

static void let_go(struct ledger_months *months, struct month *month)
{
    pthread_mutex_lock(&months->lock);
    unref(month);
    pthread_mutex_unlock(&months->lock);
}

static bool is_kept(struct ledger_months *months, int64_t start_ms, int64_t project_key)
{
    struct month *month = find(months, start_ms, project_key);
    if (month)
        let_go(months, month);
    return month;
}

static size_t bytes_of(const struct month *month)
{
    return month ? sizeof(*month) + month->room * sizeof(*month->rows) : 0;
}

static int oldest(const struct ledger_months *months)
{
    int at = -1;
    for (int i = 0; i < KEPT; i++) {
        if (months->kept[i] && (at < 0 || months->kept[i]->used_ms < months->kept[at]->used_ms))
            at = i;
    }
    return at;
}

static void drop(struct ledger_months *months, int at)
{
    unref(months->kept[at]);
    months->kept[at] = NULL;
}

/* In place of what was kept of this month before; the ones that were not used for longest make
 * room. */
static void keep(struct ledger_months *months, struct month *month)
{
    size_t total = bytes_of(month);
    int free_place = -1;
    pthread_mutex_lock(&months->lock);
    for (int i = 0; i < KEPT; i++) {
        if (months->kept[i] && months->kept[i]->start_ms == month->start_ms &&
            (!month->project_key || months->kept[i]->project_key == month->project_key))
            drop(months, i);
        total += bytes_of(months->kept[i]);
    }
    for (int i = 0; i < KEPT; i++)
        free_place = months->kept[i] ? free_place : i;
    for (int at; (total > KEPT_BYTES || free_place < 0) && (at = oldest(months)) >= 0;) {
        total -= bytes_of(months->kept[at]);
        drop(months, at);
        free_place = at;
    }
    month->refs++;
    month->used_ms = clock_boottime_ms();
    months->kept[free_place] = month;
    pthread_mutex_unlock(&months->lock);
}

void ledger_months_tidy(struct ledger_months *months)
{
    int64_t now = clock_boottime_ms();
    pthread_mutex_lock(&months->lock);
    for (int i = 0; i < KEPT; i++) {
        if (months->kept[i] && now - months->kept[i]->used_ms > IDLE_MS)
            drop(months, i);
    }
    pthread_mutex_unlock(&months->lock);
}

/* ---- reading ---- */

static bool add(void *ctx, const struct segment *row)
{
    struct month *month = ctx;
    if (month->count == month->room) {
        month->room = month->room ? month->room * 2 : 256;
        month->rows = xrealloc(month->rows, month->room * sizeof(*month->rows));
    }
    month->rows[month->count++] = *row;
    month->refused = row->open || bytes_of(month) > KEPT_BYTES;
    return !month->refused;
}

static int order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* A project's rows stand together, within it a resource's, and within these a kind's: sums meet
 * their groups one after the other, in the order in which answers mostly show them. */
static int compare(const void *a, const void *b)
{
    const struct segment *left = a, *right = b;
    int rc = order(left->project_key, right->project_key);
    if (rc == 0)
        rc = order(left->resource, right->resource);
    if (rc == 0)
        rc = order(left->resource_key, right->resource_key);
    if (rc == 0)
        rc = order(left->kind, right->kind);
    if (rc == 0)
        rc = order(left->start_ms, right->start_ms);
    return rc ? rc : order(left->key, right->key);
}

/* Rows that came after those of `old`, which may be NULL, and its own. Owned; NULL: -1. */
static struct month *read_on(struct db *db, const struct month *like, const struct month *old,
                             struct err *err)
{
    struct month *month = xcalloc(1, sizeof(*month));
    *month = *like;
    struct ledger_filter filter = {.from_ms = like->start_ms,
                                   .to_ms = month_next(like->start_ms),
                                   .project_key = like->project_key};
    if (store_segment_started(db, old ? old->last_key : 0, &filter, add, month, err) != 0) {
        unref(month);
        return NULL;
    }
    month->news = month->count > 0;
    for (size_t i = 0; old && month->news && i < old->count && !month->refused; i++)
        add(month, &old->rows[i]);
    return month;
}

static void settle(struct month *month)
{
    if (month->refused)
        free(take(month->rows));
    else if (month->count)
        qsort(month->rows, month->count, sizeof(*month->rows), compare);
    month->count = month->refused ? 0 : month->count;
    month->room = month->refused ? 0 : month->room;
}

/* The place of the first row of a project, or of those behind it. */
static size_t first_of(const struct month *month, int64_t project_key)
{
    size_t low = 0, high = month->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (month->rows[middle].project_key < project_key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether a project, whose own rows an index finds, has fewer of them than came since, of all. */
static bool own_are_fewer(const struct month *old, int64_t project_key, int64_t last_key)
{
    if (!project_key)
        return false;
    size_t own = first_of(old, project_key + 1) - first_of(old, project_key);
    return last_key - old->last_key > (int64_t)own;
}

/* The month with all rows that this reader sees; owned. NULL: -1. */
static struct month *newest(struct ledger_months *months, struct db *db, int64_t start_ms,
                            int64_t project_key, struct err *err)
{
    int64_t last_key;
    if (store_segment_last_key(db, &last_key, err) != 0)
        return NULL;
    struct month *old = find(months, start_ms, project_key);
    if (old && (old->refused || old->last_key >= last_key))
        return old;
    if (old && own_are_fewer(old, project_key, last_key)) {
        let_go(months, old);
        old = NULL;
    }
    struct month like = {.refs = 1,
                         .start_ms = start_ms,
                         .project_key = old ? old->project_key : project_key,
                         .last_key = last_key};
    struct month *month = read_on(db, &like, old, err);
    if (month && old && !month->news) {
        let_go(months, month);
        old->last_key = last_key;
        return old;
    }
    if (old)
        let_go(months, old);
    if (!month)
        return NULL;
    settle(month);
    keep(months, month);
    return month;
}

static void tell(const struct segment *row, int64_t seal_key, segment_each *each, void *ctx)
{
    if (row->seal_key > seal_key)
        return;
    if (row->close_seal_key <= seal_key) {
        each(ctx, row);
        return;
    }
    struct segment open = *row;
    open.open = open.verified = true;
    open.end_ms = open.ordinal = open.close_seal_key = 0;
    each(ctx, &open);
}

int ledger_months_read(struct ledger_months *months, struct db *db,
                       const struct ledger_moment *moment, int64_t month_ms, int64_t project_key,
                       bool load, segment_each *each, void *ctx, struct err *err)
{
    if (month_next(month_ms) > moment->sealed_ms ||
        (!load && !is_kept(months, month_ms, project_key)))
        return 0;
    struct month *month = newest(months, db, month_ms, project_key, err);
    if (!month)
        return -1;
    for (size_t i = project_key ? first_of(month, project_key) : 0; i < month->count; i++) {
        if (project_key && month->rows[i].project_key != project_key)
            break;
        tell(&month->rows[i], moment->seal_key, each, ctx);
    }
    bool refused = month->refused;
    let_go(months, month);
    return refused ? 0 : 1;
}
