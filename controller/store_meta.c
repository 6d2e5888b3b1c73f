/* Single values of the whole database. */
#include "api/clock.h"
#include "api/err.h"
#include "api/mem.h"
#include "controller/db.h"
#include "controller/meta.h"
#include "controller/writer.h"

int meta_get(struct db *db, const char *name, char **ret_value, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT value FROM meta WHERE name = ?");
    stmt_bind(stmt, "t", name);
    int rc = stmt_step(stmt, err);
    if (rc >= 0)
        *ret_value = rc ? xstrdup(stmt_text(stmt, 0)) : NULL;
    return rc < 0 ? -1 : 0;
}

int meta_set(struct tx *tx, const char *name, const char *value, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO meta (name, value) VALUES (?,?)"
                        " ON CONFLICT(name) DO UPDATE SET value = excluded.value");
    stmt_bind(stmt, "tt", name, value);
    return stmt_run(stmt, err);
}

int epoch_get(struct db *db, char text[ID_TEXT_MAX], struct err *err)
{
    autofree char *value = NULL;
    if (meta_get(db, "epoch", &value, err) != 0)
        return -1;
    if (!value)
        return err_set(err, ERR_INTERNAL, "the database has no epoch");
    snprintf(text, ID_TEXT_MAX, "%s", value);
    return 0;
}

int epoch_mint(struct tx *tx, char text[ID_TEXT_MAX], struct err *err)
{
    id_new(text);
    return meta_set(tx, "epoch", text, err);
}

/* The counter outlives the rows: a log that was emptied still goes on where it was. */
int revision_range(struct db *db, int64_t *ret_first, int64_t *ret_last, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT (SELECT min(revision) FROM event),"
                    " (SELECT seq FROM sqlite_sequence WHERE name = 'event')");
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_last = stmt_i64(stmt, 1);
    *ret_first = stmt_null(stmt, 0) ? *ret_last + 1 : stmt_i64(stmt, 0);
    return 0;
}
