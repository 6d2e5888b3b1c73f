/* Bytes from the network to the disk, with back-pressure. */
#include "controller/image/image_upload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/file.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/access/tokens.h"
#include "controller/image/image.h"
#include "controller/image/image_files.h"
#include "controller/image/image_format.h"
#include "controller/image/image_note.h"
#include "controller/image/store_image.h"
#include "controller/request/idempotency.h"
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/wait/pool.h"
#include "controller/world.h"

enum {
    UPLOAD_BUFFER = UPLOAD_BUFFERS_BYTES / 2,
    UPLOAD_CHUNK = 256 * 1024, /* worth a trip to the pool */
};

struct upload {
    struct app *app;
    struct request *r;
    int64_t image_key;
    int format;
    char id[ID_TEXT_MAX];
    char expected[SHA256_TEXT_MAX]; /* "": any */
    char *part, *path;
    char *name, *project; /* for the note beside the file */
    bool claimed;
    int fd;
    int64_t written;
    struct sha256_stream *hash;
    struct image_content content;
    bool renamed, committed;
    struct share share; /* its own: the buffers may outlive the request */

    pthread_mutex_t lock; /* everything below */
    char *fill, *work;    /* bytes come into one while the other is written */
    size_t fill_len, work_len;
    bool busy;   /* a pool thread is at it */
    bool asleep; /* the connection waits for room */
    bool ended;  /* all bytes have come */
    bool left;   /* the request is gone: whoever is last frees */
    struct err failure;
};

/* ---- life ---- */

static void discard(const char *path)
{
    struct err auto_err err = {0};
    if (file_unlink("image", path, &err) != 0)
        log_warn("image.unlink", "path=\"%s\" reason=\"%s\"", path, err.msg);
}

static void discard_image(const struct upload *u)
{
    struct err auto_err err = {0};
    if (image_unlink(u->app, u->id, &err) != 0)
        log_warn("image.unlink", "path=\"%s\" reason=\"%s\"", u->path, err.msg);
}

static void forget(struct upload *u)
{
    if (u->claimed)
        image_unclaim(u->app, u->id);
    u->claimed = false;
}

/* What did not become an image leaves nothing behind. A part has a name of its own; the image's
 * name must be free of this one's file before another upload may claim it. */
static void clear_way(struct upload *u)
{
    if (u->renamed && !u->committed)
        discard_image(u);
    u->renamed = u->renamed && u->committed;
    forget(u);
}

/* The memory goes with the place that it was allowed by. */
static void drop_buffers(struct upload *u)
{
    free(take(u->fill));
    free(take(u->work));
    share_give(&u->share);
}

static void upload_free(void *ctx)
{
    struct upload *u = ctx;
    if (u->fd >= 0)
        close(u->fd);
    clear_way(u);
    if (!u->renamed)
        discard(u->part);
    drop_buffers(u);
    sha256_free(u->hash);
    err_clear(&u->failure);
    pthread_mutex_destroy(&u->lock);
    free(u->part);
    free(u->path);
    free(u->name);
    free(u->project);
    free(u);
}

/* The request has ended. A pool thread may still write; unlinking waits for disks, so it is
 * not for the connection's thread. */
static void upload_leave(void *ctx)
{
    struct upload *u = ctx;
    pthread_mutex_lock(&u->lock);
    u->left = true;
    bool busy = u->busy;
    pthread_mutex_unlock(&u->lock);
    if (busy)
        return;
    drop_buffers(u);
    /* From here on the next upload of this image need not wait for the disk. */
    if (!u->renamed)
        forget(u);
    if (!pool_submit(u->app->pool, upload_free, u))
        upload_free(u);
}

/* Whoever reads the refusal may come again at once: nothing of this upload is in its way. */
static void upload_refuse(struct upload *u, struct err *err)
{
    clear_way(u);
    request_fail(u->r, err);
}

static int claim(struct upload *u, struct err *err)
{
    u->claimed = image_claim(u->app, u->id);
    if (!u->claimed)
        return err_set(err, ERR_CONFLICT, "another upload of this image is running");
    return 0;
}

