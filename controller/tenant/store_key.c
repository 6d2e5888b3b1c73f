/* Rows of SSH public keys. */
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/json/validate.h"
#include "controller/db/db.h"
#include "controller/noun/store_noun.h"
#include "controller/tx/writer.h"

static int64_t tell(struct tx *tx, int64_t project_key, const char *id, const char *name,
                    const char *what)
{
    return tx_event(
        tx, &(struct event_row){
                .project_key = project_key, .kind = "key", .id = id, .name = name, .what = what});
}

int key_insert(struct tx *tx, int64_t project_key, const char *name, const char *public_key,
               int64_t *ret_key, struct err *err)
{
    char id[ID_TEXT_MAX];
    id_new(id);
    autofree char *fingerprint = public_key_fingerprint(public_key);
    int64_t revision = tell(tx, project_key, id, name, "created");
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO ssh_key (id, project_key, name, public_key, fingerprint,"
                        " revision, created_ms) VALUES (?,?,?,?,?,?,?)");
    stmt_bind(stmt, "titttii", id, project_key, name, public_key, fingerprint, revision,
              tx->now_ms);
    if (stmt_run(stmt, err) != 0)
        return noun_taken(err, ACCESS_KEY, name);
    *ret_key = db_last_key(tx->db);
    return 0;
}

int key_rename(struct tx *tx, int64_t key, const char *name, struct err *err)
{
    struct noun_row row;
    if (noun_row(tx->db, ACCESS_KEY, key, &row, err) != 0)
        return -1;
    int64_t revision = tell(tx, row.project_key, row.id, name, "changed");
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "UPDATE ssh_key SET name = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "tii", name, revision, key);
    return stmt_run(stmt, err) == 0 ? 0 : noun_taken(err, ACCESS_KEY, name);
}

/* Instances have a copy of the line, so nothing points at a key. */
int key_remove(struct tx *tx, int64_t key, struct err *err)
{
    struct noun_row row;
    if (noun_row(tx->db, ACCESS_KEY, key, &row, err) != 0)
        return -1;
    int64_t revision = tell(tx, row.project_key, row.id, row.name, "deleted");
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "UPDATE ssh_key SET deleted_ms = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "iii", tx->now_ms, revision, key);
    return stmt_run(stmt, err);
}

int key_line(struct db *db, int64_t key, char **ret_name, char **ret_line, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT name, public_key FROM ssh_key WHERE key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_KEY);
    *ret_name = xstrdup(stmt_text(stmt, 0));
    *ret_line = xstrdup(stmt_text(stmt, 1));
    return 0;
}

static void put_row(struct stmt *stmt, struct json_writer *w)
{
    json_open(w, NULL, '{');
    json_put_str(w, "id", stmt_text(stmt, 1));
    json_put_str(w, "name", stmt_text(stmt, 2));
    json_put_str(w, "project", stmt_text(stmt, 3));
    json_put_str(w, "public_key", stmt_text(stmt, 4));
    json_put_str(w, "fingerprint", stmt_text(stmt, 5));
    json_put_time(w, "created_at", stmt_i64(stmt, 6));
    if (!stmt_null(stmt, 7))
        json_put_time(w, "deleted_at", stmt_i64(stmt, 7));
    json_close(w, '}');
}

int key_show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                 struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT k.key, k.id, k.name, p.name, k.public_key, k.fingerprint, k.created_ms,"
                    " k.deleted_ms, k.revision FROM ssh_key k JOIN project p ON p.key ="
                    " k.project_key WHERE k.key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_KEY);
    put_row(stmt, w);
    *ret_revision = stmt_i64(stmt, 8);
    return 0;
}

#define KEYS_BY(index)                                                                     \
    "SELECT k.key, k.id, k.name, p.name, k.public_key, k.fingerprint, k.created_ms,"       \
    " k.deleted_ms FROM ssh_key k " index " CROSS JOIN project p ON p.key = k.project_key" \
    " WHERE k.key > ?1 AND k.deleted_ms IS NULL AND (?3 IS NULL OR k.name = ?3)"
#define KEYS_END " ORDER BY k.key LIMIT ?4"

int key_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                  struct window *window, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, filter->project_key
                        ? KEYS_BY("INDEXED BY ssh_key_list") " AND k.project_key = ?2" KEYS_END
                        : KEYS_BY("INDEXED BY ssh_key_all") " AND ?2 = 0" KEYS_END);
    stmt_bind(stmt, "iiti", window->after_key, filter->project_key, filter->name,
              window->limit + 1);
    int rc;
    while ((rc = noun_next(stmt, window, err)) == 1)
        put_row(stmt, w);
    return rc;
}
