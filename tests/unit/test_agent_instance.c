/* Whole turns of an instance, from a page to what is reported, on a model of a host that
 * can be out of reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "api/base/clock.h"
#include "api/base/failpoint.h"
#include "api/base/log.h"
#include "node-agent/evidence/ends.h"
#include "node-agent/evidence/exits.h"
#include "node-agent/evidence/spool.h"
#include "node-agent/host/health.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/host/nat.h"
#include "node-agent/instance/evidence.h"
#include "node-agent/instance/instance.h"
#include "node-agent/instance/registry.h"
#include "node-agent/link/images.h"
#include "node-agent/link/mend.h"
#include "node-agent/link/report.h"
#include "tests/lib/bell.h"
#include "tests/lib/guard.h"
#include "tests/unit/agent_model.h"

enum { PATIENCE_MS = 60000 };

struct world {
    struct agent agent;
    struct hv_settings hv;
    struct hv_info info;
    struct health health;
    struct model model;
    struct work_item marker; /* does nothing, in its turn */
    atomic_int marked;
    char *dir;
};

static atomic_bool away;    /* libvirt is */
static atomic_bool held;    /* a look waits until it is let go */
static atomic_int waiting;  /* looks that do */
static atomic_int presses;  /* all of which fail */
static atomic_bool is_full; /* the pool */

/* What becomes of a definition, and when the last one was there. */
static enum defining { DEFINE_DONE, DEFINE_REFUSED, DEFINE_UNHEARD } defining;
static _Atomic int64_t defined_ms;

static int look_if_there(void *host, const struct look_for *what, struct facts *ret,
                         struct err *err)
{
    waiting++;
    bell_ring();
    bell_await(!held);
    waiting--;
    if (!away)
        return model_look(host, what, ret, err);
    memset(ret, 0, sizeof *ret); /* as far as it came */
    return err_set(err, ERR_UNAVAILABLE, "no connection to libvirt");
}

static int press_in_vain(void *host, const char *id, int64_t timeout_ms, struct err *err)
{
    (void)host;
    (void)id;
    (void)timeout_ms;
    presses++;
    return err_set(err, ERR_OPERATION_FAILED, "the guest could not be asked");
}

static int grow_if_room(void *host, const char *name, int64_t bytes, struct err *err)
{
    if (is_full)
        return err_set(err, ERR_STORAGE_FULL, "No space left on device");
    return model_disk_grow(host, name, bytes, err);
}

/* It is not done before its clock has moved on. UNHEARD: done, but the answer is lost. */
static int define_slowly(void *host, const char *id, const char *xml, struct err *err)
{
    int64_t began_ms = clock_boottime_ms();
    if (defining == DEFINE_REFUSED)
        return err_set(err, ERR_INVALID, "libvirt refused the domain");
    while (clock_boottime_ms() <= began_ms + 1)
        ;
    defined_ms = clock_boottime_ms();
    int r = model_define(host, id, xml, err);
    if (r == 0 && defining == DEFINE_UNHEARD)
        return err_set(err, ERR_UNAVAILABLE, "the connection broke");
    return r;
}

static struct host_ops ops;

static void *open_model(void *ctx, struct worker *worker)
{
    struct agent *agent = ctx;
    (void)worker;
    return (char *)agent + offsetof(struct world, model);
}

static void close_model(void *ctx, void *held_by_it)
{
    (void)ctx;
    (void)held_by_it;
}

/* What a turn changes is looked at when it is over. */
static void run_and_ring(void *ctx, void *hv, struct worker *worker, struct work_item *item)
{
    struct world *w = (struct world *)ctx;
    if (item == &w->marker)
        w->marked++;
    else
        instance_run(ctx, hv, worker, item);
    bell_ring();
}

