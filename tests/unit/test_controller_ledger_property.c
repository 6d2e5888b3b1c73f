/* Ten thousand lives of instances, billed by the real code from what the controller heard of
 * them: a hundred worlds of a hundred instances each. What holds of any bill is held against
 * every one of them; see ledger_life.h for what can happen.
 *
 * SEED chooses the worlds (it is printed), HISTORIES how many lives there are. */
#include "controller/app.h"
#include "controller/ledger/book/ledger.h"
#include "controller/ledger/book/ledger_months.h"
#include "controller/ledger/evidence/ledger_views.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/evidence/vouch_set.h"
#include "controller/ledger/segment/store_seal.h"
#include "tests/unit/ledger_life.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
enum { HISTORIES = 1000 };
#else
enum { HISTORIES = 10000 };
#endif

#define FAR (500 * DAY)
enum { PREFIXES = 12 };

/* What there was to be held against: a test of nothing would pass as well. */
struct tally {
    int64_t evidence, segments, corrections, gaps, exact, inexact, counted, reads;
};

struct site {
    char *dir, *template;
    uint64_t seed;
    int64_t worlds;
    struct tally tally;
};

static int64_t number_of(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoll(text, NULL, 0) : otherwise;
}

static int setup(void **state)
{
    struct site *site = xcalloc(1, sizeof(*site));
    log_set_level(LOG_ERROR + 1);
    site->dir = guard_tempdir("ledger-property");
    site->template = ledger_template(site->dir);
    site->seed = (uint64_t)number_of("SEED", 20261110);
    int64_t histories = number_of("HISTORIES", HISTORIES);
    site->worlds = histories < INSTANCES ? 1 : histories / INSTANCES;
    print_message("SEED=%llu HISTORIES=%lld\n", (unsigned long long)site->seed,
                  (long long)site->worlds * INSTANCES);
    *state = site;
    return 0;
}

static int teardown(void **state)
{
    struct site *site = *state;
    free(site->template);
    free(site->dir);
    free(site);
    return 0;
}

/* ---- one world and what is known of it ---- */

struct bill {
    uint64_t seed;
    struct tally *tally;
    struct world *world;
    char *path;
    struct db *db;
    struct ledger_months *months; /* as the controller keeps them */
    struct ledger_views *views;   /* likewise */
    struct tx tx;
    int64_t until;        /* of the last seal of all */
    struct segments all;  /* what one seal at the end writes */
    struct segments far;  /* the same, with nothing left out behind it */
    struct segments rows; /* what the seals wrote that were made while it happened */
    struct segments live; /* of these, what was not taken back */
    uint8_t digest[2][SHA256_BYTES];
};

#define broken(bill, ...)                                                                \
    do {                                                                                 \
        autofree char *what_ = xasprintf(__VA_ARGS__);                                   \
        fail_msg("%s (SEED=%llu HISTORIES=1)", what_, (unsigned long long)(bill)->seed); \
    } while (0)

static void must(struct bill *b, int rc, const struct err *err, const char *what)
{
    if (rc < 0)
        broken(b, "%s: %s", what, err->msg);
}

/* ---- rows of any origin, side by side ---- */

