/* The request's head: the proof that it holds what libmicrohttpd says it holds and not
 * a byte more, and what handlers ask of a request. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/base/mem.h"
#include "api/http/http_server_impl.h"

int http_refuse(struct http_request *req, enum err_code code, const char *format, ...)
{
    auto_err struct err err = {0};
    va_list args;
    va_start(args, format);
    autofree char *msg = xvasprintf(format, args);
    va_end(args);
    err_set(&err, code, "%s", msg);
    http_reply_err(req, &err);
    return -1;
}

/* ---- the head ---- */

/* Headers that mean one thing; two of them could be read differently by something in
 * front of us, or by two parts of ourselves. */
static const struct {
    const char *name;
    size_t len;
} single_headers[] = {
#define SINGLE(name)           \
    {                          \
        name, sizeof(name) - 1 \
    }
    SINGLE("Host"),          SINGLE("Content-Length"),  SINGLE("Transfer-Encoding"),
    SINGLE("Authorization"), SINGLE("Content-Type"),    SINGLE("Content-Encoding"),
    SINGLE("Expect"),        SINGLE("Range"),           SINGLE("If-Match"),
    SINGLE("If-None-Match"), SINGLE("Idempotency-Key"), SINGLE("Last-Event-ID"),
    SINGLE("User-Agent"),
#undef SINGLE
};
enum { HEADER_HOST, HEADER_LENGTH, HEADER_ENCODING };
static const char connection_header[] = "Connection";

static const bool token_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!token_bytes[(unsigned char)text[i]])
            return false;
    return len > 0;
}

struct head_scan {
    const char *expected; /* where the next header's name must begin */
    unsigned seen;        /* bits of single_headers */
    const char *length, *encoding;
    bool failed, has_connection;
    struct http_request *req;
};

/* Whether a header stands where it must: its name right behind the line before, then the
 * colon (now NUL), blanks, the value. Folded lines (which libmicrohttpd glues to the name),
 * bare line feeds and NULs all break this chain. */
static bool in_place(const struct head_scan *scan, const char *key, size_t key_len,
                     const char *value)
{
    if (key != scan->expected || value <= key + key_len)
        return false;
    for (const char *p = key + key_len + 1; p < value; p++)
        if (*p != ' ' && *p != '\t')
            return false;
    return true;
}

/* Names no more than a host and a port: a path or a user in it would be read by some. */
static int check_host(struct http_request *req, const char *value)
{
    size_t len = strlen(value);
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (len == 0 || http_is_authority(value, len))
        return 0;
    return http_refuse(req, ERR_INVALID,
                       "The header Host is not a host name or address, with or without a port.");
}

static int note_single(struct head_scan *scan, const char *key, size_t key_len, const char *value)
{
    for (unsigned i = 0; i < ARRAY_SIZE(single_headers); i++) {
        if (single_headers[i].len != key_len || (single_headers[i].name[0] ^ key[0]) & ~0x20 ||
            strncasecmp(single_headers[i].name, key, key_len) != 0)
            continue;
        if (scan->seen & 1U << i)
            return http_refuse(scan->req, ERR_INVALID, "The header %s stands more than once.",
                               single_headers[i].name);
        scan->seen |= 1U << i;
        if (i == HEADER_HOST)
            return check_host(scan->req, value);
        if (i == HEADER_LENGTH)
            scan->length = value;
        if (i == HEADER_ENCODING)
            scan->encoding = value;
        return 0;
    }
    return 0;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                 size_t key_len, const char *value, size_t value_len)
{
    (void)kind;
    struct head_scan *scan = cls;
    scan->failed = true;
    if (!in_place(scan, key, key_len, value)) {
        http_refuse(scan->req, ERR_INVALID,
                    "The headers hold a folded line, a bare line feed or a NUL.");
        return MHD_NO;
    }
    if (!is_token(key, key_len)) {
        http_refuse(scan->req, ERR_INVALID,
                    "A header name holds a blank or another character that is not allowed there.");
        return MHD_NO;
    }
    if (note_single(scan, key, key_len, value))
        return MHD_NO;
    if (key_len == sizeof(connection_header) - 1 && strcasecmp(key, connection_header) == 0)
        scan->has_connection = true;
    scan->expected = value + value_len + 2;
    scan->failed = false;
    return MHD_YES;
}

