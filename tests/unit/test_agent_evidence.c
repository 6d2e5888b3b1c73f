/* Evidence: when runs ended, as pidfds, libvirt's hook or nobody saw it; what guests use; and
 * that what is told of one boot lies on one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/failpoint.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "node-agent/evidence/ends.h"
#include "node-agent/evidence/exits.h"
#include "node-agent/evidence/hook.h"
#include "node-agent/evidence/spool.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/host/qemu.h"
#include "node-agent/instance/evidence.h"
#include "node-agent/instance/registry.h"
#include "node-agent/link/report.h"
#include "tests/lib/guard.h"
#include "tests/unit/agent_model.h"

#define OTHER "01900000-0000-7000-8000-000000000002"

enum { PATIENCE_MS = 10000, HOUR_MS = 3600 * 1000 };

struct world {
    struct agent agent;
    struct hv_settings hv;
    struct model model;
    struct instance *instance;
    struct desired_instance desired;
    struct facts facts;
    struct situation s;
    struct step_env env;
    char *dir;
    pid_t qemu;
};

static int set_up(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    struct agent *agent = &w->agent;
    auto_err struct err err = {0};
    log_set_level(LOG_ERROR);
    w->dir = guard_tempdir("evidence");
    autofree char *spool = xasprintf("%s/spool", w->dir);
    agent->ops = &model_ops;
    w->hv.run_dir = w->dir;
    agent->hv = &w->hv;
    agent->ends_path = xasprintf("%s/ends", w->dir);
    agent->settings.count_every = HOUR_MS;
    clock_boot_id(agent->boot_id);
    pthread_mutex_init(&agent->lock, NULL);
    struct exits_settings exits = {.run_dir = w->dir,
                                   .ends_path = agent->ends_path,
                                   .boot_id = agent->boot_id,
                                   .ended = evidence_ended,
                                   .ctx = agent};
    if (spool_open(spool, &agent->spool, &err) || exits_new(&exits, &agent->exits, &err))
        fail_msg("%s", err.msg);
    model_put_domain(&w->model);
    w->instance = registry_get(agent, INSTANCE);
    w->desired = desired_running();
    w->facts = facts_running();
    w->s = (struct situation){.desired = &w->desired,
                              .epoch = EPOCH,
                              .seed = SEED,
                              .facts = &w->facts,
                              .now = clock_boottime_ms()};
    w->env = (struct step_env){.host = {&model_ops, &w->model}};
    evidence_env(agent, &w->env);
    report_new(agent);
    *state = w;
    return 0;
}

static void end_qemu(struct world *w)
{
    if (w->qemu <= 0)
        return;
    kill(w->qemu, SIGKILL);
    waitpid(w->qemu, NULL, 0);
    w->qemu = 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    end_qemu(w);
    exits_free(w->agent.exits);
    free(w->agent.report);
    spool_close(w->agent.spool);
    free(w->agent.ends_path);
    free(w->instance);
    free(w->model.xml);
    free(w->dir);
    free(w);
    guard_flush();
    return 0;
}

/* A process that calls itself the guest's QEMU, and libvirt's pid file of it. */
static void begin_qemu(struct world *w)
{
    static char name[] = "guest=mc-" INSTANCE ",debug-threads=on", how_long[] = "1000";
    autofree char *path = xasprintf("%s/mc-" INSTANCE ".pid", w->dir);
    auto_err struct err err = {0};
    int ready[2];
    char nothing;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    w->qemu = fork();
    if (w->qemu == 0) {
        char *argv[] = {name, how_long, NULL};
        execv("/bin/sleep", argv);
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &nothing, 1), 0); /* it has become sleep */
    close(ready[0]);
    guard_kill(w->qemu);
    autofree char *pid = xasprintf("%d", w->qemu);
    assert_int_equal(file_write("test", path, pid, strlen(pid), 0600, &err), 0);
}

static void put_line(struct world *w, bool off, int64_t run, const char *boot_id, int64_t at,
                     const char *witness)
{
    struct end_line line = {.off = off, .id = INSTANCE, .run = run, .boottime_ms = at};
    auto_err struct err err = {0};
    text_copy(line.boot_id, sizeof line.boot_id, boot_id);
    text_copy(line.witness, sizeof line.witness, witness);
    assert_int_equal(ends_append(w->agent.ends_path, &line, &err), 0);
}

