/* Removes what is past its time, a little at a time, so that no group waits long. */
#include "api/clock.h"
#include "api/limits.h"
#include "controller/db.h"
#include "controller/retention.h"
#include "controller/writer.h"

enum { BATCH = 2000 };
#define OPERATION_KEEP_MS (30 * 24 * 3600 * 1000LL)

/* By revision: the log is dense enough that its range is its count. */
static int prune_events(struct tx *tx, int64_t keep, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        tx->db, "DELETE FROM event WHERE revision IN (SELECT revision FROM event WHERE revision <="
                " (SELECT max(revision) FROM event) - ? ORDER BY revision LIMIT ?)");
    stmt_bind(stmt, "ii", keep, (int64_t)BATCH);
    if (stmt_run(stmt, err) != 0)
        return -1;
    *ret_more |= db_changes(tx->db) == BATCH;
    return 0;
}

static int prune_answers(struct tx *tx, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency"
                        " WHERE created_ms < ? ORDER BY created_ms LIMIT ?)");
    stmt_bind(stmt, "ii", tx->aged_ms - IDEMPOTENCY_KEEP_SECONDS * 1000LL, (int64_t)BATCH);
    if (stmt_run(stmt, err) != 0)
        return -1;
    *ret_more |= db_changes(tx->db) == BATCH;
    return 0;
}

/* Keys grow with time, so the first young row ends the search: no index is needed. */
static int prune_audit(struct tx *tx, int64_t keep_ms, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        tx->db, "DELETE FROM audit WHERE key IN (SELECT key FROM audit WHERE key < coalesce("
                " (SELECT key FROM audit WHERE time_ms >= ?1 ORDER BY key LIMIT 1),"
                "  9223372036854775807) ORDER BY key LIMIT ?2)");
    stmt_bind(stmt, "ii", tx->aged_ms - keep_ms, (int64_t)BATCH);
    if (stmt_run(stmt, err) != 0)
        return -1;
    *ret_more |= db_changes(tx->db) == BATCH;
    return 0;
}

static int prune_operations(struct tx *tx, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        tx->db,
        "DELETE FROM operation WHERE key IN (SELECT key FROM operation WHERE key < coalesce("
        " (SELECT key FROM operation WHERE created_ms >= ?1 ORDER BY key LIMIT 1),"
        "  9223372036854775807) AND state <> 0 AND finished_ms < ?1 ORDER BY key LIMIT ?2)");
    stmt_bind(stmt, "ii", tx->aged_ms - OPERATION_KEEP_MS, (int64_t)BATCH);
    if (stmt_run(stmt, err) != 0)
        return -1;
    *ret_more |= db_changes(tx->db) == BATCH;
    return 0;
}

int retention_prune(struct tx *tx, const struct retention *keep, bool *ret_more, struct err *err)
{
    *ret_more = false;
    if ((keep->events > 0 && prune_events(tx, keep->events, ret_more, err) != 0) ||
        (keep->audit_ms > 0 && prune_audit(tx, keep->audit_ms, ret_more, err) != 0) ||
        prune_operations(tx, ret_more, err) != 0)
        return -1;
    return prune_answers(tx, ret_more, err);
}
