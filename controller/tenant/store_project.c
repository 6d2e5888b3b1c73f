/* Rows of projects. */
#include "api/base/err.h"
#include "api/json/json.h"
#include "controller/access/tokens.h"
#include "controller/db/db.h"
#include "controller/noun/store_noun.h"
#include "controller/tx/writer.h"

static int64_t tell(struct tx *tx, int64_t key, const char *id, const char *name, const char *what)
{
    return tx_event(
        tx, &(struct event_row){
                .project_key = key, .kind = "project", .id = id, .name = name, .what = what});
}

static int insert(struct tx *tx, const char *id, const char *name, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO project (id, name, revision, created_ms) VALUES (?,?,0,?)");
    stmt_bind(stmt, "tti", id, name, tx->now_ms);
    return stmt_run(stmt, err) == 0 ? 0 : noun_taken(err, ACCESS_PROJECT, name);
}

/* The event points at the project, so the row comes first and learns its revision after. */
int project_insert(struct tx *tx, const char *name, int64_t *ret_key, struct err *err)
{
    char id[ID_TEXT_MAX];
    id_new(id);
    if (insert(tx, id, name, err) != 0)
        return -1;
    *ret_key = db_last_key(tx->db);
    int64_t revision = tell(tx, *ret_key, id, name, "created");
    auto_stmt struct stmt *stmt = db_stmt(tx->db, "UPDATE project SET revision = ? WHERE key = ?");
    stmt_bind(stmt, "ii", revision, *ret_key);
    return stmt_run(stmt, err);
}

int project_rename(struct tx *tx, int64_t key, const char *name, struct err *err)
{
    struct noun_row row;
    if (noun_row(tx->db, ACCESS_PROJECT, key, &row, err) != 0)
        return -1;
    int64_t revision = tell(tx, key, row.id, name, "changed");
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "UPDATE project SET name = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "tii", name, revision, key);
    return stmt_run(stmt, err) == 0 ? 0 : noun_taken(err, ACCESS_PROJECT, name);
}

/* Instances count until their host has proved that they are gone. */
static int check_unused(struct db *db, int64_t key, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        db, "SELECT (SELECT count(*) FROM instance WHERE project_key = ?1 AND gone_ms IS NULL),"
            " (SELECT count(*) FROM image WHERE project_key = ?1 AND deleted_ms IS NULL),"
            " (SELECT count(*) FROM ssh_key WHERE project_key = ?1 AND deleted_ms IS NULL),"
            " (SELECT count(*) FROM network WHERE project_key = ?1 AND deleted_ms IS NULL)");
    stmt_bind(stmt, "i", key);
    if (stmt_step(stmt, err) != 1)
        return -1;
    int64_t instances = stmt_i64(stmt, 0), images = stmt_i64(stmt, 1), keys = stmt_i64(stmt, 2),
            networks = stmt_i64(stmt, 3);
    if (instances + images + keys + networks == 0)
        return 0;
    return err_set(
        err, ERR_IN_USE,
        "the project still has %lld instances, %lld images, %lld keys and %lld networks; "
        "delete them first",
        (long long)instances, (long long)images, (long long)keys, (long long)networks);
}

int project_remove(struct tx *tx, int64_t key, struct err *err)
{
    struct noun_row row;
    if (noun_row(tx->db, ACCESS_PROJECT, key, &row, err) != 0 ||
        check_unused(tx->db, key, err) != 0 || token_revoke_all(tx, key, 0, err) != 0)
        return -1;
    int64_t revision = tell(tx, key, row.id, row.name, "deleted");
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "UPDATE project SET deleted_ms = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "iii", tx->now_ms, revision, key);
    return stmt_run(stmt, err);
}

static void put_row(struct stmt *stmt, struct json_writer *w)
{
    json_open(w, NULL, '{');
    json_put_str(w, "id", stmt_text(stmt, 1));
    json_put_str(w, "name", stmt_text(stmt, 2));
    json_put_time(w, "created_at", stmt_i64(stmt, 3));
    if (!stmt_null(stmt, 4))
        json_put_time(w, "deleted_at", stmt_i64(stmt, 4));
    json_close(w, '}');
}

int project_show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                     struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        db, "SELECT key, id, name, created_ms, deleted_ms, revision FROM project WHERE key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_PROJECT);
    put_row(stmt, w);
    *ret_revision = stmt_i64(stmt, 5);
    return 0;
}

#define PROJECTS                                                               \
    "SELECT key, id, name, created_ms, deleted_ms FROM project WHERE key > ?1" \
    " AND deleted_ms IS NULL AND (?3 IS NULL OR name = ?3)"
#define PROJECTS_END " ORDER BY key LIMIT ?4"

int project_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                      struct window *window, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, filter->project_key ? PROJECTS " AND key = ?2" PROJECTS_END
                                        : PROJECTS " AND ?2 = 0" PROJECTS_END);
    stmt_bind(stmt, "iiti", window->after_key, filter->project_key, filter->name,
              window->limit + 1);
    int rc;
    while ((rc = noun_next(stmt, window, err)) == 1)
        put_row(stmt, w);
    return rc;
}
