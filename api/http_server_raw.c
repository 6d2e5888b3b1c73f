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
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/http_server_impl.h"
#include "api/log.h"

enum {
    FILES_MAX = 1 << 16,   /* more descriptors than limits on connections allow */
    CHUNK_LINE_MAX = 1024, /* a chunk's size and its extensions */
    EMPTY_LINES_MAX = 4,   /* before a request line; one is what old clients send */
    CHUNK_DIGITS_SHIFT = 64 - 4
};

/* ---- what is wrong ---- */

static const char *const faults[] = {
    [HTTP_RAW_NUL] = "a NUL",
    [HTTP_RAW_CONTROL] = "a control character",
    [HTTP_RAW_LF] = "a bare line feed",
    [HTTP_RAW_CR] = "a bare carriage return",
    [HTTP_RAW_FOLDED] = "a folded line",
    [HTTP_RAW_EMPTY] = "too many empty lines before it",
    [HTTP_RAW_SIZE] = "no hexadecimal number, or something behind it",
    [HTTP_RAW_HUGE] = "a number that is too large",
    [HTTP_RAW_LONG] = "too many characters: it is too long",
    [HTTP_RAW_END] = "something else than a carriage return and a line feed",
};

static const char *place(const struct http_raw *raw)
{
    switch (raw->state) {
    case HTTP_RAW_CHUNK:
    case HTTP_RAW_DIGITS:
    case HTTP_RAW_EXTENSION:
    case HTTP_RAW_CHUNK_LF:
        return "The line with the size of a chunk";
    case HTTP_RAW_DATA_CR:
    case HTTP_RAW_DATA_LF:
        return "The end of a chunk";
    default:
        break;
    }
    if (raw->trailer)
        return "A line of the trailer fields";
    return raw->headers ? "A line of the header fields" : "The request line";
}

void http_raw_explain(const struct http_request *req, struct err *err)
{
    const struct http_raw *raw = &req->raw;
    err_set(err, raw->fault == HTTP_RAW_HUGE ? ERR_TOO_LARGE : ERR_INVALID, "%s holds %s.",
            place(raw), faults[raw->fault]);
}

/* ---- the scan ---- */

static const bool text_bytes[256] = {['\t'] = true, [' ' ... '~'] = true, [0x80 ... 0xFF] = true};

/* Each step takes one byte, or leaves it to the state that it has chosen (false). */

static void fail(struct http_raw *raw, enum http_raw_fault fault)
{
    raw->fault = fault;
    raw->fault_at = raw->body;
    raw->fault_ahead = raw->ahead;
}

static void fail_text(struct http_raw *raw, unsigned char c)
{
    fail(raw, c == 0 ? HTTP_RAW_NUL : c == '\n' ? HTTP_RAW_LF : HTTP_RAW_CONTROL);
}

static void expect_lf(struct http_raw *raw, unsigned char c, enum http_raw_state next)
{
    if (c == '\n')
        raw->state = next;
    else
        fail(raw, HTTP_RAW_CR);
}

/* Behind a line of a head or of trailer fields. */
static void begin_line(struct http_raw *raw, unsigned char c)
{
    raw->headers = true;
    if (c == '\r')
        raw->state = HTTP_RAW_LAST_LF;
    else if (c == ' ' || c == '\t')
        fail(raw, HTTP_RAW_FOLDED);
    else if (!text_bytes[c])
        fail_text(raw, c);
    else
        raw->state = HTTP_RAW_TEXT;
}

static void begin_head(struct http_raw *raw)
{
    raw->state = HTTP_RAW_START;
    raw->headers = raw->trailer = false;
    raw->head_size = 0;
    raw->count = 0;
}

static void end_head(struct http_raw *raw, unsigned char c)
{
    bool trailer = raw->trailer;
    expect_lf(raw, c, HTTP_RAW_HEAD_DONE);
    if (raw->fault || !trailer)
        return;
    raw->ahead = true;
    begin_head(raw);
}

static void before_head(struct http_raw *raw, unsigned char c)
{
    if (c == '\r')
        raw->state = HTTP_RAW_EMPTY_LF;
    else if (!text_bytes[c])
        fail_text(raw, c);
    else
        raw->state = HTTP_RAW_TEXT;
    raw->head_size = c == '\r' ? 0 : 1;
}

