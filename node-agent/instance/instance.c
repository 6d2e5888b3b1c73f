/* One instance's turn: look at the host, decide, carry out, until nothing is left to do
 * or something must be waited for. Runs in a worker; see world.h. */
#include "node-agent/instance/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/evidence/spool.h"
#include "node-agent/host/health.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/host/kvm.h"
#include "node-agent/instance/evidence.h"
#include "node-agent/instance/registry.h"
#include "node-agent/instance/steps.h"

/* RETRY_FINAL_MS: after what was told as final, half of it to one and a half. */
enum {
    STEPS_A_TURN = 64,
    ATTEMPTS = 5,
    RETRY_MS = 500,
    RETRY_MOST_MS = 30000,
    RETRY_FINAL_MS = 45000
};

struct turn {
    struct agent *agent;
    struct instance *instance;
    struct worker *worker;
    struct desired *desired;
    struct step_env env;
    struct situation s;
    struct facts facts;
    struct trouble trouble;
    enum step trouble_step;
    bool told, wide;
    int64_t session, retry_at;
};

void *instance_open(void *ctx, struct worker *worker)
{
    struct agent *agent = ctx;
    struct hv_guard guard = {.ctx = worker, .begin = work_call_begin, .end = work_call_end};
    return hv_new(agent->hv, &guard);
}

void instance_close(void *ctx, void *hv)
{
    (void)ctx;
    hv_free(hv);
}

/* ---- what steps need of the agent ---- */

static bool on_network(void *ctx, const char *id, struct desired_network *ret)
{
    return registry_network(ctx, id, ret);
}

static int on_nat(void *ctx, struct err *err)
{
    return registry_nat(ctx, err);
}

void instance_env(struct agent *agent, void *hv, struct step_env *ret)
{
    *ret = (struct step_env){.host = {.ops = agent->ops, .ctx = hv},
                             .virt = agent->info->virt,
                             .gid = agent->gid,
                             .pool_path = agent->settings.pool_path,
                             .console_dir = agent->settings.console_dir,
                             .qemu_log_dir = agent->settings.qemu_log_dir,
                             .network = on_network,
                             .nat = on_nat};
    evidence_env(agent, ret);
}

/* ---- a turn ---- */

static void situate(struct turn *t)
{
    t->s.desired = t->desired ? &t->desired->value : NULL;
    t->s.epoch = t->desired ? t->desired->epoch : "";
    t->s.seed = t->desired ? t->desired->seed : "";
    t->s.facts = &t->facts;
    t->facts.image_ready = t->s.desired && t->s.desired->image.sha256 &&
                           t->agent->image_cache->ready(t->agent, t->s.desired->image.sha256);
}

static void begin(struct turn *t, void *hv)
{
    struct agent *agent = t->agent;
    struct instance *instance = t->instance;
    pthread_mutex_lock(&agent->lock);
    instance_env(agent, hv, &t->env);
    t->desired = desired_ref(instance->desired);
    t->s.asking = instance->asking;
    t->s.shutdown = instance->shutdown;
    t->s.stuck = work_stuck(agent->workers, &instance->work) > 0;
    t->trouble = instance->trouble;
    t->trouble_step = instance->trouble_step;
    t->retry_at = instance->retry_at;
    t->told = agent->told;
    t->wide = instance->look_wide;
    t->session = agent->session;
    text_copy(t->facts.id, sizeof t->facts.id, instance->id);
    t->facts.network_ready = instance->network_session == agent->session && agent->session > 0;
    if (t->s.stuck && instance->hung[0])
        snprintf(t->trouble.reason, sizeof t->trouble.reason,
                 "libvirt's call %s has not come back in time; the guest's QEMU may hang",
                 instance->hung);
    else if (!t->s.stuck)
        instance->hung[0] = '\0';
    pthread_mutex_unlock(&agent->lock);
    situate(t);
}

