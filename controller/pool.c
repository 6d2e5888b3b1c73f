/* Threads that take work from one queue, in order. */
#include "controller/pool.h"

#include <pthread.h>
#include <stddef.h>

#include "api/mem.h"

enum { POOL_THREADS_MAX = 16, POOL_QUEUE_MAX = 4096 };

struct work {
    struct work *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct work *first, **end;
    size_t queued;
    bool stopping, joined;
    unsigned count;
    pthread_t threads[POOL_THREADS_MAX];
};

static void *pool_main(void *ctx)
{
    struct pool *pool = ctx;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->first && !pool->stopping)
            pthread_cond_wait(&pool->wake, &pool->lock);
        struct work *work = pool->first;
        if (!work)
            break;
        pool->first = work->next;
        if (!pool->first)
            pool->end = &pool->first;
        pool->queued--;
        pthread_mutex_unlock(&pool->lock);
        work->fn(work->ctx);
        free(work);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct pool *pool_new(unsigned threads)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->end = &pool->first;
    while (pool->count < threads && pool->count < POOL_THREADS_MAX) {
        if (pthread_create(&pool->threads[pool->count], NULL, pool_main, pool) != 0)
            abort();
        pthread_setname_np(pool->threads[pool->count], "pool");
        pool->count++;
    }
    return pool;
}

bool pool_submit(struct pool *pool, void (*fn)(void *ctx), void *ctx)
{
    struct work *work = xcalloc(1, sizeof(*work));
    *work = (struct work){.fn = fn, .ctx = ctx};
    pthread_mutex_lock(&pool->lock);
    bool taken = !pool->stopping && pool->queued < POOL_QUEUE_MAX;
    if (taken) {
        *pool->end = work;
        pool->end = &work->next;
        pool->queued++;
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    if (!taken)
        free(work);
    return taken;
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
