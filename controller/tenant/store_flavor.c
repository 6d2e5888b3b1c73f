/* Rows of flavors: sizes with a name, the same for all projects. */
#include "api/base/err.h"
#include "api/json/json.h"
#include "controller/db/db.h"
#include "controller/noun/store_noun.h"
#include "controller/tx/writer.h"

static int64_t tell(struct tx *tx, const char *id, const char *name, const char *what)
{
    return tx_event(tx,
                    &(struct event_row){.kind = "flavor", .id = id, .name = name, .what = what});
}

int flavor_insert(struct tx *tx, int64_t project_key, const struct flavor *flavor, int64_t *ret_key,
                  struct err *err)
{
    char id[ID_TEXT_MAX];
    id_new(id);
    int64_t revision = tell(tx, id, flavor->name, "created");
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO flavor (id, project_key, name, vcpus, memory_mib, disk_gib,"
                        " revision, created_ms) VALUES (?,?,?,?,?,?,?,?)");
    stmt_bind(stmt, "titiiiii", id, project_key, flavor->name, flavor->vcpus, flavor->memory_mib,
              flavor->disk_gib, revision, tx->now_ms);
    if (stmt_run(stmt, err) != 0)
        return noun_taken(err, ACCESS_FLAVOR, flavor->name);
    *ret_key = db_last_key(tx->db);
    return 0;
}

/* Instances keep their sizes and may go on naming a flavor that is deleted. */
int flavor_remove(struct tx *tx, int64_t key, struct err *err)
{
    struct noun_row row;
    if (noun_row(tx->db, ACCESS_FLAVOR, key, &row, err) != 0)
        return -1;
    int64_t revision = tell(tx, row.id, row.name, "deleted");
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "UPDATE flavor SET deleted_ms = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "iii", tx->now_ms, revision, key);
    return stmt_run(stmt, err);
}

int flavor_read(struct db *db, int64_t key, struct flavor *ret_flavor, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT name, vcpus, memory_mib, disk_gib FROM flavor WHERE key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_FLAVOR);
    snprintf(ret_flavor->name, sizeof(ret_flavor->name), "%s", stmt_text(stmt, 0));
    ret_flavor->vcpus = stmt_i64(stmt, 1);
    ret_flavor->memory_mib = stmt_i64(stmt, 2);
    ret_flavor->disk_gib = stmt_i64(stmt, 3);
    return 0;
}

static void put_row(struct stmt *stmt, struct json_writer *w)
{
    json_open(w, NULL, '{');
    json_put_str(w, "id", stmt_text(stmt, 1));
    json_put_str(w, "name", stmt_text(stmt, 2));
    json_put_i64(w, "vcpus", stmt_i64(stmt, 3));
    json_put_i64(w, "memory_mib", stmt_i64(stmt, 4));
    json_put_i64(w, "disk_gib", stmt_i64(stmt, 5));
    json_put_time(w, "created_at", stmt_i64(stmt, 6));
    if (!stmt_null(stmt, 7))
        json_put_time(w, "deleted_at", stmt_i64(stmt, 7));
    json_close(w, '}');
}

int flavor_show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                    struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key, id, name, vcpus, memory_mib, disk_gib, created_ms, deleted_ms,"
                    " revision FROM flavor WHERE key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_FLAVOR);
    put_row(stmt, w);
    *ret_revision = stmt_i64(stmt, 8);
    return 0;
}

int flavor_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                     struct window *window, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key, id, name, vcpus, memory_mib, disk_gib, created_ms, deleted_ms"
                    " FROM flavor WHERE key > ?1 AND deleted_ms IS NULL"
                    " AND (?2 IS NULL OR name = ?2) ORDER BY key LIMIT ?3");
    stmt_bind(stmt, "iti", window->after_key, filter->name, window->limit + 1);
    int rc;
    while ((rc = noun_next(stmt, window, err)) == 1)
        put_row(stmt, w);
    return rc;
}
