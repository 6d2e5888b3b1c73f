/* A shared library for LD_PRELOAD: records every call that changes a file or a folder
 * below CUTSHIM_ROOT, with its data, so that replay.c can say what would be left had the
 * power gone at any moment between two of them.
 *
 * One lock is held over a call and its record, so that the order in the trace is the order
 * on the disk. Real calls are bare system calls. What the model does not know (sendfile, a
 * shared writable mapping) ends the process: a trace with a hole would prove nothing. A
 * file written in a way that is not seen here (stdio) is found by the test, which compares
 * the whole replayed trace with the folder. Knows nothing of the programs it watches. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/faults/trace.h"

enum { MAX_FD = 65536, TRACE_FD = 60000, MAX_PARTS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ino_t watched[MAX_FD]; /* inode behind a watched descriptor, 0: not watched */
static int trace_fd = -1;
static char root[PATH_MAX];
static size_t root_len;

static _Noreturn void give_up(const char *what)
{
    dprintf(2, "cutshim: %s\n", what);
    abort();
}

/* ---- records ---- */

static void put(struct trace_head head, const char *path, const char *path2,
                const struct iovec *data, int count)
{
    struct iovec parts[MAX_PARTS + 3] = {{.iov_base = &head, .iov_len = sizeof(head)}};
    size_t total = sizeof(head);
    int used = 1;
    head.magic = TRACE_MAGIC;
    head.path_len = path ? (uint32_t)strlen(path) : 0;
    head.path2_len = path2 ? (uint32_t)strlen(path2) : 0;
    const char *paths[] = {path, path2};
    for (int i = 0; i < 2; i++) {
        char *text;
        memcpy(&text, &paths[i], sizeof(text));
        parts[used++] = (struct iovec){text, text ? strlen(text) : 0};
    }
    if (count > MAX_PARTS)
        give_up("too many parts in one writev");
    uint64_t left = head.data_len;
    for (int i = 0; i < count && left > 0; i++) {
        size_t len = data[i].iov_len < left ? data[i].iov_len : (size_t)left;
        parts[used++] = (struct iovec){data[i].iov_base, len};
        left -= len;
    }
    for (int i = 1; i < used; i++)
        total += parts[i].iov_len;
    if (syscall(SYS_writev, trace_fd, parts, used) != (long)total)
        give_up("cannot write the trace");
}

static void put_fd(enum trace_kind kind, int fd, uint64_t offset, uint32_t mode)
{
    struct trace_head head = {.kind = kind, .fd = fd, .offset = offset, .mode = mode};
    put(head, NULL, NULL, NULL, 0);
}

__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv(CUTSHIM_ROOT);
    const char *trace = getenv(CUTSHIM_TRACE);
    if (!folder || !trace)
        return;
    root_len = strlen(folder);
    if (root_len >= sizeof(root))
        give_up(CUTSHIM_ROOT " is too long");
    memcpy(root, folder, root_len + 1);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0)
        give_up("cannot open " CUTSHIM_TRACE);
    trace_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, fd);
    struct trace_head head = {.kind = TRACE_START};
    put(head, NULL, NULL, NULL, 0);
}

/* ---- what is watched ---- */

/* The absolute form of a path if it lies at or below the root. */
static bool below(int dirfd, const char *path, char out[PATH_MAX])
{
    char base[PATH_MAX] = "";
    if (trace_fd < 0 || !path)
        return false;
    if (path[0] != '/' && dirfd == AT_FDCWD && !getcwd(base, sizeof(base)))
        return false;
    if (path[0] != '/' && dirfd != AT_FDCWD) {
        char link[64];
        snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
        ssize_t len = readlink(link, base, sizeof(base) - 1);
        base[len > 0 ? len : 0] = '\0';
    }
    int len = path[0] == '/' ? snprintf(out, PATH_MAX, "%s", path)
                             : snprintf(out, PATH_MAX, "%s/%s", base, path);
    return len < PATH_MAX && strncmp(out, root, root_len) == 0 &&
           (out[root_len] == '/' || out[root_len] == '\0');
}

static bool inode_of(int fd, ino_t *ret_inode)
{
    struct stat info;
    if (syscall(SYS_fstat, fd, &info) < 0)
        return false;
    *ret_inode = info.st_ino;
    return true;
}

/* A descriptor that was closed behind our back and is now something else is dropped. */
static bool is_watched(int fd)
{
    ino_t inode;
    if (trace_fd < 0 || fd < 0 || fd >= MAX_FD || !watched[fd])
        return false;
    if (inode_of(fd, &inode) && inode == watched[fd])
        return true;
    watched[fd] = 0;
    return false;
}

static void watch(int fd)
{
    if (fd >= MAX_FD || !inode_of(fd, &watched[fd]))
        give_up("descriptor out of range");
}

