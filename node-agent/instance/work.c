/* The worker pool; see work.h. One lock; the keeper thread wakes timers and watches
 * deadlines, and sleeps without end when there are neither. */
#include "node-agent/instance/work.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"

/* While a call is out the keeper looks this often, so that not every call wakes it. */
enum { STACK_BYTES = 512 * 1024, NEVER = 0, LOOK_MS = 1000 };

struct worker {
    struct work_pool *pool;
    struct worker *next;
    struct work_item *item;
    const char *call; /* NULL: none out */
    int64_t call_began, call_deadline;
    bool counted; /* in `live` */
    atomic_bool written_off;
};

struct work_pool {
    struct work_settings settings;
    pthread_mutex_t lock;
    pthread_cond_t ready;   /* for workers */
    pthread_cond_t changed; /* for the keeper, and whoever waits for the end */
    struct work_item *first, **last;
    struct work_item *timed;
    struct worker *workers; /* all that live, written off or not */
    int64_t live, idle, written_off;
    bool stopping, keeper_sleeps_long;
    pthread_t keeper;
};

static void *work_thread(void *arg);

static int start_thread(pthread_t *ret, void *(*run)(void *), void *arg)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int r = pthread_create(ret, &attributes, run, arg);
    pthread_attr_destroy(&attributes);
    return r;
}

static void wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(cond, lock, &until);
}

/* ---- with the lock held ---- */

static void spawn_if_needed(struct work_pool *pool)
{
    if (!pool->first || pool->idle > 0 || pool->stopping || pool->live >= pool->settings.workers)
        return;
    pthread_t thread;
    struct worker *worker = xcalloc(1, sizeof *worker);
    worker->pool = pool;
    int r = start_thread(&thread, work_thread, worker);
    if (r != 0) {
        log_error("work.no_thread", "error=\"%s\"", strerror(r));
        free(worker);
        return;
    }
    pthread_detach(thread);
    worker->next = pool->workers;
    pool->workers = worker;
    worker->counted = true;
    pool->live++;
}

static void untime(struct work_pool *pool, struct work_item *item)
{
    struct work_item **at = &pool->timed;
    if (!item->timed)
        return;
    while (*at != item)
        at = &(*at)->next_timed;
    *at = item->next_timed;
    item->timed = false;
    item->wake_at = NEVER;
}

static void enqueue(struct work_pool *pool, struct work_item *item)
{
    untime(pool, item);
    if (item->running) {
        item->again = true;
        return;
    }
    /* One call is out already; a second may get a hung guest out of the way, no third. */
    if (item->queued || item->stuck > 1)
        return;
    item->queued = true;
    item->next = NULL;
    *pool->last = item;
    pool->last = &item->next;
    spawn_if_needed(pool);
    pthread_cond_signal(&pool->ready);
}

static struct work_item *dequeue(struct work_pool *pool)
{
    struct work_item *item = pool->first;
    if (!item)
        return NULL;
    pool->first = item->next;
    if (!pool->first)
        pool->last = &pool->first;
    item->queued = false;
    item->running = true;
    return item;
}

static void count_out(struct worker *worker)
{
    if (worker->counted)
        worker->pool->live--;
    worker->counted = false;
}

static void unlink_worker(struct worker *worker)
{
    struct worker **at = &worker->pool->workers;
    while (*at != worker)
        at = &(*at)->next;
    *at = worker->next;
    if (worker->written_off)
        worker->pool->written_off--;
    count_out(worker);
}

static void finish_item(struct worker *worker, struct work_item *item)
{
    worker->item = NULL;
    if (worker->written_off) {
        item->stuck--;
        enqueue(worker->pool, item);
        return;
    }
    item->running = false;
    if (item->again) {
        item->again = false;
        enqueue(worker->pool, item);
    }
}

/* ---- workers ---- */

/* Waits for work; NULL: this thread is not needed any more. It is counted out with that
 * decision, or the last two to be idle would each leave the other to stay. */
static struct work_item *next_item(struct worker *worker)
{
    struct work_pool *pool = worker->pool;
    struct work_item *item;
    int64_t until = clock_boottime_ms() + pool->settings.idle_ms;
    while (!pool->stopping && !(item = dequeue(pool))) {
        int64_t left = until - clock_boottime_ms();
        if (left <= 0 && pool->live > 1) {
            count_out(worker);
            return NULL;
        }
        pool->idle++;
        if (left <= 0)
            pthread_cond_wait(&pool->ready, &pool->lock);
        else
            wait_ms(&pool->ready, &pool->lock, left);
        pool->idle--;
    }
    return pool->stopping ? NULL : item;
}

static void *work_thread(void *arg)
{
    struct worker *worker = arg;
    struct work_pool *pool = worker->pool;
    struct work_item *item;
    void *held = pool->settings.open(pool->settings.ctx, worker);
    pthread_mutex_lock(&pool->lock);
    while (!worker->written_off && (item = next_item(worker))) {
        worker->item = item;
        spawn_if_needed(pool);
        pthread_mutex_unlock(&pool->lock);
        pool->settings.run(pool->settings.ctx, held, worker, item);
        pthread_mutex_lock(&pool->lock);
        finish_item(worker, item);
    }
    pthread_mutex_unlock(&pool->lock);
    pool->settings.close(pool->settings.ctx, held);
    pthread_mutex_lock(&pool->lock);
    unlink_worker(worker);
    spawn_if_needed(pool); /* a lost one that was not replaced has come back */
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    free(worker);
    return NULL;
}

