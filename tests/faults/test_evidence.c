/* When guests began and ended, as the controller was told, beside what their QEMU's own process
 * shows: with everybody alive, without libvirtd, without the agent, and without both. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "tests/lib/cloud.h"
#include "tests/lib/guest.h"

enum { PATIENCE_MS = 20000, EXACT_MS = 1000, TICK_MS = 10 };

static int begin(void **state)
{
    static const char *const flags[] = {"--relist=2", NULL};
    struct cloud *cloud = cloud_new("evidence");
    autofree char *disk = guest_disk(cloud->dir);
    cloud_start_controller(cloud, NULL, NULL);
    cloud_start_agent(cloud, NULL, flags);
    cloud_add_image(cloud, "switch", disk, "raw");
    *state = cloud;
    return 0;
}

static int end(void **state)
{
    cloud_free(*state);
    return 0;
}

/* ---- what was told ---- */

struct told {
    int count;
    int64_t boottime_ms, wall_ms, vcpus, cpu_ns, ingress_bytes, egress_bytes;
    bool noticed;
};

static void read_row(sqlite3_stmt *row, struct told *ret)
{
    ret->count = sqlite3_column_int(row, 0);
    ret->boottime_ms = sqlite3_column_int64(row, 1);
    ret->wall_ms = sqlite3_column_int64(row, 2);
    ret->noticed = sqlite3_column_int(row, 3) != 0;
    ret->vcpus = sqlite3_column_int64(row, 4);
    ret->cpu_ns = sqlite3_column_int64(row, 5);
    ret->ingress_bytes = sqlite3_column_int64(row, 6);
    ret->egress_bytes = sqlite3_column_int64(row, 7);
}

/* The newest of a kind that the agent told, and how many that differ; what the controller notes by
 * itself is not meant. An end is told twice: when it came, and how. */
