/* Reading the evidence log back, as of one of its rows; see evidence.h. */
#include <stdlib.h>
#include <string.h>

#include "api/err.h"
#include "api/mem.h"
#include "api/types.h"
#include "controller/db.h"
#include "controller/evidence.h"

struct known_boot {
    struct boot boot;
    bool all_seen; /* `seen` is all of it, not only the last */
    struct known_boot *next;
};

enum { BUCKETS = 256 };

struct evidence {
    struct db *db;
    int64_t observation_key, until_ms;
    boot_vouches *vouches;
    void *ctx;
    struct known_boot *buckets[BUCKETS];
};

struct evidence *evidence_at(struct db *db, int64_t observation_key, int64_t until_ms,
                             boot_vouches *vouches, void *ctx)
{
    struct evidence *evidence = xcalloc(1, sizeof(*evidence));
    *evidence = (struct evidence){db, observation_key, until_ms, vouches, ctx, {0}};
    return evidence;
}

static void boot_free(struct known_boot *known)
{
    free((void *)(uintptr_t)known->boot.boot_id);
    free((void *)(uintptr_t)known->boot.seen);
    free(known);
}

void evidence_free(struct evidence *evidence)
{
    if (!evidence)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (evidence->buckets[i]) {
            struct known_boot *known = evidence->buckets[i];
            evidence->buckets[i] = known->next;
            boot_free(known);
        }
    }
    free(evidence);
}

/* ---- boots ---- */

/* What an operator said last, else wall minus boottime of the earliest fact. Of equal ones any
 * fixed choice will do. 1: there is a line; 0: nothing was seen of this boot; -1. */
static int read_line(const struct evidence *e, int64_t node_key, const char *boot_id,
                     int64_t *ret_ms, struct err *err)
{
    auto_stmt struct stmt *confirmed =
        db_stmt(e->db, "SELECT wall_ms - boottime_ms FROM observation WHERE node_key IS ?"
                       " AND boot_id = ? AND kind = 7 AND key <= ? ORDER BY key DESC LIMIT 1");
    stmt_bind(confirmed, "zti", node_key, boot_id, e->observation_key);
    int rc = stmt_step(confirmed, err);
    if (rc != 0) {
        *ret_ms = rc == 1 ? stmt_i64(confirmed, 0) : 0;
        return rc;
    }
    auto_stmt struct stmt *first =
        db_stmt(e->db, "SELECT wall_ms - boottime_ms FROM observation WHERE node_key IS ?1"
                       " AND boot_id = ?2 AND kind <= 4 AND key <= ?3 ORDER BY boottime_ms,"
                       " wall_ms LIMIT 1");
    stmt_bind(first, "zti", node_key, boot_id, e->observation_key);
    rc = stmt_step(first, err);
    *ret_ms = rc == 1 ? stmt_i64(first, 0) : 0;
    return rc;
}

/* The lowest that was said of its place in the order of boots. */
static int read_order(const struct evidence *e, struct boot *boot, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT boot_order FROM observation WHERE node_key IS ? AND boot_id = ?"
                       " AND kind <> 4 AND kind <> 5 AND boot_order > 0 AND key <= ?"
                       " ORDER BY boot_order LIMIT 1");
    stmt_bind(stmt, "zti", boot->node_key, boot->boot_id, e->observation_key);
    int rc = stmt_step(stmt, err);
    boot->order = rc == 1 ? stmt_i64(stmt, 0) : 0;
    return rc;
}

static void see(struct boot *boot, int64_t boottime_ms)
{
    size_t n = boot->seen_count;
    int64_t *seen = (int64_t *)(uintptr_t)boot->seen;
    if ((n & (n - 1)) == 0)
        seen = xrealloc(seen, (n ? 2 * n : 1) * sizeof(*seen));
    seen[boot->seen_count++] = boottime_ms;
    boot->seen = seen;
}

/* A boot that vouches up to a moment, though the row that says so is yet to be written (or is
 * newer than this view), is taken at its word up to that moment. */
static void see_until(const struct evidence *e, struct boot *boot)
{
    int64_t until = e->until_ms - boot->line_ms;
    if (e->vouches && e->until_ms && e->vouches(e->ctx, boot->node_key, boot->boot_id) &&
        (!boot->seen_count || boot->seen[boot->seen_count - 1] < until))
        see(boot, until);
}

/* The last time that it vouched suffices as long as every end of a run was witnessed. */
static int read_last_seen(const struct evidence *e, struct boot *boot, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT boottime_ms FROM observation WHERE node_key IS ? AND boot_id = ?"
                       " AND kind = 5 AND key <= ? ORDER BY boottime_ms DESC LIMIT 1");
    stmt_bind(stmt, "zti", boot->node_key, boot->boot_id, e->observation_key);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        see(boot, stmt_i64(stmt, 0));
    see_until(e, boot);
    return rc < 0 ? -1 : 0;
}

