/* SQLite connections and transactions. Together with db_stmt.c the only code that knows
 * SQLite's API; what the rows mean is the store's business. */
#include "controller/db/db.h"

#include <errno.h>
#include <pthread.h>

#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/db/db_internal.h"
#include "controller/db/schema.h"

/* A job's savepoint keeps its undo pages in one piece of memory of SAVEPOINT_BYTES, which some
 * 30 pages fill; a larger job goes on in a temporary file. (Told to keep all in memory, SQLite
 * allocates them by the kilobyte, which costs a tenth of all creates.) What was in memory goes
 * into the file by one write, and SQLite's unix VFS (os_unix.c, seekAndWriteFd) cuts a write's
 * length to its lower 17 bits: of a piece of 256 KiB nothing is left, which counts as a full
 * disk. */
enum { VFS_WRITE_MAX = 0x1ffff, SAVEPOINT_BYTES = VFS_WRITE_MAX };

/* Before the first connection: every connection belongs to one thread at a time, so SQLite
 * needs no lock of its own around each; nobody reads the global memory statistics. */
static void configure(void)
{
    if (sqlite3_config(SQLITE_CONFIG_MULTITHREAD) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, SAVEPOINT_BYTES) != SQLITE_OK ||
        sqlite3_initialize() != SQLITE_OK)
        abort(); /* somebody used SQLite before: it would go on with settings of its own */
}

static void configure_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
}

int db_fail(struct db *db, int rc, struct err *err)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return err_set(err, ERR_CONFLICT, "already there: %s", sqlite3_errmsg(db->raw));
    case SQLITE_FULL:
        return err_set(err, ERR_STORAGE_FULL,
                       "the disk that holds the database is full; delete something");
    case SQLITE_INTERRUPT:
        if (db->stop)
            return err_set(err, (enum err_code)db->stop->code, "%s", db->stop->why);
        return err_set(err, ERR_INTERNAL, "database: a statement was interrupted");
    case SQLITE_CANTOPEN:
        if (sqlite3_system_errno(db->raw) == EMFILE || sqlite3_system_errno(db->raw) == ENFILE)
            return err_set(err, ERR_UNAVAILABLE,
                           "the controller has no file descriptors left; try again soon");
        return err_set(err, ERR_INTERNAL, "database: %s (%d)", sqlite3_errmsg(db->raw), rc);
    default:
        return err_set(err, ERR_INTERNAL, "database: %s (%d)", sqlite3_errmsg(db->raw), rc);
    }
}

static int exec(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db->raw, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : db_fail(db, rc, err);
}

static int remember_wal_pages(void *ctx, sqlite3 *raw, const char *name, int pages)
{
    (void)raw;
    (void)name;
    struct db *db = ctx;
    db->wal_pages = db->wal_frames = pages;
    return SQLITE_OK;
}

enum { BUSY_MS = 10000, FRAME_BYTES = 4096 + 24 };

/* No temp_store here: it would overrule what configure() says of savepoints. Checkpoints are
 * asked for by name. */
static int prepare_writer(struct db *db, struct err *err)
{
    sqlite3_busy_timeout(db->raw, BUSY_MS);
    if (exec(db,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
             "PRAGMA trusted_schema=OFF; PRAGMA cache_size=-8000;"
             "PRAGMA journal_size_limit=67108864;",
             err) != 0)
        return -1;
    sqlite3_wal_hook(db->raw, remember_wal_pages, db);
    return 0;
}

/* The look at its tables tells of a file that is no database, which statements would not. */
static int prepare_reader(struct db *db, struct err *err)
{
    sqlite3_busy_timeout(db->raw, 2000);
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    return exec(db,
                "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"
                "PRAGMA wal_autocheckpoint=0; SELECT 1 FROM sqlite_master LIMIT 1;",
                err);
}

void db_set_temporary_dir(const char *path)
{
    configure_once();
    sqlite3_free(sqlite3_temp_directory);
    sqlite3_temp_directory = sqlite3_mprintf("%s", path);
}

int db_open(const char *path, enum db_mode mode, struct db **ret_db, struct err *err)
{
    configure_once();
    struct db *db = xcalloc(1, sizeof(*db));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (mode == DB_WRITER ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(path, &db->raw, flags, NULL);
    if (rc != SQLITE_OK) {
        err_set(err, ERR_INTERNAL, "cannot open the database %s: %s", path,
                db->raw ? sqlite3_errmsg(db->raw) : sqlite3_errstr(rc));
        db_close(db);
        return -1;
    }
    if ((mode == DB_WRITER ? prepare_writer(db, err) : prepare_reader(db, err)) != 0) {
        err_context(err, "cannot set up the database %s", path);
        db_close(db);
        return -1;
    }
    *ret_db = db;
    return 0;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    db_finalize_all(db);
    int rc = sqlite3_close(db->raw);
    if (rc != SQLITE_OK)
        log_error("db.close", "reason=\"%s\"", sqlite3_errstr(rc));
    free(db);
}

static int user_version(struct db *db, int *ret_version, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "PRAGMA user_version");
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_version = (int)stmt_i64(stmt, 0);
    return 0;
}

/* A PRAGMA takes no bound value; `version` is an index into our own array. */
static int migrate_one(struct db *db, const char *sql, int version, struct err *err)
{
    char pragma[64];
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", version);
    if (db_begin(db, err) != 0)
        return -1;
    if (exec(db, sql, err) != 0 || exec(db, pragma, err) != 0 || db_commit(db, err) != 0) {
        db_rollback(db);
        return err_context(err, "migration %d", version);
    }
    return 0;
}

