/* What a cloud's ledger says, for tests that hold it against something else: the segments of
 * an instance, and sums by meter from each place that tells them. */
#ifndef MINICLOUD_TESTS_BILL_H
#define MINICLOUD_TESTS_BILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloud;

enum { BILL_ROWS = 64 };

struct bill_row {
    char kind[16];
    int64_t start_ms, end_ms; /* UTC */
    bool open, verified, reversal;
    int64_t run, vcpus, memory_mib, disk_gib, cpu_ns, ingress_bytes, egress_bytes;
};

/* An instance's segments, all there ever were, by their start. */
struct bill {
    struct bill_row rows[BILL_ROWS];
    size_t count;
};
void bill_read(struct cloud *cloud, const char *id, struct bill *ret_bill);
/* The rows of a kind in place, in order; how many. */
size_t bill_rows(const struct bill *bill, const char *kind, const struct bill_row *ret[BILL_ROWS]);

/* Waits until usage is measured, or sealed, up to a moment of UTC. */
void bill_await_measured(struct cloud *cloud, int64_t until_ms);
void bill_await_sealed(struct cloud *cloud, int64_t until_ms);

/* ---- sums of instances ---- */

enum { BILL_METERS = 11 };
extern const char *const bill_meters[BILL_METERS];
struct bill_sums {
    int64_t meters[BILL_METERS];
    int64_t nanos; /* where that is told; of images too */
    size_t rows;
};
/* Adds what the segments come to. */
void bill_add(const struct bill *bill, struct bill_sums *sums);
/* Of the rows of GET /v1/usage with this query. */
void bill_query(struct cloud *cloud, const char *query, struct bill_sums *ret_sums);
/* Of the export as CSV. */
void bill_export(struct cloud *cloud, const char *query, struct bill_sums *ret_sums);

#endif
