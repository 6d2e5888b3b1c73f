/* /v1/networks. */
#include "controller/network/network.h"
#include "controller/network/store_network.h"
#include "controller/request/handlers.h"
#include "controller/tx/readers.h"
#include "controller/world.h"

static const char *const only_project[] = {"project", NULL};
static const char *const list_params[] = {"limit", "cursor", "project", NULL};

static void list_one(void *ctx, const struct network *network)
{
    network_put(ctx, NULL, network);
}

static int list(struct request *r, struct err *err)
{
    struct page page;
    int64_t project_key;
    struct db *db = request_reader(r);
    if (request_only(r, list_params, err) != 0 || request_page(r, &page, err) != 0 ||
        request_scope(r, db, &project_key, err) != 0)
        return -1;
    int64_t revision = app_revision(r->app);
    struct window window = {.after_key = page.after_key, .limit = page.limit};
    struct json_writer w = request_json(r, 200);
    page_open(&w, "networks");
    if (store_network_list(db, project_key, &window, list_one, &w, err) != 0)
        return -1;
    page_close(&w, window.more, window.last_key, revision);
    return 0;
}

void handle_network_list(struct request *r)
{
    struct err auto_err err = {0};
    if (list(r, &err) == 0)
        request_reply(r);
    else
        request_fail(r, &err);
}

static void show_one(void *ctx, const struct network *network)
{
    struct request *r = ctx;
    struct json_writer w = request_json(r, 200);
    network_put(&w, NULL, network);
    r->etag = etag_of(network->revision);
}

static int show(struct request *r, struct err *err)
{
    int64_t key;
    struct db *db = request_reader(r);
    if (request_only(r, only_project, err) != 0 ||
        request_row(r, db, ACCESS_SEE, ACCESS_NETWORK, &key, err) != 0)
        return -1;
    return store_network_get(db, key, show_one, r, err);
}

void handle_network_show(struct request *r)
{
    struct err auto_err err = {0};
    if (show(r, &err) == 0)
        request_reply(r);
    else
        request_fail(r, &err);
}
