/* Replies: from what a handler says to libmicrohttpd's response, from any thread,
 * and by hand where libmicrohttpd takes none. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/http_server_impl.h"
#include "api/log.h"
#include "api/mem.h"

struct http_shared {
    atomic_uint refs;
    struct http_reply reply; /* its texts are our own copies */
    char *content_type, *etag, *location, *extra_name, *extra_value;
    struct buf body;
};

static void add_header(struct http_request *req, struct MHD_Response *response, const char *name,
                       const char *value)
{
    /* Refused: a line break or an empty value, which would be a defect of ours. */
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        log_error("http.defect", "id=%s header=\"%s\" msg=\"not a header value\"", req->id, name);
}

void http_add_headers(struct http_request *req, struct MHD_Response *response,
                      const struct http_reply *reply, bool has_body)
{
    const char *type = reply->content_type ? reply->content_type : "application/json";
    if (has_body)
        add_header(req, response, "Content-Type", type);
    add_header(req, response, "Cache-Control", "no-store");
    add_header(req, response, "X-Request-Id", req->id);
    if (reply->etag) {
        autofree char *quoted = xasprintf("\"%s\"", reply->etag);
        add_header(req, response, "ETag", quoted);
    }
    if (reply->location)
        add_header(req, response, "Location", reply->location);
    if (reply->extra_name)
        add_header(req, response, reply->extra_name, reply->extra_value);
    if (reply->status == 401)
        add_header(req, response, "WWW-Authenticate", "Bearer");
}

void http_answer(struct http_request *req, struct MHD_Response *response, int status,
                 const char *body, int64_t size)
{
    bool wake = false;
    /* Unless it may be shared the request is the connection's thread's alone. */
    bool shared = req->shared;
    if (shared)
        pthread_mutex_lock(&req->lock);
    bool first = !req->response && req->status == 0;
    if (first) {
        req->response = response;
        req->status = status;
        req->reply_body = body;
        req->reply_size = size;
        req->wants_sleep = false;
        wake = http_wake(req);
    }
    if (shared)
        pthread_mutex_unlock(&req->lock);
    if (wake)
        MHD_resume_connection(req->connection);
    /* From here on the request may be gone. */
    if (!first)
        MHD_destroy_response(response);
}

static struct MHD_Response *checked(struct MHD_Response *response)
{
    if (!response) {
        log_error("http.memory", "msg=\"no memory for a reply\"");
        abort();
    }
    return response;
}

void http_reply(struct http_request *req, const struct http_reply *reply, struct buf *body)
{
    size_t len = body->len;
    char *data = buf_take(body);
    struct MHD_Response *response =
        checked(MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE));
    http_add_headers(req, response, reply, len > 0);
    http_answer(req, response, reply->status, data, (int64_t)len);
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

/* ---- shared bodies ---- */

struct http_shared *http_shared_new(const struct http_reply *reply, struct buf *body)
{
    struct http_shared *shared = xcalloc(1, sizeof(*shared));
    atomic_init(&shared->refs, 1);
    shared->content_type = xstrdup(reply->content_type);
    shared->etag = xstrdup(reply->etag);
    shared->location = xstrdup(reply->location);
    shared->extra_name = xstrdup(reply->extra_name);
    shared->extra_value = xstrdup(reply->extra_value);
    shared->reply =
        (struct http_reply){reply->status,    shared->content_type, shared->etag,
                            shared->location, shared->extra_name,   shared->extra_value};
    shared->body.len = body->len;
    shared->body.data = buf_take(body);
    return shared;
}

void http_shared_unref(struct http_shared *shared)
{
    if (!shared || atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(shared->content_type);
    free(shared->etag);
    free(shared->location);
    free(shared->extra_name);
    free(shared->extra_value);
    buf_release(&shared->body);
    free(shared);
}

static void unref_shared(void *cls)
{
    http_shared_unref(cls);
}

void http_reply_shared(struct http_request *req, struct http_shared *shared)
{
    atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    struct MHD_Response *response = checked(MHD_create_response_from_buffer_with_free_callback_cls(
        shared->body.len, shared->body.data, unref_shared, shared));
    http_add_headers(req, response, &shared->reply, shared->body.len > 0);
    http_answer(req, response, shared->reply.status, shared->body.data, (int64_t)shared->body.len);
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
    MHD_destroy_response(take(req->response));
    /* The socket's buffer holds a "100 Continue" at most, so this fits; a client that has
     * left is no concern of ours. */
    ssize_t sent = send(req->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}
