/* The limit of creates and lists: SQLite alone, the rows of one create, and cJSON alone. */
#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/id.h"
#include "tests/bench/bench.h"

/* What one create reads and writes: project and image by name, the event, the instance, its
 * interface, the operation, the audit row. */
static const char *const statements[] = {
    "SELECT key FROM project WHERE name = 'default' AND deleted_ms IS NULL",
    "SELECT key, state, virtual_bytes FROM image WHERE project_key = 1 AND name = 'tiny'"
    " AND deleted_ms IS NULL",
    "INSERT INTO event (time_ms, actor, project_key, node_key, kind, id, name, what)"
    " VALUES (?1, 'token:admin', 1, 1, 'instance', ?2, ?3, 'created')",
    "INSERT INTO instance (id, project_key, name, hostname, labels, node_key, flavor_key,"
    " image_key, vcpus, memory_mib, disk_gib, uid, key_names, power, generation, run,"
    " disk_number, stop_timeout_ms, desired_revision, revision, created_ms)"
    " VALUES (?2, 1, ?3, ?3, '{}', 1, NULL, 1, 1, 128, 1, ?4, '[]', 1, 1, 1, 1,"
    " 60000, ?5, ?5, ?1)",
    "INSERT INTO interface (instance_key, network_key, position, address, address_number, mac)"
    " VALUES (?6, 1, 0, ?7, ?4, ?8)",
    "INSERT INTO operation (id, project_key, instance_key, kind, generation, state, timeout_ms,"
    " revision, created_ms) VALUES (?9, 1, ?6, 'create', 1, 0, 300000, ?5, ?1)",
    "INSERT INTO audit (time_ms, actor, project_key, action, target, request_id, revision)"
    " VALUES (?1, 'token:admin', 1, 'instance.create', ?2, '0123456789abcdef', ?5)",
};
enum { EVENT_STATEMENT = 2, INSTANCE_STATEMENT = 3 };
enum { STATEMENTS = sizeof(statements) / sizeof(statements[0]) };

static void check(int rc, sqlite3 *db, const char *what)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        cloud_fail("%s: %s", what, sqlite3_errmsg(db));
}

static sqlite3 *open_db(const char *path)
{
    sqlite3 *db = NULL;
    check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL), db, path);
    check(sqlite3_exec(db,
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                       "PRAGMA wal_autocheckpoint=8000",
                       NULL, NULL, NULL),
          db, "pragma");
    return db;
}

static void bind_values(sqlite3_stmt *stmt, int64_t number, int64_t revision, int64_t instance,
                        char texts[5][64])
{
    int count = sqlite3_bind_parameter_count(stmt);
    for (int i = 1; i <= count; i++) {
        switch (i) {
        case 1:
            sqlite3_bind_int64(stmt, i, clock_wall_ms());
            break;
        case 4:
            sqlite3_bind_int64(stmt, i, 300000 + number);
            break;
        case 5:
            sqlite3_bind_int64(stmt, i, revision);
            break;
        case 6:
            sqlite3_bind_int64(stmt, i, instance);
            break;
        default: /* 2 id, 3 name, 7 address, 8 mac, 9 operation */
            sqlite3_bind_text(stmt, i, texts[i == 2 ? 0 : i == 3 ? 1 : i - 5], -1, SQLITE_STATIC);
        }
    }
}

static void one_create(sqlite3 *db, sqlite3_stmt **stmts, int64_t number)
{
    char texts[5][64];
    int64_t revision = 0, instance = 0;
    id_new(texts[0]);
    snprintf(texts[1], sizeof(texts[1]), "bare%lld", (long long)number);
    snprintf(texts[2], sizeof(texts[2]), "10.99.%lld.%lld", (long long)number / 256 % 256,
             (long long)number % 256);
    snprintf(texts[3], sizeof(texts[3]), "52:54:00:%02llx:%02llx:01",
             (unsigned long long)number / 256 % 256, (unsigned long long)number % 256);
    id_new(texts[4]);
    for (int i = 0; i < STATEMENTS; i++) {
        bind_values(stmts[i], number, revision, instance, texts);
        check(sqlite3_step(stmts[i]), db, statements[i]);
        sqlite3_reset(stmts[i]);
        if (i == EVENT_STATEMENT)
            revision = sqlite3_last_insert_rowid(db);
        if (i == INSTANCE_STATEMENT)
            instance = sqlite3_last_insert_rowid(db);
    }
}

double limit_sqlite_creates(const char *path, int creates, int group)
{
    static int64_t number;
    sqlite3 *db = open_db(path);
    sqlite3_stmt *stmts[STATEMENTS];
    for (int i = 0; i < STATEMENTS; i++)
        check(sqlite3_prepare_v2(db, statements[i], -1, &stmts[i], NULL), db, statements[i]);
    double start = now_s();
    for (int done = 0; done < creates;) {
        check(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), db, "begin");
        for (int i = 0; i < group && done < creates; i++, done++)
            one_create(db, stmts, ++number);
        check(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), db, "commit");
    }
    double took = now_s() - start;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(stmts[i]);
    sqlite3_close(db);
    return creates / took;
}

double limit_sqlite_list(const char *path, int count)
{
    static sqlite3 *db;
    static sqlite3_stmt *stmt;
    if (!db) {
        db = open_db(path);
        check(
            sqlite3_prepare_v2(
                db,
                "SELECT i.id, i.name, i.hostname, i.labels, n.name, m.name, m.id, f.address, f.mac,"
                " i.vcpus, i.memory_mib, i.disk_gib, i.generation, i.run, i.power,"
                " i.observed_state, i.created_ms"
                " FROM instance i JOIN node n ON n.key = i.node_key"
                " JOIN image m ON m.key = i.image_key"
                " JOIN interface f ON f.instance_key = i.key"
                " WHERE i.project_key = 1 AND i.deleted_ms IS NULL ORDER BY i.key LIMIT ?",
                -1, &stmt, NULL),
            db, "list");
    }
    double start = now_s();
    cJSON *list = cJSON_CreateArray();
    sqlite3_bind_int(stmt, 1, count);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        cJSON *item = cJSON_CreateObject();
        for (int i = 0; i < 9; i++) {
            const char *text = (const char *)sqlite3_column_text(stmt, i);
            cJSON_AddStringToObject(item, sqlite3_column_name(stmt, i), text ? text : "");
        }
        for (int i = 9; i < 17; i++)
            cJSON_AddNumberToObject(item, sqlite3_column_name(stmt, i),
                                    (double)sqlite3_column_int64(stmt, i));
        cJSON_AddItemToArray(list, item);
    }
    sqlite3_reset(stmt);
    char *text = cJSON_PrintUnformatted(list);
    double took = now_s() - start;
    free(text);
    cJSON_Delete(list);
    return took;
}