static int64_t sign_of(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_thing_and_time(const void *a, const void *b)
{
    const struct segment *l = a, *r = b;
    const int64_t pairs[][2] = {{l->resource, r->resource}, {l->resource_key, r->resource_key},
                                {l->kind, r->kind},         {l->start_ms, r->start_ms},
                                {l->end_ms, r->end_ms},     {l->run, r->run}};
    int64_t order = 0;
    for (size_t i = 0; i < ARRAY_SIZE(pairs) && order == 0; i++)
        order = sign_of(pairs[i][0], pairs[i][1]);
    return (int)order;
}

static void sort_rows(struct segments *rows)
{
    if (rows->count)
        qsort(rows->items, rows->count, sizeof(*rows->items), by_thing_and_time);
}

static char *describe(const struct segment *s)
{
    return xasprintf("%s %lld: %s%s run %lld [%lld, %lld) from %lld%s%s node %lld project %lld"
                     " flavor %lld amounts %lld %lld %lld",
                     resource_names[s->resource], (long long)s->resource_key,
                     s->sign < 0 ? "-" : "", segment_names[s->kind], (long long)s->run,
                     (long long)s->start_ms, (long long)s->end_ms, (long long)s->origin_ms,
                     s->open ? " open" : "", s->verified ? "" : " unproved", (long long)s->node_key,
                     (long long)s->project_key, (long long)s->flavor_key, (long long)s->amounts[0],
                     (long long)s->amounts[1], (long long)s->amounts[2]);
}

static bool same_row(const struct segment *a, const struct segment *b)
{
    return by_thing_and_time(a, b) == 0 && a->origin_ms == b->origin_ms && a->open == b->open &&
           a->verified == b->verified && a->node_key == b->node_key &&
           a->project_key == b->project_key && a->flavor_key == b->flavor_key &&
           memcmp(a->amounts, b->amounts, sizeof(a->amounts)) == 0;
}

static void must_be_same(struct bill *b, struct segments *is, struct segments *wanted,
                         const char *what)
{
    sort_rows(is);
    sort_rows(wanted);
    for (size_t i = 0; i < is->count || i < wanted->count; i++) {
        static const struct segment none;
        const struct segment *l = i < is->count ? &is->items[i] : &none;
        const struct segment *r = i < wanted->count ? &wanted->items[i] : &none;
        if (l != &none && r != &none && same_row(l, r))
            continue;
        autofree char *left = describe(l), *right = describe(r);
        broken(b, "%s:\n    %s\nnot %s", what, left, right);
    }
}

/* ---- what the evidence proves, without any ledger ---- */

static int no_rows(void *ctx, int resource, int64_t key, int64_t from_ms, struct segments *rows,
                   struct err *err)
{
    (void)ctx, (void)resource, (void)key, (void)from_ms, (void)rows, (void)err;
    return 0;
}

static int no_nodes(void *ctx, void (*each)(void *ctx, int64_t node_key), void *each_ctx,
                    struct err *err)
{
    (void)ctx, (void)each, (void)each_ctx, (void)err;
    return 0;
}

static int no_open_rows(void *ctx, int64_t node_key,
                        void (*each)(void *ctx, const struct segment *row), void *each_ctx,
                        struct err *err)
{
    (void)ctx, (void)node_key, (void)each, (void)each_ctx, (void)err;
    return 0;
}

static void prove(struct bill *b, int64_t key, int64_t until, boot_vouches *vouches, void *ctx,
                  struct segments *ret)
{
    struct err auto_err err = {0};
    struct books none = {NULL, no_rows, no_nodes, no_open_rows};
    struct step step = {.to_key = key, .to_ms = until, .vouches = vouches, .ctx = ctx};
    struct changes changes = {0};
    int64_t news;
    must(b, ledger_advance(b->db, &none, &step, &changes, &news, &err), &err, "ledger_advance");
    *ret = (struct segments){0};
    for (size_t i = 0; i < changes.count; i++) {
        assert_false(changes.items[i].closes);
        segments_add(ret, &changes.items[i].segment);
    }
    changes_release(&changes);
    sort_rows(ret);
}

static int64_t head(struct bill *b)
{
    struct err auto_err err = {0};
    int64_t key;
    uint8_t chain[SHA256_BYTES];
    must(b, evidence_head(b->db, &key, chain, &err), &err, "evidence_head");
    return key;
}

/* ---- entering ---- */

static void enter_evidence(struct bill *b, const struct entry *e, const char *mouth)
{
    struct err auto_err err = {0};
    b->tx.now_ms = e->when;
    if (e->what == OBSERVED) {
        struct observation o = e->o;
        o.incarnation = word(mouth ? mouth : o.incarnation);
        must(b, evidence_add(&b->tx, e->node, &o, e->flavor_key, &err), &err, "evidence_add");
        return;
    }
    struct witnessed w = {.kind = e->o.kind,
                          .node_key = e->node,
                          .boot_id = e->o.boot_id,
                          .boot_order = e->o.boot_order,
                          .resource_id = e->o.instance,
                          .run = e->o.run,
                          .noticed = e->o.noticed,
                          .boottime_ms = e->o.boottime_ms,
                          .wall_ms = e->o.wall_ms,
                          .vcpus = e->o.vcpus,
                          .memory_mib = e->o.memory_mib,
                          .disk_gib = e->o.disk_gib,
                          .flavor_key = e->flavor_key,
                          .bytes = e->bytes};
    must(b, evidence_witness(&b->tx, &w, &err), &err, "evidence_witness");
}

static void seal_until(struct bill *b, int64_t until)
{
    struct err auto_err err = {0};
    must(b, ledger_seal(&b->tx, until, &err), &err, "ledger_seal");
}

static void begin(struct bill *b)
{
    struct err auto_err err = {0};
    must(b, db_begin(b->db, &err), &err, "begin");
}

/* ---- reading between seals ---- */

struct reader {
    struct bill *bill;
    const struct entry *entry;
    struct evidence *lines;
    struct segments rows;
};

/* As ledger_now() takes the word of those that are heard from. */
static bool vouches(void *ctx, int64_t node_key, const char *boot_id)
{
    struct reader *r = ctx;
    struct err auto_err err = {0};
    if (node_key == 0 || r->entry->boots[node_key] < 0)
        return false;
    const struct host_boot *known =
        &r->bill->world->hosts[node_key].boots[r->entry->boots[node_key]];
    const struct boot *boot = evidence_boot(r->lines, node_key, boot_id, &err);
    return boot && strcmp(known->id, boot_id) == 0 &&
           boot->line_ms + r->entry->seen[node_key] >= r->entry->until;
}

/* A correction comes in two parts where it speaks of time behind its watermark as well. */
static bool is_second_part(const struct segment *last, const struct segment *s)
{
    return last->correction && !s->correction && s->corrects_until_ms == s->start_ms &&
           last->end_ms == s->start_ms && last->origin_ms == s->origin_ms &&
           last->kind == s->kind && last->resource == s->resource &&
           last->resource_key == s->resource_key;
}

static void take_row(void *ctx, const struct segment *segment)
{
    struct segments *rows = &((struct reader *)ctx)->rows;
    struct segment *last = rows->count ? &rows->items[rows->count - 1] : NULL;
    if (!last || !is_second_part(last, segment)) {
        segments_add(rows, segment);
        return;
    }
    last->end_ms = segment->end_ms;
    last->open = segment->open;
    last->verified = segment->verified;
}

static int64_t put_vouched(const struct reader *r, struct vouchers *v)
{
    struct vouched items[NODES];
    size_t count = 0;
    for (int node = 1; node <= NODES; node++) {
        int boot = r->entry->boots[node];
        const char *id = boot < 0 ? "" : r->bill->world->hosts[node].boots[boot].id;
        if (!vouches((void *)(uintptr_t)r, node, id))
            continue;
        items[count].node_key = node;
        snprintf(items[count++].boot_id, sizeof(items[0].boot_id), "%s", id);
    }
    return vouch_sets_put(vouchers_sets(v), items, count, r->entry->until);
}

/* What was taken back, and what took it back, are nothing together. */
static void cancel(struct segments *rows)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        for (size_t k = 0; k < rows->count && rows->items[i].sign < 0; k++) {
            if (rows->items[k].sign == 1 && rows->items[k].key == rows->items[i].reverses)
                rows->items[k].sign = 0;
        }
    }
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->items[i].sign == 1)
            rows->items[kept++] = rows->items[i];
    }
    rows->count = kept;
}

