/* Verification; see ledger_verify.h. The rebuilt ledger lives in memory, in the order of its
 * keys, and is what ledger_advance() takes for the rows. */
#include "controller/ledger_verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/err.h"
#include "api/mem.h"
#include "controller/db.h"
#include "controller/evidence.h"
#include "controller/ledger_advance.h"
#include "controller/store_segment.h"

/* ---- the chains ---- */

__attribute__((format(printf, 2, 3))) static void differ(struct ledger_verdict *verdict,
                                                         const char *format, ...)
{
    va_list args;
    if (verdict->difference[0])
        return;
    va_start(args, format);
    vsnprintf(verdict->difference, sizeof(verdict->difference), format, args);
    va_end(args);
}

static bool same_hash(struct stmt *stmt, int column, const uint8_t hash[SHA256_BYTES])
{
    size_t len = 0;
    const void *stored = stmt_blob(stmt, column, &len);
    return stored && len == SHA256_BYTES && memcmp(stored, hash, SHA256_BYTES) == 0;
}

/* The text columns are as they are stored: SQLite keeps bytes that no one bound. */
static char *text_of(struct stmt *stmt, int column)
{
    const char *text = stmt_text(stmt, column);
    return xstrdup(text ? text : "");
}

static struct evidence_row read_observation(struct stmt *stmt)
{
    return (struct evidence_row){.key = stmt_i64(stmt, 0),
                                 .node_key = stmt_i64(stmt, 1),
                                 .flavor_key = stmt_i64(stmt, 15),
                                 .bytes = stmt_i64(stmt, 16),
                                 .received_ms = stmt_i64(stmt, 20),
                                 .o = {.boot_id = text_of(stmt, 2),
                                       .boot_order = stmt_i64(stmt, 22),
                                       .incarnation = text_of(stmt, 3),
                                       .sequence = stmt_i64(stmt, 4),
                                       .kind = (int)stmt_i64(stmt, 5),
                                       .instance = text_of(stmt, 6),
                                       .run = stmt_i64(stmt, 7),
                                       .cause = (int)stmt_i64(stmt, 8),
                                       .noticed = stmt_i64(stmt, 9) != 0,
                                       .boottime_ms = stmt_i64(stmt, 10),
                                       .wall_ms = stmt_i64(stmt, 11),
                                       .vcpus = stmt_i64(stmt, 12),
                                       .memory_mib = stmt_i64(stmt, 13),
                                       .disk_gib = stmt_i64(stmt, 14),
                                       .cpu_ns = stmt_i64(stmt, 17),
                                       .ingress_bytes = stmt_i64(stmt, 18),
                                       .egress_bytes = stmt_i64(stmt, 19)}};
}

static void row_release(struct evidence_row *row)
{
    free(row->o.boot_id);
    free(row->o.incarnation);
    free(row->o.instance);
}

/* What reading a row makes equal, or leaves out: two values that both count as true, a number
 * too large for its kind, nothing and zero, a text behind its end. */
static int check_observation_forms(struct db *db, struct ledger_verdict *verdict, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        db, "SELECT key FROM observation WHERE kind NOT BETWEEN 0 AND 7 OR noticed NOT IN (0, 1)"
            " OR cause NOT BETWEEN 0 AND 1000 OR coalesce(node_key, 1) = 0"
            " OR coalesce(flavor_key, 1) = 0"
            " OR instr(boot_id || incarnation || resource_id, char(0)) > 0 LIMIT 1");
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        differ(verdict, "observation %" PRId64 ": it holds what no observation does",
               stmt_i64(stmt, 0));
    return rc < 0 ? -1 : 0;
}

static int check_segment_forms(struct db *db, struct ledger_verdict *verdict, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        db, "SELECT key FROM segment WHERE kind NOT BETWEEN 0 AND 5 OR sign NOT IN (-1, 1)"
            " OR resource NOT IN (0, 1) OR verified NOT IN (0, 1)"
            " OR coalesce(reverses, 1) = 0 OR coalesce(node_key, 1) = 0"
            " OR coalesce(flavor_key, 1) = 0 OR coalesce(end_ms, 1) = 0"
            " OR (end_ms IS NULL) <> (ordinal IS NULL) OR (end_ms IS NULL) <> (chain IS NULL)"
            " OR (end_ms IS NULL) <> (close_seal_key IS NULL) LIMIT 1");
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        differ(verdict, "segment %" PRId64 ": it holds what no segment does", stmt_i64(stmt, 0));
    return rc < 0 ? -1 : 0;
}

