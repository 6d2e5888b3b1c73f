/* Counting requests, and the Prometheus text of all figures that are not rows. */
#include "controller/request/metrics.h"

#include <stdatomic.h>

#include "api/base/mem.h"
#include "controller/request/request.h"
#include "controller/tx/writer.h"

enum { ROUTES_MAX = 96, STATUS_MAX = 24, BUCKETS = 14 };

/* Upper bounds by powers of two from 125 us to 1.024 s: what a reply takes, and beyond that
 * only long polls and uploads. */
static const int64_t first_bound_ns = 125000;

struct route_metrics {
    _Atomic uint64_t by_status[STATUS_MAX]; /* beside `statuses` */
    _Atomic uint64_t buckets[BUCKETS + 1];  /* the last: above all bounds */
    _Atomic uint64_t ns_sum;
};

struct metrics {
    struct route_metrics routes[ROUTES_MAX + 1]; /* the last: no route */
};

/* What is not here is counted as 0, "other". */
static const int statuses[STATUS_MAX] = {0,   200, 201, 202, 204, 304, 400, 401,
                                         403, 404, 405, 409, 410, 412, 413, 414,
                                         415, 422, 429, 431, 500, 503, 504, 507};

struct metrics *metrics_new(void)
{
    return xcalloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

static size_t status_index(int status)
{
    for (size_t i = 1; i < STATUS_MAX; i++) {
        if (statuses[i] == status)
            return i;
    }
    return 0;
}

static void add(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_request(struct metrics *metrics, const struct route *route, int status,
                     int64_t elapsed_ns)
{
    size_t at = route ? (size_t)(route - routes) : ROUTES_MAX;
    struct route_metrics *counted = &metrics->routes[at < ROUTES_MAX ? at : ROUTES_MAX];
    size_t bucket = 0;
    while (bucket < BUCKETS && elapsed_ns > first_bound_ns << bucket)
        bucket++;
    add(&counted->by_status[status_index(status)], 1);
    add(&counted->buckets[bucket], 1);
    add(&counted->ns_sum, (uint64_t)(elapsed_ns > 0 ? elapsed_ns : 0));
}

static const char *route_name(size_t at)
{
    return at == ROUTES_MAX ? "none" : routes[at].action;
}

static size_t route_count(void)
{
    size_t count = 0;
    while (routes[count].method)
        count++;
    return count < ROUTES_MAX ? count : ROUTES_MAX;
}

static void print_counts(struct route_metrics *counted, const char *name, struct buf *out)
{
    for (size_t i = 0; i < STATUS_MAX; i++) {
        uint64_t value = get(&counted->by_status[i]);
        if (value)
            buf_printf(out, "minicloud_http_requests_total{route=\"%s\",status=\"%d\"} %llu\n",
                       name, statuses[i], (unsigned long long)value);
    }
}

static void print_histogram(struct route_metrics *counted, const char *name, struct buf *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= BUCKETS; i++)
        sum += get(&counted->buckets[i]);
    if (!sum)
        return;
    uint64_t below = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        below += get(&counted->buckets[i]);
        buf_printf(out,
                   "minicloud_http_request_duration_seconds_bucket{route=\"%s\",le=\"%g\"} %llu\n",
                   name, (double)(first_bound_ns << i) / 1e9, (unsigned long long)below);
    }
    buf_printf(out,
               "minicloud_http_request_duration_seconds_bucket{route=\"%s\",le=\"+Inf\"} %llu\n",
               name, (unsigned long long)sum);
    buf_printf(out, "minicloud_http_request_duration_seconds_sum{route=\"%s\"} %.6f\n", name,
               (double)get(&counted->ns_sum) / 1e9);
    buf_printf(out, "minicloud_http_request_duration_seconds_count{route=\"%s\"} %llu\n", name,
               (unsigned long long)sum);
}

void metrics_print_requests(struct metrics *metrics, struct buf *out)
{
    buf_puts(out, "# HELP minicloud_http_requests_total Requests by route and status"
                  " (0: left before the reply, or another).\n"
                  "# TYPE minicloud_http_requests_total counter\n");
    for (size_t i = 0; i <= ROUTES_MAX; i = i == route_count() - 1 ? ROUTES_MAX : i + 1)
        print_counts(&metrics->routes[i], route_name(i), out);
    buf_puts(out, "# HELP minicloud_http_request_duration_seconds From first byte to last,"
                  " waiting included.\n"
                  "# TYPE minicloud_http_request_duration_seconds histogram\n");
    for (size_t i = 0; i <= ROUTES_MAX; i = i == route_count() - 1 ? ROUTES_MAX : i + 1)
        print_histogram(&metrics->routes[i], route_name(i), out);
}