static int set_up(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    struct agent *agent = &w->agent;
    auto_err struct err err = {0};
    auto_buf struct buf rules = {0};
    w->dir = guard_tempdir("instance");
    autofree char *spool = xasprintf("%s/spool", w->dir);
    ops = model_ops;
    ops.look = look_if_there;
    ops.press = press_in_vain;
    ops.disk_grow = grow_if_room;
    ops.define = define_slowly;
    away = held = is_full = false;
    defining = DEFINE_DONE;
    presses = 0;
    log_set_level(LOG_ERROR);
    agent->ops = &ops;
    w->hv = (struct hv_settings){
        .uri = "qemu+unix:///system?socket=/nonexistent", .pool = "p", .run_dir = w->dir};
    w->info.virt = VIRT_QEMU;
    agent->hv = &w->hv;
    agent->info = &w->info;
    agent->health = &w->health;
    agent->settings.pool_path = xstrdup("/pool");
    agent->settings.console_dir = xstrdup("/nonexistent");
    agent->settings.qemu_log_dir = xstrdup("/nonexistent");
    agent->settings.capabilities_dir = xasprintf("%s/capabilities", w->dir);
    agent->settings.call_deadline = 60000;
    agent->settings.count_every = 3600000;
    agent->ends_path = xasprintf("%s/ends", w->dir);
    clock_boot_id(agent->boot_id);
    pthread_mutex_init(&agent->lock, NULL);
    pthread_mutex_init(&agent->nat_lock, NULL);
    nat_rules(NULL, 0, &rules); /* in place already: a test changes nothing outside */
    agent->nat = buf_take(&rules);
    report_new(agent);
    struct work_settings work = {.workers = 1,
                                 .written_off_max = 1,
                                 .deadline_ms = 60000,
                                 .idle_ms = 1000,
                                 .ctx = agent,
                                 .open = open_model,
                                 .close = close_model,
                                 .run = run_and_ring,
                                 .stuck = instance_stuck};
    struct exits_settings exits = {.run_dir = w->dir,
                                   .ends_path = agent->ends_path,
                                   .boot_id = agent->boot_id,
                                   .ended = evidence_ended,
                                   .ctx = agent};
    if (spool_open(spool, &agent->spool, &err) || exits_new(&exits, &agent->exits, &err) ||
        images_new(agent, &err) || work_new(&work, &agent->workers, &err))
        fail_msg("%s", err.msg);
    *state = w;
    return 0;
}

static void free_instance(void *ctx, struct instance *instance)
{
    (void)ctx;
    desired_unref(instance->desired);
    instance->desired = NULL;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    struct agent *agent = &w->agent;
    agent->stopping = true;
    held = false;
    bell_ring();
    assert_true(work_stop(agent->workers, PATIENCE_MS));
    assert_true(images_stop(agent, PATIENCE_MS));
    work_free(agent->workers);
    registry_each(agent, free_instance, NULL);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct instance *next, *at = agent->buckets[i]; at; at = next) {
            next = at->next;
            free(at);
        }
    }
    for (size_t i = 0; i < agent->network_count; i++)
        network_release(&agent->networks[i]);
    free(agent->networks);
    exits_free(agent->exits);
    free(agent->ends_path);
    spool_close(agent->spool);
    free(agent->report);
    free(agent->nat);
    free(agent->settings.pool_path);
    free(agent->settings.console_dir);
    free(agent->settings.qemu_log_dir);
    free(agent->settings.capabilities_dir);
    free(w->model.xml);
    free(w->dir);
    free(w);
    guard_flush();
    return 0;
}

/* ---- what happens ---- */

/* The wire's structs own their texts, ours are literals. */
static struct desired_instance owned(const struct desired_instance *d)
{
    struct desired_instance copy = *d;
    copy.id = xstrdup(d->id);
    copy.name = xstrdup(d->name);
    copy.hostname = xstrdup(d->hostname);
    copy.user_data = xstrdup(d->user_data);
    copy.image.id = xstrdup(d->image.id);
    copy.image.sha256 = xstrdup(d->image.sha256);
    copy.keys = (struct strings){0};
    const struct desired_interface *from = d->interfaces.items;
    struct desired_interface *nic = xcalloc(1, sizeof *nic);
    nic->network = xstrdup(from->network);
    nic->mac = xstrdup(from->mac);
    nic->address = xstrdup(from->address);
    copy.interfaces = (struct wire_list){.items = nic, .count = 1};
    return copy;
}

