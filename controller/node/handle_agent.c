/* /v1/node/...: what agents ask and tell. */
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "api/node_protocol.h"
#include "controller/due/reconcile.h"
#include "controller/instance/console.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/node/node.h"
#include "controller/node/node_desired.h"
#include "controller/placement/hosts.h"
#include "controller/request/handlers.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/wait/pool.h"
#include "controller/wait/watch.h"
#include "controller/world.h"

/* ---- observed ---- */

static void look_for_files(void *ctx)
{
    reconcile_now(ctx, DUE_FILES);
}

/* ---- who vouches ---- */

struct heard_from {
    struct vouchers *vouchers;
    struct voucher voucher;
};

static void vouch(void *ctx)
{
    struct heard_from *from = ctx;
    vouchers_heard(from->vouchers, &from->voucher);
    free(from);
}

static void vouch_after_commit(struct tx *tx, struct request *r)
{
    const struct host *host = hosts_find(tx->hosts, r->caller.node_key);
    if (!host)
        return;
    struct heard_from *from = xmalloc(sizeof(*from));
    *from = (struct heard_from){.vouchers = r->app->vouchers,
                                .voucher = {.node_key = host->key,
                                            .vouched_ms = host->seen_boottime_ms,
                                            .boottime_ms = host->pair_boottime_ms,
                                            .own_ms = host->pair_own_ms,
                                            .wall_ms = host->pair_wall_ms}};
    snprintf(from->voucher.boot_id, sizeof(from->voucher.boot_id), "%s", host->boot_id);
    tx_after_commit(tx, vouch, from, free);
}

static int observed(struct tx *tx, struct request *r, struct err *err)
{
    struct node_heard heard;
    if (node_observe(tx, r->caller.node_key, r->input, &heard, err) != 0)
        return -1;
    reconcile_renew(r->app->reconcile, DUE_NODES, r->caller.node_key, false);
    vouch_after_commit(tx, r);
    if (heard.freed)
        tx_after_commit(tx, look_for_files, r->app->reconcile, NULL);
    struct json_writer w = request_json(r, 200);
    wire_encode(&node_report_ack_wire, &heard.ack, &w, NULL);
    return 0;
}

void handle_node_observed(struct request *r)
{
    if (request_decode(r, &node_report_wire) == 0)
        request_write(r, observed);
}

/* ---- desired ---- */

struct asking {
    struct desired_ask ask;
    int64_t until_ms; /* CLOCK_BOOTTIME */
    bool asleep;      /* the connection is suspended */
    bool expired;
};

static void look_again(void *ctx, bool expired);

static void fail(struct request *r, const struct err *err)
{
    buf_reset(&r->reply);
    request_fail(r, err);
}

/* Reads a page and answers, or waits on. The revision is taken first, so that a change in
 * between is news to the watch; and a console request may have come before the watch was
 * there to be poked. */
static void look(struct request *r)
{
    struct asking *asking = r->input;
    struct err auto_err err = {0};
    struct desired_answer answer;
    struct app *app = r->app;
    int64_t revision = app_revision(app), node_key = asking->ask.node_key;
    buf_reset(&r->reply);
    r->status = 200;
    if (request_alive(r, &err) != 0 ||
        node_desired_page(request_reader(r), &asking->ask, app->console, &r->reply, &answer,
                          &err) != 0) {
        fail(r, &err);
        return;
    }
    int64_t left_ms = asking->until_ms - clock_boottime_ms();
    if (answer.anything || asking->expired || left_ms <= 0) {
        request_reply(r);
        return;
    }
    if (request_share(r, SHARE_DESIRED, &err) != 0) {
        fail(r, &err);
        return;
    }
    if (!asking->asleep)
        http_suspend(r->http);
    asking->asleep = true;
    /* From here on the request may be answered, and gone, at any moment. */
    if (!request_watch(r, WATCH_NODE, node_key, revision, left_ms, look_again))
        request_reply(r);
    else if (console_waiting(app->console, node_key))
        watch_poke(app->watch, WATCH_NODE, node_key);
}

static void look_on_pool(void *ctx)
{
    app_snapshot_begin_long();
    look(ctx);
    app_snapshot_end();
}

/* On the waker's thread, which must not read long pages. Agents have readers of their own: what
 * people ask for delays no host. */
static void look_again(void *ctx, bool expired)
{
    struct request *r = ctx;
    struct asking *asking = r->input;
    asking->expired = expired;
    if (pool_submit_lane(r->app->node_reads, asking->ask.node_key, look_on_pool, r) == POOL_TAKEN)
        return;
    struct err auto_err err = {0};
    err_set(&err, ERR_UNAVAILABLE, "too much waits to be read; ask again");
    fail(r, &err);
}

static int prepare(struct request *r, struct asking *asking, bool *ret_full, struct err *err)
{
    static const char *const params[] = {"epoch", "after", "mark", "wait", NULL};
    int64_t wait_ms;
    if (request_only(r, params, err) != 0 || request_wait(r, &wait_ms, err) != 0 ||
        request_query_i64(r, "after", 0, 0, INT64_MAX, &asking->ask.after, err) != 0)
        return -1;
    asking->until_ms = clock_boottime_ms() + wait_ms;
    asking->ask.node_key = r->caller.node_key;
    asking->ask.epoch = http_query(r->http, "epoch");
    asking->ask.mark = http_query(r->http, "mark");
    asking->ask.marks = r->app->marks;
    return node_desired_full(request_reader(r), &asking->ask, ret_full, err);
}

void handle_node_desired(struct request *r)
{
    struct err auto_err err = {0};
    struct asking *asking = xcalloc(1, sizeof(*asking));
    bool full;
    r->input = asking;
    r->input_release = free;
    if (prepare(r, asking, &full, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    if (!full) {
        look(r);
        return;
    }
    if (request_share(r, SHARE_DESIRED, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    asking->asleep = true;
    http_suspend(r->http);
    look_again(r, false);
}

/* ---- console ---- */

void handle_node_console(struct request *r)
{
    struct err auto_err err = {0};
    size_t len;
    const char *body = http_body(r->http, &len);
    if (console_answer(r->app->console, r->caller.node_key, r->args[0], body, len)) {
        r->status = 204;
        request_reply(r);
        return;
    }
    err_set(&err, ERR_NOT_FOUND, "nobody waits for console request %s any more", r->args[0]);
    request_fail(r, &err);
}