static int check_body_headers(struct http_request *req, const struct head_scan *scan,
                              const char *version)
{
    req->content_length = -1;
    if (scan->length && scan->encoding)
        return http_refuse(req, ERR_INVALID,
                           "The headers have both Content-Length and Transfer-Encoding.");
    if (scan->encoding && strcasecmp(scan->encoding, "chunked") != 0)
        return http_refuse(req, ERR_INVALID, "Transfer-Encoding can only be \"chunked\" here.");
    if (scan->encoding && strcmp(version, "HTTP/1.0") == 0)
        return http_refuse(req, ERR_INVALID, "HTTP/1.0 has no Transfer-Encoding.");
    req->has_body = scan->encoding != NULL;
    if (!scan->length)
        return 0;
    /* libmicrohttpd has refused whatever is not all digits or exceeds 64 bits. */
    errno = 0;
    req->content_length = strtoll(scan->length, NULL, 10);
    if (errno)
        return http_refuse(req, ERR_TOO_LARGE, "The Content-Length is too large.");
    req->has_body = req->content_length > 0;
    return 0;
}

/* Request line: method SP target SP version CRLF, and no NUL in between. */
static bool line_in_place(const struct http_request *req, const char *method, const char *version)
{
    return req->raw_target == method + strlen(method) + 1 &&
           version == req->raw_target + req->raw_target_len + 1 &&
           !memchr(req->raw_target, ' ', req->raw_target_len);
}

int http_head_check(struct http_request *req, const char *method, const char *version)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t head_size = info ? info->header_size : 0;
    /* An unproved head may have a body, of whatever length. */
    req->has_body = true;
    req->content_length = -1;
    if (!line_in_place(req, method, version) || !is_token(method, strlen(method)))
        return http_refuse(
            req, ERR_INVALID,
            "The request line is not: method, one space, target, one space, version.");
    const char *first = version + strlen(version) + 2;
    struct head_scan scan = {.expected = first, .req = req};
    MHD_get_connection_values_n(req->connection, MHD_HEADER_KIND, on_header, &scan);
    if (scan.failed)
        return -1;
    if (scan.expected + 2 != method + head_size ||
        memchr(first, '\r', head_size - (size_t)(first - method)))
        return http_refuse(req, ERR_INVALID,
                           "The headers hold a bare carriage return, a bare line feed or a NUL.");
    if (scan.expected - first > LIMIT_HEADERS_BYTES)
        return http_refuse(req, ERR_HEADERS_TOO_LARGE,
                           "The headers have %td bytes; at most %d are allowed.",
                           scan.expected - first, LIMIT_HEADERS_BYTES);
    if (!(scan.seen & 1U << HEADER_HOST) && strcmp(version, "HTTP/1.0") != 0)
        return http_refuse(req, ERR_INVALID, "The header Host is missing.");
    if (check_body_headers(req, &scan, version))
        return -1;
    req->keeps = !scan.has_connection && strcmp(version, "HTTP/1.0") != 0;
    req->head = method;
    req->head_size = head_size;
    return 0;
}

/* ---- what handlers ask ---- */

const char *http_method(const struct http_request *req)
{
    return req->method;
}

const char *http_path(const struct http_request *req)
{
    return req->target;
}

const char *http_header(const struct http_request *req, const char *name)
{
    const char *value = MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
    if (!value)
        return NULL;
    /* libmicrohttpd strips the blanks before a value and leaves those behind it. */
    char *end = strchr(value, '\0');
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    return value;
}

const char *http_body(const struct http_request *req, size_t *ret_len)
{
    *ret_len = req->body.len;
    return req->body.data ? req->body.data : "";
}

int64_t http_content_length(const struct http_request *req)
{
    return req->content_length;
}

bool http_has_body(const struct http_request *req)
{
    return req->has_body;
}

const char *http_request_id(const struct http_request *req)
{
    return req->id;
}

void http_set_data(struct http_request *req, void *data)
{
    req->data = data;
}

void *http_data(const struct http_request *req)
{
    return req->data;
}
