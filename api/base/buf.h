/* A growing byte buffer. `data` is always NUL-terminated once something was
 * added, the NUL not counted in `len`. Zero-initialise to start. */
#ifndef MINICLOUD_API_BASE_BUF_H
#define MINICLOUD_API_BASE_BUF_H

#include <stddef.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
};

void buf_reserve(struct buf *buf, size_t more);
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_i64(struct buf *buf, long long value);
/* Keeps the memory, forgets the content. */
void buf_reset(struct buf *buf);
/* The text, owned by the caller; the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf);
void buf_release(struct buf *buf);
#define auto_buf __attribute__((cleanup(buf_release)))

#endif
