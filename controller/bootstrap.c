/* The first start: everything that must be there before the first request, in one
 * transaction. A token's file is durable before its hash is committed, so that a power
 * cut leaves either both or a database without them, which then takes what the files hold.
 * The folder's mark (data_dir.h) is there before the files and goes after the COMMIT. */
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/access/tokens.h"
#include "controller/app.h"
#include "controller/data_dir.h"
#include "controller/db/db.h"
#include "controller/instance/instance_mend.h"
#include "controller/network/network.h"
#include "controller/node/marks.h"
#include "controller/noun/store_noun.h"
#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"

static const struct flavor flavors[] = {
    {"tiny", 1, 128, 1},    {"small", 1, 512, 5},     {"medium", 2, 2048, 20},
    {"large", 4, 8192, 40}, {"xlarge", 8, 16384, 80},
};

static int write_secret(const char *data_dir, const char *file, const char *secret, struct err *err)
{
    autofree char *path = xasprintf("%s/%s", data_dir, file);
    autofree char *line = xasprintf("%s\n", secret);
    return file_write("token", path, line, strlen(line), 0600, err);
}

/* Without the line's end. ERR_NOT_FOUND: no file. */
static int read_secret(const char *path, char kind, char secret[SECRET_TEXT_MAX], struct err *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char prefix[] = {'m', 'c', '_', kind, '_'};
    auto_buf struct buf text = {0};
    if (file_read(path, 4096, &text, err) != 0)
        return -1;
    buf_putc(&text, '\n');
    size_t len = strcspn(text.data, "\n");
    if (len >= SECRET_TEXT_MAX || len <= sizeof(prefix) ||
        memcmp(text.data, prefix, sizeof(prefix)) != 0 || strspn(text.data, digits) != len)
        return err_set(err, ERR_CONFLICT, "%s is there, but holds no token: move it away", path);
    snprintf(secret, SECRET_TEXT_MAX, "%.*s", (int)len, text.data);
    return 0;
}

/* A file that is there already is of a start that was cut off, or of a cloud whose database was
 * lost: its token stays good, and the file as it is. */
static int keep_secret(const char *data_dir, const char *file, char kind,
                       char secret[SECRET_TEXT_MAX], struct err *err)
{
    autofree char *path = xasprintf("%s/%s", data_dir, file);
    if (read_secret(path, kind, secret, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    secret_new(kind, secret);
    return write_secret(data_dir, file, secret, err);
}

/* ---- rows ---- */

struct first {
    const struct settings *settings;
    char admin[SECRET_TEXT_MAX], join[SECRET_TEXT_MAX];
};

static int add_flavors(struct tx *tx, int64_t project_key, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(flavors); i++) {
        int64_t key;
        if (flavor_insert(tx, project_key, &flavors[i], &key, err) != 0)
            return -1;
    }
    return 0;
}

static int add_token(struct tx *tx, const char *name, enum role role, const char *secret,
                     struct err *err)
{
    struct token_made made;
    return token_mint(tx, &(struct token_new){.name = name, .role = role, .secret = secret}, &made,
                      err);
}

static int first_run(struct tx *tx, void *ctx, struct err *err)
{
    struct first *first = ctx;
    char epoch[ID_TEXT_MAX], created[CLOCK_TEXT_MAX];
    int64_t project_key;
    clock_format(tx->now_ms, created);
    id_new(epoch);
    if (meta_set(tx, "epoch", epoch, err) != 0 || meta_set(tx, "created", created, err) != 0 ||
        project_insert(tx, "default", &project_key, err) != 0 ||
        add_flavors(tx, project_key, err) != 0 ||
        network_create_default(tx, project_key, first->settings->network_cidr, err) != 0)
        return -1;
    if (add_token(tx, "admin", ROLE_ADMIN, first->admin, err) != 0)
        return -1;
    return add_token(tx, "join", ROLE_JOIN, first->join, err);
}

static int first_start(struct app *app, struct err *err)
{
    struct first first = {.settings = &app->settings};
    const char *data_dir = app->settings.data_dir;
    if (keep_secret(data_dir, "admin.token", 'a', first.admin, err) != 0 ||
        keep_secret(data_dir, "join.token", 'j', first.join, err) != 0)
        return -1;
    if (writer_call(app->writer, &(struct write_job){.run = first_run, .ctx = &first}, err) != 0)
        return err_context(err, "first start");
    log_info("bootstrap", "data_dir=\"%s\" admin_token=admin.token", data_dir);
    return 0;
}

/* ---- the admin token ---- */

static int old_admin(struct db *db, int64_t *ret_key, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key FROM token WHERE project_key IS NULL AND node_key IS NULL"
                    " AND name = 'admin' AND deleted_ms IS NULL");
    int rc = stmt_step(stmt, err);
    *ret_key = rc == 1 ? stmt_i64(stmt, 0) : 0;
    return rc < 0 ? -1 : 0;
}

static int replace_run(struct tx *tx, void *ctx, struct err *err)
{
    int64_t old;
    if (old_admin(tx->db, &old, err) != 0 || (old && token_revoke(tx, old, err) != 0))
        return -1;
    return add_token(tx, "admin", ROLE_ADMIN, ctx, err);
}

static int replace_admin(struct writer *writer, const char *data_dir, struct err *err)
{
    char secret[SECRET_TEXT_MAX];
    secret_new('a', secret);
    if (write_secret(data_dir, "admin.token", secret, err) != 0)
        return -1;
    return writer_call(writer, &(struct write_job){.run = replace_run, .ctx = secret}, err);
}

