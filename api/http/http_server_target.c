/* The request's target: path and query, split and percent-decoded by ourselves, since
 * libmicrohttpd cuts it at %00. Decoded texts lie behind one another in req->target. */
#include <string.h>
#include <strings.h>

#include "api/base/mem.h"
#include "api/base/utf8.h"
#include "api/http/http_server_impl.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int check_text(struct http_request *req, const char *text, size_t len, const char *where)
{
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7F)
            return http_refuse(req, ERR_INVALID, "%s holds a control character (%%%02X).", where,
                               c);
        size_t step = c < 0x80 ? 1 : utf8_sequence(text + i, len - i);
        if (step == 0)
            return http_refuse(req, ERR_INVALID, "%s is not valid UTF-8.", where);
        i += step;
    }
    return 0;
}

/* All that is printable but "#<>\^`{|} and a blank. */
static const bool plain_bytes[256] = {['!'] = true,         ['$' ... ';'] = true, ['='] = true,
                                      ['?' ... '['] = true, [']'] = true,         ['_'] = true,
                                      ['a' ... 'z'] = true, ['~'] = true};

/* Decodes raw[0..len) to `out` and ends it with NUL. */
static int decode(struct http_request *req, const char *raw, size_t len, bool query, char *out,
                  size_t *ret_len)
{
    const char *where = query ? "The query" : "The path";
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = raw[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(raw[i + 1]) : -1;
            int low = len - i > 2 ? hex_digit(raw[i + 2]) : -1;
            if (high < 0 || low < 0)
                return http_refuse(req, ERR_INVALID, "%s holds a %% without two hex digits.",
                                   where);
            c = (char)(high << 4 | low);
            i += 2;
            if (c == '\0' || (c == '/' && !query))
                return http_refuse(req, ERR_INVALID, "%s holds %s, which is not allowed there.",
                                   where, c ? "%2F" : "%00");
        } else if (c == '+' && query) {
            c = ' ';
        } else if (!plain_bytes[(unsigned char)c]) {
            return http_refuse(req, ERR_INVALID,
                               "%s holds a byte (0x%02X) that must be percent-encoded.", where,
                               (unsigned char)c);
        }
        out[n++] = c;
    }
    out[n] = '\0';
    *ret_len = n;
    return check_text(req, out, n, where);
}

static bool is_dots(const char *segment, size_t len)
{
    return len > 0 && len <= 2 && segment[0] == '.' && segment[len - 1] == '.';
}

static int parse_path(struct http_request *req, const char *raw, size_t len, size_t *ret_len)
{
    char *out = req->target;
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        size_t end = ++i; /* behind the slash */
        while (end < len && raw[end] != '/')
            end++;
        size_t done = 0;
        out[n++] = '/';
        if (end == i && len > 1)
            return http_refuse(
                req, ERR_INVALID,
                "The path has an empty segment: two slashes together, or one at its end.");
        if (decode(req, raw + i, end - i, false, out + n, &done))
            return -1;
        if (is_dots(out + n, done))
            return http_refuse(req, ERR_INVALID, "The path has a segment \".\" or \"..\".");
        n += done;
        i = end;
    }
    out[n] = '\0';
    *ret_len = n;
    return 0;
}

/* Walks from one stored parameter to the next. */
static const char *next_param(const char *name, const char **ret_value)
{
    *ret_value = name + strlen(name) + 1;
    return *ret_value + strlen(*ret_value) + 1;
}

static const char *first_param(const struct http_request *req)
{
    return req->target + strlen(req->target) + 1;
}

static int refuse_repeated(struct http_request *req, const char *name)
{
    auto_err struct err err = {0};
    err_field(&err, name, "The query parameter stands more than once.");
    http_reply_err(req, &err);
    return -1;
}

static int parse_param(struct http_request *req, const char *raw, size_t len, char **at)
{
    const char *equals = memchr(raw, '=', len);
    size_t name_len = equals ? (size_t)(equals - raw) : len;
    char *name = *at;
    size_t done = 0;
    if (name_len == 0)
        return http_refuse(req, ERR_INVALID, "The query has a parameter without a name.");
    if (req->params == HTTP_PARAMS_MAX)
        return http_refuse(req, ERR_INVALID, "The query has more than %d parameters.",
                           HTTP_PARAMS_MAX);
    if (decode(req, raw, name_len, true, name, &done))
        return -1;
    if (http_query(req, name))
        return refuse_repeated(req, name);
    *at += done + 1;
    size_t value_len = equals ? len - name_len - 1 : 0;
    if (decode(req, raw + len - value_len, value_len, true, *at, &done))
        return -1;
    *at += done + 1;
    req->params++;
    return 0;
}

