#include "tests/lib/slow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"

enum { ADDRESSES = 20, PIPELINED = 40, TURN_MS = 1000 };

struct slow {
    int port, count, stop;
    int64_t closed;
    int *fds; /* -1: to be opened at the next turn */
    pthread_t thread;
};

static bool reads_nothing(int index)
{
    return index % 2;
}

static void begin(const struct slow *slow, int index)
{
    static const char head[] = "GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    static const char whole[] = "GET /v1/openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if (!reads_nothing(index)) {
        send(slow->fds[index], head, sizeof(head) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        return;
    }
    for (int i = 0; i < PIPELINED; i++)
        send(slow->fds[index], whole, sizeof(whole) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void open_one(struct slow *slow, int index)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr =
                                   htonl(0x7f000100 + (uint32_t)(index % ADDRESSES))};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)slow->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        cloud_fail("no socket: %s", strerror(errno));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
        close(fd);
        return;
    }
    slow->fds[index] = fd;
    begin(slow, index);
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* A pipelining client's bytes lie there unread: that it was cut off shows by a hang-up only. */
static bool was_cut(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 && look.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void turn(struct slow *slow, int index)
{
    int fd = slow->fds[index];
    if (fd < 0) {
        open_one(slow, index);
        return;
    }
    bool gone = reads_nothing(index) ? was_cut(fd) : is_closed(fd);
    if (!gone && !reads_nothing(index))
        gone = send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN;
    if (!gone)
        return;
    close(fd);
    slow->fds[index] = -1;
    slow->closed++;
}

static void *slow_main(void *ctx)
{
    struct slow *slow = ctx;
    struct pollfd stop = {.fd = slow->stop, .events = POLLIN};
    int64_t next_ms = clock_boottime_ms();
    for (;;) {
        for (int i = 0; i < slow->count; i++)
            turn(slow, i);
        next_ms += TURN_MS;
        int64_t left_ms = next_ms - clock_boottime_ms();
        if (poll(&stop, 1, left_ms > 0 ? (int)left_ms : 0) > 0)
            return NULL;
    }
}

struct slow *slow_start(int port, int sockets)
{
    struct slow *slow = xcalloc(1, sizeof(*slow));
    slow->port = port;
    slow->count = sockets;
    slow->stop = eventfd(0, EFD_CLOEXEC);
    slow->fds = xcalloc((size_t)sockets, sizeof(*slow->fds));
    for (int i = 0; i < sockets; i++)
        slow->fds[i] = -1;
    if (pthread_create(&slow->thread, NULL, slow_main, slow) != 0)
        cloud_fail("no thread for slow sockets");
    return slow;
}

int64_t slow_stop(struct slow *slow)
{
    eventfd_write(slow->stop, 1);
    pthread_join(slow->thread, NULL);
    int64_t closed = slow->closed;
    for (int i = 0; i < slow->count; i++)
        if (slow->fds[i] >= 0)
            close(slow->fds[i]);
    close(slow->stop);
    free(slow->fds);
    free(slow);
    return closed;
}