static int read_all_seen(const struct evidence *e, struct known_boot *known, struct err *err)
{
    struct boot *boot = &known->boot;
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT boottime_ms FROM observation WHERE node_key IS ? AND boot_id = ?"
                       " AND kind = 5 AND key <= ? ORDER BY boottime_ms");
    stmt_bind(stmt, "zti", boot->node_key, boot->boot_id, e->observation_key);
    int rc;
    known->all_seen = true;
    boot->seen_count = 0;
    free((void *)(uintptr_t)boot->seen);
    boot->seen = NULL;
    while ((rc = stmt_step(stmt, err)) == 1)
        see(boot, stmt_i64(stmt, 0));
    see_until(e, boot);
    return rc < 0 ? -1 : 0;
}

static size_t bucket_of(int64_t node_key, const char *boot_id)
{
    uint64_t hash = (uint64_t)node_key * 0x9E3779B97F4A7C15u;
    for (const char *c = boot_id; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001B3u;
    return (hash >> 32) % BUCKETS;
}

const struct boot *evidence_boot(struct evidence *e, int64_t node_key, const char *boot_id,
                                 struct err *err)
{
    size_t bucket = bucket_of(node_key, boot_id);
    for (struct known_boot *k = e->buckets[bucket]; k; k = k->next) {
        if (k->boot.node_key == node_key && strcmp(k->boot.boot_id, boot_id) == 0)
            return &k->boot;
    }
    struct known_boot *known = xcalloc(1, sizeof(*known));
    known->boot = (struct boot){.node_key = node_key, .boot_id = xstrdup(boot_id)};
    if (read_line(e, node_key, boot_id, &known->boot.line_ms, err) < 0 ||
        read_order(e, &known->boot, err) < 0 || read_last_seen(e, &known->boot, err) < 0) {
        boot_free(known);
        return NULL;
    }
    known->next = e->buckets[bucket];
    e->buckets[bucket] = known;
    return &known->boot;
}

/* ---- facts ---- */

/* A run ended there, and nobody saw when: in the middle of what its boot tells. */
static bool end_is_unseen(const struct fact *facts, size_t count, const struct fact *fact)
{
    bool next = false;
    if (fact->kind == OBS_STOPPED)
        return fact->noticed;
    for (size_t i = 0; i < count && fact->kind == OBS_STARTED; i++) {
        if (facts[i].boot != fact->boot)
            continue;
        if (facts[i].kind == OBS_STOPPED && facts[i].run == fact->run)
            return false;
        next |=
            facts[i].kind == OBS_GONE || (facts[i].kind == OBS_STARTED && facts[i].run > fact->run);
    }
    return next;
}

static int see_all_that_matters(struct evidence *e, const struct fact *facts, size_t count,
                                struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct known_boot *known = (struct known_boot *)(uintptr_t)facts[i].boot;
        if (!known->all_seen && end_is_unseen(facts, count, &facts[i]) &&
            read_all_seen(e, known, err) != 0)
            return -1;
    }
    return 0;
}

static bool is_proved_to_end(const struct fact *facts, size_t count, const struct fact *start)
{
    for (size_t i = 0; i < count; i++) {
        if (facts[i].kind == OBS_STOPPED && !facts[i].noticed && facts[i].run == start->run &&
            facts[i].boot == start->boot)
            return true;
    }
    return false;
}

/* A run of whose end there is no proof was on when its counters were read last. */
static int last_count_of(struct evidence *e, const char *resource_id, const struct fact *start,
                         struct fact *ret_fact, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT key, boottime_ms FROM observation WHERE resource_id = ?"
                       " AND node_key IS ? AND boot_id = ? AND kind = 4 AND run = ? AND key <= ?"
                       " ORDER BY boottime_ms DESC, key LIMIT 1");
    stmt_bind(stmt, "tztii", resource_id, start->boot->node_key, start->boot->boot_id, start->run,
              e->observation_key);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_fact = (struct fact){.key = stmt_i64(stmt, 0),
                                  .boot = start->boot,
                                  .kind = OBS_COUNTED,
                                  .run = start->run,
                                  .boottime_ms = stmt_i64(stmt, 1)};
    return rc;
}

