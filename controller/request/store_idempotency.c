/* Rows of kept answers, and of the audit. */
#include "api/base/id.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/request/idempotency.h"
#include "controller/request/request.h"
#include "controller/tx/writer.h"

static const char *key_of(const struct request *r)
{
    return strcmp(r->route->method, "POST") == 0 ? http_header(r->http, "Idempotency-Key") : NULL;
}

bool idempotency_named(const struct request *r)
{
    return key_of(r) != NULL;
}

/* The same path with another project is another request. */
static char *target_of(const struct request *r)
{
    struct buf target = {0};
    const char *name, *value;
    buf_puts(&target, http_path(r->http));
    for (size_t i = 0; http_query_at(r->http, i, &name, &value); i++)
        buf_printf(&target, "%c%s=%s", i ? '&' : '?', name, value);
    return buf_take(&target);
}

static void body_hash(const struct request *r, uint8_t hash[SHA256_BYTES])
{
    size_t len;
    const char *body = http_body(r->http, &len);
    sha256(body, len, hash);
}

static int check_key(const char *key, struct err *err)
{
    size_t len = strlen(key);
    if (len == 0 || len > LIMIT_IDEMPOTENCY_KEY)
        return err_field(err, "Idempotency-Key", "Idempotency-Key must have 1 to %d characters",
                         LIMIT_IDEMPOTENCY_KEY);
    for (size_t i = 0; i < len; i++) {
        if (key[i] < 0x21 || key[i] > 0x7e)
            return err_field(err, "Idempotency-Key",
                             "Idempotency-Key must be printable ASCII without blanks");
    }
    return 0;
}

static int replay(struct request *r, struct stmt *stmt, const char *key, struct err *err)
{
    uint8_t hash[SHA256_BYTES];
    size_t len;
    const void *kept = stmt_blob(stmt, 0, &len);
    body_hash(r, hash);
    if (len != sizeof(hash) || memcmp(kept, hash, sizeof(hash)) != 0)
        return err_set(err, ERR_IDEMPOTENCY,
                       "Idempotency-Key %s was used here with another body; take a new key", key);
    if (stmt_i64(stmt, 2))
        return err_set(err, ERR_SECRET_SHARED,
                       "it was done already, and its secret was shown then; delete it and make "
                       "another if the secret is lost");
    r->status = (int)stmt_i64(stmt, 1);
    buf_puts(&r->reply, stmt_text(stmt, 3));
    r->location = xstrdup(stmt_text(stmt, 4));
    r->etag = xstrdup(stmt_text(stmt, 5));
    r->replayed = true;
    return 1;
}

int idempotency_find(struct db *db, int64_t aged_ms, struct request *r, struct err *err)
{
    const char *key = key_of(r);
    if (!key)
        return 0;
    if (check_key(key, err) != 0)
        return -1;
    autofree char *target = target_of(r);
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT body_hash, status, secret, reply, location, etag FROM idempotency"
                    " WHERE token_key = ? AND route = ? AND value = ? AND created_ms > ?");
    stmt_bind(stmt, "itti", r->caller.token_key, target, key,
              aged_ms - IDEMPOTENCY_KEEP_SECONDS * 1000LL);
    int rc = stmt_step(stmt, err);
    return rc == 1 ? replay(r, stmt, key, err) : rc;
}

int idempotency_keep(struct tx *tx, struct request *r, struct err *err)
{
    const char *key = key_of(r);
    if (!key || r->status >= 300)
        return 0;
    uint8_t hash[SHA256_BYTES];
    body_hash(r, hash);
    autofree char *target = target_of(r);
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT OR REPLACE INTO idempotency (token_key, route, value, body_hash,"
                        " status, secret, reply, location, etag, created_ms)"
                        " VALUES (?,?,?,?,?,?,?,?,?,?)");
    const char *reply = r->secret || !r->reply.data ? "" : r->reply.data;
    stmt_bind(stmt, "ittbiittti", r->caller.token_key, target, key, (const void *)hash,
              sizeof(hash), (int64_t)r->status, (int64_t)r->secret, reply, r->location, r->etag,
              tx->now_ms);
    return stmt_run(stmt, err);
}

int audit_keep(struct tx *tx, const struct request *r, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO audit (time_ms, actor, project_key, action, target,"
                        " request_id, revision) VALUES (?,?,?,?,?,?,?)");
    stmt_bind(stmt, "itzttti", tx->now_ms, tx->actor, r->caller.project_key, r->route->action,
              r->args[0], tx->request_id, tx_revision(tx));
    return stmt_run(stmt, err);
}
