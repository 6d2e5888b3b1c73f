/* Files among the images that no image has: list, take back, delete. */
#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/body.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/verb/verbs.h"

static int list_all(struct cli *cli, int64_t limit, struct remote_list *ret_list, struct err *err)
{
    auto_buf struct buf path = {0};
    if (remote_path(cli, &orphan_noun, NULL, NULL, &path, err) != 0)
        return -1;
    return remote_list(cli, &orphan_noun, path.data, limit, ret_list, err);
}

int run_image_list(struct cli *cli, const struct args *args, struct err *err)
{
    auto_list struct remote_list list = {0};
    if (!args_has(args, "orphaned"))
        return run_list(cli, args, err);
    if (args_has(args, "label"))
        return err_set(err, ERR_USAGE, "files that lost their image have no labels");
    if (list_all(cli, args_number(args, "limit", 0), &list, err) != 0)
        return -1;
    return output_print(&cli->output, &cli->screen, list.items, list.count, false, err);
}

int run_orphan_import(struct cli *cli, const struct args *args, struct err *err)
{
    auto_buf struct buf text = {0}, path = {0};
    auto_json struct json *reply = NULL;
    struct body body = {.args = args};
    /* It goes into the project in use, or where it was. */
    struct noun scoped = orphan_noun;
    scoped.scoped = true;
    if (body_build(&body, &text, err) != 0 ||
        remote_path(cli, &scoped, args->targets[0], "import", &path, err) != 0)
        return -1;
    /* The controller reads the whole file first. */
    struct remote_call call = {
        .method = "POST", .path = path.data, .body = &text, .timeout_ms = -1};
    if (remote_call(cli, &call, &reply, NULL, err) != 0) {
        cli_fail(cli, args->targets[0], err);
        return 0;
    }
    struct json *image = remote_object(reply, args->noun);
    return output_print(&cli->output, &cli->screen, &image, 1, true, err);
}

static void delete_one(struct cli *cli, const char *file)
{
    auto_buf struct buf path = {0};
    auto_err struct err err = {0};
    auto_json struct json *reply = NULL;
    struct remote_call call = {.method = "DELETE"};
    int rc = remote_path(cli, &orphan_noun, file, NULL, &path, &err);
    call.path = path.data;
    if (rc == 0)
        rc = remote_call(cli, &call, &reply, NULL, &err);
    if (rc == 0)
        cli_done(cli, "%s: deleted", file);
    else
        cli_fail(cli, file, &err);
}

int run_orphan_delete(struct cli *cli, const struct args *args, struct err *err)
{
    auto_list struct remote_list list = {0};
    bool all = args_has(args, "all");
    if (all == (args->target_count > 0))
        return err_set(err, ERR_USAGE, "name the files, or give --all");
    if (all && list_all(cli, 0, &list, err) != 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        const char *file = json_str(json_get(list.items[i], "file"));
        if (file)
            delete_one(cli, file);
    }
    for (size_t i = 0; i < args->target_count; i++)
        delete_one(cli, args->targets[i]);
    return 0;
}
