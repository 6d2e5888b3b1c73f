/* The table of instances and networks: what is desired of each, what was seen of it, and what
 * its turns must remember. */
#ifndef MINICLOUD_AGENT_REGISTRY_H
#define MINICLOUD_AGENT_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node-agent/instance/converge.h"
#include "node-agent/instance/work.h"
#include "node-agent/world.h"

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

/* With the lock held unless said otherwise. */

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

#endif