static void told(struct world *w, const struct desired_instance *d)
{
    static char epoch[] = EPOCH;
    struct desired_instance row = owned(d);
    struct desired_page page = {
        .epoch = epoch, .revision = d->generation, .instances = {.items = &row, .count = 1}};
    registry_apply(&w->agent, &page);
}

static void listed(struct world *w, const struct facts *facts)
{
    pthread_mutex_lock(&w->agent.lock);
    instance_seen(&w->agent, registry_get(&w->agent, INSTANCE), facts);
    pthread_mutex_unlock(&w->agent.lock);
}

static struct instance now(struct world *w)
{
    struct instance copy = {0};
    pthread_mutex_lock(&w->agent.lock);
    const struct instance *instance = registry_find(&w->agent, INSTANCE);
    /* What comes before belongs to the pool. */
    if (instance)
        memcpy(copy.id, instance->id, sizeof copy - offsetof(struct instance, id));
    pthread_mutex_unlock(&w->agent.lock);
    return copy;
}

static void wake(struct world *w)
{
    pthread_mutex_lock(&w->agent.lock);
    struct instance *instance = registry_get(&w->agent, INSTANCE);
    instance->retry_at = 0;
    work_wake(w->agent.workers, &instance->work);
    pthread_mutex_unlock(&w->agent.lock);
}

static void pass(struct world *w, int64_t ms)
{
    int before = w->marked;
    work_wake_at(w->agent.workers, &w->marker, clock_boottime_ms() + ms);
    bell_await(w->marked > before);
}

/* With the one worker: what was queued is done, and what that queued as well. */
static void settle(struct world *w)
{
    pass(w, 0);
    pass(w, 0);
}

static int64_t due(struct world *w)
{
    pthread_mutex_lock(&w->agent.lock);
    const struct instance *instance = registry_find(&w->agent, INSTANCE);
    int64_t at = instance ? work_due(w->agent.workers, &instance->work) : 0;
    pthread_mutex_unlock(&w->agent.lock);
    return at;
}

/* The controller has taken all reports; whether the agent still knows of it. */
static bool kept(struct world *w)
{
    pthread_mutex_lock(&w->agent.lock);
    struct instance *instance = registry_find(&w->agent, INSTANCE);
    if (instance)
        instance->reported = instance->changed;
    registry_tidy(&w->agent);
    bool there = registry_find(&w->agent, INSTANCE) != NULL;
    pthread_mutex_unlock(&w->agent.lock);
    return there;
}

#define wait_until(w, condition)                                            \
    do {                                                                    \
        int64_t until_ = bell_patience();                                   \
        for (;;) {                                                          \
            uint64_t seen_ = bell_rings();                                  \
            struct instance i = now(w);                                     \
            (void)i.seen;                                                   \
            if (condition)                                                  \
                break;                                                      \
            if (!bell_wait(seen_, until_))                                  \
                fail_msg("%s never came; state %s, reason %s", #condition,  \
                         state_names[i.observed.state], i.observed.reason); \
        }                                                                   \
    } while (0)

static void guest_runs_as_desired(struct world *w)
{
    struct desired_instance d = desired_running();
    model_put_domain(&w->model);
    told(w, &d);
    wait_until(w, i.seen && i.observed.state == STATE_RUNNING);
}

/* ---- the tests ---- */

