/* Threads that take work from lanes in turn. */
#include "controller/wait/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "api/base/mem.h"

enum { POOL_THREADS_MAX = 16, POOL_QUEUE_MAX = 4096 };

struct work {
    struct work *next;
    void (*fn)(void *ctx);
    void *ctx;
    bool paused; /* its thread waits in pool_give_way() */
    pthread_cond_t again;
};

/* There while any of its jobs waits or runs. */
struct lane {
    struct lane *next; /* in the ring of those in which a job waits */
    int64_t key;
    struct work *first, **end;
    size_t waiting;
    unsigned running;
    struct lane *next_known;
};

struct pool {
    struct pool_settings settings;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct lane *known;
    struct lane *ring; /* the last of it: ring->next is whose turn it is; NULL: nothing waits */
    size_t waiting;
    unsigned running, paused;
    atomic_size_t waiting_hint; /* for a look without the lock */
    bool stopping, joined;
    unsigned count;
    pthread_t threads[POOL_THREADS_MAX];
};

/* What this thread is at. */
struct at_work {
    struct pool *pool;
    struct lane *lane;
    struct work *work;
};
static _Thread_local struct at_work at_work;

/* ---- lanes ---- */

static struct lane *lane_of(struct pool *pool, int64_t key)
{
    struct lane *lane = pool->known;
    while (lane && lane->key != key)
        lane = lane->next_known;
    if (lane)
        return lane;
    lane = xcalloc(1, sizeof(*lane));
    lane->key = key;
    lane->end = &lane->first;
    lane->next_known = pool->known;
    pool->known = lane;
    return lane;
}

static void lane_forget(struct pool *pool, struct lane *lane)
{
    if (lane->waiting || lane->running)
        return;
    struct lane **at = &pool->known;
    while (*at != lane)
        at = &(*at)->next_known;
    *at = lane->next_known;
    free(lane);
}

static void ring_add(struct pool *pool, struct lane *lane)
{
    lane->next = pool->ring ? pool->ring->next : lane;
    if (pool->ring)
        pool->ring->next = lane;
    pool->ring = lane;
}

/* The lane behind `before` in the ring. */
static void ring_remove(struct pool *pool, struct lane *before)
{
    struct lane *lane = before->next;
    before->next = lane->next;
    if (pool->ring == lane)
        pool->ring = lane == before ? NULL : before;
    lane->next = NULL;
}

static void push(struct pool *pool, struct lane *lane, struct work *work, bool ahead)
{
    if (ahead) {
        work->next = lane->first;
        lane->first = work;
        if (lane->end == &lane->first)
            lane->end = &work->next;
    } else {
        *lane->end = work;
        lane->end = &work->next;
    }
    if (lane->waiting++ == 0)
        ring_add(pool, lane);
    atomic_store_explicit(&pool->waiting_hint, ++pool->waiting, memory_order_relaxed);
}

/* Whose turn it is and who has not its share of threads already; NULL: nobody. */
static struct lane *before_next(struct pool *pool, const struct lane *but)
{
    struct lane *at = pool->ring;
    if (!at)
        return NULL;
    do {
        if (at->next != but && at->next->running < pool->settings.lane_at_once)
            return at;
        at = at->next;
    } while (at != pool->ring);
    return NULL;
}

/* Its lane goes to the end of the line. */
static struct work *pop(struct pool *pool, struct lane **ret_lane)
{
    struct lane *before = before_next(pool, NULL);
    if (!before || pool->running >= pool->settings.at_once)
        return NULL;
    struct lane *lane = before->next;
    struct work *work = lane->first;
    lane->first = work->next;
    if (!lane->first)
        lane->end = &lane->first;
    work->next = NULL;
    ring_remove(pool, before);
    if (--lane->waiting > 0)
        ring_add(pool, lane);
    atomic_store_explicit(&pool->waiting_hint, --pool->waiting, memory_order_relaxed);
    lane->running++;
    pool->running++;
    *ret_lane = lane;
    return work;
}

/* ---- threads ---- */

