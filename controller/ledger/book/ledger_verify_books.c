/* The rows as verification sees them; see ledger_verify_internal.h. */
#include <stdlib.h>

#include "api/base/mem.h"
#include "controller/ledger/book/ledger_verify_internal.h"

/* ---- open rows ---- */

struct open_node {
    int64_t key;
    size_t rows;
};

/* Where it is, or belongs. */
static size_t node_place(const struct open_rows *open, int64_t node_key)
{
    size_t low = 0, high = open->node_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (open->nodes[middle].key < node_key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void count_node(struct open_rows *open, int64_t node_key)
{
    size_t at = node_place(open, node_key);
    if (at == open->node_count || open->nodes[at].key != node_key) {
        if (open->node_count == open->node_cap) {
            open->node_cap = open->node_cap ? 2 * open->node_cap : 16;
            open->nodes = xrealloc(open->nodes, open->node_cap * sizeof(*open->nodes));
        }
        for (size_t i = open->node_count++; i > at; i--)
            open->nodes[i] = open->nodes[i - 1];
        open->nodes[at] = (struct open_node){.key = node_key};
    }
    open->nodes[at].rows++;
}

void open_rows_add(struct open_rows *open, const struct segment *row)
{
    if (open->count == open->cap) {
        open->cap = open->cap ? 2 * open->cap : 1024;
        open->items = xrealloc(open->items, open->cap * sizeof(*open->items));
    }
    open->items[open->count++] = *row;
    count_node(open, row->node_key);
}

static struct segment *find(const struct open_rows *open, int64_t key)
{
    size_t low = 0, high = open->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (open->items[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < open->count && open->items[low].key == key && open->items[low].open
               ? &open->items[low]
               : NULL;
}

const struct segment *open_rows_find(const struct open_rows *open, int64_t key)
{
    return find(open, key);
}

void open_rows_close(struct open_rows *open, int64_t key)
{
    struct segment *row = find(open, key);
    if (!row)
        return;
    row->open = false;
    open->nodes[node_place(open, row->node_key)].rows--;
    open->closed = true;
}

void open_rows_settle(struct open_rows *open)
{
    size_t rows = 0, nodes = 0;
    if (!open->closed)
        return;
    for (size_t i = 0; i < open->count; i++) {
        if (open->items[i].open)
            open->items[rows++] = open->items[i];
    }
    for (size_t i = 0; i < open->node_count; i++) {
        if (open->nodes[i].rows)
            open->nodes[nodes++] = open->nodes[i];
    }
    open->count = rows;
    open->node_count = nodes;
    open->closed = false;
}

void open_rows_release(struct open_rows *open)
{
    free(open->items);
    free(open->nodes);
}

/* ---- the books ---- */

static int rows_of(void *ctx, int resource, int64_t resource_key, int64_t counted_from_ms,
                   struct segments *ret_rows, struct err *err)
{
    const struct verify *v = ctx;
    size_t first = ret_rows->count;
    struct segment_query query = {.seal_key = v->before.key,
                                  .last_key = v->segment_key,
                                  .until_ms = v->before.until_ms,
                                  .resource = resource,
                                  .resource_key = resource_key,
                                  .counted_from_ms = counted_from_ms};
    if (store_segment_live(v->db, &query, ret_rows, err) != 0)
        return -1;
    for (size_t i = first; i < ret_rows->count; i++) {
        const struct segment *open = find(&v->open, ret_rows->items[i].key);
        if (open)
            ret_rows->items[i] = *open;
    }
    return 0;
}

static int open_nodes(void *ctx, void (*each)(void *ctx, int64_t node_key), void *each_ctx,
                      struct err *err)
{
    const struct verify *v = ctx;
    (void)err;
    for (size_t i = 0; i < v->open.node_count; i++)
        each(each_ctx, v->open.nodes[i].key);
    return 0;
}

static int open_rows(void *ctx, int64_t node_key,
                     void (*each)(void *ctx, const struct segment *row), void *each_ctx,
                     struct err *err)
{
    const struct verify *v = ctx;
    (void)err;
    for (size_t i = 0; i < v->open.count; i++) {
        if (v->open.items[i].node_key == node_key)
            each(each_ctx, &v->open.items[i]);
    }
    return 0;
}

struct books verify_books(struct verify *v)
{
    return (struct books){v, rows_of, open_nodes, open_rows};
}
