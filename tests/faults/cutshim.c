/* A shared library for LD_PRELOAD: records every call that changes a file or a folder
 * below CUTSHIM_ROOT, with its data, so that replay.c can say what would be left had the
 * power gone at any moment between two of them.
 *
 * One lock is held over a call and its record, so that the order in the trace is the order
 * on the disk. Real calls are bare system calls. What the model does not know (sendfile, a
 * shared writable mapping) ends the process: a trace with a hole would prove nothing. A
 * file written in a way that is not seen here (stdio) is found by the test, which compares
 * the whole replayed trace with the folder. Knows nothing of the programs it watches. */
#include "tests/faults/cutshim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/faults/trace.h"

enum { MAX_FD = 65536, TRACE_FD = 60000, MAX_PARTS = 64 };

pthread_mutex_t cutshim_lock = PTHREAD_MUTEX_INITIALIZER;
static ino_t watched[MAX_FD]; /* inode behind a watched descriptor, 0: not watched */
static int trace_fd = -1;
static char root[PATH_MAX];
static size_t root_len;

_Noreturn void cutshim_give_up(const char *what)
{
    dprintf(2, "cutshim: %s\n", what);
    abort();
}

/* ---- records ---- */

void cutshim_put(struct trace_head head, const char *path, const char *path2,
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
        cutshim_give_up("too many parts in one writev");
    uint64_t left = head.data_len;
    for (int i = 0; i < count && left > 0; i++) {
        size_t len = data[i].iov_len < left ? data[i].iov_len : (size_t)left;
        parts[used++] = (struct iovec){data[i].iov_base, len};
        left -= len;
    }
    for (int i = 1; i < used; i++)
        total += parts[i].iov_len;
    if (syscall(SYS_writev, trace_fd, parts, used) != (long)total)
        cutshim_give_up("cannot write the trace");
}

void cutshim_put_fd(enum trace_kind kind, int fd, uint64_t offset, uint32_t mode)
{
    struct trace_head head = {.kind = kind, .fd = fd, .offset = offset, .mode = mode};
    cutshim_put(head, NULL, NULL, NULL, 0);
}

__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv(CUTSHIM_ROOT);
    const char *trace = getenv(CUTSHIM_TRACE);
    if (!folder || !trace)
        return;
    root_len = strlen(folder);
    if (root_len >= sizeof(root))
        cutshim_give_up(CUTSHIM_ROOT " is too long");
    memcpy(root, folder, root_len + 1);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0)
        cutshim_give_up("cannot open " CUTSHIM_TRACE);
    trace_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, fd);
    struct trace_head head = {.kind = TRACE_START};
    cutshim_put(head, NULL, NULL, NULL, 0);
}

/* ---- what is watched ---- */

bool cutshim_below(int dirfd, const char *path, char out[PATH_MAX])
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

bool cutshim_watched(int fd)
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
        cutshim_give_up("descriptor out of range");
}

/* ---- open, close, dup ---- */

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    if (!cutshim_below(dirfd, path, full))
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    pthread_mutex_lock(&cutshim_lock);
    int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    int error = errno;
    if (fd >= 0) {
        watch(fd);
        struct trace_head head = {
            .kind = TRACE_OPEN, .fd = fd, .flags = (uint32_t)flags, .mode = mode};
        cutshim_put(head, full, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&cutshim_lock);
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
    pthread_mutex_lock(&cutshim_lock);
    if (cutshim_watched(fd))
        cutshim_put_fd(TRACE_CLOSE, fd, 0, 0);
    watched[fd] = 0;
    int result = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&cutshim_lock);
    return result;
}

static int record_dup(int fd, int copy)
{
    if (copy >= 0 && copy < MAX_FD && copy != fd) {
        watched[copy] = 0;
        if (cutshim_watched(fd)) {
            struct trace_head head = {.kind = TRACE_DUP, .fd = fd, .fd2 = copy};
            watched[copy] = watched[fd];
            cutshim_put(head, NULL, NULL, NULL, 0);
        }
    }
    pthread_mutex_unlock(&cutshim_lock);
    return copy;
}

int dup(int fd)
{
    pthread_mutex_lock(&cutshim_lock);
    return record_dup(fd, (int)syscall(SYS_dup, fd));
}

int dup2(int fd, int copy)
{
    pthread_mutex_lock(&cutshim_lock);
    return record_dup(fd, fd == copy ? copy : (int)syscall(SYS_dup3, fd, copy, 0));
}

int dup3(int fd, int copy, int flags)
{
    pthread_mutex_lock(&cutshim_lock);
    return record_dup(fd, (int)syscall(SYS_dup3, fd, copy, flags));
}

static int do_fcntl(int fd, int command, void *argument)
{
    if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
        return (int)syscall(SYS_fcntl, fd, command, argument);
    pthread_mutex_lock(&cutshim_lock);
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
