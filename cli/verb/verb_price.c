/* cloudctl price create and end. A price is never changed: what was billed by it stands. */
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/body.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/verb/verbs.h"

/* Only a project that the command line names makes a price that project's own: one that comes
 * from a context must not, so the path has none. */
int run_price_create(struct cli *cli, const struct args *args, struct err *err)
{
    auto_buf struct buf text = {0};
    auto_json struct json *reply = NULL;
    const char *project = args_text(args, "project");
    struct body body = {.args = args, .extra = project ? "project" : NULL, .extra_value = project};
    if (body_build(&body, &text, err) != 0)
        return -1;
    struct remote_call call = {.method = "POST", .path = "/v1/prices", .body = &text};
    if (remote_call(cli, &call, &reply, NULL, err) != 0)
        return -1;
    if (!reply)
        return err_set(err, ERR_INTERNAL, "the controller's reply is empty");
    struct json *price = remote_object(reply, args->noun);
    return output_print(&cli->output, &cli->screen, &price, 1, true, err);
}

int run_price_end(struct cli *cli, const struct args *args, struct err *err)
{
    for (size_t i = 0; i < args->target_count; i++) {
        auto_buf struct buf path = {0};
        auto_json struct json *reply = NULL;
        const char *target = args->targets[i];
        if (remote_path(cli, args->noun, target, NULL, &path, err) != 0)
            return -1;
        struct remote_call call = {.method = "DELETE", .path = path.data};
        if (remote_call(cli, &call, &reply, NULL, err) != 0)
            cli_fail(cli, target, err);
        else
            cli_done(cli, "%s: ended", target);
    }
    return 0;
}
