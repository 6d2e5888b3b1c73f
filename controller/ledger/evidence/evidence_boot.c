/* Boots as of one row of the evidence log: their lines of time, their order, and when they
 * vouched; see evidence.h. */
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "controller/db/db.h"
#include "controller/ledger/evidence/evidence_internal.h"

struct evidence *evidence_at(struct db *db, int64_t observation_key, int64_t until_ms,
                             boot_vouches *vouches, void *ctx)
{
    struct evidence *e = xcalloc(1, sizeof(*e));
    e->db = db;
    e->observation_key = observation_key;
    e->until_ms = until_ms;
    e->vouches = vouches;
    e->ctx = ctx;
    return e;
}

struct evidence *evidence_after(struct evidence *before, int64_t observation_key, int64_t until_ms,
                                int64_t news_key, boot_vouches *vouches, void *ctx)
{
    struct evidence *e = evidence_at(before->db, observation_key, until_ms, vouches, ctx);
    e->before = before;
    e->news_key = news_key;
    return e;
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
    for (size_t i = 0; i < EVIDENCE_BUCKETS; i++) {
        while (evidence->buckets[i]) {
            struct known_boot *known = evidence->buckets[i];
            evidence->buckets[i] = known->next;
            boot_free(known);
        }
    }
    free(evidence);
}

static size_t bucket_of(int64_t node_key, const char *boot_id)
{
    uint64_t hash = (uint64_t)node_key * 0x9E3779B97F4A7C15u;
    for (const char *c = boot_id; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001B3u;
    return (hash >> 32) % EVIDENCE_BUCKETS;
}

static struct known_boot *find(const struct evidence *e, int64_t node_key, const char *boot_id)
{
    struct known_boot *known = e->buckets[bucket_of(node_key, boot_id)];
    while (known && (known->boot.node_key != node_key || strcmp(known->boot.boot_id, boot_id) != 0))
        known = known->next;
    return known;
}

static void keep(struct evidence *e, struct known_boot *known)
{
    struct known_boot **bucket = &e->buckets[bucket_of(known->boot.node_key, known->boot.boot_id)];
    known->next = *bucket;
    *bucket = known;
}

void evidence_settle(struct evidence *e)
{
    struct evidence *before = e->before;
    e->before = NULL;
    for (size_t i = 0; i < EVIDENCE_BUCKETS; i++) {
        struct known_boot **at = &before->buckets[i];
        while (*at) {
            struct known_boot *known = *at;
            if (find(e, known->boot.node_key, known->boot.boot_id)) {
                at = &known->next;
                continue;
            }
            *at = known->next;
            keep(e, known);
        }
    }
    evidence_free(before);
}

/* Of boots that this view knows and that have told something since. */
static int ask_news(struct evidence *e, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT DISTINCT node_key, boot_id FROM observation WHERE key > ?"
                       " AND key <= ?");
    stmt_bind(stmt, "ii", e->before->observation_key, e->observation_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (find(e->before, stmt_i64(stmt, 0), stmt_text(stmt, 1)) &&
            !evidence_boot(e, stmt_i64(stmt, 0), stmt_text(stmt, 1), err))
            return -1;
    }
    return rc;
}

struct evidence *evidence_go_on(struct evidence *kept, struct db *db, int64_t observation_key,
                                struct err *err)
{
    kept->db = db;
    if (kept->observation_key == observation_key)
        return kept;
    struct evidence *e = evidence_after(kept, observation_key, 0, 0, NULL, NULL);
    if (ask_news(e, err) != 0) {
        evidence_free(kept);
        evidence_free(e);
        return NULL;
    }
    evidence_settle(e);
    return e;
}

int64_t evidence_key(const struct evidence *evidence)
{
    return evidence->observation_key;
}

void evidence_lines_from(struct evidence *evidence, struct evidence *lines)
{
    evidence->lines = lines;
}

/* ---- lines and order ---- */

/* What an operator said last, else wall minus boottime of the earliest fact. Of equal ones any
 * fixed choice will do. 1: there is a line; 0: nothing was seen of this boot; -1. */
static int read_line(const struct evidence *e, struct boot *boot, struct err *err)
{
    auto_stmt struct stmt *confirmed =
        db_stmt(e->db, "SELECT wall_ms - boottime_ms FROM observation WHERE node_key IS ?"
                       " AND boot_id = ? AND kind = 7 AND key <= ? ORDER BY key DESC LIMIT 1");
    stmt_bind(confirmed, "zti", boot->node_key, boot->boot_id, e->observation_key);
    int rc = stmt_step(confirmed, err);
    if (rc != 0) {
        boot->line_ms = rc == 1 ? stmt_i64(confirmed, 0) : 0;
        return rc;
    }
    auto_stmt struct stmt *first =
        db_stmt(e->db, "SELECT wall_ms - boottime_ms FROM observation WHERE node_key IS ?1"
                       " AND boot_id = ?2 AND kind <= 4 AND key <= ?3 ORDER BY boottime_ms,"
                       " wall_ms LIMIT 1");
    stmt_bind(first, "zti", boot->node_key, boot->boot_id, e->observation_key);
    rc = stmt_step(first, err);
    boot->line_ms = rc == 1 ? stmt_i64(first, 0) : 0;
    return rc;
}

/* Its place in the order of boots: as was settled when it reported, else the lowest that its own
 * rows say. */
