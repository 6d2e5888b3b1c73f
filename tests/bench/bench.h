/* The benches: each times the cloud beside its limit, in pairs that alternate within one
 * minute, and prints `name ours limit ratio`, all medians. A machine's speed drifts; the ratio of
 * neighbours holds. The limit side is as bare as it can be made. */
#ifndef MINICLOUD_TESTS_BENCH_H
#define MINICLOUD_TESTS_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "tests/lib/cloud.h"
#include "tests/lib/load.h"

enum { BENCH_PAIRS = 5, BENCH_PAIRS_MAX = 15 };

/* Figures of one side of one pair; what they are is the bench's own matter. */
struct pairs {
    double ours[BENCH_PAIRS_MAX], limit[BENCH_PAIRS_MAX];
    int count;
};

void pairs_add(struct pairs *pairs, double ours, double limit);
double median(const double *values, int count);
/* "name  ours  limit  ratio  (aim ...)"; the ratio is the median of the pairs' ratios. */
void pairs_print(const struct pairs *pairs, const char *name, const char *unit, const char *aim);
/* A line for an absolute figure. */
void figure_print(const char *name, const char *aim, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

double now_s(void);

/* ---- limits ---- */

struct limit_http; /* a bare libmicrohttpd in a process of its own */
struct limit_http *limit_http_start(size_t body_size); /* on a free port of 127.0.0.1 */
int limit_http_port(const struct limit_http *limit);
pid_t limit_http_pid(const struct limit_http *limit);
void limit_http_stop(struct limit_http *limit);

/* Creates per second by bare SQLite: the same rows, WAL, synchronous=FULL, `group` to a commit.
 * The database at `path` has the schema and the rows that these point at. */
double limit_sqlite_creates(const char *path, int creates, int group);
/* Seconds for reading `count` instances and printing them by cJSON. */
double limit_sqlite_list(const char *path, int count);

/* ---- set-up shared by benches ---- */

/* A controller with a key, a ready image and one node of boundless size that a simulated or
 * no agent serves. */
struct cloud *bench_cloud(const char *name);
/* The port on which its controller listens as well. */
int bench_port(const struct cloud *cloud);
/* Adds a node by the join token, with capacity beyond any bench. Its token, owned by the caller. */
char *bench_add_node(struct cloud *cloud);

void bench_healthz(void);
void bench_read_one(void);
void bench_create_64(void);
void bench_create_1(void);
void bench_create_64_hosts(void);
void bench_list_1000(void);
void bench_create_to_running(void);
void bench_creates_parallel(void);
void bench_wake_1000(void);
void bench_mixed(void);
void bench_at_rest(void);
void bench_usage_month_all(void);
void bench_usage_month_hourly(void);
void bench_empty_project(void);
void bench_long_life(void);

/* The part of the bench that runs inside the host: see bench_libvirt.c. */
int bench_inside_host(int argc, char **argv);

#endif
