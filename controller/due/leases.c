/* Leases in an array that is sorted by key. */
#include "controller/due/leases.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"

struct lease {
    int64_t key;
    int64_t seen_ms;  /* of the last renewal */
    bool ended;       /* a job to say so is on its way, or done */
    int64_t retry_ms; /* one failed: not again before this; 0: none did */
};

void leases_release(struct leases *leases)
{
    free(leases->items);
    *leases = (struct leases){0};
}

/* Where it is, or would be put. */
static size_t slot_of(const struct leases *leases, int64_t key)
{
    size_t low = 0, high = leases->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (leases->items[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct lease *find(const struct leases *leases, int64_t key)
{
    size_t slot = slot_of(leases, key);
    return slot < leases->count && leases->items[slot].key == key ? &leases->items[slot] : NULL;
}

static struct lease *insert(struct leases *leases, int64_t key)
{
    size_t slot = slot_of(leases, key);
    if (leases->count == leases->cap) {
        leases->cap = leases->cap ? 2 * leases->cap : 16;
        leases->items = xrealloc(leases->items, leases->cap * sizeof(*leases->items));
    }
    memmove(&leases->items[slot + 1], &leases->items[slot],
            (leases->count - slot) * sizeof(*leases->items));
    leases->count++;
    return &leases->items[slot];
}

void leases_renew(struct leases *leases, int64_t key, int64_t now_ms, bool ended)
{
    struct lease *lease = find(leases, key);
    if (!lease)
        lease = insert(leases, key);
    *lease = (struct lease){.key = key, .seen_ms = now_ms, .ended = ended};
}

void leases_remove(struct leases *leases, int64_t key)
{
    struct lease *lease = find(leases, key);
    if (!lease)
        return;
    leases->count--;
    size_t behind = leases->count - (size_t)(lease - leases->items);
    memmove(lease, lease + 1, behind * sizeof(*lease));
}

bool leases_retry(struct leases *leases, int64_t key, int64_t retry_ms)
{
    struct lease *lease = find(leases, key);
    if (!lease)
        return false;
    lease->ended = false;
    lease->retry_ms = retry_ms;
    return true;
}

bool leases_over(const struct leases *leases, int64_t key, int64_t now_ms, int64_t term_ms)
{
    const struct lease *lease = find(leases, key);
    return lease && now_ms - lease->seen_ms >= term_ms;
}

int64_t leases_take(struct leases *leases, int64_t now_ms, int64_t term_ms, int64_t *ret_next)
{
    *ret_next = INT64_MAX;
    for (size_t i = 0; i < leases->count; i++) {
        struct lease *lease = &leases->items[i];
        int64_t end_ms = lease->seen_ms + term_ms;
        int64_t due_ms = end_ms > lease->retry_ms ? end_ms : lease->retry_ms;
        if (lease->ended)
            continue;
        if (due_ms <= now_ms) {
            lease->ended = true;
            return lease->key;
        }
        *ret_next = due_ms < *ret_next ? due_ms : *ret_next;
    }
    return 0;
}
