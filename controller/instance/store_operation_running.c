/* Running operations, by the index that holds only those. */
#include <stdio.h>

#include "api/base/err.h"
#include "controller/db/db.h"
#include "controller/instance/operation_rules.h"
#include "controller/operation/operation.h"

int store_operation_running(struct db *db, int64_t instance_key, int64_t after_key,
                            struct operation_running *items, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "SELECT key, generation, kind, forced, run, id FROM operation WHERE instance_key = ?"
            " AND state = 0 AND key > ? ORDER BY key LIMIT ?");
    stmt_bind(stmt, "iii", instance_key, after_key, (int64_t)OPERATIONS_AT_ONCE);
    int count = 0, rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct operation_running *item = &items[count++];
        item->key = stmt_i64(stmt, 0);
        item->generation = stmt_i64(stmt, 1);
        snprintf(item->kind, sizeof(item->kind), "%s", stmt_text(stmt, 2));
        item->forced = stmt_i64(stmt, 3) != 0;
        item->run = stmt_i64(stmt, 4);
        snprintf(item->id, sizeof(item->id), "%s", stmt_text(stmt, 5));
    }
    return rc < 0 ? -1 : count;
}

int store_operation_same(struct db *db, int64_t instance_key, const char *kind, int64_t generation,
                         struct operation_ref *ret_operation, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT key, id FROM operation WHERE instance_key = ? AND state = 0"
                    " AND kind = ? AND generation = ? LIMIT 1");
    stmt_bind(stmt, "iti", instance_key, kind, generation);
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc;
    ret_operation->key = stmt_i64(stmt, 0);
    snprintf(ret_operation->id, sizeof(ret_operation->id), "%s", stmt_text(stmt, 1));
    return 1;
}

int store_operation_next_instance(struct db *db, int64_t node_key, int64_t after_key,
                                  int64_t *ret_instance_key, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT o.instance_key FROM operation o INDEXED BY operation_running"
                    " CROSS JOIN instance i ON i.key = o.instance_key WHERE o.state = 0"
                    " AND o.instance_key > ?1 AND i.node_key = ?2 ORDER BY o.instance_key LIMIT 1");
    stmt_bind(stmt, "ii", after_key, node_key);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_instance_key = stmt_i64(stmt, 0);
    return rc;
}

int store_operation_forced(struct db *db, int64_t key, int64_t revision, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "UPDATE operation SET forced = 1, revision = ? WHERE key = ?");
    stmt_bind(stmt, "ii", revision, key);
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
