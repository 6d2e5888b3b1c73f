/* Steps on domains; see steps.h. What a step does to storage and network is in
 * steps_disk.c. */
#include "node-agent/instance/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "node-agent/instance/steps_private.h"
#include "node-agent/xml/domain_xml.h"
#include "node-agent/xml/network_xml.h"

static int witness(const struct step_env *env, const struct facts *f, struct observation o,
                   struct err *err)
{
    char id[ID_TEXT_MAX];
    text_copy(id, sizeof id, f->id);
    o.instance = id;
    o.vcpus = f->vcpus;
    o.memory_mib = f->memory_mib;
    o.disk_gib = f->mark.disk_gib;
    return env->witness(env->ctx, &o, err);
}

int step_witness_start(const struct step_env *env, const struct facts *f, int64_t started_ms,
                       struct err *err)
{
    struct observation o = {.kind = OBS_STARTED, .run = f->mark.started, .boottime_ms = started_ms};
    return witness(env, f, o, err);
}

int step_witness_sizes(const struct step_env *env, const struct facts *f, struct err *err)
{
    return witness(env, f, (struct observation){.kind = OBS_ALLOCATED}, err);
}

int step_witness_count(const struct step_env *env, const struct facts *f, struct err *err)
{
    struct counters used;
    int64_t at = clock_boottime_ms();
    if (env->host.ops->count(env->host.ctx, f->id, &used, err))
        return -1;
    struct observation o = {.kind = OBS_COUNTED,
                            .run = f->mark.started,
                            .boottime_ms = at,
                            .cpu_ns = used.cpu_ns,
                            .ingress_bytes = used.ingress_bytes,
                            .egress_bytes = used.egress_bytes};
    return witness(env, f, o, err);
}

static int set_mark(const struct step_env *env, struct facts *f, const struct mark *mark,
                    struct err *err)
{
    auto_buf struct buf xml = {0};
    mark_xml(mark, &xml);
    if (env->host.ops->set_mark(env->host.ctx, f->id, xml.data, f->power != HOST_OFF, err))
        return -1;
    f->mark = *mark;
    return 0;
}

/* ---- defining ---- */

struct paths {
    struct buf disk, base, seed, console;
};

static void paths_release(struct paths *paths)
{
    buf_release(&paths->disk);
    buf_release(&paths->base);
    buf_release(&paths->seed);
    buf_release(&paths->console);
}

static struct domain_disk find_paths(const struct step_env *env, const struct situation *s,
                                     struct paths *paths)
{
    const struct desired_instance *d = s->desired;
    char disk[VOLUME_MAX], base[VOLUME_MAX];
    volume_disk(d->id, d->disk_number, disk);
    volume_image(d->image.sha256, d->image.format, base);
    buf_printf(&paths->disk, "%s/%s", env->pool_path, disk);
    buf_printf(&paths->base, "%s/%s", env->pool_path, base);
    buf_printf(&paths->seed, "%s/%s", env->pool_path, s->seed);
    buf_printf(&paths->console, "%s/%s.log", env->console_dir, d->id);
    return (struct domain_disk){.disk = paths->disk.data,
                                .base = paths->base.data,
                                .base_format = d->image.format,
                                .seed = paths->seed.data};
}

/* What the definition says now, in facts. */
static void note_definition(const struct situation *s, const struct domain_disk *disk,
                            const struct mark *mark, struct facts *f)
{
    const struct desired_instance *d = s->desired;
    f->defined = f->marked = true;
    f->mark = *mark;
    f->vcpus = d->vcpus;
    f->memory_mib = d->memory_mib;
    f->roots_group = false;
    text_copy(f->title, sizeof f->title, d->name ? d->name : d->id);
    text_copy(f->disk, sizeof f->disk, path_file(disk->disk));
    text_copy(f->base, sizeof f->base, path_file(disk->base));
    text_copy(f->seed, sizeof f->seed, path_file(disk->seed));
}

