/* Rows of what hosts said is amiss with them. */
#include "api/base/err.h"
#include "controller/db/db.h"
#include "controller/placement/store_node.h"

int store_condition_list(struct db *db, int64_t node_key, condition_each *each, void *ctx,
                         struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT code, text, since_ms FROM node_condition WHERE node_key = ?"
                    " ORDER BY code");
    stmt_bind(stmt, "i", node_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct condition row = {
            .code = stmt_text(stmt, 0), .text = stmt_text(stmt, 1), .since_ms = stmt_i64(stmt, 2)};
        each(ctx, &row);
    }
    return rc;
}

int store_condition_put(struct db *db, int64_t node_key, const struct condition *row,
                        struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "INSERT INTO node_condition (node_key, code, text, since_ms)"
                    " VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (node_key, code) DO UPDATE SET text = excluded.text");
    stmt_bind(stmt, "itti", node_key, row->code, row->text, row->since_ms);
    return stmt_run(stmt, err);
}

int store_condition_remove(struct db *db, int64_t node_key, const char *code, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "DELETE FROM node_condition WHERE node_key = ? AND code = ?");
    stmt_bind(stmt, "it", node_key, code);
    return stmt_run(stmt, err);
}
