/* Single values of the whole database: the epoch within which generations, runs and
 * revisions compare, and the day it was made. */
#ifndef MINICLOUD_CONTROLLER_TX_META_H
#define MINICLOUD_CONTROLLER_TX_META_H

#include <stdint.h>

#include "api/base/id.h"

struct db;
struct err;
struct tx;

/* Owned by the caller; NULL when there is none. */
int meta_get(struct db *db, const char *name, char **ret_value, struct err *err);
int meta_set(struct tx *tx, const char *name, const char *value, struct err *err);

int epoch_get(struct db *db, char text[ID_TEXT_MAX], struct err *err);
/* A new epoch for all: this database is a copy restored from the past. Epochs are later texts in
 * the order in which they are minted, and later than `after` (NULL: nothing). */
int epoch_mint(struct tx *tx, const char *after, char text[ID_TEXT_MAX], struct err *err);

/* The epoch that a node is in: the database's, or one of its own since its bare word began it. */
int epoch_of_node(struct db *db, int64_t node_key, char text[ID_TEXT_MAX], struct err *err);
/* The latest that was ever minted here, also for a node that is gone. */
int epoch_latest(struct db *db, char text[ID_TEXT_MAX], struct err *err);
int epoch_mint_of_node(struct tx *tx, int64_t node_key, char text[ID_TEXT_MAX], struct err *err);

enum { MARK_TEXT_MAX = 17 };
/* What tells the history that ends in this revision from any other: of its event, hashed. A
 * copy of the database that went on by itself gives the same revision another mark. 1: there
 * is one; 0: the event is not kept any more (or not there yet); -1. */
int revision_mark(struct db *db, int64_t revision, char text[MARK_TEXT_MAX], struct err *err);
/* Whether an agent that saw `revision` of our epoch, with `mark` (NULL: none), saw a history
 * that is not ours: then this database is a copy from the past. 1, 0, -1. */
int revision_foreign(struct db *db, int64_t revision, const char *mark, struct err *err);
/* Lowest revision kept and highest ever given; an empty log: first = last + 1. */
int revision_range(struct db *db, int64_t *ret_first, int64_t *ret_last, struct err *err);

#endif
