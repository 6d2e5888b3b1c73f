/* cloudctl, from the command line to the exit code. */
#ifndef MINICLOUD_CLI_CLI_H
#define MINICLOUD_CLI_CLI_H

#include <stdbool.h>

#include "cli/show/screen.h"

/* Runs a command line; returns the exit code. */
int cli_run(int argc, char *const argv[], const struct screen *screen,
            const volatile bool *interrupted);

#endif
