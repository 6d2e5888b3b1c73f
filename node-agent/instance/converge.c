/* The next step; see converge.h. */
#include "node-agent/instance/converge.h"

#include <stdio.h>
#include <string.h>

const char *const step_names[STEPS + 1] = {
    "nothing", "wait",        "refuse",      "fetch_image", "list",    "make_disk",  "grow",
    "seed",    "define",      "redefine",    "retitle",     "stamp",   "network",    "set_run",
    "create",  "set_started", "resume",      "ask",         "destroy", "record_end", "sweep",
    "clean",   "undefine",    "remove_logs", NULL};

static struct decision step(enum step what)
{
    return (struct decision){.step = what};
}

static struct decision sweep(const char *volume)
{
    return (struct decision){.step = STEP_SWEEP, .volume = volume};
}

static struct decision refuse(const char *why)
{
    return (struct decision){.step = STEP_REFUSE, .why = why};
}

bool converge_stale(const struct situation *s)
{
    return s->desired && s->facts->marked && strcmp(s->facts->mark.epoch, s->epoch) == 0 &&
           s->facts->mark.generation > s->desired->generation;
}

/* A run whose end nobody has written down yet. */
static bool end_unrecorded(const struct facts *f)
{
    return f->power == HOST_OFF && f->marked && f->mark.started > f->mark.ended;
}

/* The domain goes after what only its metadata may know. Its logs go after it, since
 * libvirt writes them as long as there is a domain; the tombstone alone finds them again. */
static struct decision remove_all(const struct situation *s)
{
    const struct facts *f = s->facts;
    if (f->power != HOST_OFF)
        return step(STEP_DESTROY);
    if (end_unrecorded(f))
        return step(STEP_RECORD_END);
    if (f->volume_count > 0)
        return sweep(f->volumes[0]);
    if (!f->listed)
        return step(STEP_LIST);
    if (!s->cleaned)
        return step(STEP_CLEAN);
    if (f->defined)
        return step(STEP_UNDEFINE);
    return step(s->logs_removed ? STEP_NOTHING : STEP_REMOVE_LOGS);
}

static bool begun(const struct mark *mark)
{
    return mark->started >= mark->run;
}

static struct decision end_run(const struct situation *s)
{
    const struct desired_instance *d = s->desired;
    const struct mark *mark = &s->facts->mark;
    /* A rebuild throws the disk away: no need to ask for it to be written. */
    if (!begun(mark) || d->force || d->disk_number != mark->disk)
        return step(STEP_DESTROY);
    if (s->asking.run != mark->started)
        return step(STEP_ASK);
    int64_t deadline = s->asking.since + d->stop_timeout_ms;
    int64_t again = s->asking.pressed + PRESS_AGAIN_MS;
    if (s->now >= deadline)
        return step(STEP_DESTROY);
    if (s->now >= again)
        return step(STEP_ASK);
    return (struct decision){.step = STEP_WAIT, .wake_at = again < deadline ? again : deadline};
}

static struct decision while_on(const struct situation *s)
{
    const struct desired_instance *d = s->desired;
    const struct facts *f = s->facts;
    bool keep =
        d->power == POWER_RUNNING && d->run <= f->mark.run && d->disk_number == f->mark.disk;
    if (!keep)
        return end_run(s);
    if (!begun(&f->mark))
        return step(STEP_SET_STARTED);
    if (f->power == HOST_PAUSED && f->pause == PAUSE_ASKED)
        return step(STEP_RESUME);
    if (d->name && strcmp(d->name, f->title) != 0)
        return step(STEP_RETITLE);
    return step(STEP_NOTHING);
}

static int64_t wanted_bytes(const struct desired_instance *d)
{
    return d->disk_gib << 30;
}

/* Steps until the disk of the wanted number is there; STEP_NOTHING when it is. */
static struct decision make_disk(const struct situation *s)
{
    const struct facts *f = s->facts;
    switch (f->shape) {
    case DISK_FOREIGN:
        return refuse("a volume with this disk's name is there, and has another backing image");
    case DISK_BROKEN: /* half made: it never served a guest */
        for (size_t i = 0; i < f->volume_count; i++) {
            char name[VOLUME_MAX];
            volume_disk(s->desired->id, s->desired->disk_number, name);
            if (strcmp(f->volumes[i], name) == 0)
                return sweep(f->volumes[i]);
        }
        return step(STEP_LIST);
    case DISK_NONE:
        return step(f->image_ready ? STEP_DISK : STEP_FETCH);
    case DISK_GOOD:
        break;
    }
    return step(f->disk_bytes < wanted_bytes(s->desired) ? STEP_GROW : STEP_NOTHING);
}

static struct decision provision(const struct situation *s)
{
    struct decision d = make_disk(s);
    if (d.step != STEP_NOTHING)
        return d;
    return step(s->seed_written ? STEP_DEFINE : STEP_SEED);
}

