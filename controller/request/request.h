/* A request on its way through a handler: who asks, which route, what to answer.
 *
 * `HTTP -> route -> handler -> domain -> store`. routes.c finds the route, reads the
 * bearer token, checks the role, parses nothing; the handler decodes, calls the domain
 * and answers. Three ways to run:
 *   reads under 1 ms   in the handler itself, with request_reader()
 *   longer reads       request_pool(), request_ledger(): on a pool thread, connection suspended
 *   writes             request_write(): on the writer, connection suspended; wraps the
 *                      Idempotency-Key, the audit row and the answer into the transaction */
#ifndef MINICLOUD_CONTROLLER_REQUEST_REQUEST_H
#define MINICLOUD_CONTROLLER_REQUEST_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/id.h"
#include "api/http/http_server.h"
#include "api/json/json.h"
#include "api/types.h"
#include "controller/access/access.h"
#include "controller/access/shares.h"
#include "controller/wait/watch.h"

struct app;
struct db;
struct request;
struct route;
struct tx;
struct wire_struct;

typedef void request_handler(struct request *r);
/* On the writer: do it, and fill r->status, r->reply, ... */
typedef int request_run(struct tx *tx, struct request *r, struct err *err);
/* On a pool thread with a reader: fill the same. */
typedef int request_read(struct db *db, struct request *r, struct err *err);

struct request {
    struct app *app;
    struct http_request *http;
    const struct route *route;
    struct caller caller;
    char *args[2]; /* decoded {placeholders} of the path, in order */
    /* The answer of a write, filled in `run` and kept for Idempotency-Key: */
    int status;
    struct buf reply;
    char *etag;
    char *location;
    bool secret;              /* the reply holds a secret: never replayed */
    bool replayed;            /* the answer is an older one's */
    const char *content_type; /* of the reply; NULL: JSON */
    /* The handler's own decoded input, released when the request ends: by its wire table
     * when request_decode() made it, else by input_release. */
    void *input;
    void (*input_release)(void *input);
    const struct wire_struct *input_type;
    /* What runs elsewhere while the connection sleeps. */
    request_run *run;
    request_read *read;
    /* Of a request that waits: the place that it takes, until it has ended; for whose sake; and
     * what must hear, besides the watch, that the client has left (as http_handlers.left). */
    struct share share;
    struct watch_sake sake;
    void (*left)(struct request *r);
    struct request *follower; /* that gets the same answer (flights.h) */
    struct err refusal; /* why it was not tried, while it is looked up whether it was done before */
};

enum route_flags {
    ROUTE_OPEN = 1,      /* no token needed (healthz) */
    ROUTE_UPLOAD = 2,    /* body goes to a sink chosen in the handler's `begin` */
    ROUTE_NODE = 4,      /* node tokens only */
    ROUTE_JOIN = 8,      /* join tokens only */
    ROUTE_NODE_TOO = 16, /* node tokens as well as people's */
    ROUTE_OPERATOR = 32, /* tokens without a project only */
    ROUTE_TEXT = 64,     /* the body is no JSON */
};

struct route {
    const char *method;
    const char *path;   /* "/v1/instances/{instance}/start" */
    const char *action; /* "instance.start": what audit, metrics and the role table name */
    enum role min_role; /* reader <= member <= admin */
    unsigned flags;
    request_handler *handle;
    request_handler *begin; /* ROUTE_UPLOAD: head is there, take the body */
    size_t body_limit;      /* 0: LIMIT_BODY_BYTES */
};

/* Ended by a NULL method. The OpenAPI test walks it. */
extern const struct route routes[];

/* 0, or ERR_FORBIDDEN with the reason. Pure: a test walks all routes and roles. */
int route_allows(const struct route *route, const struct caller *who, struct err *err);
/* The route of a method and path, its placeholders copied to `args` (owned by the caller).
 * ERR_NO_ROUTE, or ERR_METHOD with the allowed methods in `allow`. */
enum { ROUTE_ALLOW_MAX = 64 };
const struct route *route_find(const char *method, const char *path, char *args[2],
                               char allow[ROUTE_ALLOW_MAX], struct err *err);
/* What http_server.h calls; `ctx` is the app. */
extern const struct http_handlers dispatch_handlers;

/* This thread's reader connection. */
struct db *request_reader(struct request *r);
void request_pool(struct request *r, request_read *read);
/* The same for what goes through the ledger, which may take long: nobody waits behind it for a
 * list. */
void request_ledger(struct request *r, request_read *read);
/* Too many reads wait: of all, or of this one's lane (pool.h). */
void request_refuse_read(struct request *r, bool of_lane);
void request_write(struct request *r, request_run *run);
/* Whether the request's token is still good; for those that wait. ERR_UNAUTHENTICATED. */
int request_alive(const struct request *r, struct err *err);
/* Takes a share that ends with the request, as shares_take(). A second call does nothing. */
int request_share(struct request *r, enum share_kind kind, struct err *err);
/* watch_add() for the request's sake. */
bool request_watch(struct request *r, enum watch_kind kind, int64_t key, int64_t after,
                   int64_t wait_ms, watch_fire *fire);
/* The same from a pool thread, the connection asleep already. */
void request_write_asleep(struct request *r, request_run *run);
/* Decodes the body strictly into a zeroed struct that the request then owns as r->input.
 * -1: answered. An empty body counts as {} when nothing is required. */
int request_decode(struct request *r, const struct wire_struct *type);

/* Answers from r->status, r->reply, r->etag, r->location. */
void request_reply(struct request *r);
void request_fail(struct request *r, const struct err *err);
/* Whether If-None-Match names r->etag: request_reply() then says 304. */
bool request_not_modified(const struct request *r);
/* A JSON writer on r->reply. */
struct json_writer request_json(struct request *r, int status);
/* If-Match against the current ETag text: 0, or ERR_PRECONDITION. No header: 0. */
int request_if_match(const struct request *r, const char *etag, struct err *err);

/* "r<revision>", owned by the caller. */
char *etag_of(int64_t revision);
/* The row that the first placeholder and, for operators, `?project=` name. */
int request_row(struct request *r, struct db *db, enum access_verb verb, enum access_kind kind,
                int64_t *ret_key, struct err *err);
/* The project that a create or a name lookup acts in; operators choose by `?project=`. */
int request_project(struct request *r, struct db *db, int64_t *ret_key, struct err *err);
/* The projects that a list shows: the token's own, or the one that an operator names, or
 * all (0). */
int request_scope(struct request *r, struct db *db, int64_t *ret_key, struct err *err);

/* Query helpers. Each refuses what is unknown or out of range by name. */
struct page {
    int64_t after_key; /* from `cursor`, 0 = start */
    int64_t limit;
};
int request_page(struct request *r, struct page *ret_page, struct err *err);
int request_query_i64(struct request *r, const char *name, int64_t fallback, int64_t min,
                      int64_t max, int64_t *ret_value, struct err *err);
/* "30s", "500ms", "30": milliseconds, at most LIMIT_WAIT_SECONDS. 0 when absent. */
int request_wait(struct request *r, int64_t *ret_ms, struct err *err);
/* Only these parameters may stand in the query; NULL-ended. */
int request_only(struct request *r, const char *const *allowed, struct err *err);
/* Opens {"<plural>":[ ; and closes with "next" (opaque cursor after last_key, or null when
 * !more) and "revision". */
void page_open(struct json_writer *w, const char *plural);
void page_close(struct json_writer *w, bool more, int64_t last_key, int64_t revision);

#endif
