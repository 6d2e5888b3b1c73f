/* Runs a trace: names to inodes, descriptors to inodes, and what of both is synced. */
#include "tests/faults/replay.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/faults/replay_model.h"
#include "tests/lib/cloud.h"

enum { MAX_FD = 65536 };

struct replay {
    char *root;
    const char *map;
    size_t map_len;
    struct replay_op *ops;
    size_t count, done;
    struct inode *inodes; /* all that ever were */
    struct inode *top;
    struct inode *fds[MAX_FD];
    char *ignored[8];
    size_t ignored_count;
    char *fd_paths[MAX_FD];
};

/* ---- reading the trace ---- */

static char *take_text(const char **at, size_t len)
{
    char *text = len ? xstrndup(*at, len) : NULL;
    *at += len;
    return text;
}

static void parse(struct replay *replay)
{
    const char *at = replay->map, *end = at + replay->map_len;
    size_t cap = 0;
    while (at < end) {
        struct replay_op op = {0};
        if ((size_t)(end - at) < sizeof(op.head))
            cloud_fail("the trace ends within a record");
        memcpy(&op.head, at, sizeof(op.head));
        if (op.head.magic != TRACE_MAGIC || op.head.kind >= TRACE_KINDS)
            cloud_fail("no record at byte %td of the trace", at - replay->map);
        at += sizeof(op.head);
        op.path = take_text(&at, op.head.path_len);
        op.path2 = take_text(&at, op.head.path2_len);
        op.data = at;
        at += op.head.data_len;
        if (replay->count == cap) {
            cap = cap ? cap * 2 : 1024;
            replay->ops = xrealloc(replay->ops, cap * sizeof(op));
        }
        replay->ops[replay->count++] = op;
    }
}

static struct inode *inode_new(struct replay *replay, bool folder, unsigned mode)
{
    struct inode *inode = xcalloc(1, sizeof(*inode));
    inode->folder = folder;
    inode->mode = mode;
    inode->next = replay->inodes;
    replay->inodes = inode;
    return inode;
}

struct replay *replay_new(const char *trace, const char *root)
{
    struct replay *replay = xcalloc(1, sizeof(*replay));
    struct stat info;
    autoclose int fd = open(trace, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0 || info.st_size == 0)
        cloud_fail("there is no trace %s: was cutshim.so loaded?", trace);
    replay->map_len = (size_t)info.st_size;
    replay->map = mmap(NULL, replay->map_len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (replay->map == MAP_FAILED)
        cloud_fail("cannot map %s", trace);
    replay->root = xstrdup(root);
    replay->top = inode_new(replay, true, 0711);
    parse(replay);
    return replay;
}

static void free_text(const char *text)
{
    char *copy;
    memcpy(&copy, &text, sizeof(copy));
    free(copy);
}

static void inode_free(struct inode *inode)
{
    for (size_t i = 0; i < inode->renaming_count; i++) {
        free(inode->renamings[i].remove);
        free(inode->renamings[i].add);
    }
    free(inode->renamings);
    free(inode->changes);
    buf_release(&inode->synced);
    entries_release(&inode->now);
    entries_release(&inode->kept);
    free(inode);
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    for (struct inode *inode = replay->inodes, *next; inode; inode = next) {
        next = inode->next;
        inode_free(inode);
    }
    for (size_t i = 0; i < replay->count; i++) {
        free_text(replay->ops[i].path);
        free_text(replay->ops[i].path2);
    }
    for (size_t i = 0; i < replay->ignored_count; i++)
        free(replay->ignored[i]);
    for (size_t i = 0; i < MAX_FD; i++)
        free(replay->fd_paths[i]);
    char *map;
    memcpy(&map, &replay->map, sizeof(map));
    munmap(map, replay->map_len);
    free(replay->ops);
    free(replay->root);
    free(replay);
}

static void load_folder(struct replay *replay, struct inode *folder, const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *found; dir && (found = readdir(dir));) {
        struct stat info;
        autofree char *full = xasprintf("%s/%s", path, found->d_name);
        struct err auto_err err = {0};
        if (found->d_name[0] == '.' || lstat(full, &info) < 0)
            continue;
        if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
            continue;
        struct inode *inode = inode_new(replay, S_ISDIR(info.st_mode), info.st_mode & 07777);
        entries_set(&folder->now, found->d_name, inode);
        entries_set(&folder->kept, found->d_name, inode);
        if (inode->folder)
            load_folder(replay, inode, full);
        else if (file_read(full, 1 << 30, &inode->synced, &err) < 0)
            cloud_fail("%s", err.msg);
    }
    if (dir)
        closedir(dir);
}

void replay_load(struct replay *replay, const char *folder)
{
    load_folder(replay, replay->top, folder);
}

void replay_ignore_syncs(struct replay *replay, const char *pattern)
{
    replay->ignored[replay->ignored_count++] = xstrdup(pattern);
}

size_t replay_count(const struct replay *replay)
{
    return replay->count;
}

const struct replay_op *replay_at(const struct replay *replay, size_t index)
{
    return &replay->ops[index];
}

const struct inode *replay_root(const struct replay *replay)
{
    return replay->top;
}

/* ---- names ---- */

/* The folder that holds `path` and its last part; NULL for the root itself. */
static struct inode *parent_of(struct replay *replay, const char *path, const char **ret_name)
{
    const char *rest = path + strlen(replay->root);
    struct inode *at = replay->top;
    rest += strspn(rest, "/");
    *ret_name = rest;
    if (!*rest)
        return NULL;
    for (const char *slash; (slash = strchr(rest, '/'));) {
        autofree char *part = xstrndup(rest, (size_t)(slash - rest));
        at = *part ? entries_find(&at->now, part) : at;
        if (!at)
            cloud_fail("the trace names %s in a folder that is not there", path);
        rest = slash + 1;
    }
    *ret_name = rest;
    return *rest ? at : NULL;
}

