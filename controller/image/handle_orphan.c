/* /v1/orphans: files among the images that no row speaks for. They are seen, taken back or
 * removed by operators only; reading them takes a pool thread. */
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/file.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/json/validate.h"
#include "api/json/wire.h"
#include "api/json/wire_table.h"
#include "controller/access/tokens.h"
#include "controller/image/image.h"
#include "controller/image/image_files.h"
#include "controller/image/image_format.h"
#include "controller/image/image_note.h"
#include "controller/image/store_image.h"
#include "controller/request/handlers.h"
#include "controller/request/idempotency.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/wait/pool.h"
#include "controller/world.h"

/* ---- list ---- */

struct listing {
    struct app *app;
    struct json_writer *w;
    int64_t index, after, limit;
};

static const char *noted(const struct json *note, const char *member)
{
    return json_str(json_get(note, member));
}

static void put_orphan(struct json_writer *w, const struct app *app, const struct orphan *orphan)
{
    char bytes[24];
    auto_json struct json *note = orphan->has_id ? image_note_read(app, orphan->file) : NULL;
    const struct image *row = orphan->row;
    snprintf(bytes, sizeof(bytes), "%lld", (long long)orphan->bytes);
    json_open(w, NULL, '{');
    json_put_str(w, "file", orphan->file);
    json_put_str(w, "size_bytes", bytes);
    json_put_time(w, "modified_at", orphan->modified_ms);
    json_put_bool(w, "importable", orphan->has_id && !orphan->past);
    json_put_str(w, "name", row ? row->name : noted(note, "name"));
    json_put_str(w, "project", row ? row->project : noted(note, "project"));
    json_put_str(w, "format", row ? format_names[row->format] : noted(note, "format"));
    json_put_str(w, "sha256", noted(note, "sha256"));
    json_put_str(w, "reason",
                 row              ? "the image awaits its upload"
                 : orphan->past   ? "its image was deleted long ago"
                 : orphan->has_id ? "there is no such image"
                                  : "the name is not an image's");
    json_close(w, '}');
}

static void list_one(void *ctx, const struct orphan *orphan)
{
    struct listing *listing = ctx;
    if (listing->index >= listing->after && listing->index < listing->after + listing->limit)
        put_orphan(listing->w, listing->app, orphan);
    listing->index++;
}

static int list(struct db *db, struct request *r, struct err *err)
{
    static const char *const params[] = {"limit", "cursor", NULL};
    struct page page;
    int64_t revision = app_revision(r->app);
    if (request_only(r, params, err) != 0 || request_page(r, &page, err) != 0)
        return -1;
    struct json_writer w = request_json(r, 200);
    struct listing listing = {.app = r->app, .w = &w, .after = page.after_key, .limit = page.limit};
    page_open(&w, "orphans");
    if (orphans_list(r->app, db, list_one, &listing, err) != 0)
        return -1;
    int64_t end = listing.after + listing.limit;
    page_close(&w, listing.index > end, end, revision);
    return 0;
}

void handle_orphan_list(struct request *r)
{
    request_pool(r, list);
}

/* ---- one of them, held until the request ends ---- */

struct import_input {
    char *name;
    int format;
    uint64_t present;
};

#define STRUCT import_input
static const struct wire_field import_input_fields[] = {
    W_STR(name, LIMIT_NAME, .min = 1, .check = validate_name), W_ENUM(format, format_names)};
static const struct wire_struct import_input_wire = WIRE_STRUCT_PRESENT(import_input);
#undef STRUCT
enum { IMPORT_FORMAT = 1 << 1 };

struct holding {
    struct request *r;
    struct app *app;
    const char *file; /* the request's */
    bool claimed;
    struct image row;
    struct orphan orphan;
    struct import_input *in;
    struct json *note;
    int format;
    struct image_content content;
    struct err failure; /* of what was found before the writer was asked */
};

static void holding_free(void *ctx)
{
    struct holding *holding = ctx;
    if (holding->claimed)
        image_unclaim(holding->app, holding->orphan.file);
    if (holding->in) {
        wire_release(&import_input_wire, holding->in);
        free(holding->in);
    }
    image_release(&holding->row);
    json_free(holding->note);
    err_clear(&holding->failure);
    free(holding);
}

