/* Commands without a noun: one screen of how things are, and versions. */
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/types.h"
#include "cli/line/args.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/verb/verbs.h"

static int print_health(struct cli *cli, struct err *err)
{
    auto_json struct json *health = NULL;
    if (remote_get(cli, "/v1/healthz", &health, err) != 0)
        return -1;
    const char *status = json_str(json_get(health, "status"));
    const char *version = json_str(json_get(health, "version"));
    fprintf(cli->screen.out, "controller  %s: %s, version %s\n", cli->settings.url,
            status ? status : "unknown", version ? version : "unknown");
    return 0;
}

static size_t count_state(const struct remote_list *list, const char *state)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const char *text = json_str(json_get(list->items[i], "state"));
        count += text && strcmp(text, state) == 0;
    }
    return count;
}

/* "instances   5: 3 running, 2 stopped" */
static void print_states(struct cli *cli, const struct noun *noun, const struct remote_list *list,
                         const char *const *states)
{
    fprintf(cli->screen.out, "%-10s  %zu", noun->plural, list->count);
    const char *separator = ": ";
    for (size_t i = 0; states[i]; i++) {
        size_t count = count_state(list, states[i]);
        if (count == 0)
            continue;
        fprintf(cli->screen.out, "%s%zu %s", separator, count, states[i]);
        separator = ", ";
    }
    fputc('\n', cli->screen.out);
}

static int fetch(struct cli *cli, const struct noun *noun, struct remote_list *ret_list,
                 struct err *err)
{
    auto_buf struct buf path = {0};
    if (remote_path(cli, noun, NULL, NULL, &path, err) != 0)
        return -1;
    return remote_list(cli, noun, path.data, 0, ret_list, err);
}

static int print_nodes(struct cli *cli, const struct noun *noun, const struct remote_list *list,
                       struct err *err)
{
    struct output output = {.noun = noun};
    for (const struct column *column = noun->columns; column->name; column++) {
        if (column->flags & COLUMN_LIST)
            output.columns[output.count++] = column;
    }
    if (list->count == 0)
        return 0;
    fputc('\n', cli->screen.out);
    return output_print(&output, &cli->screen, list->items, list->count, false, err);
}

int run_status(struct cli *cli, const struct args *args, struct err *err)
{
    (void)args;
    static const char *const node_states[] = {"ready", "silent", "never", NULL};
    const struct noun *instance = noun_find("instance"), *node = noun_find("node");
    auto_list struct remote_list instances = {0}, nodes = {0};
    if (cli_connect(cli, err) != 0 || print_health(cli, err) != 0 ||
        fetch(cli, instance, &instances, err) != 0)
        return -1;
    print_states(cli, instance, &instances, state_names);
    /* Nodes are an operator's to see. */
    if (fetch(cli, node, &nodes, err) != 0) {
        bool hidden = err->code == ERR_FORBIDDEN || err->code == ERR_NOT_FOUND;
        if (hidden)
            err_clear(err);
        return hidden ? 0 : -1;
    }
    print_states(cli, node, &nodes, node_states);
    return print_nodes(cli, node, &nodes, err);
}

int run_version(struct cli *cli, const struct args *args, struct err *err)
{
    (void)args;
    auto_json struct json *health = NULL;
    fprintf(cli->screen.out, "cloudctl    %s\n", MINICLOUD_VERSION);
    /* The controller's version is a courtesy: no connection is no failure. */
    if (cli_connect(cli, err) != 0 || remote_get(cli, "/v1/healthz", &health, err) != 0) {
        err_clear(err);
        return 0;
    }
    const char *version = json_str(json_get(health, "version"));
    fprintf(cli->screen.out, "controller  %s (%s)\n", version ? version : "unknown",
            cli->settings.url);
    return 0;
}

int run_system_restored(struct cli *cli, const struct args *args, struct err *err)
{
    const char *reason = args_text(args, "reason");
    if (cli_ask(cli, args,
                "take over from all hosts what they have, in place of what was asked of them?",
                err) != 0)
        return -1;
    auto_buf struct buf body = {0};
    auto_json struct json *reply = NULL;
    struct json_writer w = JSON_WRITER(&body);
    json_open(&w, NULL, '{');
    if (reason)
        json_put_str(&w, "reason", reason);
    json_close(&w, '}');
    struct remote_call call = {.method = "POST", .path = "/v1/system/restored", .body = &body};
    if (remote_call(cli, &call, &reply, NULL, err) != 0)
        return -1;
    const char *epoch = json_str(json_get(reply, "epoch"));
    cli_done(cli, "epoch %s has begun: hosts are asked", epoch ? epoch : "?");
    return 0;
}
