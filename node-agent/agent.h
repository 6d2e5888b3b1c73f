/* The agent as a whole: its table of instances and what its threads share.
 *
 *   sync    asks the controller what should be           sync.c
 *   watch   hears from libvirt, lists the host           watch.c
 *   workers bring one instance after another in line     instance.c, steps.c
 *   exits   see QEMUs end                                exits.c
 *   images  fetch images into the cache                  images.c
 *   report  tells the controller what is                 report.c
 *
 * `lock` guards everything here that changes; nobody holds it during a call to libvirt,
 * to the controller or to a disk. */
#ifndef MINICLOUD_AGENT_AGENT_H
#define MINICLOUD_AGENT_AGENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "node-agent/evidence/spool.h"
#include "node-agent/host/health.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/instance/converge.h"
#include "node-agent/instance/work.h"
#include "node-agent/settings.h"

struct exits;
struct images;
struct report;
struct sync;
struct watch;

/* Of a definition; all 0: none. */
struct told_sizes {
    int64_t vcpus, memory_mib, disk_gib;
};

/* What is desired of one instance; never changed once made. */
struct desired {
    atomic_int refs;
    char epoch[EPOCH_MAX];
    char seed[VOLUME_MAX]; /* file name of the seed that it should have */
    struct desired_instance value;
};
struct desired *desired_ref(struct desired *desired);
void desired_unref(struct desired *desired);

struct instance {
    struct work_item work; /* first: the pool hands it back */
    struct instance *next;
    char id[ID_TEXT_MAX];
    struct desired *desired; /* NULL: none known */
    int64_t listed;          /* number of the last listing that had something of it */
    char disk[VOLUME_MAX], seed[VOLUME_MAX], base[VOLUME_MAX]; /* as its domain says */
    bool look_wide;            /* its volumes must be listed: something may be left over */
    int64_t ended_at;          /* CLOCK_BOOTTIME ms of libvirt's first word that it is off */
    enum shutdown_by shutdown; /* and who began that; of the newest run */
    struct asking asking;
    /* Since the last success. */
    struct trouble trouble;
    int64_t trouble_generation;
    enum step trouble_step;
    int attempts;
    int64_t retry_at; /* not before this */
    bool told_gone;
    struct told_sizes told_sizes; /* that this process wrote down last */
    int64_t told_run;             /* newest run whose start this process wrote down */
    int64_t began_run;            /* newest run that this process began */
    int64_t ended_run;            /* newest run whose end is on record, as its domain says */
    int64_t counted_run;          /* the run that is counted, */
    int64_t count_at;             /* and when next; CLOCK_BOOTTIME ms */
    int64_t network_session;      /* of the libvirt session in which its network was made sure of */
    char hung[64];                /* the call that was given up, while it is out */
    /* For the report. */
    bool seen; /* `observed` is filled */
    bool owed; /* the controller of this epoch has not heard of it yet */
    struct observed observed;
    int64_t changed, reported; /* change numbers */
};

enum { BUCKETS = 1024 };

struct agent {
    struct settings settings;
    struct hv_settings hv;
    const struct host_ops *ops; /* what workers do on the host; tests have a model */
    struct spool *spool;
    struct work_pool *workers;
    struct images *images;
    struct exits *exits;
    struct report *report;
    struct sync *sync;
    struct watch *watch;
    atomic_bool stopping;
    volatile bool cancel; /* the same, for HTTP calls that are out */
    char boot_id[40];
    char *ends_path; /* the file of ends, see ends.h */

    pthread_mutex_t lock;
    struct instance *buckets[BUCKETS];
    char epoch[EPOCH_MAX]; /* last one seen */
    int64_t revision;
    char mark[NODE_MARK_MAX + 1]; /* that came with it */
    bool told;                    /* a full page was seen */
    struct desired_network *networks;
    size_t network_count;
    char *nat; /* rules in place, NULL: not known; guarded by nat_lock */
    pthread_mutex_t nat_lock;
    struct hv_info info;
    int64_t gid; /* new guests' QEMU runs with this group, see kvm.h */
    struct node_capacity capacity;
    struct health health;
    int64_t session; /* counts connections to libvirt; 0: there was none yet */
    int64_t listing; /* counts listings of the host */
    int64_t changes; /* counts changes to report */
};

/* ---- registry.c: the table; with the lock held unless said otherwise ---- */

struct instance *registry_find(struct agent *agent, const char *id);
struct instance *registry_get(struct agent *agent, const char *id); /* makes it */
/* Frees those of which nothing is left to do or to say. */
void registry_tidy(struct agent *agent);
/* Calls for each. */
void registry_each(struct agent *agent, void (*each)(void *ctx, struct instance *instance),
                   void *ctx);
/* Without the lock: takes over what a page holds, wakes whom it concerns. */
void registry_apply(struct agent *agent, struct desired_page *page);
/* The network as desired, copied; false when it was never told. Without the lock. */
bool registry_network(struct agent *agent, const char *id, struct desired_network *ret);
void network_release(struct desired_network *network);
/* Makes the host's rules those of the networks we were told of, if they are not yet.
 * Without the lock. */