static int parse_query(struct http_request *req, const char *raw, size_t len, char *at)
{
    for (size_t i = 0; i < len;) {
        const char *amp = memchr(raw + i, '&', len - i);
        size_t end = amp ? (size_t)(amp - raw) : len;
        if (parse_param(req, raw + i, end - i, &at))
            return -1;
        i = end + 1;
    }
    return 0;
}

static bool is_port(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return len <= 5;
}

static const bool name_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true,
    ['.'] = true,         ['_'] = true,         ['~'] = true};
static const bool address_bytes[256] = {['0' ... '9'] = true, ['A' ... 'F'] = true,
                                        ['a' ... 'f'] = true, [':'] = true,
                                        ['.'] = true,         [']'] = true};

bool http_is_authority(const char *text, size_t len)
{
    bool brackets = len && text[0] == '[';
    const bool *allowed = brackets ? address_bytes : name_bytes;
    size_t at = brackets;
    while (at < len && allowed[(unsigned char)text[at]])
        if (text[at++] == ']')
            break;
    if (at == 0 || (brackets && (at < 4 || text[at - 1] != ']')))
        return false;
    return at == len || (text[at] == ':' && is_port(text + at + 1, len - at - 1));
}

/* "http://host/path" is what clients send to proxies; RFC 9112 section 3.2.2 asks every
 * server to take it. */
static int skip_authority(struct http_request *req, const char **raw, size_t *len)
{
    static const char scheme[] = "http://";
    size_t at = sizeof(scheme) - 1;
    if (*len < at || strncasecmp(*raw, scheme, at) != 0)
        return 0;
    size_t host = at;
    while (at < *len && (*raw)[at] != '/' && (*raw)[at] != '?')
        at++;
    if (!http_is_authority(*raw + host, at - host))
        return http_refuse(req, ERR_INVALID,
                           "The request target names no host, with or without a port, behind "
                           "http://, or a user in front of it.");
    *raw += at;
    *len -= at;
    return 0;
}

int http_target_parse(struct http_request *req, const char *raw, size_t len)
{
    if (len > LIMIT_URI_BYTES)
        return http_refuse(req, ERR_URI_TOO_LONG,
                           "The request target has %zu bytes; at most %d are allowed.", len,
                           LIMIT_URI_BYTES);
    if (skip_authority(req, &raw, &len))
        return -1;
    /* Decoding shortens; each parameter adds one NUL for '=' or nothing, and one for '&'. */
    size_t room = len + HTTP_PARAMS_MAX + 3;
    if (room > sizeof(req->inline_target))
        req->target = xmalloc(room);
    const char *mark = memchr(raw, '?', len);
    size_t path_len = mark ? (size_t)(mark - raw) : len;
    size_t done = 0;
    if (path_len == 1 && raw[0] == '*') {
        memcpy(req->target, "*", 2);
        return 0;
    }
    if (path_len == 0 || raw[0] != '/')
        return http_refuse(req, ERR_INVALID, "The request target does not begin with a slash.");
    if (parse_path(req, raw, path_len, &done))
        return -1;
    if (!mark)
        return 0;
    return parse_query(req, mark + 1, len - path_len - 1, req->target + done + 1);
}

/* ---- what handlers ask ---- */

const char *http_query(const struct http_request *req, const char *name)
{
    const char *at = first_param(req), *value;
    for (size_t i = 0; i < req->params; i++) {
        const char *next = next_param(at, &value);
        if (strcmp(at, name) == 0)
            return value;
        at = next;
    }
    return NULL;
}

bool http_query_at(const struct http_request *req, size_t index, const char **ret_name,
                   const char **ret_value)
{
    if (index >= req->params)
        return false;
    const char *at = first_param(req);
    for (;; index--) {
        const char *next = next_param(at, ret_value);
        *ret_name = at;
        if (index == 0)
            return true;
        at = next;
    }
}