static void keep_project(struct segments *rows, int64_t project_key)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->items[i].project_key == project_key)
            rows->items[kept++] = rows->items[i];
    }
    rows->count = kept;
}

static void read_like_a_tenant(struct bill *b, const struct entry *e)
{
    static struct app app;
    struct err auto_err err = {0};
    struct seal seal;
    struct segments proved;
    struct reader reader = {.bill = b, .entry = e};
    must(b, store_seal_last(b->db, &seal, &err), &err, "store_seal_last");
    struct ledger_moment moment = {.observation_key = head(b),
                                   .until_ms = e->until,
                                   .seal_key = seal.key,
                                   .sealed_ms = seal.until_ms};
    struct ledger_filter filter = {.from_ms = b->world->begin - 120 * DAY,
                                   .to_ms = b->world->end + FAR};
    app.months = b->months;
    app.views = b->views;
    app.vouchers = vouchers_new();
    reader.lines = evidence_at(b->db, moment.observation_key, 0, NULL, NULL);
    moment.vouched = put_vouched(&reader, app.vouchers);
    must(b, ledger_read(&app, b->db, &moment, &filter, take_row, &reader, &err), &err,
         "ledger_read");
    prove(b, moment.observation_key, e->until, vouches, &reader, &proved);
    cancel(&reader.rows);
    b->tally->reads++;
    must_be_same(b, &reader.rows, &proved, "sealed and not yet sealed is not what is proved");
    filter.project_key = 1 + below(&b->world->dice, PROJECTS);
    keep_project(&proved, filter.project_key);
    reader.rows.count = 0;
    must(b, ledger_read(&app, b->db, &moment, &filter, take_row, &reader, &err), &err,
         "ledger_read");
    cancel(&reader.rows);
    must_be_same(b, &reader.rows, &proved, "a project is not told what is proved of it");
    evidence_free(reader.lines);
    vouchers_free(app.vouchers);
    segments_release(&reader.rows);
    segments_release(&proved);
}

/* ---- the same evidence in other orders ---- */

static void add_digest(struct sha256_stream *stream, const struct segment_row *row)
{
    const struct segment *s = &row->segment;
    const int64_t numbers[] = {s->key,        s->ordinal,      s->seal_key,    s->close_seal_key,
                               s->kind,       s->sign,         s->reverses,    s->corrects_until_ms,
                               s->resource,   s->resource_key, s->project_key, s->node_key,
                               s->flavor_key, s->run,          s->start_ms,    s->end_ms,
                               s->origin_ms,  s->open,         s->verified,    s->amounts[0],
                               s->amounts[1], s->amounts[2]};
    sha256_update(stream, numbers, sizeof(numbers));
    if (row->chained)
        sha256_update(stream, row->chain, SHA256_BYTES);
}

static void digest_rows(struct bill *b, uint8_t ret[SHA256_BYTES])
{
    struct err auto_err err = {0};
    struct segment_row row;
    int64_t last;
    struct sha256_stream *stream = sha256_new();
    must(b, store_segment_last_key(b->db, &last, &err), &err, "store_segment_last_key");
    for (int64_t key = 1; key <= last; key++) {
        assert_int_equal(store_segment_row(b->db, key, &row, &err), 1);
        add_digest(stream, &row);
    }
    sha256_finish(stream, ret);
}

