/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past
 * U+10FFFF. Shared by the JSON reader and writer, validate and err. */
#ifndef MINICLOUD_API_BASE_UTF8_H
#define MINICLOUD_API_BASE_UTF8_H

#include <stddef.h>

/* Length of the well-formed sequence at `text` (1 to 4), 0 when there is none
 * within `len` bytes. */
size_t utf8_sequence(const char *text, size_t len);
/* The largest length up to `max` that cuts no sequence of `text` in two. */
size_t utf8_cut(const char *text, size_t len, size_t max);
/* Writes `instead` over control characters, also those beyond ASCII (C2 80 to C2 9F): what is
 * left drives no terminal and breaks no line. */
void utf8_harmless(char *text, size_t len, char instead);

#endif
