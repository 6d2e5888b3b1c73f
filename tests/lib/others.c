/* Filling a database with rows of somebody else, by bare SQLite; see others.h. */
#include "tests/lib/others.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/base/mem.h"

/* `n` counts; 3 is the project of the others. What has ended did so just now, so that nothing of
 * it goes meanwhile. */
static const char *const others[] = {
    "INSERT INTO project (id, name, revision, created_ms) SELECT 'p' || i, 'p' || i, 0, 0 FROM n",
    "INSERT INTO node (id, name, host_uuid, cpus, memory_mib, disk_gib, virt, protocol, revision,"
    " created_ms) SELECT 'n' || i, 'n' || i, 'n' || i, 1, 1, 1, 1, 1, 0, 0 FROM n WHERE i <= 20",
    "INSERT INTO flavor (id, project_key, name, vcpus, memory_mib, disk_gib, revision, created_ms)"
    " VALUES ('f', 1, 'f', 1, 1, 1, 0, 0)",
    "INSERT INTO token (id, name, project_key, role, hash, revision, created_ms, deleted_ms)"
    " SELECT 't' || i, 't' || i, 3, 0, randomblob(32), 0, 0, iif(i % 2, unixepoch() * 1000, NULL) "
    "FROM n",
    "INSERT INTO ssh_key (id, project_key, name, public_key, fingerprint, revision, created_ms,"
    " deleted_ms) SELECT 'k' || i, 3, 'k' || i, '', '', 0, 0, iif(i % 2, unixepoch() * 1000, NULL) "
    "FROM n",
    "INSERT INTO image (id, project_key, name, public, format, state, revision, created_ms,"
    " deleted_ms, file_gone_ms) SELECT 'i' || i, 3, 'i' || i, 0, 0, 0, 0, 0, iif(i % 2, "
    "unixepoch() * 1000, NULL),"
    " iif(i % 2, unixepoch() * 1000, NULL) FROM n",
    "INSERT INTO price (id, meter, project_key, nanos, minimum_ms, valid_from_ms, revision,"
    " created_ms) SELECT 'c' || i, 'cpu', 3, 1, 0, 1, 0, 0 FROM n",
    "INSERT INTO instance (id, project_key, name, hostname, node_key, image_key, vcpus, memory_mib,"
    " disk_gib, uid, power, generation, run, disk_number, stop_timeout_ms, desired_revision,"
    " revision, created_ms, deleted_ms, gone_ms) SELECT 'v' || i, 3, 'v' || i, 'v', 1 + i % 20, 1,"
    " 1, 64, 1, 300000 + i, 0, 1, 0, 1, 0, 0, 0, 0, iif(i % 2, unixepoch() * 1000, NULL), iif(i % "
    "2, unixepoch() * 1000, NULL) FROM "
    "n",
    "INSERT INTO instance_past SELECT 1000000 + i, 'w' || i, 3, 'w' || i, NULL, 1, NULL, 1, 64, 1"
    " FROM n",
    "INSERT INTO interface (instance_key, network_key, position, address, address_number, mac,"
    " released_ms) SELECT i, 1, 0, 'a' || i, i, 'm', iif(i % 2, unixepoch() * 1000, NULL) FROM n",
    "INSERT INTO operation (id, project_key, instance_key, kind, generation, state, timeout_ms,"
    " revision, created_ms, finished_ms) SELECT 'o' || i, 3, i, 'stop', 1, i % 50 > 0, 1, 0, 0,"
    " iif(i % 50 > 0, unixepoch() * 1000, NULL) FROM n",
    "INSERT INTO event (time_ms, actor, project_key, kind, id, what)"
    " SELECT 1, '', 3, 'instance', 'v' || i, 'x' FROM n",
    "INSERT INTO audit (time_ms, actor, project_key, action, request_id, revision)"
    " SELECT 1, '', 3, 'x', '', 0 FROM n",
    "INSERT INTO seal VALUES (1, 1767225600000, 0, x'', 1, 0, x'', 1, zeroblob(32))",
    "INSERT INTO segment (ordinal, seal_key, close_seal_key, kind, sign, corrects_until_ms,"
    " resource, resource_key, project_key, node_key, run, start_ms, origin_ms, end_ms, verified,"
    " amount0, amount1, amount2, chain) SELECT i, 1, 1, i % 4, 1, 0, 0, i, 3, 1 + i % 20, 1,"
    " 1764547200000 + i, 1764547200000 + i, 1764547201000 + i, 1, 1, 1, 1, zeroblob(32) FROM n",
    "INSERT INTO segment (seal_key, kind, sign, corrects_until_ms, resource, resource_key,"
    " project_key, node_key, run, start_ms, origin_ms, verified, amount0, amount1, amount2)"
    " SELECT 1, i % 4, 1, 0, 0, i, 3, 1 + i % 20, 1, 1764550800000 + i, 1764550800000 + i, 1, 1, 1,"
    " 1 FROM n WHERE i % 2 = 0",
    "INSERT INTO observation (node_key, boot_id, boot_order, incarnation, sequence, kind,"
    " resource_id, run, cause, noticed, boottime_ms, wall_ms, vcpus, memory_mib, disk_gib, bytes,"
    " cpu_ns, ingress_bytes, egress_bytes, received_ms, chain) SELECT 1 + i % 20, 'b', 1, 's', i,"
    " i % 5, 'v' || i, 1, 0, 0, i, 1767225600000 + i, 1, 64, 1, 0, 0, 0, 0, 0, zeroblob(32) FROM n",
};

static void run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK)
        return;
    fprintf(stderr, "%s: %s\n", sql, message);
    exit(1);
}

static sqlite3 *open_raw(const char *path)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
        return db;
    fprintf(stderr, "cannot open %s\n", path);
    exit(1);
}

void others_fill(const char *db_path, int count)
{
    sqlite3 *db = open_raw(db_path);
    run(db, "BEGIN");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        autofree char *sql = xasprintf(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) %s",
            count, others[i]);
        run(db, sql);
    }
    run(db, "COMMIT");
    sqlite3_close(db);
}

void others_end(const char *db_path)
{
    sqlite3 *db = open_raw(db_path);
    run(db, "UPDATE instance SET deleted_ms = 1, gone_ms = 1;"
            "UPDATE interface SET released_ms = 1;"
            "UPDATE operation SET state = 1, finished_ms = 1;"
            "UPDATE token SET deleted_ms = 1 WHERE project_key = 3;"
            "UPDATE ssh_key SET deleted_ms = 1;"
            "UPDATE image SET deleted_ms = 1, file_gone_ms = 1;");
    sqlite3_close(db);
}
