/* What all verbs do alike: connect, report a failure, ask, show progress. */
#include "cli/remote/session.h"

#include <stdarg.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "cli/line/args.h"
#include "cli/show/report.h"

int cli_connect(struct cli *cli, struct err *err)
{
    if (cli->client)
        return 0;
    if (!cli->settings.url && settings_resolve(cli->args, cli->screen.in, &cli->settings, err) != 0)
        return -1;
    struct http_client_settings settings = {
        .url = cli->settings.url,
        .token = cli->settings.token,
        .user_agent = "cloudctl/" MINICLOUD_VERSION,
    };
    return http_client_new(&settings, &cli->client, err);
}

void cli_fail(struct cli *cli, const char *target, struct err *err)
{
    cli_progress_clear(cli);
    if (!*cli->interrupted)
        report_error(cli->args, target, err, cli->screen.err);
    if (!cli->exit_code)
        cli->exit_code = err_info(err->code)->exit_code;
    err_clear(err);
}

int cli_confirm(struct cli *cli, const struct args *args, struct err *err)
{
    auto_buf struct buf question = {0};
    buf_printf(&question, "%s %s", args->verb->name, args->noun->name);
    for (size_t i = 0; i < args->target_count; i++)
        buf_printf(&question, "%s%s", i ? ", " : " ", args->targets[i]);
    if (args_has(args, "all"))
        buf_puts(&question, " files, all of them");
    buf_putc(&question, '?');
    return cli_ask(cli, args, question.data, err);
}

int cli_ask(struct cli *cli, const struct args *args, const char *question, struct err *err)
{
    struct screen *screen = &cli->screen;
    if (args_has(args, "yes"))
        return 0;
    if (!screen->in_tty || !screen->err_tty)
        return err_set(err, ERR_USAGE,
                       "it must be confirmed, and there is no terminal to ask on. Try: --yes");
    fprintf(screen->err, "%s [y/N] ", question);
    fflush(screen->err);
    char answer[16] = "";
    if (fgets(answer, sizeof(answer), screen->in) &&
        (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0))
        return 0;
    return err_set(err, ERR_CONFLICT, "not confirmed, so nothing was done. Try: --yes");
}

static void put_progress(struct cli *cli, const char *format, va_list args, const char *end)
    __attribute__((format(printf, 2, 0)));
static void put_progress(struct cli *cli, const char *format, va_list args, const char *end)
{
    if (!cli->screen.err_tty)
        return;
    autofree char *text = xvasprintf(format, args);
    int width = cli->screen.width > 1 ? cli->screen.width - 1 : 79;
    fprintf(cli->screen.err, "\r\033[K%.*s%s", width, text, end);
    fflush(cli->screen.err);
}

void cli_progress(struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_progress(cli, format, args, "");
    va_end(args);
}

void cli_done(struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_progress(cli, format, args, "\n");
    va_end(args);
}

void cli_progress_clear(struct cli *cli)
{
    if (cli->screen.err_tty)
        fputs("\r\033[K", cli->screen.err);
}
