/* Files whose content must be there after a power cut: write to a temporary
 * name, sync, rename, sync the folder. The only code besides SQLite that syncs,
 * renames or unlinks; each such call passes a failpoint "file.<call>:<what>",
 * `what` given by the caller ("token", "image", "spool"). */
#ifndef MINICLOUD_API_BASE_FILE_H
#define MINICLOUD_API_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

struct err;
struct buf;

/* Replaces `path` by `data` durably, with `mode`. */
int file_write(const char *what, const char *path, const void *data, size_t len, mode_t mode,
               struct err *err);
/* Reads at most `max` bytes; larger is an error. ENOENT: ERR_NOT_FOUND. */
int file_read(const char *path, size_t max, struct buf *out, struct err *err);
int file_sync(const char *what, int fd, struct err *err);
/* rename(2), then fsync of the target's folder. */
int file_rename(const char *what, const char *from, const char *to, struct err *err);
/* The same, but never in place of another: ERR_CONFLICT when `to` is there. */
int file_rename_new(const char *what, const char *from, const char *to, struct err *err);
/* unlink(2), then fsync of the folder; a missing file is no error. */
int file_unlink(const char *what, const char *path, struct err *err);
/* fsync of a folder: a file that is missing from it stays so. */
int file_sync_folder(const char *what, const char *folder, struct err *err);
/* mkdir -p with `mode` for what is made. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);
/* Takes an exclusive lock (flock) on `path`, creating it; the descriptor stays
 * open for the process's life. -1 with ERR_CONFLICT when another holds it. */
int file_lock(const char *path, int *ret_fd, struct err *err);

#endif
