/* The thread that sleeps until something is due. Deadlines and leases run on
 * CLOCK_BOOTTIME and start in full with the process, so that its own absence counts
 * against nobody. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/due/reconcile_internal.h"
#include "controller/image/image.h"
#include "controller/instance/operation_rules.h"
#include "controller/placement/store_node.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

/* With the lock held: the thread must not sleep past this. */
static void not_later(struct reconcile *reconcile, int64_t due_ms)
{
    if (due_ms >= reconcile->sleeping_ms)
        return;
    reconcile->sleeping_ms = due_ms;
    pthread_cond_signal(&reconcile->wake);
}

static void look_for_files_at(struct reconcile *reconcile, int64_t due_ms)
{
    pthread_mutex_lock(&reconcile->lock);
    if (due_ms < reconcile->files_ms)
        reconcile->files_ms = due_ms;
    not_later(reconcile, due_ms);
    pthread_mutex_unlock(&reconcile->lock);
}

void reconcile_files(struct reconcile *reconcile)
{
    look_for_files_at(reconcile, 0);
}

void reconcile_files_again(struct reconcile *reconcile)
{
    look_for_files_at(reconcile, clock_boottime_ms() + RECONCILE_RETRY_MS);
}

/* ---- operations ---- */

struct opened {
    struct reconcile *reconcile;
    int64_t key, timeout_ms;
};

static void operation_counts(void *ctx)
{
    struct opened *opened = ctx;
    struct reconcile *reconcile = opened->reconcile;
    int64_t due_ms = clock_boottime_ms() + opened->timeout_ms;
    pthread_mutex_lock(&reconcile->lock);
    deadlines_add(&reconcile->operations, due_ms, opened->key);
    not_later(reconcile, due_ms);
    pthread_mutex_unlock(&reconcile->lock);
    free(opened);
}

void reconcile_operation(struct reconcile *reconcile, struct tx *tx, int64_t key,
                         int64_t timeout_ms)
{
    struct opened *opened = xmalloc(sizeof(*opened));
    *opened = (struct opened){.reconcile = reconcile, .key = key, .timeout_ms = timeout_ms};
    tx_after_commit(tx, operation_counts, opened, free);
}

void reconcile_operation_again(struct reconcile *reconcile, int64_t operation_key)
{
    int64_t due_ms = clock_boottime_ms() + RECONCILE_RETRY_MS;
    pthread_mutex_lock(&reconcile->lock);
    deadlines_add(&reconcile->operations, due_ms, operation_key);
    not_later(reconcile, due_ms);
    pthread_mutex_unlock(&reconcile->lock);
}

/* ---- leases ---- */

