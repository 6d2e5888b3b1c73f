/* empty_project: what the questions of a project that has nothing cost beside others' rows, and
 * in a cloud of its own. long_life: what starting, listing and sealing cost after a million
 * instances that came and went, and after a thousand, and what these leave behind. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/bench/bench.h"
#include "tests/lib/others.h"

static char *db_of(const struct cloud *cloud)
{
    return xasprintf("%s/data/minicloud.db", cloud->dir);
}

static void start(struct cloud *cloud, const char *seal_delay)
{
    const char *flags[] = {"--listen=", seal_delay, NULL};
    cloud_start_controller(cloud, NULL, flags);
}

static void stop(struct cloud *cloud)
{
    proc_stop(&cloud->controller, 60000);
}

static double get_ms(struct cloud *cloud, const char *token, const char *path, int times)
{
    double begin = now_s();
    for (int i = 0; i < times; i++) {
        struct answer auto_answer_json answer =
            cloud_call_as(cloud, token, NULL, "GET", path, NULL);
        if (answer.status != 200)
            cloud_fail("%s: %d %s", path, answer.status, answer.text);
    }
    return (now_s() - begin) * 1000 / times;
}

/* ---- empty_project ---- */

enum { OTHERS = 200 * 1000 };

static struct cloud *empty_cloud(const char *name, bool others, char **ret_token)
{
    struct cloud *cloud = cloud_new(name);
    start(cloud, "--seal-delay=1d");
    struct answer auto_answer_json project =
        cloud_call(cloud, "POST", "/v1/projects", "{\"name\":\"empty\"}");
    struct answer auto_answer_json token = cloud_call(cloud, "POST", "/v1/tokens?project=empty",
                                                      "{\"name\":\"t\",\"role\":\"reader\"}");
    if (project.status != 201 || token.status != 201)
        cloud_fail("cannot make a project: %s %s", project.text, token.text);
    *ret_token = xstrdup(answer_str(&token, "secret"));
    autofree char *db = db_of(cloud);
    stop(cloud);
    if (others)
        others_fill(db, OTHERS);
    start(cloud, "--seal-delay=1d");
    return cloud;
}

void bench_empty_project(void)
{
    static const struct {
        const char *name, *path;
        int times;
    } asked[] = {
        {"empty_project", "/v1/instances", 200},
        {"  operations", "/v1/operations", 200},
        {"  usage", "/v1/usage?group_by=instance,meter", 200},
        {"  export", "/v1/usage/export?format=csv", 50},
    };
    autofree char *own = NULL, *tenant = NULL;
    struct cloud *alone = empty_cloud("alone", false, &own);
    struct cloud *beside = empty_cloud("beside", true, &tenant);
    for (size_t k = 0; k < ARRAY_SIZE(asked); k++) {
        struct pairs pairs = {0};
        for (int i = 0; i < 2 * BENCH_PAIRS; i++) {
            double ours = get_ms(beside, tenant, asked[k].path, asked[k].times);
            pairs_add(&pairs, ours * 1000,
                      get_ms(alone, own, asked[k].path, asked[k].times) * 1000);
        }
        pairs_print(&pairs, asked[k].name, "us beside 200,000 rows of others, and alone", "<= 1.2");
    }
    cloud_free(alone);
    cloud_free(beside);
}

/* ---- long_life: a history ---- */

enum { SHORT = 1000, LONG = 1000 * 1000, HOURS_DUE = 24, INDEXES_MAX = 64 };
#define HOUR_MS 3600000LL
#define DAY_MS (24 * HOUR_MS)

/* What a life leaves in the database: its rows, two operations, who asked for them, four pieces of
 * evidence, and three rows of the ledger. Written as they stand there at its end; only sizes and
 * keys matter, so that hashes are zeroes. ?1: how many; ?2: the first one's time; ?3: ms from one
 * to the next. Twenty hosts, that boot anew each month. */
