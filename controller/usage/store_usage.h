/* What usage reads besides the ledger: labels. */
#ifndef MINICLOUD_CONTROLLER_USAGE_STORE_USAGE_H
#define MINICLOUD_CONTROLLER_USAGE_STORE_USAGE_H

#include <stdint.h>

struct db;
struct err;

/* One label of an instance or image, owned by the caller; NULL: it has none. */
int store_usage_label(struct db *db, int resource, int64_t key, const char *name, char **ret_value,
                      struct err *err);
/* All, as JSON; owned by the caller. */
int store_usage_labels(struct db *db, int resource, int64_t key, char **ret_json, struct err *err);

#endif