static size_t lease_slot(const struct reconcile *reconcile, int64_t node_key)
{
    size_t low = 0, high = reconcile->lease_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (reconcile->leases[middle].node_key < node_key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_lease(const struct reconcile *reconcile, size_t slot, int64_t node_key)
{
    return slot < reconcile->lease_count && reconcile->leases[slot].node_key == node_key;
}

static void renew(struct reconcile *reconcile, int64_t node_key, bool ended)
{
    size_t slot = lease_slot(reconcile, node_key);
    if (!has_lease(reconcile, slot, node_key)) {
        if (reconcile->lease_count == reconcile->lease_cap) {
            reconcile->lease_cap = reconcile->lease_cap ? 2 * reconcile->lease_cap : 16;
            reconcile->leases =
                xrealloc(reconcile->leases, reconcile->lease_cap * sizeof(*reconcile->leases));
        }
        memmove(&reconcile->leases[slot + 1], &reconcile->leases[slot],
                (reconcile->lease_count - slot) * sizeof(*reconcile->leases));
        reconcile->lease_count++;
    }
    reconcile->leases[slot] =
        (struct lease){.node_key = node_key, .seen_ms = clock_boottime_ms(), .ended = ended};
}

void reconcile_node_seen(struct reconcile *reconcile, int64_t node_key)
{
    pthread_mutex_lock(&reconcile->lock);
    renew(reconcile, node_key, false);
    not_later(reconcile, clock_boottime_ms() + reconcile->app->settings.node_lease_ms);
    pthread_mutex_unlock(&reconcile->lock);
}

void reconcile_silent_again(struct reconcile *reconcile, int64_t node_key)
{
    pthread_mutex_lock(&reconcile->lock);
    size_t slot = lease_slot(reconcile, node_key);
    if (has_lease(reconcile, slot, node_key)) {
        struct lease *lease = &reconcile->leases[slot];
        lease->ended = false;
        lease->retry_ms = clock_boottime_ms() + RECONCILE_RETRY_MS;
        not_later(reconcile, lease->retry_ms);
    }
    pthread_mutex_unlock(&reconcile->lock);
}

void reconcile_node_removed(struct reconcile *reconcile, int64_t node_key)
{
    pthread_mutex_lock(&reconcile->lock);
    size_t slot = lease_slot(reconcile, node_key);
    if (has_lease(reconcile, slot, node_key)) {
        reconcile->lease_count--;
        memmove(&reconcile->leases[slot], &reconcile->leases[slot + 1],
                (reconcile->lease_count - slot) * sizeof(*reconcile->leases));
    }
    pthread_mutex_unlock(&reconcile->lock);
}

bool reconcile_lease_over(struct reconcile *reconcile, int64_t node_key)
{
    pthread_mutex_lock(&reconcile->lock);
    size_t slot = lease_slot(reconcile, node_key);
    bool over = has_lease(reconcile, slot, node_key) &&
                clock_boottime_ms() - reconcile->leases[slot].seen_ms >=
                    reconcile->app->settings.node_lease_ms;
    pthread_mutex_unlock(&reconcile->lock);
    return over;
}

/* ---- the thread ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* With the lock held: one that is due, or 0; *ret_next: when the earliest of the rest ends. */
static int64_t take_ended_lease(struct reconcile *reconcile, int64_t now, int64_t *ret_next)
{
    *ret_next = INT64_MAX;
    for (size_t i = 0; i < reconcile->lease_count; i++) {
        struct lease *lease = &reconcile->leases[i];
        int64_t due =
            later(lease->seen_ms + reconcile->app->settings.node_lease_ms, lease->retry_ms);
        if (lease->ended)
            continue;
        if (due <= now) {
            lease->ended = true;
            return lease->node_key;
        }
        *ret_next = due < *ret_next ? due : *ret_next;
    }
    return 0;
}

static void end_operations(struct reconcile *reconcile, int64_t now)
{
    int64_t key;
    while (deadlines_take(&reconcile->operations, now, &key)) {
        pthread_mutex_unlock(&reconcile->lock);
        bool taken = reconcile_submit_deadline(reconcile, key);
        if (!taken)
            reconcile_operation_again(reconcile, key);
        pthread_mutex_lock(&reconcile->lock);
        if (!taken)
            return;
    }
}

static int64_t end_leases(struct reconcile *reconcile, int64_t now)
{
    int64_t next, node_key;
    while ((node_key = take_ended_lease(reconcile, now, &next))) {
        pthread_mutex_unlock(&reconcile->lock);
        if (!reconcile_submit_silent(reconcile, node_key))
            reconcile_silent_again(reconcile, node_key);
        pthread_mutex_lock(&reconcile->lock);
    }
    return next;
}

static void free_files(struct reconcile *reconcile, int64_t now)
{
    struct err auto_err err = {0};
    if (reconcile->files_ms > now)
        return;
    reconcile->files_ms = INT64_MAX;
    pthread_mutex_unlock(&reconcile->lock);
    if (image_reap(reconcile->app, &err) != 0) {
        log_warn("image.reap", "reason=\"%s\"", err.msg);
        reconcile_files_again(reconcile);
    }
    pthread_mutex_lock(&reconcile->lock);
}

static void seal_hours(struct reconcile *reconcile, int64_t now)
{
    if (reconcile->seal_ms > now)
        return;
    bool ever = reconcile->app->settings.seal_delay_ms > 0;
    reconcile->seal_ms = ever ? now + RECONCILE_SEAL_MS : INT64_MAX;
    if (!ever)
        return;
    pthread_mutex_unlock(&reconcile->lock);
    reconcile_submit_seal(reconcile);
    pthread_mutex_lock(&reconcile->lock);
}

void reconcile_seal_soon(struct reconcile *reconcile)
{
    pthread_mutex_lock(&reconcile->lock);
    reconcile->seal_ms = clock_boottime_ms();
    not_later(reconcile, reconcile->seal_ms);
    pthread_mutex_unlock(&reconcile->lock);
}

/* With the lock held; gives it up while it works. Returns when to look again. */
static int64_t look(struct reconcile *reconcile)
{
    int64_t now = clock_boottime_ms();
    end_operations(reconcile, now);
    int64_t next = end_leases(reconcile, now);
    free_files(reconcile, now);
    seal_hours(reconcile, now);
    next = earlier(next, deadlines_next(&reconcile->operations));
    next = earlier(next, reconcile->seal_ms);
    return earlier(next, reconcile->files_ms);
}

/* CLOCK_MONOTONIC is what condition variables know; it differs from CLOCK_BOOTTIME only by
 * sleep of the machine, after which it looks again within the same time. */
static void sleep_until(struct reconcile *reconcile)
{
    struct timespec at;
    int64_t wait_ms = reconcile->sleeping_ms - clock_boottime_ms();
    if (wait_ms <= 0)
        return;
    if (reconcile->sleeping_ms == INT64_MAX) {
        pthread_cond_wait(&reconcile->wake, &reconcile->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += wait_ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&reconcile->wake, &reconcile->lock, &at);
}

static void *reconcile_main(void *ctx)
{
    struct reconcile *reconcile = ctx;
    pthread_mutex_lock(&reconcile->lock);
    while (!reconcile->stop) {
        /* Whoever adds something while we look lowers this; the earlier of both counts. */
        reconcile->sleeping_ms = INT64_MAX;
        int64_t next = look(reconcile);
        reconcile->sleeping_ms = earlier(reconcile->sleeping_ms, next);
        while (!reconcile->stop && clock_boottime_ms() < reconcile->sleeping_ms)
            sleep_until(reconcile);
    }
    pthread_mutex_unlock(&reconcile->lock);
    return NULL;
}

/* ---- life ---- */

static void load_operation(void *ctx, int64_t key, int64_t timeout_ms)
{
    struct reconcile *reconcile = ctx;
    deadlines_add(&reconcile->operations, clock_boottime_ms() + timeout_ms, key);
}

static void load_lease(void *ctx, int64_t node_key, bool silent)
{
    renew(ctx, node_key, silent);
}

int reconcile_start(struct app *app, struct reconcile **ret_reconcile, struct err *err)
{
    struct reconcile *reconcile = xcalloc(1, sizeof(*reconcile));
    reconcile->app = app;
    reconcile->sleeping_ms = INT64_MAX;
    reconcile->files_ms = 0;
    reconcile->seal_ms = clock_boottime_ms() + RECONCILE_SEAL_MS;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&reconcile->lock, NULL);
    pthread_cond_init(&reconcile->wake, &attr);
    pthread_cond_init(&reconcile->quiet, NULL);
    pthread_condattr_destroy(&attr);
    struct db *db = app_reader(app);
    int rc = store_operation_all_running(db, load_operation, reconcile, err);
    if (rc == 0)
        rc = store_node_keys(db, load_lease, reconcile, err);
    if (rc == 0 && pthread_create(&reconcile->thread, NULL, reconcile_main, reconcile) != 0)
        rc = err_errno(err, "cannot start the reconcile thread");
    if (rc != 0) {
        reconcile_free(reconcile);
        return -1;
    }
    *ret_reconcile = reconcile;
    return 0;
}

void reconcile_stop(struct reconcile *reconcile)
{
    pthread_mutex_lock(&reconcile->lock);
    reconcile->stop = true;
    pthread_cond_signal(&reconcile->wake);
    pthread_mutex_unlock(&reconcile->lock);
    pthread_join(reconcile->thread, NULL);
    pthread_mutex_lock(&reconcile->lock);
    while (reconcile->jobs > 0)
        pthread_cond_wait(&reconcile->quiet, &reconcile->lock);
    pthread_mutex_unlock(&reconcile->lock);
}

void reconcile_free(struct reconcile *reconcile)
{
    if (!reconcile)
        return;
    pthread_mutex_destroy(&reconcile->lock);
    pthread_cond_destroy(&reconcile->wake);
    pthread_cond_destroy(&reconcile->quiet);
    deadlines_release(&reconcile->operations);
    free(reconcile->leases);
    free(reconcile);
}
