/* Rows of seals. */
#include "controller/ledger/segment/store_seal.h"

#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/db/db.h"

void seal_chain(const uint8_t before[SHA256_BYTES], const struct seal *seal,
                uint8_t ret_chain[SHA256_BYTES])
{
    const int64_t numbers[] = {seal->key,      seal->until_ms,        seal->observation_key,
                               seal->news_key, seal->segment_ordinal, seal->sealed_ms};
    auto_buf struct buf whole = {0};
    buf_add(&whole, before, SHA256_BYTES);
    buf_puts(&whole, "seal");
    buf_add(&whole, seal->observation_chain, SHA256_BYTES);
    buf_add(&whole, seal->segment_chain, SHA256_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        buf_putc(&whole, '\n');
        buf_i64(&whole, numbers[i]);
    }
    sha256(whole.data, whole.len, ret_chain);
}

static void read_hash(struct stmt *stmt, int column, uint8_t hash[SHA256_BYTES])
{
    size_t len = 0;
    const void *data = stmt_blob(stmt, column, &len);
    memset(hash, 0, SHA256_BYTES);
    if (data && len == SHA256_BYTES)
        memcpy(hash, data, SHA256_BYTES);
}

#define SEAL_SELECT                                                                         \
    "SELECT key, until_ms, observation_key, segment_ordinal, sealed_ms, observation_chain," \
    " segment_chain, chain, news_key FROM seal "

static int read_one(struct stmt *stmt, struct seal *ret_seal, struct err *err)
{
    *ret_seal = (struct seal){0};
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc;
    ret_seal->key = stmt_i64(stmt, 0);
    ret_seal->until_ms = stmt_i64(stmt, 1);
    ret_seal->observation_key = stmt_i64(stmt, 2);
    ret_seal->segment_ordinal = stmt_i64(stmt, 3);
    ret_seal->sealed_ms = stmt_i64(stmt, 4);
    ret_seal->news_key = stmt_i64(stmt, 8);
    read_hash(stmt, 5, ret_seal->observation_chain);
    read_hash(stmt, 6, ret_seal->segment_chain);
    read_hash(stmt, 7, ret_seal->chain);
    return 1;
}

int store_seal_last(struct db *db, struct seal *ret_seal, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, SEAL_SELECT "ORDER BY key DESC LIMIT 1");
    return read_one(stmt, ret_seal, err);
}

int store_seal_next(struct db *db, int64_t key, struct seal *ret_seal, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, SEAL_SELECT "WHERE key > ? ORDER BY key LIMIT 1");
    stmt_bind(stmt, "i", key);
    return read_one(stmt, ret_seal, err);
}

/* Seals are few: a year has 8760. */
int store_seal_find(struct db *db, const uint8_t chain[SHA256_BYTES], struct seal *ret_seal,
                    struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, SEAL_SELECT "WHERE chain = ? ORDER BY key LIMIT 1");
    stmt_bind(stmt, "b", chain, (size_t)SHA256_BYTES);
    return read_one(stmt, ret_seal, err);
}

int store_seal_add(struct db *db, struct seal *seal, struct err *err)
{
    struct seal before;
    if (store_seal_last(db, &before, err) < 0)
        return -1;
    seal_chain(before.chain, seal, seal->chain);
    auto_stmt struct stmt *stmt =
        db_stmt(db, "INSERT INTO seal (key, until_ms, observation_key, observation_chain,"
                    " news_key, segment_ordinal, segment_chain, sealed_ms, chain)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    stmt_bind(stmt, "iiibiibib", seal->key, seal->until_ms, seal->observation_key,
              seal->observation_chain, (size_t)SHA256_BYTES, seal->news_key, seal->segment_ordinal,
              seal->segment_chain, (size_t)SHA256_BYTES, seal->sealed_ms, seal->chain,
              (size_t)SHA256_BYTES);
    return stmt_run(stmt, err);
}
