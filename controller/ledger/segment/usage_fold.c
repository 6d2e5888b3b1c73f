/* Evidence to segments; see usage_fold.h. Each boot is read by itself in its own time, then the
 * boots are laid behind each other in UTC. */
#include "controller/ledger/segment/usage_fold_internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "api/types.h"

struct segment *segments_add(struct segments *segments, const struct segment *segment)
{
    if (segments->count == segments->cap) {
        segments->cap = segments->cap ? 2 * segments->cap : 16;
        segments->items = xrealloc(segments->items, segments->cap * sizeof(*segments->items));
    }
    segments->items[segments->count] = *segment;
    return &segments->items[segments->count++];
}

void segments_release(struct segments *segments)
{
    free(segments->items);
    *segments = (struct segments){0};
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- one boot, in its host's time ---- */

/* The last time before (or at) `at` that the host vouched for all its runs; `from` at least. */
static int64_t seen_before(const struct boot *boot, int64_t from, int64_t at)
{
    size_t low = 0, high = boot->seen_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (boot->seen[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? larger(from, boot->seen[low - 1]) : from;
}

static bool has_sizes(const struct fact *fact)
{
    return fact->kind == OBS_ALLOCATED || fact->kind == OBS_STARTED;
}

static void group_measure(struct group *group)
{
    group->cut = group->gone = INT64_MAX;
    group->vouched = seen_before(group->boot, INT64_MIN, INT64_MAX);
    for (size_t i = 0; i < group->count; i++) {
        const struct fact *fact = &group->facts[i];
        if (fact->kind == OBS_DELETED || fact->kind == OBS_GONE)
            group->cut = smaller(group->cut, fact->boottime_ms);
        if (fact->kind == OBS_GONE)
            group->gone = smaller(group->gone, fact->boottime_ms);
        if (!fact->told)
            group->vouched = larger(group->vouched, fact->boottime_ms);
    }
}

/* ---- runs ---- */

static int by_run(const void *a, const void *b)
{
    const struct run *left = a, *right = b;
    return left->run < right->run ? -1 : left->run > right->run;
}

static struct run *run_of(struct runs *runs, int64_t number)
{
    for (size_t i = runs->count; i > 0; i--) {
        if (runs->items[i - 1].run == number)
            return &runs->items[i - 1];
    }
    struct run *run = &runs->items[runs->count++];
    *run = (struct run){number, NEVER, NEVER, NEVER, NEVER, NEVER, INT64_MAX, NULL};
    return run;
}

static void earliest(int64_t *at, int64_t boottime_ms)
{
    if (*at == NEVER || boottime_ms < *at)
        *at = boottime_ms;
}

/* The facts are in order: the first word of a start has its sizes. */
static void take_fact(struct runs *runs, const struct fact *fact)
{
    struct run *run = run_of(runs, fact->run);
    if (fact->kind == OBS_COUNTED) {
        run->counted = fact->boottime_ms;
        return;
    }
    earliest(&run->word, fact->boottime_ms);
    if (fact->kind == OBS_STARTED) {
        run->first = run->first ? run->first : fact;
        earliest(&run->start, fact->boottime_ms);
    } else if (fact->kind == OBS_STOPPED) {
        earliest(fact->noticed ? &run->noticed : &run->stop, fact->boottime_ms);
    }
}

/* Of runs whose start nobody proved nothing is known, but that those before them were over. */
void fold_runs(const struct group *group, struct runs *runs)
{
    runs->items = xcalloc(group->count, sizeof(*runs->items));
    for (size_t i = 0; i < group->count; i++) {
        if (group->facts[i].run > 0)
            take_fact(runs, &group->facts[i]);
    }
    if (runs->count)
        qsort(runs->items, runs->count, sizeof(*runs->items), by_run);
    int64_t next = INT64_MAX;
    for (size_t i = runs->count; i-- > 0;) {
        runs->items[i].next = next;
        next = runs->items[i].word == NEVER ? next : smaller(next, runs->items[i].word);
    }
    size_t kept = 0;
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->items[i].start != NEVER)
            runs->items[kept++] = runs->items[i];
    }
    runs->count = kept;
}

/* A stretch of the host's time. `until`: where the next fact takes over. */
struct stretch {
    int64_t start, end, until;
    bool final; /* its end was proved */
};

/* `next`: when another run had taken its place, INT64_MAX if none has. A run of whose end there is
 * no word was on as long as anything is vouched for; one whose end was only noticed, or follows
 * from the next run's start or from nothing being left, as long as its host vouched for it before.
 * The report that notices an end vouches for what it has seen, and that is none of it. */
static struct stretch run_stretch(const struct group *group, const struct run *run, int64_t next)
{
    struct stretch s = {.start = run->start, .until = smaller(next, group->cut)};
    if (run->stop != NEVER) {
        s.end = s.until = smaller(larger(run->stop, run->start), s.until);
        s.final = true;
        return s;
    }
    int64_t noticed = run->noticed == NEVER ? INT64_MAX : larger(run->noticed, run->start);
    int64_t ended_by = smaller(noticed, smaller(next, group->gone));
    int64_t on =
        ended_by == INT64_MAX ? group->vouched : seen_before(group->boot, run->start, ended_by - 1);
    on = larger(on, run->counted);
    s.until = smaller(s.until, noticed);
    s.end = smaller(on, s.until);
    s.final = s.until == group->cut && on >= group->cut;
    s.until = s.until == INT64_MAX ? s.end : s.until;
    return s;
}

/* ---- what a group comes to ---- */

void fold_put(const struct folding *f, struct segment segment, int64_t start, int64_t end,
              bool final)
{
    if (end <= start)
        return;
    segment.sign = 1;
    segment.resource = f->question->resource;
    segment.node_key = f->group->boot->node_key;
    segment.start_ms = segment.origin_ms = start + f->shift_ms;
    segment.end_ms = end + f->shift_ms;
    segment.verified = final;
    segments_add(f->out, &segment);
}

static void put_state(const struct folding *f, int kind, const struct fact *sizes, int64_t run,
                      const struct stretch *s)
{
    fold_put(f,
             (struct segment){.kind = kind,
                              .run = run,
                              .flavor_key = sizes->flavor_key,
                              .amounts = {1, sizes->vcpus, sizes->memory_mib}},
             s->start, s->end, s->final);
}

static bool same_sizes(const struct fact *a, const struct fact *b)
{
    return a->vcpus == b->vcpus && a->memory_mib == b->memory_mib && a->disk_gib == b->disk_gib &&
           a->flavor_key == b->flavor_key && a->bytes == b->bytes;
}

/* The next change of sizes after `i`, as an index; count: there is none. */
static size_t next_sizes(const struct group *group, size_t i)
{
    size_t next = i + 1;
    while (next < group->count &&
           (!has_sizes(&group->facts[next]) || same_sizes(&group->facts[i], &group->facts[next])))
        next++;
    return next;
}

static void put_existence(const struct folding *f, const struct fact *sizes, int kind,
                          int64_t start, int64_t end, bool final)
{
    struct stretch s = {.start = start, .end = end, .final = final};
    if (kind == SEGMENT_ALLOCATED)
        put_state(f, kind, sizes, 0, &s);
    else if (kind == SEGMENT_IMAGE)
        fold_put(f, (struct segment){.kind = kind, .amounts = {sizes->bytes}}, start, end, final);
    else
        fold_put(f,
                 (struct segment){
                     .kind = kind, .flavor_key = sizes->flavor_key, .amounts = {sizes->disk_gib}},
                 start, end, final);
}

/* What exists within [from, to), one segment for each set of sizes. */
static void put_kind(const struct folding *f, int kind, int64_t from, int64_t to, bool final)
{
    const struct group *group = f->group;
    size_t i = 0;
    while (i < group->count && !has_sizes(&group->facts[i]))
        i++;
    while (i < group->count) {
        size_t next = next_sizes(group, i);
        int64_t end = next < group->count ? group->facts[next].boottime_ms : INT64_MAX;
        put_existence(f, &group->facts[i], kind, larger(from, group->facts[i].boottime_ms),
                      smaller(to, end), end < to || final);
        i = next;
    }
}

static void put_gap(const struct folding *f, int64_t start, int64_t end)
{
    fold_put(f, (struct segment){.kind = SEGMENT_GAP, .amounts = {1}}, start, end, true);
}

/* Runs, and allocated between them. */
static void put_states(const struct folding *f, int64_t from, int64_t to, bool final)
{
    struct runs runs = {0};
    fold_runs(f->group, &runs);
    int64_t at = from;
    for (size_t i = 0; i < runs.count; i++) {
        if (runs.items[i].start >= f->group->cut)
            break;
        struct stretch s = run_stretch(f->group, &runs.items[i], larger(runs.items[i].next, at));
        s.start = larger(s.start, at);
        put_kind(f, SEGMENT_ALLOCATED, at, s.start, true);
        put_state(f, SEGMENT_RUNNING, runs.items[i].first, runs.items[i].run, &s);
        put_gap(f, larger(s.end, s.start), smaller(s.until, to));
        at = larger(at, s.until);
    }
    if (at < to)
        put_kind(f, SEGMENT_ALLOCATED, at, to, final);
    free(runs.items);
}

int fold_boot_order(const struct boot *a, const struct boot *b)
{
    if (a->node_key != b->node_key)
        return a->node_key < b->node_key ? -1 : 1;
    return strcmp(a->boot_id, b->boot_id);
}

/* Existence begins with the first fact that has sizes: a stop or an end alone proves nothing
 * of the time before it. */
static bool existence(const struct group *group, int64_t *ret_from, int64_t *ret_to,
                      bool *ret_final)
{
    size_t i = 0;
    while (i < group->count && !has_sizes(&group->facts[i]))
        i++;
    if (i == group->count || group->facts[i].boottime_ms >= group->cut)
        return false;
    *ret_from = group->facts[i].boottime_ms;
    *ret_final = group->vouched >= group->cut;
    *ret_to = *ret_final ? group->cut : group->vouched;
    return true;
}

/* ---- all boots ---- */

static int rank(int kind)
{
    static const int ranks[] = {[OBS_ALLOCATED] = 0, [OBS_STARTED] = 1, [OBS_COUNTED] = 2,
                                [OBS_STOPPED] = 3,   [OBS_DELETED] = 4, [OBS_GONE] = 5};
    return ranks[kind];
}

static int64_t compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* A total order: which of two equal facts comes first does not matter. */
static int by_boot_and_time(const void *a, const void *b)
{
    const struct fact *left = a, *right = b;
    int64_t order = fold_boot_order(left->boot, right->boot);
    const int64_t pairs[][2] = {{left->boottime_ms, right->boottime_ms},
                                {rank(left->kind), rank(right->kind)},
                                {left->run, right->run},
                                {left->vcpus, right->vcpus},
                                {left->memory_mib, right->memory_mib},
                                {left->disk_gib, right->disk_gib},
                                {left->flavor_key, right->flavor_key},
                                {left->bytes, right->bytes},
                                {left->noticed, right->noticed}};
    for (size_t i = 0; i < ARRAY_SIZE(pairs) && order == 0; i++)
        order = compare(pairs[i][0], pairs[i][1]);
    return (int)order;
}

/* One of which nobody said its place has it by its line, which is what places are made of where
 * no boot before is known; of which nothing at all is known, behind the others. */
static int64_t place_of(const struct boot *boot)
{
    int64_t by_line = boot->line_ms ? boot->line_ms : INT64_MAX;
    return boot->order ? boot->order : by_line;
}

/* In which order the resource lived through its boots. */
static int by_life(const void *a, const void *b)
{
    const struct boot *left = ((const struct group *)a)->boot;
    const struct boot *right = ((const struct group *)b)->boot;
    int64_t order = compare(place_of(left), place_of(right));
    if (order == 0)
        order = compare(left->line_ms, right->line_ms);
    return (int)(order ? order : fold_boot_order(left, right));
}

static struct group *groups_of(struct fact *facts, size_t count, size_t *ret_count)
{
    struct group *groups = xcalloc(count, sizeof(*groups));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || fold_boot_order(facts[i - 1].boot, facts[i].boot) != 0)
            groups[n++] = (struct group){.facts = &facts[i], .boot = facts[i].boot};
        groups[n - 1].count++;
    }
    for (size_t i = 0; i < n; i++)
        group_measure(&groups[i]);
    qsort(groups, n, sizeof(*groups), by_life);
    *ret_count = n;
    return groups;
}

