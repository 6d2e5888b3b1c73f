/* A question about usage, from a request to rows: what its parameters and its cursor say, and
 * reading the ledger for it, period by period where there is much. All pages of one answer
 * speak of the moment of the first one, which the cursor carries along. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_QUERY_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/ledger/book/ledger.h"
#include "controller/usage/usage_cursor.h"
#include "controller/usage/usage_sum.h"

struct app;
struct db;
struct err;
struct request;
struct usage_names;

enum { USAGE_PAGE_DEFAULT = 1000, USAGE_PAGE = 10000 };

/* start, end, granularity, group_by, meter, project, cursor; what is missing gets its default.
 * The moment is the cursor's or the present one. */
int usage_query_parse(struct request *r, struct db *db, struct usage_query *ret_query,
                      struct err *err);
/* Moment and project only, for answers without parameters of time. */
int usage_query_now(struct request *r, struct db *db, struct usage_query *ret_query,
                    struct err *err);
/* "2026-11", "2026-11-01" or RFC 3339. */
int usage_time_parse(const char *field, const char *text, int64_t *ret_ms, struct err *err);
/* "start" and "end" of a request, in whole hours if `hours`; by default the month so far. */
int usage_range_parse(struct request *r, const struct ledger_moment *moment, bool hours,
                      int64_t *ret_from_ms, int64_t *ret_to_ms, struct err *err);

/* As usage_cursor_parse(), against what is known at present: the moment must be one that there
 * was. */
int usage_cursor_take(struct app *app, struct db *db, const char *text, struct usage_query *query,
                      struct err *err);

/* Rows from the query's position on. Between periods it lets go of what it reads, so that a
 * long answer keeps no old state of the database. */
int usage_query_rows(struct request *r, const struct usage_query *query, struct usage_names *names,
                     usage_row_each *each, void *ctx, struct err *err);

#endif
