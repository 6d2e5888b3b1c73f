/* Answering a request: from its own fields, from an error, now or after other threads
 * worked for it while its connection slept. */
#include "controller/request/request.h"

#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/json/wire.h"
#include "controller/access/tokens.h"
#include "controller/tx/readers.h"
#include "controller/world.h"

struct db *request_reader(struct request *r)
{
    return app_reader(r->app);
}

struct json_writer request_json(struct request *r, int status)
{
    r->status = status;
    return (struct json_writer)JSON_WRITER(&r->reply);
}

char *etag_of(int64_t revision)
{
    struct buf buf = {0};
    buf_putc(&buf, 'r');
    buf_i64(&buf, revision);
    return buf_take(&buf);
}

/* ---- conditions ---- */

/* Whether a list of entity tags names this one. Weak tags match only where `weak` allows. */
static bool etag_listed(const char *list, const char *etag, bool weak)
{
    size_t len = strlen(etag);
    for (const char *at = list; *at;) {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        bool is_weak = strncmp(at, "W/", 2) == 0;
        at += is_weak ? 2 : 0;
        bool quoted = *at == '"';
        at += quoted;
        size_t item = strcspn(at, quoted ? "\"" : ", \t");
        if (item == len && memcmp(at, etag, len) == 0 && (weak || !is_weak))
            return true;
        at += item;
        at += quoted && *at == '"';
    }
    return false;
}

int request_if_match(const struct request *r, const char *etag, struct err *err)
{
    const char *wanted = http_header(r->http, "If-Match");
    if (!wanted || etag_listed(wanted, etag, false))
        return 0;
    return err_set(err, ERR_PRECONDITION,
                   "If-Match asks for %s, but it is now \"%s\"; read it again", wanted, etag);
}

bool request_not_modified(const struct request *r)
{
    if (!r->etag || r->status != 200 || strcmp(r->route->method, "GET") != 0)
        return false;
    const char *known = http_header(r->http, "If-None-Match");
    return known && etag_listed(known, r->etag, true);
}

/* ---- replies ---- */

void request_reply(struct request *r)
{
    struct http_reply reply = {.status = r->status,
                               .content_type = r->content_type,
                               .etag = r->etag,
                               .location = r->location};
    if (r->replayed) {
        reply.extra_name = "Idempotency-Replayed";
        reply.extra_value = "true";
    }
    if (request_not_modified(r)) {
        reply.status = 304;
        buf_reset(&r->reply);
    }
    http_reply(r->http, &reply, &r->reply);
}

/* What broke inside is for the log; the client gets the number to find it by. */
void request_fail(struct request *r, const struct err *err)
{
    if (err->code != ERR_INTERNAL) {
        http_reply_err(r->http, err);
        return;
    }
    log_error("request.failed", "request=%s action=%s reason=\"%s\"", http_request_id(r->http),
              r->route ? r->route->action : "-", err->msg);
    auto_err struct err told = {0};
    err_set(&told, ERR_INTERNAL,
            "the controller could not do it; its log says why, under request %s",
            http_request_id(r->http));
    http_reply_err(r->http, &told);
}

int request_decode(struct request *r, const struct wire_struct *type)
{
    size_t len;
    const char *body = http_body(r->http, &len);
    if (len == 0 && strcmp(r->route->method, "PATCH") == 0) {
        auto_err struct err err = {0};
        err_set(&err, ERR_INVALID,
                "PATCH needs a body: a JSON object with the fields that are to change");
        request_fail(r, &err);
        return -1;
    }
    if (len == 0) {
        body = "{}";
        len = 2;
    }
    bool agent = r->route->flags & (ROUTE_NODE | ROUTE_JOIN);
    void *input = xcalloc(1, type->size);
    auto_err struct err err = {0};
    if (wire_parse(type, body, len, agent ? WIRE_LENIENT : WIRE_STRICT, input, &err) != 0) {
        free(input);
        request_fail(r, &err);
        return -1;
    }
    r->input = input;
    r->input_type = type;
    return 0;
}

/* ---- waiting ---- */

int request_alive(const struct request *r, struct err *err)
{
    if (tokens_alive(r->app->tokens, r->caller.token_key))
        return 0;
    return err_set(err, ERR_UNAUTHENTICATED, "the token was deleted while the request waited");
}

int request_share(struct request *r, enum share_kind kind, struct err *err)
{
    return r->share.shares ? 0 : shares_take(r->app->shares, kind, &r->caller, &r->share, err);
}

bool request_watch(struct request *r, enum watch_kind kind, int64_t key, int64_t after,
                   int64_t wait_ms, watch_fire *fire)
{
    r->sake.token_key = r->caller.token_key;
    return watch_add_for(r->app->watch, &r->sake, kind, key, after, wait_ms, fire, r);
}