/* The decoded body, if there is one, goes over to it. */
static struct holding *hold(struct request *r)
{
    struct holding *holding = xcalloc(1, sizeof(*holding));
    holding->r = r;
    holding->app = r->app;
    holding->file = r->args[0];
    holding->in = r->input;
    r->input = holding;
    r->input_type = NULL;
    r->input_release = holding_free;
    return holding;
}

static int find(struct holding *holding, struct err *err)
{
    int rc = orphan_find(holding->app, app_reader(holding->app), holding->file, &holding->row,
                         &holding->orphan, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no orphaned file %s", holding->file);
    if (rc < 0)
        return -1;
    holding->claimed = image_claim(holding->app, holding->file);
    if (!holding->claimed)
        return err_set(err, ERR_CONFLICT, "%s is being uploaded, taken back or deleted just now",
                       holding->file);
    /* Once more: it may have become an image before we held it. */
    image_release(&holding->row);
    holding->row = (struct image){0};
    rc = orphan_find(holding->app, app_reader(holding->app), holding->file, &holding->row,
                     &holding->orphan, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no orphaned file %s", holding->file);
    return rc < 0 ? -1 : 0;
}

static void uncount(void *ctx)
{
    struct holding *holding = ctx;
    atomic_fetch_sub(&holding->app->orphan_files, 1);
    atomic_fetch_sub(&holding->app->orphan_bytes, holding->orphan.bytes);
}

static void on_pool(struct request *r, void (*fn)(void *ctx))
{
    auto_err struct err err = {0};
    static const char *const params[] = {"project", NULL};
    if (request_only(r, params, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    struct holding *holding = hold(r);
    http_suspend(r->http);
    if (pool_submit(r->app->pool, fn, holding))
        return;
    err_set(&err, ERR_UNAVAILABLE, "too many long reads wait; try again");
    request_fail(r, &err);
}

/* ---- delete ---- */

/* Only the word of it; the file goes when that is committed. */
static int delete_run(struct tx *tx, void *ctx, struct err *err)
{
    struct holding *holding = ctx;
    if (token_check(tx, holding->r->caller.token_key, err) != 0)
        return -1;
    return audit_keep(tx, holding->r, err);
}

static void delete_end(void *ctx)
{
    struct holding *holding = ctx;
    auto_err struct err err = {0};
    autofree char *path = image_path(holding->app, holding->file);
    int rc = holding->orphan.has_id ? image_unlink(holding->app, holding->file, &err)
                                    : file_unlink("image", path, &err);
    if (rc != 0) {
        request_fail(holding->r, &err);
        return;
    }
    log_info("image.orphan_deleted", "file=\"%s\" bytes=%lld actor=\"%s\"", holding->file,
             (long long)holding->orphan.bytes, holding->r->caller.actor);
    uncount(holding);
    holding->r->status = 204;
    request_reply(holding->r);
}

static void delete_done(void *ctx, struct err *err)
{
    struct holding *holding = ctx;
    auto_err struct err busy = {0};
    if (!err && pool_submit(holding->app->pool, delete_end, holding))
        return;
    if (!err)
        err_set(&busy, ERR_UNAVAILABLE, "too many long reads wait; try again");
    request_fail(holding->r, err ? err : &busy);
}

static void delete_begin(void *ctx)
{
    struct holding *holding = ctx;
    struct request *r = holding->r;
    auto_err struct err err = {0};
    struct write_job job = {.run = delete_run,
                            .done = delete_done,
                            .ctx = holding,
                            .actor = r->caller.actor,
                            .request_id = http_request_id(r->http)};
    if (find(holding, &err) == 0) {
        if (writer_submit(r->app->writer, &job))
            return;
        err_set(&err, ERR_UNAVAILABLE, "too many changes wait to be written; try again");
    }
    request_fail(r, &err);
}

void handle_orphan_delete(struct request *r)
{
    on_pool(r, delete_begin);
}

/* ---- import ---- */

static int choose_format(struct holding *holding, struct err *err)
{
    const char *text = noted(holding->note, "format");
    bool given = holding->in->present & IMPORT_FORMAT;
    holding->format = holding->orphan.row ? holding->row.format
                      : given             ? holding->in->format
                      : text              ? name_index(format_names, text)
                                          : -1;
    if (given && holding->in->format != holding->format)
        return err_field(err, "/format", "format: the image was created as %s",
                         format_names[holding->format]);
    if (holding->format < 0)
        return err_field(err, "/format", "format is needed: nothing beside the file says it");
    return 0;
}

static int check_sum(const struct holding *holding, const char *wanted, struct err *err)
{
    if (!wanted || strcasecmp(wanted, holding->content.sha256) == 0)
        return 0;
    return err_set(err, ERR_CHECKSUM,
                   "the file's SHA-256 is %s, but %s was kept of it: it was damaged, or is another "
                   "file",
                   holding->content.sha256, wanted);
}

static int inspect(struct holding *holding, struct err *err)
{
    autofree char *path = image_path(holding->app, holding->file);
    uint8_t head[IMAGE_HEAD_BYTES];
    if (!holding->orphan.has_id)
        return err_set(
            err, ERR_CONFLICT,
            "only a file that is named by an image's id can be an image again; upload %s "
            "instead",
            holding->file);
    /* Its usage is that one's for ever: a second of the same id would be billed with it. */
    if (holding->orphan.past)
        return err_set(err, ERR_CONFLICT,
                       "the image of this id was deleted long ago, and its usage is kept; upload "
                       "%s as a new image instead",
                       holding->file);
    holding->note = image_note_read(holding->app, holding->file);
    if (choose_format(holding, err) != 0)
        return -1;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
    if (len < 0)
        return err_errno(err, "cannot read %s", path);
    holding->content.size_bytes = holding->orphan.bytes;
    if (image_sum(holding->app, path, holding->content.sha256, err) != 0 ||
        check_sum(holding, noted(holding->note, "sha256"), err) != 0 ||
        check_sum(holding, holding->row.expected_sha256, err) != 0 ||
        image_format_check(holding->format, head, (size_t)len, holding->content.size_bytes,
                           &holding->content.virtual_bytes, err) != 0)
        return -1;
    /* Somebody may have copied it here a moment ago. */
    return file_sync("image", fd, err) == 0
               ? file_sync_folder("image", holding->app->image_dir, err)
               : -1;
}

static int add_row(struct tx *tx, struct holding *holding, int64_t *ret_key, struct err *err)
{
    struct request *r = holding->r;
    const char *project = http_query(r->http, "project");
    const char *name = holding->in->name ? holding->in->name : noted(holding->note, "name");
    struct image_new wanted = {
        .id = holding->file, .name = name, .format = holding->format, .labels = "{}"};
    if (!name)
        return err_field(err, "/name", "name is needed: nothing beside the file says it");
    if (validate_name("/name", name, err) != 0 ||
        access_project(tx->db, &r->caller, project ? project : noted(holding->note, "project"),
                       &wanted.project_key, err) != 0)
        return -1;
    return image_create(tx, &wanted, ret_key, err);
}

static int import_run(struct tx *tx, struct request *r, struct err *err)
{
    struct holding *holding = r->input;
    struct image auto_image image = {0};
    int64_t key = holding->row.key;
    if (holding->failure.code) {
        err_move(err, &holding->failure);
        return -1;
    }
    if (key && holding->in->name && strcmp(holding->in->name, holding->row.name) != 0)
        return err_field(err, "/name", "name: the image is called %s", holding->row.name);
    if ((!key && add_row(tx, holding, &key, err) != 0) ||
        store_image_get(tx->db, key, &image, err) != 0 ||
        image_set_ready(tx, &image, &holding->content, err) != 0)
        return -1;
    tx_after_commit(tx, uncount, holding, NULL);
    struct json_writer w = request_json(r, 201);
    image_put(&w, NULL, &image);
    r->location = xasprintf("/v1/images/%s", image.id);
    r->etag = etag_of(image.revision);
    return 0;
}

/* What was found wrong is said by the writer, which first looks whether it was done already. */
static void import_begin(void *ctx)
{
    struct holding *holding = ctx;
    auto_err struct err err = {0};
    if (find(holding, &err) != 0 || inspect(holding, &err) != 0)
        err_move(&holding->failure, &err);
    request_write_asleep(holding->r, import_run);
}

void handle_orphan_import(struct request *r)
{
    if (request_decode(r, &import_input_wire) == 0)
        on_pool(r, import_begin);
}
