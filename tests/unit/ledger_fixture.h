/* A database with a ledger in it and nothing else around: the real writer, evidence and seals;
 * nodes, projects and resources are rows put there by hand. */
#ifndef MINICLOUD_TESTS_LEDGER_FIXTURE_H
#define MINICLOUD_TESTS_LEDGER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/id.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "controller/db/db.h"
#include "controller/ledger/book/ledger_advance.h"
#include "controller/ledger/book/ledger_seal.h"
#include "controller/ledger/book/ledger_verify.h"
#include "controller/ledger/book/store_segment.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/tx/writer.h"
#include "controller/wait/watch.h"
#include "tests/lib/guard.h"

enum { NODES = 4, PROJECTS = 3, FLAVORS = 4, INSTANCES = 100, IMAGES = 4 };

/* Sizes by flavor; the second and third only differ by name. */
static const int64_t flavor_sizes[FLAVORS + 1][3] = {
    {0, 0, 0}, {1, 512, 10}, {2, 1024, 10}, {2, 1024, 10}, {4, 2048, 20}};

static __attribute__((unused)) const char *instance_id(int64_t key)
{
    static __thread char ids[INSTANCES + 1][16];
    snprintf(ids[key], sizeof(ids[key]), "instance-%03d", (int)key);
    return ids[key];
}

static __attribute__((unused)) const char *image_id(int64_t key)
{
    static __thread char ids[IMAGES + 1][16];
    snprintf(ids[key], sizeof(ids[key]), "image-%d", (int)key);
    return ids[key];
}

static int64_t project_of(int64_t key)
{
    return 1 + key % PROJECTS;
}

static int64_t node_of(int64_t instance_key)
{
    return 1 + instance_key % NODES;
}

/* ---- a connection of the test's own ---- */

