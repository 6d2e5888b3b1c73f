/* The power-cut machinery itself: does the shim see what a program does, does the replayer
 * lose what was not synced and nothing else, and does a check on top of both fail when the
 * disk lies? A check that cannot fail would prove nothing about the controller. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/faults/replay.h"
#include "tests/lib/cloud.h"
#include "tests/lib/guard.h"
#include "tests/lib/proc.h"

/* ---- the watched program: this one, with arguments ---- */

static void child_file(const char *folder, const char *trace)
{
    struct err auto_err err = {0};
    autofree char *made = xasprintf("%s/made", folder);
    autofree char *path = xasprintf("%s/made/token", folder);
    if (file_mkdirs(made, 0700, &err) < 0 || file_write("test", path, "old", 3, 0600, &err) < 0)
        exit(1);
    trace_mark(trace, "old");
    if (file_write("test", path, "newer", 5, 0600, &err) < 0)
        exit(1);
    trace_mark(trace, "new");
    if (file_unlink("test", path, &err) < 0)
        exit(1);
    trace_mark(trace, "gone");
}

static void child_careless(const char *folder)
{
    autofree char *path = xasprintf("%s/lost", folder);
    autofree char *unnamed = xasprintf("%s/unnamed", folder);
    autofree char *named = xasprintf("%s/named", folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (write(fd, "data", 4) != 4)
        exit(1);
    close(fd);
    fd = open(unnamed, O_WRONLY | O_CREAT, 0600);
    if (write(fd, "data", 4) != 4 || fsync(fd) < 0)
        exit(1);
    close(fd);
    rename(unnamed, named);
}

static void sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "# %s: %s\n", text, sqlite3_errmsg(db));
        exit(1);
    }
}

static void child_sqlite(const char *folder, const char *trace, bool careless)
{
    autofree char *path = xasprintf("%s/test.db", folder);
    sqlite3 *db;
    if (sqlite3_open(path, &db) != SQLITE_OK)
        exit(1);
    sql(db, "PRAGMA journal_mode=WAL");
    sql(db, careless ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=FULL");
    sql(db, "PRAGMA wal_autocheckpoint=20");
    sql(db, "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v BLOB)");
    for (int i = 0; i < 60; i++) {
        sql(db, "INSERT INTO t (v) VALUES (randomblob(3000)), (randomblob(30))");
        trace_mark(trace, "commit");
    }
    sqlite3_close(db);
}

/* ---- running it and cutting ---- */

struct record {
    char *dir, *root, *trace;
};

static struct record record_child(const char *what)
{
    struct record record = {.dir = guard_tempdir("replay")};
    record.root = xasprintf("%s/root", record.dir);
    record.trace = xasprintf("%s/trace", record.dir);
    mkdir(record.root, 0755);
    char self[4096] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    autofree char *shim =
        xasprintf("LD_PRELOAD=%.*s/../cutshim.so", (int)(strrchr(self, '/') - self), self);
    autofree char *root = xasprintf(CUTSHIM_ROOT "=%s", record.root);
    autofree char *trace = xasprintf(CUTSHIM_TRACE "=%s", record.trace);
    const char *env[] = {shim, root, trace, NULL};
    const char *argv[] = {self, what, record.root, record.trace, NULL};
    assert_int_equal(proc_run(argv, env, NULL, 60000), 0);
    return record;
}

static void record_free(struct record *record)
{
    free(record->dir);
    free(record->root);
    free(record->trace);
    guard_flush();
}

static char *cut(const struct record *record, const struct replay *replay, enum keep keep,
                 uint64_t seed)
{
    static int count;
    char *folder = xasprintf("%s/cut%d", record->dir, ++count);
    replay_write(replay, keep, seed, folder);
    return folder;
}

static char *content(const char *folder, const char *name)
{
    autofree char *path = xasprintf("%s/%s", folder, name);
    struct buf auto_buf text = {0};
    struct err auto_err err = {0};
    return file_read(path, 1 << 20, &text, &err) < 0 ? NULL : buf_take(&text);
}

/* "old", "new" or "gone": the newest mark before `end`. */
static const char *last_mark(const struct replay *replay, size_t end)
{
    for (size_t i = end; i-- > 0;) {
        if (replay_at(replay, i)->head.kind == TRACE_MARK)
            return replay_at(replay, i)->data;
    }
    return "";
}

static void test_replay__loses_what_was_not_synced_and_nothing_else(void **state)
{
    (void)state;
    struct record record = record_child("careless");
    struct replay *replay = replay_new(record.trace, record.root);
    replay_to(replay, replay_count(replay));
    autofree char *synced = cut(&record, replay, KEEP_SYNCED, 0);
    autofree char *all = cut(&record, replay, KEEP_ALL, 0);
    autofree char *lost = content(synced, "lost"), *named = content(synced, "named");
    assert_null(lost);
    assert_null(named);
    autofree char *kept = content(all, "lost"), *renamed = content(all, "named");
    assert_string_equal(kept, "data");
    assert_string_equal(renamed, "data");
    replay_free(replay);
    record_free(&record);
}

/* One cut of child_file: what may stand in the file, given what was promised. */
static void check_file(const char *text, const char *promised)
{
    if (strcmp(promised, "new") == 0)
        assert_true(!text || strcmp(text, "newer") == 0);
    else if (strcmp(promised, "old") == 0)
        assert_true(text && (strcmp(text, "old") == 0 || strcmp(text, "newer") == 0));
    else if (strcmp(promised, "gone") == 0)
        assert_null(text);
    else
        assert_true(!text || strcmp(text, "old") == 0);
}

static void test_replay__a_durable_file_is_old_or_new_at_every_cut(void **state)
{
    (void)state;
    struct record record = record_child("file");
    struct replay *replay = replay_new(record.trace, record.root);
    for (size_t end = 0; end <= replay_count(replay); end++) {
        replay_to(replay, end);
        for (uint64_t seed = 0; seed < 20; seed++) {
            autofree char *folder = cut(&record, replay, seed ? KEEP_SOME : KEEP_SYNCED, seed);
            autofree char *text = content(folder, "made/token");
            check_file(text, last_mark(replay, end));
        }
    }
    replay_free(replay);
    record_free(&record);
}

static int rows_of(const char *folder)
{
    autofree char *path = xasprintf("%s/test.db", folder);
    sqlite3 *db;
    sqlite3_stmt *stmt = NULL;
    int rows = -1;
    if (access(path, F_OK) < 0)
        return 0;
    if (sqlite3_open(path, &db) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0) &&
        strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0) {
        sqlite3_finalize(stmt);
        stmt = NULL;
        rows = 0;
        if (sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &stmt, NULL) == SQLITE_OK &&
            sqlite3_step(stmt) == SQLITE_ROW)
            rows = sqlite3_column_int(stmt, 0);
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return rows;
}

