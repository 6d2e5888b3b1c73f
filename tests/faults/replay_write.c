/* Writes out what a disk may hold after the cut, by a seeded choice among all that it may. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/faults/replay_model.h"
#include "tests/lib/cloud.h"

enum { SECTOR = 512 };

/* splitmix64: any seed gives a good stream, the same on every machine. */
uint64_t replay_random(struct replay_rng *rng, uint64_t below)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (z ^ (z >> 31)) % below;
}

/* ---- names ---- */

struct inode *entries_find(const struct entries *entries, const char *name)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->items[i].name, name) == 0)
            return entries->items[i].inode;
    }
    return NULL;
}

void entries_remove(struct entries *entries, const char *name)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->items[i].name, name) == 0) {
            free(entries->items[i].name);
            entries->items[i] = entries->items[--entries->count];
            return;
        }
    }
}

void entries_set(struct entries *entries, const char *name, struct inode *inode)
{
    entries_remove(entries, name);
    size_t size = (entries->count + 1) * sizeof(struct entry);
    entries->items = xrealloc(entries->items, size);
    entries->items[entries->count++] = (struct entry){xstrdup(name), inode};
}

void entries_copy(struct entries *to, const struct entries *from)
{
    for (size_t i = 0; i < from->count; i++)
        entries_set(to, from->items[i].name, from->items[i].inode);
}

void entries_release(struct entries *entries)
{
    while (entries->count > 0)
        free(entries->items[--entries->count].name);
    free(entries->items);
    entries->items = NULL;
}

void renaming_apply(struct entries *entries, const struct renaming *renaming)
{
    if (renaming->remove)
        entries_remove(entries, renaming->remove);
    if (renaming->add)
        entries_set(entries, renaming->add, renaming->inode);
}

/* ---- content ---- */

static void resize(struct buf *content, size_t size)
{
    if (size > content->len) {
        buf_reserve(content, size - content->len);
        memset(content->data + content->len, 0, size - content->len + 1);
    }
    content->len = size;
}

static void put_bytes(struct buf *content, uint64_t offset, const void *data, size_t len)
{
    if (offset + len > content->len)
        resize(content, (size_t)offset + len);
    if (len)
        memcpy(content->data + offset, data, len);
}

void change_apply(struct buf *content, unsigned *mode, const struct change *change)
{
    if (change->kind == TRACE_WRITE)
        put_bytes(content, change->offset, change->data, change->len);
    else if (change->kind == TRACE_CHMOD)
        *mode = change->mode;
    else if (change->kind == TRACE_TRUNCATE || change->offset > content->len)
        resize(content, (size_t)change->offset);
}

/* Single sectors of one write, each there or not; the size may have grown all the same. */
static void apply_sectors(struct buf *content, const struct change *change, struct replay_rng *rng)
{
    const char *data = change->data;
    if (replay_random(rng, 4) == 0 && change->offset + change->len > content->len)
        resize(content, (size_t)change->offset + change->len);
    for (size_t at = 0; at < change->len;) {
        size_t len = SECTOR - (size_t)((change->offset + at) % SECTOR);
        if (len > change->len - at)
            len = change->len - at;
        if (replay_random(rng, 2))
            put_bytes(content, change->offset + at, data + at, len);
        at += len;
    }
}

enum how { NOTHING, EVERYTHING, IN_ORDER, SOME_WRITES, SOME_SECTORS, WAYS };

static void apply_some(struct buf *content, unsigned *mode, const struct inode *inode,
                       struct replay_rng *rng)
{
    enum how how = (enum how)replay_random(rng, WAYS);
    size_t end =
        how == IN_ORDER ? replay_random(rng, inode->change_count + 1) : inode->change_count;
    if (how == NOTHING)
        return;
    for (size_t i = 0; i < end; i++) {
        const struct change *change = &inode->changes[i];
        if (how == SOME_SECTORS && change->kind == TRACE_WRITE)
            apply_sectors(content, change, rng);
        else if (how == EVERYTHING || how == IN_ORDER || replay_random(rng, 2))
            change_apply(content, mode, change);
    }
    /* The write that was under way when the power went. */
    if (how == IN_ORDER && end < inode->change_count && inode->changes[end].kind == TRACE_WRITE)
        apply_sectors(content, &inode->changes[end], rng);
}

static void write_file(const struct inode *inode, enum keep keep, struct replay_rng *rng,
                       const char *path)
{
    struct buf auto_buf content = {0};
    unsigned mode = inode->mode;
    if (inode->synced.len)
        buf_add(&content, inode->synced.data, inode->synced.len);
    for (size_t i = 0; keep == KEEP_ALL && i < inode->change_count; i++)
        change_apply(&content, &mode, &inode->changes[i]);
    if (keep == KEEP_SOME && inode->change_count)
        apply_some(&content, &mode, inode, rng);
    /* A ballast file is megabytes of zeros: a hole will do. */
    size_t len = content.len;
    while (len > 0 && content.data[len - 1] == '\0')
        len--;
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t done = 0; fd >= 0 && done < len;) {
        ssize_t put = write(fd, content.data + done, len - done);
        if (put <= 0)
            cloud_fail("cannot write %s", path);
        done += (size_t)put;
    }
    if (fd < 0 || ftruncate(fd, (off_t)content.len) < 0 || fchmod(fd, mode) < 0)
        cloud_fail("cannot make %s", path);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void write_folder(const struct inode *folder, enum keep keep, struct replay_rng *rng,
                         const char *path)
{
    struct entries names = {0};
    size_t end = keep == KEEP_ALL    ? folder->renaming_count
                 : keep == KEEP_SOME ? replay_random(rng, folder->renaming_count + 1)
                                     : 0;
    if (mkdir(path, folder->mode) < 0)
        cloud_fail("cannot make %s", path);
    entries_copy(&names, &folder->kept);
    for (size_t i = 0; i < end; i++)
        renaming_apply(&names, &folder->renamings[i]);
    for (size_t i = 0; i < names.count; i++) {
        autofree char *full = xasprintf("%s/%s", path, names.items[i].name);
        if (names.items[i].inode->folder)
            write_folder(names.items[i].inode, keep, rng, full);
        else if (!ends_with(full, "-shm"))
            write_file(names.items[i].inode, keep, rng, full);
    }
    entries_release(&names);
}

void replay_write(const struct replay *replay, enum keep keep, uint64_t seed, const char *folder)
{
    struct replay_rng rng = {seed};
    write_folder(replay_root(replay), keep, &rng, folder);
}
