/* The writer on a database of its own: groups, roll backs, what comes after COMMIT, a
 * COMMIT that fails, a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/tx/meta.h"
#include "controller/tx/writer.h"
#include "controller/wait/watch.h"
#include "tests/lib/guard.h"

/* Stands for the placement table: counts what it is told. */
struct hosts {
    atomic_int loads, releases, rollbacks;
};

struct bench {
    char *dir, *db_path, *ballast;
    struct watch *watch;
    struct hosts hosts;
    struct writer *writer;
    struct db *reader;
};

static int hosts_load_stub(struct hosts *hosts, struct db *db, struct err *err)
{
    (void)db;
    (void)err;
    hosts->loads++;
    return 0;
}

static void hosts_release_stub(struct hosts *hosts)
{
    hosts->releases++;
}

static void hosts_rollback_stub(struct hosts *hosts)
{
    hosts->rollbacks++;
}

static const struct hosts_hooks hooks = {hosts_load_stub, hosts_release_stub, hosts_rollback_stub};

static void bench_open(struct bench *bench, int64_t event_keep)
{
    struct err auto_err err = {0};
    struct db *db = NULL;
    bench->db_path = xasprintf("%s/test.db", bench->dir);
    bench->ballast = xasprintf("%s/ballast", bench->dir);
    assert_int_equal(db_open(bench->db_path, DB_WRITER, &db, &err), 0);
    assert_int_equal(db_migrate(db, &err), 0);
    db_close(db);
    bench->watch = watch_new();
    struct writer_settings settings = {.db_path = bench->db_path,
                                       .ballast_path = bench->ballast,
                                       .watch = bench->watch,
                                       .hosts = &bench->hosts,
                                       .hooks = &hooks,
                                       .event_keep = event_keep};
    assert_int_equal(writer_start(&settings, &bench->writer, &err), 0);
    assert_int_equal(db_open(bench->db_path, DB_READER, &bench->reader, &err), 0);
}

static void bench_close(struct bench *bench)
{
    db_close(bench->reader);
    writer_stop(bench->writer);
    watch_free(bench->watch);
    free(bench->db_path);
    free(bench->ballast);
}

static int setup(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    log_set_level(LOG_ERROR + 1);
    bench->dir = guard_tempdir("writer");
    bench_open(bench, 0);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    bench_close(bench);
    free(bench->dir);
    free(bench);
    return 0;
}

/* ---- jobs ---- */

struct job {
    struct bench *bench;
    const char *name; /* of the meta row that it writes */
    sem_t *hold;      /* waits in `run` until posted */
    sem_t *over;
    bool fails, event, after;
    size_t bytes;
    int rows; /* writes as many rows instead of one, each on a page of its own */
    /* how it went */
    int64_t revision;
    enum err_code code;
    bool seen_by_reader_at_done;
    atomic_int afters, drops;
};

static void count_after(void *ctx)
{
    ((struct job *)ctx)->afters++;
}

static void count_drop(void *ctx)
{
    ((struct job *)ctx)->drops++;
}

static int write_rows(struct tx *tx, const struct job *job, struct err *err)
{
    autofree char *value = xcalloc(1, 4001);
    memset(value, job->name[0], 4000);
    for (int i = 0; i < job->rows; i++) {
        char name[32];
        snprintf(name, sizeof(name), "row%d", i);
        if (meta_set(tx, name, value, err) != 0)
            return -1;
    }
    return 0;
}

static int job_run(struct tx *tx, void *ctx, struct err *err)
{
    struct job *job = ctx;
    if (job->hold)
        sem_wait(job->hold);
    autofree char *value = xcalloc(1, job->bytes + 2);
    memset(value, 'x', job->bytes + 1);
    if (meta_set(tx, job->name, value, err) != 0 || write_rows(tx, job, err) != 0)
        return -1;
    if (job->after)
        tx_after_commit(tx, count_after, job, count_drop);
    if (job->event)
        job->revision =
            tx_event(tx, &(struct event_row){.kind = "test", .id = job->name, .what = "written"});
    return job->fails ? err_set(err, ERR_CONFLICT, "%s was told to fail", job->name) : 0;
}

static bool reader_sees(struct bench *bench, const char *name)
{
    struct err auto_err err = {0};
    autofree char *value = NULL;
    assert_int_equal(meta_get(bench->reader, name, &value, &err), 0);
    return value != NULL;
}

