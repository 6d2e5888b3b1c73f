/* Rows of seals: up to which moment, and by which evidence, the ledger is closed. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_SEGMENT_STORE_SEAL_H
#define MINICLOUD_CONTROLLER_LEDGER_SEGMENT_STORE_SEAL_H

#include <stdint.h>

#include "api/base/id.h"

struct db;
struct err;

struct seal {
    int64_t key, until_ms, observation_key, news_key, segment_ordinal, sealed_ms;
    uint8_t observation_chain[SHA256_BYTES], segment_chain[SHA256_BYTES], chain[SHA256_BYTES];
};
/* The hash that it must carry, from the one before and its own columns. */
void seal_chain(const uint8_t before[SHA256_BYTES], const struct seal *seal,
                uint8_t ret_chain[SHA256_BYTES]);
/* 1: the newest one; 0: none yet (zeroed); -1. */
int store_seal_last(struct db *db, struct seal *ret_seal, struct err *err);
int store_seal_add(struct db *db, struct seal *seal, struct err *err);
/* The one that carries this hash; 1, 0, -1. */
int store_seal_find(struct db *db, const uint8_t chain[SHA256_BYTES], struct seal *ret_seal,
                    struct err *err);
/* The one after `key`: 1, 0, -1. */
int store_seal_next(struct db *db, int64_t key, struct seal *ret_seal, struct err *err);

#endif
