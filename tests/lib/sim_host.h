/* A host without libvirt: guests as rows in memory that take their time to start and stop.
 * Pure but for the clock that its caller gives. It remembers over a restart of the agent,
 * as libvirt does, and counts what must never happen. */
#ifndef MINICLOUD_TESTS_SIM_HOST_H
#define MINICLOUD_TESTS_SIM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/node_protocol.h"

struct sim_delays {
    int64_t create_ms, start_ms, stop_ms, delete_ms;
};

struct sim_guest {
    char id[ID_TEXT_MAX], epoch[ID_TEXT_MAX], name[64], address[16];
    bool exists;  /* a domain and its disk */
    bool foreign; /* made behind the controller's back */
    int state;    /* enum instance_state */
    int cause;
    int64_t generation, run, disk_number, vcpus, memory_mib, disk_gib, uid;
    bool stubborn; /* does not obey the power button */
    /* What is desired of it; NULL: the agent does not know (any more). */
    struct desired_instance *desired;
    bool converged;
    bool changed; /* since it was last reported */
    bool gone;    /* removed: to be reported absent, then forgotten */
    int64_t told; /* number of the last report that named it */
    bool failed, final;
    char reason[128];
    int64_t due_ms; /* when the step that is under way ends; 0: none */
};

struct sim_host {
    struct sim_delays delays;
    struct sim_guest *guests;
    size_t count, cap;
    char epoch[ID_TEXT_MAX]; /* last seen */
    int64_t revision;
    char mark[48]; /* that came with it */
    bool blind;    /* libvirt is away */
    /* Evidence not yet acknowledged. */
    struct observation *observations;
    size_t observation_count, observation_cap;
    char spool[ID_TEXT_MAX], boot_id[ID_TEXT_MAX];
    int64_t spool_sequence, boot_order;
    int64_t heard;         /* number of the last report that arrived */
    int64_t starts;        /* of all guests */
    int64_t double_starts; /* a run that was started twice: must stay 0 */
    char fail_reason[128]; /* the next start fails so; "": none */
    bool fail_final;
};

void sim_host_init(struct sim_host *host, const struct sim_delays *delays);
void sim_host_release(struct sim_host *host);
struct sim_guest *sim_host_find(struct sim_host *host, const char *id);
/* Takes over the instances of a page (its list is emptied). */
void sim_host_desired(struct sim_host *host, struct desired_page *page, int64_t now_ms);
/* Does what is due. Returns when the next step ends, INT64_MAX: nothing is under way. */
int64_t sim_host_step(struct sim_host *host, int64_t now_ms);
/* Whether something changed that was not reported. */
bool sim_host_news(const struct sim_host *host);

/* Evidence, true or not: whose, when and the rest as given; times that are 0 are now. */
void sim_host_say(struct sim_host *host, const char *id, const struct observation *what);

/* Things that happen on hosts. */
bool sim_host_end_guest(struct sim_host *host, const char *id, enum stop_cause cause);
void sim_host_boot(struct sim_host *host);
void sim_host_forget_desired(struct sim_host *host); /* the agent restarts */
struct sim_guest *sim_host_add(struct sim_host *host, const char *id);

#endif
