/* An HTTP client of many keep-alive connections on one thread, as light as it can be, since
 * it shares the machine with what it loads. Each connection sends its next request when the
 * answer to the last is whole. */
#ifndef MINICLOUD_TESTS_LOAD_H
#define MINICLOUD_TESTS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load {
    int port;           /* on 127.0.0.1; 0: the Unix socket */
    const char *socket; /* Unix socket path */
    int connections;
    int64_t requests; /* in all; 0: as many as `seconds` allow */
    double seconds;   /* nothing is sent after these; 0: no bound but `requests` */
    double pause;     /* seconds before a connection's next request */
    /* Writes the whole bytes of a request: the n-th in all, by this connection. */
    size_t (*make)(void *ctx, int connection, int64_t number, char *out, size_t cap);
    void *ctx;
    int expect; /* status */
    /* A connection that the server closes is opened again; false: the load fails. */
    bool reconnects;
};

enum { LOAD_STATUS_MAX = 600, LOAD_BUCKETS = 64 * 32 };

struct load_result {
    double seconds;  /* wall */
    int64_t answers; /* with the expected status */
    int64_t others;  /* with any other */
    int64_t closed;  /* connections, by the server */
    int64_t by_status[LOAD_STATUS_MAX];
    int64_t unexplained; /* 429 and 503 without a Retry-After */
    char first_other[512];
    /* How long expected answers took: counts by powers of two of microseconds, 32 steps each. */
    int64_t latency[LOAD_BUCKETS];
};

struct load_result load_run(const struct load *load);
/* Milliseconds within which this share (0.99) of the expected answers came; 0: there is none. */
double load_latency_ms(const struct load_result *result, double share);

#endif
