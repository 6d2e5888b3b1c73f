/* A thread takes a connection of the stock at its first read and finds it in a thread-local
 * variable from then on; the list of all is for closing them, since HTTP threads are not ours
 * to end.
 *
 * A snapshot stays open behind the handler that began it, and the next one of that thread
 * takes it over if nothing was committed since: that spares a point read two system calls. The
 * writer ends those that are idle before each checkpoint.
 *
 * SQLite has five marks in the WAL for readers, one of them for who needs nothing of it: a
 * checkpoint moves frames up to the lowest mark in use, and the WAL begins anew when only that
 * one is. Readers that come one after the other, each before the last has gone, would put it
 * off for ever. Hence the turn: long reads that come wait, and those at work let go. Short ones
 * need not: what begins behind the moving of the last frame has no mark. */
#include "controller/tx/readers.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/tx/writer.h"
#include "controller/wait/pool.h"
#include "controller/wait/watch.h"
#include "controller/world.h"

struct reader {
    struct reader *next;
    struct readers *readers;
    struct db *db;
    bool taken;            /* by a thread; under the lock of all */
    pthread_mutex_t lock;  /* held by its thread within a snapshot, by the writer to end one */
    bool open;             /* a read transaction is open */
    uint64_t commits;      /* of the writer, before it was opened */
    int64_t revision;      /* likewise */
    _Atomic uint64_t uses; /* how often a snapshot was entered */
    _Atomic uint64_t cut;  /* the use that must end */
    uint64_t turn_use;     /* which one it was when the turn began; the writer's */
    uint64_t steps;        /* that this use took */
};

struct readers {
    const char *db_path;
    uint64_t serial; /* a thread's variable may be of an app that ended */
    _Atomic uint64_t steps_max;
    pthread_mutex_t lock;
    struct reader *all;
    atomic_bool turn; /* the WAL's; changed under the lock */
    pthread_cond_t turn_over;
};

struct mine {
    uint64_t serial;
    struct reader *reader;
};

static _Thread_local struct mine mine;
static _Thread_local bool in_snapshot, may_wait;
static _Thread_local struct reader *snapshot; /* locked since its first use within this one */

/* ---- all of them ---- */

static const struct db_stop *may_go_on(void *ctx, bool worked)
{
    static const struct db_stop cut = {
        ERR_UNAVAILABLE, "this read took too long while much was written; try again, or ask for"
                         " less at once"};
    static const struct db_stop too_long = {
        ERR_TOO_LARGE, "this takes too much reading for one answer: ask for a shorter time, for"
                       " one project, or without a selector"};
    struct reader *reader = ctx;
    if (snapshot != reader)
        return NULL;
    if (worked)
        reader->steps += DB_WORK_STEPS;
    if (reader->steps > atomic_load_explicit(&reader->readers->steps_max, memory_order_relaxed))
        return &too_long;
    return atomic_load_explicit(&reader->cut, memory_order_relaxed) ==
                   atomic_load_explicit(&reader->uses, memory_order_relaxed)
               ? &cut
               : NULL;
}

/* One look at the database, so that all files are open that a read needs. */
static int warm(struct db *db, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT count(*) FROM meta");
    return stmt_step(stmt, err) == 1 ? 0 : -1;
}

static struct reader *reader_open(struct readers *readers, struct err *err)
{
    struct db *db = NULL;
    if (db_open(readers->db_path, DB_READER, &db, err) != 0)
        return NULL;
    if (warm(db, err) != 0) {
        db_close(db);
        return NULL;
    }
    struct reader *reader = xcalloc(1, sizeof(*reader));
    reader->readers = readers;
    reader->db = db;
    pthread_mutex_init(&reader->lock, NULL);
    db_watch_work(db, may_go_on, reader);
    pthread_mutex_lock(&readers->lock);
    reader->next = readers->all;
    readers->all = reader;
    pthread_mutex_unlock(&readers->lock);
    return reader;
}

struct readers *readers_new(const char *db_path, size_t count, struct err *err)
{
    static atomic_ullong serials;
    struct readers *readers = xcalloc(1, sizeof(*readers));
    readers->db_path = db_path;
    readers->serial = atomic_fetch_add(&serials, 1) + 1;
    readers->steps_max = LIMIT_READ_STEPS;
    pthread_mutex_init(&readers->lock, NULL);
    pthread_cond_init(&readers->turn_over, NULL);
    for (size_t i = 0; i < count; i++) {
        if (!reader_open(readers, err)) {
            readers_free(readers);
            return NULL;
        }
    }
    return readers;
}

