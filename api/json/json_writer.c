/* Writing JSON. Every answer and every list passes here, so texts are copied in
 * runs and nothing goes through printf. */
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/utf8.h"
#include "api/json/json.h"
#include "api/json/json_internal.h"

/* 0: copied as it is; 'u': \u00XX or, from 0x80 on, a UTF-8 sequence to judge;
 * else the letter of its two-character escape. */
/* clang-format off */
static const char escape_of[256] = {
    [0x00 ... 0x07] = 'u', ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', [0x0B] = 'u', ['\f'] = 'f',
    ['\r'] = 'r', [0x0E ... 0x1F] = 'u', ['"'] = '"', ['\\'] = '\\', [0x80 ... 0xFF] = 'u',
};
/* clang-format on */

/* Writes what one byte, or the sequence that it leads, becomes. Returns how many
 * bytes of `text` that took. */
static size_t add_special(struct buf *out, const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef", replacement[] = "\xEF\xBF\xBD";
    unsigned c = (unsigned char)*text;
    char kind = escape_of[c];
    if (c == 0) {
        buf_add(out, replacement, 3);
        return 1;
    }
    if (c >= 0x80) {
        size_t sequence = utf8_sequence(text, len);
        buf_add(out, sequence ? text : replacement, sequence ? sequence : 3);
        return sequence ? sequence : 1;
    }
    const char longer[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    const char shorter[] = {'\\', kind};
    if (kind == 'u')
        buf_add(out, longer, sizeof(longer));
    else
        buf_add(out, shorter, sizeof(shorter));
    return 1;
}

/* Copies up to the first byte that cannot stand for itself. Byte by byte: most
 * texts are shorter than what a call of memcpy() is worth. */
static size_t add_run(struct buf *out, const char *text, size_t len)
{
    buf_reserve(out, len + 1);
    char *to = out->data + out->len;
    size_t run = 0;
    for (; run < len && !escape_of[(unsigned char)text[run]]; run++)
        to[run] = text[run];
    out->len += run;
    return run;
}

void json_add_quoted(struct buf *out, const char *text, size_t len)
{
    buf_putc(out, '"');
    for (size_t at = 0;;) {
        at += add_run(out, text + at, len - at);
        if (at == len)
            break;
        at += add_special(out, text + at, len - at);
    }
    out->data[out->len++] = '"';
    out->data[out->len] = '\0';
}

/* The comma and the key, with room for `more` bytes of value. */
static void begin(struct json_writer *w, const char *key, size_t more)
{
    size_t len = key ? strlen(key) : 0;
    buf_reserve(w->out, len + more + 4);
    char *at = w->out->data + w->out->len;
    if (w->comma)
        *at++ = ',';
    if (key) {
        *at++ = '"';
        memcpy(at, key, len);
        at += len;
        *at++ = '"';
        *at++ = ':';
    }
    *at = '\0';
    w->out->len = (size_t)(at - w->out->data);
    w->comma = true;
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
    begin(w, key, 1);
    buf_putc(w->out, bracket);
    w->comma = false;
}

void json_close(struct json_writer *w, char bracket)
{
    buf_putc(w->out, bracket);
    w->comma = true;
}

void json_put_str(struct json_writer *w, const char *key, const char *value)
{
    if (value)
        json_put_strn(w, key, value, strlen(value));
    else
        json_put_null(w, key);
}

void json_put_strn(struct json_writer *w, const char *key, const char *value, size_t len)
{
    begin(w, key, len + 2);
    json_add_quoted(w->out, value, len);
}

void json_put_i64(struct json_writer *w, const char *key, int64_t value)
{
    /* What no reader takes would make the whole text unreadable, also to whoever mends it. */
    int64_t most = JSON_INTEGER_MAX;
    begin(w, key, 20);
    buf_i64(w->out, value > most ? most : value < -most ? -most : value);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    begin(w, key, 5);
    buf_puts(w->out, value ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
    begin(w, key, 4);
    buf_add(w->out, "null", 4);
}

void json_put_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];
    if (wall_ms == 0) {
        json_put_null(w, key);
        return;
    }
    clock_format(wall_ms, text);
    json_put_str(w, key, text);
}

void json_put_raw(struct json_writer *w, const char *key, const char *json, size_t len)
{
    begin(w, key, len);
    buf_add(w->out, json, len);
}

void json_put_key(struct json_writer *w, const char *key)
{
    size_t len = strlen(key);
    begin(w, NULL, len + 3);
    json_add_quoted(w->out, key, len);
    buf_putc(w->out, ':');
    w->comma = false;
}
