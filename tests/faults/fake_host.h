/* A host that exists only in the node protocol: it joins, does at once whatever it is told
 * and reports it. What it holds outlives the controller, as libvirt's domains do, so that a
 * recovered controller meets a host that remembers. */
#ifndef MINICLOUD_TESTS_FAKE_HOST_H
#define MINICLOUD_TESTS_FAKE_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct cloud;

struct fake_guest {
    char id[40];
    int64_t generation, run, disk_number, vcpus, memory_mib, disk_gib, uid;
    bool running, absent;
};

struct fake_host {
    struct cloud *cloud;
    char *token;
    char epoch[40];
    int64_t revision; /* highest seen */
    int64_t after;    /* desired is known up to here */
    char incarnation[40];
    int64_t report;   /* sequence of reports */
    int64_t evidence; /* sequence of observations */
    struct fake_guest *guests;
    int count;
    char *wrong; /* what the controller answered that no host should hear; NULL: all is well */
    /* Called with what was just reported and acknowledged; may be NULL. */
    void (*reported)(struct fake_host *host, void *ctx);
    void *ctx;
};

/* Each returns false, with `wrong` filled, when the controller refuses or is gone. */
/* Joins with the join token; the host's identity is always the same. */
bool fake_host_join(struct fake_host *host);
/* Reports everything, as an agent that has just started. */
bool fake_host_report_all(struct fake_host *host);
/* Asks once (waiting at most `wait_ms`), does it all, reports. */
bool fake_host_step(struct fake_host *host, int wait_ms);
void fake_host_release(struct fake_host *host);
struct fake_guest *fake_host_guest(struct fake_host *host, const char *id);

#endif
