/* What is due without anyone asking: deadlines of operations, leases of nodes, files of
 * images that nothing needs. One thread that sleeps until the next of them; it decides
 * nothing by itself but submits write jobs. */
#ifndef MINICLOUD_CONTROLLER_DUE_RECONCILE_H
#define MINICLOUD_CONTROLLER_DUE_RECONCILE_H

#include <stdint.h>

struct app;
struct err;
struct reconcile;

struct tx;

/* Inside a job: after COMMIT the operation's deadline counts. */
void reconcile_operation(struct reconcile *reconcile, struct tx *tx, int64_t key,
                         int64_t timeout_ms);
/* A report of this node came: its lease starts anew. */
void reconcile_node_seen(struct reconcile *reconcile, int64_t node_key);
void reconcile_node_removed(struct reconcile *reconcile, int64_t node_key);
/* Something was deleted: image files may be free. */
void reconcile_files(struct reconcile *reconcile);
/* The same, after a while: it failed. */
void reconcile_files_again(struct reconcile *reconcile);

/* Deadlines, leases, lost hosts. Started when writer and pool run; stopped before them. */
int reconcile_start(struct app *app, struct reconcile **ret_reconcile, struct err *err);
/* Ends the thread and its jobs; free comes when the writer has ended, whose jobs still tell it
 * of operations and reports. */
void reconcile_stop(struct reconcile *reconcile);
void reconcile_free(struct reconcile *reconcile);

#endif