static int open_part(struct upload *u, struct err *err)
{
    if (FAILPOINT("image.create", err) != 0)
        return -1;
    u->fd = open(u->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (u->fd < 0)
        return err_errno(err, "cannot create %s", u->part);
    return 0;
}

int upload_begin(struct request *r, const struct image *image, const char *sha256_wanted,
                 struct err *err)
{
    struct upload *u = xcalloc(1, sizeof(*u));
    u->app = r->app;
    u->r = r;
    u->image_key = image->key;
    u->format = image->format;
    u->fd = -1;
    snprintf(u->id, sizeof(u->id), "%s", image->id);
    u->name = xstrdup(image->name);
    u->project = xstrdup(image->project);
    if (!sha256_wanted)
        sha256_wanted = image->sha256 ? image->sha256 : image->expected_sha256;
    snprintf(u->expected, sizeof(u->expected), "%s", sha256_wanted ? sha256_wanted : "");
    u->part = image_part_path(r->app, image->id);
    u->path = image_path(r->app, image->id);
    pthread_mutex_init(&u->lock, NULL);
    if (claim(u, err) != 0 ||
        shares_take(r->app->shares, SHARE_UPLOAD, &r->caller, &u->share, err) ||
        open_part(u, err) != 0) {
        upload_free(u);
        return -1;
    }
    u->hash = sha256_new();
    u->fill = xmalloc(UPLOAD_BUFFER);
    u->work = xmalloc(UPLOAD_BUFFER);
    r->input = u;
    r->input_release = upload_leave;
    return 0;
}

/* ---- writing ---- */

static int write_out(struct upload *u, struct err *err)
{
    if (u->work_len && FAILPOINT("image.write", err) != 0)
        return -1;
    for (size_t done = 0; done < u->work_len;) {
        ssize_t n = write(u->fd, u->work + done, u->work_len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            bool full = errno == ENOSPC || errno == EDQUOT;
            err_errno(err, "cannot write %s", u->part);
            if (full)
                err_set(err, ERR_STORAGE_FULL, "the disk that holds the images is full");
            return -1;
        }
        done += (size_t)n;
    }
    sha256_update(u->hash, u->work, u->work_len);
    u->written += (int64_t)u->work_len;
    /* Writing back early leaves less for the sync at the end. */
    if (u->work_len)
        sync_file_range(u->fd, u->written - (int64_t)u->work_len, (off_t)u->work_len,
                        SYNC_FILE_RANGE_WRITE);
    u->work_len = 0;
    return 0;
}

static void swap(struct upload *u)
{
    char *full = u->fill;
    u->fill = u->work;
    u->work = full;
    u->work_len = u->fill_len;
    u->fill_len = 0;
}

static void wake(struct upload *u)
{
    if (!u->asleep)
        return;
    u->asleep = false;
    http_continue(u->r->http);
}

static void finish(struct upload *u);

/* On the pool: writes buffer after buffer until there is too little to do. */
static void upload_work(void *ctx)
{
    struct upload *u = ctx;
    for (;;) {
        struct err err = {0};
        int rc = write_out(u, &err);
        pthread_mutex_lock(&u->lock);
        if (rc != 0 && !u->failure.code)
            err_move(&u->failure, &err);
        err_clear(&err);
        bool failed = u->failure.code != ERR_NONE;
        if (failed)
            u->fill_len = 0;
        bool more = u->fill_len >= UPLOAD_CHUNK || (u->fill_len && (u->asleep || u->ended));
        if (more && !u->left)
            swap(u);
        else
            u->busy = false;
        if (!u->left)
            wake(u);
        bool busy = u->busy, left = u->left, ended = u->ended;
        pthread_mutex_unlock(&u->lock);
        if (busy)
            continue;
        if (left)
            upload_free(u);
        else if (ended)
            finish(u);
        return;
    }
}

/* With the lock held. */
static void start_work(struct upload *u)
{
    u->busy = true;
    swap(u);
    if (pool_submit(u->app->pool, upload_work, u))
        return;
    u->busy = false;
    u->work_len = 0;
    err_set(&u->failure, ERR_UNAVAILABLE, "too much file work waits; try again");
}

static int check_size(struct upload *u, size_t more)
{
    if (u->written + (int64_t)(u->work_len + u->fill_len + more) <= LIMIT_IMAGE_BYTES)
        return 0;
    return err_set(&u->failure, ERR_TOO_LARGE, "an image has at most 16 TiB");
}

long upload_sink(void *ctx, struct http_request *req, const char *data, size_t len)
{
    struct upload *u = ctx;
    pthread_mutex_lock(&u->lock);
    if (!u->failure.code && request_alive(u->r, &u->failure) == 0 && !u->busy)
        check_size(u, len);
    if (u->failure.code) {
        struct err auto_err err = {0};
        err_move(&err, &u->failure);
        pthread_mutex_unlock(&u->lock);
        upload_refuse(u, &err);
        return -1;
    }
    size_t taken = len < UPLOAD_BUFFER - u->fill_len ? len : UPLOAD_BUFFER - u->fill_len;
    memcpy(u->fill + u->fill_len, data, taken);
    u->fill_len += taken;
    if (!u->busy && u->fill_len >= UPLOAD_CHUNK)
        start_work(u);
    if (taken < len) {
        u->asleep = true;
        http_suspend(req);
        if (!u->busy)
            wake(u); /* the work was refused: come again and hear why */
    }
    pthread_mutex_unlock(&u->lock);
    return (long)taken;
}

void upload_end(struct request *r)
{
    struct upload *u = r->input;
    http_suspend(r->http);
    pthread_mutex_lock(&u->lock);
    u->ended = true;
    bool busy = u->busy;
    if (!busy)
        start_work(u);
    bool refused = !u->busy;
    pthread_mutex_unlock(&u->lock);
    /* The failure is for finish() to tell; it is quick when there is one. */
    if (refused)
        finish(u);
}

/* ---- the end ---- */

static int check_hash(struct upload *u, struct err *err)
{
    uint8_t hash[SHA256_BYTES];
    sha256_finish(take(u->hash), hash);
    sha256_text(hash, u->content.sha256);
    if (!*u->expected || strcasecmp(u->expected, u->content.sha256) == 0)
        return 0;
    return err_set(err, ERR_CHECKSUM,
                   "the content's SHA-256 is %s, but %s was expected: it was damaged on its way "
                   "or is another file",
                   u->content.sha256, u->expected);
}

static int check_header(struct upload *u, struct err *err)
{
    uint8_t head[IMAGE_HEAD_BYTES];
    ssize_t len = pread(u->fd, head, sizeof(head), 0);
    if (len < 0)
        return err_errno(err, "cannot read %s", u->part);
    u->content.size_bytes = u->written;
    return image_format_check(u->format, head, (size_t)len, u->written, &u->content.virtual_bytes,
                              err);
}

/* An upload that ended just before this one began is not overwritten: its row is the truth. A
 * file without one is of a database that knew more, or of a COMMIT that never was: the same
 * bytes may be the image's, as they lie there; others are not for us to throw away. */
static int take_existing(struct upload *u, struct err *err)
{
    char sum[SHA256_TEXT_MAX];
    struct image auto_image image = {0};
    if (store_image_get(app_reader(u->app), u->image_key, &image, err) != 0)
        return -1;
    if (image.state == IMAGE_READY)
        return err_set(err, ERR_CONFLICT, "the image has its content already");
    if (image_sum(u->app, u->path, sum, err) != 0)
        return -1;
    if (strcmp(sum, u->content.sha256) == 0)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "there is a file of this image already, with SHA-256 %s, of which the database "
                   "does not know: an operator can take it back or delete it (cloudctl image list "
                   "--orphaned)",
                   sum);
}

