/* Rebuilds the placement table from rows. */
#include <stdio.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "controller/db/db.h"
#include "controller/placement/address.h"
#include "controller/placement/hosts.h"

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static int load_nodes(struct hosts *hosts, struct db *db, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT key, id, name, cpus, memory_mib, disk_gib, schedulable, silent, virt,"
                    " version, boot_id, incarnation, sequence, last_seen_ms,"
                    " seen_boottime_ms, boot_order FROM node"
                    " WHERE deleted_ms IS NULL ORDER BY key");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct host host = {
            .key = stmt_i64(stmt, 0),
            .capacity = {stmt_i64(stmt, 3), stmt_i64(stmt, 4), stmt_i64(stmt, 5)},
            .schedulable = stmt_i64(stmt, 6) != 0,
            .silent = stmt_i64(stmt, 7) != 0,
            .reported = !stmt_null(stmt, 13),
            .virt = (int)stmt_i64(stmt, 8),
            .sequence = stmt_i64(stmt, 12),
            .row_seen_ms = stmt_i64(stmt, 13),
            .seen_boottime_ms = stmt_i64(stmt, 14),
            .boot_order = stmt_i64(stmt, 15),
        };
        copy(host.id, sizeof(host.id), stmt_text(stmt, 1));
        copy(host.name, sizeof(host.name), stmt_text(stmt, 2));
        copy(host.version, sizeof(host.version), stmt_text(stmt, 9));
        copy(host.boot_id, sizeof(host.boot_id), stmt_text(stmt, 10));
        copy(host.incarnation, sizeof(host.incarnation), stmt_text(stmt, 11));
        hosts_put(hosts, &host);
    }
    return rc;
}

/* One row each: node, vcpus, memory, disk, instances. */
static int add_used(struct hosts *hosts, struct stmt *stmt, struct err *err)
{
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct sizes used = {stmt_i64(stmt, 1), stmt_i64(stmt, 2), stmt_i64(stmt, 3)};
        hosts_use(hosts, stmt_i64(stmt, 0), &used, stmt_i64(stmt, 4));
    }
    return rc;
}

/* A row says what it says; the sums must not overflow by it (LIMIT_HOST_AMOUNT). */
static int load_used(struct hosts *hosts, struct db *db, struct err *err)
{
    struct stmt auto_stmt *live =
        db_stmt(db, "SELECT node_key, sum(min(vcpus, ?1)), sum(min(memory_mib, ?1)),"
                    " sum(min(disk_gib, ?1)), count(*) FROM instance WHERE gone_ms IS NULL"
                    " GROUP BY node_key");
    struct stmt auto_stmt *quarantined =
        db_stmt(db, "SELECT node_key, sum(min(vcpus, ?1)), sum(min(memory_mib, ?1)),"
                    " sum(min(disk_gib, ?1)), 0 FROM quarantine GROUP BY node_key");
    stmt_bind(live, "i", (int64_t)LIMIT_HOST_AMOUNT);
    stmt_bind(quarantined, "i", (int64_t)LIMIT_HOST_AMOUNT);
    if (add_used(hosts, live, err) != 0)
        return -1;
    return add_used(hosts, quarantined, err);
}

static int load_networks(struct hosts *hosts, struct db *db, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT key, id, name, cidr, gateway FROM network WHERE deleted_ms IS NULL"
                    " ORDER BY key");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        int64_t first, last;
        if (network_range(stmt_text(stmt, 3), stmt_text(stmt, 4), &first, &last, err) != 0)
            return -1;
        hosts_network_add(hosts, stmt_i64(stmt, 0), stmt_text(stmt, 1), stmt_text(stmt, 2), first,
                          last);
    }
    return rc;
}

/* What quarantined domains hold is taken on their own hosts only (instance_numbers.c). */
static int load_uids(struct hosts *hosts, struct db *db, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, "SELECT uid FROM instance WHERE gone_ms IS NULL");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1)
        hosts_uid_set(hosts, stmt_i64(stmt, 0), true);
    return rc;
}

static int load_addresses(struct hosts *hosts, struct db *db, struct err *err)
{
    struct stmt auto_stmt *held =
        db_stmt(db, "SELECT network_key, address_number FROM interface WHERE released_ms IS NULL");
    int rc;
    while ((rc = stmt_step(held, err)) == 1)
        hosts_address_set(hosts, stmt_i64(held, 0), stmt_i64(held, 1), true);
    return rc;
}

int hosts_load(struct hosts *hosts, struct db *db, struct err *err)
{
    hosts_reset(hosts);
    if (load_nodes(hosts, db, err) != 0 || load_used(hosts, db, err) != 0 ||
        load_networks(hosts, db, err) != 0 || load_uids(hosts, db, err) != 0 ||
        load_addresses(hosts, db, err) != 0)
        return err_context(err, "cannot load the placement table");
    /* What was loaded is no change that a rollback could undo. */
    hosts_hooks.release(hosts);
    return 0;
}