/* ---- open, close, dup ---- */

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    if (!below(dirfd, path, full))
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    pthread_mutex_lock(&lock);
    int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    int error = errno;
    if (fd >= 0) {
        watch(fd);
        struct trace_head head = {
            .kind = TRACE_OPEN, .fd = fd, .flags = (uint32_t)flags, .mode = mode};
        put(head, full, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define OPEN_MODE(flags)                         \
    __extension__({                              \
        mode_t mode_ = 0;                        \
        if ((flags) & (O_CREAT | __O_TMPFILE)) { \
            va_list args_;                       \
            va_start(args_, flags);              \
            mode_ = va_arg(args_, mode_t);       \
            va_end(args_);                       \
        }                                        \
        mode_;                                   \
    })

int open(const char *path, int flags, ...)
{
    return do_open(AT_FDCWD, path, flags, OPEN_MODE(flags));
}

int open64(const char *path, int flags, ...)
{
    return do_open(AT_FDCWD, path, flags, OPEN_MODE(flags));
}

int openat(int dirfd, const char *path, int flags, ...)
{
    return do_open(dirfd, path, flags, OPEN_MODE(flags));
}

int openat64(int dirfd, const char *path, int flags, ...)
{
    return do_open(dirfd, path, flags, OPEN_MODE(flags));
}

int creat(const char *path, mode_t mode)
{
    return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What fortified programs call for an open without a mode. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dirfd, const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags)
{
    return do_open(dirfd, path, flags, 0);
}

int __openat64_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags)
{
    return do_open(dirfd, path, flags, 0);
}

int close(int fd)
{
    if (trace_fd >= 0 && fd == trace_fd)
        return 0;
    if (trace_fd < 0 || fd < 0 || fd >= MAX_FD || !watched[fd])
        return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    if (is_watched(fd))
        put_fd(TRACE_CLOSE, fd, 0, 0);
    watched[fd] = 0;
    int result = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return result;
}

static int record_dup(int fd, int copy)
{
    if (copy >= 0 && copy < MAX_FD && copy != fd) {
        watched[copy] = 0;
        if (is_watched(fd)) {
            struct trace_head head = {.kind = TRACE_DUP, .fd = fd, .fd2 = copy};
            watched[copy] = watched[fd];
            put(head, NULL, NULL, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return copy;
}

int dup(int fd)
{
    pthread_mutex_lock(&lock);
    return record_dup(fd, (int)syscall(SYS_dup, fd));
}

int dup2(int fd, int copy)
{
    pthread_mutex_lock(&lock);
    return record_dup(fd, fd == copy ? copy : (int)syscall(SYS_dup3, fd, copy, 0));
}

int dup3(int fd, int copy, int flags)
{
    pthread_mutex_lock(&lock);
    return record_dup(fd, (int)syscall(SYS_dup3, fd, copy, flags));
}

static int do_fcntl(int fd, int command, void *argument)
{
    if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
        return (int)syscall(SYS_fcntl, fd, command, argument);
    pthread_mutex_lock(&lock);
    return record_dup(fd, (int)syscall(SYS_fcntl, fd, command, argument));
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return do_fcntl(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return do_fcntl(fd, command, argument);
}

/* ---- content ---- */

/* Where the bytes went that a write() has just written: the position is behind them. */
static void record_write(int fd, int64_t offset, const struct iovec *data, int count, ssize_t done)
{
    if (done <= 0)
        return;
    if (offset < 0)
        offset = syscall(SYS_lseek, fd, 0, SEEK_CUR) - done;
    struct trace_head head = {
        .kind = TRACE_WRITE, .fd = fd, .offset = (uint64_t)offset, .data_len = (uint64_t)done};
    put(head, NULL, NULL, data, count);
}

static ssize_t do_write(int fd, const struct iovec *data, int count, int64_t offset)
{
    pthread_mutex_lock(&lock);
    ssize_t done = offset < 0 ? syscall(SYS_writev, fd, data, count)
                              : syscall(SYS_pwritev, fd, data, count, (long)offset, 0L);
    int error = errno;
    record_write(fd, offset, data, count, done);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t len)
{
    if (!is_watched(fd))
        return syscall(SYS_write, fd, data, len);
    struct iovec part = {.iov_len = len};
    memcpy(&part.iov_base, &data, sizeof(data));
    return do_write(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *data, int count)
{
    return is_watched(fd) ? do_write(fd, data, count, -1) : syscall(SYS_writev, fd, data, count);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if (!is_watched(fd))
        return syscall(SYS_pwrite64, fd, data, len, offset);
    struct iovec part = {.iov_len = len};
    memcpy(&part.iov_base, &data, sizeof(data));
    return do_write(fd, &part, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return pwrite(fd, data, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *data, int count, off_t offset)
{
    return is_watched(fd) ? do_write(fd, data, count, offset)
                          : syscall(SYS_pwritev, fd, data, count, offset, 0L);
}

ssize_t pwritev64(int fd, const struct iovec *data, int count, off64_t offset)
{
    return pwritev(fd, data, count, offset);
}

int ftruncate(int fd, off_t size)
{
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0 && is_watched(fd))
        put_fd(TRACE_TRUNCATE, fd, (uint64_t)size, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_fallocate, fd, mode, offset, len);
    if (result == 0 && is_watched(fd)) {
        if (mode != 0)
            give_up("fallocate with a mode is not modelled");
        put_fd(TRACE_EXTEND, fd, (uint64_t)(offset + len), 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    return fallocate(fd, mode, offset, len);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    return fallocate(fd, 0, offset, len) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
    return posix_fallocate(fd, offset, len);
}

int fchmod(int fd, mode_t mode)
{
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_fchmod, fd, mode);
    if (result == 0 && is_watched(fd))
        put_fd(TRACE_CHMOD, fd, 0, mode);
    pthread_mutex_unlock(&lock);
    return result;
}

static int do_sync(int fd, long call)
{
    pthread_mutex_lock(&lock);
    int result = (int)syscall(call, fd);
    if (result == 0 && is_watched(fd))
        put_fd(TRACE_SYNC, fd, 0, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd)
{
    return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync);
}

/* ---- what the model does not know ---- */

ssize_t sendfile(int to, int from, off_t *offset, size_t count)
{
    if (is_watched(to))
        give_up("sendfile into the watched folder is not modelled");
    return syscall(SYS_sendfile, to, from, offset, count);
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t count)
{
    return sendfile(to, from, offset, count);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *offset, size_t len, unsigned flags)
{
    if (is_watched(to))
        give_up("copy_file_range into the watched folder is not modelled");
    return syscall(SYS_copy_file_range, from, at, to, offset, len, flags);
}

ssize_t splice(int from, off64_t *at, int to, off64_t *offset, size_t len, unsigned flags)
{
    if (is_watched(to))
        give_up("splice into the watched folder is not modelled");
    return syscall(SYS_splice, from, at, to, offset, len, flags);
}

/* SQLite's -shm is never kept (it is made anew from the WAL); nothing else may be mapped so. */
void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    if ((protection & PROT_WRITE) && (flags & MAP_SHARED) && is_watched(fd)) {
        char link[64], path[PATH_MAX] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, path, sizeof(path) - 1);
        if (size < 4 || strcmp(path + size - 4, "-shm") != 0)
            give_up("a shared writable mapping is not modelled");
    }
    long result = syscall(SYS_mmap, at, len, protection, flags, fd, offset);
    void *address;
    memcpy(&address, &result, sizeof(address));
    return address;
}

void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t offset)
{
    return mmap(at, len, protection, flags, fd, offset);
}

/* ---- names ---- */

/* A call on one or two names; recorded when it worked and the last name is watched. */
static int record_names(enum trace_kind kind, int result, const char *from, const char *to,
                        mode_t mode)
{
    int error = errno;
    if (result == 0) {
        struct trace_head head = {.kind = kind, .mode = mode};
        put(head, from, to, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char full_from[PATH_MAX], full_to[PATH_MAX];
    bool in = below(to_dir, to, full_to), out = below(from_dir, from, full_from);
    if (!in && !out)
        return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (!in || !out || flags > 1)
        give_up("a rename into, out of or across the watched folder is not modelled");
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    return record_names(TRACE_RENAME, result, full_from, full_to, 0);
}

int rename(const char *from, const char *to)
{
    return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return do_rename(from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return do_rename(from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char full_from[PATH_MAX], full_to[PATH_MAX];
    if (!below(to_dir, to, full_to))
        return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (!below(from_dir, from, full_from))
        give_up("a link from outside is not modelled");
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    return record_names(TRACE_LINK, result, full_from, full_to, 0);
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dirfd, const char *path, int flags)
{
    char full[PATH_MAX];
    if (!below(dirfd, path, full))
        return (int)syscall(SYS_unlinkat, dirfd, path, flags);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, dirfd, path, flags);
    return record_names(flags & AT_REMOVEDIR ? TRACE_RMDIR : TRACE_UNLINK, result, full, NULL, 0);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    int result = unlink(path);
    return result < 0 && errno == EISDIR ? rmdir(path) : result;
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
    char full[PATH_MAX];
    if (!below(dirfd, path, full))
        return (int)syscall(SYS_mkdirat, dirfd, path, mode);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_mkdirat, dirfd, path, mode);
    return record_names(TRACE_MKDIR, result, full, NULL, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}
