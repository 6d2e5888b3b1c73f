/* Which controller, with which token, in which project: flag, then environment,
 * then the context's file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "cli/line/args.h"
#include "cli/remote/context.h"

enum { TOKEN_BYTES = 1024 };

int token_check(const char *token, struct err *err)
{
    for (const char *at = token; *at; at++) {
        if (*at <= ' ' || *at == 0x7f || (unsigned char)*at > 0x7f)
            return err_set(err, ERR_USAGE, "a token holds no spaces or control characters");
    }
    if (!*token || strlen(token) > TOKEN_BYTES)
        return err_set(err, ERR_USAGE, "a token has 1 to %d characters", TOKEN_BYTES);
    return 0;
}

int url_check(const char *url, struct err *err)
{
    if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0 ||
        strncmp(url, "unix:/", 6) == 0)
        return 0;
    return err_set(err, ERR_USAGE, "%s is no URL: it must be http://HOST:PORT or unix:/PATH", url);
}

int token_read(const char *path, FILE *in, char **ret_token, struct err *err)
{
    FILE *file = strcmp(path, "-") == 0 ? in : fopen(path, "re");
    if (!file)
        return err_set(err, ERR_USAGE, "cannot read the token: %s: %s", path, strerror(errno));
    char text[TOKEN_BYTES + 2];
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    if (file != in)
        fclose(file);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    text[len] = '\0';
    if (strlen(text) != len || token_check(text, err) != 0)
        return err_set(err, ERR_USAGE, "%s holds no token", path);
    *ret_token = xstrdup(text);
    return 0;
}

/* The value of a flag, else of a variable that is not empty, else NULL; owned. */
static char *flag_or_env(const struct args *args, const char *flag, const char *variable)
{
    const char *text = args_text(args, flag);
    if (!text) {
        text = getenv(variable);
        text = text && *text ? text : NULL;
    }
    return xstrdup(text);
}

static int resolve_token(const struct args *args, FILE *in, struct settings *settings,
                         struct err *err)
{
    const char *file = args_text(args, "token-file"), *text = getenv("CLOUDCTL_TOKEN");
    if (file)
        return token_read(file, in, &settings->token, err);
    if (!text || !*text)
        return 0;
    if (token_check(text, err) != 0)
        return err_context(err, "CLOUDCTL_TOKEN");
    settings->token = xstrdup(text);
    return 0;
}

static void strip_slashes(char *url)
{
    size_t len = url ? strlen(url) : 0;
    while (len > 1 && url[len - 1] == '/')
        url[--len] = '\0';
}

/* Fills what neither flags nor environment said from the context in use. */
static int add_context(struct settings *settings, bool named, struct err *err)
{
    if (!settings->context)
        return 0;
    auto_context struct context context = {0};
    /* With URL and token known, a context that is merely current need not be readable. */
    if (!named && settings->url && settings->token)
        return 0;
    if (context_load(settings->context, &context, err) != 0)
        return -1;
    strip_slashes(context.url);
    if (!settings->url)
        settings->url = take(context.url);
    else if (strcmp(settings->url, context.url) != 0)
        return 0; /* another controller: neither token nor project are for it */
    if (!settings->token)
        settings->token = take(context.token);
    if (!settings->project)
        settings->project = take(context.project);
    return 0;
}

int settings_resolve(const struct args *args, FILE *in, struct settings *ret_settings,
                     struct err *err)
{
    *ret_settings = (struct settings){
        .context = flag_or_env(args, "context", "CLOUDCTL_CONTEXT"),
        .url = flag_or_env(args, "url", "CLOUDCTL_URL"),
        .project = flag_or_env(args, "project", "CLOUDCTL_PROJECT"),
    };
    strip_slashes(ret_settings->url);
    bool named = ret_settings->context != NULL;
    if (resolve_token(args, in, ret_settings, err) != 0)
        return -1;
    if (!named && !ret_settings->url && context_current(&ret_settings->context, err) != 0)
        return -1;
    if (!named && ret_settings->url && context_current(&ret_settings->context, err) != 0)
        err_clear(err); /* a URL was given: contexts are only a help here */
    if (add_context(ret_settings, named, err) != 0)
        return -1;
    if (!ret_settings->url)
        return err_set(err, ERR_USAGE,
                       "no controller is known. Try: cloudctl context create NAME"
                       " --url URL --token-file FILE");
    return url_check(ret_settings->url, err);
}

void settings_release(struct settings *settings)
{
    free(settings->context);
    free(settings->url);
    free(settings->token);
    free(settings->project);
    *settings = (struct settings){0};
}
