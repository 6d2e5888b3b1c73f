/* The writer's queue, its thread, and what it does between groups: retention, the ballast. */
#include "controller/tx/writer.h"

#include <errno.h>
#include <stdatomic.h>

#include "api/base/clock.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/tx/ballast.h"
#include "controller/tx/meta.h"
#include "controller/tx/retention.h"
#include "controller/tx/writer_internal.h"

enum {
    IDLE_MS = 2000,        /* quiet for so long: move what there is of the WAL */
    PRUNE_FIRST_MS = 2000, /* after the start: also who starts often gets there */
    PRUNE_MS = 600 * 1000,
    PRUNE_WORK_MS = 5,   /* in one go: so long it delays an answer, */
    PRUNE_PAUSE_MS = 15, /* and so long it lets go: most of the time is for clients */
    FILL_MS = 2000,      /* how often a full disk is looked at again */
};

/* ---- the queue ---- */

bool writer_submit(struct writer *w, const struct write_job *job)
{
    pthread_mutex_lock(&w->lock);
    bool taken = !w->stopping && write_queue_add(&w->queue, job, clock_mono_ns());
    if (taken && write_queue_count(&w->queue) == 1)
        pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return taken;
}

static void take_group(struct writer *w)
{
    w->group_count = 0;
    while (w->group_count < GROUP_MAX &&
           write_queue_take(&w->queue, LANE_PEOPLE, &w->group[w->group_count].job))
        w->group_count++;
    w->contended = w->group_count > 0;
    w->group_count += !w->contended && write_queue_take(&w->queue, LANE_HOSTS, &w->group[0].job);
    w->alone = w->group_count == 1 && write_queue_count(&w->queue) == 0;
    w->hosts_ns = 0;
}

bool writer_take_turn(struct writer *w, struct write_job *ret_job)
{
    pthread_mutex_lock(&w->lock);
    bool taken =
        write_queue_take_turn(&w->queue, w->contended, w->hosts_ns, clock_mono_ns(), ret_job);
    pthread_mutex_unlock(&w->lock);
    return taken;
}

/* ---- between groups ---- */

struct prune {
    struct writer *writer;
    bool more;
};

static int prune_run(struct tx *tx, void *ctx, struct err *err)
{
    struct prune *prune = ctx;
    const struct writer_settings *settings = &prune->writer->settings;
    struct retention keep = {.events = settings->event_keep,
                             .audit_ms = settings->audit_keep_ms,
                             .deleted_ms = settings->deleted_keep_ms};
    int64_t until_ns = clock_mono_ns() + PRUNE_WORK_MS * 1000000LL;
    int rc = 0;
    do {
        rc = retention_prune(tx, &keep, &prune->more, err);
    } while (rc == 0 && prune->more && clock_mono_ns() < until_ns);
    return rc;
}

static void prune_done(void *ctx, struct err *err)
{
    (void)ctx;
    if (err)
        log_warn("writer.prune", "reason=\"%s\"", err->msg);
}

/* A group of its own, so that it delays no answer by more than itself. */
static void prune(struct writer *w)
{
    struct prune prune = {.writer = w};
    w->group[0].job = (struct write_job){.run = prune_run, .done = prune_done, .ctx = &prune};
    w->group_count = 1;
    w->alone = true;
    w->contended = false;
    writer_run_group(w);
    w->next_prune_ms = clock_boottime_ms() + (prune.more ? PRUNE_PAUSE_MS : PRUNE_MS);
    w->pruning = prune.more;
    if (prune.more)
        return;
    w->pruned_revision = watch_revision(w->settings.watch);
}

static bool prune_due(const struct writer *w, int64_t now_ms)
{
    if (now_ms >= w->next_prune_ms || w->pruning)
        return now_ms >= w->next_prune_ms;
    int64_t slack = w->settings.event_keep / 8 + 256;
    return w->settings.event_keep > 0 &&
           watch_revision(w->settings.watch) - w->pruned_revision > slack;
}

static void try_fill(struct writer *w, int64_t now_ms)
{
    if (now_ms < w->next_fill_ms)
        return;
    w->next_fill_ms = now_ms + FILL_MS;
    if (!ballast_fill(w->settings.ballast_path))
        return;
    w->full = false;
    pthread_mutex_lock(&w->lock);
    w->stats.full = false;
    pthread_mutex_unlock(&w->lock);
    log_info("writer.room", "action=\"ballast back in place\"");
}

static void between_groups(struct writer *w)
{
    int64_t now_ms = clock_boottime_ms();
    writer_tend_wal(w);
    if (w->full)
        try_fill(w, now_ms);
    if (prune_due(w, now_ms))
        prune(w);
}

/* ---- the thread ---- */

/* How long to sleep when nothing comes. */
static int64_t idle_ms(const struct writer *w)
{
    int64_t idle = w->full ? FILL_MS : PRUNE_MS, due = w->next_prune_ms - clock_boottime_ms();
    if (db_wal_pages(w->db) > 0)
        idle = IDLE_MS;
    return due < idle ? (due > 0 ? due : 0) : idle;
}

/* false: nothing came in time. Called with the lock held. */
static bool wait_for_work(struct writer *w, int64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (write_queue_count(&w->queue) == 0 && !w->stopping) {
        if (pthread_cond_timedwait(&w->wake, &w->lock, &until) == ETIMEDOUT)
            return write_queue_count(&w->queue) > 0;
    }
    return true;
}

