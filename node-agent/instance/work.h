/* A pool of worker threads. Work on one item is in order and never twice at once;
 * different items go side by side. Threads come when needed and go when idle.
 *
 * A worker announces each call that may hang. One past its deadline is written off: its
 * thread and whatever it holds are left to it, another worker may take its place, and the
 * item may be worked on again while `stuck` tells that a call on it is still out. Should
 * the call return after all, the thread puts its things away and ends. */
#ifndef MINICLOUD_AGENT_WORK_H
#define MINICLOUD_AGENT_WORK_H

#include <stdbool.h>
#include <stdint.h>

struct work_pool;
struct worker;
struct err;

/* Embedded in what is worked on; zero-initialised; guarded by the pool's lock. */
struct work_item {
    struct work_item *next, *next_timed;
    bool queued, running, again, timed;
    bool pinned; /* the keeper still has a word to say about it */
    int stuck;
    int64_t wake_at;
};

struct work_settings {
    int64_t workers;
    int64_t written_off_max; /* beyond it a lost worker is not replaced */
    int64_t deadline_ms;     /* of a call, unless it says otherwise */
    int64_t idle_ms;         /* a thread without work ends after this; one always stays */
    void *ctx;
    /* What a thread holds (a connection); called in that thread. */
    void *(*open)(void *ctx, struct worker *worker);
    void (*close)(void *ctx, void *held);
    void (*run)(void *ctx, void *held, struct worker *worker, struct work_item *item);
    /* A worker on this item was written off. From the pool's own thread. */
    void (*stuck)(void *ctx, struct work_item *item, const char *call, int64_t ms);
};

int work_new(const struct work_settings *settings, struct work_pool **ret_pool, struct err *err);
/* Takes no new work and waits for what runs, `ms` at most. Whether all ended; if not, the
 * pool must not be freed, and one may wait once more. */
bool work_stop(struct work_pool *pool, int64_t ms);
void work_free(struct work_pool *pool);

/* Soon; while it is being worked on, once more afterwards. */
void work_wake(struct work_pool *pool, struct work_item *item);
/* At a CLOCK_BOOTTIME in ms; the earlier of two wishes holds; a run in between ends it. */
void work_wake_at(struct work_pool *pool, struct work_item *item, int64_t at);
/* When its timer is due; 0: it has none. */
int64_t work_due(struct work_pool *pool, const struct work_item *item);
int work_stuck(struct work_pool *pool, const struct work_item *item);
/* Whether someone works on it now. */
bool work_running(struct work_pool *pool, const struct work_item *item);
/* Whether it may be freed: not queued, not worked on, no timer. Cancels a timer. */
bool work_forget(struct work_pool *pool, struct work_item *item);

void work_call_begin(void *worker, const char *call, int64_t timeout_ms);
void work_call_end(void *worker);
bool work_written_off(const struct worker *worker);

#endif