static int define(const struct step_env *env, struct situation *s, struct facts *f, struct err *err)
{
    const struct desired_instance *d = s->desired;
    const struct desired_interface *interfaces = d->interfaces.items;
    char names[STEP_NICS_MAX][NETWORK_NAME_MAX];
    struct domain_nic nics[STEP_NICS_MAX];
    __attribute__((cleanup(paths_release))) struct paths paths = {0};
    auto_buf struct buf xml = {0};
    struct mark mark;
    if (d->uid <= 0)
        return err_set(err, ERR_INVALID, "the controller allotted no user id to this instance");
    if (d->interfaces.count > STEP_NICS_MAX)
        return err_set(err, ERR_INVALID, "%zu network interfaces are more than %d",
                       d->interfaces.count, STEP_NICS_MAX);
    for (size_t i = 0; i < d->interfaces.count; i++) {
        network_name(interfaces[i].network, names[i]);
        nics[i] = (struct domain_nic){.mac = interfaces[i].mac, .network = names[i]};
    }
    converge_mark(s, &mark);
    struct domain_spec spec = {.id = d->id,
                               .title = d->name ? d->name : d->id,
                               .virt = env->virt,
                               .vcpus = d->vcpus,
                               .memory_mib = d->memory_mib,
                               .uid = d->uid,
                               .gid = env->gid,
                               .disk = find_paths(env, s, &paths),
                               .nics = nics,
                               .nic_count = d->interfaces.count,
                               .console = paths.console.data,
                               .mark = &mark};
    domain_xml(&spec, &xml);
    if (env->host.ops->define(env->host.ctx, d->id, xml.data, err))
        return -1;
    note_definition(s, &spec.disk, &mark, f);
    return 0;
}

static int redefine(const struct step_env *env, struct situation *s, struct facts *f,
                    struct err *err)
{
    const struct desired_instance *d = s->desired;
    __attribute__((cleanup(paths_release))) struct paths paths = {0};
    auto_buf struct buf old = {0}, xml = {0};
    struct mark mark;
    converge_mark(s, &mark);
    struct domain_change change = {.title = d->name ? d->name : d->id,
                                   .vcpus = d->vcpus,
                                   .memory_mib = d->memory_mib,
                                   .disk = find_paths(env, s, &paths),
                                   .mark = &mark,
                                   .relabel = f->roots_group,
                                   .uid = mark.uid,
                                   .gid = env->gid};
    if (env->host.ops->definition(env->host.ctx, d->id, &old, err) ||
        domain_xml_edit(old.data, &change, &xml, err) ||
        env->host.ops->define(env->host.ctx, d->id, xml.data, err))
        return -1;
    /* What it stood on before is swept next. */
    facts_add_volume(f, f->disk);
    facts_add_volume(f, f->seed);
    note_definition(s, &change.disk, &mark, f);
    return 0;
}

static int retitle(const struct step_env *env, struct situation *s, struct facts *f,
                   struct err *err)
{
    struct mark mark;
    if (env->host.ops->set_title(env->host.ctx, f->id, s->desired->name, err))
        return -1;
    text_copy(f->title, sizeof f->title, s->desired->name);
    converge_mark(s, &mark);
    return set_mark(env, f, &mark, err);
}

static int stamp(const struct step_env *env, struct situation *s, struct facts *f, struct err *err)
{
    struct mark mark;
    converge_stamp(s, &mark);
    return set_mark(env, f, &mark, err);
}

/* ---- runs ---- */

static int set_run(const struct step_env *env, struct situation *s, struct facts *f,
                   struct err *err)
{
    struct mark mark;
    converge_mark(s, &mark);
    return set_mark(env, f, &mark, err);
}

static int create(const struct step_env *env, struct facts *f, struct err *err)
{
    if (env->host.ops->create(env->host.ctx, f->id, err))
        return -1;
    f->power = HOST_PAUSED;
    f->pause = PAUSE_ASKED;
    return 0;
}

static int set_started(const struct step_env *env, struct situation *s, struct facts *f,
                       struct err *err)
{
    struct mark mark;
    converge_mark(s, &mark);
    mark.started = mark.run;
    mark.cause = CAUSE_NONE;
    return set_mark(env, f, &mark, err);
}

static int resume(const struct step_env *env, struct facts *f, struct err *err)
{
    if (env->host.ops->resume(env->host.ctx, f->id, err))
        return -1;
    f->power = HOST_ACTIVE;
    f->pause = PAUSE_NONE;
    return step_witness_start(env, f, env->started_at(env->ctx, f->id), err);
}

void step_asking(struct situation *s)
{
    if (s->asking.run != s->facts->mark.started) {
        s->asking.run = s->facts->mark.started;
        s->asking.since = s->now;
    }
    s->asking.pressed = s->now;
}

