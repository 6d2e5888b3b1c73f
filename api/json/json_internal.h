/* What json.c shares with json_check.c and json_writer.c, and nobody else. */
#ifndef MINICLOUD_API_JSON_JSON_INTERNAL_H
#define MINICLOUD_API_JSON_JSON_INTERNAL_H

#include <locale.h>
#include <stddef.h>

struct buf;

/* The "C" locale: strtod() and cJSON take the decimal point from the thread's. */
locale_t json_locale(void);
/* Appends `text` in quotes, escaped. What is no UTF-8, and NUL, becomes U+FFFD:
 * what leaves us is always valid, and our own reader takes it. */
void json_add_quoted(struct buf *out, const char *text, size_t len);

/* 2^53 - 1: up to there a double holds every integer. */
#define JSON_INTEGER_MAX 9007199254740991LL

#endif
