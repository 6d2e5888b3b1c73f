/* Rows of networks. */
#include "controller/network/store_network.h"

#include "api/base/err.h"
#include "controller/db/db.h"

#define NETWORK_SELECT                                                                        \
    "SELECT n.key, n.id, n.name, p.name, n.cidr, n.gateway, n.nat, n.generation, n.revision," \
    " n.created_ms FROM network n JOIN project p ON p.key = n.project_key "

static void read_row(struct stmt *stmt, struct network *row)
{
    *row = (struct network){
        .key = stmt_i64(stmt, 0),
        .id = stmt_text(stmt, 1),
        .name = stmt_text(stmt, 2),
        .project = stmt_text(stmt, 3),
        .cidr = stmt_text(stmt, 4),
        .gateway = stmt_text(stmt, 5),
        .nat = stmt_i64(stmt, 6) != 0,
        .generation = stmt_i64(stmt, 7),
        .revision = stmt_i64(stmt, 8),
        .created_ms = stmt_i64(stmt, 9),
    };
}

int store_network_insert(struct db *db, int64_t project_key, const struct network *network,
                         int64_t now_ms, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "INSERT INTO network (id, project_key, name, cidr, gateway, nat, public, revision,"
            " created_ms) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)");
    stmt_bind(stmt, "titttiii", network->id, project_key, network->name, network->cidr,
              network->gateway, (int64_t)network->nat, network->revision, now_ms);
    return stmt_run(stmt, err);
}

int store_network_get(struct db *db, int64_t key, network_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, NETWORK_SELECT "WHERE n.key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "there is no such network");
    struct network row;
    read_row(stmt, &row);
    each(ctx, &row);
    return 0;
}

int store_network_list(struct db *db, int64_t project_key, struct window *window,
                       network_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, NETWORK_SELECT "WHERE n.deleted_ms IS NULL AND n.key > ?1 AND (?2 = 0 OR n.public = 1"
                           " OR n.project_key = ?2) ORDER BY n.key LIMIT ?3");
    stmt_bind(stmt, "iii", window->after_key, project_key, window->limit + 1);
    int64_t count = 0;
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (count++ == window->limit) {
            window->more = true;
            return 0;
        }
        struct network row;
        read_row(stmt, &row);
        window->last_key = row.key;
        each(ctx, &row);
    }
    return rc;
}

int store_network_of_node(struct db *db, int64_t node_key, network_each *each, void *ctx,
                          struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, NETWORK_SELECT "WHERE n.key IN (SELECT f.network_key FROM interface f JOIN instance i"
                           " ON i.key = f.instance_key WHERE i.node_key = ? AND i.gone_ms IS NULL"
                           " AND f.released_ms IS NULL) ORDER BY n.key");
    stmt_bind(stmt, "i", node_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct network row;
        read_row(stmt, &row);
        each(ctx, &row);
    }
    return rc;
}