static bool is_evidence(const struct entry *e)
{
    return e->what == OBSERVED || e->what == WITNESSED;
}

/* Owned by the caller. */
static size_t *random_order(struct world *w)
{
    size_t *order = xcalloc(w->entry_count + 1, sizeof(*order));
    for (size_t i = 0; i < w->entry_count; i++) {
        size_t at = (size_t)below(&w->dice, (int64_t)i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    return order;
}

/* Any order, and much of it twice: by the same mouth, and by another. */
static void shuffle(struct bill *b)
{
    struct world *w = b->world;
    autofree size_t *order = random_order(w);
    begin(b);
    for (size_t i = 0; i < w->entry_count; i++) {
        const struct entry *e = &w->entries[order[i]];
        if (!is_evidence(e))
            continue;
        enter_evidence(b, e, NULL);
        if (chance(&w->dice, 10))
            enter_evidence(b, e, chance(&w->dice, 50) ? "echo" : NULL);
    }
    seal_until(b, b->until);
    digest_rows(b, b->digest[0]);
    db_rollback(b->db);
}

/* Any order, and sealed several times on the way: what is corrected comes to the same. */
static void shuffle_and_seal(struct bill *b)
{
    struct world *w = b->world;
    struct segments rows = {0}, live = {0}, proved;
    int64_t sealed = w->begin - 10 * DAY;
    autofree size_t *order = random_order(w);
    begin(b);
    for (size_t i = 0; i < w->entry_count; i++) {
        if (is_evidence(&w->entries[order[i]]))
            enter_evidence(b, &w->entries[order[i]], NULL);
        if (below(&w->dice, (int64_t)w->entry_count / 6 + 1) == 0)
            seal_until(b, sealed += below(&w->dice, 3 * DAY));
    }
    sealed = sealed < b->until ? b->until : sealed + 1;
    seal_until(b, sealed);
    all_rows(b->db, &rows);
    for (size_t i = 0; i < rows.count; i++) {
        if (rows.items[i].open)
            rows.items[i].end_ms = sealed;
    }
    live_rows(&rows, &live);
    prove(b, head(b), sealed, NULL, NULL, &proved);
    must_be_same(b, &live, &proved, "sealed on the way is not what is proved at last");
    segments_release(&rows);
    segments_release(&live);
    segments_release(&proved);
    db_rollback(b->db);
}

static const struct world *happened_in;

static int by_happening(const void *a, const void *b)
{
    const struct entry *l = &happened_in->entries[*(const size_t *)a];
    const struct entry *r = &happened_in->entries[*(const size_t *)b];
    int64_t order = sign_of(l->when, r->when);
    return (int)(order ? order : sign_of((int64_t)l->order, (int64_t)r->order));
}

static quantity billed(const struct segments *rows, int resource, int64_t key, int kind)
{
    quantity sum = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const struct segment *s = &rows->items[i];
        if (s->resource == resource && s->resource_key == key && s->kind == kind)
            sum += s->end_ms - s->start_ms;
    }
    return sum;
}

static bool told_true(const struct host_life *h)
{
    for (int i = 0; i < h->boot_count; i++) {
        if (h->boots[i].line_ms && h->boots[i].line_ms != h->boots[i].begin)
            return false;
    }
    return true;
}

/* What was known at an earlier time never bills more than what is known at last, of anything. */
static void check_prefix(struct bill *b, int64_t key)
{
    struct segments part;
    prove(b, key, b->world->end + FAR, NULL, NULL, &part);
    for (int64_t i = 1; i <= INSTANCES; i++) {
        for (int kind = SEGMENT_RUNNING; kind <= SEGMENT_ROOT_DISK; kind++) {
            if (billed(&part, RESOURCE_INSTANCE, i, kind) >
                billed(&b->far, RESOURCE_INSTANCE, i, kind))
                broken(b, "instance %lld: what was known at first (key %lld) bills more %s",
                       (long long)i, (long long)key, segment_names[kind]);
        }
    }
    for (int64_t i = 1; i <= IMAGES; i++)
        assert_true(billed(&part, RESOURCE_IMAGE, i, SEGMENT_IMAGE) <=
                    billed(&b->far, RESOURCE_IMAGE, i, SEGMENT_IMAGE));
    segments_release(&part);
}

static void learn_lines(struct bill *b)
{
    struct err auto_err err = {0};
    struct evidence *evidence = evidence_at(b->db, head(b), 0, NULL, NULL);
    for (int node = 1; node <= NODES; node++) {
        struct host_life *h = &b->world->hosts[node];
        for (int i = 0; i < h->boot_count; i++)
            h->boots[i].line_ms = evidence_boot(evidence, node, h->boots[i].id, &err)->line_ms;
    }
    evidence_free(evidence);
}

/* In the order in which it happened; `all` and `far` are what this proves. */
static void in_order(struct bill *b)
{
    struct world *w = b->world;
    autofree size_t *order = xcalloc(w->entry_count + 1, sizeof(*order));
    for (size_t i = 0; i < w->entry_count; i++)
        order[i] = i;
    happened_in = w;
    qsort(order, w->entry_count, sizeof(*order), by_happening);
    begin(b);
    for (size_t i = 0; i < w->entry_count; i++) {
        if (is_evidence(&w->entries[order[i]]))
            enter_evidence(b, &w->entries[order[i]], NULL);
    }
    learn_lines(b);
    prove(b, head(b), b->until, NULL, NULL, &b->all);
    prove(b, head(b), w->end + FAR, NULL, NULL, &b->far);
    for (int i = 0; i < PREFIXES; i++)
        check_prefix(b, 1 + below(&w->dice, head(b)));
    seal_until(b, b->until);
    digest_rows(b, b->digest[1]);
    db_rollback(b->db);
}

/* As it reached the controller, with the seals that it made, and read now and then. */
static void as_it_came(struct bill *b)
{
    struct err auto_err err = {0};
    struct world *w = b->world;
    begin(b);
    for (size_t i = 0; i < w->entry_count; i++) {
        const struct entry *e = &w->entries[i];
        if (is_evidence(e))
            enter_evidence(b, e, NULL);
        else if (e->what == SEALED)
            seal_until(b, e->until);
        else
            read_like_a_tenant(b, e);
    }
    seal_until(b, b->until);
    must(b, db_commit(b->db, &err), &err, "commit");
    all_rows(b->db, &b->rows);
    for (size_t i = 0; i < b->rows.count; i++) {
        if (b->rows.items[i].open) /* it has no end of its own */
            b->rows.items[i].end_ms = b->until;
    }
    live_rows(&b->rows, &b->live);
}

/* ---- what holds of rows ---- */

static bool is_state(const struct segment *s)
{
    return s->kind == SEGMENT_RUNNING || s->kind == SEGMENT_ALLOCATED || s->kind == SEGMENT_GAP ||
           s->kind == SEGMENT_IMAGE;
}

static int by_resource_and_start(const void *a, const void *b)
{
    const struct segment *l = a, *r = b;
    int64_t order = sign_of(l->resource, r->resource);
    order = order ? order : sign_of(l->resource_key, r->resource_key);
    return (int)(order ? order : sign_of(l->start_ms, r->start_ms));
}

/* From the first proof on a resource is in exactly one state at any time, a gap being one. */
static void check_states(struct bill *b, const struct segments *rows)
{
    struct segments states = {0};
    for (size_t i = 0; i < rows->count; i++) {
        if (is_state(&rows->items[i]))
            segments_add(&states, &rows->items[i]);
    }
    if (states.count)
        qsort(states.items, states.count, sizeof(*states.items), by_resource_and_start);
    for (size_t i = 1; i < states.count; i++) {
        const struct segment *before = &states.items[i - 1], *s = &states.items[i];
        if (before->resource == s->resource && before->resource_key == s->resource_key &&
            before->end_ms != s->start_ms)
            broken(b, "%s %lld: %s ends at %lld, %s begins at %lld", resource_names[s->resource],
                   (long long)s->resource_key, segment_names[before->kind],
                   (long long)before->end_ms, segment_names[s->kind], (long long)s->start_ms);
    }
    segments_release(&states);
}

/* Sorted by thing, kind and time. */
static void check_overlaps(struct bill *b, const struct segments *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct segment *s = &rows->items[i], *before = i ? s - 1 : NULL;
        /* What was counted is told by the hour. */
        bool counted = s->kind == SEGMENT_COUNTED;
        int64_t most = counted ? hour_floor(b->until - 1) + HOUR_MS : b->until;
        if (s->end_ms <= s->start_ms || s->end_ms > most)
            broken(b, "a segment of %lld ends at %lld", (long long)s->start_ms,
                   (long long)s->end_ms);
        if (s->end_ms > month_next(s->start_ms))
            broken(b, "a segment of %lld crosses the end of a month", (long long)s->start_ms);
        if (before && before->resource == s->resource && before->kind == s->kind &&
            before->resource_key == s->resource_key && before->end_ms > s->start_ms) {
            autofree char *l = describe(before), *r = describe(s);
            broken(b, "two overlap:\n    %s\nand %s", l, r);
        }
    }
}

