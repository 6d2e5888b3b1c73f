/* libmicrohttpd's callbacks for one request, on the connection's own thread: the
 * target, the head, the body's bytes, the whole request, the end.
 *
 * What libmicrohttpd 0.9.75 wants: a reply queued at the first call closes the
 * connection, so one to a request without a body waits for the second call;
 * between the first and the last call of a body it takes no reply at all. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/base/clock.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/http/http_server_impl.h"

static void make_id(struct http_request *req)
{
    static const char hex[] = "0123456789abcdef";
    /* splitmix64: distinct for distinct counters, and no two look alike. */
    uint64_t x =
        atomic_fetch_add_explicit(&req->server->next_id, 0x9E3779B97F4A7C15U, memory_order_relaxed);
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
    x = (x ^ x >> 27) * 0x94D049BB133111EBU;
    x ^= x >> 31;
    for (int i = 0; i < 16; i++, x >>= 4)
        req->id[i] = hex[x & 15];
    req->id[16] = '\0';
}

void http_request_started(struct http_request *req)
{
    req->started_ns = clock_mono_ns();
    if (req->phase == HTTP_IDLE)
        http_deadline(req, req->started_ns / 1000000 + http_patience(req, req->server->request_ms),
                      false);
    req->phase = HTTP_HEAD;
    req->used = true;
    req->stays_open = false;
    make_id(req);
}

void *http_on_target(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)cls;
    struct http_request *req =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (!req->over)
        http_request_started(req);
    req->raw_target = uri;
    req->raw_target_len = strlen(uri);
    if (!http_raw_refused(req))
        http_target_parse(req, uri, req->raw_target_len);
    /* Ends the query after its first byte, which keeps libmicrohttpd from parsing it too: that
     * costs 64 bytes of its pool for each '&', and it does not survive running out there. */
    char *query = strchr(uri, '?');
    if (query && query[1])
        query[1] = '\0';
    return req;
}

/* A reply must be taken at some pace, or the connection is cut; a stream has a bound of its own. */
static void expect_reader(struct http_request *req)
{
    int64_t from_ms = req->shared ? http_now_ms() : req->started_ns / 1000000;
    int64_t allowed_ms = req->server->upload_idle_ms + req->reply_size / HTTP_SEND_BYTES_PER_MS;
    http_deadline(req, req->reply_size < 0 ? 0 : from_ms + allowed_ms, false);
    atomic_store_explicit(&req->sends_ms, from_ms, memory_order_relaxed);
}

static enum MHD_Result queue_reply(struct http_request *req)
{
    struct MHD_Response *response = take(req->response);
    struct http_shared *owner = take(req->response_owner);
    expect_reader(req);
    req->phase = HTTP_SENDING;
    atomic_store_explicit(&req->use, HTTP_SENDS, memory_order_relaxed);
    enum MHD_Result done = http_queue_response(req->connection, (unsigned)req->status, response);
    http_drop_response(response, owner);
    return done;
}

/* The same for a request whose body was not read: what is left of it would be taken for
 * the next request, so the connection ends. */
static enum MHD_Result refuse_body(struct http_request *req)
{
    req->keeps = false;
    http_linger(req);
    return queue_reply(req);
}

static enum MHD_Result refuse_unwanted_body(struct http_request *req)
{
    auto_err struct err err = {0};
    err_set(&err, ERR_INVALID, "This request takes no body.");
    http_reply_err(req, &err);
    return refuse_body(req);
}

static enum MHD_Result cut_body(struct http_request *req)
{
    http_deadline(req, 0, false);
    http_linger(req);
    http_reply_raw(req);
    req->phase = HTTP_SENDING;
    return MHD_NO;
}

enum settled { REPLIED, ASLEEP, OPEN };

/* After a callback: what has become of the request? Another thread may have answered
 * already, in which case the connection never goes to sleep. */
static enum settled settle(struct http_request *req)
{
    if (!req->shared)
        return req->response ? REPLIED : OPEN;
    enum settled settled = OPEN;
    bool too_late = false;
    pthread_mutex_lock(&req->lock);
    if (req->response) {
        settled = REPLIED;
    } else if (req->asleep) {
        settled = ASLEEP;
    } else if (req->wants_sleep) {
        /* http_server_stop() wakes only whom it finds asleep after it has set this. */
        too_late = atomic_load(&req->server->stopping);
        if (!too_late)
            http_sleep(req);
        settled = too_late ? REPLIED : ASLEEP;
    }
    pthread_mutex_unlock(&req->lock);
    if (too_late)
        http_reply_unavailable(req);
    return settled;
}

