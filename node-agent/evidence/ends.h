/* When runs ended, as whoever saw it wrote it down: a file of lines that the agent appends to
 * by its pidfds and libvirt's hook (hook_main.c) while the agent is dead. Not synced: a power
 * cut also ends the boot that its times belong to.
 *
 * libvirtd calls the hook when it stops a guest, and once more late, when a new libvirtd finds
 * that a guest ended while there was none. So its word is exact only from a libvirtd that had
 * that guest: each also writes down those that it starts or finds running. */
#ifndef MINICLOUD_AGENT_ENDS_H
#define MINICLOUD_AGENT_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/clock.h"
#include "api/base/id.h"

struct err;

enum { ENDS_WITNESS_MAX = 48 };
#define ENDS_BY_AGENT "agent"
#define ENDS_FILE "ends" /* in state_dir */

struct end_line {
    bool off; /* it ended; else: whoever this is has it */
    char id[ID_TEXT_MAX];
    int64_t run;
    char boot_id[BOOT_ID_MAX];
    int64_t boottime_ms;
    char witness[ENDS_WITNESS_MAX]; /* ENDS_BY_AGENT, or one libvirtd, without blanks */
};
/* One write in append mode; makes the file. Needs nothing else of this module. */
int ends_append(const char *path, const struct end_line *line, struct err *err);

struct ending {
    char boot_id[BOOT_ID_MAX]; /* "": this one */
    int64_t boottime_ms;       /* 0: now */
    bool noticed;              /* it ended at some time before */
};
/* What the file tells of a run's end; false: nothing. */
bool ends_find(const char *path, const char *id, int64_t run, struct ending *ret);

/* Puts a grown file aside, and at a later call removes that after what is still needed of it
 * was taken over. In between, hooks that had it open have long written. */
void ends_tidy(const char *path, bool (*needed)(void *ctx, const char *id, int64_t run), void *ctx);

#endif
