/* One group: a transaction, a savepoint for each job, one COMMIT, and then the answers. */
#include <stdatomic.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/log.h"
#include "controller/db/db.h"
#include "controller/tx/ballast.h"
#include "controller/tx/writer_internal.h"

static void hosts_release_job(struct writer *w)
{
    if (w->settings.hosts)
        w->settings.hooks->release(w->settings.hosts);
}

static void hosts_rollback_job(struct writer *w)
{
    if (w->settings.hosts)
        w->settings.hooks->rollback(w->settings.hosts);
}

/* The table in memory must never say other than the rows: without it nothing can go on. */
static void hosts_reload(struct writer *w)
{
    auto_err struct err err = {0};
    if (!w->settings.hosts || w->settings.hooks->load(w->settings.hosts, w->db, &err) == 0)
        return;
    log_error("writer.hosts", "reason=\"%s\" action=exit", err.msg);
    _exit(1);
}

static void note_full(struct writer *w, const struct err *err)
{
    if (err->code != ERR_STORAGE_FULL || w->full || !w->settings.ballast_path)
        return;
    w->full = true;
    ballast_release(w->settings.ballast_path);
    log_warn("writer.full", "action=\"ballast released, only deletes and reports go on\"");
}

static void fail_slot(struct writer *w, struct slot *slot, const struct err *err)
{
    slot->failed = true;
    if (&slot->err != err)
        err_set(&slot->err, err->code, "%s", err->msg);
    note_full(w, &slot->err);
}

static void fail_group(struct writer *w, const struct err *err)
{
    for (size_t i = 0; i < w->group_count; i++) {
        if (!w->group[i].failed)
            fail_slot(w, &w->group[i], err);
    }
}

/* run, and whatever went wrong in an event behind its back. */
static int call_run(struct writer *w, struct slot *slot)
{
    w->tx.actor = slot->job.actor ? slot->job.actor : "system";
    w->tx.request_id = slot->job.request_id ? slot->job.request_id : "";
    w->job_revision = 0;
    int rc = slot->job.run(&w->tx, slot->job.ctx, &slot->err);
    if (w->job_err.code) {
        err_move(&slot->err, &w->job_err);
        return -1;
    }
    return rc;
}

static void keep_job(struct writer *w)
{
    hosts_release_job(w);
    if (w->job_revision > w->group_revision)
        w->group_revision = w->job_revision;
}

static void undo_job(struct writer *w, struct slot *slot, size_t after_mark, size_t touched_mark)
{
    writer_drop_after(w, after_mark);
    w->touched_count = touched_mark;
    hosts_rollback_job(w);
    fail_slot(w, slot, &slot->err);
}

/* A job alone needs no savepoint: the whole transaction is its own. */
static void run_slot(struct writer *w, struct slot *slot, bool alone)
{
    size_t after_mark = w->after_count, touched_mark = w->touched_count;
    if (w->full && slot->job.grows) {
        err_set(&slot->err, ERR_STORAGE_FULL,
                "the disk that holds the database is full; only deletes are taken");
        slot->failed = true;
        return;
    }
    bool opened = false, ok = false;
    if (alone || db_savepoint(w->db, &slot->err) == 0) {
        opened = !alone;
        ok = call_run(w, slot) == 0;
        ok = ok && (alone || db_release(w->db, &slot->err) == 0);
    }
    if (ok) {
        err_clear(&slot->err);
        keep_job(w);
        return;
    }
    undo_job(w, slot, after_mark, touched_mark);
    struct err err = {0};
    if (alone)
        db_rollback(w->db);
    else if (opened && db_in_transaction(w->db) && db_rollback_to(w->db, &err) != 0)
        db_rollback(w->db);
    err_clear(&err);
}

static bool any_alive(const struct writer *w)
{
    for (size_t i = 0; i < w->group_count; i++) {
        if (!w->group[i].failed)
            return true;
    }
    return false;
}

