/* Rows of tokens, and how the table in memory follows them after COMMIT. */
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "controller/access/access.h"
#include "controller/access/tokens_internal.h"
#include "controller/db/db.h"
#include "controller/noun/store_noun.h"
#include "controller/tx/writer.h"

static void fill_actor(struct token_entry *entry, const char *name)
{
    snprintf(entry->actor, sizeof(entry->actor), "%s:%s", entry->node_key ? "node" : "token", name);
}

int tokens_load(struct tokens *tokens, struct db *db, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key, project_key, node_key, role, hash, name FROM token"
                    " INDEXED BY token_all WHERE deleted_ms IS NULL");
    int rc;
    tokens_clear(tokens);
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct token_entry entry = {.key = stmt_i64(stmt, 0),
                                    .project_key = stmt_i64(stmt, 1),
                                    .node_key = stmt_i64(stmt, 2),
                                    .role = (enum role)stmt_i64(stmt, 3)};
        size_t len;
        memcpy(entry.hash, stmt_blob(stmt, 4, &len), sizeof(entry.hash));
        fill_actor(&entry, stmt_text(stmt, 5));
        tokens_put(tokens, &entry);
    }
    return rc;
}

/* ---- after COMMIT ---- */

struct change {
    struct tokens *tokens;
    struct token_entry entry;
};

static void apply_put(void *ctx)
{
    struct change *change = ctx;
    tokens_put(change->tokens, &change->entry);
    free(change);
}

static void apply_remove(void *ctx)
{
    struct change *change = ctx;
    tokens_remove(change->tokens, change->entry.key);
    free(change);
}

static void later(struct tx *tx, const struct token_entry *entry, void (*apply)(void *ctx))
{
    struct change *change = xmalloc(sizeof(*change));
    *change = (struct change){.tokens = tx->tokens, .entry = *entry};
    tx_after_commit(tx, apply, change, free);
}

/* ---- rows ---- */

static int insert(struct tx *tx, const struct token_new *new, const struct token_made *made,
                  const struct token_entry *entry, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO token (id, name, project_key, node_key, role, hash, revision,"
                        " created_ms) VALUES (?,?,?,?,?,?,?,?)");
    stmt_bind(stmt, "ttzzibii", made->id, new->name, new->project_key, new->node_key,
              (int64_t) new->role, (const void *)entry->hash, sizeof(entry->hash), made->revision,
              tx->now_ms);
    return stmt_run(stmt, err);
}

int token_check(struct tx *tx, int64_t key, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "SELECT 1 FROM token WHERE key = ? AND deleted_ms IS NULL");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_UNAUTHENTICATED, "the token was revoked");
    return rc < 0 ? -1 : 0;
}

int token_mint(struct tx *tx, const struct token_new *new, struct token_made *ret_made,
               struct err *err)
{
    struct token_entry entry = {
        .project_key = new->project_key, .node_key = new->node_key, .role = new->role};
    id_new(ret_made->id);
    if (new->secret)
        snprintf(ret_made->secret, sizeof(ret_made->secret), "%s", new->secret);
    else
        secret_new(role_names[new->role][0], ret_made->secret);
    sha256(ret_made->secret, strlen(ret_made->secret), entry.hash);
    ret_made->revision = tx_event(tx, &(struct event_row){.project_key = new->project_key,
                                                          .kind = "token",
                                                          .id = ret_made->id,
                                                          .name = new->name,
                                                          .what = "created"});
    if (insert(tx, new, ret_made, &entry, err) != 0)
        return -1;
    entry.key = ret_made->key = db_last_key(tx->db);
    fill_actor(&entry, new->name);
    later(tx, &entry, apply_put);
    return 0;
}

int token_revoke(struct tx *tx, int64_t key, struct err *err)
{
    struct noun_row row;
    if (noun_row(tx->db, ACCESS_TOKEN, key, &row, err) != 0)
        return -1;
    int64_t revision = tx_event(tx, &(struct event_row){.project_key = row.project_key,
                                                        .kind = "token",
                                                        .id = row.id,
                                                        .name = row.name,
                                                        .what = "deleted"});
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "UPDATE token SET deleted_ms = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "iii", tx->now_ms, revision, key);
    if (stmt_run(stmt, err) != 0)
        return -1;
    later(tx, &(struct token_entry){.key = key}, apply_remove);
    tx_touch(tx, WATCH_TOKEN, key);
    return 0;
}

/* One after another: a statement that walks the rows must not see them change. */
static int next_of(struct db *db, int64_t project_key, int64_t node_key, int64_t *ret_key,
                   struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key FROM token WHERE deleted_ms IS NULL"
                    " AND (project_key = ? OR node_key = ?) ORDER BY key LIMIT 1");
    stmt_bind(stmt, "zz", project_key, node_key);
    int rc = stmt_step(stmt, err);
    *ret_key = rc == 1 ? stmt_i64(stmt, 0) : 0;
    return rc;
}

int token_revoke_all(struct tx *tx, int64_t project_key, int64_t node_key, struct err *err)
{
    int64_t key;
    int rc;
    while ((rc = next_of(tx->db, project_key, node_key, &key, err)) == 1) {
        if (token_revoke(tx, key, err) != 0)
            return -1;
    }
    return rc;
}

/* ---- shown ---- */

static void put_row(struct stmt *stmt, struct json_writer *w, const char *secret)
{
    json_open(w, NULL, '{');
    json_put_str(w, "id", stmt_text(stmt, 1));
    json_put_str(w, "name", stmt_text(stmt, 2));
    json_put_str(w, "project", stmt_text(stmt, 3));
    json_put_str(w, "role", role_names[stmt_i64(stmt, 4)]);
    if (secret)
        json_put_str(w, "secret", secret);
    json_put_time(w, "created_at", stmt_i64(stmt, 5));
    if (!stmt_null(stmt, 6))
        json_put_time(w, "deleted_at", stmt_i64(stmt, 6));
    json_close(w, '}');
}

int token_show_row(struct db *db, int64_t key, const char *secret, struct json_writer *w,
                   int64_t *ret_revision, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT t.key, t.id, t.name, p.name, t.role, t.created_ms, t.deleted_ms,"
                    " t.revision FROM token t LEFT JOIN project p ON p.key = t.project_key"
                    " WHERE t.key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_TOKEN);
    put_row(stmt, w, secret);
    *ret_revision = stmt_i64(stmt, 7);
    return 0;
}

#define TOKENS_BY(index)                                                                         \
    "SELECT t.key, t.id, t.name, p.name, t.role, t.created_ms, t.deleted_ms FROM token t " index \
    " LEFT JOIN project p ON p.key = t.project_key WHERE t.key > ?1"                             \
    " AND t.deleted_ms IS NULL AND (?3 IS NULL OR t.name = ?3)"                                  \
    " AND (?4 IS NULL OR t.role = ?4 - 1)"
#define TOKENS_END " ORDER BY t.key LIMIT ?5"

int token_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                    struct window *window, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, filter->project_key
                        ? TOKENS_BY("INDEXED BY token_list") " AND t.project_key = ?2" TOKENS_END
                        : TOKENS_BY("INDEXED BY token_all") " AND ?2 = 0" TOKENS_END);
    stmt_bind(stmt, "iitzi", window->after_key, filter->project_key, filter->name, filter->role + 1,
              window->limit + 1);
    int rc;
    while ((rc = noun_next(stmt, window, err)) == 1)
        put_row(stmt, w, NULL);
    return rc;
}
