/* Samples of counters to segments, hour by hour; see usage_fold.h. */
#include <stdlib.h>
#include <string.h>

#include "controller/ledger/segment/usage_fold_internal.h"

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What a run had used by a moment of its host's time, between two samples. */
static void interpolate(const struct count *before, const struct count *after, int64_t at,
                        int64_t ret_amounts[SEGMENT_AMOUNTS])
{
    quantity passed = at - before->boottime_ms, all = after->boottime_ms - before->boottime_ms;
    for (int i = 0; i < SEGMENT_AMOUNTS; i++)
        ret_amounts[i] =
            before->amounts[i] +
            (int64_t)((quantity)(after->amounts[i] - before->amounts[i]) * passed / all);
}

struct counting {
    const struct folding *f;
    int64_t run, flavor_key;
    struct segment hour; /* being filled; amounts so far */
};

static void flush_hour(struct counting *c)
{
    struct segment *h = &c->hour;
    bool any = h->amounts[0] || h->amounts[1] || h->amounts[2];
    if (any && h->start_ms >= c->f->question->counted_from_ms)
        fold_put(c->f,
                 (struct segment){.kind = SEGMENT_COUNTED,
                                  .run = c->run,
                                  .flavor_key = c->flavor_key,
                                  .amounts = {h->amounts[0], h->amounts[1], h->amounts[2]}},
                 h->start_ms - c->f->shift_ms, h->end_ms - c->f->shift_ms, true);
    memset(h->amounts, 0, sizeof(h->amounts));
    h->start_ms = h->end_ms;
}

/* From one sample to the next, hour by hour. */
static void count_between(struct counting *c, const struct count *before, const struct count *after,
                          int64_t to)
{
    int64_t had[SEGMENT_AMOUNTS], has[SEGMENT_AMOUNTS];
    int64_t from = c->f->question->counted_from_ms;
    int64_t at = before->boottime_ms;
    memcpy(had, before->amounts, sizeof(had));
    if (from > at + c->f->shift_ms) { /* nobody asks for the hours before */
        at = earlier(from - c->f->shift_ms, to);
        interpolate(before, after, at, had);
        c->hour = (struct segment){.start_ms = at + c->f->shift_ms, .end_ms = at + c->f->shift_ms};
    }
    while (at < to) {
        int64_t next = hour_floor(at + c->f->shift_ms) + HOUR_MS - c->f->shift_ms;
        int64_t end = earlier(next, to);
        interpolate(before, after, end, has);
        for (int i = 0; i < SEGMENT_AMOUNTS; i++)
            c->hour.amounts[i] += has[i] - had[i];
        c->hour.end_ms = end + c->f->shift_ms;
        memcpy(had, has, sizeof(had));
        if (end == next)
            flush_hour(c);
        at = end;
    }
}

/* A sample that lies below the one before is none of this run's. */
static bool follows(const struct count *before, const struct count *after)
{
    if (after->boottime_ms <= before->boottime_ms)
        return false;
    for (int i = 0; i < SEGMENT_AMOUNTS; i++) {
        if (after->amounts[i] < before->amounts[i])
            return false;
    }
    return true;
}

static void count_run(const struct folding *f, const struct run *run)
{
    const struct fold_question *q = f->question;
    struct count before = {.boottime_ms = run->start};
    struct counting c = {.f = f, .run = run->run, .flavor_key = run->first->flavor_key};
    c.hour.start_ms = c.hour.end_ms = run->start + f->shift_ms;
    for (size_t i = 0; i < q->count_count && before.boottime_ms < f->group->cut; i++) {
        const struct count *sample = &q->counts[i];
        bool ours = sample->run == run->run && fold_boot_order(sample->boot, f->group->boot) == 0;
        if (!ours || !follows(&before, sample))
            continue;
        count_between(&c, &before, sample, earlier(sample->boottime_ms, f->group->cut));
        before = *sample;
    }
    flush_hour(&c);
}

void fold_counts(const struct folding *f)
{
    struct runs runs = {0};
    if (!f->question->count_count)
        return;
    fold_runs(f->group, &runs);
    for (size_t i = 0; i < runs.count; i++)
        count_run(f, &runs.items[i]);
    free(runs.items);
}
