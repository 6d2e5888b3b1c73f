/* From http_server.h's three callbacks to a handler: route, token, role, body, and at the
 * end the counters and the log line. */
#include <strings.h>

#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/json/wire.h"
#include "controller/access/tokens.h"
#include "controller/request/metrics.h"
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "controller/world.h"

/* Who shares the limit on connections: a project's tokens, a node's; operators have none. */
static uint64_t share_of(const struct caller *caller)
{
    if (caller->node_key)
        return (uint64_t)caller->node_key << 1 | 1;
    return (uint64_t)caller->project_key << 1;
}

static int authenticate(struct request *r, struct err *err)
{
    static const char scheme[] = "Bearer ";
    if (r->route->flags & ROUTE_OPEN)
        return 0;
    const char *header = http_header(r->http, "Authorization");
    if (!header || strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
        return err_set(err, ERR_UNAUTHENTICATED, "send a token: Authorization: Bearer mc_...");
    const char *secret = header + sizeof(scheme) - 1;
    secret += strspn(secret, " ");
    if (strlen(secret) >= SECRET_TEXT_MAX || !tokens_find(r->app->tokens, secret, &r->caller))
        return err_set(err, ERR_UNAUTHENTICATED,
                       "this token is not known; it may have been deleted");
    if (!http_prove(r->http, share_of(&r->caller)))
        return err_set(err, ERR_TOO_MANY_REQUESTS,
                       "this token's project or node has too many connections at work");
    return route_allows(r->route, &r->caller, err);
}

static bool is_json(const char *type)
{
    size_t len = strcspn(type, "; \t");
    return len == 16 && strncasecmp(type, "application/json", 16) == 0;
}

static int check_content(struct request *r, struct err *err)
{
    bool takes_none =
        strcmp(r->route->method, "GET") == 0 || strcmp(r->route->method, "DELETE") == 0;
    if (takes_none && http_has_body(r->http))
        return err_set(err, ERR_INVALID, "%s takes no body", r->route->method);
    const char *type = http_header(r->http, "Content-Type");
    if (takes_none || r->route->flags & (ROUTE_UPLOAD | ROUTE_TEXT) || !type || is_json(type))
        return 0;
    return err_set(err, ERR_MEDIA_TYPE, "the body must be application/json, not %s", type);
}

static void refuse(struct request *r, const struct err *err, const char *allow)
{
    if (err->code == ERR_METHOD)
        http_reply_err_with(r->http, err, "Allow", allow);
    else if (err->code == ERR_UNAUTHENTICATED)
        http_reply_err_with(r->http, err, "WWW-Authenticate", "Bearer");
    else
        request_fail(r, err);
}

static int admit(struct request *r, char allow[ROUTE_ALLOW_MAX], struct err *err)
{
    if (atomic_load_explicit(&r->app->stopping, memory_order_relaxed))
        return err_set(err, ERR_UNAVAILABLE, "the controller is stopping; try again soon");
    r->route = route_find(http_method(r->http), http_path(r->http), r->args, allow, err);
    if (!r->route || authenticate(r, err) != 0)
        return -1;
    return check_content(r, err);
}

/* A host's words take room from the first byte on, and wait for their turn at the writer. */
static int take_room(struct request *r, struct err *err)
{
    if (!(r->route->flags & ROUTE_NODE) || !r->route->body_limit)
        return 0;
    int64_t length = http_content_length(r->http);
    bool bulk = length < 0 || length > LIMIT_BODY_BYTES;
    return request_share(r, bulk ? SHARE_BULK : SHARE_REPORT, err);
}

static void dispatch_begin(void *ctx, struct http_request *req)
{
    struct app *app = ctx;
    struct request *r = xcalloc(1, sizeof(*r));
    r->app = app;
    r->http = req;
    http_set_data(req, r);
    atomic_fetch_add(&app->in_flight, 1);
    auto_err struct err err = {0};
    char allow[ROUTE_ALLOW_MAX];
    if (admit(r, allow, &err) != 0 || take_room(r, &err) != 0)
        refuse(r, &err, allow);
    else if (r->route->flags & ROUTE_UPLOAD)
        r->route->begin(r);
    else
        http_accept_body(req, r->route->body_limit ? r->route->body_limit : LIMIT_BODY_BYTES);
}

static void dispatch_handle(void *ctx, struct http_request *req)
{
    (void)ctx;
    struct request *r = http_data(req);
    app_snapshot_begin();
    r->route->handle(r);
    app_snapshot_end();
}

/* What waits for news ends with what there is; what is being written or read ends soon. */
static void dispatch_left(void *ctx, struct http_request *req)
{
    struct app *app = ctx;
    struct request *r = http_data(req);
    watch_left(app->watch, &r->sake);
    if (r->left)
        r->left(r);
}

static void log_request(const struct request *r, int status, int64_t elapsed_ns)
{
    enum log_level level = status >= 500 && status != 503 ? LOG_WARN : LOG_DEBUG;
    log_event(level, "request", "id=%s action=%s target=%s actor=\"%s\" status=%d us=%lld",
              http_request_id(r->http), r->route ? r->route->action : "-",
              r->args[0] ? r->args[0] : "-", r->caller.actor, status,
              (long long)(elapsed_ns / 1000));
}

static void request_free(struct request *r)
{
    if (r->input && r->input_type) {
        wire_release(r->input_type, r->input);
        free(r->input);
    } else if (r->input && r->input_release) {
        r->input_release(r->input);
    }
    share_give(&r->share);
    buf_release(&r->reply);
    free(r->etag);
    free(r->location);
    free(r->args[0]);
    free(r->args[1]);
    free(r);
}

static void dispatch_end(void *ctx, struct http_request *req, int status, int64_t elapsed_ns)
{
    struct app *app = ctx;
    struct request *r = http_data(req);
    metrics_request(app->metrics, r->route, status, elapsed_ns);
    log_request(r, status, elapsed_ns);
    request_free(r);
    http_set_data(req, NULL);
    atomic_fetch_sub(&app->in_flight, 1);
}

const struct http_handlers dispatch_handlers = {
    .begin = dispatch_begin, .handle = dispatch_handle, .left = dispatch_left, .end = dispatch_end};
