/* Rows of images. */
#include "controller/image/store_image.h"

#include <stdlib.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/db/db.h"

const char *const image_state_names[] = {"awaiting_upload", "ready", "missing", NULL};

/* clang-format off */
#define IMAGE_SELECT_BY(index)                                                                     \
    "SELECT m.key, m.id, m.project_key, p.name, m.name, m.public, m.format, m.state,"              \
    " m.size_bytes, m.virtual_bytes, m.sha256, m.expected_sha256, m.labels, m.revision,"           \
    " m.created_ms, m.deleted_ms, m.file_gone_ms, m.file_missing_ms"                               \
    " FROM image m " index " CROSS JOIN project p ON p.key = m.project_key "
#define IMAGE_SELECT IMAGE_SELECT_BY("")
#define IMAGE_LISTED                                                                               \
    " AND m.deleted_ms IS NULL AND m.key > ?1"                                                     \
    " AND (?4 IS NULL OR m.name = ?4)"                                                             \
    " AND (?5 IS NULL OR ?5 - 1 = CASE WHEN m.file_missing_ms IS NULL THEN m.state ELSE 2 END)"    \
    " AND (?6 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?6) s WHERE"                          \
    "      ifnull(json_extract(m.labels, '$.\"' || s.key || '\"') <> s.value,"                       \
    "             json_extract(m.labels, '$.\"' || s.key || '\"') IS NULL)))"                        \
    " ORDER BY m.key LIMIT ?3"
/* clang-format on */

static void read_row(struct stmt *stmt, struct image *row)
{
    *row = (struct image){
        .key = stmt_i64(stmt, 0),
        .id = stmt_text(stmt, 1),
        .project_key = stmt_i64(stmt, 2),
        .project = stmt_text(stmt, 3),
        .name = stmt_text(stmt, 4),
        .public = stmt_i64(stmt, 5) != 0,
        .format = (int)stmt_i64(stmt, 6),
        .state = (int)stmt_i64(stmt, 7),
        .size_bytes = stmt_i64(stmt, 8),
        .virtual_bytes = stmt_i64(stmt, 9),
        .sha256 = stmt_text(stmt, 10),
        .expected_sha256 = stmt_text(stmt, 11),
        .labels = stmt_text(stmt, 12),
        .revision = stmt_i64(stmt, 13),
        .created_ms = stmt_i64(stmt, 14),
        .deleted_ms = stmt_i64(stmt, 15),
        .file_gone_ms = stmt_i64(stmt, 16),
        .file_missing_ms = stmt_i64(stmt, 17),
    };
    if (row->file_missing_ms)
        row->state = IMAGE_MISSING;
}

void image_release(struct image *image)
{
    free(image->owned);
    image->owned = NULL;
}

static int read_one(struct stmt *stmt, struct image *ret_image, struct err *err)
{
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc;
    read_row(stmt, ret_image);
    const char **const fields[] = {&ret_image->id,     &ret_image->project,
                                   &ret_image->name,   &ret_image->sha256,
                                   &ret_image->labels, &ret_image->expected_sha256};
    ret_image->owned = texts_keep(fields, ARRAY_SIZE(fields));
    return 1;
}

int store_image_get(struct db *db, int64_t key, struct image *ret_image, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, IMAGE_SELECT "WHERE m.key = ?");
    stmt_bind(stmt, "i", key);
    int rc = read_one(stmt, ret_image, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND,
                       "the image was deleted so long ago that only its usage is kept");
    return rc < 0 ? -1 : 0;
}

int store_image_find(struct db *db, const char *id, struct image *ret_image, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, IMAGE_SELECT "WHERE m.id = ?");
    stmt_bind(stmt, "t", id);
    return read_one(stmt, ret_image, err);
}

int store_image_is_past(struct db *db, const char *id, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, "SELECT 1 FROM image_past WHERE id = ?");
    stmt_bind(stmt, "t", id);
    return stmt_step(stmt, err);
}

static int read_window(struct stmt *stmt, struct window *window, image_each *each, void *ctx,
                       struct err *err)
{
    int64_t count = 0;
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (count++ == window->limit) {
            window->more = true;
            return 0;
        }
        struct image row;
        read_row(stmt, &row);
        window->last_key = row.key;
        each(ctx, &row);
    }
    return rc;
}

