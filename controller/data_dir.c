/* A folder with tokens, images or the rest of a database is no new one, and a start that took it
 * for new would replace the tokens and forget the images. What tells the two apart is a mark: it
 * is on the disk before any other file of ours is made and goes when the first start is
 * committed. So a first start that lost its power goes on, and a database that was lost later is
 * never taken for one. */
#include "controller/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/tx/meta.h"

static const char mark_name[] = "first-start";

static char *in_folder(const char *data_dir, const char *name)
{
    return xasprintf("%s/%s", data_dir, name);
}

static bool is_there(const char *data_dir, const char *name)
{
    struct stat st;
    autofree char *path = in_folder(data_dir, name);
    return lstat(path, &st) == 0;
}

/* ---- the database ---- */

enum holds { HOLDS_MISSING, HOLDS_NO_BYTES, HOLDS_NO_TABLES, HOLDS_OTHER, HOLDS_NO_CLOUD, CLOUD };

static const char *const holds_texts[] = {
    "minicloud.db is missing",     "minicloud.db is empty",
    "minicloud.db has no tables",  "minicloud.db belongs to another program",
    "minicloud.db holds no cloud", "minicloud.db holds a cloud",
};

static int look_inside(struct db *db, enum holds *ret_holds, struct err *err)
{
    autofree char *epoch = NULL;
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT count(*), count(*) FILTER (WHERE name IN ('meta', 'project', 'token',"
                    " 'image', 'instance')) FROM sqlite_master WHERE type = 'table'");
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_holds = stmt_i64(stmt, 0) == 0 ? HOLDS_NO_TABLES : HOLDS_OTHER;
    if (stmt_i64(stmt, 1) < 5)
        return 0;
    int rc = meta_get(db, "epoch", &epoch, err);
    *ret_holds = epoch ? CLOUD : HOLDS_NO_CLOUD;
    return rc;
}

/* Never by the writer's connection: that would make a file where there is none, and throw away
 * a log that has lost its database. */
static int look(const char *data_dir, enum holds *ret_holds, struct err *err)
{
    struct stat st;
    struct db *db = NULL;
    autofree char *path = in_folder(data_dir, "minicloud.db");
    *ret_holds = HOLDS_MISSING;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot look at %s", path);
    *ret_holds = HOLDS_NO_BYTES;
    if (st.st_size == 0)
        return 0;
    if (db_open(path, DB_READER, &db, err) != 0)
        return -1;
    int rc = look_inside(db, ret_holds, err);
    db_close(db);
    return rc == 0 ? 0 : err_context(err, "cannot read %s", path);
}

/* ---- what else is there ---- */

/* Any file: what it is matters to whoever put it there. What may not be looked at is no nothing. */
static bool has_images(const char *data_dir)
{
    autofree char *path = in_folder(data_dir, "images");
    DIR *folder = opendir(path);
    bool found = !folder && errno != ENOENT;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
        struct stat st;
        found = fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(st.st_mode);
    }
    if (folder)
        closedir(folder);
    return found;
}

/* One thing that a cloud has left; NULL: nothing. */
static const char *find_left(const char *data_dir)
{
    static const char *const names[] = {"admin.token",      "join.token",           "minicloud.db",
                                        "minicloud.db-wal", "minicloud.db-journal", "ballast",
                                        "marks.key"};
    if (has_images(data_dir))
        return "images";
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (is_there(data_dir, names[i]))
            return names[i];
    }
    return NULL;
}

static int refuse(const char *data_dir, const char *left, enum holds holds, struct err *err)
{
    return err_set(err, ERR_CONFLICT,
                   "%s has %s, but %s. Put back a copy of the database as %s/minicloud.db; or, if "
                   "there is none, let `cloud-controller new-cloud` mark the folder for a new "
                   "cloud, which moves and deletes nothing",
                   data_dir, left, holds_texts[holds], data_dir);
}

static int put_mark(const char *data_dir, struct err *err)
{
    autofree char *mark = in_folder(data_dir, mark_name);
    return file_write("first_start", mark, "", 0, 0600, err);
}

int data_dir_open(const char *data_dir, struct err *err)
{
    enum holds holds;
    if (is_there(data_dir, mark_name))
        return 0;
    if (look(data_dir, &holds, err) != 0)
        return -1;
    if (holds == CLOUD)
        return 0;
    const char *left = find_left(data_dir);
    return left ? refuse(data_dir, left, holds, err) : put_mark(data_dir, err);
}

int data_dir_begun(const char *data_dir, struct err *err)
{
    autofree char *mark = in_folder(data_dir, mark_name);
    return file_unlink("first_start", mark, err);
}

/* A new database throws away the log that it finds under its name. */
static int check_logs(const char *data_dir, struct err *err)
{
    static const char *const names[] = {"minicloud.db-wal", "minicloud.db-journal"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct stat st;
        autofree char *path = in_folder(data_dir, names[i]);
        if (stat(path, &st) == 0 && st.st_size > 0)
            return err_set(err, ERR_CONFLICT,
                           "%s may hold the last changes of the lost database, and a new one would "
                           "overwrite it: move it away first",
                           path);
    }
    return 0;
}

int data_dir_begin_anew(const char *data_dir, struct err *err)
{
    enum holds holds;
    if (look(data_dir, &holds, err) != 0)
        return -1;
    if (holds == CLOUD)
        return err_set(err, ERR_CONFLICT, "%s has a cloud already: start the controller", data_dir);
    if (holds == HOLDS_OTHER)
        return err_set(err, ERR_CONFLICT,
                       "%s/minicloud.db belongs to another program: move it away", data_dir);
    return check_logs(data_dir, err) == 0 ? put_mark(data_dir, err) : -1;
}

int data_dir_has_cloud(const char *data_dir, struct err *err)
{
    enum holds holds;
    if (look(data_dir, &holds, err) != 0)
        return -1;
    if (holds == CLOUD)
        return 0;
    return err_set(err, ERR_NOT_FOUND, "there is no database to change in %s: %s", data_dir,
                   holds_texts[holds]);
}
