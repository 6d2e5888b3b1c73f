/* SQLite: connections, cached prepared statements, binding and stepping. Only db.c,
 * schema.c and store_*.c include <sqlite3.h> or this header's statement half; domain
 * code calls the store. SQL is a literal in the function that runs it, always bound,
 * never formatted; a statement that does not compile is a defect and aborts. */
#ifndef MINICLOUD_CONTROLLER_DB_DB_H
#define MINICLOUD_CONTROLLER_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct db;   /* one connection: used by one thread at a time */
struct stmt; /* a cached prepared statement, in use until its stmt_done() */

enum db_mode { DB_WRITER, DB_READER };

/* Where large transactions keep what they would undo: on the database's own disk, so that "the
 * disk is full" is said of that one. While no connection is open; for the whole process. */
void db_set_temporary_dir(const char *path);
/* WAL, synchronous=FULL, foreign_keys=ON, trusted_schema=OFF; a reader is query_only. */
int db_open(const char *path, enum db_mode mode, struct db **ret_db, struct err *err);
void db_close(struct db *db);
/* Applies the migrations that are missing. A newer database than this program is refused. */
int db_migrate(struct db *db, struct err *err);

/* Cached by the literal's address. */
struct stmt *db_stmt(struct db *db, const char *sql);
/* Resets, clears bindings, gives it back. For __attribute__((cleanup)). */
void stmt_done(struct stmt **stmt);
#define auto_stmt __attribute__((cleanup(stmt_done)))

/* Binds in order: 't' const char* (NULL: null), 'i' int64_t, 'b' const void* + size_t,
 * 'z' int64_t whose 0 is null, 'n' null. Texts are not copied: they must live until done. */
void stmt_bind(struct stmt *stmt, const char *types, ...);
/* 1: a row; 0: done; -1: `err` filled. UNIQUE: ERR_CONFLICT; full disk: ERR_STORAGE_FULL;
 * all else ERR_INTERNAL. */
int stmt_step(struct stmt *stmt, struct err *err);
/* Steps a statement that returns no rows. */
int stmt_run(struct stmt *stmt, struct err *err);

int64_t stmt_i64(struct stmt *stmt, int column);
/* Borrowed until the next step; NULL for null. */
const char *stmt_text(struct stmt *stmt, int column);
const void *stmt_blob(struct stmt *stmt, int column, size_t *ret_len);
bool stmt_null(struct stmt *stmt, int column);

int64_t db_last_key(struct db *db); /* rowid of the last INSERT */
int64_t db_changes(struct db *db);

/* A read transaction, so that several statements see one state. Keep it short. One may stand
 * within another; the outer one decides. */
int db_read_begin(struct db *db, struct err *err);
void db_read_end(struct db *db);

/* For the writer only. */
int db_begin(struct db *db, struct err *err); /* BEGIN IMMEDIATE */
/* -1: it is certain that nothing was committed. DB_UNCERTAIN: nobody knows. */
enum { DB_UNCERTAIN = -2 };
int db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);
int db_savepoint(struct db *db, struct err *err);
int db_release(struct db *db, struct err *err);
int db_rollback_to(struct db *db, struct err *err);
bool db_in_transaction(struct db *db);
int db_checkpoint(struct db *db, struct err *err);
/* Moves all of the WAL, and has it begin anew. As long as readers are in the way `go_on` is
 * asked: false gives up. 1: it begins anew; 0: given up; -1. */
int db_wal_restart(struct db *db, bool (*go_on)(void *ctx), void *ctx, struct err *err);
/* Pages in the WAL after the last commit that are yet to be moved. No checkpoint comes by
 * itself: the writer does it behind the answers, not in front of them. */
int db_wal_pages(const struct db *db);
/* Bytes of the WAL that are taken, moved or not: it begins anew when nobody reads from it. */
int64_t db_wal_bytes(const struct db *db);

/* ---- for readers: how long a read may go on ---- */

enum { DB_WORK_STEPS = 10000 }; /* of SQLite's machine */
struct db_stop {
    int code; /* enum err_code */
    const char *why;
};
/* Asked ahead of each row, and (`worked`) after DB_WORK_STEPS more steps of a statement; what it
 * gives ends the statement with that error. NULL: go on. */
typedef const struct db_stop *db_on_work(void *ctx, bool worked);
void db_watch_work(struct db *db, db_on_work *ask, void *ctx);

#endif
