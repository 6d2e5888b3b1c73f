/* Idempotency-Key: the answer of a POST is kept in its own transaction, so that a client
 * that lost the answer can ask again without doing it twice. */
#ifndef MINICLOUD_CONTROLLER_REQUEST_IDEMPOTENCY_H
#define MINICLOUD_CONTROLLER_REQUEST_IDEMPOTENCY_H

#include <stdbool.h>
#include <stdint.h>

struct db;
struct err;
struct request;
struct tx;

/* 0: go on; 1: `r` now holds the kept answer; -1: refused (the key came with another body, or
 * the kept answer is a secret). Without the header: 0. `aged_ms` as in struct tx. */
int idempotency_find(struct db *db, int64_t aged_ms, struct request *r, struct err *err);
/* Whether the request names a key at all. */
bool idempotency_named(const struct request *r);
int idempotency_keep(struct tx *tx, struct request *r, struct err *err);
/* Who did what, in the transaction that did it. */
int audit_keep(struct tx *tx, const struct request *r, struct err *err);

#endif