/* The counter of a table outlives its rows: what was cut off its end has left that behind. */
static int check_end(struct db *db, const char *table, int64_t last, struct ledger_verdict *verdict,
                     struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT seq FROM sqlite_sequence WHERE name = ?");
    stmt_bind(stmt, "t", table);
    int rc = stmt_step(stmt, err);
    if (rc == 1 && stmt_i64(stmt, 0) > last)
        differ(verdict, "%s %" PRId64 " is missing", table, last + 1);
    return rc < 0 ? -1 : 0;
}

static int check_observations(struct db *db, struct ledger_verdict *verdict, struct err *err)
{
    uint8_t chain[SHA256_BYTES] = {0}, next[SHA256_BYTES];
    auto_stmt struct stmt *stmt = db_stmt(
        db, "SELECT key, node_key, boot_id, incarnation, sequence, kind, resource_id, run, cause,"
            " noticed, boottime_ms, wall_ms, vcpus, memory_mib, disk_gib, flavor_key, bytes,"
            " cpu_ns, ingress_bytes, egress_bytes, received_ms, chain, boot_order"
            " FROM observation"
            " ORDER BY key");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1 && !verdict->difference[0]) {
        struct evidence_row row = read_observation(stmt);
        if (row.key != ++verdict->observations)
            differ(verdict, "observation %" PRId64 " is missing", verdict->observations);
        evidence_chain(chain, &row, next);
        if (!same_hash(stmt, 21, next))
            differ(verdict, "observation %" PRId64 ": its chain does not follow from the row",
                   row.key);
        memcpy(chain, next, sizeof(chain));
        row_release(&row);
    }
    if (rc < 0 || check_end(db, "observation", verdict->observations, verdict, err) != 0)
        return -1;
    return check_observation_forms(db, verdict, err);
}

static int observation_chain_at(struct db *db, int64_t key, uint8_t ret_chain[SHA256_BYTES],
                                struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT chain FROM observation WHERE key = ?");
    size_t len = 0;
    stmt_bind(stmt, "i", key);
    memset(ret_chain, 0, SHA256_BYTES);
    int rc = stmt_step(stmt, err);
    const void *chain = rc == 1 ? stmt_blob(stmt, 0, &len) : NULL;
    if (chain && len == SHA256_BYTES)
        memcpy(ret_chain, chain, SHA256_BYTES);
    return rc < 0 ? -1 : 0;
}

/* ---- the rebuilt ledger ---- */

struct chainlet {
    int resource;
    int64_t resource_key;
    size_t *rows; /* indexes */
    size_t count, cap;
};

struct rebuilt {
    struct segment *rows; /* row of key k at k-1 */
    size_t count, cap;
    bool *taken_back;
    size_t *open; /* indexes of rows that are, or were when this was last looked through */
    size_t open_count, open_cap;
    struct chainlet *buckets; /* open addressing by resource */
    size_t bucket_count, used;
    struct segment_head head;
};

static size_t slot_of(const struct rebuilt *r, int resource, int64_t key)
{
    uint64_t hash = ((uint64_t)key * 2 + (uint64_t)resource) * 0x9E3779B97F4A7C15u;
    size_t slot = (hash >> 20) & (r->bucket_count - 1);
    while (r->buckets[slot].cap &&
           (r->buckets[slot].resource != resource || r->buckets[slot].resource_key != key))
        slot = (slot + 1) & (r->bucket_count - 1);
    return slot;
}

static void grow(struct rebuilt *r)
{
    struct rebuilt bigger = *r;
    bigger.bucket_count = r->bucket_count ? 2 * r->bucket_count : 1024;
    bigger.buckets = xcalloc(bigger.bucket_count, sizeof(*bigger.buckets));
    for (size_t i = 0; i < r->bucket_count; i++) {
        const struct chainlet *old = &r->buckets[i];
        if (old->cap)
            bigger.buckets[slot_of(&bigger, old->resource, old->resource_key)] = *old;
    }
    free(r->buckets);
    *r = bigger;
}

