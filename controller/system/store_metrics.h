/* Figures that are counted from rows. */
#ifndef MINICLOUD_CONTROLLER_SYSTEM_STORE_METRICS_H
#define MINICLOUD_CONTROLLER_SYSTEM_STORE_METRICS_H

struct buf;
struct db;
struct err;

/* Instances and nodes by state, operations that run. */
int metrics_print_rows(struct db *db, struct buf *out, struct err *err);

#endif
