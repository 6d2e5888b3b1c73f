/* One read-only connection for each thread that reads, opened when the controller starts: once
 * it runs no read needs a file descriptor.
 *
 * A snapshot keeps the WAL from being used again for as long as it is open, so none stays open:
 * the writer ends those that nobody uses, long reads let go of theirs at every step while it is
 * the WAL's turn, and one that does not is ended with an error. */
#ifndef MINICLOUD_CONTROLLER_TX_READERS_H
#define MINICLOUD_CONTROLLER_TX_READERS_H

#include <stddef.h>
#include <stdint.h>

struct app;
struct err;
struct readers;
struct readers_hooks;

/* As many threads as `count` can read. */
struct readers *readers_new(const char *db_path, size_t count, struct err *err);
/* Between these, all that this thread reads is of one state, and costs one transaction: it
 * begins with the first app_reader(). Around each handler and each long read. */
void app_snapshot_begin(void);
void app_snapshot_end(void);
/* The same on a thread that may wait: its snapshots begin behind the WAL's turn, not in it. */
void app_snapshot_begin_long(void);
/* From here on they read the newest state, and what was read before may be older. */
void app_snapshot_renew(void);
/* Between two steps of a long read, where no statement is under way and it does not matter that
 * the next ones may see a newer state: lets the writer have its turn, and other reads theirs. */
void app_snapshot_step(struct app *app);

/* What the writer does with them around a checkpoint; `ctx` is the readers. */
extern const struct readers_hooks readers_hooks;
/* Ends the snapshots that no handler is using. */
void readers_release(void *ctx);

/* Steps of SQLite's machine that one snapshot may take; LIMIT_READ_STEPS unless told. */
void readers_set_steps(struct readers *readers, uint64_t steps);
/* When no thread reads any more. The writer may still run, and needs them until its end. */
void readers_close(struct readers *readers);
void readers_free(struct readers *readers);

/* This thread's reader connection: one of those that were opened at the start. */
struct db *app_reader(struct app *app);
/* The revision that everything read from now on shows at least: to be taken before reading,
 * given to clients to watch from, and waited behind. Within a snapshot (readers.h) that of
 * the snapshot: watch_revision() may be past what it shows, and who watches from there
 * would miss something. */
int64_t app_revision(struct app *app);

#endif
