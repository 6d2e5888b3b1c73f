/* Rows of the ledger; see store_segment.h. */
#include "controller/ledger/book/store_segment.h"

#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/db/db.h"

#define FIELDS                                                                                    \
    " s.key, s.ordinal, s.seal_key, s.kind, s.sign, s.reverses, s.corrects_until_ms, s.resource," \
    " s.resource_key, s.project_key, s.node_key, s.flavor_key, s.run, s.start_ms, s.origin_ms,"   \
    " s.end_ms, s.close_seal_key, s.verified, s.amount0, s.amount1, s.amount2, s.chain"
#define COLUMNS FIELDS " FROM segment s "

/* As of a seal: closed only if that seal, or one before, closed it. */
static struct segment read_row(struct stmt *stmt, int64_t seal_key)
{
    struct segment s = {
        .key = stmt_i64(stmt, 0),
        .ordinal = stmt_i64(stmt, 1),
        .seal_key = stmt_i64(stmt, 2),
        .kind = (int)stmt_i64(stmt, 3),
        .sign = (int)stmt_i64(stmt, 4),
        .reverses = stmt_i64(stmt, 5),
        .correction = stmt_i64(stmt, 6) != 0,
        .corrects_until_ms = stmt_i64(stmt, 6),
        .resource = (int)stmt_i64(stmt, 7),
        .resource_key = stmt_i64(stmt, 8),
        .project_key = stmt_i64(stmt, 9),
        .node_key = stmt_i64(stmt, 10),
        .flavor_key = stmt_i64(stmt, 11),
        .run = stmt_i64(stmt, 12),
        .start_ms = stmt_i64(stmt, 13),
        .origin_ms = stmt_i64(stmt, 14),
        .end_ms = stmt_i64(stmt, 15),
        .verified = stmt_i64(stmt, 17) != 0,
        .amounts = {stmt_i64(stmt, 18), stmt_i64(stmt, 19), stmt_i64(stmt, 20)},
    };
    if (!s.end_ms || stmt_i64(stmt, 16) > seal_key) {
        s.open = s.verified = true;
        s.end_ms = s.ordinal = 0;
    }
    return s;
}

/* ---- chain ---- */

void segment_chain(const uint8_t before[SHA256_BYTES], const struct segment *s,
                   uint8_t ret_chain[SHA256_BYTES])
{
    const int64_t numbers[] = {
        s->key,       s->ordinal,           s->seal_key, s->kind,         s->sign,
        s->reverses,  s->corrects_until_ms, s->resource, s->resource_key, s->project_key,
        s->node_key,  s->flavor_key,        s->run,      s->start_ms,     s->origin_ms,
        s->end_ms,    s->close_seal_key,    s->verified, s->amounts[0],   s->amounts[1],
        s->amounts[2]};
    auto_buf struct buf whole = {0};
    buf_add(&whole, before, SHA256_BYTES);
    buf_puts(&whole, "segment");
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        buf_putc(&whole, '\n');
        buf_i64(&whole, numbers[i]);
    }
    sha256(whole.data, whole.len, ret_chain);
}

int store_segment_head(struct db *db, struct segment_head *ret_head, struct err *err)
{
    size_t len = 0;
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT ordinal, chain FROM segment WHERE ordinal IS NOT NULL"
                    " ORDER BY ordinal DESC LIMIT 1");
    *ret_head = (struct segment_head){0};
    int rc = stmt_step(stmt, err);
    if (rc == 1) {
        ret_head->ordinal = stmt_i64(stmt, 0);
        const void *chain = stmt_blob(stmt, 1, &len);
        memcpy(ret_head->chain, chain, len < SHA256_BYTES ? len : SHA256_BYTES);
    }
    return rc < 0 ? -1 : 0;
}

/* ---- writing ---- */

