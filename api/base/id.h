/* Identifiers: UUIDv7 (RFC 9562 section 5.7), random bytes, SHA-256 and the
 * secrets that tokens are made of. */
#ifndef MINICLOUD_API_BASE_ID_H
#define MINICLOUD_API_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ID_TEXT_MAX = 37, SHA256_BYTES = 32, SHA256_TEXT_MAX = 65, SECRET_TEXT_MAX = 64 };

/* Lower-case text of a new UUIDv7: 48 bits of wall milliseconds, then a counter
 * that keeps ids of one process in order, then random bits. */
void id_new(char text[ID_TEXT_MAX]);
/* Whether a text has the shape of a UUID (8-4-4-4-12 hex), either case. */
bool id_valid(const char *text);

void random_bytes(void *out, size_t len);

void sha256(const void *data, size_t len, uint8_t out[SHA256_BYTES]);
void sha256_text(const uint8_t hash[SHA256_BYTES], char text[SHA256_TEXT_MAX]);
/* 64 hex digits of either case; -1 otherwise. */
int sha256_parse(const char *text, uint8_t out[SHA256_BYTES]);

/* RFC 2104, with SHA-256. */
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t out[SHA256_BYTES]);

struct sha256_stream; /* incremental */
struct sha256_stream *sha256_new(void);
void sha256_update(struct sha256_stream *stream, const void *data, size_t len);
/* Writes the hash and frees the stream. */
void sha256_finish(struct sha256_stream *stream, uint8_t out[SHA256_BYTES]);
void sha256_free(struct sha256_stream *stream);

/* "mc_" + `kind` letter + "_" + 43 characters of base64url: 256 random bits.
 * The prefix lets secret scanners find leaked tokens. */
void secret_new(char kind, char text[SECRET_TEXT_MAX]);

#endif