static void job_done(void *ctx, struct err *err)
{
    struct job *job = ctx;
    job->code = err ? err->code : ERR_NONE;
    job->seen_by_reader_at_done = reader_sees(job->bench, job->name);
    if (job->over)
        sem_post(job->over);
}

static void submit(struct bench *bench, struct job *job, bool grows)
{
    job->bench = bench;
    struct write_job wanted = {.run = job_run, .done = job_done, .ctx = job, .grows = grows};
    assert_true(writer_submit(bench->writer, &wanted));
}

static enum err_code run_one(struct bench *bench, struct job *job, bool grows)
{
    sem_t over;
    sem_init(&over, 0, 0);
    job->over = &over;
    submit(bench, job, grows);
    sem_wait(&over);
    sem_destroy(&over);
    return job->code;
}

/* Queues all while a first job holds the writer, so that they make one group. */
static void run_group(struct bench *bench, struct job *jobs, size_t count)
{
    sem_t hold, over;
    sem_init(&hold, 0, 0);
    sem_init(&over, 0, 0);
    struct job first = {.name = "first", .hold = &hold, .over = &over};
    submit(bench, &first, false);
    struct writer_stats stats;
    do
        writer_stats(bench->writer, &stats);
    while (stats.queue > 0);
    for (size_t i = 0; i < count; i++) {
        jobs[i].over = &over;
        submit(bench, &jobs[i], false);
    }
    sem_post(&hold);
    for (size_t i = 0; i < count + 1; i++)
        sem_wait(&over);
    sem_destroy(&hold);
    sem_destroy(&over);
}

/* ---- tests ---- */

static void test_writer__answers_only_after_the_commit(void **state)
{
    struct job job = {.name = "a"};
    assert_int_equal(run_one(*state, &job, false), ERR_NONE);
    assert_true(job.seen_by_reader_at_done);
}

static void test_writer__commits_what_waits_together(void **state)
{
    struct bench *bench = *state;
    struct writer_stats before, after;
    struct job jobs[50] = {0};
    char names[50][16];
    writer_stats(bench->writer, &before);
    for (int i = 0; i < 50; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        jobs[i].name = names[i];
    }
    run_group(bench, jobs, 50);
    writer_stats(bench->writer, &after);
    assert_int_equal(after.commits - before.commits, 2); /* the holder, and the fifty */
    for (int i = 0; i < 50; i++)
        assert_true(jobs[i].seen_by_reader_at_done);
}

static void test_writer__rolls_back_a_failed_job_alone(void **state)
{
    struct bench *bench = *state;
    struct job jobs[] = {{.name = "one", .after = true, .event = true},
                         {.name = "two", .after = true, .event = true, .fails = true},
                         {.name = "three", .after = true, .event = true}};
    int releases = bench->hosts.releases, rollbacks = bench->hosts.rollbacks;
    run_group(bench, jobs, 3);
    assert_int_equal(jobs[1].code, ERR_CONFLICT);
    assert_false(jobs[1].seen_by_reader_at_done);
    assert_int_equal(jobs[1].afters, 0);
    assert_int_equal(jobs[1].drops, 1);
    for (int i = 0; i < 3; i += 2) {
        assert_int_equal(jobs[i].code, ERR_NONE);
        assert_true(jobs[i].seen_by_reader_at_done);
        assert_int_equal(jobs[i].afters, 1);
        assert_int_equal(jobs[i].drops, 0);
    }
    assert_int_equal(bench->hosts.releases - releases, 3); /* with the holder */
    assert_int_equal(bench->hosts.rollbacks - rollbacks, 1);
    assert_int_equal(watch_revision(bench->watch), jobs[2].revision);
}

static void test_writer__a_failed_job_alone_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    struct job failing = {.name = "a", .fails = true, .event = true, .after = true};
    int64_t revision = watch_revision(bench->watch);
    assert_int_equal(run_one(bench, &failing, false), ERR_CONFLICT);
    assert_false(failing.seen_by_reader_at_done);
    assert_int_equal(failing.drops, 1);
    assert_int_equal(watch_revision(bench->watch), revision);
    struct job next = {.name = "b"};
    assert_int_equal(run_one(bench, &next, false), ERR_NONE);
    assert_false(reader_sees(bench, "a"));
}

static void assert_rows_begin_with(struct bench *bench, int rows, char letter)
{
    struct err auto_err err = {0};
    for (int i = 0; i < rows; i++) {
        char name[32];
        autofree char *value = NULL;
        snprintf(name, sizeof(name), "row%d", i);
        assert_int_equal(meta_get(bench->reader, name, &value, &err), 0);
        assert_non_null(value);
        assert_int_equal(value[0], letter);
    }
}

