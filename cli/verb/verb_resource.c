/* The verbs that any noun of the API may have: list, show, create, update, delete,
 * and actions that a host carries out. */
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/body.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/remote/wait.h"
#include "cli/verb/verbs.h"

int run_list(struct cli *cli, const struct args *args, struct err *err)
{
    auto_buf struct buf path = {0};
    auto_list struct remote_list list = {0};
    if (remote_path(cli, args->noun, NULL, NULL, &path, err) != 0)
        return -1;
    remote_query_options(&path, args);
    if (remote_list(cli, args->noun, path.data, args_number(args, "limit", 0), &list, err) != 0)
        return -1;
    return output_print(&cli->output, &cli->screen, list.items, list.count, false, err);
}

/* One request about one target; `ret_reply` may come back NULL. */
static int request(struct cli *cli, const struct noun *noun, const char *target, const char *suffix,
                   const struct remote_call *call, struct json **ret_reply, char **ret_etag,
                   struct err *err)
{
    auto_buf struct buf path = {0};
    if (remote_path(cli, noun, target, suffix, &path, err) != 0)
        return -1;
    remote_query_options(&path, cli->args);
    struct remote_call full = *call;
    full.path = path.data;
    return remote_call(cli, &full, ret_reply, ret_etag, err);
}

static bool prints(const struct cli *cli, const struct args *args)
{
    return args->verb->flags & VERB_OUTPUT &&
           (cli->output.chosen || !(args->verb->flags & VERB_QUIET));
}

/* What is left once all requests were sent: wait, print. */
static int finish(struct cli *cli, const struct args *args, struct tasks *tasks, struct err *err)
{
    if (tasks->count == 0)
        return 0;
    if (args_has(args, "no-wait"))
        return args->verb->flags & VERB_OUTPUT ? tasks_print_operations(cli, tasks, err) : 0;
    tasks_wait(cli, tasks, args_number(args, "timeout", 0));
    return prints(cli, args) ? tasks_print_resources(cli, tasks, err) : 0;
}

int run_show(struct cli *cli, const struct args *args, struct err *err)
{
    auto_tasks struct tasks tasks = {0};
    for (size_t i = 0; i < args->target_count; i++) {
        struct json *reply = NULL;
        struct remote_call call = {.method = "GET"};
        if (request(cli, args->noun, args->targets[i], NULL, &call, &reply, NULL, err) != 0)
            cli_fail(cli, args->targets[i], err);
        else
            tasks_add(&tasks, args->noun, args->targets[i], reply);
    }
    return tasks_print_resources(cli, &tasks, err);
}

int run_create(struct cli *cli, const struct args *args, struct err *err)
{
    auto_tasks struct tasks tasks = {0};
    auto_buf struct buf rest = {0};
    struct body body = {.args = args};
    if (body_build(&body, &rest, err) != 0)
        return -1;
    for (size_t i = 0; i < args->target_count; i++) {
        auto_buf struct buf text = {0};
        struct json *reply = NULL;
        struct remote_call call = {.method = "POST", .body = &text};
        body_named(&rest, args->targets[i], &text);
        if (request(cli, args->noun, NULL, NULL, &call, &reply, NULL, err) != 0)
            cli_fail(cli, args->targets[i], err);
        else
            tasks_add(&tasks, args->noun, args->targets[i], reply);
    }
    return finish(cli, args, &tasks, err);
}

/* Labels are replaced as a whole by the API, so what is there is read first and the change
 * is refused when someone else was faster. */
static int update_one(struct cli *cli, const struct args *args, const char *target,
                      struct json **ret_reply, struct err *err)
{
    auto_buf struct buf text = {0};
    auto_json struct json *old = NULL;
    autofree char *etag = NULL;
    if (args_has(args, "label") || args_has(args, "unlabel")) {
        struct remote_call get = {.method = "GET"};
        if (request(cli, args->noun, target, NULL, &get, &old, &etag, err) != 0)
            return -1;
    }
    struct body body = {.args = args, .labels = old ? json_get(old, "labels") : NULL};
    struct remote_call patch = {.method = "PATCH", .body = &text, .if_match = etag};
    if (body_build(&body, &text, err) != 0)
        return -1;
    if (strcmp(text.data, "{}") == 0)
        return err_set(err, ERR_USAGE, "nothing to change was given");
    return request(cli, args->noun, target, NULL, &patch, ret_reply, NULL, err);
}

