/* One thread, epoll, keep-alive; see load.h. */
#include "tests/lib/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "api/base/mem.h"
#include "tests/lib/cloud.h"

enum { ANSWER_MAX = 2 << 20, REQUEST_MAX = 8192, SILENCE_MS = 90000, LATENCY_STEPS = 32 };

struct connection {
    int fd;
    char *in;
    size_t have;
    double sent_s; /* when its request went out; 0: none is out */
    double next_s; /* when the next may go */
};

struct run {
    const struct load *load;
    struct load_result result;
    struct connection *all;
    int epoll;
    int64_t sent;
    int out; /* requests whose answer is awaited */
    double start_s;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int connect_tcp(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        cloud_fail("cannot connect to port %d: %s", port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        cloud_fail("cannot connect to %s: %s", path, strerror(errno));
    return fd;
}

static void open_connection(struct run *run, struct connection *c)
{
    const struct load *load = run->load;
    c->fd = load->port ? connect_tcp(load->port) : connect_unix(load->socket);
    c->have = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(run->epoll, EPOLL_CTL_ADD, c->fd, &event);
}

/* The server's end of the connection is gone, with the answer that was awaited. */
static void reopen(struct run *run, struct connection *c)
{
    if (!run->load->reconnects)
        cloud_fail("the server closed a connection");
    run->result.closed++;
    run->out -= c->sent_s > 0;
    c->sent_s = 0;
    close(c->fd);
    open_connection(run, c);
}

static bool may_send(const struct run *run, double now)
{
    const struct load *load = run->load;
    return (load->requests == 0 || run->sent < load->requests) &&
           (load->seconds == 0 || now - run->start_s < load->seconds);
}

static void send_next(struct run *run, struct connection *c, double now)
{
    char request[REQUEST_MAX];
    if (!may_send(run, now))
        return;
    size_t len =
        run->load->make(run->load->ctx, (int)(c - run->all), run->sent++, request, sizeof(request));
    ssize_t wrote = send(c->fd, request, len, MSG_NOSIGNAL);
    if (wrote != (ssize_t)len && wrote >= 0)
        cloud_fail("the server does not take a request of %zu bytes", len);
    c->sent_s = now;
    run->out++;
    if (wrote < 0)
        reopen(run, c);
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

static size_t bucket_of(double seconds)
{
    uint64_t us = (uint64_t)(seconds * 1e6);
    if (us < LATENCY_STEPS)
        return us;
    int power = 63 - __builtin_clzll(us);
    return (size_t)(power - 4) * LATENCY_STEPS + ((us >> (power - 5)) & (LATENCY_STEPS - 1));
}

static double bucket_ms(size_t bucket)
{
    if (bucket < LATENCY_STEPS)
        return (double)(bucket + 1) / 1e3;
    size_t power = bucket / LATENCY_STEPS + 4;
    double step = (double)(1ULL << (power - 5));
    return ((double)(bucket % LATENCY_STEPS + LATENCY_STEPS + 1)) * step / 1e3;
}

static void count_answer(struct run *run, struct connection *c, size_t len, double now)
{
    struct load_result *result = &run->result;
    long status = strtol(c->in + 9, NULL, 10);
    if (status > 0 && status < LOAD_STATUS_MAX)
        result->by_status[status]++;
    if ((status == 429 || status == 503) && !memmem(c->in, len, "Retry-After:", 12))
        result->unexplained++;
    if (status == run->load->expect) {
        result->answers++;
        result->latency[bucket_of(now - c->sent_s)]++;
    } else if (result->others++ == 0) {
        size_t keep = len < sizeof(result->first_other) ? len : sizeof(result->first_other) - 1;
        memcpy(result->first_other, c->in, keep);
    }
}

static void receive(struct run *run, struct connection *c)
{
    ssize_t got = recv(c->fd, c->in + c->have, ANSWER_MAX - c->have - 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        reopen(run, c);
        return;
    }
    c->have += (size_t)got;
    c->in[c->have] = '\0';
    size_t len = answer_length(c);
    if (len == 0 || c->have < len)
        return;
    double now = now_s();
    count_answer(run, c, len, now);
    c->have = 0;
    c->sent_s = 0;
    c->next_s = now + run->load->pause;
    run->out--;
    if (run->load->pause == 0)
        send_next(run, c, now);
}

/* Sends on connections that rest; returns the milliseconds until the next may send. */
static int wake(struct run *run)
{
    double now = now_s(), first = now + SILENCE_MS / 1e3;
    if (!may_send(run, now))
        return SILENCE_MS;
    for (int i = 0; i < run->load->connections; i++) {
        struct connection *c = &run->all[i];
        if (c->sent_s > 0)
            continue;
        if (c->next_s <= now)
            send_next(run, c, now);
        else if (c->next_s < first)
            first = c->next_s;
    }
    return (int)((first - now) * 1e3) + 1;
}

static void run_to_the_end(struct run *run)
{
    for (;;) {
        /* Whoever's connection was closed, or rests, has nothing out. */
        int timeout = run->out < run->load->connections ? wake(run) : SILENCE_MS;
        if (run->out == 0 && !may_send(run, now_s()))
            return;
        struct epoll_event events[64];
        int ready = epoll_wait(run->epoll, events, 64, timeout);
        if (ready == 0 && timeout == SILENCE_MS)
            cloud_fail("no answer within %d s", SILENCE_MS / 1000);
        for (int i = 0; i < ready; i++)
            receive(run, events[i].data.ptr);
    }
}

struct load_result load_run(const struct load *load)
{
    struct run *run = xcalloc(1, sizeof(*run));
    run->load = load;
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->all = xcalloc((size_t)load->connections, sizeof(*run->all));
    for (int i = 0; i < load->connections; i++) {
        run->all[i].in = xmalloc(ANSWER_MAX);
        open_connection(run, &run->all[i]);
    }
    run->start_s = now_s();
    run_to_the_end(run);
    run->result.seconds = now_s() - run->start_s;
    for (int i = 0; i < load->connections; i++) {
        close(run->all[i].fd);
        free(run->all[i].in);
    }
    close(run->epoll);
    struct load_result result = run->result;
    free(run->all);
    free(run);
    return result;
}

double load_latency_ms(const struct load_result *result, double share)
{
    int64_t seen = 0;
    for (size_t i = 0; i < LOAD_BUCKETS; i++) {
        seen += result->latency[i];
        if (result->latency[i] && (double)seen >= share * (double)result->answers)
            return bucket_ms(i);
    }
    return 0;
}
