/* Counters of requests by route and status, and their latency; relaxed atomics, so that
 * counting costs a request next to nothing. handle_metrics.c prints them. */
#ifndef MINICLOUD_CONTROLLER_REQUEST_METRICS_H
#define MINICLOUD_CONTROLLER_REQUEST_METRICS_H

#include <stdint.h>

struct buf;
struct http_stats;
struct metrics;
struct route;
struct writer_stats;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/* `route` NULL: none matched. status 0: the client left before the reply. */
void metrics_request(struct metrics *metrics, const struct route *route, int status,
                     int64_t elapsed_ns);
/* Prometheus text. */
void metrics_print_requests(struct metrics *metrics, struct buf *out);
void metrics_print_writer(const struct writer_stats *stats, struct buf *out);
void metrics_print_connections(const struct http_stats *stats, struct buf *out);

#endif
