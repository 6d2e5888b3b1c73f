/* What the rows of the small nouns have in common: who they are, their lists, names that
 * are taken, and the statements behind token, project, key and flavor. */
#ifndef MINICLOUD_CONTROLLER_NOUN_STORE_NOUN_H
#define MINICLOUD_CONTROLLER_NOUN_STORE_NOUN_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/base/limits.h"
#include "controller/db/store.h"
#include "controller/noun/kind.h"

struct db;
struct err;
struct json_writer;
struct stmt;
struct tx;

/* Identity of a row of any kind. */
struct noun_row {
    int64_t project_key; /* 0: none */
    int64_t revision;
    bool deleted;
    char id[ID_TEXT_MAX];
    char name[LIMIT_NAME + 1];
};

int noun_row(struct db *db, enum access_kind kind, int64_t key, struct noun_row *ret_row,
             struct err *err);
/* "instance", "image", ... */
const char *noun_name(enum access_kind kind);
/* Fills ERR_NOT_FOUND; returns -1. */
int noun_missing(struct err *err, enum access_kind kind);
/* Turns the conflict of a unique name into ERR_NAME_TAKEN; returns -1. */
int noun_taken(struct err *err, enum access_kind kind, const char *name);

/* Steps a list whose first column is the key and whose LIMIT is limit + 1: 1 for a row to
 * show, 0 at the end of the page, with last_key and more set. */
int noun_next(struct stmt *stmt, struct window *window, struct err *err);

/* Which rows; NULL and 0: any. `role` -1: any. */
struct noun_filter {
    int64_t project_key;
    const char *name;
    int64_t role;
    const char *meter; /* of prices */
};

/* Each writes an object, or the items of a list, and returns the ETag's revision. */
int token_show_row(struct db *db, int64_t key, const char *secret, struct json_writer *w,
                   int64_t *ret_revision, struct err *err);
int token_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                    struct window *window, struct err *err);

int project_insert(struct tx *tx, const char *name, int64_t *ret_key, struct err *err);
int project_rename(struct tx *tx, int64_t key, const char *name, struct err *err);
/* ERR_IN_USE when something of it is left. Its tokens go with it. */
int project_remove(struct tx *tx, int64_t key, struct err *err);
int project_show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                     struct err *err);
int project_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                      struct window *window, struct err *err);

int key_insert(struct tx *tx, int64_t project_key, const char *name, const char *public_key,
               int64_t *ret_key, struct err *err);
int key_rename(struct tx *tx, int64_t key, const char *name, struct err *err);
int key_remove(struct tx *tx, int64_t key, struct err *err);
int key_show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                 struct err *err);
int key_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                  struct window *window, struct err *err);
/* Name and public line, owned by the caller: what an instance gets. */
int key_line(struct db *db, int64_t key, char **ret_name, char **ret_line, struct err *err);

struct flavor {
    char name[LIMIT_NAME + 1];
    int64_t vcpus, memory_mib, disk_gib;
};

int flavor_insert(struct tx *tx, int64_t project_key, const struct flavor *flavor, int64_t *ret_key,
                  struct err *err);
int flavor_remove(struct tx *tx, int64_t key, struct err *err);
int flavor_read(struct db *db, int64_t key, struct flavor *ret_flavor, struct err *err);
int flavor_show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                    struct err *err);
int flavor_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                     struct window *window, struct err *err);

#endif
