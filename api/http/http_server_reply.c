/* Replies: from what a handler says to libmicrohttpd's response, from any thread,
 * and by hand where libmicrohttpd takes none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/http/http_server_impl.h"
#include "api/http/problem.h"

/* One response for all: with its headers, so that a reply costs no more than queueing it. */
struct http_shared {
    atomic_uint refs;
    struct MHD_Response *response;
    int status;
    const char *body; /* the response's own */
    int64_t size;
};

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    /* Refused: a line break or an empty value, which would be a defect of ours. */
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        log_error("http.defect", "header=\"%s\" msg=\"not a header value\"", name);
}

static void add_common_headers(struct MHD_Response *response, const struct http_reply *reply,
                               bool has_body)
{
    const char *type = reply->content_type ? reply->content_type : "application/json";
    if (has_body)
        add_header(response, "Content-Type", type);
    add_header(response, "Cache-Control", "no-store");
    if (reply->etag) {
        autofree char *quoted = xasprintf("\"%s\"", reply->etag);
        add_header(response, "ETag", quoted);
    }
    if (reply->location)
        add_header(response, "Location", reply->location);
    if (reply->extra_name)
        add_header(response, reply->extra_name, reply->extra_value);
    if (reply->status == 401)
        add_header(response, "WWW-Authenticate", "Bearer");
    if (reply->status == 429 || reply->status == 503) {
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%d", RETRY_AFTER_SECONDS);
        add_header(response, "Retry-After", seconds);
    }
}

void http_add_headers(struct http_request *req, struct MHD_Response *response,
                      const struct http_reply *reply, bool has_body)
{
    add_common_headers(response, reply, has_body);
    add_header(response, "X-Request-Id", req->id);
}

void http_drop_response(struct MHD_Response *response, struct http_shared *owner)
{
    if (owner)
        http_shared_unref(owner);
    else
        MHD_destroy_response(response);
}

struct answer {
    struct MHD_Response *response;
    struct http_shared *owner; /* of a shared response; NULL: the request's own */
    int status;
    const char *body;
    int64_t size;
    int64_t debt; /* counted as waiting, for the request to settle */
};

static void give(struct http_request *req, const struct answer *answer)
{
    bool wake = false;
    /* Unless it may be shared the request is the connection's thread's alone. */
    bool shared = req->shared;
    if (shared)
        pthread_mutex_lock(&req->lock);
    bool first = !req->response && req->status == 0;
    if (first) {
        req->response = answer->response;
        req->response_owner = answer->owner;
        req->status = answer->status;
        req->reply_body = answer->body;
        req->reply_size = answer->size;
        atomic_store_explicit(&req->debt, answer->debt, memory_order_relaxed);
        req->wants_sleep = false;
        wake = http_wake(req);
    }
    if (shared)
        pthread_mutex_unlock(&req->lock);
    if (wake)
        MHD_resume_connection(req->connection);
    /* From here on the request may be gone. */
    if (first)
        return;
    http_debt_add(-answer->debt);
    http_drop_response(answer->response, answer->owner);
}

void http_answer(struct http_request *req, struct MHD_Response *response, int status,
                 const char *body, int64_t size)
{
    struct answer answer = {.response = response, .status = status, .body = body, .size = size};
    give(req, &answer);
}

static struct MHD_Response *checked(struct MHD_Response *response)
{
    if (!response) {
        log_error("http.memory", "msg=\"no memory for a reply\"");
        abort();
    }
    return response;
}

static void reply_too_much_waits(struct http_request *req)
{
    auto_err struct err err = {0};
    err_set(&err, ERR_UNAVAILABLE,
            "Too many bytes wait for clients that do not read; try again in a moment.");
    http_reply_err(req, &err);
}

void http_reply(struct http_request *req, const struct http_reply *reply, struct buf *body)
{
    size_t len = body->len;
    int64_t debt = len > HTTP_SMALL_REPLY ? (int64_t)len : 0;
    if (debt && !http_debt_take(req->server, debt)) {
        buf_release(body);
        reply_too_much_waits(req);
        return;
    }
    char *data = buf_take(body);
    struct MHD_Response *response =
        checked(MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE));
    http_add_headers(req, response, reply, len > 0);
    give(req, &(struct answer){.response = response,
                               .status = reply->status,
                               .body = data,
                               .size = (int64_t)len,
                               .debt = debt});
}

void http_reply_err_with(struct http_request *req, const struct err *err, const char *name,
                         const char *value)
{
    struct buf body = {0};
    err_problem(err, req->id, &body);
    http_reply(req,
               &(struct http_reply){.status = err_info(err->code)->status,
                                    .content_type = "application/problem+json",
                                    .extra_name = name,
                                    .extra_value = value},
               &body);
}

void http_reply_err(struct http_request *req, const struct err *err)
{
    http_reply_err_with(req, err, NULL, NULL);
}

void http_reply_unavailable(struct http_request *req)
{
    auto_err struct err err = {0};
    err_set(&err, ERR_UNAVAILABLE, "The server is stopping; try again in a moment.");
    http_reply_err(req, &err);
}

void http_reply_file(struct http_request *req, const struct http_reply *reply, int fd, int64_t size)
{
    struct http_reply file = *reply;
    if (!file.content_type)
        file.content_type = "application/octet-stream";
    struct MHD_Response *response = checked(MHD_create_response_from_fd64((uint64_t)size, fd));
    http_add_headers(req, response, &file, true);
    http_answer(req, response, file.status, NULL, size);
}

/* ---- shared replies ---- */

struct http_shared *http_shared_new(const struct http_reply *reply, struct buf *body)
{
    struct http_shared *shared = xcalloc(1, sizeof(*shared));
    atomic_init(&shared->refs, 1);
    shared->status = reply->status;
    size_t len = body->len;
    char *data = buf_take(body);
    shared->body = data;
    shared->size = (int64_t)len;
    http_debt_add(shared->size); /* once, whoever waits for it */
    /* libmicrohttpd counts who still sends it, and frees the bytes after the last. */
    shared->response = checked(MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE));
    add_common_headers(shared->response, reply, len > 0);
    return shared;
}

void http_shared_unref(struct http_shared *shared)
{
    if (!shared || atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) != 1)
        return;
    http_debt_add(-shared->size);
    http_freed_later(shared->size);
    MHD_destroy_response(shared->response);
    free(shared);
}

void http_reply_shared(struct http_request *req, struct http_shared *shared)
{
    atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    struct answer answer = {.response = shared->response,
                            .owner = shared,
                            .status = shared->status,
                            .body = shared->body,
                            .size = shared->size};
    give(req, &answer);
}

/* ---- by hand ---- */

static enum MHD_Result print_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    buf_printf(cls, "%s: %s\r\n", name, value);
    return MHD_YES;
}

void http_reply_raw(struct http_request *req)
{
    auto_buf struct buf out = {0};
    size_t len = req->reply_body ? (size_t)req->reply_size : 0;
    buf_printf(&out, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n", req->status,
               MHD_get_reason_phrase_for((unsigned)req->status), len);
    MHD_get_response_headers(req->response, print_header, &out);
    buf_puts(&out, "\r\n");
    buf_add(&out, req->reply_body, len);
    http_drop_response(take(req->response), take(req->response_owner));
    /* The socket's buffer holds a "100 Continue" at most, so this fits; a client that has
     * left is no concern of ours. */
    ssize_t sent = send(req->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}