/* A callback returned without a reply and without having asked to wait. */
static void reply_for_silent_handler(struct http_request *req)
{
    auto_err struct err err = {0};
    log_error("http.defect", "id=%s path=\"%s\" msg=\"the handler neither answered nor waited\"",
              req->id, req->target);
    err_set(&err, ERR_INTERNAL, "The request was not answered; the server's log says more.");
    http_reply_err(req, &err);
}

static void begin(struct http_request *req)
{
    req->begun = true;
    atomic_store_explicit(&req->use, HTTP_WORKS, memory_order_relaxed);
    atomic_fetch_add(&req->server->busy, 1);
    req->server->handlers.begin(req->server->handlers.ctx, req);
}

static void check_and_begin(struct http_request *req, const char *method, const char *version)
{
    req->method = strcmp(method, "HEAD") == 0 ? "GET" : method;
    if (http_head_check(req, method, version) || http_raw_framed(req))
        req->has_body = true; /* whatever follows, it is not read as a request */
    else if (atomic_load(&req->server->stopping))
        http_reply_unavailable(req);
    else if (req->status == 0)
        begin(req);
}

/* The head is complete, or a request that waited in `begin` goes on. */
static enum MHD_Result on_head(struct http_request *req, const char *method, const char *version)
{
    if (!req->method)
        check_and_begin(req, method, version);
    switch (settle(req)) {
    case REPLIED:
        if (req->has_body)
            return refuse_body(req);
        break;
    case ASLEEP:
        return MHD_YES;
    case OPEN:
        if (req->has_body && req->body_mode == HTTP_BODY_NONE)
            return refuse_unwanted_body(req);
    }
    req->phase = HTTP_BODY;
    if (req->body_mode == HTTP_BODY_UPLOAD)
        http_deadline(req, http_now_ms() + req->server->upload_idle_ms, false);
    return MHD_YES;
}

static enum MHD_Result collect(struct http_request *req, const char *data, size_t *len)
{
    if (*len <= req->body_limit - req->body.len) {
        buf_add(&req->body, data, *len);
        req->uploaded += (int64_t)*len;
        *len = 0;
        return MHD_YES;
    }
    auto_err struct err err = {0};
    err_set(&err, ERR_TOO_LARGE, "The body has more than %zu bytes.", req->body_limit);
    http_reply_err(req, &err);
    return cut_body(req);
}

/* Whether the client closed before the end of its upload. libmicrohttpd takes a short read for
 * an empty socket and waits for the next event, but a close that came together with the last
 * bytes makes no further one. Not known for chunks: the last one may still lie in its buffer. */
