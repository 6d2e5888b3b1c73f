/* Filling a year of the ledger by bare SQLite, in the order in which sealing would have. Indexes
 * are taken away and made again as they were: that is many times faster. */
#include "tests/bench/usage_year.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/id.h"
#include "api/base/mem.h"
#include "tests/bench/bench.h"

const char *const year_meters[YEAR_METERS] = {"running",   "running_vcpu",   "running_memory",
                                              "allocated", "allocated_vcpu", "allocated_memory",
                                              "root_disk"};

static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
enum { MONTHS = 12, HOURS = 365 * 24, PIECES_MAX = 8, FLAVORS = 4, INDEXES_MAX = 16 };

struct piece {
    int64_t start_ms, end_ms;
    int instance, kind;
};

struct fill {
    sqlite3 *db;
    sqlite3_stmt *insert;
    struct piece *pieces; /* of one month */
    size_t count;
    bool running[YEAR_INSTANCES];
    int64_t key;
    uint64_t random;
};

static void run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        cloud_fail("%s: %s", sql, message);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        cloud_fail("%s: %s", sql, sqlite3_errmsg(db));
    return stmt;
}

static void insert_one(sqlite3 *db, sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE)
        cloud_fail("%s: %s", sqlite3_sql(stmt), sqlite3_errmsg(db));
    sqlite3_reset(stmt);
}

/* The same year on every machine. */
static uint64_t next_random(struct fill *fill)
{
    fill->random ^= fill->random << 13;
    fill->random ^= fill->random >> 7;
    fill->random ^= fill->random << 17;
    return fill->random;
}

/* ---- what the segments point at ---- */

/* Each statement takes a number ?1 (of the row), an id ?2 and a name ?3. */
static void insert_named(sqlite3 *db, const char *sql, const char *name, int count)
{
    sqlite3_stmt *stmt = prepare(db, sql);
    for (int i = 0; i < count; i++) {
        char id[ID_TEXT_MAX], text[32];
        id_new(id);
        snprintf(text, sizeof(text), "%s%d", name, i);
        sqlite3_bind_int(stmt, 1, i);
        sqlite3_bind_text(stmt, 2, id, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 3, text, -1, SQLITE_STATIC);
        insert_one(db, stmt);
    }
    sqlite3_finalize(stmt);
}

static void insert_nouns(sqlite3 *db)
{
    _Static_assert(YEAR_FIRST_KEY == 1000, "the statements say so");
    insert_named(db,
                 "INSERT INTO project (key, id, name, revision, created_ms)"
                 " VALUES (1000 + ?1, ?2, ?3, 1, 1735689600000)",
                 "p", YEAR_PROJECTS);
    insert_named(db,
                 "INSERT INTO node (key, id, name, host_uuid, cpus, memory_mib, disk_gib, virt,"
                 " protocol, silent, revision, created_ms)"
                 " VALUES (1000 + ?1, ?2, ?3, ?2, 1000, 10000000, 1000000, 0, 1, 1, 1,"
                 " 1735689600000)",
                 "n", YEAR_NODES);
    insert_named(db,
                 "INSERT INTO flavor (key, id, project_key, name, vcpus, memory_mib, disk_gib,"
                 " revision, created_ms) VALUES (1000 + ?1, ?2, 1, ?3, 1 << ?1, 512 << ?1,"
                 " 10 << ?1, 1, 1735689600000)",
                 "f", FLAVORS);
    insert_named(db,
                 "INSERT INTO image (key, id, project_key, name, public, format, state, revision,"
                 " created_ms, deleted_ms) VALUES (1000 + ?1, ?2, 1, ?3, 1, 0, 0, 1,"
                 " 1735689600000, 1735689600000)",
                 "m", 1);
    insert_named(db,
                 "INSERT INTO instance (key, id, project_key, name, hostname, node_key, flavor_key,"
                 " image_key, vcpus, memory_mib, disk_gib, uid, power, generation, run,"
                 " disk_number, stop_timeout_ms, desired_revision, revision, created_ms)"
                 " VALUES (1000 + ?1, ?2, 1000 + ?1 % 50, ?3, ?3, 1000 + ?1 % 100,"
                 " 1000 + ?1 % 4, 1000, 1 << ?1 % 4, 512 << ?1 % 4, 10 << ?1 % 4, 300000 + ?1, 0,"
                 " 1, 1, 1, 60000, 1, 1, 1735689600000)",
                 "i", YEAR_INSTANCES);
}

