/* Prepared statements: kept for the life of a connection, found by the address of their
 * literal, so that a request pays for no parsing. */
#include <stdarg.h>

#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/db/db_internal.h"

static size_t bucket_of(const char *sql)
{
    return ((uintptr_t)sql * 0x9E3779B97F4A7C15u >> 32) % DB_BUCKETS;
}

/* A literal that does not compile is a defect of this program, never of a request. */
static struct stmt *prepare(struct db *db, const char *sql)
{
    struct stmt *stmt = xcalloc(1, sizeof(*stmt));
    int rc = sqlite3_prepare_v3(db->raw, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt->raw, NULL);
    if (rc != SQLITE_OK) {
        log_error("db.prepare", "reason=\"%s\" sql=\"%s\"", sqlite3_errmsg(db->raw), sql);
        abort();
    }
    stmt->sql = sql;
    stmt->db = db;
    size_t bucket = bucket_of(sql);
    stmt->next = db->buckets[bucket];
    db->buckets[bucket] = stmt;
    return stmt;
}

struct stmt *db_stmt(struct db *db, const char *sql)
{
    struct stmt *stmt = db->buckets[bucket_of(sql)];
    while (stmt && (stmt->sql != sql || stmt->busy))
        stmt = stmt->next;
    if (!stmt)
        stmt = prepare(db, sql);
    stmt->busy = true;
    return stmt;
}

void stmt_done(struct stmt **stmt)
{
    if (!*stmt)
        return;
    sqlite3_reset((*stmt)->raw);
    sqlite3_clear_bindings((*stmt)->raw);
    (*stmt)->busy = false;
    *stmt = NULL;
}

void db_finalize_all(struct db *db)
{
    for (size_t i = 0; i < DB_BUCKETS; i++) {
        while (db->buckets[i]) {
            struct stmt *stmt = db->buckets[i];
            db->buckets[i] = stmt->next;
            sqlite3_finalize(stmt->raw);
            free(stmt);
        }
    }
}

static int bind_i64(struct stmt *stmt, int index, int64_t value, bool zero_is_null)
{
    return value == 0 && zero_is_null ? sqlite3_bind_null(stmt->raw, index)
                                      : sqlite3_bind_int64(stmt->raw, index, value);
}

static int bind_blob(struct stmt *stmt, int index, const void *data, size_t len)
{
    return data ? sqlite3_bind_blob64(stmt->raw, index, data, len, SQLITE_STATIC)
                : sqlite3_bind_null(stmt->raw, index);
}

static int bind_one(struct stmt *stmt, int index, char type, va_list *args)
{
    switch (type) {
    case 't':
        return sqlite3_bind_text(stmt->raw, index, va_arg(*args, const char *), -1, SQLITE_STATIC);
    case 'i':
        return bind_i64(stmt, index, va_arg(*args, int64_t), false);
    case 'z':
        return bind_i64(stmt, index, va_arg(*args, int64_t), true);
    case 'b': {
        const void *data = va_arg(*args, const void *);
        return bind_blob(stmt, index, data, va_arg(*args, size_t));
    }
    case 'n':
        return sqlite3_bind_null(stmt->raw, index);
    default:
        return SQLITE_MISUSE;
    }
}

void stmt_bind(struct stmt *stmt, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    for (int i = 0; types[i]; i++) {
        if (bind_one(stmt, i + 1, types[i], &args) != SQLITE_OK) {
            log_error("db.bind", "index=%d sql=\"%s\"", i + 1, stmt->sql);
            abort();
        }
    }
    va_end(args);
}

int stmt_step(struct stmt *stmt, struct err *err)
{
    struct db *db = stmt->db;
    if (db->on_work && (db->stop = db->on_work(db->on_work_ctx, false)) != NULL)
        return db_fail(db, SQLITE_INTERRUPT, err);
    int rc = sqlite3_step(stmt->raw);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : db_fail(stmt->db, rc, err);
}

int stmt_run(struct stmt *stmt, struct err *err)
{
    int rc = sqlite3_step(stmt->raw);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : db_fail(stmt->db, rc, err);
}

int64_t stmt_i64(struct stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->raw, column);
}

const char *stmt_text(struct stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt->raw, column);
}

const void *stmt_blob(struct stmt *stmt, int column, size_t *ret_len)
{
    const void *data = sqlite3_column_blob(stmt->raw, column);
    *ret_len = (size_t)sqlite3_column_bytes(stmt->raw, column);
    return data;
}

bool stmt_null(struct stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->raw, column) == SQLITE_NULL;
}
