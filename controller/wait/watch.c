/* Who waits for which key, until when, and the thread that answers them. Knows nothing of
 * requests or rows: only keys, revisions and callbacks.
 *
 * A table of the newest revision by (kind, key) answers "has it happened already". It has
 * a fixed size, keys that meet in one place share it: then a watcher looks once in vain. */
#include "controller/wait/watch.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "api/base/limits.h"
#include "api/base/mem.h"

enum { BUCKETS = 1024, NEWS = 4096, FIRE_AT_ONCE = 128 };

struct watch_entry {
    enum watch_kind kind;
    int64_t key;
    int64_t deadline_ns;
    watch_fire *fire;
    void *ctx;
    bool expired;
    size_t heap_at;
    struct watch_entry *next, **link; /* in its bucket */
    struct watch_sake *sake;          /* NULL: nobody's; not touched once it is ready */
    struct watch_entry *next_of_token, **link_of_token;
    struct watch_entry *next_ready;
};

struct news {
    int64_t revision;
    bool poked; /* nobody waited when it was: the next one who asks looks at once */
};

struct watch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    int64_t revision;
    struct watch_entry *buckets[BUCKETS];
    struct watch_entry *tokens[BUCKETS]; /* those with a token once more, by it */
    struct watch_entry *heap[LIMIT_WATCHERS + LIMIT_NODE_WATCHERS]; /* earliest deadline first */
    size_t waiting;                                                 /* in buckets and heap */
    size_t people, nodes; /* and those about to fire: they do not compete for room */
    struct watch_entry *ready, **ready_end;
    struct news news[NEWS];
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t hash(enum watch_kind kind, int64_t key)
{
    return ((uint64_t)key * 8 + (uint64_t)kind + 1) * 0x9E3779B97F4A7C15u >> 32;
}

static struct news *news_of(struct watch *watch, enum watch_kind kind, int64_t key)
{
    return &watch->news[hash(kind, key) % NEWS];
}

static struct watch_entry **bucket_of(struct watch *watch, enum watch_kind kind, int64_t key)
{
    return &watch->buckets[hash(kind, key) % BUCKETS];
}

static struct watch_entry **bucket_of_token(struct watch *watch, int64_t token_key)
{
    return &watch->tokens[hash(WATCH_TOKEN, token_key) % BUCKETS];
}

/* ---- the heap of deadlines ---- */

static void heap_put(struct watch *watch, size_t at, struct watch_entry *entry)
{
    watch->heap[at] = entry;
    entry->heap_at = at;
}