static int close_row(struct db *db, const struct segment *s, const uint8_t *chain, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "UPDATE segment SET end_ms = ?, verified = ?, ordinal = ?, chain = ?,"
                    " close_seal_key = ? WHERE key = ?");
    stmt_bind(stmt, "iiibii", s->end_ms, (int64_t)s->verified, s->ordinal, chain,
              (size_t)SHA256_BYTES, s->close_seal_key, s->key);
    if (stmt_run(stmt, err) != 0)
        return -1;
    if (db_changes(db) != 1)
        return err_set(err, ERR_INTERNAL, "segment %lld is not there to be closed",
                       (long long)s->key);
    return 0;
}

static int insert(struct db *db, const struct segment *s, const uint8_t *chain, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        db, "INSERT INTO segment (key, ordinal, seal_key, close_seal_key, kind, sign, reverses,"
            " corrects_until_ms, resource, resource_key, project_key, node_key, flavor_key, run,"
            " start_ms, origin_ms, end_ms, verified, amount0, amount1, amount2, chain)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    stmt_bind(stmt, "iziziiziiiizziiiziiiib", s->key, s->ordinal, s->seal_key, s->close_seal_key,
              (int64_t)s->kind, (int64_t)s->sign, s->reverses, s->corrects_until_ms,
              (int64_t)s->resource, s->resource_key, s->project_key, s->node_key, s->flavor_key,
              s->run, s->start_ms, s->origin_ms, s->open ? (int64_t)0 : s->end_ms,
              (int64_t)s->verified, s->amounts[0], s->amounts[1], s->amounts[2],
              s->open ? NULL : chain, (size_t)SHA256_BYTES);
    return stmt_run(stmt, err);
}

static int next_key(struct db *db, int64_t *ret_key, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT coalesce((SELECT max(key) FROM segment), 0) + 1");
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_key = stmt_i64(stmt, 0);
    return 0;
}

/* The columns that the row already has count into its hash: they are read back. */
static int whole_row(struct db *db, struct segment *s, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT" COLUMNS "WHERE s.key = ?");
    struct segment closed = *s;
    stmt_bind(stmt, "i", s->key);
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc < 0 ? -1
                      : err_set(err, ERR_INTERNAL, "segment %lld is not there", (long long)s->key);
    *s = read_row(stmt, 0);
    s->open = false;
    s->end_ms = closed.end_ms;
    s->verified = closed.verified;
    return 0;
}

int store_segment_change(struct db *db, struct change *change, int64_t seal_key,
                         struct segment_head *head, struct err *err)
{
    struct segment *s = &change->segment;
    uint8_t chain[SHA256_BYTES];
    if (change->closes ? whole_row(db, s, err) != 0 : next_key(db, &s->key, err) != 0)
        return -1;
    if (!change->closes)
        s->seal_key = seal_key;
    if (!s->open) {
        s->ordinal = head->ordinal + 1;
        s->close_seal_key = seal_key;
        segment_chain(head->chain, s, chain);
        head->ordinal++;
        memcpy(head->chain, chain, sizeof(chain));
    }
    return change->closes ? close_row(db, s, chain, err) : insert(db, s, chain, err);
}

/* ---- reading ---- */

static int each_row(struct stmt *stmt, int64_t seal_key, segment_each *each, void *ctx,
                    struct err *err)
{
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct segment segment = read_row(stmt, seal_key);
        each(ctx, &segment);
    }
    return rc;
}

static void append(void *ctx, const struct segment *segment)
{
    segments_add(ctx, segment);
}

#define LIVE                                                                   \
    " AND s.seal_key <= ?3 AND s.key <= ?4 AND s.start_ms < ?5 AND s.sign = 1" \
    " AND NOT EXISTS (SELECT 1 FROM segment r WHERE r.reverses = s.key"        \
    " AND r.seal_key <= ?3 AND r.key <= ?4)"

int store_segment_live(struct db *db, const struct segment_query *query, struct segments *ret_rows,
                       struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT" COLUMNS "WHERE s.resource = ?1 AND s.resource_key = ?2"
                    " AND s.kind <> 4" LIVE " UNION ALL SELECT" COLUMNS
                    "WHERE s.resource = ?1 AND s.resource_key = ?2 AND s.kind = 4"
                    " AND s.start_ms >= ?6" LIVE);
    stmt_bind(stmt, "iiiiii", (int64_t)query->resource, query->resource_key, query->seal_key,
              query->last_key, query->until_ms, query->counted_from_ms);
    return each_row(stmt, query->seal_key, append, ret_rows, err);
}

