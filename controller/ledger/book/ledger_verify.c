/* Verification, seal by seal: given that all is right up to one seal, whether the next one wrote
 * what follows; see ledger_verify.h. */
#include "controller/ledger/book/ledger_verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "controller/db/db.h"
#include "controller/ledger/book/ledger_verify_internal.h"
#include "controller/ledger/segment/store_seal.h"

void verify_differs(struct verify *v, const char *format, ...)
{
    va_list args;
    if (v->verdict->difference[0])
        return;
    va_start(args, format);
    vsnprintf(v->verdict->difference, sizeof(v->verdict->difference), format, args);
    va_end(args);
}

static bool differs(const struct verify *v)
{
    return v->verdict->difference[0] != '\0';
}

/* ---- one seal ---- */

/* What a broken row says is followed no further: its moment could lie anywhere. */
static bool follows(struct verify *v, const struct seal *before, const struct seal *seal)
{
    uint8_t chain[SHA256_BYTES];
    seal_chain(before->chain, seal, chain);
    if (seal->key != before->key + 1)
        verify_differs(v, "seal %" PRId64 " is missing", before->key + 1);
    else if (memcmp(chain, seal->chain, sizeof(chain)) != 0)
        verify_differs(v, "seal %" PRId64 ": its chain does not follow from the row", seal->key);
    return !differs(v);
}

static int check_rows(struct verify *v, const struct seal *seal, int64_t *ret_news_key,
                      struct err *err)
{
    struct changes changes = {0};
    struct books books = verify_books(v);
    struct step step = {.from_key = v->before.observation_key,
                        .news_key = v->before.news_key,
                        .from_ms = v->before.until_ms,
                        .to_key = seal->observation_key,
                        .to_ms = seal->until_ms,
                        .memory = &v->memory};
    int rc = ledger_advance(v->db, &books, &step, &changes, ret_news_key, err);
    for (size_t i = 0; i < changes.count && rc == 0 && !differs(v); i++)
        rc = verify_change(v, &changes.items[i], seal->key, err);
    changes_release(&changes);
    open_rows_settle(&v->open);
    return rc;
}

/* Whoever goes on after this seal takes the rows that say they are of it at their word. */
static int check_next_row(struct verify *v, const struct seal *seal, struct err *err)
{
    int64_t key, seal_key;
    int rc = store_segment_next(v->db, v->segment_key + 1, &key, &seal_key, err);
    if (rc == 1 && seal_key <= seal->key)
        verify_differs(v,
                       "segment %" PRId64 ": seal_key is %" PRId64
                       ", the evidence knows of no such row up to seal %" PRId64,
                       key, seal_key, seal->key);
    return rc < 0 ? -1 : 0;
}

/* Told only if no row explains more: the seal only says that something is not as it was. */
static void check_seal_itself(struct verify *v, const struct seal *seal, int64_t news_key)
{
    if (news_key != seal->news_key)
        verify_differs(v, "seal %" PRId64 ": news_key is %" PRId64 ", the evidence says %" PRId64,
                       seal->key, seal->news_key, news_key);
    if (v->observation_key != seal->observation_key ||
        memcmp(v->observation_chain, seal->observation_chain, SHA256_BYTES) != 0)
        verify_differs(v, "seal %" PRId64 ": it was made over another evidence log", seal->key);
    if (v->head.ordinal != seal->segment_ordinal ||
        memcmp(v->head.chain, seal->segment_chain, SHA256_BYTES) != 0)
        verify_differs(v,
                       "seal %" PRId64 ": the ledger that it sealed had %" PRId64
                       " closed segments, the evidence says %" PRId64 " (or others)",
                       seal->key, seal->segment_ordinal, v->head.ordinal);
}

static int check_seal(struct verify *v, const struct seal *seal, struct err *err)
{
    int64_t news_key = 0;
    if (!follows(v, &v->before, seal))
        return 0;
    if (verify_observations(v, seal->observation_key, err) != 0)
        return -1;
    if (!differs(v) && v->observation_key < seal->observation_key)
        verify_differs(v, "observation %" PRId64 " is missing", v->observation_key + 1);
    if (differs(v))
        return 0;
    if (check_rows(v, seal, &news_key, err) != 0 || check_next_row(v, seal, err) != 0)
        return -1;
    check_seal_itself(v, seal, news_key);
    return 0;
}

/* ---- where it begins ---- */

