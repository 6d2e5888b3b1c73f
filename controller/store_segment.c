/* Rows of the ledger; see store_segment.h. */
#include "controller/store_segment.h"

#include <string.h>

#include "api/buf.h"
#include "api/err.h"
#include "api/mem.h"
#include "controller/db.h"

/* As of a seal: closed only if that seal, or one before, closed it. */
#define COLUMNS                                                                                   \
    " s.key, s.ordinal, s.seal_key, s.kind, s.sign, s.reverses, s.corrects_until_ms, s.resource," \
    " s.resource_key, s.project_key, s.node_key, s.flavor_key, s.run, s.start_ms, s.origin_ms,"   \
    " s.end_ms, s.close_seal_key, s.verified, s.amount0, s.amount1, s.amount2, s.chain"           \
    " FROM segment s "

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

#define NOT_TAKEN_BACK \
    " AND NOT EXISTS (SELECT 1 FROM segment r WHERE r.reverses = s.key AND r.seal_key <= ?3)"

static int rows_of(void *ctx, int resource, int64_t resource_key, int64_t counted_from_ms,
                   struct segments *ret_rows, struct err *err)
{
    const struct db_books *at = ctx;
    auto_stmt struct stmt *stmt =
        db_stmt(at->db, "SELECT" COLUMNS
                        "WHERE s.resource = ?1 AND s.resource_key = ?2 AND s.seal_key <= ?3"
                        " AND s.sign = 1 AND s.kind <> 4" NOT_TAKEN_BACK " UNION ALL SELECT" COLUMNS
                        "WHERE s.resource = ?1 AND s.resource_key = ?2 AND s.seal_key <= ?3"
                        " AND s.sign = 1 AND s.kind = 4 AND s.start_ms >= ?4" NOT_TAKEN_BACK);
    stmt_bind(stmt, "iiii", (int64_t)resource, resource_key, at->seal_key, counted_from_ms);
    return each_row(stmt, at->seal_key, append, ret_rows, err);
}

/* Those that a later seal closed were open then. */
static int open_nodes(void *ctx, void (*each)(void *ctx, int64_t node_key), void *each_ctx,
                      struct err *err)
{
    const struct db_books *at = ctx;
    auto_stmt struct stmt *stmt =
        db_stmt(at->db, "SELECT DISTINCT node_key FROM segment WHERE end_ms IS NULL UNION"
                        " SELECT DISTINCT node_key FROM segment WHERE close_seal_key > ?1"
                        " AND seal_key <= ?1");
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
        db_stmt(at->db, "SELECT" COLUMNS "WHERE s.close_seal_key > ?1 AND s.seal_key <= ?1"
                        " AND s.node_key IS ?2");
    stmt_bind(closed_later, "iz", at->seal_key, node_key);
    return each_row(closed_later, at->seal_key, each, each_ctx, err);
}

struct books books_of_db(struct db_books *at)
{
    return (struct books){
        .ctx = at, .rows = rows_of, .open_nodes = open_nodes, .open_rows = open_rows};
}

int store_segment_all(struct db *db, segment_row_each *each, void *ctx, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT" COLUMNS "ORDER BY s.key");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        size_t len = 0;
        struct segment segment = read_row(stmt, INT64_MAX);
        segment.close_seal_key = stmt_i64(stmt, 16);
        segment.verified = stmt_i64(stmt, 17) != 0;
        const uint8_t *chain = stmt_null(stmt, 21) ? NULL : stmt_blob(stmt, 21, &len);
        if (chain && len != SHA256_BYTES)
            chain = NULL;
        if (each(ctx, &segment, chain, err) != 0)
            return -1;
    }
    return rc;
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
