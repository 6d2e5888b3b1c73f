/* Base64 (RFC 4648 section 4, with padding) for user_data, which is opaque bytes. */
#ifndef MINICLOUD_API_BASE_BASE64_H
#define MINICLOUD_API_BASE_BASE64_H

#include <stddef.h>

struct buf;
struct err;

void base64_encode(const void *data, size_t len, struct buf *out);
/* Strict: no white space, right padding. Errors name `field`. */
int base64_decode(const char *field, const char *text, struct buf *out, struct err *err);

#endif
