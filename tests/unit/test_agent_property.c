/* From every state of a host that we can think of, towards everything that may be desired,
 * with the agent dying at each side effect and once more after that: it converges, no run
 * begins twice, and what is not ours is not touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/agent_model.h"

/* ---- states of the host ---- */

static void host_empty(struct model *m)
{
    (void)m;
}
static void host_half_disk(struct model *m)
{
    model_put_disk(m, 1, 0, false);
}
static void host_disk(struct model *m)
{
    model_put_disk(m, 1, 10, true);
}
static void host_disk_and_half_seed(struct model *m)
{
    model_put_disk(m, 1, 10, true);
    model_put_seed(m, false);
}
static void host_stopped(struct model *m)
{
    model_put_domain(m);
    m->domain.power = HOST_OFF;
    m->domain.mark.ended = 1;
    m->domain.mark.cause = CAUSE_ASKED;
    m->began[1] = 1;
}
static void host_never_started(struct model *m)
{
    host_stopped(m);
    m->domain.mark.started = m->domain.mark.ended = 0;
    m->began[1] = 0;
}
static void host_ended_unrecorded(struct model *m)
{
    host_stopped(m);
    m->domain.mark.ended = 0;
    m->domain.end_cause = CAUSE_CRASHED;
}
static void host_running(struct model *m)
{
    model_put_domain(m);
    m->began[1] = 1;
}
static void host_running_deaf(struct model *m)
{
    host_running(m);
    m->deaf = true;
}
static void host_paused_new(struct model *m)
{
    model_put_domain(m);
    m->domain.power = HOST_PAUSED;
    m->domain.pause = PAUSE_ASKED;
    m->domain.mark.started = 0;
}
static void host_paused_begun(struct model *m)
{
    host_paused_new(m);
    m->domain.mark.started = 1;
}
static void host_rebuild_begun(struct model *m)
{
    host_stopped(m);
    model_put_disk(m, 2, 0, false);
}
static void host_rebuilt_not_swept(struct model *m)
{
    host_stopped(m);
    model_put_disk(m, 0, 10, true);
}
static void host_other_epoch_running(struct model *m)
{
    host_running(m);
    text_copy(m->domain.mark.epoch, EPOCH_MAX, "epoch-0");
}
static void host_other_epoch_stopped(struct model *m)
{
    host_stopped(m);
    text_copy(m->domain.mark.epoch, EPOCH_MAX, "epoch-0");
}
static void host_newer(struct model *m)
{
    host_running(m);
    m->domain.mark.generation = 100;
}
static void host_foreign(struct model *m)
{
    host_running(m);
    m->domain.marked = false;
    memset(&m->domain.mark, 0, sizeof m->domain.mark);
}

static void (*const hosts[])(struct model *) = {
    host_empty,
    host_half_disk,
    host_disk,
    host_disk_and_half_seed,
    host_stopped,
    host_never_started,
    host_ended_unrecorded,
    host_running,
    host_running_deaf,
    host_paused_new,
    host_paused_begun,
    host_rebuild_begun,
    host_rebuilt_not_swept,
    host_other_epoch_running,
    host_other_epoch_stopped,
    host_newer,
    host_foreign,
};

/* ---- what may be desired ---- */

static void want_running(struct desired_instance *d)
{
    d->generation = 2;
}
static void want_stopped(struct desired_instance *d)
{
    d->generation = 2;
    d->power = POWER_STOPPED;
}
static void want_stopped_by_force(struct desired_instance *d)
{
    want_stopped(d);
    d->force = true;
}
static void want_next_run(struct desired_instance *d)
{
    d->generation = 2;
    d->run = 2;
}
static void want_next_run_by_force(struct desired_instance *d)
{
    want_next_run(d);
    d->force = true;
}
static void want_bigger(struct desired_instance *d)
{
    want_stopped(d);
    d->vcpus = 4;
    d->memory_mib = 2048;
    d->disk_gib = 20;
    d->name = text("web2");
}
static void want_more_memory(struct desired_instance *d)
{
    want_stopped(d);
    d->memory_mib = 2048;
}
static void want_bigger_and_run(struct desired_instance *d)
{
    want_bigger(d);
    d->power = POWER_RUNNING;
    d->run = 3;
}
static void want_rebuilt(struct desired_instance *d)
{
    d->generation = 2;
    d->run = 2;
    d->disk_number = 2;
}
static void want_rebuilt_stopped(struct desired_instance *d)
{
    want_rebuilt(d);
    d->power = POWER_STOPPED;
}
static void want_gone(struct desired_instance *d)
{
    d->generation = 2;
    d->deleted = true;
}
static void want_adopted(struct desired_instance *d)
{
    d->generation = 2;
    d->adopt = true;
}
static void want_adopted_gone(struct desired_instance *d)
{
    want_adopted(d);
    d->deleted = true;
}

