/* Runs cloudctl's command lines in the test's own process and keeps what they print. */
#ifndef MINICLOUD_TESTS_CLI_HARNESS_H
#define MINICLOUD_TESTS_CLI_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/base/mem.h"
#include "cli/cli.h"
#include "tests/lib/guard.h"

struct ran {
    int code;
    char *out, *err;
};

static volatile bool cli_interrupted;

static inline void ran_release(struct ran *ran)
{
    free(ran->out);
    free(ran->err);
    *ran = (struct ran){0};
}
#define auto_ran __attribute__((cleanup(ran_release)))

/* Words are split at single spaces; "screen" says what is a terminal (streams are filled in). */
static inline struct ran run_on(struct screen screen, const char *input, const char *line)
{
    struct ran ran = {0};
    size_t out_len, err_len;
    autofree char *words = xstrdup(line);
    char *argv[64];
    int argc = 0;
    char *rest = words, *word;
    while ((word = strsep(&rest, " ")) && argc < 63)
        argv[argc++] = word;
    argv[argc] = NULL;
    autofree char *typed = xstrdup(*input ? input : "\n");
    screen.in = fmemopen(typed, strlen(typed), "r");
    screen.out = open_memstream(&ran.out, &out_len);
    screen.err = open_memstream(&ran.err, &err_len);
    ran.code = cli_run(argc, argv, &screen, &cli_interrupted);
    fclose(screen.in);
    fclose(screen.out);
    fclose(screen.err);
    return ran;
}

static inline struct ran run(const char *line)
{
    return run_on((struct screen){.width = 80}, "", line);
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* An environment in which nothing of the caller's is known; returns the folder. */
static inline char *clean_environment(const char *name)
{
    static const char *const variables[] = {"CLOUDCTL_URL", "CLOUDCTL_TOKEN", "CLOUDCTL_CONTEXT",
                                            "CLOUDCTL_PROJECT"};
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        unsetenv(variables[i]);
    char *dir = guard_tempdir(name);
    setenv("XDG_CONFIG_HOME", dir, 1);
    return dir;
}

#endif
