/* A host as a model: it takes the agent's real XML through the same functions that libvirt
 * would be asked by, and can lose power over the agent before or after any one of them. */
#ifndef MINICLOUD_TESTS_AGENT_MODEL_H
#define MINICLOUD_TESTS_AGENT_MODEL_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "node-agent/host/host.h"
#include "node-agent/instance/seed.h"
#include "node-agent/instance/steps.h"
#include "node-agent/xml/domain_xml.h"
#include "tests/unit/agent_fixture.h"

enum { MODEL_VOLUMES = 16, MODEL_RUNS = 32 };

struct model_volume {
    char name[VOLUME_MAX], base[VOLUME_MAX];
    int64_t bytes;
    bool whole;
};

struct model {
    struct facts domain; /* defined, mark, power, ... as libvirt has it */
    char *xml;
    struct model_volume volumes[MODEL_VOLUMES];
    size_t volume_count;
    bool network, lease, image;
    bool deaf;          /* to the power button */
    bool mute;          /* what it used is not told */
    atomic_int counted; /* how often that was asked */
    bool strict;        /* what changes must have been witnessed before */
    int64_t told_vcpus, told_memory_mib, told_disk_gib, told_stop;
    int ops, crash_at; /* counts both sides of every change; 0: never */
    bool crashed;
    int began[MODEL_RUNS]; /* how often the guest of a run came to life */
    int changes;           /* of the host, all told */
};

/* The agent dies here, if this is the place. */
static bool model_dies(struct model *m, struct err *err)
{
    if (m->crashed || ++m->ops == m->crash_at) {
        m->crashed = true;
        err_set(err, ERR_UNAVAILABLE, "the agent died");
    }
    return m->crashed;
}

static struct model_volume *model_find(struct model *m, const char *name)
{
    for (size_t i = 0; i < m->volume_count; i++) {
        if (strcmp(m->volumes[i].name, name) == 0)
            return &m->volumes[i];
    }
    return NULL;
}

static struct model_volume *model_add(struct model *m, const char *name)
{
    struct model_volume *volume = model_find(m, name);
    if (!volume && m->volume_count < MODEL_VOLUMES)
        volume = &m->volumes[m->volume_count++];
    if (!volume)
        abort();
    memset(volume, 0, sizeof *volume);
    text_copy(volume->name, sizeof volume->name, name);
    return volume;
}

static int model_look(void *host, const struct look_for *what, struct facts *ret, struct err *err)
{
    struct model *m = host;
    (void)err;
    *ret = m->domain;
    text_copy(ret->id, sizeof ret->id, what->id);
    ret->volume_count = 0;
    ret->shape = DISK_NONE;
    ret->listed = what->list;
    for (size_t i = 0; what->list && i < m->volume_count; i++)
        facts_add_volume(ret, m->volumes[i].name);
    if (what->disk && strcmp(what->disk, ret->disk) == 0)
        ret->shape = DISK_GOOD;
    const struct model_volume *v = what->disk ? model_find(m, what->disk) : NULL;
    if (v && ret->shape != DISK_GOOD) {
        facts_add_volume(ret, v->name);
        ret->disk_bytes = v->bytes;
        ret->shape = !v->whole                          ? DISK_BROKEN
                     : strcmp(v->base, what->base) == 0 ? DISK_GOOD
                                                        : DISK_FOREIGN;
    }
    return 0;
}

static int model_disk_make(void *host, const char *name, int64_t bytes, const char *base,
                           int format, struct err *err)
{
    struct model *m = host;
    (void)format;
    if (model_dies(m, err))
        return -1;
    if (!m->image)
        return err_set(err, ERR_OPERATION_FAILED, "no base image");
    if (model_find(m, name))
        return err_set(err, ERR_OPERATION_FAILED, "volume exists");
    struct model_volume *v = model_add(m, name);
    m->changes++;
    if (model_dies(m, err)) /* half made */
        return -1;
    v->bytes = bytes;
    v->whole = true;
    text_copy(v->base, sizeof v->base, base);
    return model_dies(m, err) ? -1 : 0;
}