static void index_row(struct rebuilt *r, size_t at)
{
    const struct segment *row = &r->rows[at];
    if (2 * (r->used + 1) > r->bucket_count)
        grow(r);
    struct chainlet *list = &r->buckets[slot_of(r, row->resource, row->resource_key)];
    if (!list->cap) {
        r->used++;
        *list = (struct chainlet){.resource = row->resource, .resource_key = row->resource_key};
    }
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 4;
        list->rows = xrealloc(list->rows, list->cap * sizeof(*list->rows));
    }
    list->rows[list->count++] = at;
}

static void add_row(struct rebuilt *r, const struct segment *segment)
{
    if (r->count == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 1024;
        r->rows = xrealloc(r->rows, r->cap * sizeof(*r->rows));
        r->taken_back = xrealloc(r->taken_back, r->cap * sizeof(*r->taken_back));
    }
    if (segment->open) {
        if (r->open_count == r->open_cap) {
            r->open_cap = r->open_cap ? 2 * r->open_cap : 1024;
            r->open = xrealloc(r->open, r->open_cap * sizeof(*r->open));
        }
        r->open[r->open_count++] = r->count;
    }
    r->taken_back[r->count] = false;
    r->rows[r->count++] = *segment;
    if (segment->sign > 0)
        index_row(r, r->count - 1);
    else
        r->taken_back[segment->reverses - 1] = true;
}

static void rebuilt_release(struct rebuilt *r)
{
    for (size_t i = 0; i < r->bucket_count; i++)
        free(r->buckets[i].rows);
    free(r->buckets);
    free(r->taken_back);
    free(r->open);
    free(r->rows);
}

static int rows_of(void *ctx, int resource, int64_t resource_key, int64_t counted_from_ms,
                   struct segments *ret_rows, struct err *err)
{
    const struct rebuilt *r = ctx;
    (void)err;
    if (!r->bucket_count)
        return 0;
    const struct chainlet *list = &r->buckets[slot_of(r, resource, resource_key)];
    for (size_t i = 0; i < list->count; i++) {
        const struct segment *row = &r->rows[list->rows[i]];
        bool asked = row->kind != SEGMENT_COUNTED || row->start_ms >= counted_from_ms;
        if (asked && !r->taken_back[list->rows[i]])
            segments_add(ret_rows, row);
    }
    return 0;
}

static int open_nodes(void *ctx, void (*each)(void *ctx, int64_t node_key), void *each_ctx,
                      struct err *err)
{
    struct rebuilt *r = ctx;
    int64_t last = -1;
    size_t kept = 0;
    (void)err;
    for (size_t i = 0; i < r->open_count; i++) {
        const struct segment *row = &r->rows[r->open[i]];
        if (!row->open)
            continue;
        r->open[kept++] = r->open[i];
        if (row->node_key != last)
            each(each_ctx, last = row->node_key);
    }
    r->open_count = kept;
    return 0;
}

static int open_rows(void *ctx, int64_t node_key,
                     void (*each)(void *ctx, const struct segment *row), void *each_ctx,
                     struct err *err)
{
    const struct rebuilt *r = ctx;
    (void)err;
    for (size_t i = 0; i < r->open_count; i++) {
        const struct segment *row = &r->rows[r->open[i]];
        if (row->open && row->node_key == node_key)
            each(each_ctx, row);
    }
    return 0;
}

/* As store_segment_change() does it, without a database. */
static void apply(struct rebuilt *r, const struct change *change, int64_t seal_key)
{
    struct segment s = change->segment;
    if (change->closes) {
        struct segment row = r->rows[s.key - 1];
        row.open = false;
        row.end_ms = s.end_ms;
        row.verified = s.verified;
        s = row;
    } else {
        s.key = (int64_t)r->count + 1;
        s.seal_key = seal_key;
    }
    if (!s.open) {
        s.ordinal = ++r->head.ordinal;
        s.close_seal_key = seal_key;
        segment_chain(r->head.chain, &s, r->head.chain);
    }
    if (change->closes)
        r->rows[s.key - 1] = s;
    else
        add_row(r, &s);
}

/* ---- seal by seal ---- */

