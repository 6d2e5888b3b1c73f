/* What no crash may leave in the database: SQL that must find nothing. */
#include <sqlite3.h>
#include <sys/stat.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "tests/faults/powercut.h"

static const struct {
    const char *wrong; /* what a row of it means */
    const char *sql;
} rules[] = {
    {"the integrity check says",
     "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'"},
    {"a foreign key points nowhere", "SELECT \"table\" FROM pragma_foreign_key_check"},
    {"the event log has a gap", "SELECT max(revision) - min(revision) + 1 - count(*) FROM event "
                                "HAVING max(revision) - min(revision) + 1 <> count(*)"},
    {"a revision is past the event log",
     "SELECT revision FROM (SELECT revision FROM instance UNION ALL SELECT revision FROM image "
     "UNION ALL SELECT revision FROM operation UNION ALL SELECT revision FROM token UNION ALL "
     "SELECT revision FROM ssh_key UNION ALL SELECT revision FROM node) "
     "WHERE revision > (SELECT max(revision) FROM event)"},
    {"an instance has no create operation",
     "SELECT name FROM instance WHERE key NOT IN "
     "(SELECT instance_key FROM operation WHERE kind = 'create')"},
    {"an instance has no interface",
     "SELECT name FROM instance WHERE key NOT IN (SELECT instance_key FROM interface)"},
    {"an instance has no event",
     "SELECT name FROM instance WHERE id NOT IN (SELECT id FROM event WHERE kind = 'instance')"},
    {"a live instance's address was released",
     "SELECT i.name FROM instance i JOIN interface f ON f.instance_key = i.key "
     "WHERE i.gone_ms IS NULL AND f.released_ms IS NOT NULL"},
    {"an answer is kept of an instance that is not there",
     "SELECT value FROM idempotency WHERE route LIKE '%instance%' AND value LIKE 'create-%' AND "
     "substr(value, 8) NOT IN (SELECT name FROM instance)"},
    {"a token has neither hash nor event",
     "SELECT name FROM token WHERE id NOT IN (SELECT id FROM event WHERE kind = 'token')"},
};

static char *find_wrong_row(sqlite3 *db)
{
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        sqlite3_stmt *stmt = NULL;
        char *wrong = NULL;
        if (sqlite3_prepare_v2(db, rules[i].sql, -1, &stmt, NULL) != SQLITE_OK)
            wrong = xasprintf("rule %zu: %s", i, sqlite3_errmsg(db));
        else if (sqlite3_step(stmt) == SQLITE_ROW)
            wrong = xasprintf("%s: %s", rules[i].wrong, (const char *)sqlite3_column_text(stmt, 0));
        sqlite3_finalize(stmt);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* A ready image's file is whole: its bytes have the SHA-256 of the row. */
static char *check_image(const char *data_dir, const char *id, const char *want)
{
    autofree char *path = xasprintf("%s/images/%s", data_dir, id);
    struct buf auto_buf bytes = {0};
    struct err auto_err err = {0};
    uint8_t hash[SHA256_BYTES];
    char text[SHA256_TEXT_MAX];
    if (file_read(path, 64 << 20, &bytes, &err) < 0)
        return xasprintf("image %s is ready: %s", id, err.msg);
    sha256(bytes.data, bytes.len, hash);
    sha256_text(hash, text);
    return strcmp(text, want) == 0 ? NULL : xasprintf("the bytes of image %s are not its own", id);
}

static char *check_images(sqlite3 *db, const char *data_dir)
{
    sqlite3_stmt *stmt = NULL;
    char *wrong = NULL;
    if (sqlite3_prepare_v2(db,
                           "SELECT id, sha256 FROM image WHERE state = 1 AND deleted_ms IS NULL",
                           -1, &stmt, NULL) != SQLITE_OK)
        return xasprintf("images: %s", sqlite3_errmsg(db));
    while (!wrong && sqlite3_step(stmt) == SQLITE_ROW)
        wrong = check_image(data_dir, (const char *)sqlite3_column_text(stmt, 0),
                            (const char *)sqlite3_column_text(stmt, 1));
    sqlite3_finalize(stmt);
    return wrong;
}

char *powercut_check_rows(const char *data_dir)
{
    autofree char *path = xasprintf("%s/minicloud.db", data_dir);
    sqlite3 *db = NULL;
    char *wrong = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        wrong = xasprintf("cannot open %s: %s", path, sqlite3_errmsg(db));
    /* The last one to close must not checkpoint: only the controller does. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(db, 5000);
    if (!wrong)
        wrong = find_wrong_row(db);
    if (!wrong)
        wrong = check_images(db, data_dir);
    sqlite3_close(db);
    return wrong;
}
