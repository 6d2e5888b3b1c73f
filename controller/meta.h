/* Single values of the whole database: the epoch within which generations, runs and
 * revisions compare, and the day it was made. */
#ifndef MINICLOUD_CONTROLLER_META_H
#define MINICLOUD_CONTROLLER_META_H

#include <stdint.h>

#include "api/id.h"

struct db;
struct err;
struct tx;

/* Owned by the caller; NULL when there is none. */
int meta_get(struct db *db, const char *name, char **ret_value, struct err *err);
int meta_set(struct tx *tx, const char *name, const char *value, struct err *err);

int epoch_get(struct db *db, char text[ID_TEXT_MAX], struct err *err);
/* A new epoch: this database is a copy restored from the past. */
int epoch_mint(struct tx *tx, char text[ID_TEXT_MAX], struct err *err);
/* Lowest revision kept and highest ever given; an empty log: first = last + 1. */
int revision_range(struct db *db, int64_t *ret_first, int64_t *ret_last, struct err *err);

#endif