static const char *const lives[] = {
    "INSERT INTO instance (id, project_key, name, hostname, node_key, image_key, vcpus, memory_mib,"
    " disk_gib, uid, power, generation, run, disk_number, stop_timeout_ms, desired_revision,"
    " revision, observed_state, created_ms, deleted_ms, gone_ms) SELECT"
    " printf('01900000-0000-7000-8000-%012x', i), 1, 'instance-' || i, 'instance-' || i, 1 + i % "
    "20,"
    " 1, 1, 64, 1, 300000 + i, 0, 2, 1, 1, 60000, 0, 0, 6, ?2 + i * ?3, ?2 + i * ?3 + 60000,"
    " ?2 + i * ?3 + 61000 FROM n",
    "INSERT INTO interface (instance_key, network_key, position, address, address_number, mac,"
    " released_ms) SELECT i, 1, 0, '10.77.1.1', 1, '52:54:00:00:00:01', 1 FROM n",
    "INSERT INTO operation (id, project_key, instance_key, kind, generation, state, timeout_ms,"
    " revision, created_ms, finished_ms) SELECT printf('01900000-0000-7000-9000-%012x', i), 1, i,"
    " 'create', 1, 1, 300000, 0, ?2 + i * ?3, ?2 + i * ?3 + 500 FROM n",
    "INSERT INTO operation (id, project_key, instance_key, kind, generation, state, timeout_ms,"
    " revision, created_ms, finished_ms) SELECT printf('01900000-0000-7000-a000-%012x', i), 1, i,"
    " 'delete', 2, 1, 300000, 0, ?2 + i * ?3 + 60000, ?2 + i * ?3 + 61000 FROM n",
    "INSERT INTO audit (time_ms, actor, project_key, action, target, request_id, revision) SELECT"
    " ?2 + i * ?3, 'token:admin', 1, iif(k, 'instance.delete', 'instance.create'),"
    " printf('01900000-0000-7000-8000-%012x', i), '0123456789abcdef', 0 FROM n,"
    " (SELECT 0 AS k UNION ALL SELECT 1)",
    "INSERT INTO observation (node_key, boot_id, boot_order, incarnation, sequence, kind,"
    " resource_id, run, cause, noticed, boottime_ms, wall_ms, vcpus, memory_mib, disk_gib, bytes,"
    " cpu_ns, ingress_bytes, egress_bytes, received_ms, chain) SELECT 1 + i % 20,"
    " 'boot-' || (i * ?3 / 2592000000), 1, 'spool', 4 * i + k, iif(k, k - 1, 2),"
    " printf('01900000-0000-7000-8000-%012x', i), 1, 0, 0, i * ?3 % 2592000000 + k * 20000,"
    " ?2 + i * ?3 + k * 20000, 1, 64, 1, 0, 0, 0, 0, ?2 + i * ?3, zeroblob(32) FROM n,"
    " (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 4)",
    "INSERT INTO segment (ordinal, seal_key, close_seal_key, kind, sign, corrects_until_ms,"
    " resource, resource_key, project_key, node_key, run, start_ms, origin_ms, end_ms, verified,"
    " amount0, amount1, amount2, chain) SELECT 3 * i + k, 1, 1, k, 1, 0, 0, i, 1, 1 + i % 20, 1,"
    " ?2 + i * ?3, ?2 + i * ?3, ?2 + i * ?3 + 60000, 1, 1, 1, 64, zeroblob(32) FROM n,"
    " (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2)",
};

/* The same in both: what lives, and what the hours that are to be sealed have to tell. ?2: the
 * last seal's time; ?1 hours are due. */
