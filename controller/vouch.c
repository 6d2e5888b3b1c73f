/* Pairs of clocks, and the lines that they should lie on; see vouch.h. */
#include "controller/vouch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/clock.h"
#include "api/err.h"
#include "api/mem.h"
#include "api/types.h"
#include "controller/evidence.h"
#include "controller/meta.h"
#include "controller/store_segment.h"
#include "controller/vouch_set.h"
#include "controller/writer.h"

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

/* ---- what was written down: "<boot id> <number> <number>" ---- */

struct noted {
    char boot_id[HOST_WORD_MAX];
    int64_t a, b;
};

static int note_read(struct db *db, const char *name, struct noted *ret_noted, struct err *err)
{
    autofree char *text = NULL;
    *ret_noted = (struct noted){0};
    if (meta_get(db, name, &text, err) != 0)
        return -1;
    if (text && sscanf(text, "%63s %" SCNd64 " %" SCNd64, ret_noted->boot_id, &ret_noted->a,
                       &ret_noted->b) != 3)
        *ret_noted = (struct noted){0};
    return 0;
}

static int note_write(struct tx *tx, const char *name, const struct noted *noted, struct err *err)
{
    autofree char *text = xasprintf("%s %" PRId64 " %" PRId64, noted->boot_id, noted->a, noted->b);
    return meta_set(tx, name, text, err);
}

static const char line_name[] = "clock.line"; /* its second number: the boot's order */

int vouchers_load(struct vouchers *v, struct db *db, struct err *err)
{
    struct noted noted;
    char boot_id[BOOT_ID_MAX];
    clock_boot_id(boot_id);
    if (note_read(db, line_name, &noted, err) != 0)
        return -1;
    bool same = strcmp(noted.boot_id, boot_id) == 0;
    pthread_mutex_lock(&v->lock);
    if (same)
        v->line_ms = noted.a;
    if (same || v->boot_order <= noted.b)
        v->boot_order = same ? noted.b : noted.b + 1;
    pthread_mutex_unlock(&v->lock);
    return 0;
}

int vouchers_keep(struct vouchers *v, struct tx *tx, struct err *err)
{
    struct noted noted = {.a = vouchers_line(v), .b = vouchers_boot_order(v)};
    char boot_id[BOOT_ID_MAX];
    clock_boot_id(boot_id);
    snprintf(noted.boot_id, sizeof(noted.boot_id), "%s", boot_id);
    return note_write(tx, line_name, &noted, err);
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

/* ---- steps ---- */

static void step_name(char name[64], int64_t node_key)
{
    snprintf(name, 64, "clock.step.%" PRId64, node_key);
}

static bool stepped(int64_t by_ms, int64_t confirmed_ms)
{
    int64_t off = by_ms - confirmed_ms;
    return off > VOUCH_STEP_MS || off < -VOUCH_STEP_MS;
}

/* How far its clock is from its line, and its line from ours. A boot of which there is no
 * evidence has no line, and nothing to hold up. */
static int steps_of(struct vouchers *v, struct evidence *evidence, const struct voucher *voucher,
                    struct noted *ret_steps, struct err *err)
{
    const struct boot *boot = evidence_boot(evidence, voucher->node_key, voucher->boot_id, err);
    if (!boot)
        return -1;
    *ret_steps = (struct noted){0};
    snprintf(ret_steps->boot_id, sizeof(ret_steps->boot_id), "%s", voucher->boot_id);
    if (boot->line_ms == 0)
        return 0;
    ret_steps->a = voucher->wall_ms - voucher->boottime_ms - boot->line_ms;
    ret_steps->b = boot->line_ms + voucher->boottime_ms - (vouchers_line(v) + voucher->own_ms);
    return 0;
}

static int own_steps(struct vouchers *v, struct noted *ret_steps)
{
    char boot_id[BOOT_ID_MAX];
    clock_boot_id(boot_id);
    *ret_steps = (struct noted){.a = clock_wall_ms() - clock_boottime_ms() - vouchers_line(v)};
    snprintf(ret_steps->boot_id, sizeof(ret_steps->boot_id), "%s", boot_id);
    return 0;
}

/* 1: not confirmed. */
static int judge(struct db *db, int64_t node_key, const struct noted *steps, struct held *ret_held,
                 struct err *err)
{
    struct noted confirmed;
    char name[64];
    step_name(name, node_key);
    if (note_read(db, name, &confirmed, err) != 0)
        return -1;
    if (strcmp(confirmed.boot_id, steps->boot_id) != 0)
        confirmed = (struct noted){0};
    *ret_held = (struct held){.node_key = node_key, .step_ms = steps->a};
    if (stepped(steps->a, confirmed.a))
        return 1;
    ret_held->step_ms = steps->b;
    ret_held->against_own = true;
    return stepped(steps->b, confirmed.b);
}

static const char away_name[] = "clock.away"; /* "confirmed <UTC by our line> 0" */

/* Since the last seal, or since somebody confirmed that so much time has passed. */
static int was_away(struct vouchers *v, struct db *db, struct held *ret_held, struct err *err)
{
    struct seal last;
    struct noted confirmed;
    int known = store_seal_last(db, &last, err);
    if (known <= 0 || note_read(db, away_name, &confirmed, err) != 0)
        return known < 0 ? -1 : 0;
    int64_t since = confirmed.a > last.until_ms ? confirmed.a : last.until_ms;
    int64_t away = vouchers_now(v) - since;
    *ret_held = (struct held){.step_ms = away, .against_own = true};
    return away > VOUCH_AWAY_DAYS * 24LL * 3600 * 1000;
}

static const char held_name[] = "clock.held"; /* "<word> <node key> <step>" */

int vouchers_note_held(struct tx *tx, const struct held *held, struct err *err)
{
    struct noted noted = {.a = held->node_key, .b = held->step_ms};
    snprintf(noted.boot_id, sizeof(noted.boot_id), "%s", held->against_own ? "line" : "step");
    return note_write(tx, held_name, &noted, err);
}

static int noted_held(struct db *db, struct held *ret_held, struct err *err)
{
    struct noted noted;
    if (note_read(db, held_name, &noted, err) != 0)
        return -1;
    *ret_held = (struct held){noted.a, noted.b, strcmp(noted.boot_id, "line") == 0};
    return noted.boot_id[0] != 0;
}

int vouchers_held(struct vouchers *v, struct db *db, struct evidence *evidence,
                  struct held *ret_held, struct err *err)
{
    struct noted steps;
    size_t count;
    int known = noted_held(db, ret_held, err);
    if (known != 0)
        return known;
    autofree struct voucher *all = vouchers_all(v, &count);
    own_steps(v, &steps);
    int rc = judge(db, 0, &steps, ret_held, err);
    if (rc == 0)
        rc = was_away(v, db, ret_held, err);
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (steps_of(v, evidence, &all[i], &steps, err) != 0)
            return -1;
        rc = judge(db, all[i].node_key, &steps, ret_held, err);
    }
    return rc;
}

