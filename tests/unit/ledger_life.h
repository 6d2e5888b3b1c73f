/* Worlds to be billed: hosts that boot, lose power, fall silent and set their clocks by a month,
 * agents that die, instances that live on them; and what the controller gets to hear of it all,
 * in the order in which it does. The truth is kept beside it.
 *
 * True time is UTC in ms. A boot's CLOCK_BOOTTIME counts from its begin, whatever the wall clock
 * does. What reaches the controller follows the rules of node_observed.c and node.c. */
#ifndef MINICLOUD_TESTS_LEDGER_LIFE_H
#define MINICLOUD_TESTS_LEDGER_LIFE_H

#include "tests/unit/ledger_fixture.h"

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    BOOTS = 6,
    SPANS = 12,
    RUNS = 64,
    LEASE = 80 * MINUTE
};
#define DAY (24 * (int64_t)HOUR)
#define NEVER_MS INT64_MAX

/* ---- chance ---- */

struct dice {
    uint64_t state;
};

static uint64_t dice_next(struct dice *d)
{
    d->state += 0x9E3779B97F4A7C15u;
    uint64_t z = d->state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int64_t below(struct dice *d, int64_t n)
{
    return n <= 0 ? 0 : (int64_t)(dice_next(d) % (uint64_t)n);
}

static bool chance(struct dice *d, int percent)
{
    return below(d, 100) < percent;
}

/* ---- the truth ---- */

struct span {
    int64_t from, to;
};

struct host_boot {
    char id[24];
    int64_t begin, end;   /* end NEVER_MS: it still runs */
    int64_t first_report; /* NEVER_MS: the controller never met it */
    int64_t order;        /* as struct observation has it */
    /* In it the spool was lost: what it had not told, and its count of boots. NEVER_MS: not */
    int64_t lost;
    int64_t order_after;
    int64_t line_ms; /* what the ledger came to think (filled by who checks) */
    bool clock_told;
};

struct host_life {
    struct host_boot boots[BOOTS];
    int boot_count;
    struct span deaths[SPANS], partitions[SPANS]; /* of the agent, of its network */
    int death_count, partition_count;
    struct span jumps[SPANS]; /* from then on the wall clock is off by `to` */
    int jump_count;
    int64_t lost; /* nobody hears of it again, though it may run on */
};

struct true_run {
    int64_t run, start, end;
    int boot;
    size_t start_item, stop_item;  /* 1 + index of what tells of it; 0: nothing does */
    int64_t used[SEGMENT_AMOUNTS]; /* as was counted last */
    int64_t counted;               /* then; 0: not yet */
};

struct true_instance {
    int64_t created, gone; /* NEVER_MS: not */
    int64_t deleted;       /* accepted; NEVER_MS: not */
    int deleted_boot;      /* in which its host was thought to be then */
    struct true_run runs[RUNS];
    int run_count;
};

/* What a host has to tell. */
struct item {
    int64_t when, learnt;
    int node;
    struct observation o;
    int64_t flavor_key;
    bool delivered;
    size_t order;
};

enum { OBSERVED, WITNESSED, SEALED, READ };
/* What reaches the log, in its order. */
struct entry {
    int what;
    int64_t when; /* it happened, in true time */
    int64_t node;
    struct observation o;
    int64_t flavor_key, bytes;
    int64_t until; /* sealed, read */
    /* Who vouched when it was read: their boots, -1: nobody, and until when. */
    int boots[NODES + 1];
    int64_t seen[NODES + 1];
    size_t order;
};

struct world {
    struct dice dice;
    int64_t begin, end;
    struct host_life hosts[NODES + 1];
    struct host_life own; /* the controller's machine: boots only */
    struct true_instance instances[INSTANCES + 1];
    struct item *items;
    size_t item_count, item_cap;
    size_t *spools[NODES + 1]; /* items by node in the order learnt */
    size_t spool_counts[NODES + 1];
    struct entry *entries;
    size_t entry_count, entry_cap;
};

static char *word(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* ---- hosts ---- */

static int boot_at(const struct host_life *h, int64_t t)
{
    for (int i = 0; i < h->boot_count; i++) {
        if (t >= h->boots[i].begin && t < h->boots[i].end)
            return i;
    }
    return -1;
}

static const struct span *within(const struct span *spans, int count, int64_t t)
{
    for (int i = 0; i < count; i++) {
        if (t >= spans[i].from && t < spans[i].to)
            return &spans[i];
    }
    return NULL;
}

static int64_t wall_of(const struct host_life *h, int64_t t)
{
    int64_t off = 0;
    for (int i = 0; i < h->jump_count; i++) {
        if (t >= h->jumps[i].from)
            off = h->jumps[i].to;
    }
    return t + off;
}

static bool agent_alive(const struct host_life *h, int64_t t)
{
    return boot_at(h, t) >= 0 && !within(h->deaths, h->death_count, t);
}

static bool is_heard(const struct host_life *h, int64_t t)
{
    return t < h->lost && agent_alive(h, t) && !within(h->partitions, h->partition_count, t);
}

/* When the agent can do something next that it was told in this boot; NEVER_MS: never. */
static int64_t next_alive(const struct host_life *h, int64_t t)
{
    for (int i = 0; i < h->boot_count; i++) {
        const struct host_boot *b = &h->boots[i];
        int64_t at = t < b->first_report ? b->first_report : t;
        if (b->first_report == NEVER_MS || at >= b->end)
            continue;
        for (const struct span *dead; (dead = within(h->deaths, h->death_count, at));)
            at = dead->to;
        if (at < b->end)
            return at;
    }
    return NEVER_MS;
}

static void live_boots(struct world *w, struct host_life *h, const char *name, int percent)
{
    int64_t t = w->begin;
    while (h->boot_count < BOOTS) {
        struct host_boot *b = &h->boots[h->boot_count];
        *b = (struct host_boot){.begin = t - (h->boot_count ? 0 : below(&w->dice, 9 * DAY)),
                                .end = NEVER_MS};
        b->first_report = NEVER_MS;
        snprintf(b->id, sizeof(b->id), "%s-boot-%d", name, h->boot_count);
        h->boot_count++;
        if (h->boot_count == BOOTS || !chance(&w->dice, percent))
            return;
        b->end = t + HOUR + below(&w->dice, w->end - w->begin);
        t = b->end + below(&w->dice, chance(&w->dice, 20) ? 12 * HOUR : 3 * MINUTE);
        if (b->end >= w->end) {
            b->end = NEVER_MS;
            return;
        }
    }
}

/* As spools count them, by walls that may lie, and may be all that is left. */
static void order_boots(struct world *w, struct host_life *h, int lost_percent)
{
    int64_t next = 1;
    for (int i = 0; i < h->boot_count; i++) {
        struct host_boot *b = &h->boots[i];
        int64_t wall = wall_of(h, b->begin), end = b->end < w->end ? b->end : w->end;
        b->order = b->order_after = wall > next ? wall : next;
        b->lost = NEVER_MS;
        if (chance(&w->dice, lost_percent)) {
            b->lost = b->begin + below(&w->dice, end - b->begin);
            b->order_after = wall_of(h, b->lost);
        }
        next = b->order_after + 1;
    }
}

static void live_host(struct world *w, int node)
{
    struct host_life *h = &w->hosts[node];
    struct dice *d = &w->dice;
    char name[8];
    snprintf(name, sizeof(name), "n%d", node);
    live_boots(w, h, name, 60);
    int64_t long_ms = w->end - w->begin;
    h->lost = chance(d, 20) ? w->begin + below(d, long_ms) : NEVER_MS;
    for (int64_t t = w->begin + below(d, DAY); t < w->end && h->death_count < SPANS;) {
        int64_t to = t + SECOND + below(d, chance(d, 50) ? MINUTE : 2 * HOUR);
        h->deaths[h->death_count++] = (struct span){t, to};
        t = to + MINUTE + below(d, DAY);
    }
    while (h->partition_count < SPANS && chance(d, 60)) {
        int64_t t = w->begin + below(d, long_ms);
        h->partitions[h->partition_count++] = (struct span){t, t + below(d, 10 * HOUR)};
    }
    for (int64_t t = w->begin - 9 * DAY + below(d, 20 * DAY);
         t < w->end && h->jump_count < SPANS;) {
        static const int64_t steps[] = {0,
                                        SECOND,
                                        -7 * SECOND,
                                        HOUR,
                                        -HOUR,
                                        31 * (24 * (int64_t)HOUR),
                                        -31 * (24 * (int64_t)HOUR)};
        if (chance(d, 50))
            h->jumps[h->jump_count++] = (struct span){t, steps[below(d, 7)]};
        t += below(d, 6 * DAY);
    }
    order_boots(w, h, 10);
}

/* ---- instances ---- */

static size_t tell(struct world *w, int node, int64_t when, int64_t learnt, struct observation o,
                   int64_t flavor_key)
{
    if (w->item_count == w->item_cap) {
        w->item_cap = w->item_cap ? 2 * w->item_cap : 4096;
        w->items = xrealloc(w->items, w->item_cap * sizeof(*w->items));
    }
    const struct host_life *h = &w->hosts[node];
    const struct host_boot *b = &h->boots[boot_at(h, when)];
    o.boot_id = word(b->id);
    o.boot_order = learnt < b->lost ? b->order : b->order_after;
    o.incarnation = word("spool");
    o.boottime_ms = when - b->begin;
    o.wall_ms = wall_of(h, when);
    if (o.kind == OBS_STARTED || o.kind == OBS_ALLOCATED) {
        o.vcpus = flavor_sizes[flavor_key][0];
        o.memory_mib = flavor_sizes[flavor_key][1];
        o.disk_gib = flavor_sizes[flavor_key][2];
    } else {
        flavor_key = 0;
    }
    w->items[w->item_count] = (struct item){.when = when,
                                            .learnt = learnt,
                                            .node = node,
                                            .o = o,
                                            .flavor_key = flavor_key,
                                            .order = w->item_count};
    return ++w->item_count;
}

struct living {
    struct world *w;
    struct true_instance *truth;
    const struct host_life *h;
    const char *id;
    int node;
    int64_t t, flavor, reaction;
    struct true_run *run; /* NULL: stopped */
};

static size_t say(struct living *l, int kind, int64_t when, int64_t learnt, bool noticed)
{
    struct observation o = {.kind = kind,
                            .instance = word(l->id),
                            .run = l->run && kind <= OBS_STOPPED ? l->run->run : 0,
                            .noticed = noticed};
    return tell(l->w, l->node, when, learnt, o, l->flavor);
}

static int64_t some_while(struct dice *d)
{
    int64_t kind = below(d, 10);
    if (kind == 0)
        return below(d, 4);
    return kind < 4 ? below(d, 5 * MINUTE) : below(d, 9 * HOUR);
}

/* Whatever the agent sees of it: the end itself, libvirt's word of it afterwards, or only that
 * it is over. */
static void end_run(struct living *l, int64_t at)
{
    struct true_run *run = l->run;
    const struct span *dead = within(l->h->deaths, l->h->death_count, at);
    run->end = at;
    int64_t back = dead ? dead->to : at;
    if (boot_at(l->h, back) == run->boot) {
        bool exact = !dead || chance(&l->w->dice, 50);
        size_t item = say(l, OBS_STOPPED, exact ? at : back, back, !exact);
        if (exact)
            run->stop_item = item;
        if (exact && chance(&l->w->dice, 3)) /* two saw it */
            say(l, OBS_STOPPED, back, back, true);
    }
    l->run = NULL;
    l->t = back;
}

/* Its host went down under it; the next boot's agent may know that it ran. */
static void fall(struct living *l)
{
    const struct host_boot *b = &l->h->boots[l->run->boot];
    l->run->end = b->end;
    int64_t up = next_alive(l->h, b->end);
    if (up != NEVER_MS && up < l->w->end && chance(&l->w->dice, 50))
        say(l, OBS_STOPPED, up, up, true);
    l->run = NULL;
    l->t = b->end;
}

static void act_stopped(struct living *l)
{
    struct true_instance *truth = l->truth;
    int what = (int)below(&l->w->dice, 10);
    if (what < 7 && truth->run_count < RUNS) {
        l->run = &truth->runs[truth->run_count++];
        *l->run = (struct true_run){
            .run = truth->run_count, .start = l->t, .end = NEVER_MS, .boot = boot_at(l->h, l->t)};
        l->run->start_item = say(l, OBS_STARTED, l->t, l->t, false);
        if (chance(&l->w->dice, 3)) /* and once more */
            say(l, OBS_STARTED, l->t, l->t, false);
    } else if (what < 9) {
        l->flavor = 1 + below(&l->w->dice, FLAVORS);
        say(l, OBS_ALLOCATED, l->t, l->t, false);
    }
}

/* The agent reads the counters of a run now and then. */
static void count_some(struct living *l, int64_t until)
{
    struct dice *d = &l->w->dice;
    struct true_run *run = l->run;
    int64_t at = run->counted ? run->counted : run->start;
    bool often = chance(d, 15);
    for (int i = 0; i < (often ? 12 : 3) && chance(d, often ? 95 : 40); i++) {
        int64_t length = 1 + below(d, often ? 20 * MINUTE : until - at);
        at += length;
        if (at >= until || !agent_alive(l->h, at))
            return;
        for (int k = 0; k < SEGMENT_AMOUNTS; k++)
            run->used[k] += below(d, chance(d, 20) ? 1 : length * 1000);
        run->counted = at;
        struct observation o = {.kind = OBS_COUNTED,
                                .instance = word(l->id),
                                .run = run->run,
                                .cpu_ns = run->used[0],
                                .ingress_bytes = run->used[1],
                                .egress_bytes = run->used[2]};
        tell(l->w, l->node, at, at, o, l->flavor);
    }
}

/* true: something came of it. */
static bool live_on(struct living *l)
{
    int64_t next = l->t + some_while(&l->w->dice);
    if (!l->run) {
        next = next_alive(l->h, next);
    } else if (next >= l->h->boots[l->run->boot].end) {
        if (l->h->boots[l->run->boot].end >= l->reaction)
            return false;
        count_some(l, l->h->boots[l->run->boot].end);
        fall(l);
        return true;
    }
    if (next >= l->reaction || next >= l->w->end)
        return false;
    l->t = next;
    if (l->run)
        count_some(l, next);
    if (l->run)
        end_run(l, next);
    else
        act_stopped(l);
    return l->t < l->reaction && l->t < l->w->end;
}

/* What a host does with a tombstone. */
static void die(struct living *l)
{
    int64_t at = next_alive(l->h, l->reaction > l->t ? l->reaction : l->t);
    if (at == NEVER_MS || at >= l->w->end)
        return;
    if (l->run && l->h->boots[l->run->boot].end <= at) {
        fall(l);
    } else if (l->run) {
        l->run->end = at;
        if (chance(&l->w->dice, 90))
            l->run->stop_item = say(l, OBS_STOPPED, at, at, false);
        l->run = NULL;
    }
    l->truth->gone = at;
    say(l, OBS_GONE, at, at, false);
}

static void live_instance(struct world *w, int64_t key)
{
    struct true_instance *truth = &w->instances[key];
    int node = (int)node_of(key);
    struct living l = {w, truth, &w->hosts[node], instance_id(key), node, 0, 0, NEVER_MS, NULL};
    *truth = (struct true_instance){
        .created = NEVER_MS, .gone = NEVER_MS, .deleted = NEVER_MS, .deleted_boot = -1};
    l.t = next_alive(l.h, w->begin + below(&w->dice, (w->end - w->begin) * 3 / 4));
    if (chance(&w->dice, 40)) {
        truth->deleted = w->begin + below(&w->dice, w->end - w->begin);
        l.reaction = truth->deleted + below(&w->dice, 10 * SECOND);
        for (int64_t at; (at = next_alive(l.h, l.reaction)) != l.reaction || !is_heard(l.h, at);)
            if ((l.reaction = at == NEVER_MS ? at : at > l.reaction ? at : at + MINUTE) == NEVER_MS)
                break;
            else if (l.reaction > w->end)
                break;
        /* It takes a while, in which its first report may still list it. */
        l.reaction = l.reaction > w->end ? NEVER_MS : l.reaction + below(&w->dice, 20 * MINUTE);
    }
    if (l.t >= w->end || l.t >= l.reaction)
        return;
    truth->created = l.t;
    l.flavor = 1 + below(&w->dice, FLAVORS);
    say(&l, OBS_ALLOCATED, l.t, l.t, false);
    while (live_on(&l))
        ;
    if (l.run && l.h->boots[l.run->boot].end < (l.reaction < w->end ? l.reaction : w->end))
        fall(&l);
    if (l.reaction != NEVER_MS)
        die(&l);
}

/* ---- what the controller hears ---- */

static struct entry *enter(struct world *w, int what, int64_t when, int64_t node)
{
    if (w->entry_count == w->entry_cap) {
        w->entry_cap = w->entry_cap ? 2 * w->entry_cap : 4096;
        w->entries = xrealloc(w->entries, w->entry_cap * sizeof(*w->entries));
    }
    struct entry *e = &w->entries[w->entry_count];
    *e = (struct entry){.what = what, .when = when, .node = node, .order = w->entry_count++};
    e->o.incarnation = e->o.instance = word("");
    return e;
}

/* A host as the controller knows it. */
struct known_host {
    int boot, process;
    bool silent;
    int64_t seen, seen_written; /* boottime; the latter of this boot */
    int64_t heard;              /* when */
    size_t acknowledged;        /* items of its spool */
    int64_t order;              /* of its boot, as it was settled */
    int64_t lost;               /* up to then what was learnt is known to be lost */
};

struct hearing {
    struct world *w;
    struct known_host hosts[NODES + 1];
    int own_boot;
    int64_t own_images[IMAGES + 1]; /* bytes; 0: it is not there */
    int64_t sealed;
};

static void enter_seen(struct hearing *c, int node, int64_t now)
{
    struct known_host *k = &c->hosts[node];
    if (k->boot < 0 || k->seen <= k->seen_written)
        return;
    const struct host_boot *b = &c->w->hosts[node].boots[k->boot];
    struct entry *e = enter(c->w, WITNESSED, b->begin + k->seen, node);
    e->o.kind = OBS_SEEN;
    e->o.boot_id = word(b->id);
    e->o.boottime_ms = k->seen;
    e->o.wall_ms = now;
    k->seen_written = k->seen;
}

static bool exists(const struct true_instance *i, int64_t t)
{
    return i->created <= t && t < i->gone;
}

static int64_t newest_run(const struct true_instance *i, int64_t t)
{
    int64_t run = 0;
    for (int k = 0; k < i->run_count && i->runs[k].start <= t; k++)
        run = i->runs[k].run;
    return run;
}

/* The sizes that the last word of it had. */
static int64_t flavor_at(const struct world *w, int node, const char *id, int64_t t)
{
    int64_t flavor = 1;
    for (size_t i = 0; i < w->spool_counts[node]; i++) {
        const struct item *item = &w->items[w->spools[node][i]];
        if (item->when <= t && item->flavor_key && strcmp(item->o.instance, id) == 0)
            flavor = item->flavor_key;
    }
    return flavor;
}

static void enter_still_there(struct hearing *c, int node, int64_t now)
{
    struct host_life *h = &c->w->hosts[node];
    const struct host_boot *b = &h->boots[boot_at(h, now)];
    for (int64_t key = 1; key <= INSTANCES; key++) {
        const struct true_instance *i = &c->w->instances[key];
        if (node_of(key) != node || !exists(i, now))
            continue;
        struct entry *e = enter(c->w, WITNESSED, now, node);
        e->flavor_key = flavor_at(c->w, node, instance_id(key), now);
        e->o.kind = OBS_ALLOCATED;
        e->o.boot_id = word(b->id);
        e->o.instance = word(instance_id(key));
        e->o.run = newest_run(i, now);
        e->o.boottime_ms = now - b->begin;
        e->o.wall_ms = wall_of(h, now);
        e->o.vcpus = flavor_sizes[e->flavor_key][0];
        e->o.memory_mib = flavor_sizes[e->flavor_key][1];
        e->o.disk_gib = flavor_sizes[e->flavor_key][2];
    }
}

static int process_at(const struct host_life *h, int64_t t)
{
    int process = 0;
    for (int i = 0; i < h->death_count; i++)
        process += h->deaths[i].to <= t;
    return process;
}

/* A boot has this place from its begin on, whatever is told of it. */
static void enter_booted(struct hearing *c, int node, int64_t now)
{
    struct known_host *k = &c->hosts[node];
    const struct host_life *h = &c->w->hosts[node];
    const struct host_boot *b = &h->boots[boot_at(h, now)];
    int64_t said = now < b->lost ? b->order : b->order_after;
    struct entry *e = enter(c->w, WITNESSED, b->begin, node);
    k->order = said > k->order ? said : k->order + 1;
    e->o.kind = OBS_BOOTED;
    e->o.boot_id = word(b->id);
    e->o.boot_order = k->order;
    e->o.boottime_ms = now - b->begin;
    e->o.wall_ms = wall_of(h, now);
}

/* What was learnt before the spool was lost is told no more. */
static int64_t lost_until(const struct host_life *h, int64_t now)
{
    int64_t until = INT64_MIN;
    for (int i = 0; i < h->boot_count; i++) {
        if (h->boots[i].lost <= now)
            until = h->boots[i].lost;
    }
    return until;
}

/* An agent that has lost its spool reports what is: of runs that are over, and whose ends were
 * not told, the controller notes that they have ended. */
static void enter_ended(struct hearing *c, int node, int64_t now)
{
    const struct host_life *h = &c->w->hosts[node];
    const struct host_boot *b = &h->boots[boot_at(h, now)];
    for (int64_t key = 1; key <= INSTANCES; key++) {
        const struct true_instance *i = &c->w->instances[key];
        for (int k = 0; node_of(key) == node && k < i->run_count; k++) {
            const struct true_run *run = &i->runs[k];
            bool told = run->stop_item && c->w->items[run->stop_item - 1].delivered;
            if (h->boots[run->boot].begin != b->begin || run->start > now || run->end > now || told)
                continue;
            struct entry *e = enter(c->w, WITNESSED, now, node);
            e->o.kind = OBS_STOPPED;
            e->o.noticed = true;
            e->o.boot_id = word(b->id);
            e->o.instance = word(instance_id(key));
            e->o.run = run->run;
            e->o.boottime_ms = now - b->begin;
            e->o.wall_ms = wall_of(h, now);
        }
    }
}

/* One report: a batch of what was learnt until then. A lost answer brings the same again. */
static void enter_report(struct hearing *c, int node, int64_t now)
{
    struct world *w = c->w;
    struct host_life *h = &w->hosts[node];
    struct known_host *k = &c->hosts[node];
    int boot = boot_at(h, now), process = process_at(h, now);
    bool new_boot = boot != k->boot, more = false;
    size_t at = k->acknowledged, most = 1 + (size_t)below(&w->dice, 60);
    if (new_boot || process != k->process)
        enter_seen(c, node, now);
    if (new_boot)
        enter_booted(c, node, now);
    while (at < w->spool_counts[node] && w->items[w->spools[node][at]].learnt < lost_until(h, now))
        at++;
    for (; at < w->spool_counts[node] && w->items[w->spools[node][at]].learnt <= now; at++) {
        struct item *item = &w->items[w->spools[node][at]];
        if ((more = most-- == 0))
            break;
        struct entry *e = enter(w, OBSERVED, item->when, node);
        e->o = item->o;
        e->flavor_key = item->flavor_key;
        item->delivered = true;
    }
    if (!chance(&w->dice, 5))
        k->acknowledged = at;
    if (lost_until(h, now) > k->lost)
        enter_ended(c, node, now);
    k->lost = lost_until(h, now);
    if (new_boot) {
        enter_still_there(c, node, now);
        k->seen = k->seen_written = 0;
    }
    if (!more)
        k->seen = now - h->boots[boot].begin;
    k->boot = boot;
    k->process = process;
    k->heard = now;
    k->silent = false;
}

static void enter_delete(struct hearing *c, int64_t key)
{
    struct true_instance *i = &c->w->instances[key];
    int node = (int)node_of(key);
    const struct known_host *k = &c->hosts[node];
    if (k->boot < 0 || i->created > i->deleted)
        return;
    const struct host_boot *b = &c->w->hosts[node].boots[k->boot];
    struct entry *e = enter(c->w, WITNESSED, i->deleted, node);
    e->o.kind = OBS_DELETED;
    e->o.boot_id = word(b->id);
    e->o.instance = word(instance_id(key));
    e->o.boottime_ms = i->deleted - b->begin;
    e->o.wall_ms = i->deleted;
    i->deleted_boot = k->boot;
}

/* Another flavor of the same sizes, for what is there. */
static void enter_rename(struct hearing *c, int64_t key, int64_t now)
{
    const struct true_instance *i = &c->w->instances[key];
    int node = (int)node_of(key);
    const struct known_host *k = &c->hosts[node];
    if (k->boot < 0 || !exists(i, now) || i->deleted <= now)
        return;
    const struct host_boot *b = &c->w->hosts[node].boots[k->boot];
    struct entry *e = enter(c->w, WITNESSED, now, node);
    int64_t flavor = flavor_at(c->w, node, instance_id(key), now);
    e->flavor_key = flavor == 2 || flavor == 3 ? 5 - flavor : flavor;
    e->o.kind = OBS_ALLOCATED;
    e->o.boot_id = word(b->id);
    e->o.instance = word(instance_id(key));
    e->o.boottime_ms = now - b->begin;
    e->o.wall_ms = now;
    e->o.vcpus = flavor_sizes[e->flavor_key][0];
    e->o.memory_mib = flavor_sizes[e->flavor_key][1];
    e->o.disk_gib = flavor_sizes[e->flavor_key][2];
}

/* ---- the controller's own machine ---- */

static struct entry *enter_own(struct hearing *c, int kind, int64_t now)
{
    const struct host_boot *b = &c->w->own.boots[boot_at(&c->w->own, now)];
    struct entry *e = enter(c->w, WITNESSED, now, 0);
    e->o.kind = kind;
    e->o.boot_id = word(b->id);
    e->o.boot_order = b->order;
    e->o.boottime_ms = now - b->begin;
    e->o.wall_ms = now;
    return e;
}

static void enter_image(struct hearing *c, int64_t key, int kind, int64_t now)
{
    struct entry *e = enter_own(c, kind, now);
    e->o.instance = word(image_id(key));
    e->bytes = kind == OBS_ALLOCATED ? c->own_images[key] : 0;
}

static void touch_image(struct hearing *c, int64_t key, int64_t now)
{
    if (c->own_images[key] > 0) {
        enter_image(c, key, OBS_GONE, now);
        c->own_images[key] = -1;
    } else if (c->own_images[key] == 0) {
        c->own_images[key] = 1 + below(&c->w->dice, 1000000000);
        enter_image(c, key, OBS_ALLOCATED, now);
    }
}

static void own_start(struct hearing *c, int64_t now)
{
    int boot = boot_at(&c->w->own, now);
    if (boot == c->own_boot)
        return;
    c->own_boot = boot;
    for (int64_t key = 1; key <= IMAGES; key++) {
        if (c->own_images[key] > 0)
            enter_image(c, key, OBS_ALLOCATED, now);
    }
}

/* ---- seals ---- */

static void enter_seal(struct hearing *c, int64_t now)
{
    struct dice *d = &c->w->dice;
    bool says = !chance(d, 15); /* else nobody is asked first */
    for (int node = 1; node <= NODES && says; node++) {
        if (!c->hosts[node].silent)
            enter_seen(c, node, now);
    }
    if (says)
        enter_own(c, OBS_SEEN, now);
    int64_t until = hour_floor(now - below(d, 3 * HOUR));
    if (chance(d, 20))
        until = now - below(d, 2 * HOUR) + below(d, HOUR);
    if (c->w->entry_count && chance(d, 30)) { /* the very moment at which something happened */
        const struct entry *e = &c->w->entries[below(d, (int64_t)c->w->entry_count)];
        until = e->when > c->sealed && e->when <= now ? e->when : until;
    }
    if (until > c->sealed) {
        enter(c->w, SEALED, now, 0)->until = until;
        c->sealed = until;
    }
}

static void enter_read(struct hearing *c, int64_t now)
{
    struct entry *e = enter(c->w, READ, now, 0);
    e->until = c->sealed + 1 + below(&c->w->dice, now - c->sealed);
    for (int node = 1; node <= NODES; node++) {
        e->boots[node] = c->hosts[node].silent ? -1 : c->hosts[node].boot;
        e->seen[node] = c->hosts[node].seen;
    }
}

/* An operator takes the clock of a host as it is, once a boot at most. */
static void enter_clock(struct hearing *c, int node, int64_t now)
{
    struct host_life *h = &c->w->hosts[node];
    int boot = boot_at(h, now);
    if (boot < 0 || boot != c->hosts[node].boot || h->boots[boot].clock_told)
        return;
    h->boots[boot].clock_told = true;
    struct entry *e = enter(c->w, WITNESSED, now, node);
    e->o.kind = OBS_CLOCK;
    e->o.boot_id = word(h->boots[boot].id); /* as of an old one: without its order */
    e->o.boottime_ms = now - h->boots[boot].begin;
    e->o.wall_ms = wall_of(h, now);
}

/* ---- all of it in its order ---- */

enum { A_REPORT, A_SILENCE, A_DELETE, A_RENAME, A_SEAL, A_READ, A_CLOCK, AN_IMAGE };
struct happening {
    int64_t when;
    int what;
    int64_t which;
};
struct happenings {
    struct happening *items;
    size_t count, cap;
};

static void plan(struct happenings *p, int64_t when, int what, int64_t which)
{
    if (p->count == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 1024;
        p->items = xrealloc(p->items, p->cap * sizeof(*p->items));
    }
    p->items[p->count++] = (struct happening){when, what, which};
}

/* Before instances live: when a boot was first told something decides what they can do. */
static void plan_reports(struct world *w, struct happenings *p)
{
    for (int node = 1; node <= NODES; node++) {
        struct host_life *h = &w->hosts[node];
        int64_t t = w->begin + below(&w->dice, 10 * MINUTE), heard = t;
        for (; t < w->end; t += 2 * MINUTE + below(&w->dice, 70 * MINUTE)) {
            if (!is_heard(h, t) || boot_at(&w->own, t) < 0)
                continue;
            struct host_boot *b = &h->boots[boot_at(h, t)];
            b->first_report = t < b->first_report ? t : b->first_report;
            if (t - heard > LEASE)
                plan(p, heard + LEASE, A_SILENCE, node);
            plan(p, t, A_REPORT, node);
            heard = t;
        }
        if (w->end - heard > LEASE)
            plan(p, heard + LEASE, A_SILENCE, node);
    }
}

static void plan_rest(struct world *w, struct happenings *p)
{
    struct dice *d = &w->dice;
    int64_t long_ms = w->end - w->begin;
    for (int64_t key = 1; key <= INSTANCES; key++) {
        if (w->instances[key].deleted != NEVER_MS)
            plan(p, w->instances[key].deleted, A_DELETE, key);
        if (chance(d, 30))
            plan(p, w->begin + below(d, long_ms), A_RENAME, key);
    }
    for (int i = 0; i < 24; i++)
        plan(p, w->begin + below(d, long_ms), A_SEAL, 0);
    for (int i = 0; i < 3; i++)
        plan(p, w->begin + below(d, long_ms), A_READ, 0);
    for (int node = 1; node <= NODES; node++) {
        if (chance(d, 15))
            plan(p, w->begin + below(d, long_ms), A_CLOCK, node);
    }
    for (int64_t key = 1; key <= IMAGES; key++) {
        plan(p, w->begin + below(d, long_ms), AN_IMAGE, key);
        if (chance(d, 50))
            plan(p, w->begin + below(d, long_ms), AN_IMAGE, key);
    }
}

static int by_moment(const void *a, const void *b)
{
    const struct happening *left = a, *right = b;
    if (left->when != right->when)
        return left->when < right->when ? -1 : 1;
    if (left->what != right->what)
        return left->what - right->what;
    return left->which < right->which ? -1 : left->which > right->which;
}

static void hear(struct hearing *c, const struct happening *e)
{
    if (boot_at(&c->w->own, e->when) < 0)
        return; /* nobody hears it: the machine is down */
    own_start(c, e->when);
    switch (e->what) {
    case A_REPORT:
        enter_report(c, (int)e->which, e->when);
        break;
    case A_SILENCE:
        enter_seen(c, (int)e->which, e->when);
        c->hosts[e->which].silent = true;
        break;
    case A_DELETE:
        enter_delete(c, e->which);
        break;
    case A_RENAME:
        enter_rename(c, e->which, e->when);
        break;
    case A_SEAL:
        enter_seal(c, e->when);
        break;
    case A_READ:
        enter_read(c, e->when);
        break;
    case A_CLOCK:
        enter_clock(c, (int)e->which, e->when);
        break;
    default:
        touch_image(c, e->which, e->when);
    }
}

static const struct world *sorted_world;

static int by_learning(const void *a, const void *b)
{
    const struct item *left = &sorted_world->items[*(const size_t *)a];
    const struct item *right = &sorted_world->items[*(const size_t *)b];
    if (left->learnt != right->learnt)
        return left->learnt < right->learnt ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

static void fill_spools(struct world *w)
{
    for (int node = 1; node <= NODES; node++) {
        w->spools[node] = xcalloc(w->item_count + 1, sizeof(size_t));
        for (size_t i = 0; i < w->item_count; i++) {
            if (w->items[i].node == node)
                w->spools[node][w->spool_counts[node]++] = i;
        }
        sorted_world = w;
        qsort(w->spools[node], w->spool_counts[node], sizeof(size_t), by_learning);
        for (size_t i = 0; i < w->spool_counts[node]; i++)
            w->items[w->spools[node][i]].o.sequence = (int64_t)i + 1;
    }
}

static struct world *world_live(uint64_t seed)
{
    struct world *w = xcalloc(1, sizeof(*w));
    struct happenings planned = {0};
    struct hearing hearing = {.w = w, .own_boot = -1};
    w->dice.state = seed;
    assert_int_equal(clock_parse("2026-01-01T00:00:00Z", &w->begin), 0);
    w->begin += below(&w->dice, 300 * DAY);
    if (chance(&w->dice, 50)) /* a month ends in it */
        w->begin = month_next(w->begin) - below(&w->dice, 2 * DAY);
    w->end = w->begin + DAY / 2 + below(&w->dice, 4 * DAY);
    for (int node = 1; node <= NODES; node++)
        live_host(w, node);
    live_boots(w, &w->own, "own", 40);
    order_boots(w, &w->own, 0);
    plan_reports(w, &planned);
    for (int64_t key = 1; key <= INSTANCES; key++)
        live_instance(w, key);
    fill_spools(w);
    plan_rest(w, &planned);
    qsort(planned.items, planned.count, sizeof(*planned.items), by_moment);
    for (int node = 1; node <= NODES; node++)
        hearing.hosts[node] = (struct known_host){.boot = -1, .process = -1, .lost = INT64_MIN};
    for (size_t i = 0; i < planned.count; i++)
        hear(&hearing, &planned.items[i]);
    free(planned.items);
    return w;
}

static void world_free(struct world *w)
{
    for (int node = 1; node <= NODES; node++)
        free(w->spools[node]);
    free(w->items);
    free(w->entries);
    free(w);
}

#endif