static void count_commit(struct writer *w, int64_t ns)
{
    size_t by_time = 0, by_size = 0;
    while (by_time < 15 && ns > 64000LL << by_time)
        by_time++;
    while (by_size < 7 && w->group_count > 1UL << by_size)
        by_size++;
    pthread_mutex_lock(&w->lock);
    w->stats.commits++;
    w->stats.commit_ns_sum += (uint64_t)ns;
    w->stats.commit_buckets[by_time]++;
    w->stats.group_buckets[by_size]++;
    pthread_mutex_unlock(&w->lock);
}

static int commit(struct writer *w, struct err *err)
{
    int64_t start = clock_mono_ns();
    int rc = db_commit(w->db, err);
    if (rc == DB_UNCERTAIN) {
        /* Whether these requests were carried out only the next start can tell. */
        log_error("writer.commit", "reason=\"%s\" action=exit", err->msg);
        _exit(1);
    }
    if (rc != 0) {
        db_rollback(w->db);
        return -1;
    }
    atomic_fetch_add(&w->commits, 1);
    count_commit(w, clock_mono_ns() - start);
    return 0;
}

static void forget_group(struct writer *w)
{
    writer_drop_after(w, 0);
    w->touched_count = 0;
    w->group_revision = 0;
    hosts_reload(w);
}

/* -1: the transaction was lost, `err` says why. */
static int run_timed(struct writer *w, struct slot *slot, struct err *err)
{
    int64_t start = clock_mono_ns();
    run_slot(w, slot, w->alone);
    if (slot->job.of_host)
        w->hosts_ns += clock_mono_ns() - start;
    if (!db_in_transaction(w->db) && !(w->alone && slot->failed))
        return err_set(err, slot->err.code ? slot->err.code : ERR_INTERNAL,
                       "the database gave the transaction up: %s", slot->err.msg);
    return 0;
}

/* Those that were taken together, then hosts' as long as it is their turn. */
static int run_slots(struct writer *w, struct err *err)
{
    for (size_t i = 0; i < w->group_count; i++) {
        if (run_timed(w, &w->group[i], err) != 0)
            return -1;
    }
    while (!w->alone && w->group_count < GROUP_MAX &&
           writer_take_turn(w, &w->group[w->group_count].job)) {
        if (run_timed(w, &w->group[w->group_count++], err) != 0)
            return -1;
    }
    return 0;
}

static void transact(struct writer *w)
{
    auto_err struct err err = {0};
    w->tx.now_ms = clock_wall_ms();
    w->tx.aged_ms = writer_aged_at(w, w->tx.now_ms);
    w->tx.full = w->full;
    w->group_revision = 0;
    if (db_begin(w->db, &err) != 0) {
        fail_group(w, &err);
        return;
    }
    int rc = run_slots(w, &err);
    if (rc == 0 && !any_alive(w)) {
        db_rollback(w->db);
        return;
    }
    if (rc == 0)
        rc = commit(w, &err);
    if (rc == 0)
        return;
    fail_group(w, &err);
    forget_group(w);
}

static void after_commit(struct writer *w)
{
    for (size_t i = 0; i < w->after_count; i++)
        w->after[i].fn(w->after[i].ctx);
    w->after_count = 0;
    if (w->group_revision && w->settings.watch)
        watch_publish(w->settings.watch, w->group_revision, w->touched, w->touched_count);
    w->touched_count = 0;
}

void writer_run_group(struct writer *w)
{
    uint64_t failed = 0;
    int64_t start = clock_mono_ns();
    transact(w);
    int64_t all_ns = clock_mono_ns() - start;
    after_commit(w);
    for (size_t i = 0; i < w->group_count; i++) {
        struct slot *slot = &w->group[i];
        failed += slot->failed;
        if (slot->job.done)
            slot->job.done(slot->job.ctx, slot->failed ? &slot->err : NULL);
        err_clear(&slot->err);
        slot->failed = false;
    }
    pthread_mutex_lock(&w->lock);
    write_queue_spent(&w->queue, w->contended, all_ns, w->hosts_ns);
    w->stats.jobs += w->group_count;
    w->stats.failed_jobs += failed;
    w->stats.full = w->full;
    pthread_mutex_unlock(&w->lock);
    w->group_count = 0;
}