/* Where the resource stands in UTC while its boots are laid behind each other. */
struct place {
    int64_t at; /* everything before is told; INT64_MIN: nothing is yet */
    bool ended; /* deleted or gone */
    struct fold_outcome outcome;
};

static void note_pending(const struct folding *f, int64_t *pending_key)
{
    const struct fold_question *q = f->question;
    for (size_t i = 0; i < f->group->count; i++) {
        const struct fact *fact = &f->group->facts[i];
        if (fact->boottime_ms + f->shift_ms >= q->until_ms)
            *pending_key = smaller(*pending_key, fact->key);
    }
    for (size_t i = 0; i < q->count_count; i++) {
        const struct count *sample = &q->counts[i];
        if (sample->boottime_ms + f->shift_ms >= q->until_ms &&
            fold_boot_order(sample->boot, f->group->boot) == 0)
            *pending_key = smaller(*pending_key, sample->key);
    }
}

/* From where everything is told to where it was deleted: nobody proved that it was there. */
static void put_last_gap(const struct folding *f, struct place *place)
{
    int64_t cut = f->group->cut;
    if (cut == INT64_MAX)
        return;
    place->ended = true;
    if (place->at == INT64_MIN)
        return;
    put_gap(f, place->at - f->shift_ms, cut);
    place->at = larger(place->at, cut + f->shift_ms);
}