static int rows_of(void *ctx, int resource, int64_t resource_key, int64_t counted_from_ms,
                   struct segments *ret_rows, struct err *err)
{
    const struct db_books *at = ctx;
    struct segment_query query = {.seal_key = at->seal_key,
                                  .last_key = INT64_MAX,
                                  .until_ms = INT64_MAX,
                                  .resource = resource,
                                  .resource_key = resource_key,
                                  .counted_from_ms = counted_from_ms};
    return store_segment_live(at->db, &query, ret_rows, err);
}

/* Those that a later seal closed were open then; the first condition is that of their index. */
#define CLOSED_LATER " s.close_seal_key > s.seal_key AND s.close_seal_key > ?1 AND s.seal_key <= ?1"

static int open_nodes(void *ctx, void (*each)(void *ctx, int64_t node_key), void *each_ctx,
                      struct err *err)
{
    const struct db_books *at = ctx;
    auto_stmt struct stmt *stmt =
        db_stmt(at->db, "SELECT DISTINCT node_key FROM segment WHERE end_ms IS NULL UNION"
                        " SELECT DISTINCT s.node_key FROM segment s WHERE" CLOSED_LATER);
    stmt_bind(stmt, "i", at->seal_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1)
        each(each_ctx, stmt_i64(stmt, 0));
    return rc;
}

static int open_rows(void *ctx, int64_t node_key, segment_each *each, void *each_ctx,
                     struct err *err)
{
    const struct db_books *at = ctx;
    auto_stmt struct stmt *open =
        db_stmt(at->db, "SELECT" COLUMNS "WHERE s.end_ms IS NULL AND s.node_key IS ?"
                        " AND s.seal_key <= ?");
    stmt_bind(open, "zi", node_key, at->seal_key);
    if (each_row(open, at->seal_key, each, each_ctx, err) != 0)
        return -1;
    auto_stmt struct stmt *closed_later =
        db_stmt(at->db, "SELECT" COLUMNS "WHERE" CLOSED_LATER " AND s.node_key IS ?2");
    stmt_bind(closed_later, "iz", at->seal_key, node_key);
    return each_row(closed_later, at->seal_key, each, each_ctx, err);
}

struct books books_of_db(struct db_books *at)
{
    return (struct books){
        .ctx = at, .rows = rows_of, .open_nodes = open_nodes, .open_rows = open_rows};
}

int store_segment_open(struct db *db, int64_t seal_key, segment_each *each, void *ctx,
                       struct err *err)
{
    /* Without the names of the indexes all rows would be read, as they lie in that order. */
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT" COLUMNS "INDEXED BY segment_open WHERE s.end_ms IS NULL"
                    " AND s.seal_key <= ?1 UNION ALL SELECT" COLUMNS
                    "INDEXED BY segment_closed WHERE" CLOSED_LATER " ORDER BY 1");
    stmt_bind(stmt, "i", seal_key);
    return each_row(stmt, seal_key, each, ctx, err);
}

/* What reading a row makes equal, or leaves out: two values that both count as true, a number
 * too large for its kind, nothing and zero. */
#define FORMS                                                                      \
    " s.kind BETWEEN 0 AND 5 AND s.sign IN (-1, 1) AND s.resource IN (0, 1)"       \
    " AND s.verified IN (0, 1) AND coalesce(s.reverses, 1) <> 0"                   \
    " AND coalesce(s.node_key, 1) <> 0 AND coalesce(s.flavor_key, 1) <> 0"         \
    " AND coalesce(s.end_ms, 1) <> 0 AND (s.end_ms IS NULL) = (s.ordinal IS NULL)" \
    " AND (s.end_ms IS NULL) = (s.chain IS NULL)"                                  \
    " AND (s.end_ms IS NULL) = (s.close_seal_key IS NULL)"