void readers_set_steps(struct readers *readers, uint64_t steps)
{
    readers->steps_max = steps;
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
    pthread_cond_destroy(&readers->turn_over);
    free(readers);
}

/* ---- a thread's own ---- */

static struct reader *take_one(struct readers *readers)
{
    pthread_mutex_lock(&readers->lock);
    struct reader *reader = readers->all;
    while (reader && reader->taken)
        reader = reader->next;
    if (reader)
        reader->taken = true;
    pthread_mutex_unlock(&readers->lock);
    return reader;
}

/* The stock is for all threads that were counted on. One more opens its own, and where that
 * cannot be, waits until it can: a thread that is late does less harm than a controller that is
 * not there. */
static struct reader *take_mine(struct readers *readers)
{
    enum { AGAIN_MS = 50 };
    struct reader *reader;
    while (!(reader = take_one(readers))) {
        auto_err struct err err = {0};
        if (!reader_open(readers, &err)) {
            log_error("reader.open", "reason=\"%s\"", err.msg);
            poll(NULL, 0, AGAIN_MS);
        }
    }
    mine = (struct mine){.serial = readers->serial, .reader = reader};
    return reader;
}

static void close_snapshot(struct reader *reader)
{
    if (reader->open)
        db_read_end(reader->db);
    reader->open = false;
}

/* ---- the WAL's turn ---- */

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

static void set_turn(void *ctx, bool turn)
{
    struct readers *readers = ctx;
    pthread_mutex_lock(&readers->lock);
    for (struct reader *reader = readers->all; turn && reader; reader = reader->next)
        reader->turn_use = atomic_load(&reader->uses);
    atomic_store(&readers->turn, turn);
    if (!turn)
        pthread_cond_broadcast(&readers->turn_over);
    pthread_mutex_unlock(&readers->lock);
}

/* Whoever is at the same snapshot as when the turn began. */
static size_t cut_all(void *ctx)
{
    struct readers *readers = ctx;
    size_t count = 0;
    pthread_mutex_lock(&readers->lock);
    for (struct reader *reader = readers->all; reader; reader = reader->next) {
        uint64_t use = reader->turn_use;
        if (pthread_mutex_trylock(&reader->lock) == 0)
            pthread_mutex_unlock(&reader->lock);
        else if (atomic_load(&reader->uses) == use && atomic_exchange(&reader->cut, use) != use)
            count++;
    }
    pthread_mutex_unlock(&readers->lock);
    return count;
}

const struct readers_hooks readers_hooks = {
    .release = readers_release, .turn = set_turn, .cut = cut_all};

static void await_turns_end(struct readers *readers)
{
    if (!may_wait || !atomic_load_explicit(&readers->turn, memory_order_relaxed))
        return;
    pthread_mutex_lock(&readers->lock);
    while (atomic_load(&readers->turn))
        pthread_cond_wait(&readers->turn_over, &readers->lock);
    pthread_mutex_unlock(&readers->lock);
}

/* ---- snapshots ---- */

/* Commits are counted before the transaction begins: what comes in between is in the
 * transaction already, and at worst opens another one in vain. */
static void enter_snapshot(struct app *app, struct reader *reader)
{
    await_turns_end(reader->readers);
    uint64_t commits = writer_commits(app->writer);
    int64_t revision = watch_revision(app->watch);
    pthread_mutex_lock(&reader->lock);
    atomic_fetch_add(&reader->uses, 1);
    reader->steps = 0;
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
        mine.serial == app->readers->serial ? mine.reader : take_mine(app->readers);
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
    may_wait = false;
}

void app_snapshot_begin_long(void)
{
    in_snapshot = may_wait = true;
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
    in_snapshot = may_wait = false;
}

void app_snapshot_step(struct app *app)
{
    if (!may_wait)
        return;
    bool turn = atomic_load_explicit(&app->readers->turn, memory_order_relaxed);
    if (!turn && !pool_others_wait())
        return;
    app_snapshot_renew();
    pool_give_way();
    app_reader(app);
}
