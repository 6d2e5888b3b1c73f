/* /v1/instances: list, show, change of names, deletion, console. */
#include "controller/instance/handle_instance.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/due/reconcile.h"
#include "controller/image/store_image.h"
#include "controller/instance/console.h"
#include "controller/instance/store_instance.h"
#include "controller/noun/selector.h"
#include "controller/request/handlers.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

static const char *const only_project[] = {"project", NULL};

int instance_show(struct db *db, const struct instance *instance, struct json_writer *w,
                  const char *key, struct err *err)
{
    struct interfaces auto_interfaces interfaces = {0};
    if (store_interfaces(db, instance->key, &interfaces, err) != 0)
        return -1;
    instance_put(w, key, instance, interfaces.items, interfaces.count);
    return 0;
}

char *instance_etag(const struct buf *body)
{
    /* 64 bits, eight bytes at a time: an xor, a multiplication by 2^64 over the golden ratio
     * and a shift mix each word into all that follow. */
    const uint64_t golden = 0x9E3779B97F4A7C15ULL;
    uint64_t hash = body->len * golden, word;
    for (size_t at = 0; at < body->len; at += sizeof(word)) {
        size_t left = body->len - at;
        word = 0;
        memcpy(&word, body->data + at, left < sizeof(word) ? left : sizeof(word));
        hash = (hash ^ word) * golden;
        hash ^= hash >> 32;
    }
    return xasprintf("i%016" PRIx64, hash);
}

/* ---- shared by writes ---- */

static int check_if_match(struct tx *tx, struct request *r, const struct instance *instance,
                          struct err *err)
{
    if (!http_header(r->http, "If-Match"))
        return 0;
    struct buf auto_buf body = {0};
    struct json_writer w = JSON_WRITER(&body);
    if (instance_show(tx->db, instance, &w, NULL, err) != 0)
        return -1;
    autofree char *etag = instance_etag(&body);
    return request_if_match(r, etag, err);
}

int instance_target(struct tx *tx, struct request *r, struct instance *ret_instance,
                    struct err *err)
{
    int64_t key;
    if (request_only(r, only_project, err) != 0 ||
        request_row(r, tx->db, ACCESS_CHANGE, ACCESS_INSTANCE, &key, err) != 0 ||
        store_instance_get(tx->db, key, ret_instance, err) != 0)
        return -1;
    return check_if_match(tx, r, ret_instance, err);
}

struct wish instance_wish(const struct request *r, int64_t extra_ms)
{
    return (struct wish){.timeout_ms = r->app->settings.operation_timeout_ms + extra_ms};
}

int instance_accepted(struct tx *tx, struct request *r, const struct instance *instance,
                      const struct operation_ref *operation, const struct wish *wish,
                      struct err *err)
{
    struct json_writer w = request_json(r, 202);
    json_open(&w, NULL, '{');
    if (instance_show(tx->db, instance, &w, "instance", err) != 0 ||
        operation_put(tx->db, operation->key, &w, "operation", err) != 0)
        return -1;
    json_close(&w, '}');
    r->location = xasprintf("/v1/operations/%s", operation->id);
    reconcile_in_after(r->app->reconcile, tx, DUE_OPERATIONS, operation->key, wish->timeout_ms);
    return 0;
}

int instance_find_image(struct tx *tx, struct request *r, int64_t project_key, const char *ref,
                        struct image *ret_image, struct err *err)
{
    int64_t key;
    if (access_row(tx->db, &r->caller, ACCESS_SEE, ACCESS_IMAGE, project_key, ref, &key, err) !=
            0 ||
        store_image_get(tx->db, key, ret_image, err) != 0)
        return -1;
    if (ret_image->deleted_ms)
        return err_set(err, ERR_NOT_FOUND, "image %s was deleted", ref);
    return 0;
}

/* ---- list ---- */

static const char *const list_params[] = {"limit", "cursor", "project", "name", "state",
                                          "image", "node",   "label",   NULL};

struct listing {
    struct db *db;
    struct json_writer w;
    struct err *err;
};

static void list_one(void *ctx, const struct instance *instance)
{
    struct listing *listing = ctx;
    if (!listing->err->code)
        instance_show(listing->db, instance, &listing->w, NULL, listing->err);
}

static int state_filter(const char *text, int *ret_state, struct err *err)
{
    *ret_state = text ? name_index(state_names, text) + 1 : 0;
    if (text && *ret_state == 0)
        return err_field(err, "state",
                         "state must be provisioning, running, stopped, crashed, error or unknown");
    return 0;
}

/* Rows that a filter names must be the caller's to see, or it would tell of them. */
static int read_filter(struct request *r, struct db *db, struct instance_filter *filter,
                       struct err *err)
{
    const char *image = http_query(r->http, "image"), *node = http_query(r->http, "node");
    if (request_scope(r, db, &filter->project_key, err) != 0 ||
        state_filter(http_query(r->http, "state"), &filter->state, err) != 0)
        return -1;
    filter->name = http_query(r->http, "name");
    if (image && access_row(db, &r->caller, ACCESS_SEE, ACCESS_IMAGE, filter->project_key, image,
                            &filter->image_key, err) != 0)
        return -1;
    if (!node)
        return 0;
    return access_row(db, &r->caller, ACCESS_SEE, ACCESS_NODE, 0, node, &filter->node_key, err);
}

