/* The framing of a connection's bytes, followed one by one: request line, header fields, chunks,
 * trailer fields, the next request line. Knows nothing of what they mean, nor where they come
 * from; of a body only how long it is. */
#include <endian.h>
#include <string.h>

#include "api/http/http_server_impl.h"

enum {
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

void http_scan_explain(const struct http_raw *raw, struct err *err)
{
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

void http_scan_head(struct http_raw *raw)
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
    http_scan_head(raw);
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

void http_scan_chunk(struct http_raw *raw)
{
    raw->state = HTTP_RAW_CHUNK;
    raw->left = raw->count = 0;
}

static void chunk_end(struct http_raw *raw, unsigned char c)
{
    if (raw->state == HTTP_RAW_DATA_CR && c == '\r')
        raw->state = HTTP_RAW_DATA_LF;
    else if (raw->state == HTTP_RAW_DATA_LF && c == '\n')
        http_scan_chunk(raw);
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
        http_scan_head(raw);
    }
    return taken;
}

/* Of eight bytes those below a blank and DELs, by their top bits; the lowest is exact. */
static uint64_t controls(const unsigned char *data)
{
    const uint64_t ones = 0x0101010101010101U, tops = 0x8080808080808080U;
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    word = le64toh(word);
    uint64_t del = word ^ ones * 0x7F;
    return (((word - ones * ' ') & ~word) | ((del - ones) & ~del)) & tops;
}

static size_t run_of_text(const unsigned char *data, size_t len)
{
    size_t i = 0;
    while (i + 8 <= len) {
        uint64_t found = controls(data + i);
        i += found ? (size_t)__builtin_ctzll(found) / 8 : 8;
        if (found && data[i] != '\t')
            return i;
        i += found != 0;
    }
    while (i < len && text_bytes[data[i]])
        i++;
    return i;
}

/* An end of a line behind which another begins: what step() would say, at once. */
static bool ends_line(const unsigned char *data, size_t len)
{
    return len > 2 && data[0] == '\r' && data[1] == '\n' && data[2] > ' ' && text_bytes[data[2]];
}

static size_t skip_lines(struct http_raw *raw, const unsigned char *data, size_t len)
{
    size_t i = run_of_text(data, len);
    while (ends_line(data + i, len - i)) {
        raw->headers = true;
        i += 2;
        i += run_of_text(data + i, len - i);
    }
    raw->head_size += i;
    return i;
}

void http_scan(struct http_raw *raw, const void *bytes, size_t len)
{
    const unsigned char *data = bytes;
    size_t i = 0;
    while (i < len && !raw->fault && raw->state != HTTP_RAW_HEAD_DONE) {
        if (raw->state == HTTP_RAW_DATA || raw->state == HTTP_RAW_BODY) {
            i += skip(raw, len - i);
            continue;
        }
        if (raw->state == HTTP_RAW_TEXT) {
            i += skip_lines(raw, data + i, len - i);
            if (i == len)
                break;
        }
        raw->head_size++;
        step(raw, data[i++]);
    }
    raw->unread = len - i;
}
