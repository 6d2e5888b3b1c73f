/* One run of cloudctl: where it prints, which controller it talks to, how it went. */
#ifndef MINICLOUD_CLI_REMOTE_SESSION_H
#define MINICLOUD_CLI_REMOTE_SESSION_H

#include <stdbool.h>

#include "cli/remote/context.h"
#include "cli/show/output.h"
#include "cli/show/screen.h"

struct args;
struct err;
struct http_client;

struct cli {
    struct screen screen;
    const struct args *args;
    struct output output;
    struct settings settings;
    struct http_client *client;       /* NULL until the first call */
    const volatile bool *interrupted; /* set by a signal handler; never NULL */
    int exit_code;                    /* of the first failure that was reported */
};

/* Resolves the settings and connects, once. */
int cli_connect(struct cli *cli, struct err *err);

/* Prints one error line about `target` (NULL: about the command itself): what, why, what
 * to try; keeps the exit code of the first; clears `err`. */
void cli_fail(struct cli *cli, const char *target, struct err *err);
/* Asks before what cannot be undone, on a terminal; without one --yes is needed. */
int cli_confirm(struct cli *cli, const struct args *args, struct err *err);
/* The same with a question of one's own. */
int cli_ask(struct cli *cli, const struct args *args, const char *question, struct err *err);

/* Progress on standard error, and only when that is a terminal: a line that the next call
 * rewrites, and a last one that stays. */
void cli_progress(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_done(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_progress_clear(struct cli *cli);

#endif
