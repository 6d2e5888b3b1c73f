/* The one door to a row. For each kind two statements, by id and by name, both giving
 * (key, project, public, deleted); then one rule for all. */
#include "controller/access/access.h"

#include <ctype.h>

#include "api/base/err.h"
#include "api/base/id.h"
#include "controller/db/db.h"
#include "controller/noun/store_noun.h"

struct found {
    int64_t key, project_key;
    bool public, deleted;
};

bool caller_is_operator(const struct caller *who)
{
    return who->project_key == 0 && who->node_key == 0 && who->role <= ROLE_ADMIN;
}

/* Who asks for something of which only its usage is left is told so. */
static const char *by_id(enum access_kind kind)
{
    switch (kind) {
    case ACCESS_INSTANCE:
        return "SELECT key, project_key, 0, deleted_ms FROM instance_ever WHERE id = ?1";
    case ACCESS_IMAGE:
        return "SELECT key, project_key, public, deleted_ms FROM image_ever WHERE id = ?1";
    case ACCESS_FLAVOR:
        return "SELECT key, project_key, 1, deleted_ms FROM flavor WHERE id = ?1";
    case ACCESS_KEY:
        return "SELECT key, project_key, 0, deleted_ms FROM ssh_key WHERE id = ?1";
    case ACCESS_NODE:
        return "SELECT key, NULL, 0, deleted_ms FROM node WHERE id = ?1";
    case ACCESS_PROJECT:
        return "SELECT key, key, 0, deleted_ms FROM project WHERE id = ?1";
    case ACCESS_TOKEN:
        return "SELECT key, project_key, 0, deleted_ms FROM token WHERE id = ?1";
    case ACCESS_OPERATION:
        return "SELECT key, project_key, 0, NULL FROM operation WHERE id = ?1";
    case ACCESS_NETWORK:
        return "SELECT key, project_key, public, deleted_ms FROM network WHERE id = ?1";
    case ACCESS_PRICE:
        return "SELECT key, project_key, project_key IS NULL, deleted_ms FROM price WHERE id = ?1";
    }
    return NULL;
}

/* ?2: the project. NULL: this kind has no names. */
static const char *by_name(enum access_kind kind)
{
    switch (kind) {
    case ACCESS_INSTANCE:
        return "SELECT key, project_key, 0, NULL FROM instance"
               " WHERE project_key = ?2 AND name = ?1 AND deleted_ms IS NULL";
    case ACCESS_IMAGE:
        return "SELECT key, project_key, public, NULL FROM image"
               " WHERE name = ?1 AND deleted_ms IS NULL AND (project_key = ?2 OR public = 1)"
               " ORDER BY project_key = ?2 DESC, key LIMIT 1";
    case ACCESS_FLAVOR:
        return "SELECT key, project_key, 1, NULL FROM flavor"
               " WHERE name = ?1 AND deleted_ms IS NULL AND ?2 IS NOT NULL";
    case ACCESS_KEY:
        return "SELECT key, project_key, 0, NULL FROM ssh_key"
               " WHERE project_key = ?2 AND name = ?1 AND deleted_ms IS NULL";
    case ACCESS_NODE:
        return "SELECT key, NULL, 0, NULL FROM node"
               " WHERE name = ?1 AND deleted_ms IS NULL AND ?2 IS NOT NULL";
    case ACCESS_PROJECT:
        return "SELECT key, key, 0, NULL FROM project"
               " WHERE name = ?1 AND deleted_ms IS NULL AND ?2 IS NOT NULL";
    case ACCESS_TOKEN:
        return "SELECT key, project_key, 0, NULL FROM token WHERE ifnull(project_key, 0) = ?2"
               " AND name = ?1 AND deleted_ms IS NULL AND node_key IS NULL";
    case ACCESS_OPERATION:
    case ACCESS_PRICE:
        return NULL;
    case ACCESS_NETWORK:
        return "SELECT key, project_key, public, NULL FROM network"
               " WHERE name = ?1 AND deleted_ms IS NULL AND (project_key = ?2 OR public = 1)"
               " ORDER BY project_key = ?2 DESC, key LIMIT 1";
    }
    return NULL;
}

/* 1, 0 or -1. `project_key` NULL: `ref` is an id. */
static int find(struct db *db, const char *sql, const char *ref, const int64_t *project_key,
                struct found *ret_found, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, sql);
    if (project_key)
        stmt_bind(stmt, "ti", ref, *project_key);
    else
        stmt_bind(stmt, "t", ref);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_found = (struct found){.key = stmt_i64(stmt, 0),
                                    .project_key = stmt_i64(stmt, 1),
                                    .public = stmt_i64(stmt, 2) != 0,
                                    .deleted = !stmt_null(stmt, 3)};
    return rc;
}

static int find_by_id(struct db *db, enum access_kind kind, const char *ref,
                      struct found *ret_found, struct err *err)
{
    char id[ID_TEXT_MAX];
    for (size_t i = 0; i < sizeof(id); i++)
        id[i] = (char)tolower((unsigned char)ref[i]);
    return find(db, by_id(kind), id, NULL, ret_found, err);
}

static int default_project(struct db *db, int64_t *ret_key, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key FROM project WHERE name = 'default' AND deleted_ms IS NULL");
    int rc = stmt_step(stmt, err);
    *ret_key = rc == 1 ? stmt_i64(stmt, 0) : 0;
    return rc < 0 ? -1 : 0;
}

static int find_by_name(struct db *db, const struct caller *who, enum access_kind kind,
                        int64_t project_key, const char *ref, struct found *ret_found,
                        struct err *err)
{
    const char *sql = by_name(kind);
    if (!sql)
        return 0;
    if (who->project_key)
        project_key = who->project_key;
    else if (!project_key && kind != ACCESS_TOKEN && default_project(db, &project_key, err) != 0)
        return -1;
    return find(db, sql, ref, &project_key, ret_found, err);
}

static bool may(const struct caller *who, enum access_verb verb, const struct found *found)
{
    if (found->deleted && verb == ACCESS_CHANGE)
        return false;
    if (caller_is_operator(who))
        return true;
    if (who->project_key == 0 || who->role > ROLE_ADMIN)
        return false;
    return found->project_key == who->project_key || (verb == ACCESS_SEE && found->public);
}

int access_row(struct db *db, const struct caller *who, enum access_verb verb,
               enum access_kind kind, int64_t project_key, const char *ref, int64_t *ret_key,
               struct err *err)
{
    struct found found = {0};
    int rc = id_valid(ref) ? find_by_id(db, kind, ref, &found, err)
                           : find_by_name(db, who, kind, project_key, ref, &found, err);
    if (rc < 0)
        return -1;
    if (rc == 0 || !may(who, verb, &found))
        return err_set(err, ERR_NOT_FOUND, "there is no %s %s", noun_name(kind), ref);
    *ret_key = found.key;
    return 0;
}

int access_project(struct db *db, const struct caller *who, const char *ref, int64_t *ret_key,
                   struct err *err)
{
    if (!ref && who->project_key) {
        *ret_key = who->project_key;
        return 0;
    }
    return access_row(db, who, ACCESS_CHANGE, ACCESS_PROJECT, 0, ref ? ref : "default", ret_key,
                      err);
}
