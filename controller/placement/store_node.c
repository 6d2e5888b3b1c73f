/* Rows of nodes. */
#include "controller/placement/store_node.h"

#include <stdlib.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/placement/hosts.h"

/* clang-format off */
#define NODE_SELECT                                                                                \
    "SELECT n.key, n.id, n.name, n.host_uuid, n.schedulable, n.silent, n.cpus, n.memory_mib,"      \
    " n.disk_gib, n.virt, n.version, n.boot_id, n.protocol, n.last_seen_ms, n.revision,"           \
    " n.created_ms, n.deleted_ms FROM node n "
/* clang-format on */

static void read_row(struct stmt *stmt, struct node *row)
{
    *row = (struct node){
        .key = stmt_i64(stmt, 0),
        .id = stmt_text(stmt, 1),
        .name = stmt_text(stmt, 2),
        .host_uuid = stmt_text(stmt, 3),
        .schedulable = stmt_i64(stmt, 4) != 0,
        .silent = stmt_i64(stmt, 5) != 0,
        .capacity = {stmt_i64(stmt, 6), stmt_i64(stmt, 7), stmt_i64(stmt, 8)},
        .virt = (int)stmt_i64(stmt, 9),
        .version = stmt_text(stmt, 10),
        .boot_id = stmt_text(stmt, 11),
        .protocol = stmt_i64(stmt, 12),
        .last_seen_ms = stmt_i64(stmt, 13),
        .revision = stmt_i64(stmt, 14),
        .created_ms = stmt_i64(stmt, 15),
        .deleted_ms = stmt_i64(stmt, 16),
    };
}

static int read_used(struct db *db, struct node *row, struct err *err)
{
    struct stmt auto_stmt *live =
        db_stmt(db, "SELECT sum(min(vcpus, ?2)), sum(min(memory_mib, ?2)), sum(min(disk_gib, ?2)),"
                    " count(*) FROM instance WHERE node_key = ?1 AND gone_ms IS NULL");
    struct stmt auto_stmt *held =
        db_stmt(db, "SELECT sum(min(vcpus, ?2)), sum(min(memory_mib, ?2)), sum(min(disk_gib, ?2))"
                    " FROM quarantine WHERE node_key = ?1");
    stmt_bind(live, "ii", row->key, (int64_t)LIMIT_HOST_AMOUNT);
    stmt_bind(held, "ii", row->key, (int64_t)LIMIT_HOST_AMOUNT);
    if (stmt_step(live, err) < 0 || stmt_step(held, err) < 0)
        return -1;
    row->used.vcpus = stmt_i64(live, 0) + stmt_i64(held, 0);
    row->used.memory_mib = stmt_i64(live, 1) + stmt_i64(held, 1);
    row->used.disk_gib = stmt_i64(live, 2) + stmt_i64(held, 2);
    row->instances = stmt_i64(live, 3);
    return 0;
}

void node_release(struct node *node)
{
    free(node->owned);
    node->owned = NULL;
}

int store_node_get(struct db *db, int64_t key, struct node *ret_node, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, NODE_SELECT "WHERE n.key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "there is no such node");
    read_row(stmt, ret_node);
    const char **const fields[] = {&ret_node->id, &ret_node->name, &ret_node->host_uuid,
                                   &ret_node->version, &ret_node->boot_id};
    ret_node->owned = texts_keep(fields, ARRAY_SIZE(fields));
    if (read_used(db, ret_node, err) == 0)
        return 0;
    node_release(ret_node);
    return -1;
}

int store_node_list(struct db *db, const char *name, struct window *window, node_each *each,
                    void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, NODE_SELECT "WHERE n.deleted_ms IS NULL AND n.key > ?1"
                                " AND (?3 IS NULL OR n.name = ?3) ORDER BY n.key LIMIT ?2");
    stmt_bind(stmt, "iit", window->after_key, window->limit + 1, name);
    int64_t count = 0;
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (count++ == window->limit) {
            window->more = true;
            return 0;
        }
        struct node row;
        read_row(stmt, &row);
        if (read_used(db, &row, err) != 0)
            return -1;
        window->last_key = row.key;
        each(ctx, &row);
    }
    return rc;
}

