/* The calls that change content and names, each made and recorded under the lock. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/faults/cutshim.h"
#include "tests/faults/trace.h"

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
    cutshim_put(head, NULL, NULL, data, count);
}

static ssize_t do_write(int fd, const struct iovec *data, int count, int64_t offset)
{
    pthread_mutex_lock(&cutshim_lock);
    ssize_t done = offset < 0 ? syscall(SYS_writev, fd, data, count)
                              : syscall(SYS_pwritev, fd, data, count, (long)offset, 0L);
    int error = errno;
    record_write(fd, offset, data, count, done);
    pthread_mutex_unlock(&cutshim_lock);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t len)
{
    if (!cutshim_watched(fd))
        return syscall(SYS_write, fd, data, len);
    struct iovec part = {.iov_len = len};
    memcpy(&part.iov_base, &data, sizeof(data));
    return do_write(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *data, int count)
{
    return cutshim_watched(fd) ? do_write(fd, data, count, -1)
                               : syscall(SYS_writev, fd, data, count);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if (!cutshim_watched(fd))
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
    return cutshim_watched(fd) ? do_write(fd, data, count, offset)
                               : syscall(SYS_pwritev, fd, data, count, offset, 0L);
}

ssize_t pwritev64(int fd, const struct iovec *data, int count, off64_t offset)
{
    return pwritev(fd, data, count, offset);
}

int ftruncate(int fd, off_t size)
{
    pthread_mutex_lock(&cutshim_lock);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0 && cutshim_watched(fd))
        cutshim_put_fd(TRACE_TRUNCATE, fd, (uint64_t)size, 0);
    pthread_mutex_unlock(&cutshim_lock);
    return result;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

/* By name: opened, so that the record has a descriptor as all others have. */
int truncate(const char *path, off_t size)
{
    char full[PATH_MAX];
    if (!cutshim_below(AT_FDCWD, path, full))
        return (int)syscall(SYS_truncate, path, size);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = ftruncate(fd, size);
    close(fd);
    return result;
}

int truncate64(const char *path, off64_t size)
{
    return truncate(path, size);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    pthread_mutex_lock(&cutshim_lock);
    int result = (int)syscall(SYS_fallocate, fd, mode, offset, len);
    if (result == 0 && cutshim_watched(fd)) {
        if (mode != 0)
            cutshim_give_up("fallocate with a mode is not modelled");
        cutshim_put_fd(TRACE_EXTEND, fd, (uint64_t)(offset + len), 0);
    }
    pthread_mutex_unlock(&cutshim_lock);
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
    pthread_mutex_lock(&cutshim_lock);
    int result = (int)syscall(SYS_fchmod, fd, mode);
    if (result == 0 && cutshim_watched(fd))
        cutshim_put_fd(TRACE_CHMOD, fd, 0, mode);
    pthread_mutex_unlock(&cutshim_lock);
    return result;
}

static int do_sync(int fd, long call)
{
    pthread_mutex_lock(&cutshim_lock);
    int result = (int)syscall(call, fd);
    if (result == 0 && cutshim_watched(fd))
        cutshim_put_fd(TRACE_SYNC, fd, 0, 0);
    pthread_mutex_unlock(&cutshim_lock);
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
    if (cutshim_watched(to))
        cutshim_give_up("sendfile into the watched folder is not modelled");
    return syscall(SYS_sendfile, to, from, offset, count);
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t count)
{
    return sendfile(to, from, offset, count);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *offset, size_t len, unsigned flags)
{
    if (cutshim_watched(to))
        cutshim_give_up("copy_file_range into the watched folder is not modelled");
    return syscall(SYS_copy_file_range, from, at, to, offset, len, flags);
}

ssize_t splice(int from, off64_t *at, int to, off64_t *offset, size_t len, unsigned flags)
{
    if (cutshim_watched(to))
        cutshim_give_up("splice into the watched folder is not modelled");
    return syscall(SYS_splice, from, at, to, offset, len, flags);
}

/* SQLite's -shm is never kept (it is made anew from the WAL); nothing else may be mapped so. */
void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    if ((protection & PROT_WRITE) && (flags & MAP_SHARED) && cutshim_watched(fd)) {
        char link[64], path[PATH_MAX] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, path, sizeof(path) - 1);
        if (size < 4 || strcmp(path + size - 4, "-shm") != 0)
            cutshim_give_up("a shared writable mapping is not modelled");
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
        cutshim_put(head, from, to, NULL, 0);
    }
    pthread_mutex_unlock(&cutshim_lock);
    errno = error;
    return result;
}

static int do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char full_from[PATH_MAX], full_to[PATH_MAX];
    bool in = cutshim_below(to_dir, to, full_to), out = cutshim_below(from_dir, from, full_from);
    if (!in && !out)
        return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (!in || !out || flags > 1)
        cutshim_give_up("a rename into, out of or across the watched folder is not modelled");
    pthread_mutex_lock(&cutshim_lock);
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
    if (!cutshim_below(to_dir, to, full_to))
        return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (!cutshim_below(from_dir, from, full_from))
        cutshim_give_up("a link from outside is not modelled");
    pthread_mutex_lock(&cutshim_lock);
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
    if (!cutshim_below(dirfd, path, full))
        return (int)syscall(SYS_unlinkat, dirfd, path, flags);
    pthread_mutex_lock(&cutshim_lock);
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
    if (!cutshim_below(dirfd, path, full))
        return (int)syscall(SYS_mkdirat, dirfd, path, mode);
    pthread_mutex_lock(&cutshim_lock);
    int result = (int)syscall(SYS_mkdirat, dirfd, path, mode);
    return record_names(TRACE_MKDIR, result, full, NULL, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}
