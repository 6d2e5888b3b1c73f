/* Requests that libmicrohttpd refuses by itself, before or in the middle of what it tells us:
 * a bad request line, an unsupported version, a line without a colon, a bad Content-Length, bad
 * chunks, a head beyond its memory. It answers them with pages of HTML and offers no hook for
 * that; but it queues its own replies through its public function, by way of the dynamic
 * linker, so that the MHD_queue_response() defined here stands before the library's. Whatever
 * comes in by that name and is an error is a refusal of the library's: we ourselves reply
 * through http_queue_response(). The problem document takes the place of the page; status,
 * "Connection: close" and the end of the connection are the library's as before. Nothing is
 * looked at twice and a good request pays nothing, which is why there is no parser of our own
 * in front of the library. Where the linker cannot bind it so (a libmicrohttpd linked with
 * -Bsymbolic) the pages come back, and tests/unit/test_api_http_head.c says so.
 *
 * A request line without a space the library of Debian 12 does not answer at all. The last
 * moment before it closes such a connection, http_malformed_closing(), answers for it. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/http/http_server_impl.h"
#include "api/http/problem.h"
#include "api/json/json.h"

#define LINE_RULE                                                                  \
    "The request line is not: method, one space, target, one space, HTTP version " \
    "(HTTP/1.1 or HTTP/1.0)."

typedef enum MHD_Result queue_function(struct MHD_Connection *connection, unsigned status,
                                       struct MHD_Response *response);

static queue_function *library_queue;

static void find_library_queue(void)
{
    library_queue = (queue_function *)dlsym(RTLD_NEXT, "MHD_queue_response");
    if (library_queue)
        return;
    log_error("http.missing_symbol", "msg=\"libmicrohttpd has no MHD_queue_response\"");
    abort();
}

enum MHD_Result http_queue_response(struct MHD_Connection *connection, unsigned status,
                                    struct MHD_Response *response)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_library_queue);
    return library_queue(connection, status, response);
}

/* ---- what the library meant ---- */

/* Its status, and how far the request had come, tell which of its refusals it was. */
static void explain_head(const struct http_request *req, unsigned status, struct err *err)
{
    switch (status) {
    case MHD_HTTP_CONTENT_TOO_LARGE:
        err_set(err, ERR_TOO_LARGE, "The Content-Length is too large.");
        return;
    case MHD_HTTP_URI_TOO_LONG:
        err_set(err, ERR_URI_TOO_LONG,
                "The request line is too long; its target may have %d bytes.", LIMIT_URI_BYTES);
        return;
    case MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE:
        err_set(err, ERR_HEADERS_TOO_LARGE,
                "The header fields are too many or too large; at most %d bytes are allowed.",
                LIMIT_HEADERS_BYTES);
        return;
    default:
        break;
    }
    const char *length =
        MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, "Content-Length");
    if (!req->raw_target)
        err_set(err, ERR_INVALID, LINE_RULE);
    else if (length && (!*length || length[strspn(length, "0123456789")]))
        err_set(err, ERR_INVALID, "The Content-Length is not a decimal number.");
    else
        err_set(err, ERR_INVALID, "A line of the header fields has no colon.");
}

static void explain_body(const struct http_request *req, unsigned status, struct err *err)
{
    bool chunked = req->content_length < 0;
    if (status == MHD_HTTP_CONTENT_TOO_LARGE)
        err_set(err, ERR_TOO_LARGE, "The size of a chunk is too large.");
    else if (status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE)
        err_set(err, ERR_HEADERS_TOO_LARGE,
                "The trailer fields behind the last chunk are too many or too large.");
    else if (status < 500)
        err_set(err, ERR_INVALID,
                "The chunked body is malformed: the size or the end of a chunk, or a line of the "
                "trailer fields without a colon.");
    else if (chunked)
        err_set(err, ERR_INVALID, "The line with the size of a chunk is too long.");
    else
        err_set(err, ERR_INTERNAL, "The body was not taken; the server's log says more.");
}

