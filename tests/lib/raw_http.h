/* A client below HTTP, for what no proper client would send: bytes out, replies in, every
 * wait bounded by a minute. */
#ifndef MINICLOUD_TESTS_RAW_HTTP_H
#define MINICLOUD_TESTS_RAW_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "api/base/buf.h"

struct raw {
    int fd;
    struct buf in; /* read, not yet used */
};

struct raw_reply {
    int status; /* 0: the connection ended without one */
    struct buf head;
    struct buf body;
};

struct raw raw_open(int port);
struct raw raw_open_unix(const char *path);
void raw_close(struct raw *raw);
#define auto_raw __attribute__((cleanup(raw_close)))

/* False when the other side has closed. */
bool raw_send(struct raw *raw, const void *data, size_t len);
bool raw_puts(struct raw *raw, const char *text);
/* Reads the head; status 0 at the end of the connection. Replaces what `reply` held. */
void raw_read_head(struct raw *raw, struct raw_reply *reply);
/* Head and body (Content-Length, chunked, or up to the end; none for 204 and 304). */
void raw_read(struct raw *raw, struct raw_reply *reply);
/* Some bytes of the body as they come (at least one); 0 at the end. */
size_t raw_read_some(struct raw *raw, void *out, size_t max);
/* Reads and drops until the other side closes; false when it does not. */
bool raw_ends(struct raw *raw);
/* Value of a header of the reply, owned by the caller; NULL when absent. */
char *raw_header(const struct raw_reply *reply, const char *name);
void raw_reply_release(struct raw_reply *reply);
#define auto_raw_reply __attribute__((cleanup(raw_reply_release)))

#endif
