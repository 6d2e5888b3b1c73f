/* What db.c and db_stmt.c share: the insides of a connection. */
#ifndef MINICLOUD_CONTROLLER_DB_DB_INTERNAL_H
#define MINICLOUD_CONTROLLER_DB_DB_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>

#include "controller/db/db.h"

enum { DB_BUCKETS = 256 };

struct stmt {
    sqlite3_stmt *raw;
    const char *sql; /* the literal's address is the key */
    struct db *db;
    struct stmt *next;
    bool busy;
};

struct db {
    sqlite3 *raw;
    struct stmt *buckets[DB_BUCKETS];
    int wal_pages;  /* yet to be moved */
    int wal_frames; /* that are taken */
    db_on_work *on_work;
    void *on_work_ctx;
    const struct db_stop *stop; /* why a statement was ended */
    int reads;                  /* open db_read_begin()s, one within another */
};

/* Fills `err` from the connection's last error. Returns -1. */
int db_fail(struct db *db, int rc, struct err *err);
void db_finalize_all(struct db *db);

#endif