int run_update(struct cli *cli, const struct args *args, struct err *err)
{
    auto_tasks struct tasks tasks = {0};
    for (size_t i = 0; i < args->target_count; i++) {
        struct json *reply = NULL;
        if (update_one(cli, args, args->targets[i], &reply, err) != 0)
            cli_fail(cli, args->targets[i], err);
        else
            tasks_add(&tasks, args->noun, args->targets[i], reply);
    }
    return finish(cli, args, &tasks, err);
}

int run_delete(struct cli *cli, const struct args *args, struct err *err)
{
    auto_tasks struct tasks tasks = {0};
    for (size_t i = 0; i < args->target_count; i++) {
        struct json *reply = NULL;
        struct remote_call call = {.method = "DELETE"};
        if (request(cli, args->noun, args->targets[i], NULL, &call, &reply, NULL, err) != 0) {
            cli_fail(cli, args->targets[i], err);
            continue;
        }
        struct task *task = tasks_add(&tasks, args->noun, args->targets[i], reply);
        if (!task->operation)
            cli_done(cli, "%s: deleted", task->target);
    }
    return finish(cli, args, &tasks, err);
}

int run_action(struct cli *cli, const struct args *args, struct err *err)
{
    auto_tasks struct tasks tasks = {0};
    auto_buf struct buf text = {0};
    struct body body = {.args = args};
    if (body_build(&body, &text, err) != 0)
        return -1;
    struct remote_call call = {.method = "POST", .body = &text};
    for (size_t i = 0; i < args->target_count; i++) {
        struct json *reply = NULL;
        if (request(cli, args->noun, args->targets[i], args->verb->name, &call, &reply, NULL,
                    err) != 0)
            cli_fail(cli, args->targets[i], err);
        else
            tasks_add(&tasks, args->noun, args->targets[i], reply);
    }
    return finish(cli, args, &tasks, err);
}

int run_operation_wait(struct cli *cli, const struct args *args, struct err *err)
{
    auto_tasks struct tasks tasks = {0};
    for (size_t i = 0; i < args->target_count; i++) {
        struct json *reply = NULL;
        struct remote_call call = {.method = "GET"};
        if (request(cli, args->noun, args->targets[i], NULL, &call, &reply, NULL, err) != 0) {
            cli_fail(cli, args->targets[i], err);
            continue;
        }
        struct task *task = tasks_add(&tasks, args->noun, args->targets[i], reply);
        task->operation = xstrdup(task->id);
    }
    return finish(cli, args, &tasks, err);
}

/* ---- token create: the secret is shown once ---- */

static int save_secret(const char *path, const struct json *token, struct err *err)
{
    const char *secret = json_str(json_get(token, "secret"));
    if (!secret)
        return err_set(err, ERR_INTERNAL, "the reply holds no secret");
    autofree char *line = xasprintf("%s\n", secret);
    return file_write("token", path, line, strlen(line), 0600, err);
}

/* A join token has no project, whatever the context says. */
static int settle_project(struct cli *cli, const struct args *args, struct err *err)
{
    if (cli_connect(cli, err) != 0)
        return -1;
    if (strcmp(args_text(args, "role"), "join") == 0 && !args_has(args, "project")) {
        free(cli->settings.project);
        cli->settings.project = NULL;
    }
    return 0;
}

int run_token_create(struct cli *cli, const struct args *args, struct err *err)
{
    auto_buf struct buf rest = {0}, text = {0};
    auto_json struct json *reply = NULL;
    const char *name = args->targets[0], *path = args_text(args, "save");
    struct body body = {.args = args};
    if (settle_project(cli, args, err) != 0 || body_build(&body, &rest, err) != 0)
        return -1;
    body_named(&rest, name, &text);
    struct remote_call call = {.method = "POST", .body = &text};
    if (request(cli, args->noun, NULL, NULL, &call, &reply, NULL, err) != 0) {
        cli_fail(cli, name, err);
        return 0;
    }
    struct json *token = remote_object(reply, args->noun);
    if (!path)
        return output_print(&cli->output, &cli->screen, &token, 1, true, err);
    if (save_secret(path, token, err) != 0) {
        err_context(err, "it was made, but its secret is lost (delete it)");
        cli_fail(cli, name, err);
        return 0;
    }
    cli_done(cli, "%s: secret written to %s", name, path);
    return 0;
}
