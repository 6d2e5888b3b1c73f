/* A job for the writer: what waits in its queue and what its thread runs. */
#ifndef MINICLOUD_CONTROLLER_TX_WRITE_JOB_H
#define MINICLOUD_CONTROLLER_TX_WRITE_JOB_H

#include <stdbool.h>

struct err;
struct tx;

struct write_job {
    /* On the writer thread inside a savepoint. -1: rolled back, `err` says why. */
    int (*run)(struct tx *tx, void *ctx, struct err *err);
    /* After COMMIT (`err` NULL) or after the failure; on the writer thread, must not block. */
    void (*done)(void *ctx, struct err *err);
    void *ctx;
    const char *actor;      /* borrowed until done; NULL: "system" */
    const char *request_id; /* borrowed until done; NULL: "" */
    /* Asks for more room: refused with ERR_STORAGE_FULL while the disk is full, so that what
     * the ballast file freed is left to deletes and reports. */
    bool grows;
    bool of_host; /* a host's report: it gives way to the others, see write_queue.h */
};

#endif
