/* The spool of unacknowledged evidence: what is kept, through deaths and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/evidence/spool.h"
#include "tests/lib/guard.h"
#include "tests/unit/agent_fixture.h"

static char *path;
static bool more; /* of the last batch */

static int set_up(void **state)
{
    (void)state;
    autofree char *dir = guard_tempdir("spool");
    path = xasprintf("%s/spool", dir);
    log_set_level(LOG_ERROR);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(path);
    guard_flush();
    return 0;
}

static struct spool *reopen(struct spool *spool)
{
    auto_err struct err err = {0};
    spool_close(spool);
    if (spool_open(path, &spool, &err))
        fail_msg("%s", err.msg);
    return spool;
}

static void add(struct spool *spool, int64_t run)
{
    auto_err struct err err = {0};
    struct observation o = {.kind = OBS_STOPPED,
                            .boot_id = text("boot-1"),
                            .instance = text(INSTANCE),
                            .run = run,
                            .cause = CAUSE_CRASHED,
                            .boottime_ms = 1000 + run,
                            .wall_ms = 2000 + run,
                            .vcpus = 2,
                            .memory_mib = 512,
                            .disk_gib = 10};
    if (spool_add(spool, &o, &err))
        fail_msg("%s", err.msg);
}

static void sync_it(struct spool *spool)
{
    auto_err struct err err = {0};
    assert_int_equal(spool_sync(spool, &err), 0);
}

/* Runs of what is pending, in order. */
static void assert_pending(struct spool *spool, const int64_t *runs, size_t count)
{
    size_t n;
    sync_it(spool);
    struct observation *batch = spool_batch(spool, &n, &more);
    assert_int_equal(n, count);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(batch[i].run, runs[i]);
    spool_batch_free(batch, n);
}

static char *incarnation(struct spool *spool)
{
    size_t n;
    sync_it(spool);
    struct observation *batch = spool_batch(spool, &n, &more);
    assert_true(n > 0);
    char *text_of = xstrdup(batch[0].incarnation);
    spool_batch_free(batch, n);
    return text_of;
}

static void test_spool__keeps_what_was_not_acknowledged(void **state)
{
    (void)state;
    struct spool *spool = reopen(NULL);
    add(spool, 1);
    add(spool, 2);
    add(spool, 3);
    autofree char *before = incarnation(spool);
    spool_acknowledge(spool, before, 2);
    spool = reopen(spool);
    assert_pending(spool, (int64_t[]){3}, 1);
    autofree char *after = incarnation(spool);
    assert_string_equal(before, after);
    add(spool, 4);
    size_t n;
    sync_it(spool);
    struct observation *batch = spool_batch(spool, &n, &more);
    assert_int_equal(batch[1].sequence, 4);
    assert_int_equal(batch[1].boottime_ms, 1004);
    assert_int_equal(batch[1].cause, CAUSE_CRASHED);
    assert_string_equal(batch[1].instance, INSTANCE);
    spool_batch_free(batch, n);
    spool_close(spool);
}

static void test_spool__reports_only_what_is_synced(void **state)
{
    (void)state;
    size_t n;
    struct spool *spool = reopen(NULL);
    add(spool, 1);
    struct observation *batch = spool_batch(spool, &n, &more);
    assert_int_equal(n, 0);
    assert_true(more);
    assert_true(spool_pending(spool));
    spool_batch_free(batch, n);
    assert_pending(spool, (int64_t[]){1}, 1);
    spool_close(spool);
}

static void test_spool__numbers_go_on_after_everything_was_acknowledged(void **state)
{
    (void)state;
    struct spool *spool = reopen(NULL);
    add(spool, 1);
    autofree char *name = incarnation(spool);
    spool_acknowledge(spool, name, 1);
    assert_false(spool_pending(spool));
    spool = reopen(spool);
    add(spool, 2);
    size_t n;
    sync_it(spool);
    struct observation *batch = spool_batch(spool, &n, &more);
    assert_int_equal(n, 1);
    assert_int_equal(batch[0].sequence, 2);
    spool_batch_free(batch, n);
    spool_close(spool);
}

