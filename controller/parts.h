/* What app.c starts and stops of the modules above the core (hosts, reconcile, console,
 * network, image): their own headers say what they do. */
#ifndef MINICLOUD_CONTROLLER_PARTS_H
#define MINICLOUD_CONTROLLER_PARTS_H

#include <stdint.h>

#include "controller/tx/writer.h"

struct app;
struct console;
struct err;
struct hosts;
struct reconcile;
struct tx;

/* The placement table; writer.c calls the hooks. */
struct hosts *hosts_new(void);
void hosts_free(struct hosts *hosts);
extern const struct hosts_hooks hosts_hooks;

/* Deadlines, leases, lost hosts. Started when writer and pool run; stopped before them. */
int reconcile_start(struct app *app, struct reconcile **ret_reconcile, struct err *err);
/* Ends the thread and its jobs; free comes when the writer has ended, whose jobs still tell it
 * of operations and reports. */
void reconcile_stop(struct reconcile *reconcile);
void reconcile_free(struct reconcile *reconcile);

/* Console requests that wait for an agent. After stop none is taken, and the end of the watch
 * answers those that wait; free comes after the HTTP server has ended. */
struct console *console_new(struct app *app);
void console_stop(struct console *console);
void console_free(struct console *console);

/* At first start, in the transaction that makes the default project. */
int network_create_default(struct tx *tx, int64_t project_key, const char *cidr, struct err *err);

/* At start, before requests: removes what a half upload left behind. */
int image_start(struct app *app, struct err *err);

/* At start, before requests: our own line of time, and evidence that the images are there. */
int usage_start(struct app *app, struct err *err);
/* At the end, when nobody asks any more and the writer still runs: until when hosts vouched. */
void usage_stop(struct app *app);

#endif
