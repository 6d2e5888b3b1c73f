/* The running agent: the parts of the program by name, what its threads share, and its settings.
 * It includes none of them, so that it may be included from anywhere; what a part does its own
 * header says.
 *
 *   sync    asks the controller what should be           link/sync.c
 *   watch   hears from libvirt, lists the host           link/watch.c
 *   workers bring one instance after another in line     instance/instance.c, instance/steps.c
 *   exits   see QEMUs end                                evidence/exits.c
 *   images  fetch images into the cache                  link/images.c
 *   report  tells the controller what is                 link/report.c
 *
 * `lock` guards everything here that changes; nobody holds it during a call to libvirt,
 * to the controller or to a disk. */
#ifndef MINICLOUD_AGENT_WORLD_H
#define MINICLOUD_AGENT_WORLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/node_protocol.h"

struct client;
struct exits;
struct health;
struct host_ops;
struct hv_info;
struct hv_settings;
struct image_cache;
struct images;
struct instance;
struct report;
struct spool;
struct sync;
struct watch;
struct work_pool;

struct settings {
    char *controller, *name;
    char *state_dir, *token_file, *join_token_file;
    char *libvirt_uri, *pool, *pool_path, *console_dir, *qemu_log_dir, *run_dir, *hook_dir;
    char *capabilities_dir;
    int64_t workers, lost_workers;
    int64_t call_deadline, heartbeat, relist, poll_wait, count_every; /* ms */
    int virt_type;                                                    /* enum virt_type */
    int64_t reserved_cpus, reserved_memory_mib, reserved_disk_gib, cpu_overcommit;
    int log_level; /* enum log_level */
};

enum { BUCKETS = 1024 };

struct agent {
    struct settings settings;
    struct hv_settings *hv;
    const struct host_ops *ops; /* what workers do on the host; tests have a model */
    struct spool *spool;
    struct work_pool *workers;
    struct client *client; /* how the link's threads reach the controller */
    struct images *images;
    struct exits *exits;
    struct report *report;
    struct sync *sync;
    struct watch *watch;
    /* What instances ask of the link. It is built on them and they do not know it, so each of
     * its parts hands in its own: images_new() and report_new(). */
    const struct image_cache *image_cache;
    void (*report_wake)(struct agent *agent); /* see link/report.h */
    atomic_bool stopping;
    volatile bool cancel; /* the same, for HTTP calls that are out */
    char boot_id[40];
    char *ends_path; /* the file of ends, see evidence/ends.h */

    pthread_mutex_t lock;
    struct instance *buckets[BUCKETS]; /* see instance/registry.h */
    char epoch[EPOCH_MAX];             /* last one seen */
    int64_t revision;
    char mark[NODE_MARK_MAX + 1]; /* that came with it */
    bool told;                    /* a full page was seen */
    struct desired_network *networks;
    size_t network_count;
    char *nat; /* rules in place, NULL: not known; guarded by nat_lock */
    pthread_mutex_t nat_lock;
    struct hv_info *info;
    int64_t gid; /* new guests' QEMU runs with this group, see host/kvm.h */
    struct node_capacity capacity;
    struct health *health;
    int64_t session; /* counts connections to libvirt; 0: there was none yet */
    int64_t listing; /* counts listings of the host */
    int64_t changes; /* counts changes to report */
};

#endif