/* What a definition that is shut off lacks; STEP_NOTHING when it is as it should be. */
static struct decision redefine(const struct situation *s)
{
    const struct desired_instance *d = s->desired;
    const struct facts *f = s->facts;
    bool rebuild = d->disk_number != f->mark.disk;
    bool grow = d->disk_gib > f->mark.disk_gib;
    bool reseed = strcmp(f->seed, s->seed) != 0;
    if (rebuild) {
        struct decision next = make_disk(s);
        if (next.step != STEP_NOTHING)
            return next;
    } else if (grow && f->disk_bytes < wanted_bytes(d)) {
        return step(STEP_GROW);
    }
    if (reseed && !s->seed_written)
        return step(STEP_SEED);
    if (rebuild || grow || reseed || d->vcpus != f->vcpus || d->memory_mib != f->memory_mib ||
        f->roots_group || (d->name && strcmp(d->name, f->title) != 0))
        return step(STEP_REDEFINE);
    return step(STEP_NOTHING);
}

static struct decision sweep_strays(const struct facts *f)
{
    for (size_t i = 0; i < f->volume_count; i++) {
        if (strcmp(f->volumes[i], f->disk) != 0 && strcmp(f->volumes[i], f->seed) != 0)
            return sweep(f->volumes[i]);
    }
    return step(STEP_NOTHING);
}

static struct decision while_off(const struct situation *s)
{
    const struct desired_instance *d = s->desired;
    const struct facts *f = s->facts;
    if (end_unrecorded(f))
        return step(STEP_RECORD_END);
    if (!f->defined)
        return provision(s);
    struct decision next = redefine(s);
    if (next.step == STEP_NOTHING)
        next = sweep_strays(f);
    if (next.step != STEP_NOTHING)
        return next;
    if (d->power != POWER_RUNNING || d->run <= f->mark.started)
        return step(STEP_NOTHING);
    if (!f->network_ready)
        return step(STEP_NETWORK);
    return step(f->mark.run == d->run ? STEP_CREATE : STEP_SET_RUN);
}

static struct decision decide(const struct situation *s)
{
    const struct facts *f = s->facts;
    if (!s->desired || s->desired->adopt || converge_stale(s))
        return step(STEP_NOTHING);
    if (f->defined && !f->marked)
        return refuse("a domain with this id is there that was not made by this cloud");
    if (s->desired->deleted)
        return remove_all(s);
    if (f->defined && strcmp(f->mark.epoch, s->epoch) != 0)
        return step(STEP_STAMP);
    return f->power == HOST_OFF ? while_off(s) : while_on(s);
}

/* While a call hangs on it, nothing more is asked of libvirt about this domain, save the
 * one call that gets a hung QEMU out of the way. */
struct decision converge(const struct situation *s)
{
    struct decision d = decide(s);
    if (!s->stuck || d.step == STEP_NOTHING || d.step == STEP_WAIT || d.step == STEP_DESTROY ||
        d.step == STEP_REFUSE)
        return d;
    return (struct decision){.step = STEP_WAIT, .wake_at = s->now + PRESS_AGAIN_MS};
}

void converge_mark(const struct situation *s, struct mark *ret)
{
    const struct desired_instance *d = s->desired;
    const struct desired_interface *nic = d->interfaces.items;
    if (s->facts->marked)
        *ret = s->facts->mark;
    else
        memset(ret, 0, sizeof *ret);
    text_copy(ret->epoch, sizeof ret->epoch, s->epoch);
    ret->generation = d->generation;
    if (s->facts->power == HOST_OFF && d->power == POWER_RUNNING && d->run > ret->run)
        ret->run = d->run;
    ret->disk = d->disk_number;
    ret->disk_gib = d->disk_gib > ret->disk_gib ? d->disk_gib : ret->disk_gib;
    ret->uid = d->uid;
    if (d->interfaces.count == 0)
        return;
    text_copy(ret->address, sizeof ret->address, nic->address ? nic->address : "");
    text_copy(ret->mac, sizeof ret->mac, nic->mac ? nic->mac : "");
    text_copy(ret->network, sizeof ret->network, nic->network ? nic->network : "");
}

/* What runs goes on as the desired run. What is off keeps its run number, unless that is
 * higher than the new epoch's: then it counts as started, since starting something twice
 * is worse than not at all. */
void converge_stamp(const struct situation *s, struct mark *ret)
{
    const struct desired_instance *d = s->desired;
    *ret = s->facts->mark;
    text_copy(ret->epoch, sizeof ret->epoch, s->epoch);
    ret->generation = d->generation;
    bool recorded = ret->ended >= ret->started;
    if (s->facts->power != HOST_OFF && begun(ret))
        ret->started = d->run;
    else if (ret->started > d->run)
        ret->started = d->run;
    ret->run = s->facts->power != HOST_OFF && !begun(&s->facts->mark) ? d->run : ret->started;
    ret->ended = recorded ? ret->started : ret->started - 1;
    if (s->facts->power != HOST_OFF && ret->ended >= ret->started)
        ret->ended = ret->started - 1;
}