/* Takes over what became desired meanwhile. */
static void refresh(struct turn *t)
{
    pthread_mutex_lock(&t->agent->lock);
    struct desired *newer =
        t->instance->desired == t->desired ? NULL : desired_ref(t->instance->desired);
    bool changed = t->instance->desired != t->desired;
    if (changed) {
        t->trouble = t->instance->trouble;
        t->trouble_step = t->instance->trouble_step;
        t->retry_at = t->instance->retry_at;
    }
    t->s.shutdown = t->instance->shutdown;
    pthread_mutex_unlock(&t->agent->lock);
    if (!changed)
        return;
    desired_unref(t->desired);
    t->desired = newer;
    t->s.seed_written = t->s.cleaned = t->s.logs_removed = false;
    situate(t);
}

static void publish(struct turn *t, const struct decision *d)
{
    struct observed observed;
    struct instance *instance = t->instance;
    observe(&t->s, d, &t->trouble, t->told, &observed);
    pthread_mutex_lock(&t->agent->lock);
    if (!work_written_off(t->worker)) {
        text_copy(instance->disk, sizeof instance->disk, t->facts.disk);
        text_copy(instance->seed, sizeof instance->seed, t->facts.seed);
        text_copy(instance->base, sizeof instance->base, t->facts.base);
        instance->ended_run = t->facts.mark.ended;
        if (t->facts.network_ready)
            instance->network_session = t->session;
        registry_observe(t->agent, instance, t->desired, &observed);
    }
    pthread_mutex_unlock(&t->agent->lock);
}

/* What was not seen, and what only puts on record or ends, is never final: whoever waits
 * for a stop must not be told that there will be none. */
static bool may_be_final(const struct turn *t, enum step step)
{
    /* A deletion has nobody else who would finish it. */
    if (!t->s.desired || t->s.desired->deleted)
        return false;
    switch (step) {
    case STEP_NOTHING:
    case STEP_WAIT:
    case STEP_LIST:
    case STEP_ASK:
    case STEP_DESTROY:
    case STEP_RECORD_END:
    case STEP_STAMP:
    case STEP_RETITLE:
        return false;
    default:
        return true;
    }
}

/* Final is only what is told; see struct trouble. */
static bool is_final(const struct turn *t, enum step step, const struct err *err, int attempts)
{
    if (!may_be_final(t, step))
        return false;
    switch (err->code) {
    case ERR_UNAVAILABLE:
    case ERR_HOST_TIMEOUT:
    case ERR_CONNECT:
    case ERR_UNAUTHENTICATED:
        return false;
    case ERR_INVALID:
    case ERR_FIELD:
    case ERR_CHECKSUM:
    case ERR_BAD_IMAGE:
    case ERR_CONFLICT:
    case ERR_STORAGE_FULL:
        return true;
    default:
        return attempts >= ATTEMPTS;
    }
}

static int64_t retry_in(int attempts, bool final)
{
    uint16_t dice;
    int64_t ms = final ? RETRY_FINAL_MS : RETRY_MS;
    for (int i = 1; i < attempts && ms < RETRY_MOST_MS; i++)
        ms *= 2;
    random_bytes(&dice, sizeof dice);
    return ms / 2 + ms * dice / UINT16_MAX;
}

/* When to try again. A guest that takes no press is forced in time all the same. */
static int64_t retry_at(const struct turn *t, enum step step, int attempts)
{
    int64_t at = clock_boottime_ms() + retry_in(attempts, t->trouble.final);
    int64_t forced = t->s.desired ? t->s.asking.since + t->s.desired->stop_timeout_ms : at;
    return step == STEP_ASK && forced < at ? forced : at;
}