/* ---- segments ---- */

static int64_t hour_of(int64_t t_ms)
{
    return (t_ms - YEAR_START_MS) / YEAR_HOUR_MS;
}

static void insert_segment(struct fill *fill, const struct piece *piece, int64_t reverses)
{
    int size = piece->instance % FLAVORS;
    bool disk = piece->kind == KIND_ROOT_DISK;
    uint64_t chain[4];
    for (size_t i = 0; i < ARRAY_SIZE(chain); i++)
        chain[i] = next_random(fill);
    const int64_t values[] = {
        ++fill->key,
        reverses ? HOURS : hour_of(piece->start_ms) + 1,
        reverses ? HOURS : hour_of(piece->end_ms - 1) + 1,
        piece->kind,
        reverses ? -1 : 1,
        reverses,
        reverses ? piece->end_ms : 0,
        YEAR_FIRST_KEY + piece->instance,
        YEAR_FIRST_KEY + piece->instance % YEAR_PROJECTS,
        YEAR_FIRST_KEY + piece->instance % YEAR_NODES,
        YEAR_FIRST_KEY + size,
        piece->start_ms,
        piece->end_ms,
        next_random(fill) % 100 != 0,
        disk ? 10 << size : 1,
        disk ? 0 : 1 << size,
        disk ? 0 : 512 << size,
    };
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        sqlite3_bind_int64(fill->insert, (int)i + 1, values[i]);
    sqlite3_bind_blob(fill->insert, ARRAY_SIZE(values) + 1, chain, sizeof(chain), SQLITE_STATIC);
    insert_one(fill->db, fill->insert);
}

static int compare_times(const void *a, const void *b)
{
    int64_t left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return (left > right) - (left < right);
}

/* 88 pieces in a year, cut at the ends of months; the state goes on over a cut. */
static void add_instance(struct fill *fill, int instance, int month, int64_t from, int64_t to)
{
    int64_t bounds[PIECES_MAX + 1] = {from};
    int count = (month + instance) % 3 == 0 ? PIECES_MAX : PIECES_MAX - 1;
    for (int i = 1; i < count; i++)
        bounds[i] = from + i + (int64_t)(next_random(fill) % (uint64_t)(to - from - PIECES_MAX));
    bounds[count] = to;
    qsort(bounds, (size_t)count, sizeof(bounds[0]), compare_times);
    for (int i = 0; i < count; i++) {
        if (bounds[i] >= bounds[i + 1])
            bounds[i + 1] = bounds[i] + 1;
        fill->pieces[fill->count++] =
            (struct piece){bounds[i], bounds[i + 1], instance,
                           fill->running[instance] ? KIND_RUNNING : KIND_ALLOCATED};
        fill->running[instance] =
            i + 1 < count ? !fill->running[instance] : fill->running[instance];
    }
    fill->pieces[fill->count++] = (struct piece){from, to, instance, KIND_ROOT_DISK};
}

/* Some rows are taken back at the end of the year. */
static void insert_reversals(struct fill *fill)
{
    sqlite3_stmt *stmt =
        prepare(fill->db, "SELECT key, start_ms, end_ms, resource_key - 1000, kind FROM segment"
                          " WHERE key % ?1 = 7 AND key <= ?2");
    sqlite3_bind_int64(stmt, 1, YEAR_SEGMENTS / YEAR_REVERSED);
    sqlite3_bind_int64(stmt, 2, fill->key);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct piece piece = {sqlite3_column_int64(stmt, 1), sqlite3_column_int64(stmt, 2),
                              sqlite3_column_int(stmt, 3), sqlite3_column_int(stmt, 4)};
        insert_segment(fill, &piece, sqlite3_column_int64(stmt, 0));
    }
    sqlite3_finalize(stmt);
}

