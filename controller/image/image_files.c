/* Image files at start, one at a time, and when nothing needs them any more. */
#include "controller/image/image_files.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/id.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/due/reconcile.h"
#include "controller/image/image.h"
#include "controller/image/image_note.h"
#include "controller/image/store_image.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/wait/pool.h"
#include "controller/world.h"

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

bool image_is_part(const char *name)
{
    static const char hex[] = "0123456789abcdef", middle[] = ".part-", note[] = ".json.tmp";
    char id[ID_TEXT_MAX];
    size_t len = strlen(name);
    if (len <= ID_TEXT_MAX - 1)
        return false;
    const char *end = name + ID_TEXT_MAX - 1;
    snprintf(id, sizeof(id), "%.*s", ID_TEXT_MAX - 1, name);
    if (!id_valid(id))
        return false;
    if (strcmp(end, note) == 0)
        return true;
    return strncmp(end, middle, strlen(middle)) == 0 && strspn(end + strlen(middle), hex) == 8 &&
           end[strlen(middle) + 8] == '\0';
}

int image_unlink(const struct app *app, const char *id, struct err *err)
{
    autofree char *path = image_path(app, id), *note = image_note_path(app, id);
    /* The note last: while there is a file it says what it is. */
    return file_unlink("image", path, err) == 0 ? file_unlink("image_note", note, err) : -1;
}

/* ---- one at a time ---- */

struct claim {
    struct claim *next;
    const struct app *app;
    char id[ID_TEXT_MAX];
};

static pthread_mutex_t claims_lock = PTHREAD_MUTEX_INITIALIZER;
static struct claim *claims;

static struct claim **find_claim(const struct app *app, const char *id)
{
    struct claim **at = &claims;
    while (*at && ((*at)->app != app || strcmp((*at)->id, id) != 0))
        at = &(*at)->next;
    return at;
}

bool image_claim(const struct app *app, const char *id)
{
    pthread_mutex_lock(&claims_lock);
    bool taken = *find_claim(app, id) != NULL;
    if (!taken) {
        struct claim *claim = xcalloc(1, sizeof(*claim));
        *claim = (struct claim){.next = claims, .app = app};
        snprintf(claim->id, sizeof(claim->id), "%s", id);
        claims = claim;
    }
    pthread_mutex_unlock(&claims_lock);
    return !taken;
}

void image_unclaim(const struct app *app, const char *id)
{
    pthread_mutex_lock(&claims_lock);
    struct claim **at = find_claim(app, id), *claim = *at;
    if (claim)
        *at = claim->next;
    pthread_mutex_unlock(&claims_lock);
    free(claim);
}

/* ---- at start ---- */

/* A part is ours by its name, nobody was ever told that it is there, and no upload runs yet. A
 * whole file goes when its row says that it was deleted: the word came, the unlink did not. */
static int clean(struct app *app, const char *name, struct err *err)
{
    struct image auto_image image = {0};
    autofree char *path = image_path(app, name);
    if (image_is_part(name)) {
        log_info("image.cleaned", "path=\"%s\"", path);
        return file_unlink("image", path, err);
    }
    int found = id_valid(name) ? store_image_find(app_reader(app), name, &image, err) : 0;
    if (found <= 0 || !image.file_gone_ms)
        return found < 0 ? -1 : 0;
    log_info("image.cleaned", "path=\"%s\"", path);
    return image_unlink(app, name, err);
}

static int clean_all(struct app *app, struct err *err)
{
    DIR *folder = opendir(app->image_dir);
    if (!folder)
        return err_errno(err, "cannot open %s", app->image_dir);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(folder));)
        rc = clean(app, entry->d_name, err);
    closedir(folder);
    return rc;
}

/* Rows whose file came or went while nobody looked. */
struct changed {
    struct app *app;
    int64_t *keys;
    size_t count;
};

static bool is_there(const struct app *app, const char *id)
{
    autofree char *path = image_path(app, id);
    return access(path, F_OK) == 0 || errno != ENOENT;
}

