/* Pairs of clocks, and the lines that they should lie on; see vouch.h. */
#include "controller/ledger/evidence/vouch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/ledger/evidence/vouch_set.h"
#include "controller/tx/meta.h"
#include "controller/tx/writer.h"

struct vouchers {
    pthread_mutex_t lock;
    int64_t line_ms;    /* our own: UTC of our boottime 0 */
    int64_t boot_order; /* of our boot */
    struct voucher *items;
    size_t count, cap;
    struct vouch_sets *sets;
};

struct vouchers *vouchers_new(void)
{
    struct vouchers *v = xcalloc(1, sizeof(*v));
    pthread_mutex_init(&v->lock, NULL);
    v->sets = vouch_sets_new();
    v->line_ms = v->boot_order = clock_wall_ms() - clock_boottime_ms();
    return v;
}

void vouchers_free(struct vouchers *v)
{
    if (!v)
        return;
    pthread_mutex_destroy(&v->lock);
    vouch_sets_free(v->sets);
    free(v->items);
    free(v);
}

int64_t vouchers_line(struct vouchers *v)
{
    pthread_mutex_lock(&v->lock);
    int64_t line = v->line_ms;
    pthread_mutex_unlock(&v->lock);
    return line;
}

int64_t vouchers_boot_order(struct vouchers *v)
{
    pthread_mutex_lock(&v->lock);
    int64_t order = v->boot_order;
    pthread_mutex_unlock(&v->lock);
    return order;
}

int64_t vouchers_now(struct vouchers *v)
{
    return vouchers_line(v) + clock_boottime_ms();
}

int64_t tx_utc(const struct tx *tx)
{
    return tx->vouchers ? vouchers_now(tx->vouchers) : tx->now_ms;
}

/* ---- our own line ---- */

/* "<our boot> <its line> <its order>" */
static const char line_name[] = "clock.line";

int vouchers_load(struct vouchers *v, struct db *db, struct err *err)
{
    autofree char *text = NULL;
    char boot_id[BOOT_ID_MAX], noted[HOST_WORD_MAX];
    int64_t line_ms, order;
    clock_boot_id(boot_id);
    if (meta_get(db, line_name, &text, err) != 0)
        return -1;
    if (!text || sscanf(text, "%63s %" SCNd64 " %" SCNd64, noted, &line_ms, &order) != 3)
        return 0;
    bool same = strcmp(noted, boot_id) == 0;
    pthread_mutex_lock(&v->lock);
    if (same)
        v->line_ms = line_ms;
    if (same || v->boot_order <= order)
        v->boot_order = same ? order : order + 1;
    pthread_mutex_unlock(&v->lock);
    return 0;
}

static int write_line(struct vouchers *v, struct tx *tx, int64_t line_ms, struct err *err)
{
    char boot_id[BOOT_ID_MAX];
    clock_boot_id(boot_id);
    autofree char *text =
        xasprintf("%s %" PRId64 " %" PRId64, boot_id, line_ms, vouchers_boot_order(v));
    return meta_set(tx, line_name, text, err);
}

int vouchers_keep(struct vouchers *v, struct tx *tx, struct err *err)
{
    return write_line(v, tx, vouchers_line(v), err);
}

struct new_line {
    struct vouchers *vouchers;
    int64_t line_ms;
};

static void set_line(void *ctx)
{
    struct new_line *new = ctx;
    pthread_mutex_lock(&new->vouchers->lock);
    new->vouchers->line_ms = new->line_ms;
    pthread_mutex_unlock(&new->vouchers->lock);
    free(new);
}

int vouchers_take_line(struct vouchers *v, struct tx *tx, int64_t line_ms, struct err *err)
{
    struct new_line *new = xmalloc(sizeof(*new));
    *new = (struct new_line){v, line_ms};
    tx_after_commit(tx, set_line, new, free);
    return write_line(v, tx, line_ms, err);
}

/* ---- hosts ---- */

static struct voucher *find(struct vouchers *v, int64_t node_key)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->items[i].node_key == node_key)
            return &v->items[i];
    }
    return NULL;
}

void vouchers_heard(struct vouchers *v, const struct voucher *voucher)
{
    pthread_mutex_lock(&v->lock);
    struct voucher *slot = find(v, voucher->node_key);
    if (!slot) {
        if (v->count == v->cap) {
            v->cap = v->cap ? 2 * v->cap : 16;
            v->items = xrealloc(v->items, v->cap * sizeof(*v->items));
        }
        slot = &v->items[v->count++];
    }
    *slot = *voucher;
    pthread_mutex_unlock(&v->lock);
}

void vouchers_lost(struct vouchers *v, int64_t node_key)
{
    pthread_mutex_lock(&v->lock);
    struct voucher *slot = find(v, node_key);
    if (slot)
        *slot = v->items[--v->count];
    pthread_mutex_unlock(&v->lock);
}

bool vouchers_find(struct vouchers *v, int64_t node_key, struct voucher *ret_voucher)
{
    pthread_mutex_lock(&v->lock);
    const struct voucher *slot = find(v, node_key);
    if (slot)
        *ret_voucher = *slot;
    pthread_mutex_unlock(&v->lock);
    return slot != NULL;
}

struct vouch_sets *vouchers_sets(struct vouchers *v)
{
    return v->sets;
}

struct voucher *vouchers_all(struct vouchers *v, size_t *ret_count)
{
    pthread_mutex_lock(&v->lock);
    struct voucher *copy = xcalloc(v->count + 1, sizeof(*copy));
    if (v->count)
        memcpy(copy, v->items, v->count * sizeof(*copy));
    *ret_count = v->count;
    pthread_mutex_unlock(&v->lock);
    return copy;
}
