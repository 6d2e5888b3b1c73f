/* Start and stop of the program: made by main and by tests. */
#ifndef MINICLOUD_CONTROLLER_APP_H
#define MINICLOUD_CONTROLLER_APP_H

#include "controller/world.h"

/* Takes the lock, opens or makes the database, starts all threads and listens. The settings
 * are taken over on success and on failure. */
int app_start(struct settings *settings, struct app **ret_app, struct err *err);
/* Answers what waits, commits what is queued, and frees. */
void app_stop(struct app *app);

/* What is made at the first start (bootstrap.c): epoch, default project, flavors, network,
 * tokens. Later starts only make sure that there is an operator's token. */
int bootstrap(struct app *app, struct err *err);
/* The local commands, while no controller runs: a new admin token in place of the old one; and
 * a new cloud in a folder whose database is lost, at the next start. */
int admin_token_replace(const struct settings *settings, struct err *err);
int new_cloud(const struct settings *settings, struct err *err);
void settings_release(struct settings *settings);

#endif
