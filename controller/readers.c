/* A thread finds its connection in a thread-local variable; the list of all is only for
 * closing them, since HTTP threads are not ours to end. */
#include "controller/readers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "api/err.h"
#include "api/log.h"
#include "api/mem.h"
#include "controller/app.h"
#include "controller/db.h"
#include "controller/watch.h"

struct reader {
    struct reader *next;
    struct db *db;
};

struct readers {
    const char *db_path;
    uint64_t serial; /* a thread's variable may be of an app that ended */
    pthread_mutex_t lock;
    struct reader *all;
};

struct mine {
    uint64_t serial;
    struct db *db;
};

static _Thread_local struct mine mine;
static _Thread_local bool in_snapshot;
static _Thread_local struct db *snapshot; /* open since its first use */
static _Thread_local int64_t snapshot_revision;

struct readers *readers_new(const char *db_path)
{
    static atomic_ullong serials;
    struct readers *readers = xcalloc(1, sizeof(*readers));
    readers->db_path = db_path;
    readers->serial = atomic_fetch_add(&serials, 1) + 1;
    pthread_mutex_init(&readers->lock, NULL);
    return readers;
}

void readers_free(struct readers *readers)
{
    if (!readers)
        return;
    while (readers->all) {
        struct reader *reader = readers->all;
        readers->all = reader->next;
        db_close(reader->db);
        free(reader);
    }
    pthread_mutex_destroy(&readers->lock);
    free(readers);
}

static struct db *open_mine(struct readers *readers)
{
    auto_err struct err err = {0};
    struct reader *reader = xcalloc(1, sizeof(*reader));
    if (db_open(readers->db_path, DB_READER, &reader->db, &err) != 0) {
        log_error("reader.open", "reason=\"%s\" action=exit", err.msg);
        _exit(1);
    }
    pthread_mutex_lock(&readers->lock);
    reader->next = readers->all;
    readers->all = reader;
    pthread_mutex_unlock(&readers->lock);
    mine = (struct mine){.serial = readers->serial, .db = reader->db};
    return reader->db;
}

struct db *app_reader(struct app *app)
{
    struct db *db = mine.serial == app->readers->serial ? mine.db : open_mine(app->readers);
    auto_err struct err err = {0};
    if (!in_snapshot || snapshot)
        return db;
    snapshot_revision = watch_revision(app->watch);
    if (db_read_begin(db, &err) == 0)
        snapshot = db;
    return db;
}

int64_t app_revision(struct app *app)
{
    if (in_snapshot)
        app_reader(app);
    return snapshot ? snapshot_revision : watch_revision(app->watch);
}

void app_snapshot_begin(void)
{
    in_snapshot = true;
}

void app_snapshot_end(void)
{
    if (snapshot)
        db_read_end(snapshot);
    snapshot = NULL;
    in_snapshot = false;
}
