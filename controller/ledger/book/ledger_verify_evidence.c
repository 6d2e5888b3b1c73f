/* The evidence as verification reads it: its chain, and what reading a row would hide; see
 * ledger_verify_internal.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/ledger/book/ledger_verify_internal.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/price/price.h"

static bool same_hash(struct stmt *stmt, int column, const uint8_t hash[SHA256_BYTES])
{
    size_t len = 0;
    const void *stored = stmt_blob(stmt, column, &len);
    return stored && len == SHA256_BYTES && memcmp(stored, hash, SHA256_BYTES) == 0;
}

/* The text columns are as they are stored: SQLite keeps bytes that no one bound. */
static char *text_of(struct stmt *stmt, int column)
{
    const char *text = stmt_text(stmt, column);
    return xstrdup(text ? text : "");
}

static struct evidence_row read_observation(struct stmt *stmt)
{
    return (struct evidence_row){.key = stmt_i64(stmt, 0),
                                 .node_key = stmt_i64(stmt, 1),
                                 .flavor_key = stmt_i64(stmt, 15),
                                 .bytes = stmt_i64(stmt, 16),
                                 .received_ms = stmt_i64(stmt, 20),
                                 .o = {.boot_id = text_of(stmt, 2),
                                       .boot_order = stmt_i64(stmt, 21),
                                       .incarnation = text_of(stmt, 3),
                                       .sequence = stmt_i64(stmt, 4),
                                       .kind = (int)stmt_i64(stmt, 5),
                                       .instance = text_of(stmt, 6),
                                       .run = stmt_i64(stmt, 7),
                                       .cause = (int)stmt_i64(stmt, 8),
                                       .noticed = stmt_i64(stmt, 9) != 0,
                                       .boottime_ms = stmt_i64(stmt, 10),
                                       .wall_ms = stmt_i64(stmt, 11),
                                       .vcpus = stmt_i64(stmt, 12),
                                       .memory_mib = stmt_i64(stmt, 13),
                                       .disk_gib = stmt_i64(stmt, 14),
                                       .cpu_ns = stmt_i64(stmt, 17),
                                       .ingress_bytes = stmt_i64(stmt, 18),
                                       .egress_bytes = stmt_i64(stmt, 19)}};
}

static void row_release(struct evidence_row *row)
{
    free(row->o.boot_id);
    free(row->o.incarnation);
    free(row->o.instance);
}

static void check_row(struct verify *v, struct stmt *stmt)
{
    uint8_t chain[SHA256_BYTES];
    struct evidence_row row = read_observation(stmt);
    evidence_chain(v->observation_chain, &row, chain);
    if (row.key != v->observation_key + 1)
        verify_differs(v, "observation %" PRId64 " is missing", v->observation_key + 1);
    else if (!same_hash(stmt, 22, chain))
        verify_differs(v, "observation %" PRId64 ": its chain does not follow from the row",
                       row.key);
    else if (stmt_i64(stmt, 23) != 1)
        verify_differs(v, "observation %" PRId64 ": it holds what no observation does", row.key);
    memcpy(v->observation_chain, chain, sizeof(chain));
    v->observation_key = row.key;
    v->verdict->observations++;
    row_release(&row);
}

/* The last column: whether it holds what reading it makes equal, or leaves out: two values that
 * both count as true, a number too large for its kind, nothing and zero, a text behind its end. */
int verify_observations(struct verify *v, int64_t to_key, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        v->db,
        "SELECT key, node_key, boot_id, incarnation, sequence, kind, resource_id, run, cause,"
        " noticed, boottime_ms, wall_ms, vcpus, memory_mib, disk_gib, flavor_key, bytes,"
        " cpu_ns, ingress_bytes, egress_bytes, received_ms, boot_order, chain,"
        " kind BETWEEN 0 AND 9 AND noticed IN (0, 1) AND cause BETWEEN 0 AND 1000"
        " AND coalesce(node_key, 1) <> 0 AND coalesce(flavor_key, 1) <> 0"
        " AND instr(boot_id || incarnation || resource_id, char(0)) = 0"
        " FROM observation WHERE key > ? AND key <= ? ORDER BY key");
    int rc = 0;
    stmt_bind(stmt, "ii", v->observation_key, to_key);
    while (!v->verdict->difference[0] && (rc = stmt_step(stmt, err)) == 1)
        check_row(v, stmt);
    return rc < 0 ? -1 : 0;
}

/* 1: it is as it was set, or ended, last; 0: not; -1. */
static int is_as_set(struct verify *v, int64_t key, const char *id, struct err *err)
{
    int64_t terms;
    auto_stmt struct stmt *stmt =
        db_stmt(v->db, "SELECT bytes FROM observation WHERE resource_id = ? AND kind = 9"
                       " ORDER BY key DESC LIMIT 1");
    stmt_bind(stmt, "t", id);
    int rc = stmt_step(stmt, err);
    if (rc < 0 || price_terms(v->db, key, &terms, err) != 0)
        return -1;
    return rc == 1 && stmt_i64(stmt, 0) == terms;
}

static int find_missing_price(struct verify *v, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(v->db, "SELECT o.resource_id FROM observation o WHERE o.kind = 9 AND NOT EXISTS"
                       " (SELECT 1 FROM price p WHERE p.id = o.resource_id) LIMIT 1");
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        verify_differs(v, "price %s is missing", stmt_text(stmt, 0));
    return rc < 0 ? -1 : 0;
}

int verify_prices(struct verify *v, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(v->db, "SELECT key, id FROM price ORDER BY key");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        int same = is_as_set(v, stmt_i64(stmt, 0), stmt_text(stmt, 1), err);
        if (same < 0)
            return -1;
        if (!same)
            verify_differs(v, "price %s: it is not on the terms on which it was set",
                           stmt_text(stmt, 1));
    }
    return rc < 0 ? -1 : find_missing_price(v, err);
}
