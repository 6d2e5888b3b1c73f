/* Long answers by way of a file. */
#include "controller/usage/usage_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/mem.h"
#include "controller/request/flights.h"
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "controller/wait/pool.h"
#include "controller/world.h"

enum { FLUSH_BYTES = 256 * 1024, FILE_MIB_MAX = 2048, FREE_MIB_MIN = 512 };

struct job {
    struct request *r;
    usage_file_write *write;
    const char *content_type;
    char *disposition;
};

/* What the database needs to go on is not for answers. */
static int check_room(const struct usage_file *file, struct err *err)
{
    struct statvfs fs;
    if (file->size > (int64_t)FILE_MIB_MAX << 20)
        return err_set(err, ERR_TOO_LARGE,
                       "the answer is longer than %d MiB: ask for a shorter time or one project",
                       FILE_MIB_MAX);
    if (fstatvfs(file->fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < (uint64_t)FREE_MIB_MIN
                                                                                  << 20)
        return err_set(err, ERR_STORAGE_FULL,
                       "the controller's disk has less than %d MiB left, too little for this"
                       " answer: ask for a shorter time or one project",
                       FREE_MIB_MIN);
    return 0;
}

static int write_out(struct usage_file *file, struct err *err)
{
    for (size_t done = 0; done < file->out.len;) {
        ssize_t n = write(file->fd, file->out.data + done, file->out.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT))
            return err_set(err, ERR_STORAGE_FULL, "the controller's disk is full");
        if (n < 0)
            return err_errno(err, "cannot write the answer");
        done += (size_t)n;
    }
    file->size += (int64_t)file->out.len;
    buf_reset(&file->out);
    return 0;
}

int usage_file_flush(struct usage_file *file, struct err *err)
{
    if (file->out.len < FLUSH_BYTES)
        return 0;
    return write_out(file, err) == 0 ? check_room(file, err) : -1;
}

/* Not every file system makes files without names. */
static int open_named(const char *dir, struct err *err)
{
    autofree char *path = xasprintf("%s/answer.XXXXXX", dir);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot make a file in %s", dir);
    if (FAILPOINT("usage.unlink", err) == 0 && unlink(path) == 0)
        return fd;
    if (!err->code)
        err_errno(err, "cannot unlink %s", path);
    close(fd);
    return -1;
}

static int open_file(const char *dir, struct err *err)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd >= 0 ? fd : err_errno(err, "cannot make a file in %s", dir);
    return open_named(dir, err);
}

static int fill(struct job *job, struct usage_file *file, struct err *err)
{
    file->fd = open_file(job->r->app->settings.data_dir, err);
    if (file->fd < 0)
        return -1;
    app_snapshot_begin_long();
    int rc = job->write(job->r, file, err);
    app_snapshot_end();
    return rc == 0 ? write_out(file, err) : -1;
}

static void run(void *ctx)
{
    struct job *job = ctx;
    struct usage_file file = {.fd = -1};
    auto_err struct err err = {0};
    if (fill(job, &file, &err) == 0) {
        struct http_reply reply = {.status = 200,
                                   .content_type = job->content_type,
                                   .extra_name = "Content-Disposition",
                                   .extra_value = job->disposition};
        http_reply_file(job->r->http, &reply, file.fd, file.size);
    } else {
        if (file.fd >= 0)
            close(file.fd);
        request_fail(job->r, &err);
    }
    buf_release(&file.out);
    free(job->disposition);
    free(job);
}

void usage_file_answer(struct request *r, usage_file_write *write, const char *content_type,
                       const char *name)
{
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){.r = r, .write = write, .content_type = content_type};
    job->disposition = xasprintf("attachment; filename=\"%s\"", name);
    http_suspend(r->http);
    enum pool_answer answer = pool_submit_lane(r->app->ledger_reads, request_lane(r), run, job);
    if (answer == POOL_TAKEN)
        return;
    free(job->disposition);
    free(job);
    request_refuse_read(r, answer == POOL_LANE_FULL);
}
