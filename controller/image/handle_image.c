/* /v1/images: rows and their content. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/due/reconcile.h"
#include "controller/image/image.h"
#include "controller/image/image_files.h"
#include "controller/image/image_upload.h"
#include "controller/image/store_image.h"
#include "controller/noun/selector.h"
#include "controller/request/handlers.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

static const char *const only_project[] = {"project", NULL};

static void reply_or_fail(struct request *r, int rc, const struct err *err)
{
    if (rc == 0)
        request_reply(r);
    else
        request_fail(r, err);
}

/* ---- list and show ---- */

static const char *const list_params[] = {"limit", "cursor", "project", "name",
                                          "state", "label",  NULL};

static void list_one(void *ctx, const struct image *image)
{
    image_put(ctx, NULL, image);
}

static int list(struct db *db, struct request *r, struct err *err)
{
    struct page page;
    struct image_filter filter = {.name = http_query(r->http, "name")};
    const char *state = http_query(r->http, "state");
    autofree char *labels = NULL;
    filter.state = state ? name_index(image_state_names, state) + 1 : 0;
    if (state && filter.state == 0)
        return err_field(err, "state", "state must be awaiting_upload, ready or missing");
    if (request_only(r, list_params, err) != 0 || request_page(r, &page, err) != 0 ||
        request_scope(r, db, &filter.project_key, err) != 0 ||
        selector_parse(http_query(r->http, "label"), &labels, err) != 0)
        return -1;
    filter.labels = labels;
    int64_t revision = app_revision(r->app);
    struct window window = {.after_key = page.after_key, .limit = page.limit};
    struct json_writer w = request_json(r, 200);
    page_open(&w, "images");
    if (store_image_list(db, &filter, &window, list_one, &w, err) != 0)
        return -1;
    page_close(&w, window.more, window.last_key, revision);
    return 0;
}

void handle_image_list(struct request *r)
{
    request_pool(r, list);
}

static int answer(struct request *r, int status, const struct image *image)
{
    struct json_writer w = request_json(r, status);
    image_put(&w, NULL, image);
    r->etag = etag_of(image->revision);
    return 0;
}

static int show(struct request *r, struct err *err)
{
    int64_t key;
    struct db *db = request_reader(r);
    struct image auto_image image = {0};
    if (request_only(r, only_project, err) != 0 ||
        request_row(r, db, ACCESS_SEE, ACCESS_IMAGE, &key, err) != 0 ||
        store_image_get(db, key, &image, err) != 0)
        return -1;
    return answer(r, 200, &image);
}

void handle_image_show(struct request *r)
{
    struct err auto_err err = {0};
    reply_or_fail(r, show(r, &err), &err);
}

/* ---- changes of rows ---- */

struct image_input {
    char *name;
    int format;
    bool public;
    char *sha256;
    struct labels labels;
};

#define STRUCT image_input
static const struct wire_field image_input_fields[] = {
    W_STR_REQ(name, LIMIT_NAME, .check = validate_name),
    W_ENUM(format, format_names, .flags = WIRE_REQUIRED),
    W_BOOL(public),
    W_STR(sha256, SHA256_TEXT_MAX - 1, .min = 1, .check = validate_sha256),
    W_LABELS(labels),
};
static const struct wire_struct image_input_wire = WIRE_STRUCT(image_input);
#undef STRUCT

/* Everyone's guests may boot from a public image: that is for operators to decide. */
static int may_publish(const struct request *r, bool public, struct err *err)
{
    if (!public || caller_is_operator(&r->caller))
        return 0;
    return err_set(err, ERR_FORBIDDEN, "only an operator's token can make an image public");
}

static int create(struct tx *tx, struct request *r, struct err *err)
{
    const struct image_input *in = r->input;
    struct buf auto_buf labels = {0};
    struct image auto_image image = {0};
    int64_t project_key, key;
    labels_print(&in->labels, &labels);
    if (request_only(r, only_project, err) != 0 ||
        request_project(r, tx->db, &project_key, err) != 0 || may_publish(r, in->public, err) != 0)
        return -1;
    struct image_new wanted = {.project_key = project_key,
                               .name = in->name,
                               .public = in->public,
                               .format = in->format,
                               .sha256 = in->sha256,
                               .labels = labels.data};
    if (image_create(tx, &wanted, &key, err) != 0 || store_image_get(tx->db, key, &image, err) != 0)
        return -1;
    r->location = xasprintf("/v1/images/%s", image.id);
    return answer(r, 201, &image);
}

void handle_image_create(struct request *r)
{
    if (request_decode(r, &image_input_wire) == 0)
        request_write(r, create);
}

struct image_patch_input {
    char *name;
    bool public;
    struct labels labels;
    uint64_t present;
};

#define STRUCT image_patch_input
static const struct wire_field image_patch_input_fields[] = {
    W_STR(name, LIMIT_NAME, .min = 1, .check = validate_name), W_BOOL(public), W_LABELS(labels)};
static const struct wire_struct image_patch_input_wire = WIRE_STRUCT_PRESENT(image_patch_input);
#undef STRUCT
enum { PATCH_PUBLIC = 1 << 1, PATCH_LABELS = 1 << 2 };