static void *writer_main(void *ctx)
{
    struct writer *w = ctx;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        bool work = write_queue_count(&w->queue) > 0 || wait_for_work(w, idle_ms(w));
        take_group(w);
        bool over = w->stopping && w->group_count == 0;
        pthread_mutex_unlock(&w->lock);
        if (over)
            return NULL;
        if (w->group_count > 0)
            writer_run_group(w);
        else if (!work && !w->pruning && db_wal_pages(w->db) > 0)
            writer_checkpoint(w);
        between_groups(w);
    }
}

/* ---- start and stop ---- */

static void init_sync(struct writer *w)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
}

static void writer_free(struct writer *w)
{
    db_close(w->db);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    write_queue_release(&w->queue);
    free(w->after);
    free(w->touched);
    free(w);
}

/* Ages count from the newest event on: what a wrong clock says of the time since, while no
 * controller ran, makes nothing old. */
static int start_ages(struct writer *w, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(w->db, "SELECT time_ms FROM event ORDER BY revision DESC LIMIT 1");
    w->start_ms = clock_wall_ms();
    w->start_boot_ms = clock_boottime_ms();
    int rc = stmt_step(stmt, err);
    if (rc == 1 && stmt_i64(stmt, 0) < w->start_ms)
        w->start_ms = stmt_i64(stmt, 0);
    return rc < 0 ? -1 : 0;
}

static int writer_open(struct writer *w, struct err *err)
{
    int64_t first, last;
    if (db_open(w->settings.db_path, DB_WRITER, &w->db, err) != 0)
        return -1;
    if (revision_range(w->db, &first, &last, err) != 0 || start_ages(w, err) != 0)
        return -1;
    watch_set_revision(w->settings.watch, last);
    w->pruned_revision = last;
    w->next_prune_ms = clock_boottime_ms() + PRUNE_FIRST_MS;
    if (w->settings.hosts && w->settings.hooks->load(w->settings.hosts, w->db, err) != 0)
        return -1;
    if (w->settings.ballast_path && ballast_check(w->settings.ballast_path, err) != 0)
        return -1;
    w->full = w->settings.ballast_path && !ballast_fill(w->settings.ballast_path);
    w->stats.full = w->full;
    return 0;
}

int writer_start(const struct writer_settings *settings, struct writer **ret_writer,
                 struct err *err)
{
    struct writer *w = xcalloc(1, sizeof(*w));
    w->settings = *settings;
    if (!w->settings.wal_limit)
        w->settings.wal_limit = (int64_t)WAL_LIMIT_MIB << 20;
    init_sync(w);
    if (writer_open(w, err) != 0) {
        writer_free(w);
        return -1;
    }
    w->tx = (struct tx){.db = w->db,
                        .writer = w,
                        .hosts = settings->hosts,
                        .tokens = settings->tokens,
                        .vouchers = settings->vouchers,
                        .marks = settings->marks};
    if (pthread_create(&w->thread, NULL, writer_main, w) != 0) {
        writer_free(w);
        return err_set(err, ERR_INTERNAL, "cannot start the writer's thread");
    }
    pthread_setname_np(w->thread, "writer");
    *ret_writer = w;
    return 0;
}

void writer_stop(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    writer_checkpoint(w);
    writer_free(w);
}

int64_t writer_aged_at(const struct writer *w, int64_t now_ms)
{
    int64_t aged_ms = w->start_ms + clock_boottime_ms() - w->start_boot_ms;
    return aged_ms < now_ms ? aged_ms : now_ms;
}

int64_t writer_aged_ms(const struct writer *w)
{
    return writer_aged_at(w, clock_wall_ms());
}

uint64_t writer_commits(const struct writer *w)
{
    return atomic_load(&w->commits);
}

void writer_stats(struct writer *w, struct writer_stats *ret_stats)
{
    pthread_mutex_lock(&w->lock);
    *ret_stats = w->stats;
    ret_stats->queue = write_queue_count(&w->queue);
    pthread_mutex_unlock(&w->lock);
}

/* ---- submit and wait ---- */

struct call {
    pthread_mutex_t lock;
    pthread_cond_t done;
    const struct write_job *job;
    struct err *err;
    bool over;
    int rc;
};

static int call_run(struct tx *tx, void *ctx, struct err *err)
{
    struct call *call = ctx;
    return call->job->run(tx, call->job->ctx, err);
}

static void call_done(void *ctx, struct err *err)
{
    struct call *call = ctx;
    if (call->job->done)
        call->job->done(call->job->ctx, err);
    pthread_mutex_lock(&call->lock);
    call->rc = err ? -1 : 0;
    if (err)
        err_move(call->err, err);
    call->over = true;
    pthread_cond_signal(&call->done);
    pthread_mutex_unlock(&call->lock);
}

int writer_call(struct writer *w, const struct write_job *job, struct err *err)
{
    struct call call = {.lock = PTHREAD_MUTEX_INITIALIZER,
                        .done = PTHREAD_COND_INITIALIZER,
                        .job = job,
                        .err = err};
    struct write_job wrapped = *job;
    wrapped.run = call_run;
    wrapped.done = call_done;
    wrapped.ctx = &call;
    if (!writer_submit(w, &wrapped))
        return err_set(err, ERR_UNAVAILABLE, "the writer takes no more jobs");
    pthread_mutex_lock(&call.lock);
    while (!call.over)
        pthread_cond_wait(&call.done, &call.lock);
    pthread_mutex_unlock(&call.lock);
    return call.rc;
}
