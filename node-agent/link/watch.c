/* Watches the host: keeps one connection to libvirt for events and lists, makes it anew
 * when it breaks, and lists everything on each connection and from time to time. */
#include "node-agent/link/watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/host/health.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/host/kvm.h"
#include "node-agent/host/space.h"
#include "node-agent/instance/evidence.h"
#include "node-agent/instance/instance.h"
#include "node-agent/instance/registry.h"
#include "node-agent/link/client.h"
#include "node-agent/link/images.h"
#include "node-agent/link/mend.h"
#include "node-agent/link/report.h"

struct watch {
    struct agent *agent;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool lost, poked;
    struct hv *hv;
    struct hv_watch callbacks;
    char last_error[256]; /* said once, not at each try */
};

/* A libvirtd that hangs is noticed by keepalive, which ends the call. */
static void no_guard_begin(void *ctx, const char *call, int64_t timeout_ms)
{
    (void)ctx;
    (void)call;
    (void)timeout_ms;
}

static void no_guard_end(void *ctx)
{
    (void)ctx;
}

/* ---- from libvirt's event thread ---- */

static void note_event(struct instance *instance, enum hv_event event)
{
    switch (event) {
    case HV_STARTED:
        instance->ended_at = 0;
        instance->shutdown = SHUTDOWN_UNSEEN;
        break;
    case HV_SHUTDOWN_GUEST:
        instance->shutdown = SHUTDOWN_BY_GUEST;
        break;
    case HV_SHUTDOWN_HOST:
        instance->shutdown = SHUTDOWN_BY_HOST;
        break;
    case HV_STOPPED:
        if (instance->ended_at == 0)
            instance->ended_at = clock_boottime_ms();
        break;
    default:
        break;
    }
}

static void on_event(void *ctx, const char *id, enum hv_event event)
{
    struct watch *watch = ctx;
    struct agent *agent = watch->agent;
    bool own = event == HV_DEFINED || event == HV_STARTED || event == HV_SUSPENDED ||
               event == HV_RESUMED || event == HV_SHUTDOWN_GUEST || event == HV_SHUTDOWN_HOST ||
               event == HV_OTHER;
    log_debug("libvirt.event", "id=%s kind=%d", id, event);
    pthread_mutex_lock(&agent->lock);
    struct instance *instance = registry_get(agent, id);
    note_event(instance, event);
    /* What our own worker is doing just now is no news. */
    if (!own || !work_running(agent->workers, &instance->work))
        work_wake(agent->workers, &instance->work);
    pthread_mutex_unlock(&agent->lock);
}

static void on_lost(void *ctx)
{
    struct watch *watch = ctx;
    pthread_mutex_lock(&watch->lock);
    watch->lost = true;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
}

/* ---- listing ---- */

static void on_domain(void *ctx, const struct facts *facts)
{
    struct agent *agent = ctx;
    evidence_seen(agent, facts);
    pthread_mutex_lock(&agent->lock);
    struct instance *instance = registry_get(agent, facts->id);
    instance->listed = agent->listing;
    instance_seen(agent, instance, facts);
    pthread_mutex_unlock(&agent->lock);
}

static void on_volume(void *ctx, const char *name)
{
    struct agent *agent = ctx;
    char id[ID_TEXT_MAX];
    if (!volume_owner(name, id))
        return;
    pthread_mutex_lock(&agent->lock);
    struct instance *instance = registry_get(agent, id);
    instance->listed = agent->listing;
    instance_volume_seen(agent, instance, name);
    pthread_mutex_unlock(&agent->lock);
}

/* Not listed any more: its turn finds out. */
static void check_listed(void *ctx, struct instance *instance)
{
    struct agent *agent = ctx;
    if (instance->listed == agent->listing || !instance->seen ||
        instance->observed.state == STATE_ABSENT)
        return;
    work_wake(agent->workers, &instance->work);
}

static int list(struct watch *watch, struct err *err)
{
    struct agent *agent = watch->agent;
    pthread_mutex_lock(&agent->lock);
    agent->listing++;
    pthread_mutex_unlock(&agent->lock);
    if (hv_domains(watch->hv, on_domain, agent, err) ||
        hv_volumes(watch->hv, on_volume, agent, err))
        return -1;
    pthread_mutex_lock(&agent->lock);
    registry_each(agent, check_listed, agent);
    registry_tidy(agent);
    pthread_mutex_unlock(&agent->lock);
    evidence_tidy(agent);
    images_sweep(agent);
    mend_networks(agent, watch->hv);
    mend_rules(agent);
    report_full(agent);
    return 0;
}

/* ---- the host ---- */

static int64_t less(int64_t what, int64_t reserved)
{
    return what > reserved ? what - reserved : 0;
}

