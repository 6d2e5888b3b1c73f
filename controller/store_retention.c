/* Removes what is past its time, a little at a time, so that no group waits long. */
#include "api/clock.h"
#include "api/limits.h"
#include "controller/db.h"
#include "controller/retention.h"
#include "controller/writer.h"

enum { BATCH = 2000 };

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
    stmt_bind(stmt, "ii", tx->now_ms - IDEMPOTENCY_KEEP_SECONDS * 1000LL, (int64_t)BATCH);
    if (stmt_run(stmt, err) != 0)
        return -1;
    *ret_more |= db_changes(tx->db) == BATCH;
    return 0;
}

int retention_prune(struct tx *tx, int64_t event_keep, bool *ret_more, struct err *err)
{
    *ret_more = false;
    if (event_keep > 0 && prune_events(tx, event_keep, ret_more, err) != 0)
        return -1;
    return prune_answers(tx, ret_more, err);
}
