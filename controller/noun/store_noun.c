/* What rows of all kinds have in common. */
#include "controller/noun/store_noun.h"

#include <stdio.h>
#include <string.h>

#include "api/base/err.h"
#include "controller/db/db.h"

const char *noun_name(enum access_kind kind)
{
    static const char *const names[] = {
        [ACCESS_INSTANCE] = "instance", [ACCESS_IMAGE] = "image",
        [ACCESS_FLAVOR] = "flavor",     [ACCESS_KEY] = "key",
        [ACCESS_NODE] = "node",         [ACCESS_PROJECT] = "project",
        [ACCESS_TOKEN] = "token",       [ACCESS_OPERATION] = "operation",
        [ACCESS_NETWORK] = "network",   [ACCESS_PRICE] = "price",
    };
    return names[kind];
}

int noun_missing(struct err *err, enum access_kind kind)
{
    return err_set(err, ERR_NOT_FOUND, "there is no such %s", noun_name(kind));
}

int noun_taken(struct err *err, enum access_kind kind, const char *name)
{
    if (err->code == ERR_CONFLICT) {
        err_set(err, ERR_NAME_TAKEN, "there is another %s named %s", noun_name(kind), name);
        snprintf(err->field, sizeof(err->field), "/name");
    }
    return -1;
}

static const char *identity_sql(enum access_kind kind)
{
    switch (kind) {
    case ACCESS_INSTANCE:
        return "SELECT id, name, project_key, revision, deleted_ms FROM instance_ever"
               " WHERE key = ?";
    case ACCESS_IMAGE:
        return "SELECT id, name, project_key, revision, deleted_ms FROM image_ever WHERE key = ?";
    case ACCESS_FLAVOR:
        return "SELECT id, name, project_key, revision, deleted_ms FROM flavor WHERE key = ?";
    case ACCESS_KEY:
        return "SELECT id, name, project_key, revision, deleted_ms FROM ssh_key WHERE key = ?";
    case ACCESS_NODE:
        return "SELECT id, name, NULL, revision, deleted_ms FROM node WHERE key = ?";
    case ACCESS_PROJECT:
        return "SELECT id, name, key, revision, deleted_ms FROM project WHERE key = ?";
    case ACCESS_TOKEN:
        return "SELECT id, name, project_key, revision, deleted_ms FROM token WHERE key = ?";
    case ACCESS_OPERATION:
        return "SELECT id, kind, project_key, revision, NULL FROM operation WHERE key = ?";
    case ACCESS_NETWORK:
        return "SELECT id, name, project_key, revision, deleted_ms FROM network WHERE key = ?";
    case ACCESS_PRICE:
        return "SELECT id, meter, project_key, revision, deleted_ms FROM price WHERE key = ?";
    }
    return NULL;
}

/* Pages of usage name thousands of rows: no printf. */
static void copy_text(char *to, size_t size, const char *text)
{
    size_t len = strnlen(text, size - 1);
    memcpy(to, text, len);
    to[len] = '\0';
}

int noun_row(struct db *db, enum access_kind kind, int64_t key, struct noun_row *ret_row,
             struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, identity_sql(kind));
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, kind);
    copy_text(ret_row->id, sizeof(ret_row->id), stmt_text(stmt, 0));
    copy_text(ret_row->name, sizeof(ret_row->name), stmt_text(stmt, 1));
    ret_row->project_key = stmt_i64(stmt, 2);
    ret_row->revision = stmt_i64(stmt, 3);
    ret_row->deleted = !stmt_null(stmt, 4);
    return 0;
}

int noun_next(struct stmt *stmt, struct window *window, struct err *err)
{
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc;
    if (window->count == window->limit) {
        window->more = true;
        return 0;
    }
    window->count++;
    window->last_key = stmt_i64(stmt, 0);
    return 1;
}