/* All that was witnessed, oldest first; the test's process is short enough to keep it. */
static size_t witnessed(struct world *w, struct observation **ret)
{
    auto_err struct err err = {0};
    size_t n;
    bool more;
    assert_int_equal(spool_sync(w->agent.spool, &err), 0);
    *ret = spool_batch(w->agent.spool, &n, &more);
    return n;
}

static size_t count_kind(struct world *w, int kind)
{
    struct observation *all;
    size_t n = witnessed(w, &all), count = 0;
    for (size_t i = 0; i < n; i++)
        count += all[i].kind == kind;
    spool_batch_free(all, n);
    return count;
}

static struct ending ended(struct world *w, int64_t run)
{
    struct ending ending;
    w->env.ended(w->env.ctx, INSTANCE, run, &ending);
    return ending;
}

/* ---- the process ---- */

static void test_qemu__is_told_by_its_own_name_only(void **state)
{
    struct world *w = *state;
    assert_int_equal(qemu_started_at(w->dir, INSTANCE), 0);
    assert_int_equal(qemu_pidfd(w->dir, INSTANCE), -1);
    int64_t before = clock_boottime_ms();
    begin_qemu(w);
    int64_t at = qemu_started_at(w->dir, INSTANCE);
    assert_true(at >= before - 20 && at <= clock_boottime_ms());
    assert_true(qemu_cpu_ns(w->dir, INSTANCE) >= 0);
    /* The pid has become another guest's. */
    autofree char *from = xasprintf("%s/mc-" INSTANCE ".pid", w->dir);
    autofree char *to = xasprintf("%s/mc-" OTHER ".pid", w->dir);
    assert_int_equal(link(from, to), 0);
    assert_int_equal(qemu_started_at(w->dir, OTHER), 0);
    assert_int_equal(qemu_pidfd(w->dir, OTHER), -1);
    assert_int_equal(qemu_cpu_ns(w->dir, OTHER), -1);
}

static void test_exits__see_the_end_at_once_and_remember_it(void **state)
{
    struct world *w = *state;
    begin_qemu(w);
    exits_watch(w->agent.exits, INSTANCE, 1);
    exits_watch(w->agent.exits, INSTANCE, 1);
    assert_int_equal(exits_ended(w->agent.exits, INSTANCE, 1, 0), 0);
    int64_t before = clock_boottime_ms();
    end_qemu(w);
    int64_t at = exits_ended(w->agent.exits, INSTANCE, 1, PATIENCE_MS);
    assert_true(at >= before && at <= clock_boottime_ms());
    assert_int_equal(exits_ended(w->agent.exits, INSTANCE, 2, 0), 0);
    /* A later listing changes nothing, and the agent's death loses nothing. */
    exits_watch(w->agent.exits, INSTANCE, 1);
    assert_int_equal(exits_ended(w->agent.exits, INSTANCE, 1, 0), at);
    exits_forget(w->agent.exits, INSTANCE);
    struct ending ending = ended(w, 1);
    assert_int_equal(ending.boottime_ms, at);
    assert_false(ending.noticed);
    assert_string_equal(ending.boot_id, w->agent.boot_id);
}

/* With nobody who asks, and nothing that a libvirtd would say. */
static void test_exits__an_end_is_evidence_before_the_next_report(void **state)
{
    struct world *w = *state;
    struct observation *all;
    begin_qemu(w);
    exits_watch(w->agent.exits, INSTANCE, 3);
    int64_t before = clock_boottime_ms();
    end_qemu(w);
    exits_look(w->agent.exits);
    assert_int_equal(witnessed(w, &all), 1);
    assert_int_equal(all[0].kind, OBS_STOPPED);
    assert_string_equal(all[0].instance, INSTANCE);
    assert_int_equal(all[0].run, 3);
    assert_false(all[0].noticed);
    assert_true(all[0].boottime_ms >= before && all[0].boottime_ms <= clock_boottime_ms());
    assert_int_equal(all[0].boottime_ms, exits_ended(w->agent.exits, INSTANCE, 3, 0));
    assert_int_equal(all[0].boot_order, spool_boot_order(w->agent.spool, w->agent.boot_id));
    assert_true(all[0].boot_order > 0);
    spool_batch_free(all, 1);
    exits_look(w->agent.exits);
    assert_int_equal(count_kind(w, OBS_STOPPED), 1);
}

