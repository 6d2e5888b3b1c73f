/* The command line, read by the table: noun, verb, targets, options. Options may
 * stand anywhere; `--` ends them; the last of a repeated single option counts. */
#ifndef MINICLOUD_CLI_LINE_ARGS_H
#define MINICLOUD_CLI_LINE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/line/command.h"

struct given {
    const struct option *option;
    const char *text; /* borrowed from argv; NULL for a flag */
    int64_t number;   /* of INT, SIZE (in units), SECONDS, TIME, MONEY, YES_NO */
};

struct args {
    const struct noun *noun; /* NULL: none was given */
    const struct verb *verb;
    const char **targets;
    size_t target_count;
    struct given *given;
    size_t given_count;
    bool help;
};

/* On error (ERR_USAGE) noun and verb are set as far as they were understood. */
int args_parse(int argc, char *const argv[], struct args *ret_args, struct err *err);
void args_release(struct args *args);
#define auto_args __attribute__((cleanup(args_release)))

/* The last one given by that name; NULL when there is none. */
const struct given *args_given(const struct args *args, const char *name);
bool args_has(const struct args *args, const char *name);
const char *args_text(const struct args *args, const char *name);
int64_t args_number(const struct args *args, const char *name, int64_t fallback);

/* The option of a verb (NULL: a global one) by long name or letter. */
const struct option *option_find(const struct verb *verb, const char *name, size_t len);
const struct option *option_find_letter(const struct verb *verb, char letter);
/* Judges one value; fills `ret_number` for the types that count. */
int option_value(const struct option *option, const char *text, int64_t *ret_number,
                 struct err *err);

/* Calls `each` for each non-empty piece between commas; stops at -1. */
int list_each(const char *text, int (*each)(void *ctx, const char *piece, size_t len), void *ctx);

#endif
