/* The page of what a node should make so. */
#include "controller/node/node_desired.h"

#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/json/json.h"
#include "api/node_protocol.h"
#include "controller/db/db.h"
#include "controller/image/store_image.h"
#include "controller/instance/console.h"
#include "controller/network/store_network.h"
#include "controller/node/marks.h"
#include "controller/node/store_desired.h"
#include "controller/tx/meta.h"

static void put_instance(void *ctx, const struct desired_instance *row)
{
    wire_encode(&desired_instance_wire, row, ctx, NULL);
}

/* The bridge's number is the network's key: never reused, and the same on every host. */
static void put_network(void *ctx, const struct network *network)
{
    struct json_writer *w = ctx;
    json_open(w, NULL, '{');
    json_put_str(w, "id", network->id);
    json_put_str(w, "name", network->name);
    json_put_str(w, "cidr", network->cidr);
    json_put_str(w, "gateway", network->gateway);
    json_put_i64(w, "bridge", network->key);
    json_put_bool(w, "nat", network->nat);
    json_put_i64(w, "generation", network->generation);
    json_close(w, '}');
}

static void put_hash(void *ctx, const char *sha256)
{
    json_put_str(ctx, NULL, sha256);
}

static int put_images(struct db *db, bool full, struct json_writer *w, struct err *err)
{
    json_open(w, "images", '[');
    int rc = full ? store_image_hashes(db, put_hash, w, err) : 0;
    json_close(w, ']');
    json_open(w, "images_gone", '[');
    if (rc == 0 && full)
        rc = store_image_hashes_gone(db, LIMIT_IMAGES_GONE, put_hash, w, err);
    json_close(w, ']');
    return rc;
}

static bool is_full(const struct desired_ask *ask, const char *epoch, int64_t revision)
{
    return ask->after <= 0 || ask->after > revision || !ask->epoch ||
           strcmp(ask->epoch, epoch) != 0;
}

/* An agent that saw another history than ours must obey nothing of it: its report mends that.
 * One that is only ahead of us gets a page that shows it, and does the same. */
static int check_history(struct db *db, const struct desired_ask *ask, const char *epoch,
                         struct err *err)
{
    if (!ask->epoch || strcmp(ask->epoch, epoch) != 0 || !ask->mark || !*ask->mark)
        return 0;
    char own[MARK_TEXT_MAX];
    int rc = revision_mark(db, ask->after, own, err);
    if (rc <= 0 || strncmp(own, ask->mark, MARK_TEXT_MAX - 1) == 0)
        return rc < 0 ? -1 : 0;
    return err_set(err, ERR_CONFLICT,
                   "this database was restored from a copy: what you saw of revision %lld is not "
                   "what it has; report first",
                   (long long)ask->after);
}

static int put_page(struct db *db, const struct desired_ask *ask, struct console *console,
                    struct json_writer *w, struct desired_answer *answer, struct err *err)
{
    char epoch[ID_TEXT_MAX];
    int64_t first;
    char mark[MARK_MAX];
    if (epoch_of_node(db, ask->node_key, epoch, err) != 0 ||
        revision_range(db, &first, &answer->revision, err) != 0 ||
        marks_give(ask->marks, db, epoch, answer->revision, mark, err) != 0 ||
        check_history(db, ask, epoch, err) != 0)
        return -1;
    bool full = is_full(ask, epoch, answer->revision);
    json_open(w, NULL, '{');
    json_put_i64(w, "protocol", NODE_PROTOCOL);
    json_put_str(w, "epoch", epoch);
    json_put_i64(w, "revision", answer->revision);
    json_put_str(w, "mark", mark);
    json_put_bool(w, "full", full);
    json_open(w, "instances", '[');
    int count = store_desired(db, ask->node_key, full ? 0 : ask->after, put_instance, w, err);
    json_close(w, ']');
    if (count < 0)
        return -1;
    json_open(w, "networks", '[');
    if ((full || count) && store_network_of_node(db, ask->node_key, put_network, w, err) != 0)
        return -1;
    json_close(w, ']');
    if (put_images(db, full, w, err) != 0)
        return -1;
    int waiting = console ? console_put(console, ask->node_key, w, "console") : 0;
    json_close(w, '}');
    answer->anything = full || count || waiting;
    return 0;
}

int node_desired_page(struct db *db, const struct desired_ask *ask, struct console *console,
                      struct buf *out, struct desired_answer *ret_answer, struct err *err)
{
    *ret_answer = (struct desired_answer){0};
    if (db_read_begin(db, err) != 0)
        return -1;
    struct json_writer w = JSON_WRITER(out);
    int rc = put_page(db, ask, console, &w, ret_answer, err);
    db_read_end(db);
    return rc;
}

int node_desired_full(struct db *db, const struct desired_ask *ask, bool *ret_full, struct err *err)
{
    char epoch[ID_TEXT_MAX];
    int64_t first, last;
    if (epoch_of_node(db, ask->node_key, epoch, err) != 0 ||
        revision_range(db, &first, &last, err) != 0)
        return -1;
    *ret_full = is_full(ask, epoch, last);
    return 0;
}
