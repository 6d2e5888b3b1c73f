/* A binary heap. */
#include "controller/wait/deadlines.h"

#include <stdlib.h>

#include "api/base/mem.h"

void deadlines_add(struct deadlines *deadlines, int64_t due_ms, int64_t key)
{
    if (deadlines->count == deadlines->cap) {
        deadlines->cap = deadlines->cap ? 2 * deadlines->cap : 64;
        deadlines->items = xrealloc(deadlines->items, deadlines->cap * sizeof(*deadlines->items));
    }
    struct deadline *items = deadlines->items;
    size_t at = deadlines->count++;
    for (; at > 0 && items[(at - 1) / 2].due_ms > due_ms; at = (at - 1) / 2)
        items[at] = items[(at - 1) / 2];
    items[at] = (struct deadline){.due_ms = due_ms, .key = key};
}

int64_t deadlines_next(const struct deadlines *deadlines)
{
    return deadlines->count ? deadlines->items[0].due_ms : INT64_MAX;
}

bool deadlines_take(struct deadlines *deadlines, int64_t now_ms, int64_t *ret_key)
{
    if (!deadlines->count || deadlines->items[0].due_ms > now_ms)
        return false;
    struct deadline *items = deadlines->items;
    *ret_key = items[0].key;
    struct deadline last = items[--deadlines->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < deadlines->count && items[child + 1].due_ms < items[child].due_ms)
            child++;
        if (child >= deadlines->count || items[child].due_ms >= last.due_ms)
            break;
        items[at] = items[child];
        at = child;
    }
    items[at] = last;
    return true;
}

void deadlines_release(struct deadlines *deadlines)
{
    free(deadlines->items);
    *deadlines = (struct deadlines){0};
}
