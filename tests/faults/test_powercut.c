/* Power cuts at the controller. One life of requests is recorded with all its writes; the
 * power is then cut at hundreds of places, the controller started on what was synced (and on
 * seeded choices of what may have been written besides), and held to what it had promised.
 *
 * CUTS=n cuts (default 900; with MINICLOUD_LONG 8000), SEED=n another choice of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/faults/powercut.h"
#include "tests/faults/replay.h"
#include "tests/lib/cloud.h"
#include "tests/lib/proc.h"

enum { CUTS = 900, LONG_CUTS = 8000, EACH_RECOVERY = 8 };

static struct recording recording;
static struct cloud *victim; /* where the folders are put back and started */

static long setting(const char *name, long fallback)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : fallback;
}

static size_t cuts_wanted(void)
{
    return (size_t)setting("CUTS", getenv("MINICLOUD_LONG") ? LONG_CUTS : CUTS);
}

static const char *const kind_names[TRACE_KINDS] = {
    "start", "open",   "close", "dup",    "write", "truncate", "extend", "chmod",
    "sync",  "rename", "link",  "unlink", "mkdir", "rmdir",    "mark"};

/* ---- where to cut ---- */

static bool is_ack(const struct replay *replay, size_t index, const char *start)
{
    const struct replay_op *op = replay_at(replay, index);
    return op->head.kind == TRACE_MARK && strncmp(op->data, start, strlen(start)) == 0;
}

/* Behind a write or a change of a name, before and behind a sync, behind a promise. Opening
 * and closing change nothing. */
static bool worth_cutting(const struct replay *replay, size_t end)
{
    if (end == 0 || end > replay_count(replay))
        return end == 0;
    if (end < replay_count(replay) && replay_at(replay, end)->head.kind == TRACE_SYNC)
        return true;
    const struct replay_op *op = replay_at(replay, end - 1);
    return op->head.kind == TRACE_MARK ? is_ack(replay, end - 1, "ack") : op->head.kind > TRACE_DUP;
}

/* The record with which the first start is over. */
static size_t first_start(const struct replay *replay)
{
    for (size_t i = 0; i < replay_count(replay); i++) {
        if (is_ack(replay, i, "ack join/first"))
            return i + 1;
    }
    cloud_fail("the trace has no first start");
}

struct cut {
    size_t end;
    enum keep keep;
    uint64_t seed;
};

/* `wanted` of the places between `from` and `to`, evenly, the choice moved by the seed. */
static struct cut *choose(const struct replay *replay, size_t from, size_t to, size_t wanted,
                          size_t *ret_count)
{
    size_t *places = xcalloc(to - from + 1, sizeof(*places)), count = 0;
    uint64_t seed = (uint64_t)setting("SEED", 1);
    for (size_t end = from; end < to; end++) {
        if (worth_cutting(replay, end))
            places[count++] = end;
    }
    struct cut *cuts = xcalloc(wanted + 1, sizeof(*cuts));
    for (size_t i = 0; i < wanted && count > 0; i++) {
        size_t at = (i * count + seed % 97 * count / 97) / wanted % count;
        enum keep keep = i % 3 == 0 ? KEEP_SYNCED : i % 16 == 1 ? KEEP_ALL : KEEP_SOME;
        cuts[i] = (struct cut){places[at], keep, seed * 1000003 + i};
    }
    /* Replay only goes forwards. */
    for (size_t i = 1; i < wanted; i++) {
        for (size_t j = i; j > 0 && cuts[j - 1].end > cuts[j].end; j--) {
            struct cut swap = cuts[j];
            cuts[j] = cuts[j - 1];
            cuts[j - 1] = swap;
        }
    }
    free(places);
    *ret_count = count > 0 ? wanted : 0;
    return cuts;
}

static void print_wrong(const struct replay *replay, const struct cut *cut, const char *wrong)
{
    const struct replay_op *op = cut->end ? replay_at(replay, cut->end - 1) : NULL;
    printf("# record %zu, keep %d, seed %llu (after %s %s): %s\n", cut->end, cut->keep,
           (unsigned long long)cut->seed, op ? kind_names[op->head.kind] : "nothing",
           op && op->path ? op->path : "", wrong);
}

/* How many of the cuts broke a promise; stops after `enough`. */
static int run_cuts(struct replay *replay, const struct cut *cuts, size_t count, int enough,
                    bool say)
{
    int broken = 0;
    for (size_t i = 0; i < count && broken < enough; i++) {
        replay_to(replay, cuts[i].end);
        powercut_restore(replay, (int)cuts[i].keep, cuts[i].seed, victim);
        autofree char *wrong = powercut_check(replay, cuts[i].end, victim, i % 3 == 0);
        if (wrong && say)
            print_wrong(replay, &cuts[i], wrong);
        broken += wrong != NULL;
    }
    return broken;
}

static void cut_between(size_t from, size_t to, size_t wanted)
{
    int64_t start = clock_boottime_ms();
    size_t count;
    struct replay *replay = replay_new(recording.trace, recording.root);
    if (to == 0)
        to = replay_count(replay) + 1;
    struct cut *cuts = choose(replay, from, to, wanted, &count);
    int broken = run_cuts(replay, cuts, count, 5, true);
    printf("# %zu cuts in records %zu to %zu, %d broke a promise, %.1f s\n", count, from, to,
           broken, (double)(clock_boottime_ms() - start) / 1000);
    free(cuts);
    replay_free(replay);
    assert_int_equal(broken, 0);
}