static void test_spool__ignores_acknowledgements_of_another_incarnation(void **state)
{
    (void)state;
    struct spool *spool = reopen(NULL);
    add(spool, 1);
    spool_acknowledge(spool, "another", 1);
    spool_acknowledge(spool, NULL, 1);
    autofree char *name = incarnation(spool);
    spool_acknowledge(spool, name, 99);
    assert_pending(spool, (int64_t[]){1}, 1);
    spool_close(spool);
}

/* Whatever is cut off the end, all lines before it are there, and it goes on. */
static void test_spool__survives_being_torn_at_any_byte(void **state)
{
    (void)state;
    struct spool *spool = reopen(NULL);
    struct stat st;
    int64_t ends[4] = {0};
    for (int run = 1; run <= 3; run++) {
        assert_int_equal(stat(path, &st), 0);
        ends[run] = 0;
        add(spool, run);
        assert_int_equal(stat(path, &st), 0);
        ends[run] = st.st_size;
    }
    sync_it(spool);
    spool_close(spool);
    auto_buf struct buf whole = {0};
    auto_err struct err err = {0};
    assert_int_equal(file_read(path, 1 << 20, &whole, &err), 0);
    for (size_t cut = whole.len; cut-- > 0;) {
        assert_int_equal(file_write("spool", path, whole.data, cut, 0600, &err), 0);
        spool = reopen(NULL);
        size_t n, expected = 0;
        for (int run = 1; run <= 3; run++)
            expected += (int64_t)cut >= ends[run];
        sync_it(spool);
        struct observation *batch = spool_batch(spool, &n, &more);
        assert_int_equal(n, expected);
        spool_batch_free(batch, n);
        add(spool, 9);
        spool = reopen(spool);
        assert_true(spool_pending(spool));
        spool_close(spool);
    }
}

static void test_spool__skips_a_damaged_line_and_keeps_the_others(void **state)
{
    (void)state;
    struct spool *spool = reopen(NULL);
    auto_buf struct buf whole = {0};
    auto_err struct err err = {0};
    for (int run = 1; run <= 3; run++)
        add(spool, run);
    sync_it(spool);
    spool_close(spool);
    assert_int_equal(file_read(path, 1 << 20, &whole, &err), 0);
    char *second = strstr(whole.data, "O 2 ");
    assert_non_null(second);
    second[8] ^= 1;
    assert_int_equal(file_write("spool", path, whole.data, whole.len, 0600, &err), 0);
    spool = reopen(NULL);
    assert_pending(spool, (int64_t[]){1, 3}, 2);
    spool_close(spool);
}

static void test_spool__puts_aside_what_is_no_spool(void **state)
{
    (void)state;
    auto_err struct err err = {0};
    autofree char *aside = xasprintf("%s.bad", path);
    assert_int_equal(file_write("spool", path, "hello\nworld", 11, 0600, &err), 0);
    struct spool *spool = reopen(NULL);
    assert_false(spool_pending(spool));
    assert_int_equal(access(aside, F_OK), 0);
    add(spool, 1);
    spool = reopen(spool);
    assert_pending(spool, (int64_t[]){1}, 1);
    spool_close(spool);
}

static void test_spool__shrinks_when_little_of_it_is_needed(void **state)
{
    (void)state;
    struct stat st;
    struct spool *spool = reopen(NULL);
    add(spool, 1);
    autofree char *name = incarnation(spool);
    for (int run = 2; run <= 5000; run++) {
        add(spool, run);
        spool_acknowledge(spool, name, run - 1);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 300 * 1024);
    assert_pending(spool, (int64_t[]){5000}, 1);
    spool = reopen(spool);
    assert_pending(spool, (int64_t[]){5000}, 1);
    spool_close(spool);
}

static void test_spool__remembers_the_highest_revision_it_was_told(void **state)
{
    (void)state;
    char epoch[256], mark[NODE_MARK_MAX + 1];
    int64_t revision;
    struct spool *spool = reopen(NULL);
    spool_noted(spool, epoch, &revision, mark);
    assert_string_equal(epoch, "");
    spool_note(spool, "e1", 7, "m7");
    spool_note(spool, "e1", 8, "m8");
    spool = reopen(spool);
    spool_noted(spool, epoch, &revision, mark);
    assert_string_equal(epoch, "e1");
    assert_int_equal(revision, 8);
    assert_string_equal(mark, "m8");
    spool_close(spool);
}