static void (*const wants[])(struct desired_instance *) = {
    want_running,
    want_stopped,
    want_stopped_by_force,
    want_next_run,
    want_next_run_by_force,
    want_bigger,
    want_bigger_and_run,
    want_rebuilt,
    want_more_memory,
    want_rebuilt_stopped,
    want_gone,
    want_adopted,
    want_adopted_gone,
};

/* ---- the agent ---- */

static int on_witness(void *ctx, struct observation *o, struct err *err)
{
    struct model *m = ctx;
    if (model_dies(m, err))
        return -1;
    if (o->kind == OBS_ALLOCATED) {
        m->told_vcpus = o->vcpus;
        m->told_memory_mib = o->memory_mib;
        m->told_disk_gib = o->disk_gib;
    } else if (o->kind == OBS_STOPPED) {
        assert_true(o->noticed);
        m->told_stop = o->run;
    }
    return model_dies(m, err) ? -1 : 0;
}

static int on_sync(void *ctx, struct err *err)
{
    return model_dies(ctx, err) ? -1 : 0;
}

static bool on_network(void *ctx, const char *id, struct desired_network *ret)
{
    (void)ctx;
    *ret = (struct desired_network){.id = xstrdup(id)};
    return true;
}

static int on_nat(void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    return 0;
}

static int64_t on_started_at(void *ctx, const char *id)
{
    (void)ctx;
    (void)id;
    return 1;
}

static void on_ended(void *ctx, const char *id, int64_t run, struct ending *ret)
{
    (void)ctx;
    (void)id;
    (void)run;
    *ret = (struct ending){.noticed = true};
}

/* As the agent does before each step and after it (evidence.c): each life tells at least once. */
static int tell_sizes(const struct step_env *env, const struct situation *s, bool *told,
                      struct err *err)
{
    const struct facts *f = s->facts;
    bool there = f->defined && f->marked && !s->desired->deleted;
    if (!there || (*told && model_told_sizes(env->host.ctx)))
        return 0;
    *told = true;
    return step_witness_sizes(env, f, err);
}

/* One life of the agent: until nothing is left to do, or it dies. The last decision. */
static enum step live(struct model *m, const struct desired_instance *d, int64_t *now)
{
    enum { MOST_STEPS = 100 };
    struct facts f = {.id = INSTANCE, .image_ready = m->image};
    struct situation s = {.desired = d, .epoch = EPOCH, .seed = SEED, .facts = &f, .now = *now};
    struct step_env env = {.host = {&model_ops, m},
                           .virt = VIRT_QEMU,
                           .gid = 107,
                           .pool_path = "/pool",
                           .console_dir = "/nonexistent",
                           .qemu_log_dir = "/nonexistent",
                           .ctx = m,
                           .witness = on_witness,
                           .witness_sync = on_sync,
                           .network = on_network,
                           .nat = on_nat,
                           .started_at = on_started_at,
                           .ended = on_ended};
    auto_err struct err err = {0};
    bool told = false;
    if (step_look(&env, &s, true, &f, &err))
        return STEP_WAIT;
    for (int i = 0; i < MOST_STEPS; i++) {
        struct decision decision = converge(&s);
        if (tell_sizes(&env, &s, &told, &err))
            return STEP_WAIT;
        if (decision.step == STEP_NOTHING || decision.step == STEP_REFUSE)
            return decision.step;
        if (decision.step == STEP_WAIT) {
            *now = s.now = decision.wake_at;
        } else if (decision.step == STEP_FETCH) {
            m->image = f.image_ready = true;
        } else {
            if (decision.step == STEP_ASK)
                step_asking(&s);
            if (step_do(&env, &s, &f, &decision, &err)) {
                if (m->crashed)
                    return STEP_WAIT;
                fail_msg("%s: %s", step_names[decision.step], err.msg);
            }
        }
        /* The host changed by itself: the event makes the agent look again. */
        if (decision.step == STEP_ASK && step_look(&env, &s, false, &f, &err))
            return STEP_WAIT;
    }
    fail_msg("it does not come to an end");
    return STEP_WAIT;
}

static void check_running(const struct model *m, const struct desired_instance *d)
{
    const struct facts *f = &m->domain;
    assert_true(f->defined);
    assert_int_equal(f->mark.disk, d->disk_number);
    assert_true(f->mark.started >= d->run || f->power != HOST_OFF);
    if (f->power == HOST_OFF)
        assert_true(f->mark.ended >= f->mark.started);
    if (m->began[d->run] > 0 && d->run > 1) {
        assert_int_equal(f->power, HOST_ACTIVE);
        assert_int_equal(f->vcpus, d->vcpus);
        assert_int_equal(f->memory_mib, d->memory_mib);
    }
}

