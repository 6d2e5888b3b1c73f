/* What the writer's files share: its queue and thread (writer.c), a group's transaction
 * (writer_group.c), what a job can ask of it (writer_tx.c), and the WAL (writer_wal.c). */
#ifndef MINICLOUD_CONTROLLER_TX_WRITER_INTERNAL_H
#define MINICLOUD_CONTROLLER_TX_WRITER_INTERNAL_H

#include <pthread.h>
#include <stddef.h>

#include "api/base/err.h"
#include "controller/tx/write_queue.h"
#include "controller/tx/writer.h"
#include "controller/wait/watch.h"

enum { GROUP_MAX = 128 };

struct after_commit {
    void (*fn)(void *ctx);
    void (*drop)(void *ctx);
    void *ctx;
};

/* A job of the group at work. */
struct slot {
    struct write_job job;
    struct err err;
    bool failed;
};

struct writer {
    struct writer_settings settings;
    struct db *db;
    pthread_t thread;

    pthread_mutex_t lock; /* of the queue and the statistics */
    pthread_cond_t wake;
    struct write_queue queue;
    bool stopping;
    struct writer_stats stats;
    _Atomic uint64_t commits;
    /* What `aged_ms` counts from, wall and CLOCK_BOOTTIME; the same from the start on. */
    int64_t start_ms, start_boot_ms;

    /* The writer's thread alone, from here on. */
    struct tx tx;
    struct slot group[GROUP_MAX];
    size_t group_count;
    bool alone;       /* the group is one job, to which no other comes */
    bool contended;   /* the group has jobs that are no host's */
    int64_t hosts_ns; /* what hosts' jobs took of the group's time */
    struct after_commit *after;
    size_t after_count, after_cap;
    struct watch_touch *touched;
    size_t touched_count, touched_cap;
    int64_t job_revision;   /* of the job's last event */
    int64_t group_revision; /* of the group's last event */
    struct err job_err;     /* an event that could not be written fails its job */
    bool full;
    int64_t pruned_revision;
    bool pruning; /* the last batch left more to be done */
    int64_t next_prune_ms, next_fill_ms;
    int64_t wal_moved_at,
        wal_turn_at; /* its size when that was tried last; 0: not since it began */
};

/* The next host's job, if it is its turn to come into the group. Takes the lock. */
bool writer_take_turn(struct writer *w, struct write_job *ret_job);
/* Runs w->group, and what of hosts comes into it, and tells each job how it ended. */
void writer_run_group(struct writer *w);
/* Moves what readers allow. */
void writer_checkpoint(struct writer *w);
/* After each group: moves the WAL, or has it begin anew, when it is time (writer_wal.c). */
void writer_tend_wal(struct writer *w);
int64_t writer_aged_at(const struct writer *w, int64_t now_ms);
/* Forgets what was to come after COMMIT, from the given marks on. */
void writer_drop_after(struct writer *w, size_t mark);

#endif