static bool client_left(const struct http_request *req)
{
    char byte;
    return req->uploaded < req->content_length &&
           recv(req->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Gives the sink what came until it wants to wait, fails or has taken all. */
static enum MHD_Result feed(struct http_request *req, const char *data, size_t *len)
{
    while (*len) {
        req->slept = false;
        long taken = req->sink(req->sink_ctx, req, data, *len);
        if (taken > 0) {
            data += taken;
            *len -= (size_t)taken;
            req->uploaded += taken;
            http_deadline(req, http_now_ms() + req->server->upload_idle_ms, false);
        }
        switch (settle(req)) {
        case REPLIED:
            return cut_body(req);
        case ASLEEP:
            return MHD_YES;
        case OPEN:
            /* Having waited, it may have been told to go on before it even returned. */
            if (*len && !req->slept) {
                reply_for_silent_handler(req);
                return cut_body(req);
            }
        }
    }
    return client_left(req) ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_body(struct http_request *req, const char *data, size_t *len)
{
    /* It may have been asleep; or still be, since libmicrohttpd goes on from one chunk to the
     * next in its buffer even after a sink that took all of the first has suspended it. */
    enum settled settled = settle(req);
    if (settled != OPEN)
        return settled == REPLIED ? cut_body(req) : MHD_YES;
    if (http_raw_reached(req, (uint64_t)req->uploaded) && http_raw_refused(req))
        return cut_body(req);
    if (req->body_mode == HTTP_BODY_MEMORY)
        return collect(req, data, len);
    return feed(req, data, len);
}

/* The whole request is there, or a request that waited goes on. */
static enum MHD_Result on_whole(struct http_request *req)
{
    if (req->phase == HTTP_BODY && http_raw_refused(req))
        return cut_body(req);
    req->phase = HTTP_HANDLE;
    for (bool again = false;; again = true) {
        switch (settle(req)) {
        case REPLIED:
            return queue_reply(req);
        case ASLEEP:
            return MHD_YES;
        case OPEN:
            break;
        }
        if (again && !req->slept) {
            reply_for_silent_handler(req);
            continue;
        }
        http_deadline(req, 0, false);
        req->slept = false;
        req->server->handlers.handle(req->server->handlers.ctx, req);
    }
}

enum MHD_Result http_on_access(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *data_len, void **context)
{
    (void)cls, (void)connection, (void)url;
    struct http_request *req = *context;
    if (!req || req->over)
        return MHD_NO;
    if (req->phase == HTTP_HEAD)
        return on_head(req, method, version);
    if (*data_len)
        return on_body(req, data, data_len);
    return on_whole(req);
}

void http_request_reset(struct http_request *req)
{
    req->phase = HTTP_IDLE;
    atomic_store_explicit(&req->use, HTTP_RESTS, memory_order_relaxed);
    req->wants_sleep = req->begun = req->has_body = req->slept = req->shared = false;
    req->keeps = false;
    req->status = req->refused_status = 0;
    req->body_mode = HTTP_BODY_NONE;
    req->content_length = -1;
    req->uploaded = 0;
    req->data = NULL;
    req->method = req->head = req->raw_target = NULL;
    req->target = req->inline_target;
    req->target[0] = req->target[1] = '\0';
    req->params = 0;
}

static void end(struct http_request *req, int64_t now_ns)
{
    struct http_server *server = req->server;
    server->handlers.end(server->handlers.ctx, req, req->status, now_ns - req->started_ns);
    if (atomic_fetch_sub(&server->busy, 1) == 1 && atomic_load(&server->stopping)) {
        pthread_mutex_lock(&server->lock);
        pthread_cond_signal(&server->quiet);
        pthread_mutex_unlock(&server->lock);
    }
}

void http_on_completed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode how)
{
    (void)cls, (void)connection;
    struct http_request *req = *context;
    if (!req)
        return;
    int64_t now_ns = clock_mono_ns();
    bool replied = req->phase == HTTP_SENDING;
    bool stays_open = replied && req->keeps && how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    req->stays_open = stays_open;
    if (req->refused_status)
        req->status = req->refused_status;
    else if (!replied)
        req->status = 0;
    http_debt_settle(req);
    if (req->begun)
        end(req, now_ns);
    if (req->response)
        http_drop_response(take(req->response), take(req->response_owner));
    if (req->target != req->inline_target)
        free(req->target);
    if (req->body.cap > HTTP_SMALL_REPLY)
        http_freed(req->server, (int64_t)req->body.cap);
    buf_release(&req->body);
    http_request_reset(req);
    http_deadline(req, now_ns / 1000000 + http_patience(req, HTTP_KEEPALIVE_SECONDS * 1000LL),
                  false);
    http_raw_next(req, stays_open);
}

/* ---- what handlers decide ---- */

void http_accept_body(struct http_request *req, size_t limit)
{
    if (req->content_length > 0 && (uint64_t)req->content_length > limit) {
        auto_err struct err err = {0};
        err_set(&err, ERR_TOO_LARGE, "The body has %lld bytes; at most %zu are allowed.",
                (long long)req->content_length, limit);
        http_reply_err(req, &err);
        return;
    }
    req->body_mode = HTTP_BODY_MEMORY;
    req->body_limit = limit;
}

void http_accept_upload(struct http_request *req, http_sink *sink, void *ctx)
{
    req->body_mode = HTTP_BODY_UPLOAD;
    req->shared = true; /* whoever the sink feeds may answer */
    req->sink = sink;
    req->sink_ctx = ctx;
}

void http_suspend(struct http_request *req)
{
    req->slept = req->shared = true;
    pthread_mutex_lock(&req->lock);
    req->wants_sleep = true;
    pthread_mutex_unlock(&req->lock);
}

void http_continue(struct http_request *req)
{
    pthread_mutex_lock(&req->lock);
    bool wake = http_wake(req);
    req->wants_sleep = false;
    pthread_mutex_unlock(&req->lock);
    if (wake)
        MHD_resume_connection(req->connection);
}