int registry_nat(struct agent *agent, struct err *err);
/* The same, also when nothing changed: somebody else may have taken them away. */
int registry_nat_again(struct agent *agent, struct err *err);
/* Notes what to report, and rouses the reporter when it is news. `desired` is what it was
 * observed against. */
void registry_observe(struct agent *agent, struct instance *instance, const struct desired *desired,
                      const struct observed *observed);

/* ---- instance.c ---- */

void *instance_open(void *agent, struct worker *worker);
void instance_close(void *agent, void *hv);
void instance_run(void *agent, void *hv, struct worker *worker, struct work_item *item);
void instance_stuck(void *agent, struct work_item *item, const char *call, int64_t ms);
/* What a listing says of it: reported, and worked on if it is not as it should be. The
 * lock held. */
void instance_seen(struct agent *agent, struct instance *instance, const struct facts *facts);
/* The same of a volume; one that no domain names may be a rest of something: its owner's
 * next turn looks. After the listing's domains. */
void instance_volume_seen(struct agent *agent, struct instance *instance, const char *name);
/* Its environment for steps, on this connection. */
struct step_env;
void instance_env(struct agent *agent, void *hv, struct step_env *ret);

/* ---- images.c: the image cache ---- */

enum image_state { IMAGE_READY, IMAGE_COMING, IMAGE_FAILED };
int images_new(struct agent *agent, struct err *err);
bool images_stop(struct agent *agent, int64_t ms);
/* The cache volumes there are; what is not marked complete is removed. With `hv`. */
int images_load(struct agent *agent, struct hv *hv, struct err *err);
bool images_ready(struct agent *agent, const char *sha256);
/* Begins to fetch it unless that goes on; all instances are woken when it ends. A failure
 * stands for a while, then the next wish tries again; `err` tells it also then, with
 * IMAGE_COMING. */
enum image_state images_want(struct agent *agent, const struct desired_image *image,
                             struct err *err);
/* Those that were deleted, from a full page: removes them once nothing stands on them. One that
 * the controller does not speak of stays: its database may be older than the image. */
void images_gone(struct agent *agent, const struct strings *sha256);
/* Once more: what something stood on may be free by now. */
void images_sweep(struct agent *agent);

/* ---- mend.c: what somebody outside took away is put back; at each listing ---- */

void mend_networks(struct agent *agent, void *host);
void mend_rules(struct agent *agent);

/* ---- space.c: what of the pool's disk is ours to give ---- */

/* Bytes that instances' volumes take; cached images come out of what is reserved. */
int64_t space_taken(const char *pool_path);
/* And with what is free there. */
int64_t space_ours(const char *pool_path);
/* What to tell: the last word stands until it is off by more than a GiB and by 1 %. */
int64_t space_settle(int64_t told_gib, int64_t gib);

/* ---- watch.c ---- */

int watch_start(struct agent *agent, struct err *err);
void watch_stop(struct agent *agent);

/* ---- report.c ---- */

void report_new(struct agent *agent);
int report_start(struct agent *agent, struct err *err);
void report_stop(struct agent *agent);
/* There is something to tell. Any thread, lock held or not. */
void report_wake(struct agent *agent);
/* The next report is a full one. */
void report_full(struct agent *agent);
/* Lists the host soon: something happened that no instance of ours explains. */
void watch_poke(struct agent *agent);
/* Somebody wants the end of a console log. */
void report_console(struct agent *agent, const struct console_request *request);
/* Waits until a full report was taken; false when stopping. */
bool report_wait_first(struct agent *agent);
void report_set_token(struct agent *agent, const char *token);

/* ---- sync.c ---- */

void sync_new(struct agent *agent);
int sync_start(struct agent *agent, struct err *err);
void sync_wake(struct agent *agent);
void sync_stop(struct agent *agent);
/* Backoff with jitter: sleeps, less when stopping. */
void sync_back_off(struct agent *agent, int64_t *delay_ms);
/* A client for the controller; `token` NULL: none. */
struct http_client;
int agent_client(struct agent *agent, const char *token, struct http_client **ret, struct err *err);
/* Whether a new token can be kept. */
int agent_token_place(struct agent *agent, struct err *err);
/* Whether this page came well before the wait was over, and told nothing. */
bool sync_hasty(const struct desired_page *page, int64_t took_ms, int64_t wait_ms);
/* This node's token as text in `out`; ERR_NOT_FOUND before it has joined. */
int agent_token(struct agent *agent, struct buf *out, struct err *err);

/* ---- agent.c ---- */

/* All parts, from settings already there. On error the process is expected to end. */
int agent_start(struct agent *agent, struct err *err);
void agent_stop(struct agent *agent);
int agent_start_thread(pthread_t *ret, void *(*run)(void *), void *arg, const char *name,
                       struct err *err);

#endif
