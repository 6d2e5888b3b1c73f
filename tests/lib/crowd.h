/* Those who are there at once: simulated hosts that report what they are given, and the
 * requests of clients that create and delete beside them (for load.h). */
#ifndef MINICLOUD_TESTS_CROWD_H
#define MINICLOUD_TESTS_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloud;
struct sim_agent;

enum { CROWD_CLIENTS_MAX = 256 };

struct crowd {
    struct cloud *cloud;
    char *token; /* the clients'; NULL: the admin's */
    struct sim_agent **hosts;
    int host_count;
    int64_t asked[CROWD_CLIENTS_MAX];   /* requests so far, by connection */
    int64_t running[CROWD_CLIENTS_MAX]; /* of these so many were seen running */
};

/* Joins hosts with room for anything, whose guests take half a second to start. Fails the test if
 * it cannot. */
void crowd_join(struct crowd *crowd, struct cloud *cloud, int hosts);
void crowd_leave(struct crowd *crowd);
/* Waits until all that crowd_create() asked for was seen running. */
void crowd_await_running(struct crowd *crowd);
/* From now on the hosts say and ask nothing (true), or all as usual. */
void crowd_silence(struct crowd *crowd, bool silent);

/* `make` of a load whose `ctx` is the crowd. The n-th request of connection c creates
 * "c<c>-<n>". */
size_t crowd_create(void *crowd, int connection, int64_t number, char *out, size_t cap);
/* Each connection creates an instance, deletes it, and so on. */
size_t crowd_churn(void *crowd, int connection, int64_t number, char *out, size_t cap);

#endif