static const char *const present[] = {
    "INSERT INTO instance (id, project_key, name, hostname, node_key, image_key, vcpus, memory_mib,"
    " disk_gib, uid, power, generation, run, disk_number, stop_timeout_ms, desired_revision,"
    " revision, created_ms) WITH RECURSIVE m(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM m WHERE"
    " i < 1000) SELECT printf('01910000-0000-7000-8000-%012x', i), 1, 'live-' || i, 'live-' || i,"
    " 1 + i % 20, 1, 1, 64, 1, 200000 + i, 0, 1, 1, 1, 60000, 0, 0, ?2 - ?1 FROM m",
    "INSERT INTO seal SELECT 1, ?2, coalesce(max(key), 0), zeroblob(32), coalesce(max(key), 0) + 1,"
    " (SELECT coalesce(max(ordinal), 0) FROM segment), zeroblob(32), ?2, zeroblob(32)"
    " FROM observation",
    "INSERT INTO observation (node_key, boot_id, boot_order, incarnation, sequence, kind,"
    " resource_id, run, cause, noticed, boottime_ms, wall_ms, vcpus, memory_mib, disk_gib, bytes,"
    " cpu_ns, ingress_bytes, egress_bytes, received_ms, chain) WITH RECURSIVE m(i) AS (SELECT 1"
    " UNION ALL SELECT i + 1 FROM m WHERE i < 1000) SELECT 1 + i % 20, 'boot-now', 2, 'now', i, 0,"
    " printf('01910000-0000-7000-8000-%012x', i), 1, 0, 0, 1000 + i, ?2 + 1000 + i, 1, 64, 1, 0, 0,"
    " 0, 0, ?2, zeroblob(32) FROM m WHERE ?1 > 0",
    "INSERT INTO observation (node_key, boot_id, boot_order, incarnation, sequence, kind,"
    " resource_id, run, cause, noticed, boottime_ms, wall_ms, vcpus, memory_mib, disk_gib, bytes,"
    " cpu_ns, ingress_bytes, egress_bytes, received_ms, chain) WITH RECURSIVE m(i) AS (SELECT 1"
    " UNION ALL SELECT i + 1 FROM m WHERE i < 200 * ?1) SELECT 1 + i % 200 % 20, 'boot-now', 2,"
    " 'now', 1000 + i, 4, printf('01910000-0000-7000-8000-%012x', 1 + i % 200), 1, 0, 0,"
    " i / 200 * 3600000 + 10000 + i, ?2 + i / 200 * 3600000 + 10000 + i, 0, 0, 0, 0, i * 1000, i, "
    "i,"
    " ?2, zeroblob(32) FROM m",
};

static sqlite3 *open_raw(const char *path)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        cloud_fail("cannot open %s", path);
    sqlite3_busy_timeout(db, 60000);
    return db;
}