/* One that was paused goes on upon its own thread. NULL: there is nothing to do here. */
static struct work *pop_new(struct pool *pool, struct lane **ret_lane)
{
    struct work *work;
    while ((work = pop(pool, ret_lane)) && work->paused) {
        work->paused = false;
        pthread_cond_signal(&work->again);
    }
    return work;
}

static void run(struct pool *pool, struct lane *lane, struct work *work)
{
    pthread_mutex_unlock(&pool->lock);
    at_work = (struct at_work){pool, lane, work};
    work->fn(work->ctx);
    at_work = (struct at_work){0};
    pthread_mutex_lock(&pool->lock);
    lane->running--;
    pool->running--;
    lane_forget(pool, lane);
    pthread_cond_destroy(&work->again);
    free(work);
    if (pool->stopping)
        pthread_cond_broadcast(&pool->wake);
}

static void *pool_main(void *ctx)
{
    struct pool *pool = ctx;
    struct lane *lane;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct work *work = pop_new(pool, &lane);
        if (work)
            run(pool, lane, work);
        else if (pool->stopping && !pool->waiting)
            break;
        else
            pthread_cond_wait(&pool->wake, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct pool *pool_new(const struct pool_settings *settings)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    pool->settings = *settings;
    if (!pool->settings.lane_at_once)
        pool->settings.lane_at_once = settings->at_once;
    if (!pool->settings.lane_waiting)
        pool->settings.lane_waiting = POOL_QUEUE_MAX;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    while (pool->count < settings->at_once + settings->paused && pool->count < POOL_THREADS_MAX) {
        if (pthread_create(&pool->threads[pool->count], NULL, pool_main, pool) != 0)
            abort();
        pthread_setname_np(pool->threads[pool->count], settings->name);
        pool->count++;
    }
    return pool;
}

enum pool_answer pool_submit_lane(struct pool *pool, int64_t key, void (*fn)(void *ctx), void *ctx)
{
    enum pool_answer answer = POOL_TAKEN;
    pthread_mutex_lock(&pool->lock);
    struct lane *lane = lane_of(pool, key);
    if (pool->stopping || pool->waiting >= POOL_QUEUE_MAX)
        answer = POOL_FULL;
    else if (lane->waiting >= pool->settings.lane_waiting)
        answer = POOL_LANE_FULL;
    if (answer == POOL_TAKEN) {
        struct work *work = xcalloc(1, sizeof(*work));
        *work = (struct work){.fn = fn, .ctx = ctx};
        pthread_cond_init(&work->again, NULL);
        push(pool, lane, work, false);
        pthread_cond_signal(&pool->wake);
    }
    lane_forget(pool, lane);
    pthread_mutex_unlock(&pool->lock);
    return answer;
}

bool pool_submit(struct pool *pool, void (*fn)(void *ctx), void *ctx)
{
    return pool_submit_lane(pool, 0, fn, ctx) == POOL_TAKEN;
}

/* ---- giving way ---- */

static bool others_wait(struct pool *pool, const struct lane *mine)
{
    return pool->paused < pool->settings.paused && before_next(pool, mine);
}

bool pool_others_wait(void)
{
    struct pool *pool = at_work.pool;
    if (!pool || !atomic_load_explicit(&pool->waiting_hint, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&pool->lock);
    bool wait = others_wait(pool, at_work.lane);
    pthread_mutex_unlock(&pool->lock);
    return wait;
}

void pool_give_way(void)
{
    struct pool *pool = at_work.pool;
    struct lane *lane = at_work.lane;
    struct work *work = at_work.work;
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    if (others_wait(pool, lane)) {
        work->paused = true;
        lane->running--;
        pool->running--;
        pool->paused++;
        push(pool, lane, work, true);
        pthread_cond_signal(&pool->wake);
        while (work->paused)
            pthread_cond_wait(&work->again, &pool->lock);
        pool->paused--;
    }
    pthread_mutex_unlock(&pool->lock);
}

/* ---- figures, and the end ---- */

size_t pool_waiting(struct pool *pool)
{
    return atomic_load_explicit(&pool->waiting_hint, memory_order_relaxed);
}

void pool_stop(struct pool *pool)
{
    if (!pool || pool->joined)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pool->joined = true;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pool_stop(pool);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->wake);
    free(pool);
}
