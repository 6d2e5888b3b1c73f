/* Image files at start, and when nothing needs them any more. */
#include "controller/image_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/err.h"
#include "api/file.h"
#include "api/id.h"
#include "api/log.h"
#include "api/mem.h"
#include "controller/app.h"
#include "controller/image.h"
#include "controller/pool.h"
#include "controller/reconcile.h"
#include "controller/store_image.h"
#include "controller/writer.h"

char *image_path(const struct app *app, const char *id)
{
    return xasprintf("%s/%s", app->image_dir, id);
}

char *image_part_path(const struct app *app, const char *id)
{
    unsigned random;
    random_bytes(&random, sizeof(random));
    return xasprintf("%s/%s.part-%08x", app->image_dir, id, random);
}

/* ---- at start ---- */

static void say_missing(void *ctx, const struct image *image)
{
    const struct app *app = ctx;
    autofree char *path = image_path(app, image->id);
    if (access(path, R_OK) != 0)
        log_error("image.missing", "image=%s name=%s path=\"%s\"", image->id, image->name, path);
}

static bool wanted(struct app *app, const char *name, struct err *err)
{
    struct image auto_image image = {0};
    if (!id_valid(name))
        return false;
    int found = store_image_find(app_reader(app), name, &image, err);
    return found < 0 || (found && image.state == IMAGE_READY && !image.file_gone_ms);
}

static int clean(struct app *app, const char *name, struct err *err)
{
    if (name[0] == '.' || wanted(app, name, err))
        return err->code ? -1 : 0;
    autofree char *path = image_path(app, name);
    log_info("image.cleaned", "path=\"%s\"", path);
    return file_unlink("image", path, err);
}

int image_start(struct app *app, struct err *err)
{
    DIR *folder = opendir(app->image_dir);
    if (!folder)
        return err_errno(err, "cannot open %s", app->image_dir);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(folder));)
        rc = clean(app, entry->d_name, err);
    closedir(folder);
    return rc == 0 ? store_image_files(app_reader(app), say_missing, app, err) : -1;
}

/* ---- when unused ---- */

struct reap {
    struct app *app;
    int64_t key;
    char id[ID_TEXT_MAX];
    struct reap *next;
};

static void unlink_file(void *ctx)
{
    struct reap *reap = ctx;
    struct err auto_err err = {0};
    autofree char *path = image_path(reap->app, reap->id);
    if (file_unlink("image", path, &err) != 0)
        log_warn("image.unlink", "path=\"%s\" reason=\"%s\"", path, err.msg);
    free(reap);
}

/* The row first: a file that is left over is removed at the next start, but a row without
 * its file would lie. */
static int reap_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct reap *reap = ctx;
    return store_image_set_file_gone(tx->db, reap->key, tx->now_ms, err);
}

static void reap_done(void *ctx, struct err *err)
{
    struct reap *reap = ctx;
    if (!err && pool_submit(reap->app->pool, unlink_file, reap))
        return;
    if (err) {
        log_warn("image.reap", "image=%s reason=\"%s\"", reap->id, err->msg);
        reconcile_files_again(reap->app->reconcile);
    }
    free(reap);
}

struct unused {
    struct app *app;
    struct reap *first;
};

static void collect(void *ctx, const struct image *image)
{
    struct unused *unused = ctx;
    struct reap *reap = xcalloc(1, sizeof(*reap));
    reap->app = unused->app;
    reap->key = image->key;
    snprintf(reap->id, sizeof(reap->id), "%s", image->id);
    reap->next = unused->first;
    unused->first = reap;
}

/* Nothing can begin to use a deleted image, so what is unused now stays so. */
int image_reap(struct app *app, struct err *err)
{
    struct unused unused = {.app = app};
    int rc = store_image_unused(app_reader(app), collect, &unused, err);
    while (unused.first) {
        struct reap *reap = unused.first;
        unused.first = reap->next;
        struct write_job job = {.run = reap_run, .done = reap_done, .ctx = reap};
        if (rc == 0 && writer_submit(app->writer, &job))
            continue;
        if (rc == 0)
            rc = err_set(err, ERR_UNAVAILABLE, "too many changes wait to be written");
        free(reap);
    }
    return rc;
}