static struct inode *look_up(struct replay *replay, const char *path)
{
    const char *name;
    struct inode *parent = parent_of(replay, path, &name);
    return parent ? entries_find(&parent->now, name) : replay->top;
}

static void note_renaming(struct inode *folder, const char *remove, const char *add,
                          struct inode *inode)
{
    struct renaming change = {.remove = xstrdup(remove), .add = xstrdup(add), .inode = inode};
    size_t size = (folder->renaming_count + 1) * sizeof(change);
    folder->renamings = xrealloc(folder->renamings, size);
    folder->renamings[folder->renaming_count++] = change;
    renaming_apply(&folder->now, &change);
}

static void add_name(struct replay *replay, const char *path, struct inode *inode)
{
    const char *name;
    struct inode *parent = parent_of(replay, path, &name);
    if (parent)
        note_renaming(parent, NULL, name, inode);
}

static void remove_name(struct replay *replay, const char *path)
{
    const char *name;
    struct inode *parent = parent_of(replay, path, &name);
    /* Sockets are bound, not opened: they are removed without ever having been seen. */
    if (parent && entries_find(&parent->now, name))
        note_renaming(parent, name, NULL, NULL);
}

static void move_name(struct replay *replay, const char *from, const char *to)
{
    const char *from_name, *to_name;
    struct inode *from_folder = parent_of(replay, from, &from_name);
    struct inode *to_folder = parent_of(replay, to, &to_name);
    struct inode *inode = from_folder ? entries_find(&from_folder->now, from_name) : NULL;
    if (!inode || !to_folder)
        cloud_fail("the trace renames %s, which is not there", from);
    if (from_folder == to_folder) {
        note_renaming(from_folder, from_name, to_name, inode);
        return;
    }
    note_renaming(to_folder, NULL, to_name, inode);
    note_renaming(from_folder, from_name, NULL, NULL);
}

/* ---- content ---- */

static void note_change(struct inode *inode, struct change change)
{
    size_t size = (inode->change_count + 1) * sizeof(change);
    inode->changes = xrealloc(inode->changes, size);
    inode->changes[inode->change_count++] = change;
}

static void sync_inode(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        change_apply(&inode->synced, &inode->mode, &inode->changes[i]);
    inode->change_count = 0;
    for (size_t i = 0; i < inode->renaming_count; i++) {
        renaming_apply(&inode->kept, &inode->renamings[i]);
        free(inode->renamings[i].remove);
        free(inode->renamings[i].add);
    }
    inode->renaming_count = 0;
}

static bool sync_ignored(const struct replay *replay, int fd)
{
    for (size_t i = 0; i < replay->ignored_count; i++) {
        if (strstr(replay->fd_paths[fd], replay->ignored[i]))
            return true;
    }
    return false;
}

static void set_fd(struct replay *replay, int fd, struct inode *inode, const char *path)
{
    char *copy = xstrdup(path);
    free(replay->fd_paths[fd]);
    replay->fd_paths[fd] = copy;
    replay->fds[fd] = inode;
}

static void run_open(struct replay *replay, const struct replay_op *op)
{
    struct inode *inode = look_up(replay, op->path);
    if (!inode && !(op->head.flags & O_CREAT))
        cloud_fail("the trace opens %s, which is not there", op->path);
    if (!inode) {
        inode = inode_new(replay, false, op->head.mode & 0777);
        add_name(replay, op->path, inode);
    }
    if (op->head.flags & O_TRUNC)
        note_change(inode, (struct change){.kind = TRACE_TRUNCATE});
    set_fd(replay, op->head.fd, inode, op->path);
}

static void run_on_fd(struct replay *replay, const struct replay_op *op)
{
    struct inode *inode = replay->fds[op->head.fd];
    if (!inode)
        cloud_fail("the trace uses descriptor %d, which is not open", op->head.fd);
    if (op->head.kind == TRACE_CLOSE)
        replay->fds[op->head.fd] = NULL;
    else if (op->head.kind == TRACE_DUP)
        set_fd(replay, op->head.fd2, inode, replay->fd_paths[op->head.fd]);
    else if (op->head.kind != TRACE_SYNC)
        note_change(inode, (struct change){.kind = op->head.kind,
                                           .offset = op->head.offset,
                                           .data = op->data,
                                           .len = op->head.data_len,
                                           .mode = op->head.mode});
    else if (!sync_ignored(replay, op->head.fd))
        sync_inode(inode);
}

static void run(struct replay *replay, const struct replay_op *op)
{
    switch ((enum trace_kind)op->head.kind) {
    case TRACE_START:
        memset(replay->fds, 0, sizeof(replay->fds));
        return;
    case TRACE_OPEN:
        run_open(replay, op);
        return;
    case TRACE_RENAME:
        move_name(replay, op->path, op->path2);
        return;
    case TRACE_LINK:
        add_name(replay, op->path2, look_up(replay, op->path));
        return;
    case TRACE_UNLINK:
    case TRACE_RMDIR:
        remove_name(replay, op->path);
        return;
    case TRACE_MKDIR:
        add_name(replay, op->path, inode_new(replay, true, op->head.mode & 0777));
        return;
    case TRACE_MARK:
    case TRACE_KINDS:
        return;
    default:
        run_on_fd(replay, op);
    }
}

void replay_to(struct replay *replay, size_t end)
{
    for (; replay->done < end && replay->done < replay->count; replay->done++)
        run(replay, &replay->ops[replay->done]);
}