static void test_spool__keeps_all_that_was_seen(void **state)
{
    (void)state;
    auto_err struct err err = {0};
    size_t n;
    struct observation o = {.kind = OBS_COUNTED,
                            .boot_id = text("boot-1"),
                            .instance = text(INSTANCE),
                            .run = 7,
                            .boottime_ms = 1,
                            .wall_ms = 2,
                            .noticed = true,
                            .cpu_ns = 1LL << 60,
                            .ingress_bytes = 5,
                            .egress_bytes = 6};
    struct spool *spool = reopen(NULL);
    assert_int_equal(spool_add(spool, &o, &err), 0);
    spool = reopen(spool);
    sync_it(spool);
    struct observation *batch = spool_batch(spool, &n, &more);
    assert_int_equal(n, 1);
    assert_false(more);
    assert_int_equal(batch[0].kind, OBS_COUNTED);
    assert_true(batch[0].noticed);
    assert_int_equal(batch[0].cpu_ns, 1LL << 60);
    assert_int_equal(batch[0].ingress_bytes, 5);
    assert_int_equal(batch[0].egress_bytes, 6);
    spool_batch_free(batch, n);
    spool_close(spool);
}

/* Written by an agent that did not count. */
static void test_spool__reads_entries_without_counters(void **state)
{
    (void)state;
    auto_buf struct buf file = {0};
    auto_err struct err err = {0};
    static const char *const lines[] = {"S 01900000-0000-7000-8000-0000000000ff 1",
                                        "O 1 1 boot-1 " INSTANCE " 3 2 10 20 1 128 1"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        uint32_t sum = 2166136261u;
        for (const char *at = lines[i]; *at; at++)
            sum = (sum ^ (uint8_t)*at) * 16777619u;
        buf_printf(&file, "%08x %s\n", sum, lines[i]);
    }
    assert_int_equal(file_write("spool", path, file.data, file.len, 0600, &err), 0);
    struct spool *spool = reopen(NULL);
    assert_pending(spool, (int64_t[]){3}, 1);
    spool_close(spool);
}

static void test_spool__says_when_a_batch_is_not_all(void **state)
{
    (void)state;
    size_t n;
    struct spool *spool = reopen(NULL);
    for (int run = 1; run <= SPOOL_BATCH; run++)
        add(spool, run);
    sync_it(spool);
    spool_batch_free(spool_batch(spool, &n, &more), SPOOL_BATCH);
    assert_int_equal(n, SPOOL_BATCH);
    assert_false(more);
    add(spool, SPOOL_BATCH + 1);
    sync_it(spool);
    spool_batch_free(spool_batch(spool, &n, &more), SPOOL_BATCH);
    assert_int_equal(n, SPOOL_BATCH);
    assert_true(more);
    spool_close(spool);
}

static void test_spool__evidence_of_a_boot_lies_on_one_line(void **state)
{
    (void)state;
    enum { HOUR = 3600 * 1000 };
    int64_t line = 0;
    struct spool *spool = reopen(NULL);
    assert_int_equal(spool_line(spool, "boot-1", 1000), 1000);
    assert_int_equal(spool_line(spool, "boot-1", 1003), 1000); /* two clocks, read one by one */
    spool = reopen(spool);
    assert_int_equal(spool_line(spool, "boot-1", 901), 1000);
    log_set_level(LOG_ERROR + 1);
    assert_int_equal(spool_line(spool, "boot-1", HOUR), HOUR); /* somebody set the clock */
    assert_int_equal(spool_line(spool, "boot-1", HOUR - 99), HOUR);
    assert_int_equal(spool_line(spool, "boot-2", 5000), 5000);
    spool = reopen(spool);
    assert_true(spool_line_of(spool, "boot-1", &line));
    assert_int_equal(line, HOUR);
    assert_true(spool_line_of(spool, "boot-2", &line));
    assert_int_equal(line, 5000);
    assert_false(spool_line_of(spool, "boot-3", &line));
    spool_close(spool);
}

