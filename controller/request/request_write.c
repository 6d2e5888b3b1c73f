/* Requests that change something: on the writer, with the kept answer, the audit row and
 * the change itself in one transaction, the connection asleep until it is committed. */
#include "api/base/mem.h"
#include "controller/access/tokens.h"
#include "controller/request/idempotency.h"
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/wait/pool.h"
#include "controller/world.h"

static int write_run(struct tx *tx, void *ctx, struct err *err)
{
    struct request *r = ctx;
    if (r->caller.token_key && token_check(tx, r->caller.token_key, err) != 0)
        return -1;
    int found = idempotency_find(tx->db, tx->aged_ms, r, err);
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (r->run(tx, r, err) != 0)
        return -1;
    /* Reports come every few seconds from every host; the log of events tells of them. */
    if (r->caller.role != ROLE_NODE && audit_keep(tx, r, err) != 0)
        return -1;
    return idempotency_keep(tx, r, err);
}

/* ---- when it could not be tried ---- */

/* What an attempt that was rolled back has left in the answer. */
static void forget_answer(struct request *r)
{
    buf_reset(&r->reply);
    free(take(r->etag));
    free(take(r->location));
    r->status = 0;
    r->secret = false;
}

static void answer_kept(void *ctx)
{
    struct request *r = ctx;
    auto_err struct err err = {0}, refusal = {0};
    err_move(&refusal, &r->refusal); /* the request ends with its answer */
    app_snapshot_begin();
    int found = idempotency_find(request_reader(r), writer_aged_ms(r->app->writer), r, &err);
    app_snapshot_end();
    if (found > 0)
        request_reply(r);
    else
        request_fail(r, found < 0 ? &err : &refusal);
}

/* A full disk or too long a queue says nothing of what this request asked for: that may have
 * been done already, and whoever asks again for its answer gets it, from a reader. */
static void refuse(struct request *r, struct err *err)
{
    bool untried =
        err->code == ERR_STORAGE_FULL || err->code == ERR_UNAVAILABLE || err->code == ERR_INTERNAL;
    if (!untried || !idempotency_named(r)) {
        request_fail(r, err);
        return;
    }
    forget_answer(r);
    err_move(&r->refusal, err);
    if (pool_submit(r->app->pool, answer_kept, r))
        return;
    err_move(err, &r->refusal);
    request_fail(r, err);
}

static void write_done(void *ctx, struct err *err)
{
    struct request *r = ctx;
    if (err)
        refuse(r, err);
    else
        request_reply(r);
}

void request_write(struct request *r, request_run *run)
{
    http_suspend(r->http);
    request_write_asleep(r, run);
}

void request_write_asleep(struct request *r, request_run *run)
{
    r->run = run;
    struct write_job job = {
        .run = write_run,
        .done = write_done,
        .ctx = r,
        .actor = r->caller.actor,
        .request_id = http_request_id(r->http),
        .grows = r->caller.role != ROLE_NODE && strcmp(r->route->method, "DELETE") != 0,
        .of_host = r->caller.role == ROLE_NODE,
    };
    if (writer_submit(r->app->writer, &job))
        return;
    auto_err struct err err = {0};
    err_set(&err, ERR_UNAVAILABLE, "too many changes wait to be written; try again");
    refuse(r, &err);
}