static void check_hours(struct bill *b, const struct segment *s)
{
    for (int meter = 0; meter < METER_COUNT; meter++) {
        quantity whole = segment_within(s, meter, s->start_ms, s->end_ms), hours = 0;
        if (meters[meter].kind != s->kind)
            continue;
        for (int64_t hour = hour_floor(s->start_ms); hour < s->end_ms; hour += HOUR_MS)
            hours += segment_within(s, meter, hour, hour + HOUR_MS);
        if (hours != whole)
            broken(b, "the hours of a segment of %lld are not the segment", (long long)s->start_ms);
        int64_t length = s->end_ms - s->start_ms;
        int64_t cut = s->start_ms - HOUR + below(&b->world->dice, length + 2 * HOUR);
        if (segment_within(s, meter, INT64_MIN, cut) + segment_within(s, meter, cut, INT64_MAX) !=
            whole)
            broken(b, "a range that is cut at %lld does not add up", (long long)cut);
    }
}

/* Of rows as they are, with all that was taken back and corrected. */
static void check_sums(struct bill *b, int64_t from, int64_t to)
{
    quantity projects[PROJECTS + 1][METER_COUNT] = {0}, nodes[NODES + 1][METER_COUNT] = {0};
    quantity all[METER_COUNT] = {0}, live[METER_COUNT] = {0};
    for (size_t i = 0; i < b->rows.count; i++) {
        const struct segment *s = &b->rows.items[i];
        for (int meter = 0; meter < METER_COUNT; meter++) {
            quantity q = segment_within(s, meter, from, to);
            projects[s->project_key][meter] += q;
            nodes[s->node_key][meter] += q;
            all[meter] += q;
        }
    }
    for (size_t i = 0; i < b->live.count; i++) {
        for (int meter = 0; meter < METER_COUNT; meter++)
            live[meter] += segment_within(&b->live.items[i], meter, from, to);
    }
    for (int meter = 0; meter < METER_COUNT; meter++) {
        quantity by_project = 0, by_node = 0;
        for (int i = 0; i <= PROJECTS; i++)
            by_project += projects[i][meter];
        for (int i = 0; i <= NODES; i++)
            by_node += nodes[i][meter];
        if (by_project != all[meter] || by_node != all[meter] || live[meter] != all[meter])
            broken(b, "%s of the hour %lld: tenants, nodes and the whole differ",
                   meters[meter].name, (long long)from);
    }
}