static void measure(struct agent *agent, const struct hv_info *info)
{
    const struct settings *set = &agent->settings;
    int64_t disk = less(space_ours(set->pool_path) >> 30, set->reserved_disk_gib);
    struct node_capacity capacity = {.cpus =
                                         less(info->cpus, set->reserved_cpus) * set->cpu_overcommit,
                                     .memory_mib = less(info->memory_mib, set->reserved_memory_mib),
                                     .disk_gib = space_settle(agent->capacity.disk_gib, disk),
                                     .virt = info->virt};
    pthread_mutex_lock(&agent->lock);
    *agent->info = *info;
    agent->gid = kvm_group(info->virt, KVM_DEVICE);
    agent->capacity = capacity;
    health_note_kvm(agent->health, info->kvm_closed, KVM_DEVICE);
    pthread_mutex_unlock(&agent->lock);
}

static void wake_troubled(void *ctx, struct instance *instance)
{
    struct agent *agent = ctx;
    if (!instance->trouble.reason[0])
        return;
    instance->retry_at = 0;
    work_wake(agent->workers, &instance->work);
}

static int connect_host(struct watch *watch, struct err *err)
{
    struct agent *agent = watch->agent;
    struct hv_info info;
    int64_t began = clock_boottime_ms();
    pthread_mutex_lock(&watch->lock);
    watch->lost = false;
    pthread_mutex_unlock(&watch->lock);
    if (hv_watch(watch->hv, &watch->callbacks, err) ||
        hv_info(watch->hv, agent->settings.virt_type, &info, err) ||
        hv_pool_ensure(watch->hv, err) || images_load(agent, watch->hv, err))
        return -1;
    measure(agent, &info);
    pthread_mutex_lock(&agent->lock);
    agent->session++;
    registry_each(agent, wake_troubled, agent);
    pthread_mutex_unlock(&agent->lock);
    log_info("libvirt.connected", "uuid=%s virt=%s cpus=%lld memory_mib=%lld ms=%lld", info.uuid,
             virt_names[info.virt], (long long)info.cpus, (long long)info.memory_mib,
             (long long)(clock_boottime_ms() - began));
    return list(watch, err);
}

/* Until the next listing is due, or something happens; false when the connection is gone. */
static bool wait_for_news(struct watch *watch)
{
    struct agent *agent = watch->agent;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += agent->settings.relist / 1000;
    pthread_mutex_lock(&watch->lock);
    while (!watch->lost && !watch->poked && !agent->stopping) {
        if (pthread_cond_timedwait(&watch->changed, &watch->lock, &until) != 0)
            break;
    }
    bool lost = watch->lost;
    watch->poked = false;
    pthread_mutex_unlock(&watch->lock);
    return !lost && !agent->stopping;
}

static void complain(struct watch *watch, const struct err *err)
{
    if (strncmp(watch->last_error, err->msg, sizeof watch->last_error - 1) != 0)
        log_warn("libvirt.unreachable", "error=\"%s\"", err->msg);
    text_copy(watch->last_error, sizeof watch->last_error, err->msg);
}

static void stay(struct watch *watch, int64_t *delay)
{
    struct agent *agent = watch->agent;
    auto_err struct err err = {0};
    if (connect_host(watch, &err)) {
        complain(watch, &err);
        return;
    }
    watch->last_error[0] = '\0';
    *delay = 0;
    while (wait_for_news(watch)) {
        struct hv_info info = *agent->info;
        measure(agent, &info); /* for the full report after the listing */
        if (list(watch, &err)) {
            complain(watch, &err);
            return;
        }
    }
    if (!agent->stopping)
        log_warn("libvirt.lost", "uri=%s", agent->settings.libvirt_uri);
}

static void *watch_run(void *arg)
{
    struct watch *watch = arg;
    int64_t delay = 0;
    while (!watch->agent->stopping) {
        stay(watch, &delay);
        hv_disconnect(watch->hv);
        client_back_off(watch->agent, &delay);
    }
    return NULL;
}

int watch_start(struct agent *agent, struct err *err)
{
    struct watch *watch = agent->watch = xcalloc(1, sizeof *watch);
    struct hv_guard guard = {.begin = no_guard_begin, .end = no_guard_end};
    pthread_condattr_t attributes;
    watch->agent = agent;
    watch->callbacks = (struct hv_watch){.ctx = watch, .event = on_event, .lost = on_lost};
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    watch->hv = hv_new(agent->hv, &guard);
    if (file_mkdirs(agent->settings.console_dir, 0700, err))
        return -1;
    return agent_start_thread(&watch->thread, watch_run, watch, "watch", err);
}

/* Ends the wait for news. */
static void watch_poke(struct agent *agent)
{
    pthread_mutex_lock(&agent->watch->lock);
    agent->watch->poked = true;
    pthread_cond_broadcast(&agent->watch->changed);
    pthread_mutex_unlock(&agent->watch->lock);
}

void watch_stop(struct agent *agent)
{
    watch_poke(agent);
    pthread_join(agent->watch->thread, NULL);
    hv_free(agent->watch->hv);
    free(agent->watch);
    agent->watch = NULL;
}