static void test_exits__the_next_run_is_another_process(void **state)
{
    struct world *w = *state;
    begin_qemu(w);
    exits_watch(w->agent.exits, INSTANCE, 1);
    end_qemu(w);
    begin_qemu(w);
    exits_watch(w->agent.exits, INSTANCE, 2);
    assert_int_equal(exits_ended(w->agent.exits, INSTANCE, 2, 0), 0);
    end_qemu(w);
    assert_true(exits_ended(w->agent.exits, INSTANCE, 2, PATIENCE_MS) > 0);
    assert_true(ended(w, 1).boottime_ms <= ended(w, 2).boottime_ms);
    assert_false(ended(w, 1).noticed);
}

/* Another controller has another number for what runs. */
static void test_exits__a_run_may_be_renumbered(void **state)
{
    struct world *w = *state;
    begin_qemu(w);
    exits_watch(w->agent.exits, INSTANCE, 1);
    exits_watch(w->agent.exits, INSTANCE, 5);
    end_qemu(w);
    assert_true(exits_ended(w->agent.exits, INSTANCE, 5, PATIENCE_MS) > 0);
}

/* ---- the file of ends ---- */

static void test_ends__libvirtd_is_believed_when_it_had_the_guest(void **state)
{
    struct world *w = *state;
    put_line(w, true, 1, w->agent.boot_id, 5000, "libvirtd:7:70");
    struct ending ending = ended(w, 1);
    assert_true(ending.noticed); /* a new libvirtd found it gone */
    assert_int_equal(ending.boottime_ms, 5000);
    put_line(w, false, 1, w->agent.boot_id, 5001, "libvirtd:7:70"); /* had it after that */
    assert_true(ended(w, 1).noticed);
    put_line(w, false, 1, "another-boot", 4000, "libvirtd:7:70");
    put_line(w, false, 1, w->agent.boot_id, 4000, "libvirtd:7:71");
    assert_true(ended(w, 1).noticed);
    put_line(w, false, 1, w->agent.boot_id, 4000, "libvirtd:7:70");
    assert_false(ended(w, 1).noticed);
    assert_int_equal(ended(w, 1).boottime_ms, 5000);
    assert_int_equal(ended(w, 2).boottime_ms, 0);
}

static void test_ends__the_agents_own_word_goes_before_libvirts(void **state)
{
    struct world *w = *state;
    put_line(w, true, 1, w->agent.boot_id, 3000, "libvirtd:8:80");
    put_line(w, true, 1, w->agent.boot_id, 4000, ENDS_BY_AGENT);
    put_line(w, true, 1, w->agent.boot_id, 5000, ENDS_BY_AGENT);
    assert_int_equal(ended(w, 1).boottime_ms, 4000);
    assert_false(ended(w, 1).noticed);
}

static void test_ends__what_nobody_saw_is_only_noticed(void **state)
{
    struct world *w = *state;
    assert_true(ended(w, 1).noticed);
    assert_int_equal(ended(w, 1).boottime_ms, 0); /* now */
    w->instance->ended_at = 7000;                 /* libvirt's event, however late it came */
    assert_true(ended(w, 1).noticed);
    assert_int_equal(ended(w, 1).boottime_ms, 7000);
    put_line(w, true, 1, w->agent.boot_id, 6000, "libvirtd:7:70");
    assert_true(ended(w, 1).noticed);
    assert_int_equal(ended(w, 1).boottime_ms, 6000);
}

