/* Labels by the keys that segments carry; deleted rows too. */
#include "controller/usage/store_usage.h"

#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/ledger/segment/segment.h"

static int first_text(struct stmt *stmt, char **ret_text, struct err *err)
{
    *ret_text = NULL;
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_text = xstrdup(stmt_text(stmt, 0));
    return rc < 0 ? -1 : 0;
}

/* A label's name has neither quotes nor backslashes, so that a path can quote it. */
int store_usage_label(struct db *db, int resource, int64_t key, const char *name, char **ret_value,
                      struct err *err)
{
    autofree char *path = xasprintf("$.\"%s\"", name);
    auto_stmt struct stmt *stmt =
        db_stmt(db, resource == RESOURCE_IMAGE
                        ? "SELECT json_extract(labels, ?) FROM image_ever WHERE key = ?"
                        : "SELECT json_extract(labels, ?) FROM instance_ever WHERE key = ?");
    stmt_bind(stmt, "ti", path, key);
    return first_text(stmt, ret_value, err);
}

int store_usage_labels(struct db *db, int resource, int64_t key, char **ret_json, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, resource == RESOURCE_IMAGE ? "SELECT labels FROM image_ever WHERE key = ?"
                                               : "SELECT labels FROM instance_ever WHERE key = ?");
    stmt_bind(stmt, "i", key);
    return first_text(stmt, ret_json, err);
}