static struct told told_now(struct cloud *cloud, const char *id, int kind)
{
    static const char sql[] =
        "SELECT (SELECT count(DISTINCT run || ' ' || boottime_ms || ' ' || noticed)"
        " FROM observation WHERE resource_id = ?1 AND kind = ?2 AND incarnation <> ''), "
        "boottime_ms, wall_ms, noticed, vcpus, cpu_ns, ingress_bytes, "
        "egress_bytes FROM "
        "observation"
        " WHERE resource_id = ?1 AND kind = ?2 AND incarnation <> '' ORDER BY key DESC LIMIT 1";
    autofree char *path = xasprintf("%s/data/minicloud.db", cloud->dir);
    struct told told = {0};
    sqlite3 *db;
    sqlite3_stmt *row;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(db, 5000) != SQLITE_OK ||
        sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
        cloud_fail("%s: %s", path, sqlite3_errmsg(db));
    sqlite3_bind_text(row, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int(row, 2, kind);
    if (sqlite3_step(row) == SQLITE_ROW)
        read_row(row, &told);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return told;
}

/* ---- a guest, and its QEMU's own times ---- */

struct life {
    char *id;
    int64_t started_ms;
    struct guest_run *run;
};

static struct life begin_life(struct cloud *cloud, const char *name)
{
    autofree char *path = xasprintf("/v1/instances/%s", name);
    cloud_done(cloud, "POST", "/v1/instances",
               "{\"name\":\"%s\",\"image\":\"switch\",\"vcpus\":1,\"memory_mib\":128,"
               "\"disk_gib\":1}",
               name);
    struct answer auto_answer_json made = cloud_call(cloud, "GET", path, NULL);
    assert_string_equal(answer_str(&made, "state"), "running");
    struct life life = {.id = xstrdup(answer_str(&made, "id"))};
    life.run = guest_run_watch(cloud, life.id);
    life.started_ms = life.run->began_ms;
    return life;
}

/* Kills its QEMU; when it ended. */
static int64_t end_life(struct life *life)
{
    assert_int_equal(kill(life->run->pid, SIGKILL), 0);
    return guest_run_end(take(life->run), PATIENCE_MS);
}

/* A listing may tell that it is off before its turn has put the end on record; evidence is no
 * event that could be waited for. */
static void await_told(struct cloud *cloud, const struct life *life)
{
    int64_t until = clock_boottime_ms() + PATIENCE_MS;
    while (told_now(cloud, life->id, OBS_STOPPED).count == 0) {
        if (clock_boottime_ms() > until)
            cloud_fail("the end of %s is not told", life->id);
        usleep(10 * 1000);
    }
}

static void await_end(struct cloud *cloud, const struct life *life)
{
    autofree char *path = xasprintf("/v1/instances/%s", life->id);
    cloud_await(cloud, path, "state", "crashed", PATIENCE_MS);
    await_told(cloud, life);
}

static void delete_life(struct cloud *cloud, struct life *life)
{
    autofree char *path = xasprintf("/v1/instances/%s", life->id);
    cloud_done(cloud, "DELETE", path, NULL);
    if (life->run)
        guest_run_end(life->run, PATIENCE_MS);
    free(life->id);
}

static void assert_exact(struct cloud *cloud, const struct life *life, int64_t ended_ms,
                         const char *how)
{
    struct told start = told_now(cloud, life->id, OBS_STARTED);
    struct told stop = told_now(cloud, life->id, OBS_STOPPED);
    printf("# %s: told %lld ms after the start and %lld ms after the end, noticed=%d\n", how,
           (long long)(start.boottime_ms - life->started_ms),
           (long long)(stop.boottime_ms - ended_ms), stop.noticed);
    assert_true(llabs(start.boottime_ms - life->started_ms) <= 2 * TICK_MS);
    assert_int_equal(stop.count, 1);
    assert_false(stop.noticed);
    assert_true(llabs(stop.boottime_ms - ended_ms) < EXACT_MS);
    /* One line for all of a boot. */
    assert_int_equal(stop.wall_ms - stop.boottime_ms, start.wall_ms - start.boottime_ms);
}

/* ---- who may die ---- */

/* Long enough that a time that was made up would show. */
static void let_time_pass(void)
{
    usleep(2500 * 1000);
}

/* How many lines of what was witnessed on the host begin so: "on <id>", "off <id>". */
static int witnessed(const struct cloud *cloud, const char *what, const char *id)
{
    autofree char *path = xasprintf("%s/agent/ends", cloud->dir);
    autofree char *begin = xasprintf("%s %s ", what, id);
    char line[512];
    int count = 0;
    FILE *in = fopen(path, "re");
    while (in && fgets(line, sizeof(line), in))
        count += strncmp(line, begin, strlen(begin)) == 0;
    if (in)
        fclose(in);
    return count;
}

static void await_witness(const struct cloud *cloud, const char *what, const char *id, int count)
{
    int64_t until = clock_boottime_ms() + 60000;
    while (witnessed(cloud, what, id) < count) {
        if (clock_boottime_ms() > until)
            fail_msg("nobody wrote \"%s %s\" a %d. time", what, id, count);
        usleep(5000); /* a file that another process writes */
    }
}

static void test_evidence__an_end_is_told_as_it_was(void **state)
{
    struct cloud *cloud = *state;
    struct life life = begin_life(cloud, "alive");
    int64_t ended_ms = end_life(&life);
    await_end(cloud, &life);
    assert_exact(cloud, &life, ended_ms, "all alive");
    delete_life(cloud, &life);
}

static void test_evidence__an_end_without_libvirtd_is_told_as_it_was(void **state)
{
    struct cloud *cloud = *state;
    struct life life = begin_life(cloud, "alone");
    cloud_libvirtd(cloud, "kill-libvirtd");
    int64_t ended_ms = end_life(&life);
    await_told(cloud, &life); /* nobody bills it until libvirtd is back */
    assert_exact(cloud, &life, ended_ms, "libvirtd dead");
    cloud_libvirtd(cloud, "start-libvirtd");
    await_end(cloud, &life);
    assert_exact(cloud, &life, ended_ms, "libvirtd back");
    delete_life(cloud, &life);
}

static void test_evidence__an_end_without_the_agent_is_told_as_it_was(void **state)
{
    struct cloud *cloud = *state;
    struct life life = begin_life(cloud, "unseen");
    proc_kill(&cloud->agent);
    int64_t ended_ms = end_life(&life);
    let_time_pass();
    cloud_start_agent(cloud, NULL, NULL);
    await_end(cloud, &life);
    assert_exact(cloud, &life, ended_ms, "the agent dead");
    delete_life(cloud, &life);
}

/* A libvirtd that found the guest running is as good a witness as one that started it. */
static void test_evidence__libvirtd_may_have_died_before(void **state)
{
    struct cloud *cloud = *state;
    struct life life = begin_life(cloud, "adopted");
    proc_kill(&cloud->agent);
    int known = witnessed(cloud, "on", life.id);
    cloud_libvirtd(cloud, "kill-libvirtd");
    cloud_libvirtd(cloud, "start-libvirtd");
    await_witness(cloud, "on", life.id, known + 1); /* it has found the guest */
    int64_t ended_ms = end_life(&life);
    let_time_pass();
    cloud_start_agent(cloud, NULL, NULL);
    await_end(cloud, &life);
    assert_exact(cloud, &life, ended_ms, "the agent dead, libvirtd anew");
    delete_life(cloud, &life);
}

/* What the agent saw is not lost with it, though libvirtd could not be asked yet. */
static void test_evidence__an_end_is_remembered_beyond_the_agents_death(void **state)
{
    struct cloud *cloud = *state;
    struct life life = begin_life(cloud, "kept");
    cloud_libvirtd(cloud, "kill-libvirtd");
    int64_t ended_ms = end_life(&life);
    await_witness(cloud, "off", life.id, 1); /* the agent has seen it */
    proc_kill(&cloud->agent);
    let_time_pass();
    cloud_libvirtd(cloud, "start-libvirtd");
    cloud_start_agent(cloud, NULL, NULL);
    await_end(cloud, &life);
    assert_exact(cloud, &life, ended_ms, "libvirtd dead, then the agent");
    delete_life(cloud, &life);
}

static void test_evidence__an_end_that_nobody_saw_is_told_as_noticed(void **state)
{
    struct cloud *cloud = *state;
    struct life life = begin_life(cloud, "dark");
    proc_kill(&cloud->agent);
    cloud_libvirtd(cloud, "kill-libvirtd");
    int64_t ended_ms = end_life(&life);
    let_time_pass();
    cloud_libvirtd(cloud, "start-libvirtd");
    cloud_start_agent(cloud, NULL, NULL);
    await_end(cloud, &life);
    struct told stop = told_now(cloud, life.id, OBS_STOPPED);
    printf("# both dead: told %lld ms after the end, noticed=%d\n",
           (long long)(stop.boottime_ms - ended_ms), stop.noticed);
    assert_int_equal(stop.count, 1);
    assert_true(stop.noticed);
    assert_true(stop.boottime_ms >= ended_ms);
    delete_life(cloud, &life);
}

/* ---- what else is told ---- */

/* The host asks who has its address; nobody in the guest answers. */
static void call_guest(struct cloud *cloud, const char *name)
{
    autofree char *path = xasprintf("/v1/instances/%s", name);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", path, NULL);
    const char *address = answer_str(&shown, "addresses.0.address");
    assert_non_null(address);
    const char *argv[] = {"bash", "-c", "echo hello >\"/dev/udp/$0/9\"", address, NULL};
    assert_int_equal(cloud_on_host(cloud, argv, PATIENCE_MS), 0);
}

static void test_evidence__sizes_and_use_are_told(void **state)
{
    struct cloud *cloud = *state;
    struct life life = begin_life(cloud, "sized");
    struct told there = told_now(cloud, life.id, OBS_ALLOCATED);
    assert_int_equal(there.vcpus, 1);
    call_guest(cloud, "sized");
    cloud_done(cloud, "POST", "/v1/instances/sized/stop", "{\"force\":true}");
    struct told used = told_now(cloud, life.id, OBS_COUNTED);
    assert_int_equal(used.count, 1); /* just before it was ended */
    assert_true(used.cpu_ns > 0);
    printf("# used %lld ms of CPU, received %lld bytes, sent %lld\n",
           (long long)used.cpu_ns / 1000000, (long long)used.ingress_bytes,
           (long long)used.egress_bytes);
    assert_true(used.ingress_bytes >= 42); /* an ARP request */
    assert_int_equal(used.egress_bytes, 0);
    delete_life(cloud, &life);
}

/* The agent puts the hook back; libvirtd has it still. */
static void test_evidence__a_hook_that_was_taken_away_comes_back(void **state)
{
    struct cloud *cloud = *state;
    autofree char *hook = xasprintf("%s/host/etc/hooks/qemu.d/minicloud", cloud->dir);
    autofree char *own = xasprintf("%s/agent/libvirt-hook", cloud->dir);
    assert_int_equal(unlink(hook), 0);
    assert_int_equal(unlink(own), 0);
    proc_kill(&cloud->agent);
    cloud_start_agent(cloud, NULL, NULL);
    assert_int_equal(access(hook, X_OK), 0);
}

/* A restart of the agent repeats at most one word of each kind. */
static void test_evidence__a_restart_of_the_agent_adds_no_ends(void **state)
{
    struct cloud *cloud = *state;
    struct life life = begin_life(cloud, "steady");
    for (int i = 1; i <= 2; i++) {
        proc_kill(&cloud->agent);
        cloud_start_agent(cloud, NULL, NULL);
        cloud_await(cloud, "/v1/instances/steady", "state", "running", PATIENCE_MS);
    }
    struct told start = told_now(cloud, life.id, OBS_STARTED);
    assert_true(start.count >= 1 && start.count <= 3);
    assert_true(llabs(start.boottime_ms - life.started_ms) <= 2 * TICK_MS);
    assert_int_equal(told_now(cloud, life.id, OBS_STOPPED).count, 0);
    delete_life(cloud, &life);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evidence__an_end_is_told_as_it_was),
        cmocka_unit_test(test_evidence__an_end_without_libvirtd_is_told_as_it_was),
        cmocka_unit_test(test_evidence__an_end_without_the_agent_is_told_as_it_was),
        cmocka_unit_test(test_evidence__libvirtd_may_have_died_before),
        cmocka_unit_test(test_evidence__an_end_is_remembered_beyond_the_agents_death),
        cmocka_unit_test(test_evidence__an_end_that_nobody_saw_is_told_as_noticed),
        cmocka_unit_test(test_evidence__sizes_and_use_are_told),
        cmocka_unit_test(test_evidence__a_hook_that_was_taken_away_comes_back),
        cmocka_unit_test(test_evidence__a_restart_of_the_agent_adds_no_ends),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