static int add_last_counts(struct evidence *e, const char *resource_id, struct fact **facts,
                           size_t *count, struct err *err)
{
    size_t had = *count, added = 0;
    struct fact *more = xcalloc(had + 1, sizeof(*more));
    int rc = 0;
    for (size_t i = 0; i < had && rc >= 0; i++) {
        const struct fact *start = &(*facts)[i];
        if (start->kind != OBS_STARTED || is_proved_to_end(*facts, had, start))
            continue;
        rc = last_count_of(e, resource_id, start, &more[added], err);
        added += rc == 1;
    }
    if (added) {
        *facts = xrealloc(*facts, (had + added) * sizeof(**facts));
        memcpy(*facts + had, more, added * sizeof(*more));
        *count += added;
    }
    free(more);
    return rc < 0 ? -1 : 0;
}

int evidence_facts(struct evidence *e, const char *resource_id, struct fact **ret_facts,
                   size_t *ret_count, struct err *err)
{
    struct fact *facts = NULL;
    size_t count = 0, cap = 0;
    auto_stmt struct stmt *stmt = db_stmt(
        e->db, "SELECT node_key, boot_id, kind, run, noticed, boottime_ms, vcpus, memory_mib,"
               " disk_gib, flavor_key, bytes, key, node_key IS NOT NULL AND incarnation = ''"
               " FROM observation INDEXED BY observation_fact WHERE resource_id = ?"
               " AND resource_id <> '' AND key <= ? AND kind <> 4");
    stmt_bind(stmt, "ti", resource_id, e->observation_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        const struct boot *boot = evidence_boot(e, stmt_i64(stmt, 0), stmt_text(stmt, 1), err);
        if (!boot) {
            rc = -1;
            break;
        }
        if (count == cap) {
            cap = cap ? 2 * cap : 16;
            facts = xrealloc(facts, cap * sizeof(*facts));
        }
        facts[count++] = (struct fact){.key = stmt_i64(stmt, 11),
                                       .boot = boot,
                                       .kind = (int)stmt_i64(stmt, 2),
                                       .run = stmt_i64(stmt, 3),
                                       .noticed = stmt_i64(stmt, 4) != 0,
                                       .told = stmt_i64(stmt, 12) != 0,
                                       .boottime_ms = stmt_i64(stmt, 5),
                                       .vcpus = stmt_i64(stmt, 6),
                                       .memory_mib = stmt_i64(stmt, 7),
                                       .disk_gib = stmt_i64(stmt, 8),
                                       .flavor_key = stmt_i64(stmt, 9),
                                       .bytes = stmt_i64(stmt, 10)};
    }
    if (rc == 0)
        rc = add_last_counts(e, resource_id, &facts, &count, err);
    *ret_facts = facts;
    *ret_count = count;
    return rc < 0 ? -1 : see_all_that_matters(e, facts, count, err);
}

int evidence_last_count(struct evidence *e, const char *resource_id, const struct boot *boot,
                        int64_t before_ms, int64_t *ret_ms, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT max(boottime_ms) FROM observation WHERE resource_id = ?"
                       " AND node_key IS ? AND boot_id = ? AND kind = 4 AND boottime_ms < ?"
                       " AND key <= ?");
    stmt_bind(stmt, "tztii", resource_id, boot->node_key, boot->boot_id, before_ms,
              e->observation_key);
    int rc = stmt_step(stmt, err);
    *ret_ms = rc == 1 && !stmt_null(stmt, 0) ? stmt_i64(stmt, 0) : INT64_MIN;
    return rc < 0 ? -1 : 0;
}

int evidence_counts(struct evidence *e, const char *resource_id, const struct boot *boot,
                    int64_t from_ms, struct counts *counts, struct err *err)
{
    int64_t before = INT64_MIN;
    if (evidence_last_count(e, resource_id, boot, from_ms, &before, err) != 0)
        return -1;
    from_ms = before == INT64_MIN ? from_ms : before;
    auto_stmt struct stmt *stmt = db_stmt(
        e->db,
        "SELECT run, boottime_ms, cpu_ns, ingress_bytes, egress_bytes, key"
        " FROM observation WHERE resource_id = ? AND node_key IS ? AND boot_id = ? AND kind = 4"
        " AND boottime_ms >= ? AND key <= ? ORDER BY boottime_ms, run, cpu_ns,"
        " ingress_bytes, egress_bytes");
    stmt_bind(stmt, "tztii", resource_id, boot->node_key, boot->boot_id, from_ms,
              e->observation_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (counts->count == counts->cap) {
            counts->cap = counts->cap ? 2 * counts->cap : 16;
            counts->items = xrealloc(counts->items, counts->cap * sizeof(*counts->items));
        }
        counts->items[counts->count++] =
            (struct count){.key = stmt_i64(stmt, 5),
                           .boot = boot,
                           .run = stmt_i64(stmt, 0),
                           .boottime_ms = stmt_i64(stmt, 1),
                           .amounts = {stmt_i64(stmt, 2), stmt_i64(stmt, 3), stmt_i64(stmt, 4)}};
    }
    return rc;
}
