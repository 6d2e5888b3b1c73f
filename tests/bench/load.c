/* One thread, epoll, keep-alive; each connection sends its next request when the answer to the
 * last is whole. As light as it can be, since it shares the machine with what it measures. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/mem.h"
#include "tests/bench/bench.h"

enum { ANSWER_MAX = 2 << 20, REQUEST_MAX = 8192 };

struct connection {
    int fd;
    char *in;
    size_t have;
};

struct run {
    const struct load *load;
    struct load_result result;
    int epoll;
    int64_t sent;
};

static int connect_tcp(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        cloud_fail("cannot connect to port %d", port);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        cloud_fail("cannot connect to %s", path);
    return fd;
}

static void send_next(struct run *run, struct connection *c)
{
    char request[REQUEST_MAX];
    if (run->sent >= run->load->requests)
        return;
    size_t len = run->load->make(run->load->ctx, run->sent++, request, sizeof(request));
    if (write(c->fd, request, len) != (ssize_t)len)
        cloud_fail("the server does not take a request of %zu bytes", len);
}

/* Length of the whole answer once its head is there, 0 before. */
static size_t answer_length(const struct connection *c)
{
    const char *head_end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (!head_end)
        return 0;
    size_t head = (size_t)(head_end - c->in) + 4;
    const char *length = memmem(c->in, head, "Content-Length: ", 16);
    return head + (length ? strtoul(length + 16, NULL, 10) : 0);
}

static void count_answer(struct run *run, struct connection *c, size_t len)
{
    long status = strtol(c->in + 9, NULL, 10);
    if (status == run->load->expect) {
        run->result.answers++;
    } else if (run->result.others++ == 0) {
        size_t keep =
            len < sizeof(run->result.first_other) ? len : sizeof(run->result.first_other) - 1;
        memcpy(run->result.first_other, c->in, keep);
    }
}

static void receive(struct run *run, struct connection *c)
{
    ssize_t got = recv(c->fd, c->in + c->have, ANSWER_MAX - c->have - 1, 0);
    if (got <= 0)
        cloud_fail("the server closed a connection: %s", got < 0 ? strerror(errno) : "end of file");
    c->have += (size_t)got;
    c->in[c->have] = '\0';
    size_t len = answer_length(c);
    if (len == 0 || c->have < len)
        return;
    count_answer(run, c, len);
    c->have = 0;
    send_next(run, c);
}

struct load_result load_run(const struct load *load)
{
    struct run run = {.load = load, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct connection *all = xcalloc((size_t)load->connections, sizeof(*all));
    for (int i = 0; i < load->connections; i++) {
        all[i].fd = load->port ? connect_tcp(load->port) : connect_unix(load->socket);
        all[i].in = xmalloc(ANSWER_MAX);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(run.epoll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    double start = now_s();
    for (int i = 0; i < load->connections; i++)
        send_next(&run, &all[i]);
    while (run.result.answers + run.result.others < load->requests) {
        struct epoll_event events[64];
        int ready = epoll_wait(run.epoll, events, 64, 30000);
        if (ready == 0)
            cloud_fail("no answer within 30 s");
        for (int i = 0; i < ready; i++)
            receive(&run, events[i].data.ptr);
    }
    run.result.seconds = now_s() - start;
    for (int i = 0; i < load->connections; i++) {
        close(all[i].fd);
        free(all[i].in);
    }
    free(all);
    close(run.epoll);
    return run.result;
}