/* What a broken row says is followed no further: its moment could lie anywhere. */
static bool follows(const struct seal *before, const struct seal *seal,
                    struct ledger_verdict *verdict)
{
    uint8_t chain[SHA256_BYTES];
    seal_chain(before->chain, seal, chain);
    if (seal->key != before->key + 1)
        differ(verdict, "seal %" PRId64 " is missing", before->key + 1);
    else if (memcmp(chain, seal->chain, sizeof(chain)) != 0)
        differ(verdict, "seal %" PRId64 ": its chain does not follow from the row", seal->key);
    return !verdict->difference[0];
}

static int check_seal(struct db *db, struct rebuilt *r, const struct seal *before,
                      const struct seal *seal, struct ledger_verdict *verdict, struct err *err)
{
    struct changes changes = {0};
    struct books books = {r, rows_of, open_nodes, open_rows};
    uint8_t chain[SHA256_BYTES];
    int64_t news_key = 0;
    struct step step = {.from_key = before->observation_key,
                        .news_key = before->news_key,
                        .from_ms = before->until_ms,
                        .to_key = seal->observation_key,
                        .to_ms = seal->until_ms};
    int rc = ledger_advance(db, &books, &step, &changes, &news_key, err);
    for (size_t i = 0; i < changes.count && rc == 0; i++)
        apply(r, &changes.items[i], seal->key);
    changes_release(&changes);
    if (rc != 0 || observation_chain_at(db, seal->observation_key, chain, err) != 0)
        return -1;
    if (news_key != seal->news_key)
        differ(verdict, "seal %" PRId64 ": news_key is %" PRId64 ", the evidence says %" PRId64,
               seal->key, seal->news_key, news_key);
    if (memcmp(chain, seal->observation_chain, sizeof(chain)) != 0)
        differ(verdict, "seal %" PRId64 ": it was made over another evidence log", seal->key);
    return 0;
}

/* What the rows say themselves is told first, as that names the row: the seal only says that
 * something is not as it was. */
static void check_seal_head(const struct rebuilt *r, const struct seal *seal,
                            struct ledger_verdict *verdict)
{
    if (seal->segment_ordinal != r->head.ordinal ||
        memcmp(seal->segment_chain, r->head.chain, SHA256_BYTES) != 0)
        differ(verdict,
               "seal %" PRId64 ": the ledger that it sealed had %" PRId64
               " closed segments, the evidence says %" PRId64 " (or others)",
               seal->key, seal->segment_ordinal, r->head.ordinal);
}

/* ---- row by row ---- */

struct comparing {
    const struct rebuilt *rebuilt;
    struct ledger_verdict *verdict;
    uint8_t *chains; /* of closed rows by ordinal, as stored */
};

struct column {
    const char *name;
    size_t offset;
    size_t size;
};

#define COLUMN(member)                                                                   \
    {                                                                                    \
#member, offsetof(struct segment, member), sizeof(((struct segment *)0)->member) \
    }
static const struct column columns[] = {
    COLUMN(ordinal),      COLUMN(seal_key),    COLUMN(close_seal_key),    COLUMN(kind),
    COLUMN(sign),         COLUMN(reverses),    COLUMN(corrects_until_ms), COLUMN(resource),
    COLUMN(resource_key), COLUMN(project_key), COLUMN(node_key),          COLUMN(flavor_key),
    COLUMN(run),          COLUMN(start_ms),    COLUMN(origin_ms),         COLUMN(end_ms),
    COLUMN(verified),     COLUMN(amounts[0]),  COLUMN(amounts[1]),        COLUMN(amounts[2])};

static int64_t column_value(const struct segment *s, const struct column *c)
{
    const char *at = (const char *)s + c->offset;
    int64_t wide;
    int narrow;
    if (c->size == sizeof(bool))
        return *(const bool *)at;
    if (c->size == sizeof(int)) {
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, at, sizeof(wide));
    return wide;
}

/* An open row has no end of its own. */
static struct segment as_stored(const struct segment *segment)
{
    struct segment s = *segment;
    if (s.open)
        s.end_ms = 0;
    return s;
}

