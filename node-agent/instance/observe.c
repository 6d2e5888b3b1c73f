/* What is reported of an instance; see converge.h. Pure. */
#include <stdio.h>
#include <string.h>

#include "node-agent/instance/converge.h"

/* Somebody wanted it to end: then a guest that powers itself off has obeyed. */
static bool end_was_asked(const struct situation *s)
{
    const struct desired_instance *d = s->desired;
    int64_t run = s->facts->mark.started;
    if (s->asking.run == run && run > 0)
        return true;
    return d && !d->adopt && (d->deleted || d->power == POWER_STOPPED || d->run > run);
}

int converge_cause(const struct situation *s)
{
    const struct facts *f = s->facts;
    if (f->power != HOST_OFF || !f->marked || f->mark.started == 0)
        return CAUSE_NONE;
    if (f->mark.ended >= f->mark.started)
        return f->mark.cause;
    if (f->end_cause == CAUSE_GUEST && end_was_asked(s))
        return CAUSE_ASKED;
    if (f->end_cause == CAUSE_GUEST && s->shutdown == SHUTDOWN_BY_HOST)
        return CAUSE_UNSEEN;
    return f->end_cause == CAUSE_NONE ? CAUSE_UNSEEN : f->end_cause;
}

/* Off: stopped if that is what was wanted or the guest's own doing; otherwise crashed. */
static int state_off(const struct situation *s, int cause)
{
    const struct desired_instance *d = s->desired;
    const struct facts *f = s->facts;
    bool wanted = d && d->power == POWER_RUNNING && !d->deleted && !d->adopt;
    if (wanted && f->mark.started == 0)
        return STATE_PROVISIONING;
    if (wanted && d->run > f->mark.started)
        return STATE_STOPPED; /* its next run is about to start */
    bool by_itself = cause == CAUSE_GUEST || cause == CAUSE_ASKED || cause == CAUSE_NONE;
    if (by_itself || (d && !wanted))
        return STATE_STOPPED;
    /* Before anything is desired (the agent has just begun) the metadata's word counts. */
    bool forced = cause == CAUSE_FORCED && !d;
    return forced ? STATE_STOPPED : STATE_CRASHED;
}

/* Nothing of it is there, and all places were looked into. A tombstone's last step is done
 * and no call on it is out. Everything is freed upon this word, so it needs proof. */
static bool gone_for_sure(const struct situation *s, const struct decision *next)
{
    const struct facts *f = s->facts;
    bool ours = s->desired && s->desired->deleted && !s->desired->adopt;
    return !f->defined && f->listed && f->volume_count == 0 && !s->stuck &&
           next->step == STEP_NOTHING && (!ours || s->logs_removed);
}

static int state_of(const struct situation *s, const struct decision *next, int cause)
{
    const struct facts *f = s->facts;
    if (f->power != HOST_OFF) {
        if (!f->marked || f->mark.started >= f->mark.run)
            return STATE_RUNNING;
        return f->mark.started > 0 ? STATE_STOPPED : STATE_PROVISIONING;
    }
    if (f->defined)
        return state_off(s, cause);
    if (s->desired && !s->desired->deleted && !s->desired->adopt)
        return STATE_PROVISIONING;
    if (f->volume_count > 0)
        return STATE_STOPPED;
    return gone_for_sure(s, next) ? STATE_ABSENT : STATE_PROVISIONING;
}

/* A size that only a stopped guest can get. */
static bool size_waits(const struct situation *s)
{
    const struct desired_instance *d = s->desired;
    const struct facts *f = s->facts;
    return d && !d->adopt && !d->deleted && f->marked && f->power != HOST_OFF &&
           (d->vcpus != f->vcpus || d->memory_mib != f->memory_mib ||
            d->disk_gib > f->mark.disk_gib);
}

static const char *explain(const struct situation *s, const struct decision *d)
{
    if (d->step == STEP_REFUSE)
        return d->why;
    if (s->facts->pause == PAUSE_IO && s->facts->power == HOST_PAUSED)
        return "paused by an input/output error of its disk: is the host's disk full?";
    if (converge_stale(s))
        return "this host was told of a newer generation than the controller's";
    if (!s->desired && s->facts->volume_count > 0 && !s->facts->defined)
        return "volumes without a domain";
    if (d->step == STEP_NOTHING && size_waits(s))
        return "its new size waits until it is stopped";
    if (d->step == STEP_FETCH)
        return "waiting for its image";
    if (d->step == STEP_WAIT && s->asking.run > 0)
        return "waiting for the guest to power off";
    return "";
}

static void copy_facts(const struct facts *f, struct observed *ret)
{
    ret->run = f->mark.started;
    ret->vcpus = f->vcpus;
    ret->memory_mib = f->memory_mib;
    ret->disk_gib = f->mark.disk_gib;
    ret->disk_number = f->mark.disk;
    ret->uid = f->mark.uid;
    text_copy(ret->id, sizeof ret->id, f->id);
    text_copy(ret->epoch, sizeof ret->epoch, f->mark.epoch);
    text_copy(ret->address, sizeof ret->address, f->mark.address);
    text_copy(ret->name, sizeof ret->name, f->title[0] ? f->title : f->name);
}

void observe(const struct situation *s, const struct decision *d, const struct trouble *trouble,
             bool told, struct observed *ret)
{
    const struct facts *f = s->facts;
    bool stale = converge_stale(s);
    bool refused = d->step == STEP_REFUSE;
    memset(ret, 0, sizeof *ret);
    copy_facts(f, ret);
    ret->generation = s->desired && !stale ? s->desired->generation : f->mark.generation;
    ret->cause = converge_cause(s);
    ret->state = state_of(s, d, ret->cause);
    ret->final = refused || trouble->final;
    if (ret->final && f->power == HOST_OFF)
        ret->state = STATE_ERROR;
    ret->converged = s->desired && !stale && d->step == STEP_NOTHING && !s->stuck &&
                     (f->defined || gone_for_sure(s, d)) && trouble->reason[0] == '\0' &&
                     !size_waits(s);
    ret->quarantined = !s->desired && (told || !f->marked) && ret->state != STATE_ABSENT;
    text_copy(ret->reason, sizeof ret->reason,
              trouble->reason[0] ? trouble->reason : explain(s, d));
}
