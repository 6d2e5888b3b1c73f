/* The thread that sleeps until something is due. All times are of CLOCK_BOOTTIME and start in
 * full with the process, so that its own absence counts against nobody. */
#include "controller/due/reconcile.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/due/leases.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/wait/deadlines.h"
#include "controller/world.h"

/* What failed is tried again after a while: what is due stays due. */
enum { RETRY_MS = 2000 };

/* What is to come of one row of the table; which of it is used, its mode says. */
struct queue {
    const struct due_job *job;
    struct deadlines deadlines;
    struct leases leases;
    int64_t tick_ms; /* INT64_MAX: not before it is asked for */
};

struct reconcile {
    struct app *app;
    pthread_t thread;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t wake, quiet;
    bool stop;
    struct queue queues[DUE_COUNT];
    int64_t sleeping_ms; /* until when the thread sleeps */
    int jobs;            /* submitted and not done */
};

static int64_t every_ms(const struct reconcile *reconcile, const struct queue *queue)
{
    return queue->job->every_ms ? queue->job->every_ms(reconcile->app) : 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- bringing, with the lock held ---- */

/* The thread must not sleep past this. */
static void not_later(struct reconcile *reconcile, int64_t due_ms)
{
    if (due_ms >= reconcile->sleeping_ms)
        return;
    reconcile->sleeping_ms = due_ms;
    pthread_cond_signal(&reconcile->wake);
}

static void add_deadline(struct reconcile *reconcile, struct queue *queue, int64_t key,
                         int64_t due_ms)
{
    deadlines_add(&queue->deadlines, due_ms, key);
    not_later(reconcile, due_ms);
}

static void tick_at(struct reconcile *reconcile, struct queue *queue, int64_t due_ms)
{
    queue->tick_ms = earlier(queue->tick_ms, due_ms);
    not_later(reconcile, due_ms);
}

/* ---- bringing ---- */

void reconcile_in(struct reconcile *reconcile, enum due due, int64_t key, int64_t timeout_ms)
{
    int64_t due_ms = clock_boottime_ms() + timeout_ms;
    pthread_mutex_lock(&reconcile->lock);
    add_deadline(reconcile, &reconcile->queues[due], key, due_ms);
    pthread_mutex_unlock(&reconcile->lock);
}

struct committed {
    struct reconcile *reconcile;
    enum due due;
    int64_t key, timeout_ms;
};

static void committed_counts(void *ctx)
{
    struct committed *committed = ctx;
    reconcile_in(committed->reconcile, committed->due, committed->key, committed->timeout_ms);
    free(committed);
}

void reconcile_in_after(struct reconcile *reconcile, struct tx *tx, enum due due, int64_t key,
                        int64_t timeout_ms)
{
    struct committed *committed = xmalloc(sizeof(*committed));
    *committed = (struct committed){
        .reconcile = reconcile, .due = due, .key = key, .timeout_ms = timeout_ms};
    tx_after_commit(tx, committed_counts, committed, free);
}

void reconcile_renew(struct reconcile *reconcile, enum due due, int64_t key, bool ended)
{
    struct queue *queue = &reconcile->queues[due];
    pthread_mutex_lock(&reconcile->lock);
    int64_t now_ms = clock_boottime_ms();
    leases_renew(&queue->leases, key, now_ms, ended);
    if (!ended)
        not_later(reconcile, now_ms + every_ms(reconcile, queue));
    pthread_mutex_unlock(&reconcile->lock);
}

void reconcile_remove(struct reconcile *reconcile, enum due due, int64_t key)
{
    pthread_mutex_lock(&reconcile->lock);
    leases_remove(&reconcile->queues[due].leases, key);
    pthread_mutex_unlock(&reconcile->lock);
}

bool reconcile_over(struct reconcile *reconcile, enum due due, int64_t key)
{
    const struct queue *queue = &reconcile->queues[due];
    pthread_mutex_lock(&reconcile->lock);
    bool over = leases_over(&queue->leases, key, clock_boottime_ms(), every_ms(reconcile, queue));
    pthread_mutex_unlock(&reconcile->lock);
    return over;
}

void reconcile_now(struct reconcile *reconcile, enum due due)
{
    pthread_mutex_lock(&reconcile->lock);
    tick_at(reconcile, &reconcile->queues[due], clock_boottime_ms());
    pthread_mutex_unlock(&reconcile->lock);
}

static void again(struct reconcile *reconcile, struct queue *queue, int64_t key, int64_t due_ms)
{
    if (queue->job->mode == BY_DEADLINE)
        add_deadline(reconcile, queue, key, due_ms);
    else if (queue->job->mode == BY_TICK && every_ms(reconcile, queue) == 0)
        tick_at(reconcile, queue, due_ms);
    else if (queue->job->mode == BY_LEASE && leases_retry(&queue->leases, key, due_ms))
        not_later(reconcile, due_ms);
}

void reconcile_again(struct reconcile *reconcile, enum due due, int64_t key)
{
    pthread_mutex_lock(&reconcile->lock);
    again(reconcile, &reconcile->queues[due], key, clock_boottime_ms() + RETRY_MS);
    pthread_mutex_unlock(&reconcile->lock);
}

/* ---- write jobs ---- */

static void submitted_done(void *ctx, struct err *err)
{
    struct due_item *item = ctx;
    struct reconcile *reconcile = item->app->reconcile;
    if (err) {
        log_warn("reconcile.job", "key=%lld reason=\"%s\"", (long long)item->key, err->msg);
        reconcile_again(reconcile, item->due, item->key);
    }
    free(item);
    pthread_mutex_lock(&reconcile->lock);
    if (--reconcile->jobs == 0)
        pthread_cond_broadcast(&reconcile->quiet);
    pthread_mutex_unlock(&reconcile->lock);
}

bool reconcile_submit(struct app *app, enum due due, int64_t key,
                      int (*run)(struct tx *, void *, struct err *))
{
    struct due_item *item = xmalloc(sizeof(*item));
    *item = (struct due_item){.app = app, .due = due, .key = key};
    pthread_mutex_lock(&app->reconcile->lock);
    app->reconcile->jobs++;
    pthread_mutex_unlock(&app->reconcile->lock);
    struct write_job job = {.run = run, .done = submitted_done, .ctx = item};
    if (writer_submit(app->writer, &job))
        return true;
    submitted_done(item, NULL);
    return false;
}

/* ---- the thread; with the lock held, which it gives up while it works ---- */

static bool run_one(struct reconcile *reconcile, struct queue *queue, int64_t key)
{
    pthread_mutex_unlock(&reconcile->lock);
    bool taken = queue->job->run(reconcile->app, key);
    if (!taken)
        reconcile_again(reconcile, (enum due)(queue - reconcile->queues), key);
    pthread_mutex_lock(&reconcile->lock);
    return taken;
}

static int64_t end_deadlines(struct reconcile *reconcile, struct queue *queue, int64_t now_ms)
{
    int64_t key;
    while (deadlines_take(&queue->deadlines, now_ms, &key) && run_one(reconcile, queue, key))
        continue;
    return deadlines_next(&queue->deadlines);
}

static int64_t end_leases(struct reconcile *reconcile, struct queue *queue, int64_t now_ms)
{
    int64_t next_ms, key, term_ms = every_ms(reconcile, queue);
    while ((key = leases_take(&queue->leases, now_ms, term_ms, &next_ms)))
        run_one(reconcile, queue, key);
    return next_ms;
}

static int64_t next_tick(const struct reconcile *reconcile, const struct queue *queue,
                         int64_t now_ms)
{
    int64_t every = every_ms(reconcile, queue);
    return every == 0 || every == INT64_MAX ? INT64_MAX : now_ms + every;
}

static int64_t tick(struct reconcile *reconcile, struct queue *queue, int64_t now_ms)
{
    if (queue->tick_ms <= now_ms) {
        queue->tick_ms = next_tick(reconcile, queue, now_ms);
        run_one(reconcile, queue, 0);
    }
    return queue->tick_ms;
}

/* Returns when to look again. */
static int64_t look(struct reconcile *reconcile)
{
    int64_t now_ms = clock_boottime_ms(), next_ms = INT64_MAX;
    for (int due = 0; due < DUE_COUNT; due++) {
        struct queue *queue = &reconcile->queues[due];
        int64_t at_ms = queue->job->mode == BY_DEADLINE ? end_deadlines(reconcile, queue, now_ms)
                        : queue->job->mode == BY_LEASE  ? end_leases(reconcile, queue, now_ms)
                                                        : tick(reconcile, queue, now_ms);
        next_ms = earlier(next_ms, at_ms);
    }
    return next_ms;
}

/* CLOCK_MONOTONIC is what condition variables know; it differs from CLOCK_BOOTTIME only by
 * sleep of the machine, after which it looks again within the same time. */
static void sleep_until(struct reconcile *reconcile)
{
    struct timespec at;
    int64_t wait_ms = reconcile->sleeping_ms - clock_boottime_ms();
    if (wait_ms <= 0)
        return;
    if (reconcile->sleeping_ms == INT64_MAX) {
        pthread_cond_wait(&reconcile->wake, &reconcile->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += wait_ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&reconcile->wake, &reconcile->lock, &at);
}

static void *reconcile_main(void *ctx)
{
    struct reconcile *reconcile = ctx;
    pthread_mutex_lock(&reconcile->lock);
    while (!reconcile->stop) {
        /* Whoever adds something while we look lowers this; the earlier of both counts. */
        reconcile->sleeping_ms = INT64_MAX;
        int64_t next = look(reconcile);
        reconcile->sleeping_ms = earlier(reconcile->sleeping_ms, next);
        while (!reconcile->stop && clock_boottime_ms() < reconcile->sleeping_ms)
            sleep_until(reconcile);
    }
    pthread_mutex_unlock(&reconcile->lock);
    return NULL;
}

/* ---- life ---- */

static void begin(struct reconcile *reconcile, const struct due_job *jobs)
{
    for (int due = 0; due < DUE_COUNT; due++) {
        struct queue *queue = &reconcile->queues[due];
        queue->job = &jobs[due];
        queue->tick_ms =
            every_ms(reconcile, queue) == 0 ? 0 : next_tick(reconcile, queue, clock_boottime_ms());
    }
}

static int load(struct reconcile *reconcile, const struct due_job *jobs, struct err *err)
{
    struct db *db = app_reader(reconcile->app);
    for (int due = 0; due < DUE_COUNT; due++) {
        if (jobs[due].load && jobs[due].load(reconcile, db, err) != 0)
            return -1;
    }
    return 0;
}

int reconcile_start(struct app *app, const struct due_job *jobs, struct reconcile **ret_reconcile,
                    struct err *err)
{
    struct reconcile *reconcile = xcalloc(1, sizeof(*reconcile));
    reconcile->app = app;
    reconcile->sleeping_ms = INT64_MAX;
    begin(reconcile, jobs);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&reconcile->lock, NULL);
    pthread_cond_init(&reconcile->wake, &attr);
    pthread_cond_init(&reconcile->quiet, NULL);
    pthread_condattr_destroy(&attr);
    int rc = load(reconcile, jobs, err);
    *ret_reconcile = reconcile;
    if (rc == 0 && (errno = pthread_create(&reconcile->thread, NULL, reconcile_main, reconcile)))
        rc = err_errno(err, "cannot start the reconcile thread");
    if (rc != 0)
        reconcile_free(take(*ret_reconcile));
    return rc;
}

void reconcile_stop(struct reconcile *reconcile)
{
    pthread_mutex_lock(&reconcile->lock);
    reconcile->stop = true;
    pthread_cond_signal(&reconcile->wake);
    pthread_mutex_unlock(&reconcile->lock);
    pthread_join(reconcile->thread, NULL);
    pthread_mutex_lock(&reconcile->lock);
    while (reconcile->jobs > 0)
        pthread_cond_wait(&reconcile->quiet, &reconcile->lock);
    pthread_mutex_unlock(&reconcile->lock);
}

void reconcile_free(struct reconcile *reconcile)
{
    if (!reconcile)
        return;
    pthread_mutex_destroy(&reconcile->lock);
    pthread_cond_destroy(&reconcile->wake);
    pthread_cond_destroy(&reconcile->quiet);
    for (int due = 0; due < DUE_COUNT; due++) {
        deadlines_release(&reconcile->queues[due].deadlines);
        leases_release(&reconcile->queues[due].leases);
    }
    free(reconcile);
}
