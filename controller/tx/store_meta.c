/* Single values of the whole database. */
#include <stdio.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/tx/meta.h"
#include "controller/tx/writer.h"

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

int epoch_of_node(struct db *db, int64_t node_key, char text[ID_TEXT_MAX], struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT epoch FROM node WHERE key = ?");
    stmt_bind(stmt, "i", node_key);
    int rc = stmt_step(stmt, err);
    if (rc < 0)
        return -1;
    if (rc == 0 || stmt_null(stmt, 0))
        return epoch_get(db, text, err);
    snprintf(text, ID_TEXT_MAX, "%s", stmt_text(stmt, 0));
    return 0;
}

/* The time in a UUIDv7: 48 bits, in the first 12 of its digits. */
static int64_t epoch_time_ms(const char *epoch)
{
    int64_t ms = 0;
    for (int digits = 0; *epoch && digits < 12; epoch++) {
        int digit = *epoch <= '9' ? *epoch - '0' : (*epoch | 0x20) - 'a' + 10;
        if (*epoch == '-')
            continue;
        ms = ms << 4 | (digit & 15);
        digits++;
    }
    return ms;
}

int epoch_latest(struct db *db, char text[ID_TEXT_MAX], struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT max(epoch) FROM node");
    char own[ID_TEXT_MAX];
    if (epoch_get(db, own, err) != 0 || stmt_step(stmt, err) != 1)
        return -1;
    bool node = !stmt_null(stmt, 0) && strcmp(stmt_text(stmt, 0), own) > 0;
    snprintf(text, ID_TEXT_MAX, "%s", node ? stmt_text(stmt, 0) : own);
    return 0;
}

/* The clock may have been set back since the last one: its time is gone past then. */
static void epoch_after(const char *last, char text[ID_TEXT_MAX])
{
    id_new(text);
    if (strcmp(text, last) > 0)
        return;
    char time[13];
    snprintf(time, sizeof(time), "%012llx", (unsigned long long)epoch_time_ms(last) + 1);
    memcpy(text, time, 8);
    memcpy(text + 9, time + 8, 4);
}

int epoch_mint(struct tx *tx, const char *after, char text[ID_TEXT_MAX], struct err *err)
{
    char last[ID_TEXT_MAX];
    if (epoch_latest(tx->db, last, err) != 0)
        return -1;
    epoch_after(after && strcmp(after, last) > 0 ? after : last, text);
    auto_stmt struct stmt *stmt = db_stmt(tx->db, "UPDATE node SET epoch = NULL");
    return meta_set(tx, "epoch", text, err) == 0 ? stmt_run(stmt, err) : -1;
}

int epoch_mint_of_node(struct tx *tx, int64_t node_key, char text[ID_TEXT_MAX], struct err *err)
{
    char last[ID_TEXT_MAX];
    if (epoch_latest(tx->db, last, err) != 0)
        return -1;
    epoch_after(last, text);
    auto_stmt struct stmt *stmt = db_stmt(tx->db, "UPDATE node SET epoch = ? WHERE key = ?");
    stmt_bind(stmt, "ti", text, node_key);
    return stmt_run(stmt, err);
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

int revision_mark(struct db *db, int64_t revision, char text[MARK_TEXT_MAX], struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT time_ms, actor, kind, id, what FROM event WHERE revision = ?");
    stmt_bind(stmt, "i", revision);
    text[0] = '\0';
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc;
    struct buf auto_buf whole = {0};
    uint8_t hash[SHA256_BYTES];
    char hex[SHA256_TEXT_MAX];
    buf_i64(&whole, stmt_i64(stmt, 0));
    for (int i = 1; i <= 4; i++)
        buf_printf(&whole, "\n%s", stmt_text(stmt, i));
    sha256(whole.data, whole.len, hash);
    sha256_text(hash, hex);
    snprintf(text, MARK_TEXT_MAX, "%.16s", hex);
    return 1;
}

int revision_foreign(struct db *db, int64_t revision, const char *mark, struct err *err)
{
    int64_t first, last;
    char own[MARK_TEXT_MAX];
    if (revision_range(db, &first, &last, err) != 0)
        return -1;
    if (revision > last)
        return 1;
    if (!mark || !*mark)
        return 0;
    int rc = revision_mark(db, revision, own, err);
    /* What follows the history in a mark is a signature (marks.h). */
    return rc == 1 ? strncmp(mark, own, MARK_TEXT_MAX - 1) != 0 : rc;
}
