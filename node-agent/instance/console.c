/* Reads the end of a console log; see console.h. */
#include "node-agent/instance/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/id.h"
#include "api/base/limits.h"
#include "api/base/mem.h"

static int open_log(const char *dir, const char *id, const char *suffix, struct err *err)
{
    struct stat st;
    autofree char *path = xasprintf("%s/%s.log%s", dir, id, suffix);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT)
        err_errno(err, "cannot open %s", path);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        err_set(err, ERR_INVALID, "%s is no file", path);
        return -1;
    }
    return fd;
}

/* Appends the last `bytes` of one file, as far as there are so many. */
static int read_tail(int fd, int64_t bytes, struct buf *out, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, "cannot read a console log");
    int64_t left = st.st_size < bytes ? st.st_size : bytes;
    off_t at = st.st_size - left;
    buf_reserve(out, (size_t)left + 1);
    while (left > 0) {
        char chunk[8192];
        size_t want = left < (int64_t)sizeof chunk ? (size_t)left : sizeof chunk;
        ssize_t n = pread(fd, chunk, want, at);
        if (n < 0)
            return err_errno(err, "cannot read a console log");
        if (n == 0)
            break;
        buf_add(out, chunk, (size_t)n);
        at += n;
        left -= n;
    }
    return 0;
}

/* After a rotation the end may lie in two files. */
int console_tail(const char *dir, const char *id, int64_t bytes, struct buf *out, struct err *err)
{
    struct stat st;
    if (!id_valid(id))
        return err_set(err, ERR_INVALID, "not an instance's id");
    if (bytes <= 0 || bytes > LIMIT_CONSOLE_BYTES)
        bytes = LIMIT_CONSOLE_BYTES;
    autoclose int fd = open_log(dir, id, "", err);
    if (err->code != ERR_NONE)
        return -1;
    int64_t size = fd >= 0 && fstat(fd, &st) == 0 ? (int64_t)st.st_size : 0;
    if (size < bytes) {
        autoclose int older = open_log(dir, id, ".0", err);
        if (err->code != ERR_NONE || (older >= 0 && read_tail(older, bytes - size, out, err)))
            return -1;
    }
    return fd >= 0 ? read_tail(fd, bytes, out, err) : 0;
}