static void fold_group(const struct fold_question *question, const struct group *group,
                       struct place *place, struct segments *out)
{
    int64_t from, to, behind = 0;
    bool final;
    struct folding f = {question, group, out, group->boot->line_ms};
    if (place->ended)
        return;
    bool exists = existence(group, &from, &to, &final);
    if (exists && place->at != INT64_MIN && from + f.shift_ms < place->at)
        behind = place->at - (from + f.shift_ms);
    f.shift_ms += behind;
    place->outcome.moved |= behind != 0;
    note_pending(&f, &place->outcome.pending_key);
    if (!exists) {
        put_last_gap(&f, place);
        return;
    }
    if (place->at != INT64_MIN)
        put_gap(&f, place->at - f.shift_ms, from);
    if (question->resource == RESOURCE_IMAGE) {
        put_kind(&f, SEGMENT_IMAGE, from, to, final);
    } else {
        put_states(&f, from, to, final);
        put_kind(&f, SEGMENT_ROOT_DISK, from, to, final);
        fold_counts(&f);
    }
    place->at = larger(to, from) + f.shift_ms;
    place->outcome.on = !final && place->at >= question->until_ms ? group->boot : NULL;
    put_last_gap(&f, place);
}

/* ---- to the ledger's form ---- */

/* One stretch may have been told in pieces that nothing tells apart. */
static bool joins(const struct segment *a, const struct segment *b)
{
    return a->kind == b->kind && a->kind != SEGMENT_COUNTED && a->end_ms == b->start_ms &&
           a->node_key == b->node_key && a->flavor_key == b->flavor_key && a->run == b->run &&
           a->verified && memcmp(a->amounts, b->amounts, sizeof(a->amounts)) == 0;
}