/* What a savepoint must be able to undo is kept in memory up to a size, then in a file: jobs
 * that change about as many pages as fit, and many more, must fare like those of one row. */
static void test_writer__a_job_of_any_size_is_done_and_undone(void **state)
{
    static const int sizes[] = {15, 16, 17, 30, 31, 32, 33, 34, 62, 63, 64, 65, 66, 130, 1000};
    struct bench *bench = *state;
    struct job all = {.name = "a", .rows = 1000};
    assert_int_equal(run_one(bench, &all, false), ERR_NONE);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct job jobs[] = {{.name = "b", .rows = sizes[i]},
                             {.name = "c", .rows = sizes[i], .fails = true}};
        run_group(bench, jobs, 2);
        assert_int_equal(jobs[0].code, ERR_NONE);
        assert_int_equal(jobs[1].code, ERR_CONFLICT);
        assert_rows_begin_with(bench, sizes[i], 'b');
    }
}

static void test_writer__revisions_only_grow_even_over_failures(void **state)
{
    struct bench *bench = *state;
    int64_t last = 0;
    for (int i = 0; i < 6; i++) {
        struct job job = {.name = "a", .event = true, .fails = i % 2};
        run_one(bench, &job, false);
        if (job.fails)
            continue;
        assert_true(job.revision > last);
        last = job.revision;
    }
    bench_close(bench);
    bench_open(bench, 0);
    assert_int_equal(watch_revision(bench->watch), last);
}

/* The environment is read again. Passages are counted from the first arming on, so the
 * figures below depend on the order of these tests. */
static void arm(const char *target)
{
    setenv("MINICLOUD_FAILPOINT", target, 1);
    failpoint_init();
}

static void
test_writer__a_commit_that_fails_fails_the_whole_group_and_rebuilds_the_hosts(void **state)
{
    struct bench *bench = *state;
    struct job jobs[] = {{.name = "one", .after = true, .event = true},
                         {.name = "two", .after = true}};
    int loads = bench->hosts.loads;
    arm("db.commit:2:error"); /* the holder's, then the group's */
    run_group(bench, jobs, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(jobs[i].code, ERR_INTERNAL);
        assert_false(jobs[i].seen_by_reader_at_done);
        assert_int_equal(jobs[i].afters, 0);
        assert_int_equal(jobs[i].drops, 1);
    }
    assert_int_equal(bench->hosts.loads - loads, 1);
    struct job next = {.name = "three"};
    assert_int_equal(run_one(bench, &next, false), ERR_NONE);
    assert_false(reader_sees(bench, "one"));
}

static void test_writer__a_savepoint_that_cannot_be_released_fails_its_job(void **state)
{
    struct bench *bench = *state;
    struct job jobs[] = {{.name = "one"}, {.name = "two"}};
    arm("db.release:3:error"); /* the test before passed it twice */
    run_group(bench, jobs, 2);
    assert_int_equal(jobs[0].code, ERR_INTERNAL);
    assert_int_equal(jobs[1].code, ERR_NONE);
    assert_false(reader_sees(bench, "one"));
    assert_true(reader_sees(bench, "two"));
}

static void test_writer__tells_watchers_of_what_was_touched(void **state)
{
    struct bench *bench = *state;
    struct job job = {.name = "a", .event = true};
    run_one(bench, &job, false);
    assert_int_equal(watch_revision(bench->watch), job.revision);
}

static void test_writer__stops_only_when_all_is_committed(void **state)
{
    struct bench *bench = *state;
    struct job jobs[300] = {0};
    char names[300][16];
    for (int i = 0; i < 300; i++) {
        snprintf(names[i], sizeof(names[i]), "s%d", i);
        jobs[i].name = names[i];
        submit(bench, &jobs[i], false);
    }
    writer_stop(bench->writer);
    for (int i = 0; i < 300; i++)
        assert_true(reader_sees(bench, names[i]));
    db_close(bench->reader);
    watch_free(bench->watch);
    free(bench->db_path);
    free(bench->ballast);
    bench_open(bench, 0);
}

static int64_t count_events(struct bench *bench)
{
    struct err auto_err err = {0};
    struct stmt auto_stmt *stmt = db_stmt(bench->reader, "SELECT count(*) FROM event");
    assert_int_equal(stmt_step(stmt, &err), 1);
    return stmt_i64(stmt, 0);
}

static int many_events(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    for (int i = 0; i < 1000; i++)
        tx_event(tx, &(struct event_row){.kind = "test", .id = "x", .what = "again"});
    return 0;
}

