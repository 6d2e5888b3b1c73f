/* Sets of boots by their content; see vouch_set.h. */
#include "controller/ledger/evidence/vouch_set.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/id.h"
#include "api/base/mem.h"

enum { KEPT = 64 };

struct vouch_set {
    _Atomic int refs;
    int64_t number;
    int64_t used, until_ms; /* under the lock */
    size_t count;
    struct vouched items[]; /* in the order of their nodes */
};

struct vouch_sets {
    pthread_mutex_t lock;
    struct vouch_set *kept[KEPT];
    int64_t uses;
};

struct vouch_sets *vouch_sets_new(void)
{
    struct vouch_sets *sets = xcalloc(1, sizeof(*sets));
    pthread_mutex_init(&sets->lock, NULL);
    return sets;
}

void vouch_sets_free(struct vouch_sets *sets)
{
    if (!sets)
        return;
    for (int i = 0; i < KEPT; i++)
        vouch_set_unref(sets->kept[i]);
    pthread_mutex_destroy(&sets->lock);
    free(sets);
}

void vouch_set_unref(const struct vouch_set *set)
{
    struct vouch_set *own = (struct vouch_set *)(uintptr_t)set;
    if (own && --own->refs == 0)
        free(own);
}

static int by_node(const void *a, const void *b)
{
    const struct vouched *left = a, *right = b;
    return left->node_key < right->node_key ? -1 : left->node_key > right->node_key;
}

/* Of 63 bits: no two sets that one controller meets will have the same. */
static int64_t number_of(const struct vouch_set *set)
{
    uint8_t hash[SHA256_BYTES];
    uint64_t number;
    struct sha256_stream *stream = sha256_new();
    for (size_t i = 0; i < set->count; i++) {
        sha256_update(stream, &set->items[i].node_key, sizeof(set->items[i].node_key));
        sha256_update(stream, set->items[i].boot_id, strlen(set->items[i].boot_id) + 1);
    }
    sha256_finish(stream, hash);
    memcpy(&number, hash, sizeof(number));
    return (int64_t)(number >> 1 ? number >> 1 : 1);
}

/* With the lock held: where it is kept, or else the place of the one not used for longest. */
static struct vouch_set **place_of(struct vouch_sets *sets, int64_t number)
{
    struct vouch_set **place = &sets->kept[0];
    for (int i = 0; i < KEPT; i++) {
        struct vouch_set *set = sets->kept[i];
        if (set && set->number == number)
            return &sets->kept[i];
        if (*place && (!set || set->used < (*place)->used))
            place = &sets->kept[i];
    }
    return place;
}

int64_t vouch_sets_put(struct vouch_sets *sets, const struct vouched *items, size_t count,
                       int64_t until_ms)
{
    struct vouch_set *set = xcalloc(1, sizeof(*set) + count * sizeof(*items));
    set->refs = 1;
    set->count = count;
    if (count) {
        memcpy(set->items, items, count * sizeof(*items));
        qsort(set->items, count, sizeof(*items), by_node);
    }
    int64_t number = set->number = number_of(set);
    pthread_mutex_lock(&sets->lock);
    struct vouch_set **place = place_of(sets, number);
    if (!*place || (*place)->number != number) {
        vouch_set_unref(*place);
        *place = take(set);
    }
    (*place)->used = ++sets->uses;
    if ((*place)->until_ms < until_ms)
        (*place)->until_ms = until_ms;
    pthread_mutex_unlock(&sets->lock);
    vouch_set_unref(set);
    return number;
}

const struct vouch_set *vouch_sets_get(struct vouch_sets *sets, int64_t number, int64_t until_ms)
{
    pthread_mutex_lock(&sets->lock);
    struct vouch_set *set = *place_of(sets, number);
    if (set && (set->number != number || set->until_ms < until_ms))
        set = NULL;
    if (set) {
        set->used = ++sets->uses;
        set->refs++;
    }
    pthread_mutex_unlock(&sets->lock);
    return set;
}

bool vouch_set_has(const struct vouch_set *set, int64_t node_key, const char *boot_id)
{
    const struct vouched asked = {.node_key = node_key};
    const struct vouched *found =
        bsearch(&asked, set->items, set->count, sizeof(set->items[0]), by_node);
    return found && strcmp(found->boot_id, boot_id) == 0;
}

void vouch_set_each(const struct vouch_set *set,
                    void (*each)(void *ctx, int64_t node_key, const char *boot_id), void *ctx)
{
    for (size_t i = 0; i < set->count; i++)
        each(ctx, set->items[i].node_key, set->items[i].boot_id);
}
