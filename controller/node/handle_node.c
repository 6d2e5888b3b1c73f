/* /v1/nodes: what operators see and change, and the joining of hosts. */
#include <stdlib.h>
#include <string.h>

#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/wire_table.h"
#include "api/node_protocol.h"
#include "controller/access/tokens.h"
#include "controller/db/db.h"
#include "controller/due/reconcile.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/node/node.h"
#include "controller/placement/store_node.h"
#include "controller/request/handlers.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

static const char *const no_params[] = {NULL};

/* ---- list and show ---- */

struct listing {
    struct db *db;
    struct json_writer w;
    struct err *err;
};

static void list_one(void *ctx, const struct node *node)
{
    struct listing *listing = ctx;
    if (!listing->err->code)
        node_put(listing->db, &listing->w, NULL, node, listing->err);
}

static int list(struct db *db, struct request *r, struct err *err)
{
    static const char *const list_params[] = {"limit", "cursor", "name", NULL};
    struct page page;
    if (request_only(r, list_params, err) != 0 || request_page(r, &page, err) != 0)
        return -1;
    int64_t revision = app_revision(r->app);
    struct window window = {.after_key = page.after_key, .limit = page.limit};
    struct listing listing = {.db = db, .w = request_json(r, 200), .err = err};
    page_open(&listing.w, "nodes");
    if (store_node_list(db, http_query(r->http, "name"), &window, list_one, &listing, err) != 0 ||
        err->code)
        return -1;
    page_close(&listing.w, window.more, window.last_key, revision);
    return 0;
}

void handle_node_list(struct request *r)
{
    request_pool(r, list);
}

/* The tag covers what a person or a report changes; what is used and when it was last seen
 * are counters and heartbeats. */
static int answer(struct db *db, struct request *r, const struct node *node, struct err *err)
{
    struct json_writer w = request_json(r, 200);
    r->etag = etag_of(node->revision);
    return node_put(db, &w, NULL, node, err);
}

static int show(struct request *r, struct err *err)
{
    int64_t key;
    struct db *db = request_reader(r);
    struct node auto_node node = {0};
    if (request_only(r, no_params, err) != 0 ||
        request_row(r, db, ACCESS_SEE, ACCESS_NODE, &key, err) != 0 ||
        store_node_get(db, key, &node, err) != 0)
        return -1;
    return answer(db, r, &node, err);
}

void handle_node_show(struct request *r)
{
    struct err auto_err err = {0};
    if (show(r, &err) == 0)
        request_reply(r);
    else
        request_fail(r, &err);
}

/* ---- changes ---- */

static const char *const delete_params[] = {"force", NULL};

static int target(struct tx *tx, struct request *r, const char *const *params,
                  struct node *ret_node, struct err *err)
{
    int64_t key;
    if (request_only(r, params, err) != 0 ||
        request_row(r, tx->db, ACCESS_CHANGE, ACCESS_NODE, &key, err) != 0 ||
        store_node_get(tx->db, key, ret_node, err) != 0)
        return -1;
    autofree char *etag = etag_of(ret_node->revision);
    return request_if_match(r, etag, err);
}

struct node_patch_input {
    bool schedulable;
    uint64_t present;
};

#define STRUCT node_patch_input
static const struct wire_field node_patch_input_fields[] = {W_BOOL(schedulable)};
static const struct wire_struct node_patch_input_wire = WIRE_STRUCT_PRESENT(node_patch_input);
#undef STRUCT

static int update(struct tx *tx, struct request *r, struct err *err)
{
    const struct node_patch_input *in = r->input;
    struct node auto_node node = {0};
    if (target(tx, r, no_params, &node, err) != 0 ||
        (in->present && node_set_schedulable(tx, &node, in->schedulable, err) != 0))
        return -1;
    return answer(tx->db, r, &node, err);
}

void handle_node_update(struct request *r)
{
    if (request_decode(r, &node_patch_input_wire) == 0)
        request_write(r, update);
}

struct removed {
    struct reconcile *reconcile;
    struct vouchers *vouchers;
    int64_t node_key;
};

static void is_removed(void *ctx)
{
    struct removed *removed = ctx;
    reconcile_remove(removed->reconcile, DUE_NODES, removed->node_key);
    vouchers_lost(removed->vouchers, removed->node_key);
    reconcile_now(removed->reconcile, DUE_FILES);
    free(removed);
}

static int remove_node(struct tx *tx, struct request *r, struct err *err)
{
    const char *force = http_query(r->http, "force");
    struct node auto_node node = {0};
    if (target(tx, r, delete_params, &node, err) != 0)
        return -1;
    if (force && strcmp(force, "true") != 0 && strcmp(force, "false") != 0)
        return err_field(err, "force", "force must be true or false");
    if (node_remove(tx, &node, force && strcmp(force, "true") == 0, err) != 0)
        return -1;
    struct removed *removed = xmalloc(sizeof(*removed));
    *removed = (struct removed){
        .reconcile = r->app->reconcile, .vouchers = r->app->vouchers, .node_key = node.key};
    tx_after_commit(tx, is_removed, removed, free);
    r->status = 204;
    return 0;
}

void handle_node_delete(struct request *r)
{
    request_write(r, remove_node);
}

/* ---- joining ---- */

static int join(struct tx *tx, struct request *r, struct err *err)
{
    struct node auto_node node = {0};
    struct token_made token;
    if (node_joins(tx, r->input, &node, &token, err) != 0)
        return -1;
    struct json_writer w = request_json(r, 201);
    json_open(&w, NULL, '{');
    json_put_str(&w, "id", node.id);
    json_put_str(&w, "name", node.name);
    json_put_str(&w, "token", token.secret);
    json_put_i64(&w, "protocol", node.protocol);
    json_close(&w, '}');
    r->secret = true;
    r->location = xasprintf("/v1/nodes/%s", node.id);
    return 0;
}

void handle_node_join(struct request *r)
{
    if (request_decode(r, &node_join_wire) == 0)
        request_write(r, join);
}
