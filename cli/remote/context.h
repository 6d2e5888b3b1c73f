/* Contexts: a controller's URL with a token and a project under a name, one 0600
 * file each below $XDG_CONFIG_HOME/cloudctl/contexts, and which one is current.
 * And the settings of this run: flag, then environment, then context. */
#ifndef MINICLOUD_CLI_REMOTE_CONTEXT_H
#define MINICLOUD_CLI_REMOTE_CONTEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "api/json/wire.h"

struct args;
struct err;

struct context {
    char *url;
    char *token;   /* NULL: none */
    char *project; /* NULL: none */
};

/* Refuses a file that others than its owner may read. */
int context_load(const char *name, struct context *ret_context, struct err *err);
/* ERR_NAME_TAKEN when it is there and not to be replaced. */
int context_save(const char *name, const struct context *context, bool replace, struct err *err);
int context_remove(const char *name, struct err *err);
/* Sorted. */
int context_names(struct strings *ret_names, struct err *err);
/* NULL when none is current. */
int context_current(char **ret_name, struct err *err);
int context_set_current(const char *name, struct err *err);
char *context_path(const char *name, struct err *err);
void context_release(struct context *context);
#define auto_context __attribute__((cleanup(context_release)))

struct settings {
    char *context; /* name; NULL: none in use */
    char *url;     /* without a slash at the end */
    char *token;
    char *project;
};

/* A context's token goes to that context's URL only: a URL from a flag or the
 * environment needs a token from there too. `in` is read for --token-file -. */
int settings_resolve(const struct args *args, FILE *in, struct settings *ret_settings,
                     struct err *err);
void settings_release(struct settings *settings);

/* Reads a secret from a file, "-" for `in`; owned by the caller. */
int token_read(const char *path, FILE *in, char **ret_token, struct err *err);
/* What a token and a URL may look like at all. */
int token_check(const char *token, struct err *err);
int url_check(const char *url, struct err *err);

#endif