/* ---- what an operator says ---- */

static int take_line(struct tx *tx, const struct voucher *voucher, struct err *err)
{
    return evidence_witness(tx,
                            &(struct witnessed){.kind = OBS_CLOCK,
                                                .node_key = voucher->node_key,
                                                .boot_id = voucher->boot_id,
                                                .boottime_ms = voucher->boottime_ms,
                                                .wall_ms = voucher->wall_ms},
                            err);
}

/* 1: a noted hold was this machine's, and is no more. */
static int release(struct tx *tx, int64_t node_key, struct err *err)
{
    struct held held;
    int known = noted_held(tx->db, &held, err);
    if (known <= 0 || held.node_key != node_key)
        return known < 0 ? -1 : 0;
    return meta_set(tx, held_name, "", err) == 0 ? 1 : -1;
}

static int confirm(struct tx *tx, int64_t node_key, struct noted *steps, struct err *err)
{
    char name[64];
    step_name(name, node_key);
    if (release(tx, node_key, err) < 0)
        return -1;
    return note_write(tx, name, steps, err);
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

static int confirm_own(struct vouchers *v, struct tx *tx, bool take, struct err *err)
{
    struct noted steps;
    own_steps(v, &steps);
    if (take) {
        struct voucher own = {.boottime_ms = clock_boottime_ms()};
        own.wall_ms = clock_wall_ms();
        snprintf(own.boot_id, sizeof(own.boot_id), "%s", steps.boot_id);
        steps.a = 0;
        struct noted line = {.a = own.wall_ms - own.boottime_ms, .b = vouchers_boot_order(v)};
        snprintf(line.boot_id, sizeof(line.boot_id), "%s", steps.boot_id);
        if (take_line(tx, &own, err) != 0 || note_write(tx, line_name, &line, err) != 0)
            return -1;
        struct new_line *new = xmalloc(sizeof(*new));
        *new = (struct new_line){v, line.a};
        tx_after_commit(tx, set_line, new, free);
    }
    struct noted away = {.boot_id = "confirmed", .a = vouchers_now(v)};
    if (note_write(tx, away_name, &away, err) != 0)
        return -1;
    return confirm(tx, 0, &steps, err);
}

int vouchers_confirm(struct vouchers *v, struct tx *tx, int64_t node_key, bool take,
                     struct err *err)
{
    struct voucher voucher;
    struct noted steps;
    int64_t last;
    uint8_t chain[SHA256_BYTES];
    if (node_key == 0)
        return confirm_own(v, tx, take, err);
    if (!vouchers_find(v, node_key, &voucher)) {
        int released = take ? 0 : release(tx, node_key, err);
        if (released != 0)
            return released < 0 ? -1 : 0;
        return err_set(err, ERR_CONFLICT,
                       "the node is not heard from: its clock cannot be confirmed now");
    }
    if (take && take_line(tx, &voucher, err) != 0)
        return -1;
    if (evidence_head(tx->db, &last, chain, err) != 0)
        return -1;
    struct evidence *evidence = evidence_at(tx->db, last, 0, NULL, NULL);
    int rc = steps_of(v, evidence, &voucher, &steps, err);
    evidence_free(evidence);
    return rc != 0 ? -1 : confirm(tx, node_key, &steps, err);
}