static void test_instance__a_deletion_while_libvirt_is_away_is_not_reported_as_done(void **state)
{
    struct world *w = *state;
    struct desired_instance d = desired_running();
    guest_runs_as_desired(w);
    away = true;
    d.deleted = true;
    d.generation = 2;
    told(w, &d);
    wait_until(w, i.observed.reason[0]);
    assert_int_equal(now(w).observed.state, STATE_RUNNING);
    assert_false(now(w).observed.converged);
    assert_true(kept(w));
    assert_true(kept(w));
    away = false;
    wake(w);
    wait_until(w, i.observed.state == STATE_ABSENT);
    assert_true(now(w).observed.converged);
    assert_int_equal(now(w).observed.generation, 2);
    assert_int_equal(w->model.volume_count, 0);
    settle(w);
    assert_false(kept(w));
}

static void test_instance__a_tombstone_of_what_was_never_looked_at_is_not_absent(void **state)
{
    struct world *w = *state;
    struct desired_instance d = desired_running();
    away = true;
    d.deleted = true;
    told(w, &d);
    wait_until(w, i.observed.reason[0]);
    assert_int_not_equal(now(w).observed.state, STATE_ABSENT);
    assert_false(now(w).observed.converged);
    assert_true(kept(w));
}

static void test_instance__an_adopted_one_is_not_absent_while_libvirt_is_away(void **state)
{
    struct world *w = *state;
    struct desired_instance d = desired_running();
    away = true;
    d.adopt = true;
    told(w, &d);
    wait_until(w, i.observed.reason[0]);
    assert_int_equal(now(w).observed.state, STATE_PROVISIONING);
    assert_false(now(w).observed.converged);
    away = false;
    wake(w);
    wait_until(w, i.observed.state == STATE_ABSENT && i.observed.converged);
}

static void test_instance__a_quarantined_one_is_kept_while_libvirt_cannot_be_asked(void **state)
{
    struct world *w = *state;
    struct facts f = facts_running();
    model_put_domain(&w->model);
    w->agent.told = true;
    listed(w, &f);
    assert_true(now(w).observed.quarantined);
    away = true;
    wake(w);
    wait_until(w, i.observed.reason[0]);
    assert_int_equal(now(w).observed.state, STATE_RUNNING);
    assert_true(now(w).observed.quarantined);
    assert_true(kept(w));
}

static void test_instance__work_while_libvirt_is_away_leaves_a_running_guest_running(void **state)
{
    struct world *w = *state;
    struct desired_instance d = desired_running();
    guest_runs_as_desired(w);
    away = true;
    d.power = POWER_STOPPED;
    d.generation = 2;
    told(w, &d);
    wait_until(w, i.observed.reason[0]);
    assert_int_equal(now(w).observed.state, STATE_RUNNING);
    assert_int_equal(now(w).observed.run, 1);
    assert_false(now(w).observed.final);
}

static void test_instance__a_guest_that_cannot_be_asked_is_forced_in_time(void **state)
{
    struct world *w = *state;
    struct desired_instance d = desired_running();
    guest_runs_as_desired(w);
    pthread_mutex_lock(&w->agent.lock); /* so many presses have failed already */
    registry_find(&w->agent, INSTANCE)->attempts = 10;
    pthread_mutex_unlock(&w->agent.lock);
    d.power = POWER_STOPPED;
    d.stop_timeout_ms = 1500;
    told(w, &d);
    wait_until(w, i.observed.state == STATE_STOPPED && i.observed.converged);
    assert_int_equal(now(w).observed.cause, CAUSE_FORCED);
    assert_true(presses > 0);
}

static void test_instance__what_is_told_as_final_is_tried_again(void **state)
{
    struct world *w = *state;
    struct desired_instance d = desired_running();
    is_full = true;
    d.power = POWER_STOPPED;
    d.generation = 2;
    model_put_domain(&w->model);
    w->model.domain.power = HOST_OFF;
    w->model.domain.mark.ended = 1;
    w->model.domain.mark.cause = CAUSE_ASKED;
    d.disk_gib = 20;
    told(w, &d);
    wait_until(w, i.observed.state == STATE_ERROR && i.observed.final);
    wait_until(w, due(w) > 0); /* it comes back by itself */
    assert_true(due(w) <= clock_boottime_ms() + 70000);
    is_full = false;
    wake(w);
    wait_until(w, i.observed.state == STATE_STOPPED && i.observed.converged);
}