/* Returns the status; the library's own except where it blames itself for a client's fault. */
static int put_problem(const struct http_request *req, unsigned status, struct buf *out)
{
    auto_err struct err err = {0};
    if (req->raw.fault && !req->raw.fault_ahead)
        http_scan_explain(&req->raw, &err);
    else if (status == MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED)
        err_set(&err, ERR_HTTP_VERSION,
                "The HTTP version of the request line is not supported; use HTTP/1.1 or "
                "HTTP/1.0.");
    else if (req->phase == HTTP_BODY)
        explain_body(req, status, &err);
    else
        explain_head(req, status, &err);
    err_problem(&err, req->id, out);
    return err_info(err.code)->status;
}

/* ---- in the library's place ---- */

/* Of a request that was not begun our own refusal, if there is one, names the first fault; the
 * request is left as any that is refused. */
static struct MHD_Response *refuse_head(struct http_request *req, unsigned status)
{
    struct buf body = {0};
    struct http_reply reply = {.content_type = "application/problem+json"};
    if (!req->response) {
        reply.status = put_problem(req, status, &body);
        http_reply(req, &reply, &body);
    }
    req->refused_status = req->status;
    return take(req->response);
}

/* Once it was begun other threads may be answering at this moment, so what is theirs is left
 * alone: the reply that they give is dropped with the request, and its end tells of ours. */
static struct MHD_Response *refuse_rest(struct http_request *req, unsigned status)
{
    struct buf body = {0};
    struct http_reply reply = {.content_type = "application/problem+json"};
    reply.status = put_problem(req, status, &body);
    size_t len = body.len;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, buf_take(&body), MHD_RESPMEM_MUST_FREE);
    if (!response)
        return NULL;
    http_add_headers(req, response, &reply, true);
    req->refused_status = reply.status;
    return response;
}

static void expect_reader(struct http_request *req)
{
    pthread_mutex_lock(&req->lock);
    if (!req->asleep)
        http_deadline(req, http_now_ms() + req->server->upload_idle_ms, false);
    pthread_mutex_unlock(&req->lock);
}

static bool head_is_complete(const struct http_request *req)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return req->phase == HTTP_HEAD && info && info->header_size > 0;
}

/* A refusal between the end of the head and our first call (a bad Content-Length, cookies beyond
 * its memory) libmicrohttpd 0.9.75 goes on from as if nothing had happened, and sends the head of
 * its reply twice. So ours goes out at once, and what the library sends meets a closed door. */
static void answer_by_hand(struct http_request *req, struct MHD_Response *ours)
{
    req->response = ours;
    http_reply_raw(req);
    shutdown(req->fd, SHUT_WR);
}

/* While it stops libmicrohttpd 0.9.75 says that it has queued a reply and has not; what it does
 * with an error's next would end the process. */
static enum MHD_Result queue_error(struct MHD_Connection *connection, unsigned status,
                                   struct MHD_Response *response)
{
    enum MHD_Result done = http_queue_response(connection, status, response);
    if (!MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS))
        return MHD_NO;
    return done;
}

/* Called by libmicrohttpd for its own errors, on the connection's thread; and by programs that
 * use it beside us, whose connections have no context of ours. */
__attribute__((visibility("default"))) enum MHD_Result
MHD_queue_response(struct MHD_Connection *connection, unsigned status,
                   struct MHD_Response *response)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_request *req = info ? info->socket_context : NULL;
    if (status < 400 || !req || req->over)
        return http_queue_response(connection, status, response);
    if (!req->raw_target)
        http_request_started(req);
    struct MHD_Response *ours = req->begun ? refuse_rest(req, status) : refuse_head(req, status);
    if (!ours)
        return queue_error(connection, status, response);
    http_linger(req);
    if (head_is_complete(req)) {
        answer_by_hand(req, ours);
        return queue_error(connection, status, response);
    }
    expect_reader(req);
    enum MHD_Result done = queue_error(connection, (unsigned)req->refused_status, ours);
    MHD_destroy_response(ours);
    return done;
}

/* ---- where the library says nothing ---- */

/* Whether the client is there and we are the ones who close. */
static bool client_waits(const struct http_request *req)
{
    char byte;
    ssize_t got = recv(req->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

void http_malformed_closing(struct http_request *req)
{
    if (!req->stays_open || req->over || atomic_load(&req->server->stopping))
        return;
    bool waits = client_waits(req);
    /* A connection that was in use and that its client has left ends like any other. */
    if (req->used && !waits)
        return;
    http_request_started(req);
    http_refuse(req, ERR_INVALID, LINE_RULE);
    if (waits)
        http_linger(req);
    http_reply_raw(req);
}