static void test_spool__boots_are_in_order_though_the_clock_goes_back(void **state)
{
    (void)state;
    enum { MONTH_S = 31 * 24 * 3600 };
    const int64_t now = 2000000000000, back = now - MONTH_S * INT64_C(1000);
    auto_err struct err err = {0};
    struct spool *spool = reopen(NULL);
    assert_int_equal(spool_boot_order(spool, "boot-1"), 0);
    spool_line(spool, "boot-1", now);
    assert_int_equal(spool_boot_order(spool, "boot-1"), now);
    log_set_level(LOG_ERROR + 1);
    spool_line(spool, "boot-1", now + 5000); /* setting it moves no boot */
    assert_int_equal(spool_boot_order(spool, "boot-1"), now);
    spool = reopen(spool);
    spool_line(spool, "boot-2", back);
    assert_int_equal(spool_boot_order(spool, "boot-2"), now + 1);
    assert_int_equal(spool_sync(spool, &err), 0);
    spool = reopen(spool);
    spool_line(spool, "boot-3", now + 7000);
    assert_int_equal(spool_boot_order(spool, "boot-3"), now + 7000);
    assert_int_equal(spool_boot_order(spool, "boot-2"), now + 1);
    assert_int_equal(spool_boot_order(spool, "boot-1"), 0); /* forgotten; its evidence has it */
    spool_boot_settled(spool, "boot-3", now + 9000);
    spool_boot_settled(spool, "boot-3", now);
    spool_boot_settled(spool, "boot-2", now + 99000); /* late: that boot is over */
    spool = reopen(spool);
    spool_line(spool, "boot-4", back);
    assert_int_equal(spool_boot_order(spool, "boot-4"), now + 9001);
    spool_close(spool);
}

/* Else the next boot would get the same place. */
static void test_spool__a_place_that_could_not_be_written_is_not_told(void **state)
{
    (void)state;
    auto_err struct err err = {0};
    struct rlimit old, full;
    struct stat now;
    struct spool *spool = reopen(NULL);
    spool_line(spool, "boot-1", 1000000);
    assert_int_equal(spool_sync(spool, &err), 0);
    log_set_level(LOG_ERROR + 1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(stat(path, &now), 0);
    getrlimit(RLIMIT_FSIZE, &old);
    full = old;
    full.rlim_cur = (rlim_t)now.st_size;
    setrlimit(RLIMIT_FSIZE, &full);
    spool_line(spool, "boot-2", 500000);
    assert_int_equal(spool_boot_order(spool, "boot-2"), 0);
    assert_int_equal(spool_boot_order(spool, "boot-1"), 1000000);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(spool_sync(spool, &err), 0);
    assert_int_equal(spool_boot_order(spool, "boot-2"), 1000001);
    spool = reopen(spool);
    spool_line(spool, "boot-3", 400000);
    assert_int_equal(spool_boot_order(spool, "boot-3"), 1000002);
    spool_close(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_spool__keeps_what_was_not_acknowledged),
        TEST(test_spool__reports_only_what_is_synced),
        TEST(test_spool__numbers_go_on_after_everything_was_acknowledged),
        TEST(test_spool__ignores_acknowledgements_of_another_incarnation),
        TEST(test_spool__survives_being_torn_at_any_byte),
        TEST(test_spool__skips_a_damaged_line_and_keeps_the_others),
        TEST(test_spool__puts_aside_what_is_no_spool),
        TEST(test_spool__shrinks_when_little_of_it_is_needed),
        TEST(test_spool__remembers_the_highest_revision_it_was_told),
        TEST(test_spool__keeps_all_that_was_seen),
        TEST(test_spool__reads_entries_without_counters),
        TEST(test_spool__says_when_a_batch_is_not_all),
        TEST(test_spool__evidence_of_a_boot_lies_on_one_line),
        TEST(test_spool__boots_are_in_order_though_the_clock_goes_back),
        TEST(test_spool__a_place_that_could_not_be_written_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