/* ---- the writer ---- */

static void print_value(struct buf *out, const char *name, const char *type, const char *help,
                        uint64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
               (unsigned long long)value);
}

static void print_commit_time(const struct writer_stats *stats, struct buf *out)
{
    uint64_t below = 0;
    buf_puts(out, "# HELP minicloud_commit_duration_seconds COMMIT with its sync.\n"
                  "# TYPE minicloud_commit_duration_seconds histogram\n");
    for (int i = 0; i < 15; i++) {
        below += stats->commit_buckets[i];
        buf_printf(out, "minicloud_commit_duration_seconds_bucket{le=\"%g\"} %llu\n",
                   64e-6 * (double)(1 << i), (unsigned long long)below);
    }
    buf_printf(out,
               "minicloud_commit_duration_seconds_bucket{le=\"+Inf\"} %llu\n"
               "minicloud_commit_duration_seconds_sum %.6f\n"
               "minicloud_commit_duration_seconds_count %llu\n",
               (unsigned long long)stats->commits, (double)stats->commit_ns_sum / 1e9,
               (unsigned long long)stats->commits);
}

static void print_group_size(const struct writer_stats *stats, struct buf *out)
{
    uint64_t below = 0;
    buf_puts(out, "# HELP minicloud_commit_group_size Jobs committed together.\n"
                  "# TYPE minicloud_commit_group_size histogram\n");
    for (int i = 0; i < 8; i++) {
        below += stats->group_buckets[i];
        buf_printf(out, "minicloud_commit_group_size_bucket{le=\"%d\"} %llu\n", 1 << i,
                   (unsigned long long)below);
    }
    buf_printf(out,
               "minicloud_commit_group_size_bucket{le=\"+Inf\"} %llu\n"
               "minicloud_commit_group_size_sum %llu\n"
               "minicloud_commit_group_size_count %llu\n",
               (unsigned long long)stats->commits,
               (unsigned long long)(stats->jobs - stats->failed_jobs),
               (unsigned long long)stats->commits);
}

void metrics_print_writer(const struct writer_stats *stats, struct buf *out)
{
    print_commit_time(stats, out);
    print_group_size(stats, out);
    print_value(out, "minicloud_write_jobs_total", "counter", "Jobs that the writer ran.",
                stats->jobs);
    print_value(out, "minicloud_write_jobs_failed_total", "counter",
                "Jobs that were refused or rolled back.", stats->failed_jobs);
    print_value(out, "minicloud_write_queue", "gauge", "Jobs that wait for the writer.",
                stats->queue);
    print_value(out, "minicloud_storage_full", "gauge",
                "1: the disk is full, only deletes are taken.", stats->full);
    print_value(out, "minicloud_wal_bytes", "gauge", "Of the database's log that are in use.",
                stats->wal_bytes);
    print_value(out, "minicloud_wal_limit_bytes", "gauge", "What it may grow to (wal_limit).",
                stats->wal_limit);
    print_value(out, "minicloud_wal_turns_total", "counter",
                "Times that long reads were asked to let go of the log.", stats->wal_turns);
    print_value(out, "minicloud_wal_turns_missed_total", "counter",
                "Those in which one did not in time.", stats->wal_turns_missed);
    print_value(out, "minicloud_wal_reads_ended_total", "counter",
                "Reads that were ended to keep the log below its limit.", stats->wal_cuts);
}

/* ---- connections ---- */

void metrics_print_connections(const struct http_stats *stats, struct buf *out)
{
    print_value(out, "minicloud_http_connections", "gauge", "Connections that are open.",
                stats->open);
    print_value(out, "minicloud_http_connections_limit", "gauge",
                "As many connections may be open at once.", stats->limit);
    print_value(out, "minicloud_http_connections_unproved", "gauge",
                "Open connections that have not shown a token yet.", stats->unproved);
    print_value(out, "minicloud_http_connections_refused_total", "counter",
                "Connections answered 503 because there were too many.", stats->refused);
    print_value(out, "minicloud_http_connections_cut_total", "counter",
                "Connections closed because they left too many bytes unread.", stats->cut);
    print_value(out, "minicloud_http_waiting_bytes", "gauge",
                "Bytes of replies that clients have not taken yet.",
                (uint64_t)stats->waiting_bytes);
    print_value(out, "minicloud_http_connections_ousted_total", "counter",
                "Connections closed, being idle, to make room for others.", stats->ousted);
}