static void count_rows(struct bill *b)
{
    b->tally->segments += (int64_t)b->rows.count;
    for (size_t i = 0; i < b->rows.count; i++) {
        b->tally->corrections += b->rows.items[i].correction;
        b->tally->gaps += b->rows.items[i].kind == SEGMENT_GAP;
    }
}

static void check_rows(struct bill *b)
{
    count_rows(b);
    check_overlaps(b, &b->live);
    check_states(b, &b->live);
    for (size_t i = 0; i < b->rows.count; i++)
        check_hours(b, &b->rows.items[i]);
    for (int i = 0; i < 8; i++) {
        int64_t hour = hour_floor(b->world->begin + below(&b->world->dice, 5 * DAY));
        check_sums(b, hour, hour + HOUR_MS);
    }
    check_sums(b, INT64_MIN, INT64_MAX);
    for (size_t i = 0; i < b->live.count; i++) {
        const struct segment *s = &b->live.items[i];
        bool image = s->resource == RESOURCE_IMAGE;
        assert_int_equal(s->project_key, project_of(s->resource_key));
        assert_int_equal(s->node_key, image ? 0 : node_of(s->resource_key));
    }
}

/* ---- against the truth ---- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How long a run can be billed at most: not behind its end, nor behind the delete. */
static int64_t true_length(const struct bill *b, const struct true_instance *i,
                           const struct true_run *run)
{
    int64_t end = smaller(run->end, b->world->end);
    if (i->deleted_boot >= 0 && i->deleted_boot < run->boot)
        return 0;
    if (i->deleted_boot == run->boot)
        end = smaller(end, i->deleted);
    return end > run->start ? end - run->start : 0;
}

static void check_run(struct bill *b, int64_t key, const struct true_run *run)
{
    const struct true_instance *i = &b->world->instances[key];
    int64_t length = 0, most = true_length(b, i, run);
    bool told_true_time = told_true(&b->world->hosts[node_of(key)]);
    for (size_t k = 0; k < b->far.count; k++) {
        const struct segment *s = &b->far.items[k];
        if (s->kind != SEGMENT_RUNNING || s->resource_key != key || s->run != run->run)
            continue;
        length += s->end_ms - s->start_ms;
        if (told_true_time && (s->start_ms < run->start || s->end_ms > run->end))
            broken(b, "instance %lld run %lld: billed [%lld, %lld), it ran [%lld, %lld)",
                   (long long)key, (long long)run->run, (long long)s->start_ms,
                   (long long)s->end_ms, (long long)run->start, (long long)run->end);
    }
    const struct item *items = b->world->items;
    bool exact = run->start_item && items[run->start_item - 1].delivered && run->stop_item &&
                 items[run->stop_item - 1].delivered;
    b->tally->exact += exact && length > 0;
    b->tally->inexact += !exact && length > 0;
    if (length > most || (exact && length != most))
        broken(b, "instance %lld run %lld: billed %lld ms, it ran %lld ms%s", (long long)key,
               (long long)run->run, (long long)length, (long long)most,
               exact ? ", as was proved" : "");
}