static int compare_row(void *ctx, const struct segment *stored, const uint8_t *chain,
                       struct err *err)
{
    struct comparing *c = ctx;
    (void)err;
    int64_t expected = ++c->verdict->segments;
    if (stored->key != expected)
        differ(c->verdict, "segment %" PRId64 " is missing", expected);
    if (c->verdict->difference[0])
        return 0;
    if ((size_t)stored->key > c->rebuilt->count) {
        differ(c->verdict, "segment %" PRId64 ": the evidence knows nothing of it", stored->key);
        return 0;
    }
    struct segment is = as_stored(&c->rebuilt->rows[stored->key - 1]);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        int64_t a = column_value(stored, &columns[i]), b = column_value(&is, &columns[i]);
        if (a != b)
            differ(c->verdict, "segment %" PRId64 ": %s is %" PRId64 ", the evidence says %" PRId64,
                   stored->key, columns[i].name, a, b);
    }
    if (!stored->open && !chain)
        differ(c->verdict, "segment %" PRId64 ": it has no chain", stored->key);
    if (chain && stored->ordinal > 0 && stored->ordinal <= c->rebuilt->head.ordinal)
        memcpy(c->chains + (stored->ordinal - 1) * SHA256_BYTES, chain, SHA256_BYTES);
    return 0;
}

static int by_ordinal(const void *a, const void *b)
{
    const struct segment *left = *(const struct segment *const *)a;
    const struct segment *right = *(const struct segment *const *)b;
    return left->ordinal < right->ordinal ? -1 : left->ordinal > right->ordinal;
}

static void check_chain(const struct rebuilt *r, const uint8_t *chains,
                        struct ledger_verdict *verdict)
{
    size_t count = 0;
    uint8_t chain[SHA256_BYTES] = {0};
    autofree const struct segment **closed = xcalloc(r->count + 1, sizeof(struct segment *));
    for (size_t i = 0; i < r->count; i++) {
        if (!r->rows[i].open)
            closed[count++] = &r->rows[i];
    }
    if (count)
        qsort(closed, count, sizeof(const struct segment *), by_ordinal);
    for (size_t i = 0; i < count; i++) {
        segment_chain(chain, closed[i], chain);
        if (memcmp(chains + i * SHA256_BYTES, chain, SHA256_BYTES) != 0)
            differ(verdict, "segment %" PRId64 ": its chain does not follow from the rows",
                   closed[i]->key);
    }
}

static int compare_rows(struct db *db, const struct rebuilt *r, struct ledger_verdict *verdict,
                        struct err *err)
{
    autofree uint8_t *chains = xcalloc((size_t)r->head.ordinal + 1, SHA256_BYTES);
    struct comparing comparing = {r, verdict, chains};
    if (store_segment_all(db, compare_row, &comparing, err) != 0)
        return -1;
    if ((size_t)verdict->segments < r->count)
        differ(verdict, "segment %" PRId64 " is missing", verdict->segments + 1);
    if (!verdict->difference[0])
        check_chain(r, chains, verdict);
    return 0;
}

/* ---- all ---- */

static int rebuild(struct db *db, struct rebuilt *r, struct ledger_verdict *verdict,
                   struct err *err)
{
    struct seal before = {0}, seal;
    struct ledger_verdict seals = {0}; /* told only if no row explains more */
    int64_t at = INT64_MIN;
    int rc;
    while ((rc = store_seal_next(db, at, &seal, err)) == 1 && follows(&before, &seal, verdict)) {
        if (check_seal(db, r, &before, &seal, &seals, err) != 0)
            return -1;
        check_seal_head(r, &seal, &seals);
        before = seal;
        at = seal.key;
        verdict->seals++;
    }
    verdict->sealed_ms = before.until_ms;
    sha256_text(before.chain, verdict->chain);
    if (rc < 0 || check_end(db, "seal", before.key, verdict, err) != 0)
        return -1;
    if (verdict->difference[0])
        return 0;
    if (compare_rows(db, r, verdict, err) != 0 || check_segment_forms(db, verdict, err) != 0)
        return -1;
    if (seals.difference[0])
        differ(verdict, "%s", seals.difference);
    return 0;
}

static int verify(struct db *db, struct ledger_verdict *verdict, struct err *err)
{
    struct rebuilt rebuilt = {0};
    if (check_observations(db, verdict, err) != 0)
        return -1;
    int rc = verdict->difference[0] ? 0 : rebuild(db, &rebuilt, verdict, err);
    rebuilt_release(&rebuilt);
    return rc;
}

int ledger_verify(struct db *db, struct ledger_verdict *ret_verdict, struct err *err)
{
    *ret_verdict = (struct ledger_verdict){0};
    if (db_read_begin(db, err) != 0)
        return -1;
    int rc = verify(db, ret_verdict, err);
    db_read_end(db);
    return rc;
}
