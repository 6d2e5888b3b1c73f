/* Sockets and just enough HTTP to read a reply; see raw_http.h. */
#include "tests/lib/raw_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/base/mem.h"

enum { WAIT_MS = 60000 };

static struct raw opened(int fd, const void *address, socklen_t len)
{
    if (fd < 0 || connect(fd, address, len)) {
        perror("raw_open");
        abort();
    }
    return (struct raw){.fd = fd};
}

struct raw raw_open(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return opened(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), &address, sizeof(address));
}

struct raw raw_open_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    return opened(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &address, sizeof(address));
}

void raw_close(struct raw *raw)
{
    if (raw->fd >= 0)
        close(raw->fd);
    raw->fd = -1;
    buf_release(&raw->in);
}

bool raw_send(struct raw *raw, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t done = send(raw->fd, at, len, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        at += done;
        len -= (size_t)done;
    }
    return true;
}

bool raw_puts(struct raw *raw, const char *text)
{
    return raw_send(raw, text, strlen(text));
}

/* One read into `in`; false at the end, on an error and when nothing comes. */
static bool fill(struct raw *raw)
{
    char data[16384];
    struct pollfd fd = {.fd = raw->fd, .events = POLLIN};
    if (poll(&fd, 1, WAIT_MS) != 1) {
        fprintf(stderr, "raw_http: nothing came in %d ms\n", WAIT_MS);
        return false;
    }
    ssize_t got = recv(raw->fd, data, sizeof(data), 0);
    if (got <= 0)
        return false;
    buf_add(&raw->in, data, (size_t)got);
    return true;
}

static void consume(struct raw *raw, size_t len, struct buf *out)
{
    if (out)
        buf_add(out, raw->in.data, len);
    raw->in.len -= len;
    memmove(raw->in.data, raw->in.data + len, raw->in.len + 1);
}

/* Moves everything up to and with `mark` to `out`. */
static bool read_until(struct raw *raw, const char *mark, struct buf *out)
{
    for (;;) {
        char *found = raw->in.len ? memmem(raw->in.data, raw->in.len, mark, strlen(mark)) : NULL;
        if (found) {
            consume(raw, (size_t)(found - raw->in.data) + strlen(mark), out);
            return true;
        }
        if (!fill(raw))
            return false;
    }
}

static bool read_len(struct raw *raw, size_t len, struct buf *out)
{
    while (raw->in.len < len)
        if (!fill(raw))
            return false;
    if (len)
        consume(raw, len, out);
    return true;
}

void raw_read_head(struct raw *raw, struct raw_reply *reply)
{
    raw_reply_release(reply);
    if (!read_until(raw, "\r\n\r\n", &reply->head))
        return;
    if (strncmp(reply->head.data, "HTTP/1.1 ", 9) == 0)
        reply->status = (int)strtol(reply->head.data + 9, NULL, 10);
}

static void read_chunks(struct raw *raw, struct buf *out)
{
    for (;;) {
        auto_buf struct buf line = {0};
        if (!read_until(raw, "\r\n", &line))
            return;
        size_t len = strtoul(line.data, NULL, 16);
        if (!read_len(raw, len, out) || !read_len(raw, 2, NULL) || len == 0)
            return;
    }
}

void raw_read(struct raw *raw, struct raw_reply *reply)
{
    raw_read_head(raw, reply);
    if (reply->status == 0 || reply->status == 204 || reply->status == 304)
        return;
    autofree char *length = raw_header(reply, "Content-Length");
    autofree char *encoding = raw_header(reply, "Transfer-Encoding");
    if (encoding)
        read_chunks(raw, &reply->body);
    else if (length)
        read_len(raw, strtoul(length, NULL, 10), &reply->body);
    else
        while (fill(raw) || raw->in.len)
            consume(raw, raw->in.len, &reply->body);
}

size_t raw_read_some(struct raw *raw, void *out, size_t max)
{
    if (raw->in.len == 0 && !fill(raw))
        return 0;
    size_t len = raw->in.len < max ? raw->in.len : max;
    memcpy(out, raw->in.data, len);
    consume(raw, len, NULL);
    return len;
}

bool raw_ends(struct raw *raw)
{
    for (;;) {
        char data[4096];
        struct pollfd fd = {.fd = raw->fd, .events = POLLIN};
        if (poll(&fd, 1, WAIT_MS) != 1)
            return false;
        if (recv(raw->fd, data, sizeof(data), 0) <= 0)
            return true;
    }
}

char *raw_header(const struct raw_reply *reply, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = reply->head.data; line;) {
        line = strstr(line, "\r\n");
        if (!line)
            break;
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return xstrndup(line + len + 2, strcspn(line + len + 2, "\r"));
    }
    return NULL;
}

void raw_reply_release(struct raw_reply *reply)
{
    buf_release(&reply->head);
    buf_release(&reply->body);
    *reply = (struct raw_reply){0};
}
