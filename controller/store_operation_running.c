/* Running operations, by the index that holds only those. */
#include <stdio.h>

#include "api/err.h"
#include "controller/db.h"
#include "controller/operation_rules.h"

int store_operation_running(struct db *db, int64_t instance_key, struct operation_running *items,
                            int max, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT key, generation, kind, forced FROM operation WHERE instance_key = ?"
                    " AND state = 0 ORDER BY key LIMIT ?");
    stmt_bind(stmt, "ii", instance_key, (int64_t)max);
    int count = 0, rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct operation_running *item = &items[count++];
        item->key = stmt_i64(stmt, 0);
        item->generation = stmt_i64(stmt, 1);
        snprintf(item->kind, sizeof(item->kind), "%s", stmt_text(stmt, 2));
        item->forced = stmt_i64(stmt, 3) != 0;
    }
    return rc < 0 ? -1 : count;
}

int store_operation_forced(struct db *db, int64_t instance_key, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "UPDATE operation SET forced = 1 WHERE instance_key = ? AND state = 0"
                    " AND kind IN ('stop', 'reboot')");
    stmt_bind(stmt, "i", instance_key);
    return stmt_run(stmt, err);
}

int store_operation_all_running(struct db *db, operation_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT key, timeout_ms FROM operation WHERE state = 0");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1)
        each(ctx, stmt_i64(stmt, 0), stmt_i64(stmt, 1));
    return rc;
}

int store_operation_instance(struct db *db, int64_t key, int64_t *ret_instance_key, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT instance_key FROM operation WHERE key = ? AND state = 0");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_instance_key = stmt_i64(stmt, 0);
    return rc;
}
