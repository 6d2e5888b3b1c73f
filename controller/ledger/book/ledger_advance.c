/* Which resources a step concerns, and what becomes of each; see ledger_advance.h. */
#include "controller/ledger/book/ledger_advance.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "controller/db/db.h"

/* ---- resources that must be looked at ---- */

struct ids {
    char **items;
    size_t count, cap;
};

static void ids_add(struct ids *ids, const char *id)
{
    if (ids->count == ids->cap) {
        ids->cap = ids->cap ? 2 * ids->cap : 64;
        ids->items = xrealloc(ids->items, ids->cap * sizeof(*ids->items));
    }
    ids->items[ids->count++] = xstrdup(id);
}

static void ids_release(struct ids *ids)
{
    for (size_t i = 0; i < ids->count; i++)
        free(ids->items[i]);
    free(ids->items);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void ids_sort(struct ids *ids)
{
    size_t kept = 0;
    if (ids->count)
        qsort(ids->items, ids->count, sizeof(*ids->items), by_text);
    for (size_t i = 0; i < ids->count; i++) {
        if (kept && strcmp(ids->items[kept - 1], ids->items[i]) == 0)
            free(ids->items[i]);
        else
            ids->items[kept++] = ids->items[i];
    }
    ids->count = kept;
}

struct advance {
    struct db *db;
    const struct books *books;
    const struct step *step;
    struct evidence *before, *now;
    struct ids ids;
    int64_t pending_key;
    struct err *err;
    bool failed;
};

static int collect(struct advance *a, struct stmt *stmt)
{
    int rc;
    while ((rc = stmt_step(stmt, a->err)) == 1)
        ids_add(&a->ids, stmt_text(stmt, 0));
    return rc;
}

static int with_new_evidence(struct advance *a)
{
    auto_stmt struct stmt *stmt =
        db_stmt(a->db, "SELECT DISTINCT resource_id FROM observation WHERE key >= ? AND key <= ?"
                       " AND resource_id <> ''");
    stmt_bind(stmt, "ii", a->step->news_key, a->step->to_key);
    return collect(a, stmt);
}

static int of_boot(struct advance *a, int64_t node_key, const char *boot_id)
{
    auto_stmt struct stmt *stmt =
        db_stmt(a->db, "SELECT DISTINCT resource_id FROM observation WHERE node_key IS ?"
                       " AND boot_id = ? AND resource_id <> '' AND kind <> 4");
    stmt_bind(stmt, "zt", node_key, boot_id);
    return collect(a, stmt);
}

/* A line or a place that is another one moves everything of its boot. */
static int of_moved_boot(struct advance *a, int64_t node_key, const char *boot_id)
{
    const struct boot *boot = evidence_boot(a->now, node_key, boot_id, a->err);
    if (!boot)
        return -1;
    return evidence_moved(boot) ? of_boot(a, node_key, boot_id) : 0;
}

static int with_moved_lines(struct advance *a)
{
    auto_stmt struct stmt *stmt =
        db_stmt(a->db, "SELECT DISTINCT node_key, boot_id FROM observation WHERE key > ?"
                       " AND key <= ? AND kind <> 5");
    stmt_bind(stmt, "ii", a->step->from_key, a->step->to_key);
    int rc;
    while ((rc = stmt_step(stmt, a->err)) == 1) {
        if (of_moved_boot(a, stmt_i64(stmt, 0), stmt_text(stmt, 1)) != 0)
            return -1;
    }
    return rc;
}

/* ---- hosts that go on vouching ---- */

static bool vouches_at(const struct boot *boot, int64_t at_ms)
{
    return boot->seen_count > 0 && boot->line_ms + boot->seen[boot->seen_count - 1] >= at_ms;
}

/* A boot that vouches again, or for the first time, may prove what it did not: also of what has
 * no open row any more, since it was deleted meanwhile. */
static int of_returned_boot(struct advance *a, int64_t node_key, const char *boot_id)
{
    const struct boot *was = evidence_boot(a->before, node_key, boot_id, a->err);
    if (!was)
        return -1;
    return vouches_at(was, a->step->from_ms) ? 0 : of_boot(a, node_key, boot_id);
}

static int with_returned_boots(struct advance *a)
{
    auto_stmt struct stmt *stmt =
        db_stmt(a->db, "SELECT DISTINCT node_key, boot_id FROM observation WHERE key > ?"
                       " AND key <= ? AND kind = 5");
    stmt_bind(stmt, "ii", a->step->from_key, a->step->to_key);
    int rc;
    while ((rc = stmt_step(stmt, a->err)) == 1) {
        /* Who goes on from this view later must have asked for all that told something. */
        if (!a->step->sealed &&
            !evidence_boot(a->now, stmt_i64(stmt, 0), stmt_text(stmt, 1), a->err))
            return -1;
        if (of_returned_boot(a, stmt_i64(stmt, 0), stmt_text(stmt, 1)) != 0)
            return -1;
    }
    return rc;
}

static void take_word(void *ctx, int64_t node_key, const char *boot_id)
{
    struct advance *a = ctx;
    if (!a->failed && of_returned_boot(a, node_key, boot_id) != 0)
        a->failed = true;
}

/* Whose word counts before it is written is back before that is. */
static int with_vouching_boots(struct advance *a)
{
    if (a->step->each_vouching)
        a->step->each_vouching(a->step->ctx, take_word, a);
    return a->failed ? -1 : 0;
}

/* 1: it is the boot of its node that vouched last, of all that is known up to `key`; 0; -1. */
static int is_current(struct advance *a, const struct boot *boot, int64_t key)
{
    auto_stmt struct stmt *stmt =
        db_stmt(a->db, "SELECT boot_id = ?1 FROM observation WHERE node_key IS ?2 AND kind = 5"
                       " AND key <= ?3 ORDER BY key DESC LIMIT 1");
    stmt_bind(stmt, "tzi", boot->boot_id, boot->node_key, key);
    int rc = stmt_step(stmt, a->err);
    return rc == 1 ? stmt_i64(stmt, 0) == 1 : rc;
}

/* One boot spoke last before this step and in it, vouching then, and still. */
static int is_steady(struct advance *a, int64_t node_key, bool *ret_steady)
{
    auto_stmt struct stmt *stmt =
        db_stmt(a->db, "SELECT boot_id FROM observation WHERE node_key IS ? AND kind = 5"
                       " AND key <= ? ORDER BY key DESC LIMIT 1");
    stmt_bind(stmt, "zi", node_key, a->step->from_key);
    *ret_steady = false;
    int rc = stmt_step(stmt, a->err);
    if (rc <= 0)
        return rc;
    const struct boot *was = evidence_boot(a->before, node_key, stmt_text(stmt, 0), a->err);
    const struct boot *is = evidence_boot(a->now, node_key, stmt_text(stmt, 0), a->err);
    int current = was && is ? is_current(a, is, a->step->to_key) : -1;
    if (current < 0)
        return -1;
    *ret_steady = current && vouches_at(was, a->step->from_ms) && vouches_at(is, a->step->to_ms);
    return 0;
}

static int id_of(struct advance *a, int resource, int64_t key)
{
    auto_stmt struct stmt *stmt =
        resource == RESOURCE_IMAGE ? db_stmt(a->db, "SELECT id FROM image_ever WHERE key = ?")
                                   : db_stmt(a->db, "SELECT id FROM instance_ever WHERE key = ?");
    stmt_bind(stmt, "i", key);
    return collect(a, stmt);
}

struct opening {
    struct advance *advance;
    bool all; /* whatever their hosts say: a month ends, and every open row with it */
};

static void take_open(void *ctx, const struct segment *row)
{
    struct advance *a = ctx;
    if (!a->failed && id_of(a, row->resource, row->resource_key) != 0)
        a->failed = true;
}

static void look_at_node(void *ctx, int64_t node_key)
{
    struct opening *o = ctx;
    struct advance *a = o->advance;
    bool steady = false;
    if (a->failed || (!o->all && is_steady(a, node_key, &steady) != 0)) {
        a->failed = true;
        return;
    }
    if (!steady && a->books->open_rows(a->books->ctx, node_key, take_open, a, a->err) != 0)
        a->failed = true;
}

static int with_open_rows(struct advance *a)
{
    struct opening o = {
        .advance = a, .all = month_floor(a->step->from_ms - 1) != month_floor(a->step->to_ms - 1)};
    int rc = a->books->open_nodes(a->books->ctx, look_at_node, &o, a->err);
    return rc != 0 || a->failed ? -1 : 0;
}

/* ---- of one project ---- */

static void ids_clear(struct ids *ids)
{
    while (ids->count)
        free(ids->items[--ids->count]);
}

/* 1: all that the project ever had, which is less to look at than who of all has news: so what
 * others do costs it nothing. What is looked at without need shows no change. 0: that is more. */
static int of_project(struct advance *a)
{
    enum { WORTH = 16 }; /* pieces of evidence passed over, for one resource looked at */
    auto_stmt struct stmt *stmt =
        db_stmt(a->db, "SELECT id FROM instance_ever WHERE project_key = ?1 UNION ALL"
                       " SELECT id FROM image_ever WHERE project_key = ?1 LIMIT ?2");
    int64_t first = a->step->news_key < a->step->from_key ? a->step->news_key : a->step->from_key;
    int64_t most = WORTH + (a->step->to_key - first) / WORTH;
    stmt_bind(stmt, "ii", a->step->project_key, most + 1);
    if (collect(a, stmt) != 0)
        return -1;
    if ((int64_t)a->ids.count <= most)
        return 1;
    ids_clear(&a->ids);
    return 0;
}

/* ---- one resource ---- */

struct owner {
    int resource;
    int64_t key, project_key;
};

/* 1: found; 0: evidence of something that this database does not know. */
static int owner_of(struct db *db, const char *id, struct owner *ret_owner, struct err *err)
{
    auto_stmt struct stmt *instance =
        db_stmt(db, "SELECT key, project_key FROM instance_ever WHERE id = ?");
    auto_stmt struct stmt *image =
        db_stmt(db, "SELECT key, project_key FROM image_ever WHERE id = ?");
    stmt_bind(instance, "t", id);
    stmt_bind(image, "t", id);
    int rc = stmt_step(instance, err);
    struct stmt *found = instance;
    ret_owner->resource = RESOURCE_INSTANCE;
    if (rc == 0) {
        rc = stmt_step(image, err);
        found = image;
        ret_owner->resource = RESOURCE_IMAGE;
    }
    if (rc == 1) {
        ret_owner->key = stmt_i64(found, 0);
        ret_owner->project_key = stmt_i64(found, 1);
    }
    return rc;
}

/* ---- its counters ---- */

struct counters {
    struct counts counts;
    int64_t from_ms; /* rows that start before this are not looked at; INT64_MAX: none are */
};

/* A boot with news, and its last sample ahead of them; INT64_MIN: all of it is told again. */
struct told_anew {
    const struct boot *boot;
    int64_t last_ms;
};

/* Whole hours before the sample ahead of the first news stay as they are: all samples from that
 * hour on are told again. */
static int find_from(struct advance *a, const char *id, int64_t first_ms, bool all,
                     struct told_anew *boot, struct counters *counters)
{
    int64_t from = INT64_MIN;
    boot->last_ms = INT64_MIN;
    if (!all && !evidence_moved(boot->boot)) {
        if (evidence_last_count(a->now, id, boot->boot, first_ms, &boot->last_ms, a->err) < 0)
            return -1;
        if (boot->last_ms == INT64_MIN) /* of this boot nothing was told before */
            boot->last_ms = 0;
        from = hour_floor(boot->boot->line_ms + boot->last_ms);
    }
    counters->from_ms = from < counters->from_ms ? from : counters->from_ms;
    return 0;
}

/* From the hour on that is told again, with enough before it to know what it began with. */
static int count_boot(struct advance *a, const char *id, const struct told_anew *boot,
                      struct counters *counters)
{
    int64_t from = counters->from_ms;
    if (from != INT64_MIN) {
        from -= boot->boot->line_ms;
        from = (boot->last_ms < from ? boot->last_ms : from) - HOUR_MS;
    }
    return evidence_counts(a->now, id, boot->boot, from, &counters->counts, a->err);
}

/* Of the news only what is new is looked at, however much there is of old. That the disk is
 * still there, which each agent says when it begins, moves no sample. */
static int find_news(struct advance *a, const char *id, bool all, struct told_anew **ret_boots,
                     size_t *ret_count, struct counters *counters)
{
    auto_stmt struct stmt *news =
        db_stmt(a->db, "SELECT node_key, boot_id, min(boottime_ms) FROM observation"
                       " INDEXED BY observation_resource WHERE resource_id = ?"
                       " AND resource_id <> '' AND key >= ? AND key <= ? AND kind <> 2"
                       " GROUP BY node_key, boot_id");
    stmt_bind(news, "tii", id, all ? (int64_t)0 : a->step->news_key, a->step->to_key);
    int rc;
    while ((rc = stmt_step(news, a->err)) == 1) {
        struct told_anew *boots = xrealloc(*ret_boots, (*ret_count + 1) * sizeof(struct told_anew));
        struct told_anew *boot = &boots[*ret_count];
        *ret_boots = boots;
        boot->boot = evidence_boot(a->now, stmt_i64(news, 0), stmt_text(news, 1), a->err);
        if (!boot->boot || find_from(a, id, stmt_i64(news, 2), all, boot, counters) != 0)
            return -1;
        ++*ret_count;
    }
    return rc;
}

static int count(struct advance *a, const char *id, bool all, struct counters *counters)
{
    autofree struct told_anew *boots = NULL;
    size_t boot_count = 0;
    int rc = find_news(a, id, all, &boots, &boot_count, counters);
    if (all)
        counters->from_ms = INT64_MIN;
    for (size_t i = 0; i < boot_count && rc == 0; i++)
        rc = count_boot(a, id, &boots[i], counters);
    return rc;
}

/* Rows do not say of which boot they are: those that other boots have behind the same moment are
 * told again as well. */
static int count_other_boots(struct advance *a, const char *id, const struct fact *facts,
                             size_t fact_count, struct counters *counters)
{
    for (size_t i = 0; i < fact_count; i++) {
        const struct boot *boot = facts[i].boot;
        int64_t last;
        bool known = facts[i].kind != OBS_STARTED;
        for (size_t k = 0; k < counters->counts.count && !known; k++)
            known = counters->counts.items[k].boot == boot;
        if (known)
            continue;
        if (evidence_last_count(a->now, id, boot, INT64_MAX, &last, a->err) != 0)
            return -1;
        if (last == INT64_MIN || boot->line_ms + last < counters->from_ms)
            continue;
        if (evidence_counts(a->now, id, boot, counters->from_ms - boot->line_ms - HOUR_MS,
                            &counters->counts, a->err) != 0)
            return -1;
    }
    return 0;
}

static int count_all(struct advance *a, const char *id, struct counters *counters)
{
    counters->counts.count = 0;
    return count(a, id, true, counters);
}

/* What is new, and what that touches; all of it where that may be anywhere. */
static int count_news(struct advance *a, const char *id, const struct fact *facts,
                      size_t fact_count, struct counters *counters)
{
    for (size_t i = 0; i < fact_count; i++) {
        if (evidence_moved(facts[i].boot))
            return count_all(a, id, counters);
    }
    if (count(a, id, false, counters) != 0)
        return -1;
    if (counters->from_ms == INT64_MIN)
        return count_all(a, id, counters);
    return counters->from_ms == INT64_MAX ? 0
                                          : count_other_boots(a, id, facts, fact_count, counters);
}

/* Who must be looked at again by the next step, whatever news that brings: of whom more is known
 * than was asked for, or whose open rows hang on a boot that is not the one that vouches now. */
static int note_pending(struct advance *a, const struct fold_outcome *outcome,
                        const struct fact *facts, size_t count)
{
    int current = outcome->on ? is_current(a, outcome->on, a->step->to_key) : 1;
    if (current < 0)
        return -1;
    if (outcome->pending_key < a->pending_key)
        a->pending_key = outcome->pending_key;
    int64_t last = 0;
    for (size_t i = 0; i < count; i++)
        last = facts[i].key > last ? facts[i].key : last;
    if (!current && last < a->pending_key)
        a->pending_key = last;
    return 0;
}

/* What the evidence says now. Samples are read from where they are new, unless that does not
 * suffice: where a boot's line of time was bent all of them are. */
static int fold(struct advance *a, const char *id, const struct owner *owner,
                struct counters *counters, struct segments *want)
{
    autofree struct fact *facts = NULL;
    size_t fact_count;
    if (evidence_facts(a->now, id, &facts, &fact_count, a->err) != 0 ||
        count_news(a, id, facts, fact_count, counters) != 0)
        return -1;
    struct fold_question question = {.resource = owner->resource,
                                     .until_ms = a->step->to_ms,
                                     .counts = counters->counts.items,
                                     .count_count = counters->counts.count,
                                     .counted_from_ms = counters->from_ms};
    struct fold_outcome outcome = usage_fold(&question, facts, fact_count, want);
    if (outcome.moved && counters->from_ms != INT64_MIN) {
        want->count = 0;
        if (count_all(a, id, counters) != 0)
            return -1;
        question.counts = counters->counts.items;
        question.count_count = counters->counts.count;
        question.counted_from_ms = counters->from_ms;
        outcome = usage_fold(&question, facts, fact_count, want);
    }
    if (note_pending(a, &outcome, facts, fact_count) != 0)
        return -1;
    for (size_t i = 0; i < want->count; i++) {
        want->items[i].resource_key = owner->key;
        want->items[i].project_key = owner->project_key;
    }
    return 0;
}

static int advance_one(struct advance *a, const char *id, struct changes *changes)
{
    struct owner owner = {0};
    struct segments have = {0}, want = {0};
    struct counters counters = {.from_ms = INT64_MAX};
    int rc = owner_of(a->db, id, &owner, a->err);
    if (rc <= 0 || (a->step->project_key && a->step->project_key != owner.project_key))
        return rc < 0 ? -1 : 0;
    rc = fold(a, id, &owner, &counters, &want);
    if (rc == 0)
        rc = a->books->rows(a->books->ctx, owner.resource, owner.key, counters.from_ms, &have,
                            a->err);
    if (rc == 0)
        ledger_diff(&have, &want, a->step->from_ms, changes);
    free(counters.counts.items);
    segments_release(&have);
    segments_release(&want);
    return rc;
}

static int find_ids(struct advance *a)
{
    int found = a->step->project_key ? of_project(a) : 0;
    if (found != 0)
        return found < 0 ? -1 : 0;
    int rc = with_new_evidence(a);
    if (rc == 0)
        rc = with_moved_lines(a);
    if (rc == 0)
        rc = with_returned_boots(a);
    if (rc == 0)
        rc = with_vouching_boots(a);
    return rc == 0 ? with_open_rows(a) : rc;
}

static int advance_all(struct advance *a, struct changes *changes)
{
    int rc = find_ids(a);
    ids_sort(&a->ids);
    for (size_t i = 0; i < a->ids.count && rc == 0; i++) {
        rc = advance_one(a, a->ids.items[i], changes);
        if (a->step->between)
            a->step->between(a->step->between_ctx);
    }
    return rc;
}

int ledger_advance(struct db *db, const struct books *books, const struct step *step,
                   struct changes *ret_changes, int64_t *ret_news_key, struct err *err)
{
    struct advance a = {
        .db = db, .books = books, .step = step, .pending_key = step->to_key + 1, .err = err};
    if (step->memory && *step->memory)
        a.before = *step->memory;
    else
        a.before = step->sealed ? step->sealed : evidence_at(db, step->from_key, 0, NULL, NULL);
    a.now = evidence_after(a.before, step->to_key, step->to_ms, step->news_key, step->vouches,
                           step->ctx);
    evidence_lines_from(a.now, step->newest);
    int rc = advance_all(&a, ret_changes);
    *ret_news_key = a.pending_key;
    ids_release(&a.ids);
    if (!step->sealed)
        evidence_settle(a.now);
    if (step->memory)
        *step->memory = a.now;
    else
        evidence_free(a.now);
    return rc;
}
