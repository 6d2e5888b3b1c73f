/* The agent's one file of its own: observations that the controller has not acknowledged
 * yet, so that evidence survives the agent's death, the highest revision it was told,
 * so that a controller restored from a copy is noticed even when both were restarted, and
 * how the wall clock of this boot and the one before stood to their boottime, and which number
 * each has in the order of boots.
 * Thread-safe. */
#ifndef MINICLOUD_AGENT_SPOOL_H
#define MINICLOUD_AGENT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/node_protocol.h"

struct err;
struct spool;

enum { SPOOL_BATCH = 1000 };

/* A torn end is cut off and a damaged line skipped, both logged; a file that is no spool
 * is put aside. */
int spool_open(const char *path, struct spool **ret_spool, struct err *err);
void spool_close(struct spool *spool);

/* Numbers and appends; sequence and incarnation of `o` are the spool's. In the kernel's
 * hands afterwards (survives a kill), on disk after spool_sync. */
int spool_add(struct spool *spool, const struct observation *o, struct err *err);
/* One sync for all that was added. */
int spool_sync(struct spool *spool, struct err *err);

/* Oldest first, at most SPOOL_BATCH and only what is synced; free with spool_batch_free.
 * `ret_more`: there is more than that. */
struct observation *spool_batch(struct spool *spool, size_t *ret_count, bool *ret_more);
void spool_batch_free(struct observation *batch, size_t count);
void spool_acknowledge(struct spool *spool, const char *incarnation, int64_t sequence);
bool spool_pending(struct spool *spool);

/* The line on which the evidence of a boot lies: what to add to its boottime for the wall clock,
 * in ms. The first word of a boot holds, until `now_ms`, what the two clocks say at present,
 * is off by more than 100 ms: then somebody has set the wall clock. */
int64_t spool_line(struct spool *spool, const char *boot_id, int64_t now_ms);
/* Also of the boot before; false: not known. */
bool spool_line_of(struct spool *spool, const char *boot_id, int64_t *ret_ms);
/* Its place in the order of boots (struct observation); 0: not known. A boot gets it with its
 * first line: higher than that of the boot before, even if the wall clock was set back. 0 as long
 * as that line could not be written. */
int64_t spool_boot_order(struct spool *spool, const char *boot_id);
/* The controller knows of later ones than this spool does: later boots count on from there. */
void spool_boot_settled(struct spool *spool, const char *boot_id, int64_t order);

/* Not synced: a power cut also ends everything that an old revision could hurt. */
void spool_note(struct spool *spool, const char *epoch, int64_t revision, const char *mark);
/* "" and 0 when nothing was noted. */
void spool_noted(struct spool *spool, char epoch[256], int64_t *ret_revision,
                 char mark[NODE_MARK_MAX + 1]);

#endif