/* All that was counted is told, and no more than that; behind a delete nothing is. */
static void check_counted(struct bill *b, int64_t key, const struct true_run *run)
{
    int64_t told[SEGMENT_AMOUNTS] = {0}, used[SEGMENT_AMOUNTS] = {0};
    const struct world *w = b->world;
    for (size_t k = 0; k < b->far.count; k++) {
        const struct segment *s = &b->far.items[k];
        for (int i = 0; i < SEGMENT_AMOUNTS; i++) {
            if (s->kind == SEGMENT_COUNTED && s->resource_key == key && s->run == run->run)
                told[i] += s->amounts[i];
        }
    }
    for (size_t k = 0; k < w->item_count && run->start_item; k++) {
        const struct item *item = &w->items[k];
        if (item->o.kind != OBS_COUNTED || item->o.run != run->run || !item->delivered ||
            strcmp(item->o.instance, instance_id(key)) != 0 ||
            !w->items[run->start_item - 1].delivered)
            continue;
        used[0] = item->o.cpu_ns;
        used[1] = item->o.ingress_bytes;
        used[2] = item->o.egress_bytes;
    }
    bool deleted = w->instances[key].deleted_boot >= 0;
    for (int i = 0; i < SEGMENT_AMOUNTS; i++) {
        if (told[i] > used[i] || (!deleted && told[i] < used[i]))
            broken(b, "instance %lld run %lld: told %lld of counter %d, used %lld", (long long)key,
                   (long long)run->run, (long long)told[i], i, (long long)used[i]);
    }
    b->tally->counted += used[0] > 0;
}

/* What is kept is billed as kept only while it is there, and not while it runs. */
static void check_kept(struct bill *b, const struct segment *s)
{
    const struct true_instance *i = &b->world->instances[s->resource_key];
    int64_t gone = i->deleted_boot >= 0 ? smaller(i->gone, i->deleted) : i->gone;
    if (s->start_ms < i->created || s->end_ms > gone)
        broken(b, "instance %lld: %s [%lld, %lld), it was there [%lld, %lld)",
               (long long)s->resource_key, segment_names[s->kind], (long long)s->start_ms,
               (long long)s->end_ms, (long long)i->created, (long long)gone);
    for (int k = 0; k < i->run_count && s->kind == SEGMENT_ALLOCATED; k++) {
        const struct true_run *run = &i->runs[k];
        if (run->start_item && b->world->items[run->start_item - 1].delivered &&
            run->start < run->end && s->start_ms < run->end && s->end_ms > run->start)
            broken(b, "instance %lld: kept [%lld, %lld), but run %lld ran [%lld, %lld)",
                   (long long)s->resource_key, (long long)s->start_ms, (long long)s->end_ms,
                   (long long)run->run, (long long)run->start, (long long)run->end);
    }
}

static void check_truth(struct bill *b)
{
    for (int64_t key = 1; key <= INSTANCES; key++) {
        const struct true_instance *i = &b->world->instances[key];
        for (int k = 0; k < i->run_count; k++)
            check_run(b, key, &i->runs[k]);
        for (int k = 0; k < i->run_count; k++)
            check_counted(b, key, &i->runs[k]);
    }
    for (size_t k = 0; k < b->far.count; k++) {
        const struct segment *s = &b->far.items[k];
        if ((s->kind == SEGMENT_ALLOCATED || s->kind == SEGMENT_ROOT_DISK) &&
            told_true(&b->world->hosts[s->node_key]))
            check_kept(b, s);
    }
}

/* ---- verification ---- */

static struct db *open_to_verify(struct bill *b)
{
    struct err auto_err err = {0};
    struct db *reader = NULL;
    must(b, db_open(b->path, DB_READER, &reader, &err), &err, "open");
    return reader;
}

static void verify(struct bill *b, struct ledger_verdict *verdict)
{
    struct db *reader = open_to_verify(b);
    ledger_check(reader, verdict);
    db_close(reader);
}

/* As if all had been deleted, and gone long ago: what bills and proofs look up stays. */
static void purge_all(struct bill *b)
{
    sqlite3 *raw = raw_open(b->path);
    raw_exec(raw, "PRAGMA foreign_keys=ON; BEGIN;"
                  "INSERT INTO instance_past (key, id, project_key, name, node_key, flavor_key,"
                  " vcpus, memory_mib, generation) SELECT key, id, project_key, name, node_key,"
                  " flavor_key, vcpus, memory_mib, generation FROM instance;"
                  "INSERT INTO image_past (key, id, project_key, name)"
                  " SELECT key, id, project_key, name FROM image;"
                  "DELETE FROM instance; DELETE FROM image; COMMIT");
    sqlite3_close(raw);
}

/* A seal at a time it says the same. */
static void check_pages(struct bill *b, const struct ledger_verdict *whole)
{
    struct ledger_verdict sum;
    struct db *reader = open_to_verify(b);
    ledger_check_pages(reader, &sum);
    db_close(reader);
    if (sum.difference[0])
        broken(b, "not verified by pages: %s", sum.difference);
    if (sum.seals != whole->seals || sum.segments != whole->segments ||
        sum.observations != whole->observations || strcmp(sum.chain, whole->chain) != 0)
        broken(b, "%lld pages and the whole differ", (long long)sum.seals);
}

