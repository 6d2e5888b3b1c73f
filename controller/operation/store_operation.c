/* Rows of operations: made, ended once, shown. */
#include "api/json/json.h"
#include "controller/db/db.h"
#include "controller/noun/store_noun.h"
#include "controller/operation/operation.h"
#include "controller/tx/writer.h"

int operation_create(struct tx *tx, const struct operation_new *new, struct operation_ref *ret_ref,
                     struct err *err)
{
    id_new(ret_ref->id);
    auto_stmt struct stmt *stmt = db_stmt(
        tx->db, "INSERT INTO operation (id, project_key, instance_key, kind, generation, run,"
                " state, timeout_ms, revision, created_ms)"
                " VALUES (?,?,?,?,?,?,0,?,?,?)");
    stmt_bind(stmt, "tiitiiiii", ret_ref->id, new->project_key, new->instance_key, new->kind,
              new->generation, new->run, new->timeout_ms, new->revision, tx->now_ms);
    if (stmt_run(stmt, err) != 0)
        return -1;
    ret_ref->key = db_last_key(tx->db);
    return 0;
}

/* What the event of its end tells. 1: it runs; 0: it has ended; -1. */
static int running(struct db *db, int64_t key, char id[ID_TEXT_MAX], char name[LIMIT_NAME + 1],
                   int64_t *ret_project_key, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT o.id, i.name, o.project_key FROM operation o JOIN instance i"
                    " ON i.key = o.instance_key WHERE o.key = ? AND o.state = 0");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc;
    snprintf(id, ID_TEXT_MAX, "%s", stmt_text(stmt, 0));
    snprintf(name, LIMIT_NAME + 1, "%s", stmt_text(stmt, 1));
    *ret_project_key = stmt_i64(stmt, 2);
    return 1;
}

static int set_end(struct tx *tx, int64_t key, const struct operation_end *end, int64_t revision,
                   struct err *err)
{
    bool failed = end->state == OPERATION_FAILED;
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "UPDATE operation SET state = ?, error_code = ?, error_detail = ?,"
                        " forced = (forced OR ?), finished_ms = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "ittiiii", (int64_t)end->state, failed ? err_info(end->code)->name : NULL,
              failed ? end->detail : NULL, (int64_t)end->forced, tx->now_ms, revision, key);
    return stmt_run(stmt, err);
}

int operation_finish(struct tx *tx, int64_t key, const struct operation_end *end, struct err *err)
{
    char id[ID_TEXT_MAX], name[LIMIT_NAME + 1];
    int64_t project_key;
    int rc = running(tx->db, key, id, name, &project_key, err);
    if (rc != 1)
        return rc;
    struct event_row event = {.project_key = project_key,
                              .kind = "operation",
                              .id = id,
                              .name = name,
                              .what = operation_state_names[end->state]};
    int64_t revision = tx_event(tx, &event);
    if (set_end(tx, key, end, revision, err) != 0)
        return -1;
    tx_touch(tx, WATCH_OPERATION, key);
    return 0;
}

static int next_running(struct db *db, int64_t instance_key, int64_t below, int64_t *ret_key,
                        struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key FROM operation WHERE instance_key = ? AND state = 0"
                    " AND generation < ? ORDER BY key LIMIT 1");
    stmt_bind(stmt, "ii", instance_key, below);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_key = stmt_i64(stmt, 0);
    return rc;
}

int operation_finish_all(struct tx *tx, int64_t instance_key, int64_t below,
                         const struct operation_end *end, struct err *err)
{
    int64_t key;
    int rc;
    while ((rc = next_running(tx->db, instance_key, below, &key, err)) == 1) {
        if (operation_finish(tx, key, end, err) != 0)
            return -1;
    }
    return rc;
}

