/* The ballast file; ballast.h says what it is for. Knows nothing of the database. */
#include "controller/tx/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/log.h"
#include "api/base/mem.h"

static bool has_room(int fd)
{
    struct statvfs fs;
    return fstatvfs(fd, &fs) == 0 &&
           (unsigned long long)fs.f_bavail * fs.f_frsize >= 2ULL * BALLAST_BYTES;
}

static int open_file(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int ballast_check(const char *path, struct err *err)
{
    autoclose int fd = open_file(path);
    return fd >= 0 || errno == ENOSPC || errno == EDQUOT ? 0
                                                         : err_errno(err, "cannot open %s", path);
}

bool ballast_fill(const char *path)
{
    autoclose int fd = open_file(path);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return false;
    if (st.st_blocks * 512LL >= BALLAST_BYTES)
        return true;
    if (!has_room(fd))
        return false;
    int rc = posix_fallocate(fd, 0, BALLAST_BYTES);
    if (rc != 0)
        log_warn("ballast.fill", "errno=%d", rc);
    return rc == 0;
}

void ballast_release(const char *path)
{
    /* Kept as a name: emptying needs no folder entry and no new block. */
    autoclose int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    FAILPOINT_VOID("file.truncate:ballast");
    if (fd < 0 ? errno != ENOENT : ftruncate(fd, 0) != 0)
        log_warn("ballast.release", "errno=%d", errno);
}
