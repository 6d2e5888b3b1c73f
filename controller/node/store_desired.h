/* Rows as an agent needs them. */
#ifndef MINICLOUD_CONTROLLER_NODE_STORE_DESIRED_H
#define MINICLOUD_CONTROLLER_NODE_STORE_DESIRED_H

#include <stdint.h>

struct db;
struct desired_instance;
struct err;

/* `row` and everything in it is borrowed for the call. */
typedef void desired_each(void *ctx, const struct desired_instance *row);
/* Those of a node that are not gone and whose desired revision is above `after` (0: all),
 * oldest change first. Returns their number or -1. */
int store_desired(struct db *db, int64_t node_key, int64_t after, desired_each *each, void *ctx,
                  struct err *err);

#endif