int store_segment_row(struct db *db, int64_t key, struct segment_row *ret_row, struct err *err)
{
    size_t len = 0;
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT" FIELDS "," FORMS " FROM segment s WHERE s.key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc;
    *ret_row = (struct segment_row){.segment = read_row(stmt, INT64_MAX)};
    ret_row->segment.close_seal_key = stmt_i64(stmt, 16);
    ret_row->segment.verified = stmt_i64(stmt, 17) != 0;
    ret_row->sound = stmt_i64(stmt, 22) == 1;
    const void *chain = stmt_blob(stmt, 21, &len);
    ret_row->chained = chain && len == SHA256_BYTES;
    if (ret_row->chained)
        memcpy(ret_row->chain, chain, SHA256_BYTES);
    return 1;
}

int store_segment_next(struct db *db, int64_t key, int64_t *ret_key, int64_t *ret_seal_key,
                       struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key, seal_key FROM segment WHERE key >= ? ORDER BY key LIMIT 1");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc == 1) {
        *ret_key = stmt_i64(stmt, 0);
        *ret_seal_key = stmt_i64(stmt, 1);
    }
    return rc;
}

int store_segment_last_key_at(struct db *db, int64_t seal_key, int64_t *ret_key, struct err *err)
{
    int64_t low = 0, high, key, of_seal = 0;
    if (store_segment_last_key(db, &high, err) != 0)
        return -1;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        int rc = store_segment_next(db, middle, &key, &of_seal, err);
        if (rc < 0)
            return -1;
        if (rc == 1 && of_seal <= seal_key)
            low = middle;
        else
            high = middle - 1;
    }
    *ret_key = low;
    return 0;
}

int store_segment_between(struct db *db, const struct ledger_filter *filter, int64_t seal_key,
                          segment_each *each, void *ctx, struct err *err)
{
    int64_t from = month_floor(filter->from_ms);
    if (filter->project_key) {
        auto_stmt struct stmt *stmt =
            db_stmt(db, "SELECT" COLUMNS "WHERE s.project_key = ? AND s.start_ms >= ?"
                        " AND s.start_ms < ? AND s.seal_key <= ? ORDER BY s.start_ms");
        stmt_bind(stmt, "iiii", filter->project_key, from, filter->to_ms, seal_key);
        return each_row(stmt, seal_key, each, ctx, err);
    }
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT" COLUMNS "WHERE s.start_ms >= ? AND s.start_ms < ?"
                    " AND s.seal_key <= ? ORDER BY s.start_ms");
    stmt_bind(stmt, "iii", from, filter->to_ms, seal_key);
    return each_row(stmt, seal_key, each, ctx, err);
}

int store_segment_started(struct db *db, int64_t after_key, const struct ledger_filter *filter,
                          segment_while *each, void *ctx, struct err *err)
{
    /* New rows are few and stand at the end of the table; all of a month's stand in an index. */
    const char *sql = "SELECT" COLUMNS "NOT INDEXED WHERE s.key > ? AND s.start_ms >= ?"
                      " AND s.start_ms < ? AND (?4 = 0 OR s.project_key = ?4)";
    if (!after_key && filter->project_key)
        sql = "SELECT" COLUMNS "INDEXED BY segment_project WHERE s.key > ? AND s.start_ms >= ?"
              " AND s.start_ms < ? AND s.project_key = ?";
    else if (!after_key)
        sql = "SELECT" COLUMNS "INDEXED BY segment_time WHERE s.key > ? AND s.start_ms >= ?"
              " AND s.start_ms < ? AND ? = 0";
    auto_stmt struct stmt *stmt = db_stmt(db, sql);
    stmt_bind(stmt, "iiii", after_key, filter->from_ms, filter->to_ms, filter->project_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct segment segment = read_row(stmt, INT64_MAX);
        segment.close_seal_key = stmt_i64(stmt, 16);
        if (!each(ctx, &segment))
            return 0;
    }
    return rc;
}

int store_segment_last_key(struct db *db, int64_t *ret_key, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT coalesce(max(key), 0) FROM segment");
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_key = stmt_i64(stmt, 0);
    return 0;
}
