/* Identifiers, randomness and SHA-256. The only code that uses GnuTLS. */
#include "api/base/id.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api/base/base64.h"
#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/hex.h"
#include "api/base/mem.h"

static const char hex[] = "0123456789abcdef";

struct sha256_stream {
    gnutls_hash_hd_t hash;
};

void random_bytes(void *out, size_t len)
{
    char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* No secret is better than a guessable one. */
        at += got;
        len -= (size_t)got;
    }
}

/* 48 bits of milliseconds and 12 of counter as one number that only grows: a
 * counter that runs over carries into the time, and a clock set back is waited
 * out by counting on (RFC 9562 section 6.2, methods 1 and 4). */
static uint64_t next_stamp(void)
{
    static _Atomic uint64_t last;
    uint64_t now = (uint64_t)clock_wall_ms() << 12;
    uint64_t seen = atomic_load(&last);
    uint64_t next;
    do {
        next = now > seen ? now : seen + 1;
    } while (!atomic_compare_exchange_weak(&last, &seen, next));
    return next;
}

void id_new(char text[ID_TEXT_MAX])
{
    uint8_t bytes[16];
    uint64_t stamp = next_stamp();
    random_bytes(bytes + 8, 8);
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(stamp >> (52 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | (stamp >> 8 & 0x0F));
    bytes[7] = (uint8_t)stamp;
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3F));
    char *at = text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex[bytes[i] >> 4];
        *at++ = hex[bytes[i] & 15];
    }
    *at = '\0';
}

bool id_valid(const char *text)
{
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : hex_value(text[i]) < 0)
            return false;
    }
    return text[36] == '\0';
}

void sha256(const void *data, size_t len, uint8_t out[SHA256_BYTES])
{
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, out) != 0)
        abort();
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t out[SHA256_BYTES])
{
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key_len, data, len, out) != 0)
        abort();
}

void sha256_text(const uint8_t hash[SHA256_BYTES], char text[SHA256_TEXT_MAX])
{
    for (int i = 0; i < SHA256_BYTES; i++) {
        text[2 * i] = hex[hash[i] >> 4];
        text[2 * i + 1] = hex[hash[i] & 15];
    }
    text[2 * SHA256_BYTES] = '\0';
}

int sha256_parse(const char *text, uint8_t out[SHA256_BYTES])
{
    if (strnlen(text, SHA256_TEXT_MAX) != SHA256_TEXT_MAX - 1)
        return -1;
    for (int i = 0; i < SHA256_BYTES; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -1;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

struct sha256_stream *sha256_new(void)
{
    struct sha256_stream *stream = xcalloc(1, sizeof(*stream));
    if (gnutls_hash_init(&stream->hash, GNUTLS_DIG_SHA256) != 0)
        abort();
    return stream;
}

void sha256_update(struct sha256_stream *stream, const void *data, size_t len)
{
    if (len && gnutls_hash(stream->hash, data, len) != 0)
        abort();
}

void sha256_finish(struct sha256_stream *stream, uint8_t out[SHA256_BYTES])
{
    gnutls_hash_deinit(stream->hash, out);
    free(stream);
}

void sha256_free(struct sha256_stream *stream)
{
    if (!stream)
        return;
    gnutls_hash_deinit(stream->hash, NULL);
    free(stream);
}

void secret_new(char kind, char text[SECRET_TEXT_MAX])
{
    uint8_t bytes[32];
    random_bytes(bytes, sizeof(bytes));
    struct buf auto_buf coded = {0};
    base64_encode(bytes, sizeof(bytes), &coded);
    const char prefix[] = {'m', 'c', '_', kind, '_'};
    memcpy(text, prefix, sizeof(prefix));
    char *at = text + sizeof(prefix);
    /* 43 characters and one of padding; base64url differs in two digits. */
    for (int i = 0; i < 43; i++) {
        char c = coded.data[i];
        *at++ = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    *at = '\0';
    explicit_bzero(bytes, sizeof(bytes));
    explicit_bzero(coded.data, coded.len);
}