/* A QEMU that hangs takes no press, and may be waited for until the time is up. */
static int press(const struct step_env *env, const struct situation *s, const struct facts *f,
                 struct err *err)
{
    enum { LEAST_MS = 1000, MOST_MS = 10000 };
    int64_t left = s->asking.since + s->desired->stop_timeout_ms - s->now;
    left = left < LEAST_MS ? LEAST_MS : left > MOST_MS ? MOST_MS : left;
    return env->host.ops->press(env->host.ctx, f->id, left, err);
}

static int destroy(const struct step_env *env, struct facts *f, struct err *err)
{
    if (env->host.ops->destroy(env->host.ctx, f->id, err))
        return -1;
    f->power = HOST_OFF;
    f->pause = PAUSE_NONE;
    f->end_cause = CAUSE_FORCED;
    return 0;
}

/* Evidence first, on disk, then the mark that says that it is written. */
static int record_end(const struct step_env *env, struct situation *s, struct facts *f,
                      struct err *err)
{
    struct mark mark = f->mark;
    struct ending ending = {0};
    mark.cause = converge_cause(s);
    mark.ended = mark.started;
    env->ended(env->ctx, f->id, mark.started, &ending);
    struct observation o = {.kind = OBS_STOPPED,
                            .boot_id = ending.boot_id[0] ? ending.boot_id : NULL,
                            .run = mark.started,
                            .cause = mark.cause,
                            .boottime_ms = ending.boottime_ms,
                            .noticed = ending.noticed};
    if (witness(env, f, o, err) || env->witness_sync(env->ctx, err))
        return -1;
    return set_mark(env, f, &mark, err);
}

static int undefine(const struct step_env *env, struct facts *f, struct err *err)
{
    if (env->host.ops->undefine(env->host.ctx, f->id, err))
        return -1;
    f->defined = f->marked = false;
    memset(&f->mark, 0, sizeof f->mark);
    f->vcpus = f->memory_mib = 0;
    f->disk[0] = f->seed[0] = f->base[0] = f->title[0] = f->name[0] = '\0';
    return 0;
}

int step_look(const struct step_env *env, const struct situation *s, bool list, struct facts *facts,
              struct err *err)
{
    const struct desired_instance *d = s->desired;
    char disk[VOLUME_MAX], base[VOLUME_MAX], id[ID_TEXT_MAX];
    struct facts seen; /* a look that breaks off must not leave half of what it saw */
    text_copy(id, sizeof id, facts->id);
    struct look_for what = {.id = id, .list = list};
    if (d && !d->deleted && !d->adopt && d->image.sha256) {
        volume_disk(id, d->disk_number, disk);
        volume_image(d->image.sha256, d->image.format, base);
        what.disk = disk;
        what.base = base;
    }
    if (env->host.ops->look(env->host.ctx, &what, &seen, err))
        return -1;
    seen.image_ready = facts->image_ready;
    seen.network_ready = facts->network_ready;
    *facts = seen;
    return 0;
}

int step_do(const struct step_env *env, struct situation *s, struct facts *f,
            const struct decision *decision, struct err *err)
{
    switch (decision->step) {
    case STEP_LIST:
        return step_look(env, s, true, f, err);
    case STEP_DISK:
        return step_disk(env, s, f, err);
    case STEP_GROW:
        return step_grow(env, s, f, err);
    case STEP_SEED:
        return step_seed(env, s, f, err);
    case STEP_DEFINE:
        return define(env, s, f, err);
    case STEP_REDEFINE:
        return redefine(env, s, f, err);
    case STEP_RETITLE:
        return retitle(env, s, f, err);
    case STEP_STAMP:
        return stamp(env, s, f, err);
    case STEP_NETWORK:
        return step_network(env, s, f, err);
    case STEP_SET_RUN:
        return set_run(env, s, f, err);
    case STEP_CREATE:
        return create(env, f, err);
    case STEP_SET_STARTED:
        return set_started(env, s, f, err);
    case STEP_RESUME:
        return resume(env, f, err);
    case STEP_ASK:
        return press(env, s, f, err);
    case STEP_DESTROY:
        return destroy(env, f, err);
    case STEP_RECORD_END:
        return record_end(env, s, f, err);
    case STEP_SWEEP:
        return step_sweep(env, f, decision->volume, err);
    case STEP_CLEAN:
        return step_clean(env, s, f, err);
    case STEP_UNDEFINE:
        return undefine(env, f, err);
    case STEP_REMOVE_LOGS:
        return step_remove_logs(env, s, f, err);
    default:
        return err_set(err, ERR_INTERNAL, "step %s is not one to carry out",
                       step_names[decision->step]);
    }
}