static const struct {
    const char *table, *column;
} numbers[] = {
    {"observation", "node_key"},    {"observation", "sequence"}, {"observation", "kind"},
    {"observation", "run"},         {"observation", "noticed"},  {"observation", "boottime_ms"},
    {"observation", "wall_ms"},     {"observation", "vcpus"},    {"observation", "flavor_key"},
    {"observation", "received_ms"}, {"segment", "kind"},         {"segment", "sign"},
    {"segment", "ordinal"},         {"segment", "seal_key"},     {"segment", "corrects_until_ms"},
    {"segment", "project_key"},     {"segment", "resource_key"}, {"segment", "node_key"},
    {"segment", "start_ms"},        {"segment", "origin_ms"},    {"segment", "end_ms"},
    {"segment", "verified"},        {"segment", "amount1"},      {"segment", "run"},
    {"segment", "close_seal_key"},  {"segment", "reverses"},     {"seal", "until_ms"},
    {"seal", "observation_key"},    {"seal", "segment_ordinal"}, {"seal", "sealed_ms"},
};

/* Any bit of any of them. */
static void check_tampering(struct bill *b)
{
    struct dice *d = &b->world->dice;
    int64_t which = below(d, ARRAY_SIZE(numbers));
    const char *table = numbers[which].table, *column = numbers[which].column;
    struct ledger_verdict verdict;
    sqlite3 *raw = raw_open(b->path);
    autofree char *count = xasprintf("SELECT count(*) FROM %s", table);
    int64_t rows = raw_number(raw, count);
    raw_disarm(raw);
    int64_t key = 1 + below(d, rows), bit = (int64_t)1 << below(d, 63);
    autofree char *sql =
        xasprintf("UPDATE %s SET %s = (coalesce(%s, 0) | %lld) - (coalesce(%s, 0) & %lld) WHERE"
                  " key = %lld",
                  table, column, column, (long long)bit, column, (long long)bit, (long long)key);
    bool refused = raw_try(raw, sql) != SQLITE_OK; /* another row has that number already */
    sqlite3_close(raw);
    if (rows == 0 || refused)
        return;
    verify(b, &verdict);
    if (!verdict.difference[0])
        broken(b, "bit %lld of %s.%s of row %lld was changed, and nobody noticed", (long long)bit,
               table, column, (long long)key);
}

/* ---- all ---- */

static void bill_open(struct bill *b, struct site *site, uint64_t seed)
{
    struct err auto_err err = {0};
    *b = (struct bill){.seed = seed, .tally = &site->tally, .world = world_live(seed)};
    b->path = xasprintf("%s/world.db", site->dir);
    copy_file(site->template, b->path);
    must(b, db_open(b->path, DB_WRITER, &b->db, &err), &err, "open");
    b->tx.db = b->db;
    b->months = ledger_months_new();
    b->views = ledger_views_new();
    b->until = b->world->end + (chance(&b->world->dice, 50) ? 70 * DAY : 0);
}

static void bill_close(struct bill *b)
{
    ledger_views_free(b->views);
    ledger_months_free(b->months);
    db_close(b->db);
    unlink(b->path);
    free(b->path);
    segments_release(&b->all);
    segments_release(&b->far);
    segments_release(&b->rows);
    segments_release(&b->live);
    world_free(b->world);
}

static void test_ledger__ten_thousand_lives_are_billed_as_they_were_lived(void **state)
{
    struct site *site = *state;
    struct ledger_verdict verdict;
    for (int64_t i = 0; i < site->worlds; i++) {
        struct bill b;
        bill_open(&b, site, site->seed + (uint64_t)i);
        shuffle(&b);
        shuffle_and_seal(&b);
        in_order(&b);
        if (memcmp(b.digest[0], b.digest[1], SHA256_BYTES) != 0)
            broken(&b, "another order of the same evidence writes other rows");
        as_it_came(&b);
        must_be_same(&b, &b.live, &b.all, "net of corrections it is not what one seal writes");
        check_rows(&b);
        check_truth(&b);
        verify(&b, &verdict);
        if (verdict.difference[0])
            broken(&b, "not verified: %s", verdict.difference);
        purge_all(&b);
        check_pages(&b, &verdict);
        site->tally.evidence += verdict.observations;
        check_tampering(&b);
        bill_close(&b);
    }
    const struct tally *t = &site->tally;
    print_message("%lld pieces of evidence, %lld segments (%lld corrections, %lld gaps), %lld runs"
                  " billed to the millisecond and %lld as far as proved, %lld counted,"
                  " %lld readings\n",
                  (long long)t->evidence, (long long)t->segments, (long long)t->corrections,
                  (long long)t->gaps, (long long)t->exact, (long long)t->inexact,
                  (long long)t->counted, (long long)t->reads);
    assert_true(t->evidence >= 100 * site->worlds && t->segments >= 100 * site->worlds);
    if (site->worlds >= 10)
        assert_true(t->corrections && t->gaps && t->exact && t->inexact && t->counted && t->reads);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__ten_thousand_lives_are_billed_as_they_were_lived),
    };
    return cmocka_run_group_tests_name("ledger_property", tests, setup, teardown);
}