/* From the rename on the file may be there without its row; it is then an orphan. */
static int publish(struct upload *u, struct err *err)
{
    int rc = file_rename_new("image", u->part, u->path, err);
    if (rc != 0 && err->code == ERR_CONFLICT) {
        err_clear(err);
        rc = take_existing(u, err);
    } else {
        /* What failed may have been the folder's sync, after the rename. */
        u->renamed = rc == 0 || access(u->part, F_OK) != 0;
    }
    if (rc != 0)
        return -1;
    struct image image = {.id = u->id,
                          .name = u->name,
                          .project = u->project,
                          .format = u->format,
                          .size_bytes = u->content.size_bytes,
                          .sha256 = u->content.sha256};
    return image_note_write(u->app, &image, err);
}

static int keep(struct upload *u, struct err *err)
{
    if (u->failure.code) {
        err_move(err, &u->failure);
        return -1;
    }
    if (check_hash(u, err) != 0 || check_header(u, err) != 0 || file_sync("image", u->fd, err) != 0)
        return -1;
    return publish(u, err);
}

static void is_committed(void *ctx)
{
    struct upload *u = ctx;
    u->committed = true;
}

static int ready_run(struct tx *tx, void *ctx, struct err *err)
{
    struct upload *u = ctx;
    struct request *r = u->r;
    struct image auto_image image = {0};
    if (token_check(tx, r->caller.token_key, err) != 0 ||
        store_image_get(tx->db, u->image_key, &image, err) != 0 ||
        image_set_ready(tx, &image, &u->content, err) != 0 || audit_keep(tx, r, err) != 0)
        return -1;
    struct json_writer w = request_json(r, 200);
    image_put(&w, NULL, &image);
    r->etag = etag_of(image.revision);
    tx_after_commit(tx, is_committed, u, NULL);
    return 0;
}

/* On the pool: what was renamed has to be unlinked again. */
static void ready_failed(void *ctx)
{
    struct upload *u = ctx;
    struct err auto_err err = {0};
    err_move(&err, &u->failure);
    upload_refuse(u, &err);
}

static void ready_done(void *ctx, struct err *err)
{
    struct upload *u = ctx;
    if (!err) {
        request_reply(u->r);
        return;
    }
    err_move(&u->failure, err);
    if (!pool_submit(u->app->pool, ready_failed, u))
        ready_failed(u);
}

static void finish(struct upload *u)
{
    struct err auto_err err = {0};
    if (keep(u, &err) != 0) {
        upload_refuse(u, &err);
        return;
    }
    struct write_job job = {.run = ready_run,
                            .done = ready_done,
                            .ctx = u,
                            .actor = u->r->caller.actor,
                            .request_id = http_request_id(u->r->http)};
    if (writer_submit(u->app->writer, &job))
        return;
    err_set(&err, ERR_UNAVAILABLE, "too many changes wait to be written; try again");
    upload_refuse(u, &err);
}
