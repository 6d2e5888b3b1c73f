/* Removes what is past its time, a little at a time, so that no group waits long. Each batch is
 * one transaction and leaves rows that fit together: the next one, or the next start, goes on. */
#include "api/base/clock.h"
#include "api/base/limits.h"
#include "controller/db/db.h"
#include "controller/tx/retention.h"
#include "controller/tx/writer.h"

/* Rows of one kind in one go: a millisecond or two for all kinds. */
enum { BATCH = 100 };
#define OPERATION_KEEP_MS (30 * 24 * 3600 * 1000LL)

/* ---- logs ---- */

static int run_batch(struct tx *tx, struct stmt *stmt, int64_t batch, bool *ret_more,
                     struct err *err)
{
    if (stmt_run(stmt, err) != 0)
        return -1;
    /* A few that must stay may stand among them. */
    *ret_more |= db_changes(tx->db) > batch / 2;
    return 0;
}

/* By revision: the log is dense enough that its range is its count. */
static int prune_events(struct tx *tx, int64_t keep, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        tx->db, "DELETE FROM event WHERE revision IN (SELECT revision FROM event WHERE revision <="
                " (SELECT max(revision) FROM event) - ? ORDER BY revision LIMIT ?)");
    stmt_bind(stmt, "ii", keep, (int64_t)BATCH);
    return run_batch(tx, stmt, BATCH, ret_more, err);
}

static int prune_answers(struct tx *tx, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency"
                        " WHERE created_ms < ? ORDER BY created_ms LIMIT ?)");
    stmt_bind(stmt, "ii", tx->aged_ms - IDEMPOTENCY_KEEP_SECONDS * 1000LL, (int64_t)BATCH);
    return run_batch(tx, stmt, BATCH, ret_more, err);
}

/* Keys grow with time: the oldest stand first, and no index by time is needed. */
static int prune_audit(struct tx *tx, int64_t keep_ms, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "DELETE FROM audit WHERE key IN (SELECT key FROM audit ORDER BY key"
                        " LIMIT ?2) AND time_ms < ?1");
    stmt_bind(stmt, "ii", tx->aged_ms - keep_ms, (int64_t)BATCH);
    return run_batch(tx, stmt, BATCH, ret_more, err);
}

static int prune_operations(struct tx *tx, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "DELETE FROM operation WHERE key IN (SELECT key FROM operation ORDER BY key"
                        " LIMIT ?2) AND state <> 0 AND finished_ms < ?1");
    stmt_bind(stmt, "ii", tx->aged_ms - OPERATION_KEEP_MS, (int64_t)BATCH);
    return run_batch(tx, stmt, BATCH, ret_more, err);
}

/* ---- instances ---- */

static int run_for(struct db *db, const char *sql, int64_t key, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, sql);
    stmt_bind(stmt, "i", key);
    return stmt_run(stmt, err);
}

/* The one that has been gone for longest. 1: there is one; 0; -1. */
static int next_gone(struct db *db, int64_t before_ms, int64_t *ret_key, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT i.key FROM instance i INDEXED BY instance_gone WHERE i.gone_ms < ?"
                    " AND i.gone_ms IS NOT NULL AND NOT EXISTS (SELECT 1 FROM operation o WHERE"
                    "  o.instance_key = i.key AND o.state = 0) ORDER BY i.gone_ms LIMIT 1");
    stmt_bind(stmt, "i", before_ms);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_key = stmt_i64(stmt, 0);
    return rc;
}

/* Of these there may be any number: no more than are left to do. */
static int drop_some(struct db *db, const char *sql, int64_t key, int64_t *left, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, sql);
    stmt_bind(stmt, "ii", key, *left);
    if (stmt_run(stmt, err) != 0)
        return -1;
    *left -= db_changes(db);
    return 0;
}

/* What bills and proofs need of it stays. */
static int drop_instance(struct db *db, int64_t key, struct err *err)
{
    static const char *const steps[] = {
        "DELETE FROM instance_seed WHERE instance_key = ?",
        "DELETE FROM interface WHERE instance_key = ?",
        "INSERT INTO instance_past (key, id, project_key, name, labels, node_key, flavor_key, "
        "vcpus,"
        " memory_mib, generation) SELECT key, id, project_key, name, nullif(labels, '{}'), "
        "node_key,"
        " flavor_key, vcpus, memory_mib, generation FROM instance WHERE key = ?",
        "DELETE FROM instance WHERE key = ?",
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (run_for(db, steps[i], key, err) != 0)
            return -1;
    }
    return 0;
}