int operation_status(struct db *db, int64_t key, struct operation_status *ret_status,
                     struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT revision, state = 0 FROM operation WHERE key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_OPERATION);
    ret_status->revision = stmt_i64(stmt, 0);
    ret_status->running = stmt_i64(stmt, 1) != 0;
    return 0;
}

static void put_row(struct stmt *stmt, struct json_writer *w, const char *key)
{
    json_open(w, key, '{');
    json_put_str(w, "id", stmt_text(stmt, 1));
    json_put_str(w, "kind", stmt_text(stmt, 2));
    json_put_str(w, "instance", stmt_text(stmt, 3));
    json_put_str(w, "instance_name", stmt_text(stmt, 4));
    json_put_str(w, "state", operation_state_names[stmt_i64(stmt, 5)]);
    json_put_time(w, "created_at", stmt_i64(stmt, 6));
    json_put_time(w, "finished_at", stmt_i64(stmt, 7));
    json_put_i64(w, "timeout_s", (stmt_i64(stmt, 8) + 999) / 1000);
    json_put_bool(w, "forced", stmt_i64(stmt, 9) != 0);
    if (stmt_null(stmt, 10)) {
        json_put_null(w, "error");
    } else {
        json_open(w, "error", '{');
        json_put_str(w, "code", stmt_text(stmt, 10));
        json_put_str(w, "detail", stmt_text(stmt, 11));
        json_close(w, '}');
    }
    json_close(w, '}');
}

int operation_put(struct db *db, int64_t operation_key, struct json_writer *w, const char *key,
                  struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT o.key, o.id, o.kind, i.id, i.name, o.state, o.created_ms,"
                    " o.finished_ms, o.timeout_ms, o.forced, o.error_code, o.error_detail"
                    " FROM operation o JOIN instance i ON i.key = o.instance_key WHERE o.key = ?");
    stmt_bind(stmt, "i", operation_key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_OPERATION);
    put_row(stmt, w, key);
    return 0;
}

/* clang-format off */
#define OPERATIONS_BY(index)                                                                       \
    "SELECT o.key, o.id, o.kind, i.id, i.name, o.state, o.created_ms, o.finished_ms, o.timeout_ms,"\
    " o.forced, o.error_code, o.error_detail FROM operation o " index                              \
    " CROSS JOIN instance i ON i.key = o.instance_key WHERE o.key > ?1"                            \
    " AND (?4 IS NULL OR o.kind = ?4) AND (?5 = 0 OR o.state = ?5 - 1) AND "
#define OPERATIONS_END " ORDER BY o.key LIMIT ?6"
/* clang-format on */

/* A text for each way to the rows: by what leaves least to be looked at. */
static const char *list_sql(const struct operation_filter *filter)
{
    if (filter->instance_key)
        return OPERATIONS_BY("INDEXED BY operation_instance") "(?2 = 0 OR o.project_key = ?2)"
                                                              " AND o.instance_key "
                                                              "= ?3" OPERATIONS_END;
    if (filter->state == OPERATION_RUNNING + 1)
        return OPERATIONS_BY("INDEXED BY operation_running") "o.state = 0 AND ?3 = 0 AND (?2 = 0 OR"
                                                             " o.project_key = ?2)" OPERATIONS_END;
    if (filter->project_key)
        return OPERATIONS_BY("INDEXED BY operation_list") "o.project_key = ?2 AND ?3 = "
                                                          "0" OPERATIONS_END;
    return OPERATIONS_BY("NOT INDEXED") "?2 = 0 AND ?3 = 0" OPERATIONS_END;
}

int operation_list_rows(struct db *db, const struct operation_filter *filter, struct json_writer *w,
                        struct window *window, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, list_sql(filter));
    stmt_bind(stmt, "iiitii", window->after_key, filter->project_key, filter->instance_key,
              filter->kind, (int64_t)filter->state, window->limit + 1);
    int rc;
    while ((rc = noun_next(stmt, window, err)) == 1)
        put_row(stmt, w, NULL);
    return rc;
}