static int target(struct tx *tx, struct request *r, struct image *ret_image, struct err *err)
{
    int64_t key;
    if (request_only(r, only_project, err) != 0 ||
        request_row(r, tx->db, ACCESS_CHANGE, ACCESS_IMAGE, &key, err) != 0 ||
        store_image_get(tx->db, key, ret_image, err) != 0)
        return -1;
    autofree char *etag = etag_of(ret_image->revision);
    return request_if_match(r, etag, err);
}

static int update(struct tx *tx, struct request *r, struct err *err)
{
    const struct image_patch_input *in = r->input;
    struct buf auto_buf labels = {0};
    struct image auto_image image = {0};
    if (target(tx, r, &image, err) != 0 || may_publish(r, in->public, err) != 0)
        return -1;
    if (in->present & PATCH_LABELS)
        labels_print(&in->labels, &labels);
    struct image_patch patch = {.name = in->name,
                                .labels = labels.data,
                                .public = in->present & PATCH_PUBLIC ? in->public : -1};
    if (in->present && image_update(tx, &image, &patch, err) != 0)
        return -1;
    return answer(r, 200, &image);
}

void handle_image_update(struct request *r)
{
    if (request_decode(r, &image_patch_input_wire) == 0)
        request_write(r, update);
}

static void look_for_files(void *ctx)
{
    reconcile_now(ctx, DUE_FILES);
}

static int remove_image(struct tx *tx, struct request *r, struct err *err)
{
    struct image auto_image image = {0};
    if (target(tx, r, &image, err) != 0 || image_delete(tx, &image, err) != 0)
        return -1;
    tx_after_commit(tx, look_for_files, r->app->reconcile, NULL);
    r->status = 204;
    return 0;
}

void handle_image_delete(struct request *r)
{
    request_write(r, remove_image);
}

/* ---- content ---- */

static const char *const upload_params[] = {"project", "sha256", NULL};

static int begin(struct request *r, struct err *err)
{
    int64_t key;
    struct db *db = request_reader(r);
    struct image auto_image image = {0};
    const char *wanted = http_query(r->http, "sha256");
    if (request_only(r, upload_params, err) != 0 ||
        (wanted && validate_sha256("sha256", wanted, err) != 0) ||
        request_row(r, db, ACCESS_CHANGE, ACCESS_IMAGE, &key, err) != 0 ||
        store_image_get(db, key, &image, err) != 0)
        return -1;
    if (image.state == IMAGE_READY)
        return err_set(err, ERR_CONFLICT,
                       "image %s has its content already; create another image instead",
                       image.name);
    const char *known = image.sha256 ? image.sha256 : image.expected_sha256;
    if (wanted && known && strcasecmp(wanted, known) != 0)
        return err_field(err, "sha256", "sha256: the image was created for %s", known);
    if (http_content_length(r->http) > LIMIT_IMAGE_BYTES)
        return err_set(err, ERR_TOO_LARGE, "an image has at most 16 TiB");
    return upload_begin(r, &image, wanted, err);
}

void handle_image_upload_begin(struct request *r)
{
    struct err auto_err err = {0};
    if (begin(r, &err) == 0)
        http_accept_upload(r->http, upload_sink, r->input);
    else
        request_fail(r, &err);
}

void handle_image_upload(struct request *r)
{
    upload_end(r);
}

/* An agent sees what instances of its node use, by id. */
static int find_for_node(struct request *r, struct db *db, struct image *ret_image, struct err *err)
{
    int found = store_image_find(db, r->args[0], ret_image, err);
    if (found > 0)
        found = store_image_on_node(db, ret_image->key, r->caller.node_key, err);
    if (found == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no image %s", r->args[0]);
    return found < 0 ? -1 : 0;
}

static int find_content(struct request *r, struct db *db, struct image *ret_image, struct err *err)
{
    int64_t key;
    if (request_only(r, only_project, err) != 0)
        return -1;
    int rc = r->caller.role == ROLE_NODE ? find_for_node(r, db, ret_image, err)
                                         : request_row(r, db, ACCESS_SEE, ACCESS_IMAGE, &key, err);
    if (rc == 0 && r->caller.role != ROLE_NODE)
        rc = store_image_get(db, key, ret_image, err);
    if (rc != 0)
        return -1;
    if (ret_image->file_gone_ms)
        return err_set(err, ERR_CONFLICT, "image %s has no content any more", ret_image->name);
    return image_has_content(ret_image, err);
}

static int download(struct request *r, struct err *err)
{
    struct image auto_image image = {0};
    if (find_content(r, request_reader(r), &image, err) != 0)
        return -1;
    autofree char *path = image_path(r->app, image.id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        image_file_lost(r->app, image.key);
        image.state = IMAGE_MISSING;
        return image_has_content(&image, err);
    }
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    struct http_reply reply = {
        .status = 200, .content_type = "application/octet-stream", .etag = image.sha256};
    http_reply_file(r->http, &reply, fd, image.size_bytes);
    return 0;
}

void handle_image_download(struct request *r)
{
    struct err auto_err err = {0};
    if (download(r, &err) != 0)
        request_fail(r, &err);
}
