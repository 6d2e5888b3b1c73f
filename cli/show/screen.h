/* Where output goes and what it goes to. A struct, so that tests can look. */
#ifndef MINICLOUD_CLI_SHOW_SCREEN_H
#define MINICLOUD_CLI_SHOW_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

struct screen {
    FILE *in, *out, *err;
    bool in_tty, out_tty, err_tty;
    int width; /* columns of the terminal; only used when out_tty */
};

#endif
