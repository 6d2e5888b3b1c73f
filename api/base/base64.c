/* Base64, strict in what it reads: one text for one value. */
#include "api/base/base64.h"

#include <stdint.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/pointer.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t len, struct buf *out)
{
    const uint8_t *in = data;
    buf_reserve(out, (len + 2) / 3 * 4);
    for (size_t i = 0; i < len; i += 3) {
        size_t here = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        if (here > 1)
            bits |= (uint32_t)in[i + 1] << 8;
        if (here > 2)
            bits |= in[i + 2];
        char *at = out->data + out->len;
        at[0] = alphabet[bits >> 18];
        at[1] = alphabet[bits >> 12 & 63];
        at[2] = here > 1 ? alphabet[bits >> 6 & 63] : '=';
        at[3] = here > 2 ? alphabet[bits & 63] : '=';
        out->len += 4;
    }
    out->data[out->len] = '\0';
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits, of which the last `pad` are padding, to 3 - pad bytes. The bits
 * that padding leaves over must be zero. */
static int decode_group(const char *text, size_t pad, struct buf *out)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4 - pad; i++) {
        int value = digit(text[i]);
        if (value < 0)
            return -1;
        bits |= (uint32_t)value << (18 - 6 * i);
    }
    if (bits & ((1u << 8 * pad) - 1))
        return -1;
    const char bytes[] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
    buf_add(out, bytes, 3 - pad);
    return 0;
}

int base64_decode(const char *field, const char *text, struct buf *out, struct err *err)
{
    size_t len = strlen(text);
    const char *label = pointer_label(field);
    if (len % 4)
        return err_field(err, field, "%s: must be base64 with padding, in groups of four", label);
    size_t pad = len == 0 ? 0 : (text[len - 1] == '=') + (size_t)(text[len - 2] == '=');
    buf_reserve(out, len / 4 * 3);
    for (size_t i = 0; i < len; i += 4) {
        if (decode_group(text + i, i + 4 == len ? pad : 0, out) != 0)
            return err_field(err, field, "%s: is no base64 at byte %zu", label, i + 1);
    }
    return 0;
}
