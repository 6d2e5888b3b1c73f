/* The bytes as they come, before libmicrohttpd reads them. It takes a bare line feed for the end
 * of a line, a line that begins with NUL for an empty one, and control characters in values, and
 * afterwards nothing tells: it writes over what ended a line and keeps nothing of a chunk's frame.
 * Whatever stands in front of us may read such bytes otherwise, so they are refused.
 *
 * The library offers no look at them, but it reads a socket through recv(), by way of the dynamic
 * linker, so that the recv() defined here stands before libc's (as does MHD_queue_response() in
 * http_server_malformed.c). It receives like libc's and then follows the framing of what came for
 * a connection of ours: one state, a glance at each byte of a head, none at those of a body. Where
 * the linker cannot bind it so, no head was seen here that the library says is complete, and every
 * request is refused: http_raw_framed().
 *
 * The scan stops behind each head, since only http_head_check() knows whether a body follows, and
 * is taken up again when it has said so: the bytes behind the head lie in the library's buffer
 * then. So it can be ahead of the library, in a request that waits for the one before to be
 * answered. A fault is told when its own turn has come. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/base/log.h"
#include "api/http/http_server_impl.h"

#if defined(__SANITIZE_THREAD__)
#define THREADS_ARE_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREADS_ARE_WATCHED 1
#endif
#endif

enum { FILES_MAX = 1 << 16 }; /* more descriptors than limits on connections allow */

/* ---- faults ---- */

static void refuse(struct http_request *req)
{
    auto_err struct err err = {0};
    http_scan_explain(&req->raw, &err);
    http_reply_err(req, &err);
}

bool http_raw_refused(struct http_request *req)
{
    if (!req->raw.fault || req->raw.fault_ahead)
        return false;
    refuse(req);
    return true;
}

bool http_raw_reached(const struct http_request *req, uint64_t delivered)
{
    return req->raw.fault && !req->raw.fault_ahead && delivered >= req->raw.fault_at;
}

static void answer(struct http_request *req)
{
    if (req->phase == HTTP_IDLE || !req->used)
        http_request_started(req);
    refuse(req);
    http_linger(req);
    http_reply_raw(req);
}

/* The library waits for more of what cannot be read: it gets no more. */
static ssize_t cut(struct http_request *req)
{
    answer(req);
    req->phase = HTTP_SENDING;
    errno = ECONNRESET;
    return -1;
}

/* ---- what the library reads ---- */

/* By socket. Each place is used by the thread of its connection alone; all others' receiving
 * finds nothing in theirs. */
static struct http_request *_Atomic connections[FILES_MAX];

void http_raw_watch(struct http_request *req, bool on)
{
    if (req->fd < FILES_MAX)
        atomic_store_explicit(&connections[req->fd], on ? req : NULL, memory_order_relaxed);
}

static ssize_t received(struct http_request *req, const void *data, size_t len)
{
    struct http_raw *raw = &req->raw;
    if (req->over)
        return (ssize_t)len;
    if (raw->state == HTTP_RAW_HEAD_DONE)
        raw->unread += len;
    else if (!raw->fault)
        http_scan(raw, data, len);
    /* The library reads on only when it has used up what came before. */
    return raw->fault && !raw->fault_ahead ? cut(req) : (ssize_t)len;
}

/* What libc's recv() is. The thread sanitizer knows what one end of a socket learns from the
 * other by recv(), which is ours here, and by read(), but not by recvfrom(). */
static ssize_t receive(int fd, void *buf, size_t len, int flags)
{
#ifdef THREADS_ARE_WATCHED
    if (!flags)
        return read(fd, buf, len);
#endif
    return recvfrom(fd, buf, len, flags, NULL, NULL);
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    ssize_t got = receive(fd, buf, len, flags);
    if (got <= 0 || flags || fd < 0 || fd >= FILES_MAX)
        return got;
    struct http_request *req = atomic_load_explicit(&connections[fd], memory_order_relaxed);
    return req ? received(req, buf, (size_t)got) : got;
}

/* ---- in step with the requests ---- */

static int refuse_head(struct http_request *req)
{
    struct http_raw *raw = &req->raw;
    if (raw->fault) {
        refuse(req);
        return -1;
    }
    if (raw->state == HTTP_RAW_START && raw->head_size == 0)
        log_error("http.missing_symbol", "msg=\"libmicrohttpd does not receive through recv()\"");
    return http_refuse(req, ERR_INVALID,
                       "The head of the request can be read in more than one way.");
}

int http_raw_framed(struct http_request *req)
{
    struct http_raw *raw = &req->raw;
    if (raw->fault || raw->state != HTTP_RAW_HEAD_DONE || raw->head_size != req->head_size)
        return refuse_head(req);
    const char *behind = req->head + req->head_size;
    size_t unread = raw->unread;
    raw->body = 0;
    raw->ahead = false;
    if (req->has_body && req->content_length < 0) {
        http_scan_chunk(raw);
    } else if (req->has_body) {
        raw->state = HTTP_RAW_BODY;
        raw->left = (uint64_t)req->content_length;
    } else {
        raw->ahead = true;
        http_scan_head(raw);
    }
    http_scan(raw, behind, unread);
    return 0;
}

void http_raw_next(struct http_request *req, bool goes_on)
{
    req->raw.ahead = req->raw.fault_ahead = false;
    if (!goes_on || !req->raw.fault)
        return;
    /* The library has the bytes already, and might wait for more of them. */
    answer(req);
    http_request_reset(req);
    req->over = true;
    shutdown(req->fd, SHUT_WR);
    http_deadline(req, http_now_ms() + 1000, true);
}
