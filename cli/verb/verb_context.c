/* cloudctl context: the files that say which controllers there are. */
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/session.h"
#include "cli/verb/verbs.h"

/* As an object with the members that context_columns names; the token stays out of it.
 * A context that cannot be read is listed with the reason in place of its URL. */
static void put_context(const char *name, const char *current, struct json_writer *w)
{
    auto_err struct err err = {0};
    auto_context struct context context = {0};
    autofree char *path = context_path(name, &err);
    bool readable = path && context_load(name, &context, &err) == 0;
    json_open(w, NULL, '{');
    json_put_str(w, "name", name);
    json_put_bool(w, "current", current && strcmp(current, name) == 0);
    json_put_str(w, "url", readable ? context.url : NULL);
    json_put_str(w, "project", context.project);
    json_put_str(w, "file", path);
    if (!readable)
        json_put_str(w, "error", err.msg);
    json_close(w, '}');
}

static int print_contexts(struct cli *cli, const struct strings *names, bool single,
                          struct err *err)
{
    autofree char *current = NULL;
    auto_buf struct buf text = {0};
    auto_json struct json *root = NULL;
    if (context_current(&current, err) != 0)
        return -1;
    struct json_writer w = JSON_WRITER(&text);
    json_open(&w, NULL, '[');
    for (size_t i = 0; i < names->count; i++)
        put_context(names->items[i], current, &w);
    json_close(&w, ']');
    if (json_parse(text.data, text.len, &root, err) != 0)
        return -1;
    autofree struct json **items = xcalloc(names->count + 1, sizeof(*items));
    size_t count = 0;
    for (struct json *item = json_first(root); item; item = json_next(item))
        items[count++] = item;
    return output_print(&cli->output, &cli->screen, items, count, single, err);
}

int run_context_list(struct cli *cli, const struct args *args, struct err *err)
{
    (void)args;
    struct strings names = {0};
    int rc = context_names(&names, err);
    if (rc == 0)
        rc = print_contexts(cli, &names, false, err);
    strings_release(&names);
    return rc;
}

int run_context_show(struct cli *cli, const struct args *args, struct err *err)
{
    autofree char *current = NULL;
    auto_context struct context context = {0};
    if (args->target_count == 0 && context_current(&current, err) != 0)
        return -1;
    const char *name = args->target_count ? args->targets[0] : current;
    if (!name)
        return err_set(err, ERR_USAGE, "no context is current. Try: cloudctl context use NAME");
    if (context_load(name, &context, err) != 0)
        return -1;
    struct strings names = {0};
    strings_add(&names, name);
    int rc = print_contexts(cli, &names, true, err);
    strings_release(&names);
    return rc;
}

int run_context_use(struct cli *cli, const struct args *args, struct err *err)
{
    auto_context struct context context = {0};
    if (context_load(args->targets[0], &context, err) != 0 ||
        context_set_current(args->targets[0], err) != 0)
        return -1;
    cli_done(cli, "context %s is current", args->targets[0]);
    return 0;
}

static int context_from_args(struct cli *cli, const struct args *args, struct context *ret,
                             struct err *err)
{
    const char *url = args_text(args, "url"), *token = args_text(args, "token");
    const char *file = args_text(args, "token-file");
    if (!url)
        return err_set(err, ERR_USAGE, "--url is needed");
    if (token && file)
        return err_set(err, ERR_USAGE, "either --token or --token-file, not both");
    if (url_check(url, err) != 0 || (token && token_check(token, err) != 0))
        return -1;
    ret->url = xstrdup(url);
    ret->project = xstrdup(args_text(args, "project"));
    if (file)
        return token_read(file, cli->screen.in, &ret->token, err);
    ret->token = xstrdup(token);
    return 0;
}

int run_context_create(struct cli *cli, const struct args *args, struct err *err)
{
    const char *name = args->targets[0];
    auto_context struct context context = {0};
    autofree char *current = NULL;
    if (context_from_args(cli, args, &context, err) != 0)
        return -1;
    if (context_save(name, &context, args_has(args, "force"), err) != 0) {
        cli_fail(cli, name, err);
        return 0;
    }
    if (context_current(&current, err) != 0)
        return -1;
    if (!current || args_has(args, "use")) {
        if (context_set_current(name, err) != 0)
            return -1;
        cli_done(cli, "context %s is made and current", name);
    }
    return 0;
}

int run_context_delete(struct cli *cli, const struct args *args, struct err *err)
{
    autofree char *current = NULL;
    if (context_current(&current, err) != 0)
        return -1;
    for (size_t i = 0; i < args->target_count; i++) {
        const char *name = args->targets[i];
        bool was_current = current && strcmp(current, name) == 0;
        if (context_remove(name, err) != 0 || (was_current && context_set_current(NULL, err) != 0))
            cli_fail(cli, name, err);
    }
    return 0;
}