static int by_start(const void *a, const void *b)
{
    const struct segment *left = a, *right = b;
    int64_t order = compare(left->start_ms, right->start_ms);
    return (int)(order ? order : compare(left->kind, right->kind));
}

static void cut_into_months(const struct segment *whole, struct segments *out)
{
    struct segment part = *whole;
    for (int64_t next; (next = month_next(part.start_ms)) < whole->end_ms; part.start_ms = next) {
        part.end_ms = next;
        part.open = false;
        part.verified = true;
        segments_add(out, &part);
    }
    part.end_ms = whole->end_ms;
    part.open = whole->open;
    part.verified = whole->verified;
    segments_add(out, &part);
}

/* Up to the moment that is asked for, where what is not over is open. */
static bool clip(struct segment *segment, int64_t until_ms)
{
    if (segment->start_ms >= until_ms)
        return false;
    if (segment->end_ms >= until_ms && segment->kind != SEGMENT_COUNTED) {
        segment->end_ms = until_ms;
        segment->open = segment->verified = true;
    }
    return true;
}

static void finish(const struct fold_question *question, struct segments *raw, struct segments *out)
{
    size_t last[SEGMENT_GAP + 1];
    size_t kept = 0;
    memset(last, -1, sizeof(last));
    if (raw->count)
        qsort(raw->items, raw->count, sizeof(*raw->items), by_start);
    for (size_t i = 0; i < raw->count; i++) {
        struct segment *segment = &raw->items[i];
        size_t before = last[segment->kind];
        if (before != (size_t)-1 && joins(&raw->items[before], segment)) {
            raw->items[before].end_ms = segment->end_ms;
            raw->items[before].verified = segment->verified;
            continue;
        }
        last[segment->kind] = kept;
        raw->items[kept++] = *segment;
    }
    for (size_t i = 0; i < kept; i++) {
        if (clip(&raw->items[i], question->until_ms))
            cut_into_months(&raw->items[i], out);
    }
}

struct fold_outcome usage_fold(const struct fold_question *question, struct fact *facts,
                               size_t count, struct segments *ret_segments)
{
    struct segments raw = {0};
    struct place place = {.at = INT64_MIN, .outcome = {.pending_key = INT64_MAX}};
    size_t group_count;
    if (count == 0)
        return place.outcome;
    qsort(facts, count, sizeof(*facts), by_boot_and_time);
    struct group *groups = groups_of(facts, count, &group_count);
    for (size_t i = 0; i < group_count; i++)
        fold_group(question, &groups[i], &place, &raw);
    if (place.at != INT64_MIN && !place.ended && place.at < question->until_ms) {
        struct folding f = {question, &groups[group_count - 1], &raw, 0};
        put_gap(&f, place.at, question->until_ms);
    }
    finish(question, &raw, ret_segments);
    free(groups);
    segments_release(&raw);
    return place.outcome;
}