/* Cuts at every third record; how many of the cuts lost a commit or broke the database. */
static int broken_cuts(const struct record *record, const char *lie, int *ret_cuts)
{
    struct replay *replay = replay_new(record->trace, record->root);
    int broken = 0, marks = 0;
    if (lie)
        replay_ignore_syncs(replay, lie);
    *ret_cuts = 0;
    for (size_t end = 0; end < replay_count(replay); end++) {
        replay_to(replay, end);
        for (uint64_t seed = 0; end % 3 == 0 && seed < 3; seed++) {
            autofree char *folder =
                cut(record, replay, seed ? KEEP_SOME : KEEP_SYNCED, end * 3 + seed);
            int rows = rows_of(folder);
            broken += rows < marks * 2 || rows % 2;
            ++*ret_cuts;
        }
        marks += replay_at(replay, end)->head.kind == TRACE_MARK;
    }
    replay_free(replay);
    return broken;
}

static void test_replay__a_synced_database_survives_every_cut(void **state)
{
    (void)state;
    struct record record = record_child("sqlite");
    int cuts;
    assert_int_equal(broken_cuts(&record, NULL, &cuts), 0);
    printf("# %d cuts\n", cuts);
    assert_true(cuts > 300);
    record_free(&record);
}

static void test_replay__a_database_without_syncs_is_caught(void **state)
{
    (void)state;
    struct record record = record_child("sqlite-careless");
    int cuts, broken = broken_cuts(&record, NULL, &cuts);
    printf("# synchronous=OFF: %d of %d cuts lost something\n", broken, cuts);
    assert_true(broken > cuts / 10);
    record_free(&record);
}

static void test_replay__a_disk_that_lies_is_caught(void **state)
{
    (void)state;
    struct record record = record_child("sqlite");
    static const char *const lies[] = {"", "-wal", ".db"};
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        int cuts, broken = broken_cuts(&record, lies[i], &cuts);
        printf("# syncs of *%s* ignored: %d of %d cuts lost something\n", lies[i], broken, cuts);
        assert_true(broken > 0);
    }
    record_free(&record);
}

static void test_replay__the_whole_trace_gives_the_folder_as_it_is(void **state)
{
    (void)state;
    struct record record = record_child("sqlite-careless");
    struct replay *replay = replay_new(record.trace, record.root);
    replay_to(replay, replay_count(replay));
    autofree char *folder = cut(&record, replay, KEEP_ALL, 0);
    const char *argv[] = {"diff", "-r", record.root, folder, NULL};
    assert_int_equal(proc_run(argv, NULL, NULL, 60000), 0);
    replay_free(replay);
    record_free(&record);
}

static int run_child(char **argv)
{
    if (strcmp(argv[1], "file") == 0)
        child_file(argv[2], argv[3]);
    else if (strcmp(argv[1], "careless") == 0)
        child_careless(argv[2]);
    else
        child_sqlite(argv[2], argv[3], strcmp(argv[1], "sqlite-careless") == 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 3)
        return run_child(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay__loses_what_was_not_synced_and_nothing_else),
        cmocka_unit_test(test_replay__a_durable_file_is_old_or_new_at_every_cut),
        cmocka_unit_test(test_replay__a_synced_database_survives_every_cut),
        cmocka_unit_test(test_replay__a_database_without_syncs_is_caught),
        cmocka_unit_test(test_replay__a_disk_that_lies_is_caught),
        cmocka_unit_test(test_replay__the_whole_trace_gives_the_folder_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