static int list(struct db *db, struct request *r, struct err *err)
{
    struct page page;
    struct instance_filter filter = {0};
    autofree char *labels = NULL;
    if (request_only(r, list_params, err) != 0 || request_page(r, &page, err) != 0 ||
        read_filter(r, db, &filter, err) != 0 ||
        selector_parse(http_query(r->http, "label"), &labels, err) != 0)
        return -1;
    filter.labels = labels;
    int64_t revision = app_revision(r->app);
    struct window window = {.after_key = page.after_key, .limit = page.limit};
    struct listing listing = {.db = db, .w = request_json(r, 200), .err = err};
    page_open(&listing.w, "instances");
    if (store_instance_list(db, &filter, &window, list_one, &listing, err) != 0 || err->code)
        return -1;
    page_close(&listing.w, window.more, window.last_key, revision);
    return 0;
}

void handle_instance_list(struct request *r)
{
    request_pool(r, list);
}

/* ---- show ---- */

static int show(struct request *r, struct err *err)
{
    int64_t key;
    struct db *db = request_reader(r);
    struct instance auto_instance instance = {0};
    if (request_only(r, only_project, err) != 0 ||
        request_row(r, db, ACCESS_SEE, ACCESS_INSTANCE, &key, err) != 0 ||
        store_instance_get(db, key, &instance, err) != 0)
        return -1;
    struct json_writer w = request_json(r, 200);
    if (instance_show(db, &instance, &w, NULL, err) != 0)
        return -1;
    r->etag = instance_etag(&r->reply);
    return 0;
}

void handle_instance_show(struct request *r)
{
    struct err auto_err err = {0};
    if (show(r, &err) == 0)
        request_reply(r);
    else
        request_fail(r, &err);
}

/* ---- change of names ---- */

struct instance_patch_input {
    char *name, *hostname;
    struct labels labels;
    uint64_t present;
};

#define STRUCT instance_patch_input
static const struct wire_field instance_patch_input_fields[] = {
    W_STR(name, LIMIT_NAME, .min = 1, .check = validate_name),
    W_STR(hostname, LIMIT_HOSTNAME, .min = 1, .check = validate_hostname), W_LABELS(labels)};
static const struct wire_struct instance_patch_input_wire =
    WIRE_STRUCT_PRESENT(instance_patch_input);
#undef STRUCT
enum { PATCH_LABELS = 1 << 2 };

static int update(struct tx *tx, struct request *r, struct err *err)
{
    const struct instance_patch_input *in = r->input;
    struct instance auto_instance instance = {0};
    struct buf auto_buf labels = {0};
    if (instance_target(tx, r, &instance, err) != 0)
        return -1;
    if (in->present & PATCH_LABELS)
        labels_print(&in->labels, &labels);
    struct instance_patch patch = {
        .name = in->name, .hostname = in->hostname, .labels = labels.data};
    if (in->present && instance_update(tx, &instance, &patch, err) != 0)
        return -1;
    struct json_writer w = request_json(r, 200);
    if (instance_show(tx->db, &instance, &w, NULL, err) != 0)
        return -1;
    r->etag = instance_etag(&r->reply);
    return 0;
}

void handle_instance_update(struct request *r)
{
    if (request_decode(r, &instance_patch_input_wire) == 0)
        request_write(r, update);
}

/* ---- deletion ---- */

static int remove_instance(struct tx *tx, struct request *r, struct err *err)
{
    struct instance auto_instance instance = {0};
    struct operation_ref operation;
    struct wish wish = instance_wish(r, 0);
    if (instance_target(tx, r, &instance, err) != 0 ||
        instance_delete(tx, &instance, &wish, &operation, err) != 0)
        return -1;
    return instance_accepted(tx, r, &instance, &operation, &wish, err);
}

void handle_instance_delete(struct request *r)
{
    request_write(r, remove_instance);
}

/* ---- console ---- */

static const char *const console_params[] = {"project", "bytes", NULL};
enum { CONSOLE_BYTES_DEFAULT = 64 * 1024 };

static int console(struct request *r, struct err *err)
{
    int64_t key, bytes;
    struct db *db = request_reader(r);
    struct instance auto_instance instance = {0};
    if (request_only(r, console_params, err) != 0 ||
        request_query_i64(r, "bytes", CONSOLE_BYTES_DEFAULT, 1, LIMIT_CONSOLE_BYTES, &bytes, err) !=
            0 ||
        request_row(r, db, ACCESS_SEE, ACCESS_INSTANCE, &key, err) != 0 ||
        store_instance_get(db, key, &instance, err) != 0)
        return -1;
    if (instance.deleted_ms)
        return err_set(err, ERR_CONFLICT, "instance %s was deleted, and its console log with it",
                       instance.name);
    if (instance.node_silent)
        return err_set(err, ERR_HOST_TIMEOUT, "node %s, where %s is, is silent", instance.node,
                       instance.name);
    console_ask(r->app->console, r, instance.node_key, instance.id, bytes);
    return 0;
}

void handle_instance_console(struct request *r)
{
    struct err auto_err err = {0};
    if (console(r, &err) != 0)
        request_fail(r, &err);
}