static int read_order(const struct evidence *e, struct boot *boot, struct err *err)
{
    auto_stmt struct stmt *booted =
        db_stmt(e->db, "SELECT boot_order FROM observation WHERE node_key IS ? AND boot_id = ?"
                       " AND kind = 8 AND key <= ? ORDER BY key DESC LIMIT 1");
    stmt_bind(booted, "zti", boot->node_key, boot->boot_id, e->observation_key);
    int known = stmt_step(booted, err);
    if (known != 0) {
        boot->order = known == 1 ? stmt_i64(booted, 0) : 0;
        return known;
    }
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT boot_order FROM observation WHERE node_key IS ? AND boot_id = ?"
                       " AND kind <> 4 AND kind <> 5 AND boot_order > 0 AND key <= ?"
                       " ORDER BY boot_order LIMIT 1");
    stmt_bind(stmt, "zti", boot->node_key, boot->boot_id, e->observation_key);
    int rc = stmt_step(stmt, err);
    boot->order = rc == 1 ? stmt_i64(stmt, 0) : 0;
    return rc;
}

static int read_place(const struct evidence *e, struct boot *boot, struct err *err)
{
    if (!e->lines)
        return read_line(e, boot, err) < 0 || read_order(e, boot, err) < 0 ? -1 : 0;
    const struct boot *known = evidence_boot(e->lines, boot->node_key, boot->boot_id, err);
    if (!known)
        return -1;
    boot->line_ms = known->line_ms;
    boot->order = known->order;
    return 0;
}

/* ---- when it vouched ---- */

/* In order, and each once. */
static void see(struct boot *boot, int64_t boottime_ms)
{
    size_t n = boot->seen_count, at = n;
    int64_t *seen = (int64_t *)(uintptr_t)boot->seen;
    while (at > 0 && seen[at - 1] > boottime_ms)
        at--;
    if (at > 0 && seen[at - 1] == boottime_ms)
        return;
    if ((n & (n - 1)) == 0)
        seen = xrealloc(seen, (n ? 2 * n : 1) * sizeof(*seen));
    memmove(seen + at + 1, seen + at, (n - at) * sizeof(*seen));
    seen[at] = boottime_ms;
    boot->seen_count++;
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

static int see_first(struct stmt *stmt, struct boot *boot, struct err *err)
{
    int rc = stmt_step(stmt, err);
    if (rc == 1 && !stmt_null(stmt, 0))
        see(boot, stmt_i64(stmt, 0));
    return rc < 0 ? -1 : 0;
}

int evidence_see_before(const struct evidence *e, struct boot *boot, int64_t boottime_ms,
                        struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT boottime_ms FROM observation INDEXED BY observation_seen"
                       " WHERE node_key IS ? AND boot_id = ? AND kind = 5 AND boottime_ms <= ?"
                       " AND key <= ? ORDER BY boottime_ms DESC LIMIT 1");
    stmt_bind(stmt, "ztii", boot->node_key, boot->boot_id, boottime_ms, e->observation_key);
    return see_first(stmt, boot, err);
}

/* What is new of it, beside what was known. */
static int see_news(const struct evidence *e, struct boot *boot, const struct boot *was,
                    struct err *err)
{
    if (was->seen_count)
        see(boot, was->seen[was->seen_count - 1]);
    auto_stmt struct stmt *stmt =
        db_stmt(e->db, "SELECT max(boottime_ms) FROM observation INDEXED BY observation_last_seen"
                       " WHERE node_key IS ? AND kind = 5 AND key > ? AND key <= ?"
                       " AND boot_id = ?");
    stmt_bind(stmt, "ziit", boot->node_key, e->before->observation_key, e->observation_key,
              boot->boot_id);
    return see_first(stmt, boot, err);
}

/* ---- all of a boot ---- */

static int read_boot(const struct evidence *e, struct known_boot *known, struct err *err)
{
    struct boot *boot = &known->boot;
    const struct boot *was = NULL;
    if (e->before && !(was = evidence_boot(e->before, boot->node_key, boot->boot_id, err)))
        return -1;
    if (read_place(e, boot, err) != 0)
        return -1;
    bool known_before = was && (was->line_ms || was->order);
    known->moved = known_before && (was->line_ms != boot->line_ms || was->order != boot->order);
    if ((was ? see_news(e, boot, was, err) : evidence_see_before(e, boot, INT64_MAX, err)) != 0)
        return -1;
    see_until(e, boot);
    return 0;
}

const struct boot *evidence_boot(struct evidence *e, int64_t node_key, const char *boot_id,
                                 struct err *err)
{
    struct known_boot *known = find(e, node_key, boot_id);
    if (known)
        return &known->boot;
    known = xcalloc(1, sizeof(*known));
    known->boot = (struct boot){.node_key = node_key, .boot_id = xstrdup(boot_id)};
    if (read_boot(e, known, err) != 0) {
        boot_free(known);
        return NULL;
    }
    keep(e, known);
    return &known->boot;
}

bool evidence_moved(const struct boot *boot)
{
    return ((const struct known_boot *)boot)->moved;
}

int64_t evidence_old_until(const struct evidence *e, const struct boot *boot)
{
    return e->until_ms ? e->until_ms - boot->line_ms : INT64_MAX;
}

int64_t evidence_news_of(const struct evidence *e, const struct boot *boot)
{
    return evidence_moved(boot) ? 0 : e->news_key;
}
