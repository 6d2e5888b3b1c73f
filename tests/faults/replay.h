/* What a disk holds after a power cut: runs a trace of cutshim.so up to any record and
 * writes out the folder as it may be found then.
 *
 * The model is the strictest that a program may count on. A file's bytes, size and mode are
 * kept as of its last fsync; a name (created, renamed, removed) as of the last fsync of its
 * folder. Of what came after, nothing, everything or any part may have reached the disk:
 * whole writes, single 512-byte sectors of them in any order, sizes without their bytes, and
 * names in the order in which they changed. A shared mapping (SQLite's -shm) is never kept. */
#ifndef MINICLOUD_TESTS_REPLAY_H
#define MINICLOUD_TESTS_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/faults/trace.h"

struct replay;

enum keep {
    KEEP_SYNCED, /* only what was synced */
    KEEP_ALL,    /* everything: what a kill leaves */
    KEEP_SOME,   /* what was synced and, by the seed, some of the rest */
};

struct replay_op {
    struct trace_head head;
    const char *path, *path2; /* absolute, NULL: none; owned */
    const void *data;
};

/* `root` is the folder that the trace watched. */
struct replay *replay_new(const char *trace, const char *root);
void replay_free(struct replay *replay);
/* Before the first record the folder held, all of it synced, what `folder` holds now. */
void replay_load(struct replay *replay, const char *folder);
/* A disk that lies: syncs of files and folders whose path contains `pattern` do nothing. */
void replay_ignore_syncs(struct replay *replay, const char *pattern);

size_t replay_count(const struct replay *replay);
const struct replay_op *replay_at(const struct replay *replay, size_t index);
/* Runs records up to (not including) `end`; only forwards. */
void replay_to(struct replay *replay, size_t end);
/* Writes the folder out below `folder`, which is made. */
void replay_write(const struct replay *replay, enum keep keep, uint64_t seed, const char *folder);

#endif
