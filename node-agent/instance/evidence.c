/* Evidence beside the steps; see evidence.h. */
#include "node-agent/instance/evidence.h"

#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "node-agent/evidence/exits.h"
#include "node-agent/evidence/spool.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/host/qemu.h"
#include "node-agent/instance/registry.h"
#include "node-agent/instance/steps.h"

/* ENDING_MS: libvirt calls a guest off when its QEMU is gone, or just going.
 * CATCH_UP_MS: of a guest that ran before this process, which does not know when it was counted
 * last. */
enum { ENDING_MS = 1000, CATCH_UP_MS = 5 * 60 * 1000, COUNT_AGAIN_MS = 60 * 1000 };

/* ---- what steps need ---- */

int64_t evidence_line(struct agent *agent)
{
    return spool_line(agent->spool, agent->boot_id, clock_wall_ms() - clock_boottime_ms());
}

static int on_witness(void *ctx, struct observation *o, struct err *err)
{
    struct agent *agent = ctx;
    int64_t line = evidence_line(agent);
    if (!o->boot_id)
        o->boot_id = agent->boot_id;
    if (o->boottime_ms == 0)
        o->boottime_ms = clock_boottime_ms();
    if (strcmp(o->boot_id, agent->boot_id) != 0 && !spool_line_of(agent->spool, o->boot_id, &line))
        line = clock_wall_ms() - o->boottime_ms;
    o->wall_ms = o->boottime_ms + line;
    o->boot_order = spool_boot_order(agent->spool, o->boot_id);
    return spool_add(agent->spool, o, err);
}

static int on_witness_sync(void *ctx, struct err *err)
{
    struct agent *agent = ctx;
    return spool_sync(agent->spool, err);
}

static int64_t on_started_at(void *ctx, const char *id)
{
    const struct agent *agent = ctx;
    return qemu_started_at(agent->hv->run_dir, id);
}

/* Of libvirt's event it is not known how late it came, so it is only a bound. */
static void bound_end(struct agent *agent, const char *id, struct ending *ret)
{
    pthread_mutex_lock(&agent->lock);
    const struct instance *instance = registry_find(agent, id);
    int64_t told = instance ? instance->ended_at : 0;
    pthread_mutex_unlock(&agent->lock);
    ret->noticed = true;
    if (told > 0 && (ret->boottime_ms == 0 || told < ret->boottime_ms) &&
        (!ret->boot_id[0] || strcmp(ret->boot_id, agent->boot_id) == 0))
        ret->boottime_ms = told;
}

static void on_ended(void *ctx, const char *id, int64_t run, struct ending *ret)
{
    struct agent *agent = ctx;
    memset(ret, 0, sizeof *ret);
    ret->boottime_ms = exits_ended(agent->exits, id, run, ENDING_MS);
    if (ret->boottime_ms > 0)
        return;
    if (!ends_find(agent->ends_path, id, run, ret) || ret->noticed)
        bound_end(agent, id, ret);
}

void evidence_env(struct agent *agent, struct step_env *ret)
{
    ret->ctx = agent;
    ret->witness = on_witness;
    ret->witness_sync = on_witness_sync;
    ret->started_at = on_started_at;
    ret->ended = on_ended;
}

/* ---- what hangs on no step ---- */

/* Its newest run has begun, for whoever looks from outside. */
static bool begun(const struct facts *f)
{
    return f->marked && f->power != HOST_OFF && f->mark.started >= f->mark.run;
}

/* And its guest too. */
static bool runs(const struct facts *f)
{
    return begun(f) && !(f->power == HOST_PAUSED && f->pause == PAUSE_ASKED);
}

/* Takes on itself to tell that `run` began; false when that is told. A hung worker and the
 * one in its place may both come here. */
static bool claim_run(struct agent *agent, struct instance *instance, int64_t run,
                      int64_t *ret_before)
{
    pthread_mutex_lock(&agent->lock);
    *ret_before = instance->told_run;
    instance->told_run = run;
    pthread_mutex_unlock(&agent->lock);
    return *ret_before != run;
}