static void run(sqlite3 *db, const char *sql, int64_t first, int64_t second, int64_t third)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        cloud_fail("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_bind_int64(stmt, 1, first);
    sqlite3_bind_int64(stmt, 2, second);
    sqlite3_bind_int64(stmt, 3, third);
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        cloud_fail("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        cloud_fail("%s: %s", sql, sqlite3_errmsg(db));
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

/* To be made again behind the rows, which is many times faster. */
static int take_indexes(sqlite3 *db, char *made[INDEXES_MAX])
{
    sqlite3_stmt *stmt = NULL;
    char *dropped[INDEXES_MAX];
    int count = 0;
    sqlite3_prepare_v2(db,
                       "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT"
                       " NULL AND tbl_name IN ('instance', 'interface', 'operation', 'audit',"
                       " 'observation', 'segment')",
                       -1, &stmt, NULL);
    while (sqlite3_step(stmt) == SQLITE_ROW && count < INDEXES_MAX) {
        dropped[count] = xasprintf("DROP INDEX %s", (const char *)sqlite3_column_text(stmt, 0));
        made[count++] = xstrdup((const char *)sqlite3_column_text(stmt, 1));
    }
    sqlite3_finalize(stmt);
    for (int i = 0; i < count; i++) {
        run(db, dropped[i], 0, 0, 0);
        free(dropped[i]);
    }
    return count;
}

static void put_nouns(sqlite3 *db)
{
    run(db,
        "INSERT INTO node (id, name, host_uuid, cpus, memory_mib, disk_gib, virt, protocol, silent,"
        " revision, created_ms) WITH RECURSIVE m(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM m "
        "WHERE"
        " i < 20) SELECT 'n' || i, 'n' || i, 'n' || i, 1000000, 100000000, 100000000, 1, 1, 1, 0, 0"
        " FROM m",
        0, 0, 0);
    run(db,
        "INSERT INTO image (id, project_key, name, public, format, state, revision, created_ms)"
        " VALUES ('i', 1, 'i', 1, 0, 0, 0, 0)",
        0, 0, 0);
}

/* `count` lives between 400 and 100 days ago. */
static void put_lives(sqlite3 *db, int64_t count, int64_t now)
{
    for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
        autofree char *sql = xasprintf(
            "%.*s WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) %s",
            (int)(strstr(lives[i], " SELECT") - lives[i]), lives[i], strstr(lives[i], " SELECT"));
        run(db, sql, count, now - 400 * DAY_MS, 300 * DAY_MS / count);
    }
}

static struct cloud *life_cloud(const char *name, int64_t count)
{
    struct cloud *cloud = cloud_new(name);
    int64_t now = clock_wall_ms(), sealed = (now / HOUR_MS - HOURS_DUE) * HOUR_MS;
    start(cloud, "--seal-delay=1d");
    stop(cloud);
    autofree char *path = db_of(cloud);
    double begin = now_s();
    sqlite3 *db = open_raw(path);
    run(db, "PRAGMA cache_size = -400000", 0, 0, 0);
    run(db, "PRAGMA synchronous = OFF", 0, 0, 0);
    run(db, "BEGIN", 0, 0, 0);
    char *indexes[INDEXES_MAX];
    int index_count = take_indexes(db, indexes);
    put_nouns(db);
    put_lives(db, count, now);
    for (int i = 0; i < index_count; i++) {
        run(db, indexes[i], 0, 0, 0);
        free(indexes[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(present); i++)
        run(db, present[i], HOURS_DUE, sealed, 0);
    run(db, "COMMIT", 0, 0, 0);
    sqlite3_close(db);
    /* What the machine has still to write is not the first write's to wait for. */
    sync();
    printf("%-18s %lld lives written in %.1f s\n", "", (long long)count, now_s() - begin);
    fflush(stdout);
    return cloud;
}

/* ---- long_life: what it costs ---- */

static int64_t used_bytes(sqlite3 *db)
{
    return number(db, "SELECT (SELECT page_count FROM pragma_page_count) -"
                      " (SELECT freelist_count FROM pragma_freelist_count)") *
           number(db, "SELECT page_size FROM pragma_page_size");
}

/* Of the tables, with their indexes, that retention does not touch. */
static int64_t ledger_bytes(sqlite3 *db)
{
    return number(db,
                  "SELECT sum(s.pgsize) FROM dbstat s JOIN sqlite_schema m ON m.name = s.name"
                  " WHERE s.aggregate = 1 AND m.tbl_name IN ('observation', 'segment', 'seal')");
}

static bool anything_old(sqlite3 *db)
{
    return number(db,
                  "SELECT EXISTS (SELECT 1 FROM instance WHERE gone_ms IS NOT NULL) OR"
                  " EXISTS (SELECT 1 FROM audit WHERE time_ms < 1000 * unixepoch() - 7862400000)"
                  " OR EXISTS (SELECT 1 FROM operation)") != 0;
}

static int compare(const void *a, const void *b)
{
    double left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return (left > right) - (left < right);
}

/* Someone writes all the while, and waits for each answer. */
static void forget(struct cloud *cloud, int64_t lives_count)
{
    enum { WRITES = 100000, LOOK = 20 };
    autofree double *took = xcalloc(WRITES, sizeof(*took));
    autofree char *path = db_of(cloud);
    sqlite3 *db = open_raw(path);
    int64_t before = used_bytes(db), file = number(db, "SELECT page_count FROM pragma_page_count");
    int count = 0;
    double begin = now_s();
    while (count < WRITES && (count < LOOK || count % LOOK || anything_old(db))) {
        double sent = now_s();
        struct answer auto_answer_json answer =
            cloud_call(cloud, "PATCH", "/v1/images/i", "{\"labels\":{\"n\":\"%d\"}}", count);
        if (answer.status != 200)
            cloud_fail("a write: %d %s", answer.status, answer.text);
        took[count++] = (now_s() - sent) * 1000;
        usleep(5000);
    }
    double seconds = now_s() - begin;
    if (count == WRITES)
        cloud_fail("retention does not come to an end");
    qsort(took, (size_t)count, sizeof(*took), compare);
    figure_print("  retention", "none",
                 "%.0f s for %lld lives; a write beside it: p50 %.1f, p99 %.1f, most %.1f ms",
                 seconds, (long long)lives_count, took[count / 2], took[count * 99 / 100],
                 took[count - 1]);
    figure_print("  left behind", "none",
                 "%.0f bytes a life, before %.0f; evidence and ledger %.0f of them; file %+.1f%%",
                 (double)used_bytes(db) / (double)lives_count, (double)before / (double)lives_count,
                 (double)ledger_bytes(db) / (double)lives_count,
                 100.0 * (double)number(db, "SELECT page_count FROM pragma_page_count") /
                         (double)file -
                     100);
    sqlite3_close(db);
}

static double start_ms(struct cloud *cloud)
{
    double begin = now_s();
    start(cloud, "--seal-delay=1d");
    double took = (now_s() - begin) * 1000;
    return took;
}

/* By when each seal says that it was made; both at once, so that they meet the same machine. */
static double seal_ms(sqlite3 *db)
{
    return (double)number(db, "SELECT (max(sealed_ms) - min(sealed_ms)) * 1000 / (count(*) - 1)"
                              " FROM seal WHERE key > 1") /
           1000;
}

static void await_seals(sqlite3 *db)
{
    enum { PATIENCE_S = 300 };
    double begin = now_s();
    while (number(db, "SELECT max(key) FROM seal") < HOURS_DUE) {
        if (now_s() - begin > PATIENCE_S)
            cloud_fail("%lld seals in %d s", (long long)number(db, "SELECT max(key) FROM seal"),
                       PATIENCE_S);
        usleep(100000);
    }
}

static void seal_both(struct cloud *old, struct cloud *young)
{
    struct pairs pairs = {0};
    autofree char *old_path = db_of(old), *young_path = db_of(young);
    start(old, "--seal-delay=1");
    start(young, "--seal-delay=1");
    sqlite3 *old_db = open_raw(old_path), *young_db = open_raw(young_path);
    await_seals(old_db);
    await_seals(young_db);
    pairs_add(&pairs, seal_ms(old_db), seal_ms(young_db));
    pairs_print(&pairs, "  seal", "ms an hour sealed, after a million lives and after a thousand",
                "<= 1.2");
    sqlite3_close(old_db);
    sqlite3_close(young_db);
}

void bench_long_life(void)
{
    struct cloud *young = life_cloud("young", SHORT), *old = life_cloud("old", LONG);
    struct pairs starts = {0}, lists = {0};
    start(old, "--seal-delay=1d");
    forget(old, LONG);
    stop(old);
    start(young, "--seal-delay=1d");
    forget(young, SHORT);
    stop(young);
    for (int i = 0; i < 2 * BENCH_PAIRS; i++) {
        double ours = start_ms(old);
        stop(old);
        pairs_add(&starts, ours, start_ms(young));
        stop(young);
    }
    start(old, "--seal-delay=1d");
    start(young, "--seal-delay=1d");
    for (int i = 0; i < 2 * BENCH_PAIRS; i++) {
        double ours = get_ms(old, NULL, "/v1/instances?limit=1000", 10);
        pairs_add(&lists, ours, get_ms(young, NULL, "/v1/instances?limit=1000", 10));
    }
    pairs_print(&starts, "long_life", "ms to start, after a million lives and after a thousand",
                "<= 1.2");
    pairs_print(&lists, "  list_1000", "ms, after a million lives and after a thousand", "<= 1.2");
    stop(old);
    stop(young);
    seal_both(old, young);
    cloud_free(old);
    cloud_free(young);
}