static void empty_line(struct http_raw *raw, unsigned char c)
{
    expect_lf(raw, c, HTTP_RAW_START);
    raw->head_size = 0;
    if (!raw->fault && ++raw->count > EMPTY_LINES_MAX)
        fail(raw, HTTP_RAW_EMPTY);
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void chunk_size(struct http_raw *raw, unsigned char c)
{
    int digit = hex_value(c);
    if (++raw->count > CHUNK_LINE_MAX)
        fail(raw, HTTP_RAW_LONG);
    else if (digit >= 0 && raw->left >> CHUNK_DIGITS_SHIFT)
        fail(raw, HTTP_RAW_HUGE);
    else if (digit >= 0)
        raw->left = raw->left << 4 | (unsigned)digit;
    else if (raw->state == HTTP_RAW_DIGITS && c == ';')
        raw->state = HTTP_RAW_EXTENSION;
    else if (raw->state == HTTP_RAW_DIGITS && c == '\r')
        raw->state = HTTP_RAW_CHUNK_LF;
    else if (!text_bytes[c] && c != '\r')
        fail_text(raw, c);
    else
        fail(raw, HTTP_RAW_SIZE);
    if (digit >= 0 && !raw->fault)
        raw->state = HTTP_RAW_DIGITS;
}

static void chunk_extension(struct http_raw *raw, unsigned char c)
{
    if (++raw->count > CHUNK_LINE_MAX)
        fail(raw, HTTP_RAW_LONG);
    else if (c == '\r')
        raw->state = HTTP_RAW_CHUNK_LF;
    else if (!text_bytes[c])
        fail_text(raw, c);
}

static void chunk_begins(struct http_raw *raw, unsigned char c)
{
    expect_lf(raw, c, raw->left ? HTTP_RAW_DATA : HTTP_RAW_LINE);
    if (!raw->fault && raw->left == 0)
        raw->trailer = true;
}

static void begin_chunk(struct http_raw *raw)
{
    raw->state = HTTP_RAW_CHUNK;
    raw->left = raw->count = 0;
}

static void chunk_end(struct http_raw *raw, unsigned char c)
{
    if (raw->state == HTTP_RAW_DATA_CR && c == '\r')
        raw->state = HTTP_RAW_DATA_LF;
    else if (raw->state == HTTP_RAW_DATA_LF && c == '\n')
        begin_chunk(raw);
    else
        fail(raw, c == '\n' ? HTTP_RAW_LF : HTTP_RAW_END);
}

static void step(struct http_raw *raw, unsigned char c)
{
    switch (raw->state) {
    case HTTP_RAW_START:
        before_head(raw, c);
        break;
    case HTTP_RAW_EMPTY_LF:
        empty_line(raw, c);
        break;
    case HTTP_RAW_TEXT:
        if (c == '\r')
            raw->state = HTTP_RAW_LINE_LF;
        else if (!text_bytes[c])
            fail_text(raw, c);
        break;
    case HTTP_RAW_LINE_LF:
        expect_lf(raw, c, HTTP_RAW_LINE);
        break;
    case HTTP_RAW_LINE:
        begin_line(raw, c);
        break;
    case HTTP_RAW_LAST_LF:
        end_head(raw, c);
        break;
    case HTTP_RAW_CHUNK:
    case HTTP_RAW_DIGITS:
        chunk_size(raw, c);
        break;
    case HTTP_RAW_EXTENSION:
        chunk_extension(raw, c);
        break;
    case HTTP_RAW_CHUNK_LF:
        chunk_begins(raw, c);
        break;
    case HTTP_RAW_DATA_CR:
    case HTTP_RAW_DATA_LF:
        chunk_end(raw, c);
        break;
    case HTTP_RAW_HEAD_DONE:
    case HTTP_RAW_DATA:
    case HTTP_RAW_BODY:
        break;
    }
}

/* The bytes of a body, of which only the number counts. */
static size_t skip(struct http_raw *raw, size_t len)
{
    size_t taken = raw->left < len ? (size_t)raw->left : len;
    raw->left -= taken;
    if (raw->state == HTTP_RAW_DATA)
        raw->body += taken;
    if (raw->left)
        return taken;
    if (raw->state == HTTP_RAW_DATA) {
        raw->state = HTTP_RAW_DATA_CR;
    } else {
        raw->ahead = true;
        begin_head(raw);
    }
    return taken;
}

/* Whether one of eight bytes is below a blank or DEL. */
static bool has_control(const unsigned char *data)
{
    const uint64_t ones = 0x0101010101010101U, tops = 0x8080808080808080U;
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    uint64_t del = word ^ ones * 0x7F;
    return (((word - ones * ' ') & ~word) | ((del - ones) & ~del)) & tops;
}

static size_t run_of_text(const unsigned char *data, size_t len)
{
    size_t i = 0;
    while (i + 8 <= len && !has_control(data + i))
        i += 8;
    while (i < len && text_bytes[data[i]])
        i++;
    return i;
}

/* Follows the framing up to the end of these bytes, of a head, or to a fault. */
static void scan(struct http_raw *raw, const unsigned char *data, size_t len)
{
    size_t i = 0;
    while (i < len && !raw->fault && raw->state != HTTP_RAW_HEAD_DONE) {
        if (raw->state == HTTP_RAW_DATA || raw->state == HTTP_RAW_BODY) {
            i += skip(raw, len - i);
            continue;
        }
        if (raw->state == HTTP_RAW_TEXT) {
            size_t run = run_of_text(data + i, len - i);
            raw->head_size += run;
            i += run;
            if (i == len)
                break;
        }
        raw->head_size++;
        step(raw, data[i++]);
    }
    raw->unread = len - i;
}

/* ---- faults ---- */

static void refuse(struct http_request *req)
{
    auto_err struct err err = {0};
    http_raw_explain(req, &err);
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
        scan(raw, data, len);
    /* The library reads on only when it has used up what came before. */
    return raw->fault && !raw->fault_ahead ? cut(req) : (ssize_t)len;
}

__attribute__((visibility("default"))) ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    if (flags || len == 0 || fd < 0 || fd >= FILES_MAX)
        return recvfrom(fd, buf, len, flags, NULL, NULL);
    ssize_t got = read(fd, buf, len);
    if (got <= 0)
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
        begin_chunk(raw);
    } else if (req->has_body) {
        raw->state = HTTP_RAW_BODY;
        raw->left = (uint64_t)req->content_length;
    } else {
        raw->ahead = true;
        begin_head(raw);
    }
    scan(raw, (const unsigned char *)behind, unread);
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