static bool claim(struct agent *agent, bool *told, bool is)
{
    pthread_mutex_lock(&agent->lock);
    bool before = *told;
    *told = is;
    pthread_mutex_unlock(&agent->lock);
    return !before;
}

static bool is_told(struct agent *agent, const struct instance *instance, int64_t run)
{
    pthread_mutex_lock(&agent->lock);
    bool told = instance->told_run == run;
    pthread_mutex_unlock(&agent->lock);
    return told;
}

static int tell_start(struct agent *agent, struct instance *instance, const struct step_env *env,
                      const struct facts *f, struct err *err)
{
    int64_t before, started_ms = 0;
    if (runs(f) && !is_told(agent, instance, f->mark.started))
        started_ms = env->started_at(env->ctx, f->id);
    /* A QEMU that is just going has no time of its start any more, and another one must not be
     * made up. */
    if (started_ms == 0 || !claim_run(agent, instance, f->mark.started, &before) ||
        step_witness_start(env, f, started_ms, err) == 0)
        return 0;
    claim_run(agent, instance, before, &before);
    return -1;
}

/* Takes on itself to tell these sizes; false when they are what was told last. */
static bool claim_sizes(struct agent *agent, struct instance *instance,
                        const struct told_sizes *now, struct told_sizes *ret_before)
{
    struct told_sizes *told = &instance->told_sizes;
    pthread_mutex_lock(&agent->lock);
    *ret_before = *told;
    *told = *now;
    pthread_mutex_unlock(&agent->lock);
    return ret_before->vcpus != now->vcpus || ret_before->memory_mib != now->memory_mib ||
           ret_before->disk_gib != now->disk_gib;
}

/* Dated by when the definition was seen to have them, never by when they were asked for: that
 * may come to nothing, or take a slow host half a minute. Each process tells them at least once:
 * so every boot of the host has them, though nothing changes, and what a process that died did
 * not get to tell is told by the next. */
static int tell_sizes(struct agent *agent, struct instance *instance, const struct step_env *env,
                      const struct situation *s, struct err *err)
{
    const struct facts *f = s->facts;
    struct told_sizes before, now = {f->vcpus, f->memory_mib, f->mark.disk_gib};
    bool there = s->desired && !s->desired->deleted && f->defined && f->marked;
    if (!there || !claim_sizes(agent, instance, &now, &before) ||
        step_witness_sizes(env, f, err) == 0)
        return 0;
    claim_sizes(agent, instance, &before, &now);
    return -1;
}

static int tell_gone(struct agent *agent, struct instance *instance, const struct situation *s,
                     const struct decision *d, struct err *err)
{
    struct observation o = {.kind = OBS_GONE, .instance = instance->id};
    bool gone = d->step == STEP_NOTHING && s->desired && s->desired->deleted &&
                !s->desired->adopt && !s->facts->defined && s->facts->volume_count == 0;
    if (!gone || !claim(agent, &instance->told_gone, true))
        return 0;
    if (on_witness(agent, &o, err)) {
        claim(agent, &instance->told_gone, false);
        return -1;
    }
    exits_forget(agent->exits, instance->id);
    return 0;
}

int evidence_rest(struct agent *agent, struct instance *instance, const struct step_env *env,
                  const struct situation *s, const struct decision *d, struct err *err)
{
    evidence_seen(agent, s->facts);
    return tell_sizes(agent, instance, env, s, err) ||
                   tell_start(agent, instance, env, s->facts, err) ||
                   tell_gone(agent, instance, s, d, err)
               ? -1
               : 0;
}

int evidence_step_done(struct agent *agent, struct instance *instance, const struct step_env *env,
                       const struct situation *s, enum step step, struct err *err)
{
    if (step == STEP_RESUME) {
        pthread_mutex_lock(&agent->lock);
        instance->told_run = instance->began_run = s->facts->mark.started;
        instance->ended_at = 0;
        pthread_mutex_unlock(&agent->lock);
    }
    return tell_sizes(agent, instance, env, s, err);
}

