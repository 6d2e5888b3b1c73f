/* What is due without anyone asking. One thread that sleeps until the next of it; what is then
 * to be done is handed to it as a table of jobs, of which it knows no more than the rows say. */
#ifndef MINICLOUD_CONTROLLER_DUE_RECONCILE_H
#define MINICLOUD_CONTROLLER_DUE_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

struct app;
struct db;
struct err;
struct reconcile;
struct tx;

/* The rows of the table, for those who bring something that comes due. */
enum due {
    DUE_OPERATIONS, /* deadlines; by operation */
    DUE_NODES,      /* leases, renewed by each report; by node */
    DUE_FILES,      /* files of images that nothing needs: when something was deleted */
    DUE_SEAL,       /* whether an hour can be sealed: again and again */
    DUE_COUNT
};

enum due_mode {
    BY_DEADLINE, /* each key once, at its moment */
    BY_LEASE,    /* each key when it was not renewed for `every_ms` */
    BY_TICK,     /* `every_ms`, and when it is asked for; with none: once at the start, too */
};

struct due_job {
    enum due_mode mode;
    int64_t (*every_ms)(const struct app *app); /* NULL: none; INT64_MAX: never */
    /* At the start, before the thread runs: brings what there is already. NULL: nothing. */
    int (*load)(struct reconcile *reconcile, struct db *db, struct err *err);
    /* On the thread: does it, or submits a write job (reconcile_submit) that does; `key` of a
     * tick: 0. false: it could not, and stays due. */
    bool (*run)(struct app *app, int64_t key);
};

/* ---- bringing and asking; any thread ---- */

/* BY_DEADLINE: so much later. */
void reconcile_in(struct reconcile *reconcile, enum due due, int64_t key, int64_t timeout_ms);
/* The same inside a job: after COMMIT, from when the time counts. */
void reconcile_in_after(struct reconcile *reconcile, struct tx *tx, enum due due, int64_t key,
                        int64_t timeout_ms);
/* BY_LEASE: it starts anew; `ended`: at the start, one whose end was told before. */
void reconcile_renew(struct reconcile *reconcile, enum due due, int64_t key, bool ended);
void reconcile_remove(struct reconcile *reconcile, enum due due, int64_t key);
/* Whether it is still not renewed since it ended. */
bool reconcile_over(struct reconcile *reconcile, enum due due, int64_t key);
/* BY_TICK: now. */
void reconcile_now(struct reconcile *reconcile, enum due due);
/* It failed: after a while again, or with the next tick if there is one anyway. */
void reconcile_again(struct reconcile *reconcile, enum due due, int64_t key);

/* A write job of a row's `run`, with a `struct due_item *` as its ctx. One that fails is done
 * reconcile_again(). false: the writer takes none now. */
struct due_item {
    struct app *app;
    enum due due;
    int64_t key;
};
bool reconcile_submit(struct app *app, enum due due, int64_t key,
                      int (*run)(struct tx *tx, void *ctx, struct err *err));

/* ---- life ---- */

/* Started when writer and pool run; stopped before them. `jobs`: DUE_COUNT rows, borrowed.
 * *ret_reconcile is set before the first job runs. */
int reconcile_start(struct app *app, const struct due_job *jobs, struct reconcile **ret_reconcile,
                    struct err *err);
/* Ends the thread and its jobs; free comes when the writer has ended, whose jobs still tell it
 * of what is due. */
void reconcile_stop(struct reconcile *reconcile);
void reconcile_free(struct reconcile *reconcile);

#endif
