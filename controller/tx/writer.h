/* The one writer: one thread owns the one write connection. It takes queued jobs in
 * groups, runs each under a SAVEPOINT of one BEGIN IMMEDIATE, commits them together
 * (synced), and only then tells each that it is done. It alone checkpoints.
 *
 *   - A job that fails is rolled back alone; the group goes on.
 *   - No deferred constraint, so that no job can fail the COMMIT of the others.
 *   - A full disk rolls the transaction back by itself: every job of the group fails with
 *     ERR_STORAGE_FULL. A COMMIT whose outcome is uncertain ends the process.
 *   - With one job waiting it commits at once. */
#ifndef MINICLOUD_CONTROLLER_TX_WRITER_H
#define MINICLOUD_CONTROLLER_TX_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/tx/write_job.h"
#include "controller/wait/watch.h"

struct db;
struct err;
struct hosts;
struct marks;
struct watch;
struct tokens;
struct vouchers;
struct writer;

/* What a job works with; only valid inside its `run`. */
struct tx {
    struct db *db;
    struct writer *writer;
    struct hosts *hosts;       /* the placement table, see hosts.h */
    struct tokens *tokens;     /* the table that requests are authenticated against */
    struct vouchers *vouchers; /* our own line of time, see vouch.h; NULL: none */
    const struct marks *marks; /* what signs the marks of hosts; NULL: nothing does */
    int64_t now_ms;            /* wall clock of the group */
    /* The same for ages: never ahead of the time that has passed since the start, so that a
     * clock that jumps forward makes nothing old. */
    int64_t aged_ms;
    bool full;         /* the disk is: what the ballast left is for what must go on */
    const char *actor; /* for events: "token:<name>", "node:<name>", "system" */
    const char *request_id;
};

/* How the placement table takes part in transactions. All on the writer's thread. */
struct hosts_hooks {
    /* Rebuilds from rows: at the start, and after a transaction that did not commit. */
    int (*load)(struct hosts *hosts, struct db *db, struct err *err);
    void (*release)(struct hosts *hosts);  /* the job's deltas stay */
    void (*rollback)(struct hosts *hosts); /* the job's deltas are undone */
};

/* What is done with readers around a checkpoint. All on the writer's thread. */
struct readers_hooks {
    /* Ends idle readers' transactions, which would keep the WAL from being used again. */
    void (*release)(void *readers);
    /* Long reads that come wait from here on, and those at work let go when they can; until it
     * is called with `false`. */
    void (*turn)(void *readers, bool begins);
    /* Ends what did not let go since, with an error. How many. */
    size_t (*cut)(void *readers);
};

struct writer_settings {
    const char *db_path;      /* migrated already (store_open) */
    const char *ballast_path; /* NULL: none */
    struct watch *watch;
    struct tokens *tokens;
    struct vouchers *vouchers; /* NULL: none */
    const struct marks *marks; /* NULL: none */
    struct hosts *hosts;       /* NULL: none; else `hooks` too */
    const struct hosts_hooks *hooks;
    int64_t event_keep;      /* revisions kept, 0: all */
    int64_t audit_keep_ms;   /* age to which the audit is kept, 0: all */
    int64_t deleted_keep_ms; /* how long what was deleted is kept, 0: for ever */
    int64_t wal_limit;       /* bytes of the WAL; 0: WAL_LIMIT_MIB */
    void *readers;           /* NULL: none; else `readers_hooks` too */
    const struct readers_hooks *readers_hooks;
};

/* Everything in `settings` is borrowed until writer_stop(). */
int writer_start(const struct writer_settings *settings, struct writer **ret_writer,
                 struct err *err);
/* Any thread. false: too many wait (ERR_UNAVAILABLE is the caller's answer). */
bool writer_submit(struct writer *writer, const struct write_job *job);
/* Submits and waits: for start-up and tests only. */
int writer_call(struct writer *writer, const struct write_job *job, struct err *err);
/* Finishes what is queued, checkpoints, ends the thread, frees. */
void writer_stop(struct writer *writer);

/* Inside a job: runs `fn` after COMMIT, in order; forgotten when the job or group rolls back. */
void tx_after_commit(struct tx *tx, void (*fn)(void *ctx), void *ctx, void (*drop)(void *ctx));

/* Inside a job: appends a row to the revision log and returns its revision.
 * project_key and node_key 0: none. A node_key wakes that node's agent. */
struct event_row {
    int64_t project_key;
    int64_t node_key;
    const char *kind; /* "instance", "image", ... */
    const char *id;
    const char *name;
    const char *what; /* "created", "state:running", ... */
};
int64_t tx_event(struct tx *tx, const struct event_row *event);
/* Wakes one more watch key after COMMIT, with the revision of the job's last event. */
void tx_touch(struct tx *tx, enum watch_kind kind, int64_t key);
/* Revision of the job's last event; 0: none yet. */
int64_t tx_revision(const struct tx *tx);

/* Grows with every COMMIT, before anyone is told of it: what was read while it stood still is
 * still so. Any thread. */
uint64_t writer_commits(const struct writer *writer);

/* tx->aged_ms outside of a transaction. Any thread. */
int64_t writer_aged_ms(const struct writer *writer);

/* Figures for /metrics, readable from any thread. */
struct writer_stats {
    uint64_t commits, jobs, failed_jobs;
    uint64_t commit_ns_sum;
    uint64_t commit_buckets[16]; /* by powers of two from 64 us */
    uint64_t group_buckets[8];   /* 1, 2, 4, ... 128 */
    uint64_t queue;
    bool full; /* the disk is full, the ballast is released */
    uint64_t wal_bytes, wal_limit;
    uint64_t wal_turns, wal_turns_missed; /* in which readers gave way, or did not */
    uint64_t wal_cuts;                    /* reads that were ended for it */
};
void writer_stats(struct writer *writer, struct writer_stats *ret_stats);

#endif