/* ---- counting ---- */

int64_t evidence_next_count(int64_t now, int64_t line, int64_t every)
{
    return ((now + line) / every + 1) * every - line;
}

/* With the lock held. A run's counters begin at 0 with it. */
static void plan_count(struct agent *agent, struct instance *instance, int64_t run, int64_t now,
                       int64_t line)
{
    if (instance->counted_run == run && instance->count_at > 0)
        return;
    int64_t next = evidence_next_count(now, line, agent->settings.count_every);
    int64_t soon = now + CATCH_UP_MS;
    instance->counted_run = run;
    instance->count_at = instance->began_run == run || next < soon ? next : soon;
}

/* The last moment at which it can be asked what it used. A QEMU that a call hangs on is not. */
static bool is_last_chance(const struct situation *s, const struct decision *d)
{
    bool first_ask = d->step == STEP_ASK && s->asking.run != s->facts->mark.started;
    return !s->stuck && (d->step == STEP_DESTROY || first_ask);
}

void evidence_count(struct agent *agent, struct instance *instance, const struct step_env *env,
                    const struct situation *s, const struct decision *d)
{
    auto_err struct err err = {0};
    int64_t line = evidence_line(agent), every = agent->settings.count_every;
    bool ours = s->desired && !s->desired->adopt && runs(s->facts);
    if (!ours)
        return;
    pthread_mutex_lock(&agent->lock);
    plan_count(agent, instance, s->facts->mark.started, s->now, line);
    bool due = !s->stuck && s->now >= instance->count_at;
    pthread_mutex_unlock(&agent->lock);
    if (!due && !is_last_chance(s, d))
        return;
    bool failed = step_witness_count(env, s->facts, &err) != 0;
    if (failed)
        log_debug("instance.not_counted", "id=%s error=\"%s\"", instance->id, err.msg);
    int64_t again = s->now + COUNT_AGAIN_MS, next = evidence_next_count(s->now, line, every);
    pthread_mutex_lock(&agent->lock);
    instance->count_at = failed && again < next ? again : next;
    pthread_mutex_unlock(&agent->lock);
}

int64_t evidence_count_due(struct agent *agent, const struct instance *instance,
                           const struct situation *s)
{
    pthread_mutex_lock(&agent->lock);
    bool planned = s->desired && runs(s->facts) && instance->counted_run == s->facts->mark.started;
    int64_t at = planned ? instance->count_at : 0;
    pthread_mutex_unlock(&agent->lock);
    return at;
}

/* ---- ends ---- */

void evidence_seen(struct agent *agent, const struct facts *f)
{
    if (begun(f))
        exits_watch(agent->exits, f->id, f->mark.started);
}

void evidence_ended(void *ctx, const char *id, int64_t run, int64_t boottime_ms)
{
    struct agent *agent = ctx;
    auto_err struct err err = {0};
    char name[ID_TEXT_MAX];
    text_copy(name, sizeof name, id);
    struct observation o = {
        .kind = OBS_STOPPED, .instance = name, .run = run, .boottime_ms = boottime_ms};
    if (on_witness(agent, &o, &err))
        log_warn("exits.not_told", "id=%s error=\"%s\"", id, err.msg);
    if (!agent->stopping)
        agent->report_wake(agent);
}

static bool is_needed(void *ctx, const char *id, int64_t run)
{
    struct agent *agent = ctx;
    pthread_mutex_lock(&agent->lock);
    const struct instance *instance = registry_find(agent, id);
    bool needed = instance && run > instance->ended_run;
    pthread_mutex_unlock(&agent->lock);
    return needed;
}

void evidence_tidy(struct agent *agent)
{
    ends_tidy(agent->ends_path, is_needed, agent);
}
