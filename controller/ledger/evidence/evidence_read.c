/* Facts and samples of one resource, as of one row of the evidence log; see evidence.h. */
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "controller/db/db.h"
#include "controller/ledger/evidence/evidence_internal.h"

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
        next |= facts[i].kind == OBS_GONE || facts[i].run > fact->run;
    }
    return next;
}

/* When the host vouched last before each moment by which a run of the boot may have ended. */
static int see_ends(struct evidence *e, const struct fact *facts, size_t count,
                    const struct boot *boot, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct fact *fact = &facts[i];
        bool ends = fact->kind == OBS_GONE || fact->run > 0;
        if (ends && fact->boot == boot &&
            evidence_see_before(e, (struct boot *)(uintptr_t)boot, fact->boottime_ms - 1, err) != 0)
            return -1;
    }
    return 0;
}

/* The last time that a boot vouched suffices as long as every end of a run was witnessed. */
static int see_all_that_matters(struct evidence *e, const struct fact *facts, size_t count,
                                struct err *err)
{
    const struct boot *done = NULL;
    for (size_t i = 0; i < count; i++) {
        if (facts[i].boot == done || !end_is_unseen(facts, count, &facts[i]))
            continue;
        done = facts[i].boot;
        if (see_ends(e, facts, count, done, err) != 0)
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

/* Behind the first word of its end a run is not on, whatever was counted. */
static int64_t end_of(const struct fact *facts, size_t count, const struct fact *start)
{
    int64_t end = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct fact *fact = &facts[i];
        bool over =
            fact->run > start->run || (fact->kind == OBS_STOPPED && fact->run == start->run);
        if (over && fact->boot == start->boot && fact->boottime_ms < end)
            end = fact->boottime_ms;
    }
    return end;
}

static int take_count(struct stmt *stmt, const struct fact *start, struct fact *ret_fact,
                      struct err *err)
{
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_fact = (struct fact){.key = stmt_i64(stmt, 0),
                                  .boot = start->boot,
                                  .kind = OBS_COUNTED,
                                  .run = start->run,
                                  .boottime_ms = stmt_i64(stmt, 1)};
    return rc;
}

/* A run of whose end there is no proof was on when its counters were read last. */
static int last_count_of(struct evidence *e, const char *resource_id, const struct fact *start,
                         int64_t end, struct fact *ret_fact, struct err *err)
{
    int64_t old = evidence_old_until(e, start->boot);
    auto_stmt struct stmt *news =
        db_stmt(e->db, "SELECT key, boottime_ms FROM observation INDEXED BY observation_resource"
                       " WHERE resource_id = ? AND resource_id <> '' AND key >= ? AND key <= ?"
                       " AND node_key IS ? AND boot_id = ? AND kind = 4 AND run = ?"
                       " AND boottime_ms >= ? AND boottime_ms <= ?"
                       " ORDER BY boottime_ms DESC, key LIMIT 1");
    stmt_bind(news, "tiiztiii", resource_id, evidence_news_of(e, start->boot), e->observation_key,
              start->boot->node_key, start->boot->boot_id, start->run, old, end);
    int rc = old <= end ? take_count(news, start, ret_fact, err) : 0;
    if (rc != 0)
        return rc;
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT key, boottime_ms FROM observation INDEXED BY observation_counted"
                       " WHERE resource_id = ? AND node_key IS ? AND boot_id = ? AND kind = 4"
                       " AND boottime_ms >= ? AND boottime_ms <= ? AND run = ? AND key <= ?"
                       " ORDER BY boottime_ms DESC, key LIMIT 1");
    stmt_bind(stmt, "tztiiii", resource_id, start->boot->node_key, start->boot->boot_id,
              start->boottime_ms, end < old ? end : old, start->run, e->observation_key);
    return take_count(stmt, start, ret_fact, err);
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
        rc = last_count_of(e, resource_id, start, end_of(*facts, had, start), &more[added], err);
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

/* What no instance can have is in no row that was taken since there are limits; one of before
 * counts as the most that can be, so that no product of it overflows. */
static int64_t at_most(struct stmt *stmt, int column, int64_t most)
{
    int64_t value = stmt_i64(stmt, column);
    return value < most ? value : most;
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
                                       .vcpus = at_most(stmt, 6, LIMIT_VCPUS),
                                       .memory_mib = at_most(stmt, 7, LIMIT_MEMORY_MIB),
                                       .disk_gib = at_most(stmt, 8, LIMIT_DISK_GIB),
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

static void add_counts(struct counts *counts, const struct count *count)
{
    if (counts->count == counts->cap) {
        counts->cap = counts->cap ? 2 * counts->cap : 16;
        counts->items = xrealloc(counts->items, counts->cap * sizeof(*counts->items));
    }
    counts->items[counts->count++] = *count;
}

static int take_counts(struct stmt *stmt, const struct boot *boot, struct counts *counts,
                       struct err *err)
{
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1)
        add_counts(counts, &(struct count){.key = stmt_i64(stmt, 5),
                                           .boot = boot,
                                           .run = stmt_i64(stmt, 0),
                                           .boottime_ms = stmt_i64(stmt, 1),
                                           .amounts = {stmt_i64(stmt, 2), stmt_i64(stmt, 3),
                                                       stmt_i64(stmt, 4)}});
    return rc;
}

#define SAMPLES "SELECT run, boottime_ms, cpu_ns, ingress_bytes, egress_bytes, key FROM observation"
#define SAMPLES_IN_ORDER " ORDER BY boottime_ms, run, cpu_ns, ingress_bytes, egress_bytes"

int evidence_counts(struct evidence *e, const char *resource_id, const struct boot *boot,
                    int64_t from_ms, struct counts *counts, struct err *err)
{
    int64_t before = INT64_MIN, old = evidence_old_until(e, boot);
    if (evidence_last_count(e, resource_id, boot, from_ms, &before, err) != 0)
        return -1;
    from_ms = before == INT64_MIN ? from_ms : before;
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, SAMPLES " INDEXED BY observation_counted WHERE resource_id = ?"
                               " AND node_key IS ? AND boot_id = ? AND kind = 4"
                               " AND boottime_ms >= ? AND boottime_ms < ?"
                               " AND key <= ?" SAMPLES_IN_ORDER);
    stmt_bind(stmt, "tztiii", resource_id, boot->node_key, boot->boot_id, from_ms, old,
              e->observation_key);
    if (take_counts(stmt, boot, counts, err) != 0)
        return -1;
    auto_stmt struct stmt *news =
        db_stmt(e->db, SAMPLES " INDEXED BY observation_resource WHERE resource_id = ?"
                               " AND resource_id <> '' AND key >= ? AND key <= ?"
                               " AND node_key IS ? AND boot_id = ? AND kind = 4"
                               " AND boottime_ms >= ?" SAMPLES_IN_ORDER);
    stmt_bind(news, "tiizti", resource_id, evidence_news_of(e, boot), e->observation_key,
              boot->node_key, boot->boot_id, from_ms > old ? from_ms : old);
    return take_counts(news, boot, counts, err);
}
