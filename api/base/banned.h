/* Functions that nobody here may call: they overflow, hide state shared between
 * threads, start a shell, or cannot tell an error from a value. Every source
 * file gets this first (-include in the Makefile), so the headers that declare
 * them must be read before the names are poisoned. */
#ifndef MINICLOUD_API_BASE_BANNED_H
#define MINICLOUD_API_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Under clang the fortified forms are macros. */
#undef sprintf
#undef vsprintf

/* No bound on what they write. */
#pragma GCC poison strcpy strcat stpcpy sprintf vsprintf gets
/* Silent truncation without NUL, padding nobody asked for. */
#pragma GCC poison strncpy strncat
/* One hidden buffer for all threads. */
#pragma GCC poison strtok asctime ctime gmtime localtime
/* No way to report an error. */
#pragma GCC poison atoi atol atoll atof
/* A shell. */
#pragma GCC poison system popen
/* A name that someone else may take first. */
#pragma GCC poison mktemp tmpnam tempnam

#endif