static int prune_instances(struct tx *tx, int64_t before_ms, bool *ret_more, struct err *err)
{
    enum { ROWS = 5 }; /* besides operations and flavors */
    int64_t key, left = BATCH;
    int rc = 1;
    while (left > 0 && (rc = next_gone(tx->db, before_ms, &key, err)) == 1) {
        if (drop_some(tx->db,
                      "DELETE FROM operation WHERE key IN (SELECT key FROM operation"
                      " WHERE instance_key = ? ORDER BY key LIMIT ?)",
                      key, &left, err) != 0 ||
            drop_some(tx->db,
                      "DELETE FROM instance_flavor_past WHERE key IN (SELECT key FROM"
                      " instance_flavor_past WHERE instance_key = ? ORDER BY key LIMIT ?)",
                      key, &left, err) != 0)
            return -1;
        if (left > 0 && drop_instance(tx->db, key, err) != 0)
            return -1;
        left -= ROWS;
    }
    *ret_more |= rc == 1;
    return rc < 0 ? -1 : 0;
}

/* ---- images, tokens, keys ---- */

/* Once its file is gone and no instance names it any more. */
static int next_image(struct db *db, int64_t before_ms, int64_t *ret_key, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT m.key FROM image m INDEXED BY image_deleted WHERE m.deleted_ms < ?1"
                    " AND m.deleted_ms IS NOT NULL AND m.file_gone_ms < ?1 AND NOT EXISTS"
                    " (SELECT 1 FROM instance i WHERE i.image_key = m.key)"
                    " ORDER BY m.deleted_ms LIMIT 1");
    stmt_bind(stmt, "i", before_ms);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_key = stmt_i64(stmt, 0);
    return rc;
}

static int prune_images(struct tx *tx, int64_t before_ms, bool *ret_more, struct err *err)
{
    int64_t key;
    int rc = 1;
    for (int i = 0; i < BATCH / 5 && (rc = next_image(tx->db, before_ms, &key, err)) == 1; i++) {
        if (run_for(tx->db,
                    "INSERT INTO image_past (key, id, project_key, name, labels) SELECT key, id,"
                    " project_key, name, nullif(labels, '{}') FROM image m WHERE key = ? AND EXISTS"
                    " (SELECT 1 FROM observation o WHERE o.resource_id = m.id AND"
                    "  o.resource_id <> '')",
                    key, err) != 0 ||
            run_for(tx->db, "DELETE FROM image WHERE key = ?", key, err) != 0)
            return -1;
    }
    *ret_more |= rc == 1;
    return rc < 0 ? -1 : 0;
}

/* Nothing may point at it any more; what does goes after a while of its own. */
static int prune_tokens(struct tx *tx, int64_t before_ms, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        tx->db, "DELETE FROM token WHERE key IN (SELECT t.key FROM token t INDEXED BY token_deleted"
                " WHERE t.deleted_ms < ? AND t.deleted_ms IS NOT NULL AND NOT EXISTS"
                " (SELECT 1 FROM idempotency a WHERE a.token_key = t.key) AND NOT EXISTS"
                " (SELECT 1 FROM operation o WHERE o.token_key = t.key)"
                " ORDER BY t.deleted_ms LIMIT ?)");
    stmt_bind(stmt, "ii", before_ms, (int64_t)BATCH);
    return run_batch(tx, stmt, BATCH, ret_more, err);
}

static int prune_keys(struct tx *tx, int64_t before_ms, bool *ret_more, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "DELETE FROM ssh_key WHERE key IN (SELECT key FROM ssh_key INDEXED BY"
                        " ssh_key_deleted WHERE deleted_ms < ? AND deleted_ms IS NOT NULL"
                        " ORDER BY deleted_ms LIMIT ?)");
    stmt_bind(stmt, "ii", before_ms, (int64_t)BATCH);
    return run_batch(tx, stmt, BATCH, ret_more, err);
}

static int prune_deleted(struct tx *tx, int64_t before_ms, bool *ret_more, struct err *err)
{
    if (prune_instances(tx, before_ms, ret_more, err) != 0 ||
        prune_images(tx, before_ms, ret_more, err) != 0 ||
        prune_tokens(tx, before_ms, ret_more, err) != 0)
        return -1;
    return prune_keys(tx, before_ms, ret_more, err);
}

int retention_prune(struct tx *tx, const struct retention *keep, bool *ret_more, struct err *err)
{
    *ret_more = false;
    if ((keep->events > 0 && prune_events(tx, keep->events, ret_more, err) != 0) ||
        (keep->audit_ms > 0 && prune_audit(tx, keep->audit_ms, ret_more, err) != 0) ||
        prune_operations(tx, ret_more, err) != 0 || prune_answers(tx, ret_more, err) != 0)
        return -1;
    return keep->deleted_ms > 0 ? prune_deleted(tx, tx->aged_ms - keep->deleted_ms, ret_more, err)
                                : 0;
}