static void note_trouble(struct turn *t, enum step step, const struct err *err)
{
    struct instance *instance = t->instance;
    pthread_mutex_lock(&t->agent->lock);
    int attempts = ++instance->attempts;
    t->trouble.final = is_final(t, step, err, attempts);
    text_copy(t->trouble.reason, sizeof t->trouble.reason, err->msg);
    t->trouble_step = step;
    t->retry_at = retry_at(t, step, attempts);
    if (!work_written_off(t->worker) && instance->desired == t->desired) {
        instance->trouble = t->trouble;
        instance->trouble_step = step;
        instance->retry_at = t->retry_at;
    }
    pthread_mutex_unlock(&t->agent->lock);
    log_warn("instance.failed", "id=%s step=%s attempt=%d final=%d error=\"%s\"", instance->id,
             step_names[step], attempts, t->trouble.final, err->msg);
}

static void fail(struct turn *t, const struct decision *d, const struct err *err)
{
    struct decision told = {.step = d->step == STEP_NOTHING ? STEP_WAIT : d->step};
    note_trouble(t, d->step, err);
    publish(t, &told);
    work_wake_at(t->agent->workers, &t->instance->work, t->retry_at);
}

/* The host could not be looked at: what was seen last still stands, and only the reason
 * is news. Of what was never seen, or was seen to be gone, all that is known is the wish. */
static void publish_unseen(struct turn *t)
{
    struct instance *instance = t->instance;
    struct observed o = instance->observed;
    if (!instance->seen || o.state == STATE_ABSENT) {
        if (!t->desired)
            return;
        memset(&o, 0, sizeof o);
        text_copy(o.id, sizeof o.id, instance->id);
        o.state = STATE_PROVISIONING;
        o.generation = t->s.desired->generation;
    }
    o.converged = o.final = false;
    o.quarantined = o.quarantined && !t->desired;
    memset(o.reason, 0, sizeof o.reason);
    text_copy(o.reason, sizeof o.reason, t->trouble.reason);
    registry_observe(t->agent, instance, t->desired, &o);
}

static void fail_look(struct turn *t, const struct err *err)
{
    note_trouble(t, STEP_LIST, err);
    pthread_mutex_lock(&t->agent->lock);
    if (!work_written_off(t->worker))
        publish_unseen(t);
    pthread_mutex_unlock(&t->agent->lock);
    work_wake_at(t->agent->workers, &t->instance->work, t->retry_at);
}

/* A step that had failed has now been done; or nothing is left to do. */
static void recover(struct turn *t, enum step step)
{
    pthread_mutex_lock(&t->agent->lock);
    if (t->instance->attempts > 0 && (step == t->instance->trouble_step || step == STEP_NOTHING)) {
        memset(&t->instance->trouble, 0, sizeof t->instance->trouble);
        memset(&t->trouble, 0, sizeof t->trouble);
        t->instance->attempts = 0;
        t->instance->retry_at = t->retry_at = 0;
    }
    pthread_mutex_unlock(&t->agent->lock);
}

/* An ended turn: the timer for what is waited for. */
static void settle(struct turn *t, const struct decision *d)
{
    if (d->step == STEP_NOTHING && t->trouble.reason[0] && !t->s.stuck)
        recover(t, STEP_NOTHING);
    publish(t, d);
    /* Evidence without a change of state. */
    if (spool_pending(t->agent->spool))
        t->agent->report_wake(t->agent);
    if (d->step == STEP_WAIT)
        work_wake_at(t->agent->workers, &t->instance->work, d->wake_at);
    int64_t count_at = evidence_count_due(t->agent, t->instance, &t->s);
    if (count_at > 0)
        work_wake_at(t->agent->workers, &t->instance->work, count_at);
}

/* The image comes by itself and wakes whoever waits; only its failure is ours. */
static bool fetch(struct turn *t, const struct decision *d)
{
    auto_err struct err err = {0};
    switch (t->agent->image_cache->want(t->agent, &t->s.desired->image, &err)) {
    case IMAGE_READY:
        t->facts.image_ready = true;
        return true;
    case IMAGE_FAILED:
        fail(t, d, &err);
        return false;
    default:
        /* While it is tried once more, why the last try failed is what there is to tell. */
        if (!t->trouble.reason[0])
            text_copy(t->trouble.reason, sizeof t->trouble.reason, err.msg);
        publish(t, d);
        return false;
    }
}