static void test_ends__damage_is_skipped(void **state)
{
    struct world *w = *state;
    auto_err struct err err = {0};
    static const char text_of[] = "\n\noff\noff " INSTANCE " x y z\nrubbish rubbish\n"
                                  "off " INSTANCE " 1 boot 5000 agent and more\n"
                                  "off " INSTANCE " 1 boot 5000 agent"; /* torn */
    assert_int_equal(
        file_write("test", w->agent.ends_path, text_of, sizeof text_of - 1, 0600, &err), 0);
    assert_int_equal(ended(w, 1).boottime_ms, 0);
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void grow(struct world *w)
{
    for (int run = 1; run <= 300; run++) {
        put_line(w, false, run, w->agent.boot_id, 1000 + run, "libvirtd:7:70");
        put_line(w, true, run, w->agent.boot_id, 2000 + run, "libvirtd:7:70");
    }
    w->instance->ended_run = 299;
}

static void test_ends__the_file_is_kept_small_and_loses_nothing(void **state)
{
    struct world *w = *state;
    autofree char *old = xasprintf("%s.old", w->agent.ends_path);
    evidence_tidy(&w->agent);
    put_line(w, true, 300, "another", 1, ENDS_BY_AGENT);
    evidence_tidy(&w->agent);
    assert_true(size_of(w->agent.ends_path) > 0); /* small: not worth it */
    grow(w);
    evidence_tidy(&w->agent);
    assert_int_equal(size_of(w->agent.ends_path), -1);
    assert_false(ended(w, 300).noticed);
    put_line(w, false, 301, w->agent.boot_id, 9000, "libvirtd:7:70"); /* meanwhile */
    evidence_tidy(&w->agent);
    assert_int_equal(size_of(old), -1);
    assert_true(size_of(w->agent.ends_path) < 1024);
    assert_false(ended(w, 300).noticed);
    assert_int_equal(ended(w, 299).boottime_ms, 0);
}

static void die_at(const char *site)
{
    autofree char *text_of = xasprintf("%s:1:kill", site);
    setenv("MINICLOUD_FAILPOINT", text_of, 1);
    failpoint_init();
}

/* Killed at each side effect of tidying, and once more afterwards. */
static void test_ends__tidying_may_die_anywhere(void **state)
{
    static const char *const sites[] = {"file.rename:ends", "file.fsync_dir:ends",
                                        "file.write:ends", "file.write:ends.after",
                                        "file.unlink:ends"};
    struct world *w = *state;
    grow(w);
    for (size_t i = 0; i < ARRAY_SIZE(sites) * 4; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            die_at(sites[i % ARRAY_SIZE(sites)]);
            evidence_tidy(&w->agent);
            evidence_tidy(&w->agent);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(ended(w, 300).boottime_ms, 2300);
        assert_false(ended(w, 300).noticed);
    }
    evidence_tidy(&w->agent);
    evidence_tidy(&w->agent);
    assert_true(size_of(w->agent.ends_path) < 2048);
    assert_false(ended(w, 300).noticed);
}

/* ---- what is written ---- */

static int record_end(struct world *w, struct observation *ret)
{
    struct decision d = {.step = STEP_RECORD_END};
    auto_err struct err err = {0};
    struct observation *all;
    w->model.domain = w->facts;
    assert_int_equal(step_do(&w->env, &w->s, &w->facts, &d, &err), 0);
    size_t n = witnessed(w, &all);
    assert_true(n > 0);
    *ret = all[n - 1];
    ret->instance = ret->incarnation = NULL;
    int same_boot = strcmp(ret->boot_id, w->agent.boot_id) == 0;
    ret->boot_id = NULL;
    spool_batch_free(all, n);
    return same_boot;
}

static void test_stop__carries_what_is_known_of_it(void **state)
{
    struct world *w = *state;
    struct observation o;
    w->facts.power = HOST_OFF;
    w->facts.end_cause = CAUSE_CRASHED;
    put_line(w, true, 1, w->agent.boot_id, 4000, ENDS_BY_AGENT);
    assert_true(record_end(w, &o));
    assert_int_equal(o.kind, OBS_STOPPED);
    assert_int_equal(o.boottime_ms, 4000);
    assert_false(o.noticed);
    assert_int_equal(o.cause, CAUSE_CRASHED);
    int64_t line = o.wall_ms - o.boottime_ms;
    w->facts.mark.ended = 0;
    w->facts.mark.started = 2;
    int64_t before = clock_boottime_ms();
    assert_true(record_end(w, &o));
    assert_true(o.noticed);
    assert_true(o.boottime_ms >= before && o.boottime_ms <= clock_boottime_ms());
    assert_int_equal(o.wall_ms - o.boottime_ms, line);
}

static void test_stop__of_the_boot_before_is_told_in_its_time(void **state)
{
    struct world *w = *state;
    struct observation o;
    int64_t line;
    w->facts.power = HOST_OFF;
    assert_int_equal(spool_line(w->agent.spool, "boot-0", 1000000), 1000000);
    put_line(w, false, 1, "boot-0", 3000, "libvirtd:7:70");
    put_line(w, true, 1, "boot-0", 4000, "libvirtd:7:70");
    assert_false(record_end(w, &o));
    assert_int_equal(o.boottime_ms, 4000);
    assert_int_equal(o.wall_ms, 1004000);
    assert_int_equal(o.boot_order, 1000000);
    assert_false(o.noticed);
    assert_true(spool_line_of(w->agent.spool, w->agent.boot_id, &line));
}

static void rest(struct world *w)
{
    struct decision d = {.step = STEP_NOTHING};
    auto_err struct err err = {0};
    w->s.now = clock_boottime_ms();
    assert_int_equal(evidence_rest(&w->agent, w->instance, &w->env, &w->s, &d, &err), 0);
    evidence_count(&w->agent, w->instance, &w->env, &w->s, &d);
}

static void test_rest__is_told_once_by_each_process(void **state)
{
    struct world *w = *state;
    rest(w);
    assert_int_equal(count_kind(w, OBS_STARTED), 0); /* nobody knows since when it runs */
    begin_qemu(w);
    for (int i = 0; i < 3; i++)
        rest(w);
    assert_int_equal(count_kind(w, OBS_STARTED), 1);
    assert_int_equal(count_kind(w, OBS_ALLOCATED), 1);
    w->facts = facts_stopped();
    rest(w);
    assert_int_equal(count_kind(w, OBS_STARTED), 1);
    assert_int_equal(count_kind(w, OBS_ALLOCATED), 1);
    w->facts = facts_nothing();
    w->desired.deleted = true;
    rest(w);
    rest(w);
    assert_int_equal(count_kind(w, OBS_GONE), 1);
}

static void test_rest__sizes_are_those_of_the_definition(void **state)
{
    struct world *w = *state;
    struct observation *all;
    w->facts = facts_stopped();
    rest(w);
    size_t n = witnessed(w, &all);
    assert_int_equal(n, 1);
    assert_int_equal(all[0].vcpus, 2);
    assert_int_equal(all[0].memory_mib, 512);
    assert_int_equal(all[0].disk_gib, 10);
    spool_batch_free(all, n);
}

/* ---- counting ---- */

static void test_count__is_due_on_the_full_hour_in_utc(void **state)
{
    (void)state;
    int64_t line = 1700000000123; /* UTC of boottime 0 */
    int64_t next = evidence_next_count(5000, line, HOUR_MS);
    assert_int_equal((next + line) % HOUR_MS, 0);
    assert_true(next > 5000 && next <= 5000 + HOUR_MS);
    assert_int_equal(evidence_next_count(next, line, HOUR_MS), next + HOUR_MS);
    assert_int_equal(evidence_next_count(next - 1, line, HOUR_MS), next);
}

static void test_count__of_a_run_that_this_process_began_waits_for_the_hour(void **state)
{
    struct world *w = *state;
    int64_t line;
    auto_err struct err err = {0};
    assert_int_equal(evidence_step_done(&w->agent, w->instance, &w->env, &w->s, STEP_RESUME, &err),
                     0);
    rest(w);
    assert_int_equal(w->model.counted, 0);
    assert_true(spool_line_of(w->agent.spool, w->agent.boot_id, &line));
    assert_int_equal(evidence_count_due(&w->agent, w->instance, &w->s),
                     evidence_next_count(w->s.now, line, HOUR_MS));
    w->instance->count_at = w->s.now;
    rest(w);
    rest(w);
    assert_int_equal(w->model.counted, 1);
    assert_int_equal(count_kind(w, OBS_COUNTED), 1);
    assert_true(evidence_count_due(&w->agent, w->instance, &w->s) > w->s.now);
}

static void test_count__of_a_run_that_was_there_comes_within_five_minutes(void **state)
{
    struct world *w = *state;
    rest(w);
    assert_int_equal(w->model.counted, 0);
    int64_t due = evidence_count_due(&w->agent, w->instance, &w->s);
    assert_true(due > w->s.now && due <= w->s.now + 5 * 60 * 1000);
}

static void test_count__tells_what_the_host_says(void **state)
{
    struct world *w = *state;
    struct observation *all;
    rest(w);
    w->instance->count_at = 1;
    rest(w);
    size_t n = witnessed(w, &all);
    assert_int_equal(all[n - 1].kind, OBS_COUNTED);
    assert_int_equal(all[n - 1].run, 1);
    assert_int_equal(all[n - 1].cpu_ns, 1001);
    assert_int_equal(all[n - 1].ingress_bytes, 20);
    assert_int_equal(all[n - 1].egress_bytes, 30);
    assert_true(all[n - 1].boottime_ms >= w->s.now);
    spool_batch_free(all, n);
}

static void count_before(struct world *w, enum step step)
{
    struct decision d = {.step = step};
    evidence_count(&w->agent, w->instance, &w->env, &w->s, &d);
}

static void test_count__comes_once_more_before_the_end(void **state)
{
    struct world *w = *state;
    rest(w);
    count_before(w, STEP_RETITLE);
    assert_int_equal(w->model.counted, 0);
    count_before(w, STEP_ASK);
    assert_int_equal(w->model.counted, 1);
    step_asking(&w->s);
    count_before(w, STEP_ASK); /* pressed again */
    assert_int_equal(w->model.counted, 1);
    count_before(w, STEP_DESTROY);
    assert_int_equal(w->model.counted, 2);
    w->s.stuck = true; /* a call hangs on it: nothing but the end is asked for */
    w->instance->count_at = 1;
    count_before(w, STEP_DESTROY);
    assert_int_equal(w->model.counted, 2);
}

static void test_count__that_fails_is_tried_again_and_stops_nothing(void **state)
{
    struct world *w = *state;
    w->model.mute = true;
    rest(w);
    w->instance->count_at = 1;
    rest(w);
    assert_int_equal(count_kind(w, OBS_COUNTED), 0);
    int64_t due = evidence_count_due(&w->agent, w->instance, &w->s);
    assert_true(due > w->s.now && due <= w->s.now + 60 * 1000);
}

static void test_count__is_of_ours_and_of_what_runs_only(void **state)
{
    struct world *w = *state;
    w->s.desired = NULL;
    w->instance->count_at = w->instance->counted_run = 1;
    rest(w);
    w->s.desired = &w->desired;
    w->facts = facts_stopped();
    rest(w);
    assert_int_equal(evidence_count_due(&w->agent, w->instance, &w->s), 0);
    w->facts.power = HOST_PAUSED; /* made, and its guest never began */
    w->facts.pause = PAUSE_ASKED;
    rest(w);
    assert_int_equal(w->model.counted, 0);
}

/* ---- the hook ---- */

static void test_hook__without_its_program_is_not_installed(void **state)
{
    struct world *w = *state;
    auto_err struct err err = {0};
    bool changed;
    struct settings settings = {.state_dir = w->dir, .pool = text("minicloud")};
    autofree char *hooks = settings.hook_dir = xasprintf("%s/hooks", w->dir);
    assert_int_equal(hook_install(&settings, &changed, &err), -1);
    assert_non_null(strstr(err.msg, "cloud-node-hook"));
    assert_int_equal(access(hooks, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_qemu__is_told_by_its_own_name_only),
        TEST(test_exits__see_the_end_at_once_and_remember_it),
        TEST(test_exits__an_end_is_evidence_before_the_next_report),
        TEST(test_exits__the_next_run_is_another_process),
        TEST(test_exits__a_run_may_be_renumbered),
        TEST(test_ends__libvirtd_is_believed_when_it_had_the_guest),
        TEST(test_ends__the_agents_own_word_goes_before_libvirts),
        TEST(test_ends__what_nobody_saw_is_only_noticed),
        TEST(test_ends__damage_is_skipped),
        TEST(test_ends__the_file_is_kept_small_and_loses_nothing),
        TEST(test_ends__tidying_may_die_anywhere),
        TEST(test_stop__carries_what_is_known_of_it),
        TEST(test_stop__of_the_boot_before_is_told_in_its_time),
        TEST(test_rest__is_told_once_by_each_process),
        TEST(test_rest__sizes_are_those_of_the_definition),
        TEST(test_count__is_due_on_the_full_hour_in_utc),
        TEST(test_count__of_a_run_that_this_process_began_waits_for_the_hour),
        TEST(test_count__of_a_run_that_was_there_comes_within_five_minutes),
        TEST(test_count__tells_what_the_host_says),
        TEST(test_count__comes_once_more_before_the_end),
        TEST(test_count__that_fails_is_tried_again_and_stops_nothing),
        TEST(test_count__is_of_ours_and_of_what_runs_only),
        TEST(test_hook__without_its_program_is_not_installed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
