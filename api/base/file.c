/* Durable files. The only code besides SQLite that syncs, renames or unlinks, so
 * that every such moment has its failpoint. */
#include "api/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/mem.h"

/* A full disk has a code of its own, so that a client learns it is not a defect. */
static int file_err(struct err *err, const char *doing, const char *path)
{
    bool full = errno == ENOSPC || errno == EDQUOT;
    err_errno(err, "%s %s", doing, path);
    if (full)
        err->code = ERR_STORAGE_FULL;
    return -1;
}

/* "file.<call>:<what>" */
static int passage(const char *call, const char *what, struct err *err)
{
    if (!failpoint_armed)
        return 0;
    autofree char *site = xasprintf("file.%s:%s", call, what);
    return failpoint_hit(site, err);
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int file_sync_folder(const char *what, const char *folder, struct err *err)
{
    if (passage("fsync_dir", what, err) != 0)
        return -1;
    autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_err(err, "cannot open folder", folder);
    if (fsync(fd) != 0)
        return file_err(err, "cannot sync folder", folder);
    return 0;
}

/* Makes a rename, unlink or mkdir in the folder of `path` last. */
static int sync_folder(const char *what, const char *path, struct err *err)
{
    autofree char *folder = folder_of(path);
    return file_sync_folder(what, folder, err);
}

int file_sync(const char *what, int fd, struct err *err)
{
    if (passage("fsync", what, err) != 0)
        return -1;
    if (fsync(fd) != 0)
        return file_err(err, "cannot sync", what);
    return 0;
}

int file_rename(const char *what, const char *from, const char *to, struct err *err)
{
    if (passage("rename", what, err) != 0)
        return -1;
    if (rename(from, to) != 0)
        return file_err(err, "cannot rename to", to);
    return sync_folder(what, to, err);
}

int file_rename_new(const char *what, const char *from, const char *to, struct err *err)
{
    if (passage("rename", what, err) != 0)
        return -1;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST)
            return err_set(err, ERR_CONFLICT, "there is a file %s already", to);
        return file_err(err, "cannot rename to", to);
    }
    return sync_folder(what, to, err);
}

int file_unlink(const char *what, const char *path, struct err *err)
{
    if (passage("unlink", what, err) != 0)
        return -1;
    if (unlink(path) != 0)
        return errno == ENOENT ? 0 : file_err(err, "cannot remove", path);
    return sync_folder(what, path, err);
}

static int write_all(int fd, const char *path, const char *data, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t done = write(fd, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return file_err(err, "cannot write", path);
        data += done;
        len -= (size_t)done;
    }
    return 0;
}

/* Opened 0600 whatever `mode` is: nobody may read a secret before it is whole. */
static int write_synced(const char *what, const char *path, const void *data, size_t len,
                        mode_t mode, struct err *err)
{
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return file_err(err, "cannot create", path);
    if (fchmod(fd, 0600) != 0)
        return file_err(err, "cannot set the mode of", path);
    if (write_all(fd, path, data, len, err) != 0)
        return -1;
    if (fchmod(fd, mode) != 0)
        return file_err(err, "cannot set the mode of", path);
    return file_sync(what, fd, err);
}

int file_write(const char *what, const char *path, const void *data, size_t len, mode_t mode,
               struct err *err)
{
    /* Always the same name, so that what a kill left behind is overwritten. */
    autofree char *temporary = xasprintf("%s.tmp", path);
    if (write_synced(what, temporary, data, len, mode, err) == 0 &&
        file_rename(what, temporary, path, err) == 0)
        return 0;
    /* The first error is the one to tell; after a rename there is nothing to remove. */
    struct err auto_err ignored = {0};
    file_unlink(what, temporary, &ignored);
    return -1;
}

int file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "there is no file %s", path);
    if (fd < 0)
        return file_err(err, "cannot open", path);
    size_t start = out->len;
    for (;;) {
        /* One byte past the bound tells a file of exactly `max` from a larger one. */
        size_t room = max - (out->len - start) + 1;
        size_t chunk = room < 65536 ? room : 65536;
        buf_reserve(out, chunk);
        ssize_t got = read(fd, out->data + out->len, chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_err(err, "cannot read", path);
        out->len += (size_t)got;
        out->data[out->len] = '\0';
        if (out->len - start > max)
            return err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
        if (got == 0)
            return 0;
    }
}

static int make_folder(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) == 0)
        return sync_folder("mkdir", path, err);
    struct stat info;
    if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return 0;
    return file_err(err, "cannot make folder", path);
}

int file_mkdirs(const char *path, mode_t mode, struct err *err)
{
    autofree char *partial = xstrdup(path);
    for (char *at = partial + 1; *partial && *at; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        if (make_folder(partial, mode, err) != 0)
            return -1;
        *at = '/';
    }
    return make_folder(path, mode, err);
}

/* The holder's process id, for the message; advisory only. */
static void describe_holder(int fd, char *text, size_t size)
{
    ssize_t len = pread(fd, text, size - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    text[strspn(text, "0123456789")] = '\0';
}

int file_lock(const char *path, int *ret_fd, struct err *err)
{
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return file_err(err, "cannot open lock file", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return file_err(err, "cannot lock", path);
        char holder[24];
        describe_holder(fd, holder, sizeof(holder));
        return err_set(err, ERR_CONFLICT, "%s is locked by another process (%s); stop it first",
                       path, *holder ? holder : "unknown");
    }
    /* Only the message above reads this: a full disk must not keep us from starting. */
    FAILPOINT_VOID("file.truncate:lock");
    if (ftruncate(fd, 0) == 0)
        dprintf(fd, "%ld\n", (long)getpid());
    *ret_fd = fd;
    fd = -1;
    return 0;
}
