/* Error lines: what, why, and what to try. */
#ifndef MINICLOUD_CLI_SHOW_REPORT_H
#define MINICLOUD_CLI_SHOW_REPORT_H

#include <stdio.h>

struct args;
struct err;

/* One line "cloudctl: instance web1: not found. Try: cloudctl instance list", and below
 * it, indented, what else the problem document tells (such as each host's refusal). */
void report_error(const struct args *args, const char *target, const struct err *err, FILE *out);

#endif