void work_call_begin(void *arg, const char *call, int64_t timeout_ms)
{
    struct worker *worker = arg;
    struct work_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    worker->call = call;
    worker->call_began = clock_boottime_ms();
    worker->call_deadline =
        worker->call_began + (timeout_ms > 0 ? timeout_ms : pool->settings.deadline_ms);
    if (pool->keeper_sleeps_long)
        pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

void work_call_end(void *arg)
{
    struct worker *worker = arg;
    pthread_mutex_lock(&worker->pool->lock);
    worker->call = NULL;
    pthread_mutex_unlock(&worker->pool->lock);
}

bool work_written_off(const struct worker *worker)
{
    return worker->written_off;
}

/* ---- the keeper ---- */

static void wake_due(struct work_pool *pool, int64_t now, int64_t *next)
{
    for (struct work_item *item = pool->timed, *following; item; item = following) {
        following = item->next_timed;
        if (item->wake_at <= now)
            enqueue(pool, item);
        else if (item->wake_at < *next)
            *next = item->wake_at;
    }
}

/* Drops the lock to tell; returns true when it did, since then all may have changed. */
static bool write_off_one(struct work_pool *pool, int64_t now, int64_t *next)
{
    for (struct worker *w = pool->workers; w; w = w->next) {
        if (!w->call || w->written_off)
            continue;
        if (w->call_deadline > now) {
            int64_t look = w->call_deadline < now + LOOK_MS ? w->call_deadline : now + LOOK_MS;
            *next = look < *next ? look : *next;
            continue;
        }
        struct work_item *item = w->item;
        const char *call = w->call;
        int64_t ms = now - w->call_began;
        w->written_off = true;
        pool->written_off++;
        if (pool->written_off <= pool->settings.written_off_max)
            count_out(w);
        if (item) {
            item->stuck++;
            item->running = item->again = false;
            item->pinned = true; /* the call may come back meanwhile */
        }
        spawn_if_needed(pool);
        pthread_mutex_unlock(&pool->lock);
        if (item)
            pool->settings.stuck(pool->settings.ctx, item, call, ms);
        pthread_mutex_lock(&pool->lock);
        if (item) {
            item->pinned = false;
            enqueue(pool, item);
        }
        return true;
    }
    return false;
}

static void *keep(void *arg)
{
    struct work_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        int64_t now = clock_boottime_ms(), next = INT64_MAX;
        wake_due(pool, now, &next);
        if (write_off_one(pool, now, &next))
            continue;
        pool->keeper_sleeps_long = next > now + LOOK_MS;
        if (next == INT64_MAX)
            pthread_cond_wait(&pool->changed, &pool->lock);
        else
            wait_ms(&pool->changed, &pool->lock, next - now);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- the pool ---- */

int work_new(const struct work_settings *settings, struct work_pool **ret_pool, struct err *err)
{
    pthread_condattr_t attributes;
    struct work_pool *pool = xcalloc(1, sizeof *pool);
    pool->settings = *settings;
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->ready, &attributes);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int r = start_thread(&pool->keeper, keep, pool);
    if (r != 0) {
        free(pool);
        return err_set(err, ERR_INTERNAL, "no thread: %s", strerror(r));
    }
    *ret_pool = pool;
    return 0;
}

bool work_stop(struct work_pool *pool, int64_t ms)
{
    int64_t until = clock_boottime_ms() + ms;
    pthread_mutex_lock(&pool->lock);
    bool keeps = !pool->stopping;
    pool->stopping = true;
    pthread_cond_broadcast(&pool->ready);
    pthread_cond_broadcast(&pool->changed);
    int64_t left;
    while (pool->workers && (left = until - clock_boottime_ms()) > 0)
        wait_ms(&pool->changed, &pool->lock, left);
    bool ended = !pool->workers;
    pthread_mutex_unlock(&pool->lock);
    if (keeps)
        pthread_join(pool->keeper, NULL);
    return ended;
}

void work_free(struct work_pool *pool)
{
    if (!pool)
        return;
    /* The last thread lets the lock go after it was counted out. */
    pthread_mutex_lock(&pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&pool->ready);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void work_wake(struct work_pool *pool, struct work_item *item)
{
    pthread_mutex_lock(&pool->lock);
    enqueue(pool, item);
    pthread_mutex_unlock(&pool->lock);
}

void work_wake_at(struct work_pool *pool, struct work_item *item, int64_t at)
{
    pthread_mutex_lock(&pool->lock);
    if (!item->timed) {
        item->next_timed = pool->timed;
        pool->timed = item;
        item->timed = true;
        item->wake_at = at;
    } else if (at < item->wake_at) {
        item->wake_at = at;
    }
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

int64_t work_due(struct work_pool *pool, const struct work_item *item)
{
    pthread_mutex_lock(&pool->lock);
    int64_t at = item->timed ? item->wake_at : 0;
    pthread_mutex_unlock(&pool->lock);
    return at;
}

int work_stuck(struct work_pool *pool, const struct work_item *item)
{
    pthread_mutex_lock(&pool->lock);
    int stuck = item->stuck;
    pthread_mutex_unlock(&pool->lock);
    return stuck;
}

bool work_running(struct work_pool *pool, const struct work_item *item)
{
    pthread_mutex_lock(&pool->lock);
    bool running = item->running;
    pthread_mutex_unlock(&pool->lock);
    return running;
}

bool work_forget(struct work_pool *pool, struct work_item *item)
{
    pthread_mutex_lock(&pool->lock);
    bool free_to_go = !item->queued && !item->running && !item->pinned && item->stuck == 0;
    if (free_to_go)
        untime(pool, item);
    pthread_mutex_unlock(&pool->lock);
    return free_to_go;
}
