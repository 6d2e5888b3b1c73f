/* The inside of the replayer: inodes with what is synced and what is pending. */
#ifndef MINICLOUD_TESTS_REPLAY_MODEL_H
#define MINICLOUD_TESTS_REPLAY_MODEL_H

#include "api/base/buf.h"
#include "tests/faults/replay.h"

/* A change of a file's content since its last sync. */
struct change {
    enum trace_kind kind; /* WRITE, TRUNCATE, EXTEND or CHMOD */
    uint64_t offset;
    const void *data;
    size_t len;
    unsigned mode;
};

struct entry {
    char *name;
    struct inode *inode;
};

struct entries {
    struct entry *items;
    size_t count;
};

/* A change of a folder since its last sync: `add` and `remove` (either may be NULL) at once. */
struct renaming {
    char *remove;
    char *add;
    struct inode *inode;
};

struct inode {
    struct inode *next;
    bool folder;
    unsigned mode;
    struct buf synced; /* a file's bytes */
    struct change *changes;
    size_t change_count;
    struct entries now, kept; /* a folder's names: as programs see them, as synced */
    struct renaming *renamings;
    size_t renaming_count;
};

struct replay_rng {
    uint64_t state;
};
uint64_t replay_random(struct replay_rng *rng, uint64_t below);

struct inode *entries_find(const struct entries *entries, const char *name);
void entries_set(struct entries *entries, const char *name, struct inode *inode);
void entries_remove(struct entries *entries, const char *name);
void entries_copy(struct entries *to, const struct entries *from);
void entries_release(struct entries *entries);
void renaming_apply(struct entries *entries, const struct renaming *renaming);
void change_apply(struct buf *content, unsigned *mode, const struct change *change);

/* The root's inode, for writing out. */
const struct inode *replay_root(const struct replay *replay);

#endif
