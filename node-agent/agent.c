/* Starts and stops the parts of the agent; guests notice neither. */
#include "node-agent/agent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/evidence/ends.h"
#include "node-agent/evidence/exits.h"
#include "node-agent/evidence/hook.h"
#include "node-agent/evidence/spool.h"
#include "node-agent/host/health.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/instance/evidence.h"
#include "node-agent/instance/instance.h"
#include "node-agent/instance/registry.h"
#include "node-agent/instance/work.h"
#include "node-agent/link/client.h"
#include "node-agent/link/images.h"
#include "node-agent/link/report.h"
#include "node-agent/link/sync.h"
#include "node-agent/link/watch.h"
#include "node-agent/settings.h"

enum { IDLE_MS = 30000, STOP_MS = 5000 };

static int open_spool(struct agent *agent, struct err *err)
{
    int lock_fd;
    autofree char *lock = xasprintf("%s/lock", agent->settings.state_dir);
    autofree char *path = xasprintf("%s/spool", agent->settings.state_dir);
    if (file_mkdirs(agent->settings.state_dir, 0700, err))
        return -1;
    if (file_lock(lock, &lock_fd, err))
        return err_context(err, "another agent uses this state_dir");
    hook_ensure(&agent->settings);
    return spool_open(path, &agent->spool, err);
}

static int start_exits(struct agent *agent, struct err *err)
{
    agent->ends_path = xasprintf("%s/" ENDS_FILE, agent->settings.state_dir);
    struct exits_settings settings = {.run_dir = agent->settings.run_dir,
                                      .ends_path = agent->ends_path,
                                      .boot_id = agent->boot_id,
                                      .ended = evidence_ended,
                                      .ctx = agent};
    return exits_new(&settings, &agent->exits, err);
}

int agent_start(struct agent *agent, struct err *err)
{
    const struct settings *set = &agent->settings;
    agent->ops = &hv_host_ops;
    agent->hv = xcalloc(1, sizeof *agent->hv);
    *agent->hv = (struct hv_settings){.uri = set->libvirt_uri,
                                      .pool = set->pool,
                                      .pool_path = set->pool_path,
                                      .run_dir = set->run_dir};
    agent->info = xcalloc(1, sizeof *agent->info);
    agent->health = xcalloc(1, sizeof *agent->health);
    struct work_settings work = {.workers = set->workers,
                                 .written_off_max = set->lost_workers,
                                 .deadline_ms = set->call_deadline,
                                 .idle_ms = IDLE_MS,
                                 .ctx = agent,
                                 .open = instance_open,
                                 .close = instance_close,
                                 .run = instance_run,
                                 .stuck = instance_stuck};
    pthread_mutex_init(&agent->lock, NULL);
    pthread_mutex_init(&agent->nat_lock, NULL);
    clock_boot_id(agent->boot_id);
    client_new(agent);
    report_new(agent);
    if (open_spool(agent, err) || start_exits(agent, err) || hv_start(err) ||
        images_new(agent, err) || work_new(&work, &agent->workers, err))
        return -1;
    evidence_line(agent);
    return watch_start(agent, err) || report_start(agent, err) || sync_start(agent, err) ? -1 : 0;
}

static void free_instances(struct agent *agent)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct instance *instance = agent->buckets[i], *next; instance; instance = next) {
            next = instance->next;
            desired_unref(instance->desired);
            free(instance);
        }
    }
    for (size_t i = 0; i < agent->network_count; i++)
        network_release(&agent->networks[i]);
    free(agent->networks);
    free(agent->nat);
}

/* What is in the middle of a call to libvirt gets a moment to finish it; a call that hangs
 * is left behind, and the next start finds out how far it came. */
void agent_stop(struct agent *agent)
{
    agent->stopping = true;
    __atomic_store_n(&agent->cancel, true, __ATOMIC_RELAXED);
    client_wake(agent);
    sync_stop(agent);
    watch_stop(agent);
    bool quiet = work_stop(agent->workers, STOP_MS);
    quiet = images_stop(agent, STOP_MS) && quiet;
    exits_stop(agent->exits);
    report_stop(agent);
    if (!quiet) {
        log_warn("agent.stopped", "hint=\"a call to libvirt was left behind\"");
        _exit(0);
    }
    work_free(agent->workers);
    exits_free(agent->exits);
    free(agent->ends_path);
    free_instances(agent);
    spool_close(agent->spool);
    client_free(agent);
    free(agent->hv);
    free(agent->info);
    free(agent->health);
    settings_release(&agent->settings);
}