/* ---- the tests ---- */

static void test_powercut__the_trace_missed_nothing(void **state)
{
    (void)state;
    struct replay *replay = replay_new(recording.trace, recording.root);
    replay_to(replay, replay_count(replay));
    powercut_restore(replay, KEEP_ALL, 0, victim);
    autofree char *was = xasprintf("%s/data", recording.cloud->dir);
    autofree char *is = xasprintf("%s/data", victim->dir);
    /* Sockets are no files, the shared memory file of a killed process means nothing, and the
     * pid in the lock file, written by stdio, is for a person. */
    const char *argv[] = {"diff", "-r", "-x", "*.sock", "-x", "*-shm", "-x", "lock", was, is, NULL};
    assert_int_equal(proc_run(argv, NULL, NULL, 60000), 0);
    replay_free(replay);
}

static void test_powercut__the_first_start_may_be_cut_anywhere(void **state)
{
    (void)state;
    struct replay *replay = replay_new(recording.trace, recording.root);
    size_t end = first_start(replay);
    replay_free(replay);
    cut_between(0, end + 1, cuts_wanted() / 3);
}

static void test_powercut__every_promise_survives_a_cut(void **state)
{
    (void)state;
    struct replay *replay = replay_new(recording.trace, recording.root);
    size_t from = first_start(replay);
    replay_free(replay);
    cut_between(from, 0, cuts_wanted());
}

/* The power comes back, and goes again while the controller recovers. */
static int cut_again(struct replay *first, const struct cut *cut, size_t wanted)
{
    replay_to(first, cut->end);
    powercut_restore(first, (int)cut->keep, cut->seed, victim);
    autofree char *left = xasprintf("%s.left", recording.trace);
    autofree char *trace = xasprintf("%s.again", recording.trace);
    const char *copy[] = {"cp", "-a", victim->dir, left, NULL};
    const char *clean[] = {"rm", "-rf", left, trace, NULL};
    assert_int_equal(proc_run(clean, NULL, NULL, 20000), 0);
    assert_int_equal(proc_run(copy, NULL, NULL, 20000), 0);
    char *env[4];
    powercut_env(victim, victim->dir, trace, env);
    cloud_start_controller(victim, (const char *const *)env, NULL);
    proc_kill(&victim->controller);
    struct replay *second = replay_new(trace, victim->dir);
    replay_load(second, left);
    size_t count;
    struct cut *cuts = choose(second, 0, replay_count(second) + 1, wanted, &count);
    int broken = 0;
    for (size_t i = 0; i < count; i++) {
        replay_to(second, cuts[i].end);
        powercut_restore(second, (int)cuts[i].keep, cuts[i].seed, victim);
        autofree char *wrong = powercut_check(first, cut->end, victim, i % 4 == 0);
        if (wrong)
            print_wrong(second, &cuts[i], wrong);
        broken += wrong != NULL;
    }
    for (int i = 0; i < 3; i++)
        free(env[i]);
    free(cuts);
    replay_free(second);
    return broken;
}

static void test_powercut__the_recovery_may_be_cut_too(void **state)
{
    (void)state;
    size_t count, firsts = cuts_wanted() / 40;
    struct replay *replay = replay_new(recording.trace, recording.root);
    struct cut *cuts = choose(replay, 0, replay_count(replay) + 1, firsts, &count);
    int broken = 0;
    for (size_t i = 0; i < count; i++)
        broken += cut_again(replay, &cuts[i], EACH_RECOVERY);
    free(cuts);
    replay_free(replay);
    assert_int_equal(broken, 0);
}

/* On a disk that ignores syncs the same checks must find broken promises. */
static void test_powercut__a_disk_that_lies_is_found_out(void **state)
{
    (void)state;
    static const char *const lies[] = {"", "-wal", "/images"};
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        size_t count;
        struct replay *replay = replay_new(recording.trace, recording.root);
        size_t from = first_start(replay);
        replay_to(replay, from);
        replay_ignore_syncs(replay, lies[i]);
        struct cut *cuts = choose(replay, from, replay_count(replay) + 1, 120, &count);
        int broken = run_cuts(replay, cuts, count, 3, true);
        free(cuts);
        replay_free(replay);
        printf("# syncs of *%s* ignored: %s\n", lies[i], broken ? "found out" : "not noticed");
        assert_int_equal(broken, 3);
    }
}

/* ---- */

static int record(void **state)
{
    (void)state;
    int64_t start = clock_boottime_ms();
    recording = powercut_record();
    victim = cloud_new("victim");
    printf("# recorded in %.1f s\n", (double)(clock_boottime_ms() - start) / 1000);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    cloud_free(victim);
    recording_release(&recording);
    return 0;
}

int main(void)
{
    /* Thousands of syncs are made for real besides: on a memory file system they cost nothing,
     * and what is synced is decided by the replayer alone. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powercut__the_trace_missed_nothing),
        cmocka_unit_test(test_powercut__the_first_start_may_be_cut_anywhere),
        cmocka_unit_test(test_powercut__every_promise_survives_a_cut),
        cmocka_unit_test(test_powercut__the_recovery_may_be_cut_too),
        cmocka_unit_test(test_powercut__a_disk_that_lies_is_found_out),
    };
    return cmocka_run_group_tests(tests, record, forget);
}
