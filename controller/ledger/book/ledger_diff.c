/* What the rows of one resource lack or say too much; see ledger_advance.h. Pure. */
#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/ledger/book/ledger_advance.h"

void changes_release(struct changes *changes)
{
    free(changes->items);
    *changes = (struct changes){0};
}

static void add(struct changes *changes, bool closes, const struct segment *segment)
{
    if (changes->count == changes->cap) {
        changes->cap = changes->cap ? 2 * changes->cap : 16;
        changes->items = xrealloc(changes->items, changes->cap * sizeof(*changes->items));
    }
    changes->items[changes->count++] = (struct change){closes, *segment};
}

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_kind_and_start(const void *a, const void *b)
{
    const struct segment *left = a, *right = b;
    int order = compare(left->kind, right->kind);
    order = order ? order : compare(left->start_ms, right->start_ms);
    order = order ? order : compare(left->run, right->run);
    return order ? order : compare(left->key, right->key);
}

static bool same_thing(const struct segment *a, const struct segment *b)
{
    return a->kind == b->kind && a->start_ms == b->start_ms && a->origin_ms == b->origin_ms &&
           a->project_key == b->project_key && a->node_key == b->node_key &&
           a->flavor_key == b->flavor_key && a->run == b->run &&
           memcmp(a->amounts, b->amounts, sizeof(a->amounts)) == 0;
}

/* The row holds as it is, or with its end. */
static bool holds(const struct segment *row, const struct segment *wanted, int64_t from_ms)
{
    if (!same_thing(row, wanted))
        return false;
    if (row->open)
        return wanted->open || wanted->end_ms >= from_ms;
    return !wanted->open && row->end_ms == wanted->end_ms && row->verified == wanted->verified;
}

/* With the corrections of both: what was said until now, and that it is not so. */
static void take_back(const struct segment *row, int64_t from_ms, struct changes *changes)
{
    struct segment closed = *row;
    if (row->open) {
        closed.end_ms = from_ms;
        closed.open = false;
        closed.verified = true;
        add(changes, true, &closed);
    }
    struct segment reversal = closed;
    reversal.key = reversal.ordinal = 0;
    reversal.sign = -1;
    reversal.reverses = row->key;
    reversal.correction = true;
    reversal.corrects_until_ms = reversal.end_ms;
    add(changes, false, &reversal);
}

/* The two lists run side by side in one order; of several wanted with one start (there are none
 * in sound evidence) the first that fits is taken. */
static size_t find(const struct segments *want, const bool *used, const struct segment *row,
                   int64_t from_ms)
{
    size_t low = 0, high = want->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct segment *w = &want->items[middle];
        if (w->kind < row->kind || (w->kind == row->kind && w->start_ms < row->start_ms))
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < want->count && want->items[low].kind == row->kind &&
           want->items[low].start_ms == row->start_ms;
         low++) {
        if (!used[low] && holds(row, &want->items[low], from_ms))
            return low;
    }
    return want->count;
}

void ledger_diff(struct segments *have, struct segments *want, int64_t from_ms,
                 struct changes *ret_changes)
{
    autofree bool *used = xcalloc(want->count + 1, sizeof(*used));
    if (have->count)
        qsort(have->items, have->count, sizeof(*have->items), by_kind_and_start);
    if (want->count)
        qsort(want->items, want->count, sizeof(*want->items), by_kind_and_start);
    for (size_t i = 0; i < have->count; i++) {
        const struct segment *row = &have->items[i];
        size_t at = find(want, used, row, from_ms);
        if (at == want->count) {
            take_back(row, from_ms, ret_changes);
            continue;
        }
        used[at] = true;
        struct segment closed = want->items[at];
        closed.key = row->key;
        if (row->open && !closed.open)
            add(ret_changes, true, &closed);
    }
    for (size_t i = 0; i < want->count; i++) {
        if (used[i])
            continue;
        want->items[i].correction = want->items[i].start_ms < from_ms;
        want->items[i].corrects_until_ms = want->items[i].correction ? from_ms : 0;
        add(ret_changes, false, &want->items[i]);
    }
}