/* What a project sees, and so looks at, is its own and what all see. */
int store_image_list(struct db *db, const struct image_filter *filter, struct window *window,
                     image_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, filter->project_key
                ? IMAGE_SELECT "WHERE m.key IN (SELECT key FROM image INDEXED BY image_list WHERE"
                               " project_key = ?2 AND deleted_ms IS NULL UNION ALL"
                               " SELECT key FROM image INDEXED BY image_public WHERE public = 1 AND"
                               " deleted_ms IS NULL)" IMAGE_LISTED
                : IMAGE_SELECT_BY("INDEXED BY image_all") "WHERE ?2 = 0" IMAGE_LISTED);
    stmt_bind(stmt, "iiitzt", window->after_key, filter->project_key, window->limit + 1,
              filter->name, (int64_t)filter->state, filter->labels);
    return read_window(stmt, window, each, ctx, err);
}

int store_image_hashes(struct db *db, image_hash_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, "SELECT DISTINCT sha256 FROM image INDEXED BY "
                                              "image_file WHERE state = 1 AND file_gone_ms IS NULL"
                                              " ORDER BY sha256");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1)
        each(ctx, stmt_text(stmt, 0));
    return rc;
}

int store_image_hashes_gone(struct db *db, int64_t limit, image_hash_each *each, void *ctx,
                            struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT sha256 FROM image WHERE state = 1 GROUP BY sha256"
                    " HAVING count(*) = count(file_gone_ms)"
                    " ORDER BY max(file_gone_ms) DESC, sha256 LIMIT ?");
    stmt_bind(stmt, "i", limit);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1)
        each(ctx, stmt_text(stmt, 0));
    return rc;
}

int store_image_files(struct db *db, image_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db,
        IMAGE_SELECT_BY(
            "INDEXED BY image_file") "WHERE m.state = 1 AND m.file_gone_ms IS NULL ORDER BY m.key");
    struct window all = {.limit = INT64_MAX};
    return read_window(stmt, &all, each, ctx, err);
}

int store_image_unused(struct db *db, image_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, IMAGE_SELECT_BY(
                "INDEXED BY image_file") "WHERE m.deleted_ms IS NOT NULL AND m.file_gone_ms IS NULL"
                                         " AND NOT EXISTS (SELECT 1 FROM instance i WHERE"
                                         " i.image_key = m.key AND i.gone_ms IS NULL)");
    struct window all = {.limit = INT64_MAX};
    return read_window(stmt, &all, each, ctx, err);
}

int store_image_on_node(struct db *db, int64_t image_key, int64_t node_key, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT 1 FROM instance WHERE image_key = ? AND node_key = ?"
                    " AND gone_ms IS NULL LIMIT 1");
    stmt_bind(stmt, "ii", image_key, node_key);
    return stmt_step(stmt, err);
}

static int name_taken(struct err *err, const struct image *image)
{
    if (err->code != ERR_CONFLICT)
        return -1;
    return err_set(err, ERR_NAME_TAKEN, "the project already has an image called %s", image->name);
}

int store_image_insert(struct db *db, struct image *image, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "INSERT INTO image (id, project_key, name, public, format, state,"
                    " expected_sha256, labels, revision, created_ms)"
                    " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?)");
    stmt_bind(stmt, "titiittii", image->id, image->project_key, image->name, (int64_t)image->public,
              (int64_t)image->format, image->expected_sha256, image->labels, image->revision,
              image->created_ms);
    if (stmt_run(stmt, err) != 0)
        return name_taken(err, image);
    image->key = db_last_key(db);
    return 0;
}

int store_image_update(struct db *db, const struct image *image, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "UPDATE image SET name = ?, public = ?, labels = ?, state = ?, size_bytes = ?,"
            " virtual_bytes = ?, sha256 = ?, revision = ?, deleted_ms = ?, file_gone_ms = ?,"
            " file_missing_ms = ? WHERE key = ?");
    /* Sizes count only when ready; an empty raw image is refused, so 0 is never one. */
    stmt_bind(stmt, "titizztizzzi", image->name, (int64_t)image->public, image->labels,
              (int64_t)(image->state != IMAGE_AWAITING_UPLOAD), image->size_bytes,
              image->virtual_bytes, image->sha256, image->revision, image->deleted_ms,
              image->file_gone_ms, image->file_missing_ms, image->key);
    return stmt_run(stmt, err) == 0 ? 0 : name_taken(err, image);
}

int store_image_set_file_gone(struct db *db, int64_t key, int64_t now_ms, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, "UPDATE image SET file_gone_ms = ? WHERE key = ?");
    stmt_bind(stmt, "ii", now_ms, key);
    return stmt_run(stmt, err);
}