static void check_stopped(struct model *m, const struct desired_instance *d)
{
    const struct facts *f = &m->domain;
    struct model_volume *disk = model_find(m, f->disk);
    assert_true(f->defined);
    assert_int_equal(f->power, HOST_OFF);
    assert_int_equal(f->vcpus, d->vcpus);
    assert_int_equal(f->memory_mib, d->memory_mib);
    assert_string_equal(f->title, d->name);
    assert_int_equal(f->mark.disk, d->disk_number);
    assert_int_equal(f->mark.disk_gib, d->disk_gib);
    assert_non_null(disk);
    assert_true(disk->whole && disk->bytes == d->disk_gib << 30);
    assert_int_equal(m->volume_count, 2); /* disk and seed, no more */
}

static void check_end(struct model *m, const struct desired_instance *d, enum step last,
                      bool foreign)
{
    for (int run = 1; run < MODEL_RUNS; run++)
        assert_true(m->began[run] <= 1);
    if (d->adopt || foreign) {
        assert_int_equal(m->changes, 0);
        return;
    }
    assert_int_equal(last, STEP_NOTHING);
    if (d->deleted) {
        assert_false(m->domain.defined);
        assert_false(m->lease);
        assert_int_equal(m->volume_count, 0);
        return;
    }
    assert_true(model_told_sizes(m));
    if (d->power == POWER_STOPPED) {
        check_stopped(m, d);
    } else {
        check_running(m, d);
    }
}

/* Lives until it ends well; dies at `first`, and `second` effects later once more.
 * Whether `first` was reached. */
static bool run_case(size_t host, size_t want, int first, int second)
{
    struct model m = {.strict = true};
    struct desired_instance d = desired_running();
    int64_t now = 1000;
    enum step last;
    bool reached = false;
    hosts[host](&m);
    wants[want](&d);
    bool foreign = (m.domain.defined && !m.domain.marked) || m.domain.mark.generation > 2;
    m.crash_at = first;
    do {
        m.crashed = false;
        last = live(&m, &d, &now);
        reached = reached || m.crashed;
        m.crash_at = m.crashed && m.ops == first && second ? m.ops + second : 0;
    } while (m.crashed);
    check_end(&m, &d, last, foreign);
    free(m.xml);
    return reached;
}

static void test_agent__converges_from_every_host_state_to_every_desire(void **state)
{
    (void)state;
    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        for (size_t w = 0; w < ARRAY_SIZE(wants); w++)
            run_case(h, w, 0, 0);
    }
}

static void test_agent__converges_though_it_dies_at_any_side_effect(void **state)
{
    (void)state;
    int cases = 0;
    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        for (size_t w = 0; w < ARRAY_SIZE(wants); w++) {
            for (int at = 1; run_case(h, w, at, 0); at++)
                cases++;
        }
    }
    print_message("%d deaths\n", cases);
    assert_true(cases > 1000);
}

static void test_agent__converges_though_it_dies_twice(void **state)
{
    (void)state;
    enum { SPAN = 12 };
    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        for (size_t w = 0; w < ARRAY_SIZE(wants); w++) {
            for (int second = 1; second <= SPAN; second++) {
                for (int at = 1; run_case(h, w, at, second); at++)
                    ;
            }
        }
    }
}

static void test_agent__never_starts_a_run_again_that_ended_by_itself(void **state)
{
    (void)state;
    static const int causes[] = {CAUSE_GUEST, CAUSE_CRASHED, CAUSE_FORCED, CAUSE_UNSEEN};
    for (size_t i = 0; i < ARRAY_SIZE(causes); i++) {
        struct model m = {0};
        struct desired_instance d = desired_running();
        int64_t now = 1000;
        assert_int_equal(live(&m, &d, &now), STEP_NOTHING);
        assert_int_equal(m.domain.power, HOST_ACTIVE);
        m.domain.power = HOST_OFF;
        m.domain.end_cause = causes[i];
        assert_int_equal(live(&m, &d, &now), STEP_NOTHING);
        assert_int_equal(m.domain.power, HOST_OFF);
        assert_int_equal(m.domain.mark.ended, 1);
        assert_int_equal(m.domain.mark.cause, causes[i]);
        d.generation++;
        d.run++;
        assert_int_equal(live(&m, &d, &now), STEP_NOTHING);
        assert_int_equal(m.domain.power, HOST_ACTIVE);
        assert_int_equal(m.began[1], 1);
        assert_int_equal(m.began[2], 1);
        free(m.xml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agent__converges_from_every_host_state_to_every_desire),
        cmocka_unit_test(test_agent__converges_though_it_dies_at_any_side_effect),
        cmocka_unit_test(test_agent__converges_though_it_dies_twice),
        cmocka_unit_test(test_agent__never_starts_a_run_again_that_ended_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
