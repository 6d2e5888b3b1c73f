/* Requests that change something: on the writer, with the kept answer, the audit row and
 * the change itself in one transaction, the connection asleep until it is committed. */
#include "controller/app.h"
#include "controller/idempotency.h"
#include "controller/request.h"
#include "controller/tokens.h"
#include "controller/writer.h"

static int write_run(struct tx *tx, void *ctx, struct err *err)
{
    struct request *r = ctx;
    if (r->caller.token_key && token_check(tx, r->caller.token_key, err) != 0)
        return -1;
    int found = idempotency_find(tx, r, err);
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (r->run(tx, r, err) != 0)
        return -1;
    /* Reports come every few seconds from every host; the log of events tells of them. */
    if (r->caller.role != ROLE_NODE && audit_keep(tx, r, err) != 0)
        return -1;
    return idempotency_keep(tx, r, err);
}

static void write_done(void *ctx, struct err *err)
{
    struct request *r = ctx;
    if (err)
        request_fail(r, err);
    else
        request_reply(r);
}

void request_write(struct request *r, request_run *run)
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
    http_suspend(r->http);
    if (writer_submit(r->app->writer, &job))
        return;
    auto_err struct err err = {0};
    err_set(&err, ERR_UNAVAILABLE, "too many changes wait to be written; try again");
    request_fail(r, &err);
}