static void await_events(struct bench *bench, int64_t wanted)
{
    enum { LOOK_MS = 10, PATIENCE_MS = 60000 };
    int64_t until = clock_boottime_ms() + PATIENCE_MS;
    while (count_events(bench) != wanted) {
        if (clock_boottime_ms() > until)
            fail_msg("%lld events, not %lld", (long long)count_events(bench), (long long)wanted);
        poll(NULL, 0, LOOK_MS);
    }
}

static void test_writer__keeps_as_many_revisions_as_told(void **state)
{
    struct bench *bench = *state;
    struct err auto_err err = {0};
    int64_t first, last;
    for (int i = 0; i < 9; i++)
        assert_int_equal(writer_call(bench->writer, &(struct write_job){.run = many_events}, &err),
                         0);
    bench_close(bench);
    bench_open(bench, 1000);
    assert_int_equal(writer_call(bench->writer, &(struct write_job){.run = many_events}, &err), 0);
    /* Little by little, without anyone asking. */
    await_events(bench, 1000);
    assert_int_equal(revision_range(bench->reader, &first, &last, &err), 0);
    assert_int_equal(last, 10000);
    assert_int_equal(first, 9001);
}

/* ---- a full disk ---- */

static void fill_disk(const char *path, off_t leave)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    off_t size = 64 << 20;
    while (size > 4096 && posix_fallocate(fd, 0, size) != 0)
        size -= 65536;
    assert_int_equal(ftruncate(fd, size - leave), 0);
    close(fd);
}

/* Room is noticed without anyone asking, so there is nothing to wait on but the figure. */
static bool await_full(struct bench *bench, bool wanted)
{
    enum { LOOK_MS = 50, PATIENCE_MS = 60000 };
    struct writer_stats stats;
    for (int ms = 0; ms < PATIENCE_MS; ms += LOOK_MS) {
        writer_stats(bench->writer, &stats);
        if (stats.full == wanted)
            return true;
        poll(NULL, 0, LOOK_MS);
    }
    return false;
}

static void test_writer__on_a_full_disk_deletes_still_work_and_room_is_noticed(void **state)
{
    struct bench *bench = *state;
    autofree char *small = xasprintf("%s/small", bench->dir);
    autofree char *filler = xasprintf("%s/filler", small);
    mkdir(small, 0700);
    if (mount("tmpfs", small, "tmpfs", 0, "size=24m") != 0) {
        print_message("mounting a small disk needs root: %s\n", strerror(errno));
        skip();
    }
    struct bench full = {.dir = small};
    bench_open(&full, 0);
    fill_disk(filler, 512 * 1024);
    enum err_code code = ERR_NONE;
    char name[16];
    for (int i = 0; i < 100 && code == ERR_NONE; i++) {
        snprintf(name, sizeof(name), "big%d", i);
        struct job big = {.name = name, .bytes = 100000};
        code = run_one(&full, &big, true);
    }
    struct stat st;
    struct job grows = {.name = "grows"}, frees = {.name = "frees", .bytes = 100000};
    enum err_code grew = run_one(&full, &grows, true), freed = run_one(&full, &frees, false);
    int stated = stat(full.ballast, &st);
    unlink(filler);
    bool room = await_full(&full, false);
    struct job again = {.name = "again"};
    enum err_code after = run_one(&full, &again, true);
    bench_close(&full);
    umount2(small, MNT_DETACH);
    assert_int_equal(code, ERR_STORAGE_FULL);
    assert_int_equal(grew, ERR_STORAGE_FULL);
    assert_int_equal(freed, ERR_NONE);
    assert_int_equal(stated, 0);
    assert_int_equal(st.st_size, 0);
    assert_true(room);
    assert_int_equal(after, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_writer__answers_only_after_the_commit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_writer__commits_what_waits_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writer__rolls_back_a_failed_job_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_writer__a_failed_job_alone_leaves_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_writer__a_job_of_any_size_is_done_and_undone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_writer__revisions_only_grow_even_over_failures, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_writer__a_commit_that_fails_fails_the_whole_group_and_rebuilds_the_hosts, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_writer__a_savepoint_that_cannot_be_released_fails_its_job, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writer__tells_watchers_of_what_was_touched, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_writer__stops_only_when_all_is_committed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_writer__keeps_as_many_revisions_as_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_writer__on_a_full_disk_deletes_still_work_and_room_is_noticed, setup, teardown),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    guard_flush();
    return rc;
}
