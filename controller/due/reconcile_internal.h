/* What reconcile.c and reconcile_jobs.c share. */
#ifndef MINICLOUD_CONTROLLER_DUE_RECONCILE_INTERNAL_H
#define MINICLOUD_CONTROLLER_DUE_RECONCILE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "controller/due/reconcile.h"
#include "controller/wait/deadlines.h"

struct app;

struct lease {
    int64_t node_key;
    int64_t seen_ms;  /* CLOCK_BOOTTIME of the last report, or of our start */
    bool ended;       /* a job to say so is on its way, or done */
    int64_t retry_ms; /* one failed: not again before this; 0: none did */
};

struct reconcile {
    struct app *app;
    pthread_t thread;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t wake, quiet;
    bool stop;
    int64_t seal_ms;  /* when to look whether an hour can be sealed */
    int64_t files_ms; /* when to look for image files that are free; INT64_MAX: none are */
    struct deadlines operations;
    struct lease *leases; /* by node_key */
    size_t lease_count, lease_cap;
    int64_t sleeping_ms; /* until when the thread sleeps */
    int jobs;            /* submitted and not done */
};

/* Whether the node is still unheard since its lease ended. */
bool reconcile_lease_over(struct reconcile *reconcile, int64_t node_key);
/* A job that failed is tried again after a while: what is due stays due. */
enum { RECONCILE_RETRY_MS = 2000 };
void reconcile_operation_again(struct reconcile *reconcile, int64_t operation_key);
void reconcile_silent_again(struct reconcile *reconcile, int64_t node_key);
/* Submit write jobs; false: the writer takes none now. */
bool reconcile_submit_deadline(struct reconcile *reconcile, int64_t operation_key);
bool reconcile_submit_silent(struct reconcile *reconcile, int64_t node_key);
bool reconcile_submit_seal(struct reconcile *reconcile);
/* An hour was sealed: look for the next one. */
void reconcile_seal_soon(struct reconcile *reconcile);
/* How often it is looked whether an hour can be sealed. */
enum { RECONCILE_SEAL_MS = 60 * 1000 };

#endif
