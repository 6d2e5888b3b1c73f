/* One read-only connection for each thread that reads. */
#ifndef MINICLOUD_CONTROLLER_READERS_H
#define MINICLOUD_CONTROLLER_READERS_H

struct app;
struct readers;

struct readers *readers_new(const char *db_path);
/* Between these, all that this thread reads is of one state, and costs one transaction: it
 * begins with the first app_reader(). Around each handler and each long read. */
void app_snapshot_begin(void);
void app_snapshot_end(void);
/* From here on they read the newest state, and what was read before may be older. */
void app_snapshot_renew(void);
/* By the writer, before a checkpoint: ends the snapshots that no handler is using. `ctx` is
 * the readers. */
void readers_release(void *ctx);
/* When no thread reads any more. The writer may still run, and needs them until its end. */
void readers_close(struct readers *readers);
void readers_free(struct readers *readers);

#endif