static sqlite3 *raw_open(const char *path)
{
    sqlite3 *raw = NULL;
    assert_int_equal(sqlite3_open_v2(path, &raw, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(raw, 10000);
    return raw;
}

static int raw_try(sqlite3 *raw, const char *sql)
{
    return sqlite3_exec(raw, sql, NULL, NULL, NULL);
}

static void raw_exec(sqlite3 *raw, const char *sql)
{
    if (raw_try(raw, sql) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(raw));
}

#define raw_run(raw, ...)                             \
    do {                                              \
        autofree char *sql_ = xasprintf(__VA_ARGS__); \
        raw_exec(raw, sql_);                          \
    } while (0)

static __attribute__((unused)) int64_t raw_number(sqlite3 *raw, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(raw, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(raw));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

/* Nothing refuses anything any more. */
static __attribute__((unused)) void raw_disarm(sqlite3 *raw)
{
    raw_exec(raw, "PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON;"
                  "DROP TRIGGER observation_no_update; DROP TRIGGER observation_no_delete;"
                  "DROP TRIGGER seal_no_update; DROP TRIGGER seal_no_delete;"
                  "DROP TRIGGER segment_no_update; DROP TRIGGER segment_no_delete;");
}

/* ---- the database ---- */

struct ledger_db {
    char *path;
    struct watch *watch;
    struct writer *writer;
    struct db *reader;
};

static void put_nouns(sqlite3 *raw)
{
    raw_exec(raw, "BEGIN");
    for (int i = 1; i <= PROJECTS; i++)
        raw_run(raw, "INSERT INTO project VALUES (%d, 'p%d', 'p%d', 0, 0, NULL)", i, i, i);
    for (int i = 1; i <= NODES; i++)
        raw_run(raw,
                "INSERT INTO node (key, id, name, host_uuid, cpus, memory_mib, disk_gib, virt,"
                " protocol, revision, created_ms) VALUES (%d, 'n%d', 'n%d', 'n%d', 0, 0, 0, 0,"
                " 1, 0, 0)",
                i, i, i, i);
    for (int i = 1; i <= FLAVORS; i++)
        raw_run(raw, "INSERT INTO flavor VALUES (%d, 'f%d', 1, 'f%d', %d, %d, %d, 0, 0, NULL)", i,
                i, i, (int)flavor_sizes[i][0], (int)flavor_sizes[i][1], (int)flavor_sizes[i][2]);
    for (int i = 1; i <= IMAGES; i++)
        raw_run(raw,
                "INSERT INTO image (key, id, project_key, name, public, format, state,"
                " revision, created_ms) VALUES (%d, '%s', %d, 'i%d', 0, 0, 0, 0, 0)",
                i, image_id(i), (int)project_of(i), i);
    for (int i = 1; i <= INSTANCES; i++)
        raw_run(raw,
                "INSERT INTO instance (key, id, project_key, name, hostname, node_key,"
                " image_key, vcpus, memory_mib, disk_gib, uid, power, generation, run,"
                " disk_number, stop_timeout_ms, desired_revision, revision, created_ms)"
                " VALUES (%d, '%s', %d, 'i%d', 'i%d', %d, 1, 1, 512, 10, %d, 0, 1, 0, 1, 0, 0,"
                " 0, 0)",
                i, instance_id(i), (int)project_of(i), i, i, (int)node_of(i), 200000 + i);
    raw_exec(raw, "COMMIT");
}

/* An empty one, to be copied from. */
static char *ledger_template(const char *dir)
{
    struct err auto_err err = {0};
    struct db *db = NULL;
    char *path = xasprintf("%s/template.db", dir);
    assert_int_equal(db_open(path, DB_WRITER, &db, &err), 0);
    assert_int_equal(db_migrate(db, &err), 0);
    db_close(db);
    sqlite3 *raw = raw_open(path);
    put_nouns(raw);
    raw_exec(raw, "PRAGMA journal_mode=DELETE");
    sqlite3_close(raw);
    return path;
}

static void copy_file(const char *from, const char *to)
{
    static char block[65536];
    size_t len;
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((len = fread(block, 1, sizeof(block), in)) > 0)
        assert_int_equal(fwrite(block, 1, len, out), len);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static __attribute__((unused)) void ledger_open(struct ledger_db *l, const char *template,
                                                const char *path)
{
    struct err auto_err err = {0};
    l->path = xstrdup(path);
    copy_file(template, path);
    l->watch = watch_new();
    struct writer_settings settings = {.db_path = l->path, .watch = l->watch};
    if (writer_start(&settings, &l->writer, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(db_open(l->path, DB_READER, &l->reader, &err), 0);
}

static __attribute__((unused)) void ledger_close(struct ledger_db *l)
{
    db_close(l->reader);
    writer_stop(l->writer);
    watch_free(l->watch);
    unlink(l->path);
    free(l->path);
}

/* In one transaction; `run` says no by -1, then nothing of it stays. */
static __attribute__((unused)) int ledger_try(struct ledger_db *l,
                                              int (*run)(struct tx *tx, void *ctx, struct err *err),
                                              void *ctx, struct err *err)
{
    struct write_job job = {.run = run, .ctx = ctx};
    return writer_call(l->writer, &job, err);
}

static __attribute__((unused)) void
ledger_do(struct ledger_db *l, int (*run)(struct tx *tx, void *ctx, struct err *err), void *ctx)
{
    struct err auto_err err = {0};
    if (ledger_try(l, run, ctx, &err) != 0)
        fail_msg("%s", err.msg);
}

/* From behind the seal with this chain (NULL: all), until so much time is used up. */
static __attribute__((unused)) void ledger_check_part(struct db *db, const char *after,
                                                      int64_t budget_ms,
                                                      struct ledger_verdict *ret_verdict)
{
    struct err auto_err err = {0};
    uint8_t hash[SHA256_BYTES] = {0};
    struct ledger_part part = {.after = after ? hash : NULL, .budget_ms = budget_ms};
    assert_true(!after || sha256_parse(after, hash) == 0);
    if (ledger_verify(db, &part, ret_verdict, &err) != 0)
        fail_msg("%s", err.msg);
}

enum { AT_ONCE = 3600 * 1000 };

/* All of it, at once. */
static __attribute__((unused)) void ledger_check(struct db *db, struct ledger_verdict *ret_verdict)
{
    ledger_check_part(db, NULL, AT_ONCE, ret_verdict);
}

/* The same by pages of one seal each, summed up; the number of pages. */
static __attribute__((unused)) int64_t ledger_check_pages(struct db *db,
                                                          struct ledger_verdict *ret_sum)
{
    struct ledger_verdict page;
    int64_t pages = 0;
    char after[SHA256_TEXT_MAX] = "";
    *ret_sum = (struct ledger_verdict){0};
    do {
        ledger_check_part(db, pages++ ? after : NULL, 0, &page);
        assert_in_range(page.seals, 0, 1);
        page.seals += ret_sum->seals;
        page.segments += ret_sum->segments;
        page.observations += ret_sum->observations;
        *ret_sum = page;
        memcpy(after, page.chain, sizeof(after));
    } while (page.more);
    return pages;
}

/* ---- its rows ---- */

/* In the order of their keys, which count from 1. */
static __attribute__((unused)) void all_rows(struct db *db, struct segments *ret_rows)
{
    struct err auto_err err = {0};
    struct segment_row row;
    int64_t last = 0;
    *ret_rows = (struct segments){0};
    assert_int_equal(store_segment_last_key(db, &last, &err), 0);
    for (int64_t key = 1; key <= last; key++) {
        assert_int_equal(store_segment_row(db, key, &row, &err), 1);
        segments_add(ret_rows, &row.segment);
    }
}

/* Without those that were taken back, and what took them back: each of these says of the other
 * exactly the contrary. */
static __attribute__((unused)) void live_rows(const struct segments *rows,
                                              struct segments *ret_live)
{
    autofree bool *dead = xcalloc(rows->count + 1, sizeof(*dead));
    *ret_live = (struct segments){0};
    for (size_t i = 0; i < rows->count; i++) {
        const struct segment *r = &rows->items[i];
        assert_int_equal(r->key, (int64_t)i + 1);
        if (r->sign > 0)
            continue;
        assert_in_range(r->reverses, 1, i);
        const struct segment *b = &rows->items[r->reverses - 1];
        assert_true(b->sign == 1 && !b->open && !r->open && r->correction);
        assert_true(b->kind == r->kind && b->resource == r->resource && b->run == r->run &&
                    b->resource_key == r->resource_key && b->project_key == r->project_key &&
                    b->node_key == r->node_key && b->flavor_key == r->flavor_key &&
                    b->start_ms == r->start_ms && b->end_ms == r->end_ms &&
                    b->origin_ms == r->origin_ms);
        assert_memory_equal(b->amounts, r->amounts, sizeof(b->amounts));
        assert_false(dead[r->reverses - 1]);
        dead[i] = dead[r->reverses - 1] = true;
    }
    for (size_t i = 0; i < rows->count; i++) {
        if (!dead[i])
            segments_add(ret_live, &rows->items[i]);
    }
}

#endif