static int model_disk_grow(void *host, const char *name, int64_t bytes, struct err *err)
{
    struct model *m = host;
    struct model_volume *v = model_find(m, name);
    if (model_dies(m, err))
        return -1;
    if (!v || m->domain.power != HOST_OFF)
        return err_set(err, ERR_OPERATION_FAILED, "cannot grow");
    v->bytes = bytes;
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_seed_write(void *host, const char *name, const void *data, size_t len,
                            struct err *err)
{
    struct model *m = host;
    (void)data;
    if (model_dies(m, err))
        return -1;
    struct model_volume *v = model_add(m, name);
    m->changes++;
    if (model_dies(m, err))
        return -1;
    v->bytes = (int64_t)len;
    v->whole = true;
    return model_dies(m, err) ? -1 : 0;
}

static int model_volume_remove(void *host, const char *name, struct err *err)
{
    struct model *m = host;
    struct model_volume *v = model_find(m, name);
    if (model_dies(m, err))
        return -1;
    m->changes++;
    if (v)
        *v = m->volumes[--m->volume_count];
    return model_dies(m, err) ? -1 : 0;
}

/* The last word about its sizes is that they are what they are. */
static bool model_told_sizes(const struct model *m)
{
    const struct facts *f = &m->domain;
    return f->vcpus == m->told_vcpus && f->memory_mib == m->told_memory_mib &&
           f->mark.disk_gib == m->told_disk_gib;
}

/* What it names must be whole: half a seed would be a guest without its keys. */
static int model_define(void *host, const char *id, const char *xml, struct err *err)
{
    struct model *m = host;
    struct facts f = m->domain;
    (void)id;
    if (model_dies(m, err))
        return -1;
    if (facts_read_domain(xml, &f, err))
        return -1;
    const struct model_volume *disk = model_find(m, f.disk), *seed = model_find(m, f.seed);
    if (!disk || !disk->whole || !seed || !seed->whole || m->domain.power != HOST_OFF)
        return err_set(err, ERR_INVALID, "a definition over what is not there");
    m->domain = f;
    free(m->xml);
    m->xml = xstrdup(xml);
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_definition(void *host, const char *id, struct buf *ret_xml, struct err *err)
{
    struct model *m = host;
    (void)id;
    (void)err;
    buf_puts(ret_xml, m->xml);
    return 0;
}

static int model_set_title(void *host, const char *id, const char *title, struct err *err)
{
    struct model *m = host;
    (void)id;
    if (model_dies(m, err))
        return -1;
    text_copy(m->domain.title, sizeof m->domain.title, title);
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_set_mark(void *host, const char *id, const char *xml, bool live, struct err *err)
{
    struct model *m = host;
    struct facts f = {0};
    autofree char *whole = xasprintf("<domain><metadata><m:instance xmlns:m='" MARK_NAMESPACE
                                     "' %s</metadata></domain>",
                                     strchr(xml, ' '));
    (void)id;
    if (model_dies(m, err))
        return -1;
    if (live != (m->domain.power != HOST_OFF))
        return err_set(err, ERR_INVALID, "metadata of the wrong state");
    if (facts_read_domain(whole, &f, err))
        return -1;
    if (!f.marked)
        return err_set(err, ERR_INVALID, "no mark in %s", whole);
    bool records_end =
        f.mark.ended >= f.mark.started && m->domain.mark.ended < m->domain.mark.started;
    if (m->strict && records_end && f.mark.ended != m->told_stop)
        return err_set(err, ERR_INVALID, "an end that nobody was told of");
    m->domain.mark = f.mark;
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_network_ensure(void *host, const struct desired_network *network, const char *mac,
                                const char *address, struct err *err)
{
    struct model *m = host;
    (void)network;
    (void)mac;
    (void)address;
    if (model_dies(m, err))
        return -1;
    m->network = m->lease = true;
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_network_active(void *host, const char *network, bool *ret, struct err *err)
{
    const struct model *m = host;
    (void)network;
    (void)err;
    *ret = m->network;
    return 0;
}

static int model_lease_remove(void *host, const char *network, const char *mac, const char *address,
                              struct err *err)
{
    struct model *m = host;
    (void)network;
    (void)mac;
    (void)address;
    if (model_dies(m, err))
        return -1;
    m->lease = false;
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_create(void *host, const char *id, struct err *err)
{
    struct model *m = host;
    (void)id;
    if (model_dies(m, err))
        return -1;
    if (m->domain.power != HOST_OFF || !m->network || !m->lease)
        return err_set(err, ERR_OPERATION_FAILED, "cannot start");
    if (m->strict && !model_told_sizes(m))
        return err_set(err, ERR_INVALID, "sizes that nobody was told of");
    m->domain.power = HOST_PAUSED;
    m->domain.pause = PAUSE_ASKED;
    m->domain.end_cause = CAUSE_NONE;
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_resume(void *host, const char *id, struct err *err)
{
    struct model *m = host;
    (void)id;
    if (model_dies(m, err))
        return -1;
    if (m->domain.power != HOST_PAUSED)
        return err_set(err, ERR_OPERATION_FAILED, "not paused");
    m->domain.power = HOST_ACTIVE;
    m->domain.pause = PAUSE_NONE;
    m->began[m->domain.mark.started % MODEL_RUNS]++;
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_press(void *host, const char *id, int64_t timeout_ms, struct err *err)
{
    struct model *m = host;
    (void)id;
    (void)timeout_ms;
    if (model_dies(m, err))
        return -1;
    m->changes++;
    if (!m->deaf && m->domain.power == HOST_ACTIVE) {
        m->domain.power = HOST_OFF;
        m->domain.end_cause = CAUSE_GUEST;
    }
    return model_dies(m, err) ? -1 : 0;
}

static int model_destroy(void *host, const char *id, struct err *err)
{
    struct model *m = host;
    (void)id;
    if (model_dies(m, err))
        return -1;
    m->changes++;
    m->domain.power = HOST_OFF;
    m->domain.pause = PAUSE_NONE;
    m->domain.end_cause = CAUSE_FORCED;
    return model_dies(m, err) ? -1 : 0;
}

static int model_undefine(void *host, const char *id, struct err *err)
{
    struct model *m = host;
    (void)id;
    if (model_dies(m, err))
        return -1;
    memset(&m->domain, 0, sizeof m->domain);
    m->changes++;
    return model_dies(m, err) ? -1 : 0;
}

static int model_count(void *host, const char *id, struct counters *ret, struct err *err)
{
    struct model *m = host;
    (void)id;
    if (m->mute)
        return err_set(err, ERR_OPERATION_FAILED, "nothing is told");
    int counted = ++m->counted;
    *ret = (struct counters){.cpu_ns = 1000 + counted, .ingress_bytes = 20, .egress_bytes = 30};
    return 0;
}

static const struct host_ops model_ops = {
    .look = model_look,
    .disk_make = model_disk_make,
    .disk_grow = model_disk_grow,
    .seed_write = model_seed_write,
    .volume_remove = model_volume_remove,
    .define = model_define,
    .definition = model_definition,
    .set_title = model_set_title,
    .set_mark = model_set_mark,
    .network_ensure = model_network_ensure,
    .network_active = model_network_active,
    .lease_remove = model_lease_remove,
    .create = model_create,
    .resume = model_resume,
    .press = model_press,
    .destroy = model_destroy,
    .undefine = model_undefine,
    .count = model_count,
};

/* ---- what may be there already ---- */

static void model_put_disk(struct model *m, int64_t number, int64_t gib, bool whole)
{
    char name[VOLUME_MAX];
    volume_disk(INSTANCE, number, name);
    struct model_volume *v = model_add(m, name);
    v->bytes = gib << 30;
    v->whole = whole;
    text_copy(v->base, sizeof v->base, BASE);
}

static void model_put_seed(struct model *m, bool whole)
{
    model_add(m, SEED)->whole = whole;
}

static void model_put_domain(struct model *m)
{
    static const struct domain_nic nic = {.mac = "52:54:01:4d:00:10", .network = "mc-net"};
    struct facts f = facts_running();
    struct domain_spec spec = {
        .id = INSTANCE,
        .title = "web1",
        .virt = VIRT_QEMU,
        .vcpus = 2,
        .memory_mib = 512,
        .uid = 200001,
        .gid = 107,
        .disk = {"/pool/" INSTANCE ".1.qcow2", "/pool/" BASE, FORMAT_QCOW2, "/pool/" SEED},
        .nics = &nic,
        .nic_count = 1,
        .console = "/log",
        .mark = &f.mark};
    struct buf xml = {0};
    domain_xml(&spec, &xml);
    m->xml = buf_take(&xml);
    m->domain = f;
    m->network = m->lease = true;
    model_put_disk(m, 1, 10, true);
    model_put_seed(m, true);
}

#endif