/* Rows before the first one are seen by none of the walks. */
static int check_first_keys(struct verify *v, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(v->db, "SELECT 'observation', min(key) FROM observation UNION ALL"
                       " SELECT 'segment', min(key) FROM segment UNION ALL"
                       " SELECT 'seal', min(key) FROM seal");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (!stmt_null(stmt, 1) && stmt_i64(stmt, 1) < 1)
            verify_differs(v, "%s %" PRId64 ": no row has such a key", stmt_text(stmt, 0),
                           stmt_i64(stmt, 1));
    }
    return rc;
}

static void take_open(void *ctx, const struct segment *row)
{
    struct verify *v = ctx;
    if (row->key <= v->segment_key)
        open_rows_add(&v->open, row);
}

/* Its own hash proves what the seal says: how far evidence and closed rows went, and theirs. */
static int begin_after(struct verify *v, const uint8_t after[SHA256_BYTES], struct err *err)
{
    static const uint8_t nothing[SHA256_BYTES];
    struct seal seal, earlier;
    if (memcmp(after, nothing, sizeof(nothing)) == 0)
        return 0;
    int rc = store_seal_find(v->db, after, &seal, err);
    if (rc == 0)
        return err_field(err, "/after", "after: no seal has this chain");
    if (rc < 0 || store_seal_next(v->db, seal.key - 2, &earlier, err) < 0)
        return -1;
    if (earlier.key == seal.key)
        earlier = (struct seal){.key = seal.key - 1};
    if (!follows(v, &earlier, &seal))
        return 0;
    v->before = seal;
    v->observation_key = seal.observation_key;
    memcpy(v->observation_chain, seal.observation_chain, SHA256_BYTES);
    v->head.ordinal = seal.segment_ordinal;
    memcpy(v->head.chain, seal.segment_chain, SHA256_BYTES);
    if (store_segment_last_key_at(v->db, seal.key, &v->segment_key, err) != 0)
        return -1;
    return store_segment_open(v->db, seal.key, take_open, v, err);
}

/* ---- where it ends ---- */

/* The counter of a table outlives its rows: what was cut off its end has left that behind. */
static int check_end(struct verify *v, const char *table, int64_t last, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(v->db, "SELECT seq FROM sqlite_sequence WHERE name = ?");
    stmt_bind(stmt, "t", table);
    int rc = stmt_step(stmt, err);
    if (rc == 1 && stmt_i64(stmt, 0) > last)
        verify_differs(v, "%s %" PRId64 " is missing", table, last + 1);
    return rc < 0 ? -1 : 0;
}

/* Behind the last seal there is evidence alone. */
static int check_ends(struct verify *v, struct err *err)
{
    int64_t key, seal_key;
    if (check_end(v, "seal", v->before.key, err) != 0)
        return -1;
    int rc = store_segment_next(v->db, v->segment_key + 1, &key, &seal_key, err);
    if (rc == 1)
        verify_differs(v, "segment %" PRId64 ": the evidence knows nothing of it", key);
    if (rc < 0 || check_end(v, "segment", v->segment_key, err) != 0 ||
        verify_open_rows(v, err) != 0 || verify_observations(v, INT64_MAX, err) != 0)
        return -1;
    return check_end(v, "observation", v->observation_key, err) == 0 ? verify_prices(v, err) : -1;
}

/* ---- all ---- */

static int walk(struct verify *v, int64_t deadline_ms, struct err *err)
{
    struct seal seal;
    int rc;
    while ((rc = store_seal_next(v->db, v->before.key, &seal, err)) == 1) {
        v->verdict->more = v->verdict->seals > 0 && clock_boottime_ms() >= deadline_ms;
        if (v->verdict->more)
            return 0;
        if (check_seal(v, &seal, err) != 0)
            return -1;
        if (differs(v))
            return 0;
        v->before = seal;
        v->verdict->seals++;
    }
    return rc < 0 ? -1 : check_ends(v, err);
}

static int verify(struct verify *v, const struct ledger_part *part, struct err *err)
{
    int64_t deadline_ms = clock_boottime_ms() + part->budget_ms;
    if (check_first_keys(v, err) != 0)
        return -1;
    if (!differs(v) && part->after && begin_after(v, part->after, err) != 0)
        return -1;
    return differs(v) ? 0 : walk(v, deadline_ms, err);
}

int ledger_verify(struct db *db, const struct ledger_part *part, struct ledger_verdict *ret_verdict,
                  struct err *err)
{
    struct verify v = {.db = db, .verdict = ret_verdict};
    *ret_verdict = (struct ledger_verdict){0};
    if (db_read_begin(db, err) != 0)
        return -1;
    int rc = verify(&v, part, err);
    db_read_end(db);
    open_rows_release(&v.open);
    evidence_free(v.memory);
    ret_verdict->sealed_ms = v.before.until_ms;
    sha256_text(v.before.chain, ret_verdict->chain);
    return rc;
}