int db_migrate(struct db *db, struct err *err)
{
    int count, version;
    const char *const *migrations = schema_migrations(&count);
    if (user_version(db, &version, err) != 0)
        return -1;
    if (version > count)
        return err_set(err, ERR_CONFLICT,
                       "the database has version %d, this program knows %d: start the newer one",
                       version, count);
    for (int i = version; i < count; i++) {
        if (migrate_one(db, migrations[i], i + 1, err) != 0)
            return -1;
    }
    return 0;
}

int64_t db_last_key(struct db *db)
{
    return sqlite3_last_insert_rowid(db->raw);
}

int64_t db_changes(struct db *db)
{
    return sqlite3_changes64(db->raw);
}

static int run(struct db *db, const char *sql, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, sql);
    return stmt_run(stmt, err);
}

int db_read_begin(struct db *db, struct err *err)
{
    if (db->reads > 0 || run(db, "BEGIN", err) == 0) {
        db->reads++;
        return 0;
    }
    return -1;
}

void db_read_end(struct db *db)
{
    auto_err struct err ignored = {0};
    if (--db->reads == 0 && db_in_transaction(db))
        run(db, "COMMIT", &ignored);
}

int db_begin(struct db *db, struct err *err)
{
    if (FAILPOINT("db.begin", err) != 0)
        return -1;
    return run(db, "BEGIN IMMEDIATE", err);
}

/* SQLITE_FULL comes before the frame that commits is whole, and SQLITE_BUSY before anything
 * is written: both leave nothing behind. After any other error, a failed sync for one, the
 * commit frame may or may not be on the disk. */
int db_commit(struct db *db, struct err *err)
{
    if (FAILPOINT("db.commit", err) != 0)
        return -1;
    auto_stmt struct stmt *stmt = db_stmt(db, "COMMIT");
    int rc = sqlite3_step(stmt->raw);
    if (rc == SQLITE_DONE) {
        FAILPOINT_VOID("db.commit.after");
        return 0;
    }
    db_fail(db, rc, err);
    int primary = rc & 0xff;
    return primary == SQLITE_FULL || primary == SQLITE_BUSY || primary == SQLITE_CONSTRAINT
               ? -1
               : DB_UNCERTAIN;
}

void db_rollback(struct db *db)
{
    auto_err struct err ignored = {0};
    if (db_in_transaction(db) && run(db, "ROLLBACK", &ignored) != 0)
        log_error("db.rollback", "reason=\"%s\"", ignored.msg);
}

int db_savepoint(struct db *db, struct err *err)
{
    return run(db, "SAVEPOINT job", err);
}

int db_release(struct db *db, struct err *err)
{
    if (FAILPOINT("db.release", err) != 0)
        return -1;
    return run(db, "RELEASE job", err);
}

int db_rollback_to(struct db *db, struct err *err)
{
    if (run(db, "ROLLBACK TO job", err) != 0)
        return -1;
    return run(db, "RELEASE job", err);
}

bool db_in_transaction(struct db *db)
{
    return !sqlite3_get_autocommit(db->raw);
}

int db_checkpoint(struct db *db, struct err *err)
{
    if (FAILPOINT("db.checkpoint", err) != 0)
        return -1;
    int pages = 0, moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(db->raw, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    if (rc != SQLITE_OK)
        return db_fail(db, rc, err);
    db->wal_pages = pages - moved;
    return 0;
}

/* ---- the WAL begins anew ---- */

struct patience {
    bool (*go_on)(void *ctx);
    void *ctx;
};

static int ask_patience(void *ctx, int times)
{
    const struct patience *patience = ctx;
    (void)times;
    return patience->go_on(patience->ctx);
}

int db_wal_restart(struct db *db, bool (*go_on)(void *ctx), void *ctx, struct err *err)
{
    if (FAILPOINT("db.checkpoint", err) != 0)
        return -1;
    struct patience patience = {go_on, ctx};
    int pages = -1, moved = -1;
    sqlite3_busy_handler(db->raw, ask_patience, &patience);
    int rc = sqlite3_wal_checkpoint_v2(db->raw, NULL, SQLITE_CHECKPOINT_RESTART, &pages, &moved);
    sqlite3_busy_timeout(db->raw, BUSY_MS);
    if (pages >= 0 && moved >= 0)
        db->wal_pages = pages - moved;
    if ((rc & 0xff) == SQLITE_BUSY)
        return 0;
    if (rc != SQLITE_OK)
        return db_fail(db, rc, err);
    db->wal_pages = db->wal_frames = 0;
    return 1;
}

int db_wal_pages(const struct db *db)
{
    return db->wal_pages;
}

int64_t db_wal_bytes(const struct db *db)
{
    return (int64_t)db->wal_frames * FRAME_BYTES;
}

/* ---- how long a read may go on ---- */

static int ask_work(void *ctx)
{
    struct db *db = ctx;
    db->stop = db->on_work(db->on_work_ctx, true);
    return db->stop != NULL;
}

void db_watch_work(struct db *db, db_on_work *ask, void *ctx)
{
    db->on_work = ask;
    db->on_work_ctx = ctx;
    sqlite3_progress_handler(db->raw, DB_WORK_STEPS, ask_work, db);
}
