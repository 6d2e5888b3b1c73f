/* A thread finds its connection in a thread-local variable; the list of all is for closing
 * them, since HTTP threads are not ours to end.
 *
 * A snapshot stays open behind the handler that began it, and the next one of that thread
 * takes it over if nothing was committed since: that spares a point read two system calls.
 * An open one keeps the WAL from being used again, so the writer ends those that are idle
 * before each checkpoint. */
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
#include "controller/writer.h"

struct reader {
    struct reader *next;
    struct db *db;
    pthread_mutex_t lock; /* held by its thread within a snapshot, by the writer to end one */
    bool open;            /* a read transaction is open */
    uint64_t commits;     /* of the writer, before it was opened */
    int64_t revision;     /* likewise */
};

struct readers {
    const char *db_path;
    uint64_t serial; /* a thread's variable may be of an app that ended */
    pthread_mutex_t lock;
    struct reader *all;
};

struct mine {
    uint64_t serial;
    struct reader *reader;
};

static _Thread_local struct mine mine;
static _Thread_local bool in_snapshot;
static _Thread_local struct reader *snapshot; /* locked since its first use within this one */

struct readers *readers_new(const char *db_path)
{
    static atomic_ullong serials;
    struct readers *readers = xcalloc(1, sizeof(*readers));
    readers->db_path = db_path;
    readers->serial = atomic_fetch_add(&serials, 1) + 1;
    pthread_mutex_init(&readers->lock, NULL);
    return readers;
}

void readers_close(struct readers *readers)
{
    pthread_mutex_lock(&readers->lock);
    while (readers->all) {
        struct reader *reader = readers->all;
        readers->all = reader->next;
        if (reader->open)
            db_read_end(reader->db);
        db_close(reader->db);
        pthread_mutex_destroy(&reader->lock);
        free(reader);
    }
    pthread_mutex_unlock(&readers->lock);
}

void readers_free(struct readers *readers)
{
    if (!readers)
        return;
    readers_close(readers);
    pthread_mutex_destroy(&readers->lock);
    free(readers);
}

static struct reader *open_mine(struct readers *readers)
{
    auto_err struct err err = {0};
    struct reader *reader = xcalloc(1, sizeof(*reader));
    if (db_open(readers->db_path, DB_READER, &reader->db, &err) != 0) {
        log_error("reader.open", "reason=\"%s\" action=exit", err.msg);
        _exit(1);
    }
    pthread_mutex_init(&reader->lock, NULL);
    pthread_mutex_lock(&readers->lock);
    reader->next = readers->all;
    readers->all = reader;
    pthread_mutex_unlock(&readers->lock);
    mine = (struct mine){.serial = readers->serial, .reader = reader};
    return reader;
}

static void close_snapshot(struct reader *reader)
{
    if (reader->open)
        db_read_end(reader->db);
    reader->open = false;
}

void readers_release(void *ctx)
{
    struct readers *readers = ctx;
    pthread_mutex_lock(&readers->lock);
    for (struct reader *reader = readers->all; reader; reader = reader->next) {
        if (pthread_mutex_trylock(&reader->lock) != 0)
            continue; /* at work, and soon done */
        close_snapshot(reader);
        pthread_mutex_unlock(&reader->lock);
    }
    pthread_mutex_unlock(&readers->lock);
}

/* Commits are counted before the transaction begins: what comes in between is in the
 * transaction already, and at worst opens another one in vain. */
static void enter_snapshot(struct app *app, struct reader *reader)
{
    uint64_t commits = writer_commits(app->writer);
    int64_t revision = watch_revision(app->watch);
    pthread_mutex_lock(&reader->lock);
    snapshot = reader;
    if (reader->open && reader->commits == commits)
        return;
    auto_err struct err err = {0};
    close_snapshot(reader);
    reader->commits = commits;
    reader->revision = revision;
    reader->open = db_read_begin(reader->db, &err) == 0;
}

struct db *app_reader(struct app *app)
{
    struct reader *reader =
        mine.serial == app->readers->serial ? mine.reader : open_mine(app->readers);
    if (snapshot == reader)
        return reader->db;
    if (in_snapshot) {
        enter_snapshot(app, reader);
        return reader->db;
    }
    /* Outside of any, each statement sees what is newest. */
    pthread_mutex_lock(&reader->lock);
    close_snapshot(reader);
    pthread_mutex_unlock(&reader->lock);
    return reader->db;
}

int64_t app_revision(struct app *app)
{
    if (!in_snapshot)
        return watch_revision(app->watch);
    app_reader(app);
    return snapshot->revision;
}

void app_snapshot_begin(void)
{
    in_snapshot = true;
}

void app_snapshot_renew(void)
{
    if (snapshot)
        pthread_mutex_unlock(&snapshot->lock);
    snapshot = NULL;
}

void app_snapshot_end(void)
{
    app_snapshot_renew();
    in_snapshot = false;
}
