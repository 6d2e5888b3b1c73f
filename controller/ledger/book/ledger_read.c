/* The ledger as of a moment: sealed rows, and behind them what the evidence says of the time
 * since; see ledger.h. */
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/ledger/book/ledger.h"
#include "controller/ledger/book/ledger_advance.h"
#include "controller/ledger/book/ledger_months.h"
#include "controller/ledger/book/store_segment.h"
#include "controller/ledger/clock/clock_step.h"
#include "controller/ledger/evidence/ledger_views.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/evidence/vouch_set.h"
#include "controller/ledger/segment/store_seal.h"
#include "controller/tx/readers.h"
#include "controller/world.h"

/* ---- the present moment ---- */

/* Of one host: until when it has vouched, in UTC. Who is far off our own time holds up no answer:
 * of what runs there only that counts which was written down. */
struct word {
    int64_t until_ms;
    bool counts;
};

static int word_of(struct vouchers *vouchers, struct evidence *evidence,
                   const struct voucher *voucher, struct word *ret_word, struct err *err)
{
    const struct boot *boot = evidence_boot(evidence, voucher->node_key, voucher->boot_id, err);
    if (!boot)
        return -1;
    int64_t off =
        boot->line_ms + voucher->boottime_ms - (vouchers_line(vouchers) + voucher->own_ms);
    *ret_word = (struct word){.until_ms = boot->line_ms + voucher->vouched_ms,
                              .counts = boot->line_ms && off >= -CLOCK_STEP_MS};
    return 0;
}

/* Those who have vouched up to the moment, our own machine among them. */
static void note_vouched(struct vouchers *vouchers, const struct voucher *all,
                         const struct word *words, size_t count, struct ledger_moment *moment)
{
    size_t n = 0;
    autofree struct vouched *vouched = xcalloc(count + 1, sizeof(*vouched));
    clock_boot_id(vouched[n++].boot_id);
    for (size_t i = 0; i < count; i++) {
        if (words[i].until_ms < moment->until_ms)
            continue;
        vouched[n].node_key = all[i].node_key;
        memcpy(vouched[n++].boot_id, all[i].boot_id, sizeof(all[i].boot_id));
    }
    moment->vouched = vouch_sets_put(vouchers_sets(vouchers), vouched, n, moment->until_ms);
}

static int hear_all(struct app *app, const struct voucher *all, size_t count, struct db *db,
                    struct ledger_moment *moment, struct err *err)
{
    struct vouchers *vouchers = app->vouchers;
    autofree struct word *words = xcalloc(count + 1, sizeof(*words));
    struct evidence *evidence =
        ledger_views_take(app->views, VIEW_NEWEST, db, moment->observation_key, err);
    int rc = evidence ? 0 : -1;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = word_of(vouchers, evidence, &all[i], &words[i], err);
        if (words[i].counts && words[i].until_ms < moment->until_ms)
            moment->until_ms = words[i].until_ms;
    }
    ledger_views_give(app->views, VIEW_NEWEST, evidence);
    if (moment->until_ms < moment->sealed_ms)
        moment->until_ms = moment->sealed_ms;
    note_vouched(vouchers, all, words, count, moment);
    return rc;
}

/* First who vouches, then what is written: a host's word counts when what it told along with it is
 * committed, and read. */
int ledger_now(struct app *app, struct ledger_moment *ret_moment, struct err *err)
{
    struct seal seal;
    uint8_t chain[SHA256_BYTES];
    size_t count;
    *ret_moment = (struct ledger_moment){.until_ms = vouchers_now(app->vouchers)};
    autofree struct voucher *all = vouchers_all(app->vouchers, &count);
    app_snapshot_renew();
    struct db *db = app_reader(app);
    ret_moment->revision = app_revision(app);
    if (store_seal_last(db, &seal, err) < 0 ||
        evidence_head(db, &ret_moment->observation_key, chain, err) != 0)
        return -1;
    ret_moment->seal_key = seal.key;
    ret_moment->sealed_ms = seal.until_ms;
    return hear_all(app, all, count, db, ret_moment, err);
}

static const struct vouch_set *set_of(struct app *app, const struct ledger_moment *moment,
                                      struct err *err)
{
    const struct vouch_set *set =
        vouch_sets_get(vouchers_sets(app->vouchers), moment->vouched, moment->until_ms);
    if (!set)
        err_set(err, ERR_REVISION_GONE,
                "which hosts vouched for this answer is no longer known: ask for its first page "
                "again");
    return set;
}

int ledger_moment_known(struct app *app, const struct ledger_moment *moment, struct err *err)
{
    const struct vouch_set *set = set_of(app, moment, err);
    vouch_set_unref(set);
    return set ? 0 : -1;
}

/* ---- reading ---- */

struct reading {
    const struct ledger_moment *moment;
    const struct ledger_filter *filter;
    const struct changes *changes; /* since the seal; closing ones sorted by key */
    size_t closing;                /* how many of them close a row */
    segment_each *each;
    void *ctx;
};

static bool wanted(const struct reading *r, const struct segment *segment)
{
    const struct ledger_filter *f = r->filter;
    return segment->start_ms < f->to_ms && segment->end_ms > f->from_ms &&
           (!f->project_key || f->project_key == segment->project_key) &&
           (!f->kinds || f->kinds & 1u << segment->kind);
}