/* Images of before there were notes. */
static void complete_note(const struct app *app, const struct image *image)
{
    struct err auto_err err = {0};
    autofree char *path = image_note_path(app, image->id);
    if (access(path, F_OK) != 0 && image_note_write(app, image, &err) != 0)
        log_warn("image.note", "path=\"%s\" reason=\"%s\"", path, err.msg);
}

static void look_for_file(void *ctx, const struct image *image)
{
    struct changed *changed = ctx;
    bool there = is_there(changed->app, image->id);
    if (there && !image->deleted_ms)
        complete_note(changed->app, image);
    if (!there)
        log_error("image.missing", "image=%s name=%s file=\"%s/%s\"", image->id, image->name,
                  changed->app->image_dir, image->id);
    if (there == (image->file_missing_ms == 0))
        return;
    changed->keys = xrealloc(changed->keys, (changed->count + 1) * sizeof(*changed->keys));
    changed->keys[changed->count++] = image->key;
}

static int note_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct changed *changed = ctx;
    for (size_t i = 0; i < changed->count; i++) {
        struct image auto_image image = {0};
        if (store_image_get(tx->db, changed->keys[i], &image, err) != 0 ||
            image_note_file(tx, &image, image.file_missing_ms != 0, err) != 0)
            return -1;
    }
    return 0;
}

static int note_files(struct app *app, struct err *err)
{
    struct changed changed = {.app = app};
    int rc = store_image_files(app_reader(app), look_for_file, &changed, err);
    if (rc == 0 && changed.count)
        rc = writer_call(app->writer, &(struct write_job){.run = note_run, .ctx = &changed}, err);
    free(changed.keys);
    return rc;
}

static void say_orphan(void *ctx, const struct orphan *orphan)
{
    (void)ctx;
    log_info("image.orphan", "file=\"%s\" bytes=%lld", orphan->file, (long long)orphan->bytes);
}

int image_start(struct app *app, struct err *err)
{
    if (clean_all(app, err) != 0 || note_files(app, err) != 0 ||
        orphans_list(app, app_reader(app), say_orphan, NULL, err) != 0)
        return -1;
    if (app->orphan_files > 0)
        log_warn("image.orphans",
                 "files=%lld bytes=%lld reason=\"the database has no image for them; they stay\" "
                 "see=\"cloudctl image list --orphaned\"",
                 (long long)app->orphan_files, (long long)app->orphan_bytes);
    return 0;
}

/* ---- when it is not there ---- */

struct lost {
    struct app *app;
    int64_t key;
};

static int lost_run(struct tx *tx, void *ctx, struct err *err)
{
    const struct lost *lost = ctx;
    struct image auto_image image = {0};
    if (store_image_get(tx->db, lost->key, &image, err) != 0)
        return -1;
    if (image.state != IMAGE_READY || image.file_gone_ms || is_there(lost->app, image.id))
        return 0;
    log_error("image.missing", "image=%s name=%s file=\"%s/%s\"", image.id, image.name,
              lost->app->image_dir, image.id);
    if (!image.deleted_ms && evidence_image(tx, image.id, OBS_GONE, 0, err) != 0)
        return -1;
    return image_note_file(tx, &image, false, err);
}

static void lost_done(void *ctx, struct err *err)
{
    if (err)
        log_warn("image.missing", "reason=\"%s\"", err->msg);
    free(ctx);
}

void image_file_lost(struct app *app, int64_t key)
{
    struct lost *lost = xcalloc(1, sizeof(*lost));
    *lost = (struct lost){.app = app, .key = key};
    struct write_job job = {.run = lost_run, .done = lost_done, .ctx = lost};
    if (!writer_submit(app->writer, &job))
        free(lost);
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
    if (image_unlink(reap->app, reap->id, &err) != 0)
        log_warn("image.unlink", "image=%s reason=\"%s\"", reap->id, err.msg);
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
        reconcile_again(reap->app->reconcile, DUE_FILES, 0);
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