static void heap_up(struct watch *watch, size_t at, struct watch_entry *entry)
{
    while (at > 0 && watch->heap[(at - 1) / 2]->deadline_ns > entry->deadline_ns) {
        heap_put(watch, at, watch->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(watch, at, entry);
}

static void heap_down(struct watch *watch, size_t at, struct watch_entry *entry, size_t count)
{
    for (;;) {
        size_t child = at * 2 + 1;
        if (child + 1 < count &&
            watch->heap[child + 1]->deadline_ns < watch->heap[child]->deadline_ns)
            child++;
        if (child >= count || watch->heap[child]->deadline_ns >= entry->deadline_ns)
            break;
        heap_put(watch, at, watch->heap[child]);
        at = child;
    }
    heap_put(watch, at, entry);
}

static void heap_remove(struct watch *watch, const struct watch_entry *entry)
{
    size_t at = entry->heap_at, count = watch->waiting - 1;
    struct watch_entry *last = watch->heap[count];
    if (last == entry)
        return;
    if (at > 0 && watch->heap[(at - 1) / 2]->deadline_ns > last->deadline_ns)
        heap_up(watch, at, last);
    else
        heap_down(watch, at, last, count);
}

/* ---- entries ---- */

static void make_ready(struct watch *watch, struct watch_entry *entry, bool expired)
{
    entry->expired = expired;
    entry->next_ready = NULL;
    *watch->ready_end = entry;
    watch->ready_end = &entry->next_ready;
}

static void unlink_token(struct watch_entry *entry)
{
    *entry->link_of_token = entry->next_of_token;
    if (entry->next_of_token)
        entry->next_of_token->link_of_token = entry->link_of_token;
}

static void unlink_entry(struct watch *watch, struct watch_entry *entry)
{
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
    if (entry->link_of_token)
        unlink_token(entry);
    if (entry->sake)
        entry->sake->entry = NULL;
    heap_remove(watch, entry);
    watch->waiting--;
}

static void link_token(struct watch *watch, struct watch_entry *entry)
{
    struct watch_entry **bucket = bucket_of_token(watch, entry->sake->token_key);
    entry->next_of_token = *bucket;
    entry->link_of_token = bucket;
    if (entry->next_of_token)
        entry->next_of_token->link_of_token = &entry->next_of_token;
    *bucket = entry;
}

static void link_entry(struct watch *watch, struct watch_entry *entry)
{
    struct watch_entry **bucket = bucket_of(watch, entry->kind, entry->key);
    entry->next = *bucket;
    entry->link = bucket;
    if (entry->next)
        entry->next->link = &entry->next;
    *bucket = entry;
    if (entry->sake) {
        entry->sake->entry = entry;
        if (entry->sake->token_key)
            link_token(watch, entry);
    }
    heap_up(watch, watch->waiting, entry);
    watch->waiting++;
}

static void wake_token(struct watch *watch, int64_t token_key)
{
    struct watch_entry *entry = *bucket_of_token(watch, token_key);
    while (entry) {
        struct watch_entry *next = entry->next_of_token;
        if (entry->sake->token_key == token_key) {
            unlink_entry(watch, entry);
            make_ready(watch, entry, false);
        }
        entry = next;
    }
}

/* Whether someone waited for it. */
static bool wake_key(struct watch *watch, enum watch_kind kind, int64_t key)
{
    bool any = false;
    struct watch_entry *entry = *bucket_of(watch, kind, key);
    while (entry) {
        struct watch_entry *next = entry->next;
        if (entry->kind == kind && entry->key == key) {
            unlink_entry(watch, entry);
            make_ready(watch, entry, false);
            any = true;
        }
        entry = next;
    }
    return any;
}

static bool happened(struct watch *watch, enum watch_kind kind, int64_t key, int64_t after)
{
    if (kind == WATCH_EVENTS && key == 0)
        return watch->revision > after;
    struct news *news = news_of(watch, kind, key);
    bool poked = news->poked;
    news->poked = false;
    return poked || news->revision > after;
}

static bool token_ended(struct watch *watch, const struct watch_sake *sake, int64_t after)
{
    return sake && sake->token_key &&
           news_of(watch, WATCH_TOKEN, sake->token_key)->revision > after;
}

static size_t *room_of(struct watch *watch, enum watch_kind kind)
{
    return kind == WATCH_NODE ? &watch->nodes : &watch->people;
}

static bool has_room(const struct watch *watch, enum watch_kind kind)
{
    return kind == WATCH_NODE ? watch->nodes < LIMIT_NODE_WATCHERS : watch->people < LIMIT_WATCHERS;
}

bool watch_add(struct watch *watch, enum watch_kind kind, int64_t key, int64_t after,
               int64_t wait_ms, watch_fire *fire, void *ctx)
{
    return watch_add_for(watch, NULL, kind, key, after, wait_ms, fire, ctx);
}

bool watch_add_for(struct watch *watch, struct watch_sake *sake, enum watch_kind kind, int64_t key,
                   int64_t after, int64_t wait_ms, watch_fire *fire, void *ctx)
{
    struct watch_entry *entry = xcalloc(1, sizeof(*entry));
    *entry = (struct watch_entry){.kind = kind, .key = key, .sake = sake, .fire = fire, .ctx = ctx};
    entry->deadline_ns = now_ns() + wait_ms * 1000000;
    pthread_mutex_lock(&watch->lock);
    if (watch->stopping || !has_room(watch, kind)) {
        pthread_mutex_unlock(&watch->lock);
        free(entry);
        return false;
    }
    ++*room_of(watch, kind);
    if (sake && sake->left)
        make_ready(watch, entry, true);
    else if (happened(watch, kind, key, after) || token_ended(watch, sake, after))
        make_ready(watch, entry, false);
    else
        link_entry(watch, entry);
    if (watch->ready || watch->heap[0] == entry)
        pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    return true;
}

void watch_left(struct watch *watch, struct watch_sake *sake)
{
    pthread_mutex_lock(&watch->lock);
    sake->left = true;
    struct watch_entry *entry = sake->entry;
    if (entry) {
        unlink_entry(watch, entry);
        make_ready(watch, entry, true);
        pthread_cond_signal(&watch->wake);
    }
    pthread_mutex_unlock(&watch->lock);
}

void watch_poke(struct watch *watch, enum watch_kind kind, int64_t key)
{
    pthread_mutex_lock(&watch->lock);
    if (!wake_key(watch, kind, key))
        news_of(watch, kind, key)->poked = true;
    if (watch->ready)
        pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
}

void watch_publish(struct watch *watch, int64_t revision, const struct watch_touch *touched,
                   size_t count)
{
    pthread_mutex_lock(&watch->lock);
    if (revision > watch->revision)
        __atomic_store_n(&watch->revision, revision, __ATOMIC_RELEASE);
    for (size_t i = 0; i < count; i++) {
        struct news *news = news_of(watch, touched[i].kind, touched[i].key);
        if (touched[i].revision > news->revision)
            news->revision = touched[i].revision;
        if (watch->waiting > 0 && touched[i].kind == WATCH_TOKEN)
            wake_token(watch, touched[i].key);
        else if (watch->waiting > 0)
            wake_key(watch, touched[i].kind, touched[i].key);
    }
    if (watch->waiting > 0)
        wake_key(watch, WATCH_EVENTS, 0);
    if (watch->ready)
        pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
}

int64_t watch_revision(const struct watch *watch)
{
    return __atomic_load_n(&watch->revision, __ATOMIC_ACQUIRE);
}

void watch_set_revision(struct watch *watch, int64_t revision)
{
    pthread_mutex_lock(&watch->lock);
    __atomic_store_n(&watch->revision, revision, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&watch->lock);
}

size_t watch_count(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    size_t count = watch->people + watch->nodes;
    pthread_mutex_unlock(&watch->lock);
    return count;
}

/* ---- the waker ---- */

static void expire(struct watch *watch, int64_t now)
{
    while (watch->waiting > 0 && (watch->stopping || watch->heap[0]->deadline_ns <= now)) {
        struct watch_entry *entry = watch->heap[0];
        unlink_entry(watch, entry);
        make_ready(watch, entry, true);
    }
}

static size_t take_ready(struct watch *watch, struct watch_entry **batch)
{
    size_t count = 0;
    while (watch->ready && count < FIRE_AT_ONCE) {
        batch[count++] = watch->ready;
        watch->ready = watch->ready->next_ready;
    }
    if (!watch->ready)
        watch->ready_end = &watch->ready;
    return count;
}

/* The place is given back before the callback, which may add again. */
static void fire_batch(struct watch *watch, struct watch_entry **batch, size_t count)
{
    for (size_t i = 0; i < count; i++)
        --*room_of(watch, batch[i]->kind);
    pthread_mutex_unlock(&watch->lock);
    for (size_t i = 0; i < count; i++) {
        batch[i]->fire(batch[i]->ctx, batch[i]->expired);
        free(batch[i]);
    }
    pthread_mutex_lock(&watch->lock);
}

static void sleep_until_next(struct watch *watch)
{
    if (watch->waiting == 0) {
        pthread_cond_wait(&watch->wake, &watch->lock);
        return;
    }
    int64_t at = watch->heap[0]->deadline_ns;
    struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
}

static void *waker_main(void *ctx)
{
    struct watch *watch = ctx;
    struct watch_entry *batch[FIRE_AT_ONCE];
    pthread_mutex_lock(&watch->lock);
    for (;;) {
        expire(watch, now_ns());
        size_t count = take_ready(watch, batch);
        if (count > 0)
            fire_batch(watch, batch, count);
        else if (watch->stopping)
            break;
        else
            sleep_until_next(watch);
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

struct watch *watch_new(void)
{
    struct watch *watch = xcalloc(1, sizeof(*watch));
    watch->ready_end = &watch->ready;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    /* Condition variables know no CLOCK_BOOTTIME; a machine that slept makes a long poll
     * that much longer, and nothing else. */
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&watch->lock, NULL);
    pthread_cond_init(&watch->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&watch->thread, NULL, waker_main, watch) != 0)
        abort();
    pthread_setname_np(watch->thread, "waker");
    return watch;
}

void watch_stop(struct watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    bool first = !watch->stopping;
    watch->stopping = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    if (first)
        pthread_join(watch->thread, NULL);
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    watch_stop(watch);
    pthread_mutex_destroy(&watch->lock);
    pthread_cond_destroy(&watch->wake);
    free(watch);
}