static const struct segment *closing_of(const struct reading *r, int64_t key)
{
    size_t low = 0, high = r->closing;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int64_t at = r->changes->items[middle].segment.key;
        if (at == key)
            return &r->changes->items[middle].segment;
        if (at < key)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* What a correction says of the time behind the watermark that it was made at is none. */
static void tell(const struct reading *r, const struct segment *segment)
{
    struct segment part = *segment;
    bool both =
        part.correction && part.kind != SEGMENT_COUNTED && part.corrects_until_ms < part.end_ms;
    if (both) {
        part.end_ms = part.corrects_until_ms;
        part.open = false;
        part.verified = true;
        if (wanted(r, &part))
            r->each(r->ctx, &part);
        part = *segment;
        part.start_ms = part.corrects_until_ms;
        part.correction = false;
    }
    if (wanted(r, &part))
        r->each(r->ctx, &part);
}

static void read_sealed(void *ctx, const struct segment *row)
{
    const struct reading *r = ctx;
    if (!row->open) {
        tell(r, row);
        return;
    }
    struct segment segment = *row;
    const struct segment *closing = closing_of(r, row->key);
    segment.end_ms = closing ? closing->end_ms : r->moment->until_ms;
    segment.verified = closing ? closing->verified : true;
    segment.open = !closing;
    if (segment.end_ms > segment.start_ms)
        tell(r, &segment);
}

static int by_closing_and_key(const void *a, const void *b)
{
    const struct change *left = a, *right = b;
    if (left->closes != right->closes)
        return left->closes ? -1 : 1;
    if (left->segment.key != right->segment.key)
        return left->segment.key < right->segment.key ? -1 : 1;
    if (left->segment.start_ms != right->segment.start_ms)
        return left->segment.start_ms < right->segment.start_ms ? -1 : 1;
    return left->segment.sign - right->segment.sign;
}

static bool vouches(void *ctx, int64_t node_key, const char *boot_id)
{
    return vouch_set_has(ctx, node_key, boot_id);
}

static void each_vouching(void *ctx, void (*each)(void *ctx, int64_t node_key, const char *boot_id),
                          void *each_ctx)
{
    vouch_set_each(ctx, each, each_ctx);
}

/* All that is read is bound to the moment: a newer state says the same of it. */
static void let_others(void *ctx)
{
    app_snapshot_step(ctx);
}

/* Where a resource's evidence is news, with what other answers know of its hosts. */
static int advance_from(struct app *app, struct db *db, const struct seal *seal, struct step *step,
                        struct changes *changes, struct err *err)
{
    struct db_books at = {db, seal->key};
    struct books books = books_of_db(&at);
    int64_t news_key;
    step->sealed = ledger_views_take(app->views, VIEW_SEALED, db, step->from_key, err);
    if (step->sealed)
        step->newest = ledger_views_take(app->views, VIEW_NEWEST, db, step->to_key, err);
    int rc = step->newest ? ledger_advance(db, &books, step, changes, &news_key, err) : -1;
    ledger_views_give(app->views, VIEW_SEALED, step->sealed);
    ledger_views_give(app->views, VIEW_NEWEST, step->newest);
    return rc;
}

static int advance(struct app *app, struct db *db, const struct ledger_moment *moment,
                   int64_t project_key, struct changes *changes, struct err *err)
{
    struct seal seal = {0};
    if (moment->seal_key && store_seal_next(db, moment->seal_key - 1, &seal, err) != 1)
        return err->code ? -1
                         : err_set(err, ERR_INTERNAL, "seal %lld is not there",
                                   (long long)moment->seal_key);
    const struct vouch_set *set = set_of(app, moment, err);
    if (!set)
        return -1;
    struct step step = {.from_key = seal.observation_key,
                        .news_key = seal.news_key,
                        .from_ms = seal.until_ms,
                        .to_key = moment->observation_key,
                        .to_ms = moment->until_ms,
                        .project_key = project_key,
                        .between = let_others,
                        .between_ctx = app,
                        .vouches = vouches,
                        .each_vouching = each_vouching,
                        .ctx = (void *)(uintptr_t)set};
    int rc = advance_from(app, db, &seal, &step, changes, err);
    vouch_set_unref(set);
    return rc;
}

/* More months than these would push one another out of memory. */
enum { MONTHS_LOADED = 4 };

/* Sealed months are kept in memory. */
static int read_rows(struct app *app, struct db *db, struct reading *r, struct err *err)
{
    const struct ledger_moment *moment = r->moment;
    struct ledger_filter part = *r->filter;
    bool load = part.project_key || part.to_ms - part.from_ms < MONTHS_LOADED * 31LL * 24 * HOUR_MS;
    int rc = 0;
    for (int64_t at = month_floor(part.from_ms); at < r->filter->to_ms && rc >= 0;
         at = month_next(at)) {
        app_snapshot_step(app);
        rc = ledger_months_read(app->months, db, moment, at, part.project_key, load, read_sealed, r,
                                err);
        if (rc != 0)
            continue;
        part.from_ms = at;
        part.to_ms = month_next(at) < r->filter->to_ms ? month_next(at) : r->filter->to_ms;
        rc = store_segment_between(db, &part, moment->seal_key, read_sealed, r, err);
    }
    return rc < 0 ? -1 : 0;
}

int ledger_read(struct app *app, struct db *db, const struct ledger_moment *moment,
                const struct ledger_filter *filter, segment_each *each, void *ctx, struct err *err)
{
    struct changes changes = {0};
    struct reading r = {moment, filter, &changes, 0, each, ctx};
    int rc = advance(app, db, moment, filter->project_key, &changes, err);
    if (changes.count)
        qsort(changes.items, changes.count, sizeof(*changes.items), by_closing_and_key);
    while (r.closing < changes.count && changes.items[r.closing].closes)
        r.closing++;
    if (rc == 0)
        rc = read_rows(app, db, &r, err);
    for (size_t i = r.closing; i < changes.count && rc == 0; i++)
        tell(&r, &changes.items[i].segment);
    changes_release(&changes);
    return rc;
}