static void insert_segments(struct fill *fill)
{
    fill->insert = prepare(
        fill->db, "INSERT INTO segment (key, ordinal, seal_key, close_seal_key, kind, sign,"
                  " reverses, corrects_until_ms, resource, resource_key, project_key, node_key,"
                  " flavor_key, run, start_ms, origin_ms, end_ms, verified, amount0, amount1,"
                  " amount2, chain) VALUES (?1, ?1, ?2, ?3, ?4, ?5, nullif(?6, 0), ?7, 0, ?8, ?9,"
                  " ?10, ?11, 1, ?12, ?12, ?13, ?14, ?15, ?16, ?17, ?18)");
    fill->pieces = xcalloc((size_t)YEAR_INSTANCES * (PIECES_MAX + 1), sizeof(*fill->pieces));
    int64_t from = YEAR_START_MS;
    for (int month = 0; month < MONTHS; month++) {
        int64_t to = from + (int64_t)month_days[month] * 24 * YEAR_HOUR_MS;
        fill->count = 0;
        for (int i = 0; i < YEAR_INSTANCES; i++)
            add_instance(fill, i, month, from, to);
        qsort(fill->pieces, fill->count, sizeof(*fill->pieces), compare_times);
        for (size_t i = 0; i < fill->count; i++)
            insert_segment(fill, &fill->pieces[i], 0);
        from = to;
    }
    insert_reversals(fill);
    sqlite3_finalize(fill->insert);
    free(fill->pieces);
}

static void insert_seals(struct fill *fill)
{
    sqlite3_stmt *stmt =
        prepare(fill->db, "INSERT INTO seal (key, until_ms, observation_key, observation_chain,"
                          " news_key, segment_ordinal, segment_chain, sealed_ms, chain)"
                          " VALUES (?1, ?2, 0, zeroblob(32), 1, ?1, randomblob(32), ?2,"
                          " randomblob(32))");
    run(fill->db, "DROP TRIGGER seal_no_delete; DELETE FROM seal;"
                  "CREATE TRIGGER seal_no_delete BEFORE DELETE ON seal"
                  "  BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;");
    for (int64_t hour = 1; hour <= HOURS; hour++) {
        sqlite3_bind_int64(stmt, 1, hour);
        sqlite3_bind_int64(stmt, 2, YEAR_START_MS + hour * YEAR_HOUR_MS);
        insert_one(fill->db, stmt);
    }
    sqlite3_finalize(stmt);
}

/* ---- indexes ---- */

static int take_indexes(sqlite3 *db, char *made[INDEXES_MAX])
{
    sqlite3_stmt *stmt = prepare(db, "SELECT name, sql FROM sqlite_schema WHERE type = 'index'"
                                     " AND tbl_name = 'segment' AND sql IS NOT NULL");
    char *dropped[INDEXES_MAX];
    int count = 0;
    while (sqlite3_step(stmt) == SQLITE_ROW && count < INDEXES_MAX) {
        dropped[count] = xasprintf("DROP INDEX %s", (const char *)sqlite3_column_text(stmt, 0));
        made[count++] = xstrdup((const char *)sqlite3_column_text(stmt, 1));
    }
    sqlite3_finalize(stmt);
    for (int i = 0; i < count; i++) {
        run(db, dropped[i]);
        free(dropped[i]);
    }
    return count;
}

void usage_year_fill(const char *db_path)
{
    struct fill *fill = xcalloc(1, sizeof(*fill));
    char *indexes[INDEXES_MAX];
    fill->random = 0x9e3779b97f4a7c15;
    if (sqlite3_open(db_path, &fill->db) != SQLITE_OK)
        cloud_fail("%s: %s", db_path, sqlite3_errmsg(fill->db));
    run(fill->db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN");
    int count = take_indexes(fill->db, indexes);
    insert_nouns(fill->db);
    insert_segments(fill);
    insert_seals(fill);
    for (int i = 0; i < count; i++) {
        run(fill->db, indexes[i]);
        free(indexes[i]);
    }
    run(fill->db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite3_close(fill->db);
    free(fill);
}