static void note_asking(struct turn *t)
{
    step_asking(&t->s);
    pthread_mutex_lock(&t->agent->lock);
    t->instance->asking = t->s.asking;
    pthread_mutex_unlock(&t->agent->lock);
}

static void tell_health(struct agent *agent, const struct health *health)
{
    int count = 0;
    for (int code = 0; code < HEALTH_CODES; code++) {
        if (!health->text[code][0])
            continue;
        count++;
        log_warn("host.condition", "code=%s text=\"%s\"", health_names[code], health->text[code]);
    }
    if (count == 0)
        log_info("host.condition", "code=none");
    agent->report_wake(agent);
}

/* With an eye on how libvirt fares. */
static int do_step(struct turn *t, const struct decision *d, struct err *err)
{
    struct agent *agent = t->agent;
    const char *capabilities = agent->settings.capabilities_dir;
    bool needs_qemu = d->step == STEP_DEFINE || d->step == STEP_REDEFINE || d->step == STEP_CREATE;
    if (!needs_qemu)
        return step_do(&t->env, &t->s, &t->facts, d, err);
    struct health_call call = {
        .what = step_names[d->step], .stamp_before = health_stamp(capabilities), .kvm = KVM_DEVICE};
    int64_t began = clock_boottime_ms();
    int r = step_do(&t->env, &t->s, &t->facts, d, err);
    call.took_ms = clock_boottime_ms() - began;
    call.stamp_after = health_stamp(capabilities);
    pthread_mutex_lock(&agent->lock);
    bool changed = health_note_call(agent->health, &call);
    struct health health = *agent->health;
    pthread_mutex_unlock(&agent->lock);
    if (changed)
        tell_health(agent, &health);
    return r;
}

/* One step; false when the turn is over. */
static bool advance(struct turn *t)
{
    auto_err struct err err = {0};
    t->s.now = clock_boottime_ms();
    struct decision d = converge(&t->s);
    if (evidence_rest(t->agent, t->instance, &t->env, &t->s, &d, &err)) {
        fail(t, &d, &err);
        return false;
    }
    evidence_count(t->agent, t->instance, &t->env, &t->s, &d);
    if (t->facts.image_ready && t->trouble_step == STEP_FETCH)
        recover(t, STEP_FETCH);
    if (d.step == STEP_NOTHING || d.step == STEP_WAIT || d.step == STEP_REFUSE) {
        settle(t, &d);
        return false;
    }
    /* An event may have come in between; it must not use up the attempts. */
    if (t->s.now < t->retry_at && d.step == t->trouble_step) {
        publish(t, &d);
        work_wake_at(t->agent->workers, &t->instance->work, t->retry_at);
        return false;
    }
    if (d.step == STEP_FETCH)
        return fetch(t, &d);
    if (d.step == STEP_ASK)
        note_asking(t);
    log_debug("instance.step", "id=%s step=%s", t->instance->id, step_names[d.step]);
    if (do_step(t, &d, &err)) {
        if (!work_written_off(t->worker))
            fail(t, &d, &err);
        return false;
    }
    if (evidence_step_done(t->agent, t->instance, &t->env, &t->s, d.step, &err)) {
        fail(t, &d, &err);
        return false;
    }
    recover(t, d.step);
    return true;
}

/* That nothing is there is only known with all volumes. One that is to be made here looks
 * into the storage pool anyway. */
static bool must_list(const struct turn *t)
{
    const struct desired_instance *d = t->s.desired;
    return !t->facts.defined && !t->facts.listed && (!d || d->deleted || d->adopt);
}

static int look(struct turn *t, struct err *err)
{
    if (step_look(&t->env, &t->s, t->wide, &t->facts, err))
        return -1;
    return must_list(t) ? step_look(&t->env, &t->s, true, &t->facts, err) : 0;
}

