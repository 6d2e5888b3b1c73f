/* Dispatch: from the command line to the verb's function and to an exit code. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

#include "api/base/err.h"
#include "api/http/http_client.h"
#include "cli/line/args.h"
#include "cli/remote/session.h"
#include "cli/verb/help.h"

/* The noun whose columns the verb prints: without waiting it is the operation. */
static const struct noun *printed_noun(const struct args *args)
{
    if (args_has(args, "orphaned"))
        return &orphan_noun;
    return args_has(args, "no-wait") ? noun_find("operation") : args->noun;
}

static int dispatch(struct cli *cli, const struct args *args, struct err *err)
{
    if (args->help || (args->noun && !args->verb) || !args->noun) {
        help_print(args->noun, args->verb, args->help ? cli->screen.out : cli->screen.err);
        cli->exit_code = args->help ? 0 : err_info(ERR_USAGE)->exit_code;
        return 0;
    }
    if (args->verb->flags & VERB_OUTPUT &&
        output_prepare(args, printed_noun(args), &cli->output, err) != 0)
        return -1;
    if (args->verb->flags & VERB_CONFIRM && cli_confirm(cli, args, err) != 0)
        return -1;
    return args->verb->run(cli, args, err);
}

/* A full disk must not look like success; a closed pipe is the reader's choice. */
static int flush_output(const struct cli *cli, struct err *err)
{
    errno = 0;
    if (fflush(cli->screen.out) == 0 && !ferror(cli->screen.out))
        return 0;
    return err_set(err, ERR_CONFLICT, "standard output: %s", strerror(errno));
}

int cli_run(int argc, char *const argv[], const struct screen *screen,
            const volatile bool *interrupted)
{
    auto_args struct args args = {0};
    auto_err struct err err = {0};
    struct cli cli = {.screen = *screen, .args = &args, .interrupted = interrupted};
    if (args_parse(argc, argv, &args, &err) != 0 || dispatch(&cli, &args, &err) != 0)
        cli_fail(&cli, NULL, &err);
    if (flush_output(&cli, &err) != 0 && !cli.exit_code)
        cli_fail(&cli, NULL, &err);
    http_client_free(cli.client);
    settings_release(&cli.settings);
    return cli.exit_code;
}
