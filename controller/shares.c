/* A short list: only tokens that watch now are in it. */
#include "controller/shares.h"

#include <pthread.h>
#include <stdlib.h>

#include "api/err.h"
#include "api/limits.h"
#include "api/mem.h"
#include "controller/request.h"

struct share {
    int64_t key;
    int count;
};

struct shares {
    pthread_mutex_t lock;
    struct share *items;
    size_t count, cap;
};

struct shares *shares_new(void)
{
    struct shares *shares = xcalloc(1, sizeof(*shares));
    pthread_mutex_init(&shares->lock, NULL);
    return shares;
}

void shares_free(struct shares *shares)
{
    if (!shares)
        return;
    pthread_mutex_destroy(&shares->lock);
    free(shares->items);
    free(shares);
}

static struct share *find(struct shares *shares, int64_t key)
{
    for (size_t i = 0; i < shares->count; i++) {
        if (shares->items[i].key == key)
            return &shares->items[i];
    }
    return NULL;
}

static struct share *add(struct shares *shares, int64_t key)
{
    if (shares->count == shares->cap) {
        shares->cap = shares->cap ? 2 * shares->cap : 16;
        shares->items = xrealloc(shares->items, shares->cap * sizeof(*shares->items));
    }
    shares->items[shares->count] = (struct share){.key = key};
    return &shares->items[shares->count++];
}

int shares_take(struct shares *shares, const struct caller *caller, int64_t *ret_key,
                struct err *err)
{
    *ret_key = 0;
    if (caller->project_key == 0)
        return 0;
    pthread_mutex_lock(&shares->lock);
    struct share *share = find(shares, caller->token_key);
    if (!share)
        share = add(shares, caller->token_key);
    bool room = share->count < LIMIT_TOKEN_WATCHERS;
    share->count += room;
    pthread_mutex_unlock(&shares->lock);
    if (!room)
        return err_set(err, ERR_TOO_MANY_REQUESTS,
                       "this token has %d event watchers open: close some, or share one",
                       LIMIT_TOKEN_WATCHERS);
    *ret_key = caller->token_key;
    return 0;
}

void shares_give(struct shares *shares, int64_t key)
{
    if (!key)
        return;
    pthread_mutex_lock(&shares->lock);
    struct share *share = find(shares, key);
    if (share && --share->count == 0)
        *share = shares->items[--shares->count];
    pthread_mutex_unlock(&shares->lock);
}