void instance_run(void *ctx, void *hv, struct worker *worker, struct work_item *item)
{
    struct turn t = {.agent = ctx, .instance = (struct instance *)item, .worker = worker};
    auto_err struct err err = {0};
    begin(&t, hv);
    if (look(&t, &err)) {
        if (!work_written_off(worker))
            fail_look(&t, &err);
        desired_unref(t.desired);
        return;
    }
    recover(&t, STEP_LIST);
    if (t.wide) {
        pthread_mutex_lock(&t.agent->lock);
        t.instance->look_wide = false;
        pthread_mutex_unlock(&t.agent->lock);
    }
    for (int i = 0; i < STEPS_A_TURN && !t.agent->stopping; i++) {
        if (!advance(&t) || work_written_off(worker))
            break;
        refresh(&t);
    }
    desired_unref(t.desired);
}

void instance_stuck(void *ctx, struct work_item *item, const char *call, int64_t ms)
{
    struct agent *agent = ctx;
    struct instance *instance = (struct instance *)item;
    pthread_mutex_lock(&agent->lock);
    text_copy(instance->hung, sizeof instance->hung, call);
    log_warn("instance.hung", "id=%s call=%s ms=%lld", instance->id, call, (long long)ms);
    pthread_mutex_unlock(&agent->lock);
}

/* Reports it as listed, and lets a worker have a turn if it is not as it should be. What
 * a worker is busy with is its to tell, unless nothing was ever told: a full report must
 * lack nothing that is there. */
static void judge_listed(struct agent *agent, struct instance *instance, struct facts *facts)
{
    struct observed observed;
    struct desired *desired = instance->desired;
    struct situation s = {.desired = desired ? &desired->value : NULL,
                          .epoch = desired ? desired->epoch : "",
                          .seed = desired ? desired->seed : "",
                          .facts = facts,
                          .asking = instance->asking,
                          .shutdown = instance->shutdown,
                          .now = clock_boottime_ms()};
    bool busy = work_running(agent->workers, &instance->work) || instance->hung[0];
    if (busy && instance->seen)
        return;
    struct decision d = converge(&s);
    bool lacks = desired && d.step != STEP_NOTHING;
    if (lacks && !busy)
        work_wake(agent->workers, &instance->work);
    if (lacks && instance->seen)
        return;
    if (busy)
        d = (struct decision){.step = STEP_WAIT};
    observe(&s, &d, &instance->trouble, agent->told, &observed);
    registry_observe(agent, instance, desired, &observed);
}

/* The first sight of what ended unseen bounds when that was. It comes before the report that
 * vouches for all that had not ended. */
static void note_off(struct instance *instance, const struct facts *facts)
{
    bool off = facts->marked && facts->power == HOST_OFF && facts->mark.started > facts->mark.ended;
    if (off && instance->ended_at == 0)
        instance->ended_at = clock_boottime_ms();
}

void instance_seen(struct agent *agent, struct instance *instance, const struct facts *facts)
{
    struct facts assumed = *facts;
    text_copy(instance->disk, sizeof instance->disk, facts->disk);
    text_copy(instance->seed, sizeof instance->seed, facts->seed);
    text_copy(instance->base, sizeof instance->base, facts->base);
    instance->ended_run = facts->mark.ended;
    note_off(instance, facts);
    assumed.shape = DISK_GOOD;
    judge_listed(agent, instance, &assumed);
}

void instance_volume_seen(struct agent *agent, struct instance *instance, const char *name)
{
    struct facts facts = {0};
    bool known = strcmp(name, instance->disk) == 0 || strcmp(name, instance->seed) == 0;
    if (known)
        return;
    if (!work_running(agent->workers, &instance->work)) {
        instance->look_wide = true;
        work_wake(agent->workers, &instance->work);
    }
    if (instance->seen)
        return;
    text_copy(facts.id, sizeof facts.id, instance->id);
    facts_add_volume(&facts, name);
    judge_listed(agent, instance, &facts);
}