/* Someone who deleted the last operator's token would be locked out of their own cloud. */
static int has_operator(struct db *db, bool *ret_has, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT 1 FROM token WHERE project_key IS NULL AND node_key IS NULL"
                    " AND role = ? AND deleted_ms IS NULL LIMIT 1");
    stmt_bind(stmt, "i", (int64_t)ROLE_ADMIN);
    int rc = stmt_step(stmt, err);
    *ret_has = rc == 1;
    return rc < 0 ? -1 : 0;
}

/* ---- what an earlier life left ---- */

static int note_key(struct tx *tx, void *ctx, struct err *err)
{
    return meta_set(tx, "marks_key", ctx, err);
}

/* Whether the key that signs marks is the one that this database knew (marks.h). */
static int check_key(struct app *app, struct db *db, struct err *err)
{
    autofree char *known = NULL;
    char name[MARKS_NAME_MAX];
    marks_name(app->marks, name);
    if (meta_get(db, "marks_key", &known, err) != 0)
        return -1;
    if (known && strcmp(known, name) == 0)
        return 0;
    if (known)
        log_warn("marks.key",
                 "reason=\"marks.key is not the key that this database knew: no host can prove "
                 "what it was told before; if the database is a copy from the past, say so: "
                 "cloudctl system restored\"");
    return writer_call(app->writer, &(struct write_job){.run = note_key, .ctx = name}, err);
}

/* One bad row must not keep the cloud down. */
static void mend_rows(struct app *app)
{
    auto_err struct err err = {0};
    if (writer_call(app->writer, &(struct write_job){.run = instances_mend}, &err) != 0)
        log_error("instance.row", "reason=\"%s\"", err.msg);
}

/* The file may be of another time than the database, when a copy was put back. */
static int say_stale(const char *data_dir, struct db *db, struct err *err)
{
    char secret[SECRET_TEXT_MAX];
    uint8_t hash[SHA256_BYTES];
    auto_err struct err ignored = {0};
    autofree char *path = xasprintf("%s/admin.token", data_dir);
    if (read_secret(path, 'a', secret, &ignored) != 0)
        return 0;
    sha256(secret, strlen(secret), hash);
    explicit_bzero(secret, sizeof(secret));
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT 1 FROM token WHERE hash = ? AND deleted_ms IS NULL");
    stmt_bind(stmt, "b", (const void *)hash, sizeof(hash));
    int rc = stmt_step(stmt, err);
    if (rc == 0)
        log_warn("bootstrap.stale",
                 "file=\"%s\" reason=\"the database does not know its token, or "
                 "not any more\" cure=\"cloud-controller admin-token\"",
                 path);
    return rc < 0 ? -1 : 0;
}

static int later_start(struct app *app, struct db *db, struct err *err)
{
    bool has;
    const char *data_dir = app->settings.data_dir;
    if (has_operator(db, &has, err) != 0)
        return -1;
    if (has)
        return say_stale(data_dir, db, err);
    log_warn("bootstrap.admin",
             "reason=\"no operator's token is left\" action=\"a new one is in "
             "%s/admin.token\"",
             data_dir);
    return replace_admin(app->writer, data_dir, err);
}

int bootstrap(struct app *app, struct err *err)
{
    autofree char *epoch = NULL;
    struct db *db = app_reader(app);
    if (meta_get(db, "epoch", &epoch, err) != 0)
        return -1;
    if ((epoch ? later_start(app, db, err) : first_start(app, err)) != 0 ||
        check_key(app, db, err) != 0)
        return -1;
    mend_rows(app);
    return data_dir_begun(app->settings.data_dir, err);
}

/* ---- the local commands ---- */

static int replace_in(const char *db_path, const char *data_dir, struct tokens *tokens,
                      struct watch *watch, struct err *err)
{
    struct writer *writer = NULL;
    struct writer_settings settings = {.db_path = db_path, .tokens = tokens, .watch = watch};
    if (writer_start(&settings, &writer, err) != 0)
        return -1;
    int rc = replace_admin(writer, data_dir, err);
    writer_stop(writer);
    return rc;
}

int admin_token_replace(const struct settings *settings, struct err *err)
{
    autoclose int lock_fd = -1;
    autofree char *lock = xasprintf("%s/lock", settings->data_dir);
    autofree char *db_path = xasprintf("%s/minicloud.db", settings->data_dir);
    if (data_dir_has_cloud(settings->data_dir, err) != 0)
        return -1;
    if (file_lock(lock, &lock_fd, err) != 0)
        return err_context(err, "a controller runs on this data");
    struct db *db = NULL;
    if (db_open(db_path, DB_WRITER, &db, err) != 0)
        return -1;
    int rc = db_migrate(db, err);
    db_close(db);
    if (rc != 0)
        return -1;
    struct tokens *tokens = tokens_new();
    struct watch *watch = watch_new();
    rc = replace_in(db_path, settings->data_dir, tokens, watch, err);
    watch_free(watch);
    tokens_free(tokens);
    return rc;
}

int new_cloud(const struct settings *settings, struct err *err)
{
    autoclose int lock_fd = -1;
    autofree char *lock = xasprintf("%s/lock", settings->data_dir);
    if (file_lock(lock, &lock_fd, err) != 0)
        return -1;
    return data_dir_begin_anew(settings->data_dir, err);
}