/* ---- what a resize is billed from ---- */

/* The last word about its sizes, all 0 when there is none. */
static struct observation sizes_told(struct world *w)
{
    auto_err struct err err = {0};
    struct observation last = {0};
    size_t n;
    bool more;
    assert_int_equal(spool_sync(w->agent.spool, &err), 0);
    struct observation *all = spool_batch(w->agent.spool, &n, &more);
    for (size_t i = 0; i < n; i++) {
        if (all[i].kind == OBS_ALLOCATED)
            last = all[i];
    }
    spool_batch_free(all, n);
    last.boot_id = last.incarnation = last.instance = NULL;
    return last;
}

/* It is off, has 2 CPUs and 512 MiB, and 4 CPUs are wanted. */
static void want_more(struct world *w, enum defining becomes)
{
    struct desired_instance d = desired_running();
    d.power = POWER_STOPPED;
    d.generation = 2;
    model_put_domain(&w->model);
    w->model.domain.power = HOST_OFF;
    w->model.domain.mark.ended = 1;
    w->model.domain.mark.cause = CAUSE_ASKED;
    told(w, &d);
    wait_until(w, i.observed.converged);
    assert_int_equal(sizes_told(w).vcpus, 2);
    defining = becomes;
    defined_ms = 0;
    d.generation = 3;
    d.vcpus = 4;
    told(w, &d);
}

static void test_resize__is_dated_by_when_the_host_had_done_it(void **state)
{
    struct world *w = *state;
    want_more(w, DEFINE_DONE);
    wait_until(w, i.observed.converged && i.observed.vcpus == 4);
    struct observation told = sizes_told(w);
    assert_int_equal(told.vcpus, 4);
    assert_true(defined_ms > 0);
    assert_true(told.boottime_ms >= defined_ms);
}

static void test_resize__that_its_host_refuses_is_on_no_bill(void **state)
{
    struct world *w = *state;
    want_more(w, DEFINE_REFUSED);
    wait_until(w, i.observed.final && i.observed.state == STATE_ERROR);
    assert_int_equal(sizes_told(w).vcpus, 2);
}

static void test_resize__whose_answer_was_lost_is_told_when_it_is_seen(void **state)
{
    struct world *w = *state;
    want_more(w, DEFINE_UNHEARD);
    wait_until(w, i.observed.reason[0]);
    wake(w);
    wait_until(w, i.observed.converged && i.observed.vcpus == 4);
    assert_int_equal(sizes_told(w).vcpus, 4);
}

static void test_instance__one_that_a_worker_is_busy_with_is_not_lacking_in_a_listing(void **state)
{
    struct world *w = *state;
    struct facts f = facts_running();
    model_put_domain(&w->model);
    held = true;
    wake(w);
    bell_await(waiting > 0);
    assert_false(now(w).seen);
    listed(w, &f);
    assert_true(now(w).seen);
    assert_int_equal(now(w).observed.state, STATE_RUNNING);
    assert_false(now(w).observed.converged);
}

static void test_instance__volumes_alone_are_not_lacking_either(void **state)
{
    struct world *w = *state;
    held = true;
    pthread_mutex_lock(&w->agent.lock);
    instance_volume_seen(&w->agent, registry_get(&w->agent, INSTANCE), INSTANCE ".1.qcow2");
    pthread_mutex_unlock(&w->agent.lock);
    assert_true(now(w).seen);
    assert_int_equal(now(w).observed.state, STATE_STOPPED);
}