int store_node_of_host(struct db *db, const char *host_uuid, int64_t *ret_key, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT key FROM node WHERE host_uuid = ? AND deleted_ms IS NULL");
    stmt_bind(stmt, "t", host_uuid);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_key = stmt_i64(stmt, 0);
    return rc;
}

int store_node_keys(struct db *db, node_key_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT key, silent FROM node WHERE deleted_ms IS NULL"
                    " AND last_seen_ms IS NOT NULL ORDER BY key");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1)
        each(ctx, stmt_i64(stmt, 0), stmt_i64(stmt, 1) != 0);
    return rc;
}

/* Of the two unique indexes only the name can be hit: the host's node is looked up first. */
static int name_taken(struct err *err, const struct node *node)
{
    if (err->code != ERR_CONFLICT)
        return -1;
    return err_set(err, ERR_NAME_TAKEN, "another host has joined as %s: choose another name",
                   node->name);
}

int store_node_insert(struct db *db, struct node *node, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "INSERT INTO node (id, name, host_uuid, cpus, memory_mib, disk_gib, virt,"
                    " version, protocol, boot_id, revision, created_ms)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    stmt_bind(stmt, "tttiiiititii", node->id, node->name, node->host_uuid, node->capacity.vcpus,
              node->capacity.memory_mib, node->capacity.disk_gib, (int64_t)node->virt,
              node->version, node->protocol, node->boot_id, node->revision, node->created_ms);
    if (stmt_run(stmt, err) != 0)
        return name_taken(err, node);
    node->key = db_last_key(db);
    return 0;
}

int store_node_update(struct db *db, const struct node *node, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "UPDATE node SET schedulable = ?, silent = ?, revision = ?, deleted_ms = ?"
                    " WHERE key = ?");
    stmt_bind(stmt, "iiizi", (int64_t)node->schedulable, (int64_t)node->silent, node->revision,
              node->deleted_ms, node->key);
    return stmt_run(stmt, err);
}

int store_node_set_report(struct db *db, const struct host *host, int64_t revision, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "UPDATE node SET cpus = ?, memory_mib = ?, disk_gib = ?, virt = ?,"
                    " version = ?, boot_id = ?, incarnation = ?, sequence = ?, last_seen_ms = ?,"
                    " seen_boottime_ms = ?, boot_order = ?,"
                    " silent = ?, revision = coalesce(?, revision) WHERE key = ?");
    stmt_bind(stmt, "iiiitttiiiiizi", host->capacity.vcpus, host->capacity.memory_mib,
              host->capacity.disk_gib, (int64_t)host->virt, host->version, host->boot_id,
              host->incarnation, host->sequence, host->row_seen_ms, host->seen_boottime_ms,
              host->boot_order, (int64_t)host->silent, revision, host->key);
    return stmt_run(stmt, err);
}

/* Only what is late by a few processes is ever met again. */
static int forget_past(struct db *db, int64_t node_key, struct err *err)
{
    enum { PAST_KEPT = 16 };
    struct stmt auto_stmt *stmt = db_stmt(
        db, "DELETE FROM node_past WHERE node_key = ?1 AND key <= (SELECT key FROM node_past"
            " WHERE node_key = ?1 ORDER BY key DESC LIMIT 1 OFFSET ?2)");
    stmt_bind(stmt, "ii", node_key, (int64_t)PAST_KEPT);
    return stmt_run(stmt, err);
}

int store_node_past_add(struct db *db, int64_t node_key, const char *boot_id,
                        const char *incarnation, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "INSERT OR IGNORE INTO node_past (node_key, boot_id, incarnation)"
                    " VALUES (?, ?, ?)");
    stmt_bind(stmt, "itt", node_key, boot_id, incarnation);
    return stmt_run(stmt, err) == 0 ? forget_past(db, node_key, err) : -1;
}

int store_node_past_has(struct db *db, int64_t node_key, const char *boot_id,
                        const char *incarnation, const char *current_boot, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT 1 FROM node_past WHERE node_key = ?1 AND boot_id = ?2"
                    " AND (incarnation = ?3 OR ?2 <> ?4) LIMIT 1");
    stmt_bind(stmt, "ittt", node_key, boot_id, incarnation, current_boot);
    return stmt_step(stmt, err);
}
