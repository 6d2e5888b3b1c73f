/* Files in images/ that no row speaks for: of a database that is older than they are or was
 * lost, of an upload whose COMMIT never was, or put there by hand. They are told of, and stay. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "api/base/utf8.h"
#include "controller/image/image_files.h"
#include "controller/image/store_image.h"
#include "controller/world.h"

static const char note_end[] = ".json";

/* Names that can stand in an answer and in a path. */
static bool is_text(const char *name)
{
    size_t len = strlen(name);
    for (size_t at = 0; at < len;) {
        size_t step = utf8_sequence(name + at, len - at);
        if (step == 0 || (unsigned char)name[at] < 0x20 || name[at] == 0x7f)
            return false;
        at += step;
    }
    return name[0] != '.' && !strchr(name, '/');
}

/* "<id>.json" is beside a file, and no image of its own. */
static bool is_note(const char *name)
{
    char id[ID_TEXT_MAX];
    size_t len = strlen(name);
    if (len != ID_TEXT_MAX - 1 + strlen(note_end) || strcmp(name + ID_TEXT_MAX - 1, note_end) != 0)
        return false;
    snprintf(id, sizeof(id), "%.*s", ID_TEXT_MAX - 1, name);
    return id_valid(id);
}

/* Whether a row speaks for it: 1, 0 or -1; `ret_row` is filled when there is one. */
static int is_spoken_for(struct db *db, const char *file, struct image *ret_row, struct err *err)
{
    if (!id_valid(file))
        return 0;
    int found = store_image_find(db, file, ret_row, err);
    if (found <= 0)
        return found;
    return ret_row->state != IMAGE_AWAITING_UPLOAD || ret_row->deleted_ms;
}

int orphan_find(const struct app *app, struct db *db, const char *file, struct image *ret_row,
                struct orphan *ret_orphan, struct err *err)
{
    struct stat st;
    autofree char *path = image_path(app, file);
    if (!is_text(file) || is_note(file) || lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    int known = is_spoken_for(db, file, ret_row, err);
    if (known != 0)
        return known < 0 ? -1 : 0;
    int past = store_image_is_past(db, file, err);
    if (past < 0)
        return -1;
    *ret_orphan = (struct orphan){.file = file,
                                  .has_id = id_valid(file),
                                  .past = past != 0,
                                  .bytes = st.st_size,
                                  .modified_ms = st.st_mtim.tv_sec * 1000LL,
                                  .row = ret_row->id ? ret_row : NULL};
    return 1;
}

/* ---- what is in a file ---- */

static int read_sum(const struct app *app, int fd, struct sha256_stream *hash)
{
    enum { READ_BYTES = 1 << 20 };
    autofree char *bytes = xmalloc(READ_BYTES);
    ssize_t n;
    while (!atomic_load(&app->stopping)) {
        n = read(fd, bytes, READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        sha256_update(hash, bytes, (size_t)n);
    }
    errno = ECANCELED;
    return -1;
}

int image_sum(const struct app *app, const char *path, char sum[SHA256_TEXT_MAX], struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    struct sha256_stream *hash = sha256_new();
    int rc = read_sum(app, fd, hash);
    int reason = errno;
    sha256_finish(hash, digest);
    sha256_text(digest, sum);
    errno = reason;
    return rc == 0 ? 0 : err_errno(err, "cannot read %s", path);
}

/* ---- all of them ---- */

struct names {
    char **items;
    size_t count, cap;
};

static void names_release(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(const struct app *app, struct names *names, struct err *err)
{
    DIR *folder = opendir(app->image_dir);
    if (!folder)
        return err_errno(err, "cannot open %s", app->image_dir);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (names->count == names->cap) {
            names->cap = names->cap ? names->cap * 2 : 64;
            names->items = xrealloc(names->items, names->cap * sizeof(*names->items));
        }
        names->items[names->count++] = xstrdup(entry->d_name);
    }
    closedir(folder);
    if (names->count)
        qsort(names->items, names->count, sizeof(*names->items), compare);
    return 0;
}

int orphans_list(struct app *app, struct db *db, orphan_each *each, void *ctx, struct err *err)
{
    struct names __attribute__((cleanup(names_release))) names = {0};
    int64_t files = 0, bytes = 0;
    if (read_names(app, &names, err) != 0)
        return -1;
    for (size_t i = 0; i < names.count; i++) {
        struct orphan orphan;
        struct image auto_image row = {0};
        int rc = image_is_part(names.items[i])
                     ? 0
                     : orphan_find(app, db, names.items[i], &row, &orphan, err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            continue;
        files++;
        bytes += orphan.bytes;
        each(ctx, &orphan);
    }
    atomic_store(&app->orphan_files, files);
    atomic_store(&app->orphan_bytes, bytes);
    return 0;
}
