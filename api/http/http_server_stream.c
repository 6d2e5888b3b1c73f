/* Replies that stay open. The writer's side may be any thread and outlives the
 * connection; libmicrohttpd's side runs on the connection's thread and puts the
 * connection to sleep when there is nothing to send. Locks: stream, then request. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/base/mem.h"
#include "api/http/http_server_impl.h"

struct http_stream {
    atomic_uint refs; /* the writer's, the response's */
    pthread_mutex_t lock;
    struct http_request *req; /* NULL: the client has left or all was sent */
    bool ended;
    struct buf pending;
    size_t sent; /* bytes of `pending` */
};

/* For replies to HTTP/1.0, which are not chunked. */
enum { STREAM_BLOCK = 1024 };

static int64_t unsent(const struct http_stream *stream)
{
    return (int64_t)(stream->pending.len - stream->sent);
}

static void unref(struct http_stream *stream)
{
    if (atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&stream->lock);
    http_debt_add(-unsent(stream));
    buf_release(&stream->pending);
    free(stream);
}

static void wake(struct http_request *req)
{
    pthread_mutex_lock(&req->lock);
    bool asleep = http_wake(req);
    pthread_mutex_unlock(&req->lock);
    if (asleep)
        MHD_resume_connection(req->connection);
}

static size_t take_pending(struct http_stream *stream, char *out, size_t max)
{
    size_t len = stream->pending.len - stream->sent;
    if (len > max)
        len = max;
    if (len == 0)
        return 0;
    memcpy(out, stream->pending.data + stream->sent, len);
    stream->sent += len;
    http_debt_add(-(int64_t)len);
    size_t left = stream->pending.len - stream->sent;
    if (left == 0 && stream->pending.cap > STREAM_BLOCK) {
        /* A burst's memory is not kept by a stream that waits. */
        buf_release(&stream->pending);
        stream->sent = 0;
    } else if (stream->sent >= left) {
        memmove(stream->pending.data, stream->pending.data + stream->sent, left);
        stream->pending.len = left;
        stream->sent = 0;
    }
    return len;
}

/* What is left of an ended one its client may still take, but not for ever. */
static void expect_end(struct http_request *req)
{
    if (atomic_load(&req->deadline_ms) == 0)
        http_deadline(req, http_now_ms() + req->server->upload_idle_ms, false);
}

static ssize_t on_read(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct http_stream *stream = cls;
    pthread_mutex_lock(&stream->lock);
    ssize_t len = (ssize_t)take_pending(stream, out, max);
    if (stream->ended)
        expect_end(stream->req);
    if (len == 0 && stream->ended)
        len = MHD_CONTENT_READER_END_OF_STREAM;
    if (len == 0) {
        pthread_mutex_lock(&stream->req->lock);
        if (atomic_load(&stream->req->server->stopping))
            len = MHD_CONTENT_READER_END_OF_STREAM;
        else
            http_sleep(stream->req);
        pthread_mutex_unlock(&stream->req->lock);
    }
    pthread_mutex_unlock(&stream->lock);
    return len;
}

/* libmicrohttpd lets go of the response: all was sent, or the client has left. */
static void on_free(void *cls)
{
    struct http_stream *stream = cls;
    pthread_mutex_lock(&stream->lock);
    struct http_request *req = stream->req;
    stream->req = NULL;
    pthread_mutex_lock(&req->lock);
    if (req->stream == stream)
        req->stream = NULL;
    pthread_mutex_unlock(&req->lock);
    pthread_mutex_unlock(&stream->lock);
    unref(stream);
}

struct http_stream *http_reply_stream(struct http_request *req, const struct http_reply *reply)
{
    struct http_stream *stream = xcalloc(1, sizeof(*stream));
    struct http_reply head = *reply;
    if (!head.content_type)
        head.content_type = "text/event-stream";
    atomic_init(&stream->refs, 2);
    pthread_mutex_init(&stream->lock, NULL);
    stream->req = req;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_read, stream, on_free);
    if (!response)
        abort();
    http_add_headers(req, response, &head, true);
    pthread_mutex_lock(&req->lock);
    if (req->status == 0)
        req->stream = stream;
    pthread_mutex_unlock(&req->lock);
    http_answer(req, response, head.status, NULL, -1);
    return stream;
}

/* Whether its client has read too little for this, be it for itself or beside all others. */
static bool is_too_slow(const struct http_stream *stream, size_t more)
{
    int64_t bytes = unsent(stream) + (int64_t)more;
    return bytes > HTTP_STREAM_BYTES ||
           (bytes > HTTP_STREAM_SHARE && !http_debt_allows(stream->req->server, (int64_t)more));
}

bool http_stream_write(struct http_stream *stream, const void *data, size_t len)
{
    pthread_mutex_lock(&stream->lock);
    bool open = stream->req && !stream->ended;
    if (open && is_too_slow(stream, len)) {
        /* libmicrohttpd is waiting for the socket, and now learns that it is closed. */
        shutdown(stream->req->fd, SHUT_RDWR);
        stream->ended = true;
        wake(stream->req);
        open = false;
    }
    if (open) {
        buf_add(&stream->pending, data, len);
        http_debt_add((int64_t)len);
        wake(stream->req);
    }
    pthread_mutex_unlock(&stream->lock);
    return open;
}

static void finish(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    if (stream->req) {
        wake(stream->req);
        expect_end(stream->req);
    }
    pthread_mutex_unlock(&stream->lock);
    unref(stream);
}

void http_stream_end(struct http_stream *stream)
{
    finish(stream);
}

void http_stream_stop(struct http_request *req)
{
    pthread_mutex_lock(&req->lock);
    struct http_stream *stream = req->stream;
    if (stream)
        atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&req->lock);
    if (stream)
        finish(stream);
}