static void test_instance__at_rest_comes_back_by_itself_to_be_counted(void **state)
{
    struct world *w = *state;
    guest_runs_as_desired(w);
    wait_until(w, i.count_at > 0 && due(w) == i.count_at);
    pthread_mutex_lock(&w->agent.lock); /* the hour has come */
    struct instance *instance = registry_find(&w->agent, INSTANCE);
    instance->count_at = clock_boottime_ms();
    work_wake_at(w->agent.workers, &instance->work, instance->count_at);
    pthread_mutex_unlock(&w->agent.lock);
    wait_until(w, w->model.counted == 1 && due(w) > clock_boottime_ms());
    assert_int_equal(now(w).observed.state, STATE_RUNNING);
}

static void test_instance__a_stop_counts_what_was_used_first(void **state)
{
    struct world *w = *state;
    struct desired_instance d = desired_running();
    guest_runs_as_desired(w);
    d.power = POWER_STOPPED;
    d.force = true;
    d.generation = 2;
    told(w, &d);
    wait_until(w, i.observed.state == STATE_STOPPED && i.observed.converged);
    assert_int_equal(w->model.counted, 1);
    assert_int_equal(now(w).ended_run, 1);
}

static void test_mend__puts_back_a_network_that_was_taken_away(void **state)
{
    struct world *w = *state;
    guest_runs_as_desired(w);
    w->agent.networks = xcalloc(1, sizeof *w->agent.networks);
    w->agent.networks[0].id = xstrdup(NETWORK);
    w->agent.network_count = 1;
    mend_networks(&w->agent, &w->model);
    assert_true(w->model.network && w->model.lease);
    w->model.lease = false; /* the network is up: nothing is asked of it */
    mend_networks(&w->agent, &w->model);
    assert_false(w->model.lease);
}

static void test_mend__applies_the_rules_anew_though_they_did_not_change(void **state)
{
    struct world *w = *state;
    auto_err struct err err = {0};
    assert_int_equal(registry_nat(&w->agent, &err), 0);
    /* They get as far as nft. */
    setenv("MINICLOUD_FAILPOINT", "nft.run:1:error", 1);
    failpoint_init();
    assert_int_equal(registry_nat_again(&w->agent, &err), -1);
    unsetenv("MINICLOUD_FAILPOINT");
}

static void test_images__why_a_fetch_failed_is_told_while_it_is_tried_again(void **state)
{
    struct world *w = *state;
    struct desired_instance d = desired_running();
    bool told_coming = false;
    int64_t until = bell_patience();
    while (!told_coming && clock_boottime_ms() < until) {
        auto_err struct err err = {0};
        enum image_state is = images_want(&w->agent, &d.image, &err);
        told_coming = is == IMAGE_COMING && err.msg[0];
        pass(w, 10); /* a failure stands for a while */
    }
    assert_true(told_coming);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TURN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TURN(test_instance__a_deletion_while_libvirt_is_away_is_not_reported_as_done),
        TURN(test_instance__a_tombstone_of_what_was_never_looked_at_is_not_absent),
        TURN(test_instance__an_adopted_one_is_not_absent_while_libvirt_is_away),
        TURN(test_instance__a_quarantined_one_is_kept_while_libvirt_cannot_be_asked),
        TURN(test_instance__work_while_libvirt_is_away_leaves_a_running_guest_running),
        TURN(test_instance__a_guest_that_cannot_be_asked_is_forced_in_time),
        TURN(test_instance__what_is_told_as_final_is_tried_again),
        TURN(test_resize__is_dated_by_when_the_host_had_done_it),
        TURN(test_resize__that_its_host_refuses_is_on_no_bill),
        TURN(test_resize__whose_answer_was_lost_is_told_when_it_is_seen),
        TURN(test_instance__one_that_a_worker_is_busy_with_is_not_lacking_in_a_listing),
        TURN(test_instance__volumes_alone_are_not_lacking_either),
        TURN(test_instance__at_rest_comes_back_by_itself_to_be_counted),
        TURN(test_instance__a_stop_counts_what_was_used_first),
        TURN(test_mend__puts_back_a_network_that_was_taken_away),
        TURN(test_mend__applies_the_rules_anew_though_they_did_not_change),
        TURN(test_images__why_a_fetch_failed_is_told_while_it_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
