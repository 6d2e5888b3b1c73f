/* Rows of quarantined domains, and who holds a number. */
#include <stdio.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "controller/db/db.h"
#include "controller/placement/store_node.h"

/* As the sums over rows count it (store_hosts.c). */
static int64_t amount(struct stmt *stmt, int column)
{
    int64_t value = stmt_i64(stmt, column);
    return value < LIMIT_HOST_AMOUNT ? value : LIMIT_HOST_AMOUNT;
}

int store_quarantine_list(struct db *db, int64_t node_key, quarantined_each *each, void *ctx,
                          struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT domain, name, state, vcpus, memory_mib, disk_gib, uid, address"
                    " FROM quarantine WHERE node_key = ? ORDER BY domain");
    stmt_bind(stmt, "i", node_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct quarantined row = {
            .domain = stmt_text(stmt, 0),
            .name = stmt_text(stmt, 1),
            .state = (int)stmt_i64(stmt, 2),
            .sizes = {amount(stmt, 3), amount(stmt, 4), amount(stmt, 5)},
            .uid = stmt_i64(stmt, 6),
            .address = stmt_text(stmt, 7),
        };
        each(ctx, &row);
    }
    return rc;
}

int store_quarantine_put(struct db *db, int64_t node_key, const struct quarantined *row,
                         int64_t now_ms, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "INSERT INTO quarantine (node_key, domain, name, state, vcpus, memory_mib, disk_gib,"
            " uid, address, first_seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (node_key, domain) DO UPDATE SET name = excluded.name,"
            " state = excluded.state, vcpus = excluded.vcpus, memory_mib = excluded.memory_mib,"
            " disk_gib = excluded.disk_gib, uid = excluded.uid, address = excluded.address");
    stmt_bind(stmt, "ittiiiizti", node_key, row->domain, row->name, (int64_t)row->state,
              row->sizes.vcpus, row->sizes.memory_mib, row->sizes.disk_gib, row->uid, row->address,
              now_ms);
    return stmt_run(stmt, err);
}

int store_quarantine_remove(struct db *db, int64_t node_key, const char *domain, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "DELETE FROM quarantine WHERE node_key = ? AND domain = ?");
    stmt_bind(stmt, "it", node_key, domain);
    return stmt_run(stmt, err);
}

int store_quarantine_twin(struct db *db, int64_t instance_key, char *ret_text, size_t size,
                          struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT q.domain, n.name, q.uid = i.uid FROM instance i JOIN quarantine q"
                    " ON q.node_key = i.node_key JOIN node n ON n.key = q.node_key"
                    " WHERE i.key = ? AND (q.uid = i.uid"
                    " OR q.address IN (SELECT address FROM interface WHERE instance_key = i.key"
                    "                  AND released_ms IS NULL)) LIMIT 1");
    stmt_bind(stmt, "i", instance_key);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        snprintf(ret_text, size, "domain %s on node %s holds its %s", stmt_text(stmt, 0),
                 stmt_text(stmt, 1), stmt_i64(stmt, 2) ? "user id" : "address");
    return rc;
}
