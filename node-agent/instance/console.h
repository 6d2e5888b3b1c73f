/* The end of a guest's console log. */
#ifndef MINICLOUD_AGENT_CONSOLE_H
#define MINICLOUD_AGENT_CONSOLE_H

#include <stdint.h>

struct buf;
struct err;

/* Appends the last `bytes` (at most LIMIT_CONSOLE_BYTES); no log gives nothing. The guest
 * writes what it likes into that file, but never chooses which file it is. */
int console_tail(const char *dir, const char *id, int64_t bytes, struct buf *out, struct err *err);

#endif
