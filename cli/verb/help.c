/* Prints help. Knows the shape of the table and no command in it. */
#include "cli/verb/help.h"

#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "cli/line/args.h"
#include "cli/remote/session.h"
#include "cli/verb/verbs.h"

enum { OPTION_WIDTH = 26, NOUN_WIDTH = 13 };

static void put_option(const struct option *option, FILE *out)
{
    auto_buf struct buf left = {0};
    if (option->letter)
        buf_printf(&left, "  -%c, --%s", option->letter, option->name);
    else
        buf_printf(&left, "      --%s", option->name);
    if (option->value)
        buf_printf(&left, " %s", option->value);
    if (left.len >= OPTION_WIDTH)
        fprintf(out, "%s\n%*s", left.data, OPTION_WIDTH, "");
    else
        fprintf(out, "%-*s", OPTION_WIDTH, left.data);
    fprintf(out, "%s%s\n", option->help, option->required ? " (needed)" : "");
}

static void put_options(const struct verb *verb, bool global, const char *heading, FILE *out)
{
    const struct option *option;
    bool any = false;
    for (size_t i = 0; (option = verb_option_at(verb, i)); i++) {
        if (option_is_global(option) != global)
            continue;
        fprintf(out, "%s", any ? "" : heading);
        any = true;
        put_option(option, out);
    }
}

static void put_columns(const struct column *columns, FILE *out)
{
    fprintf(out, "\nColumns:\n");
    size_t at = 0;
    for (const struct column *column = columns; column->name; column++) {
        size_t len = strlen(column->name) + 2;
        if (at + len > 76) {
            fputc('\n', out);
            at = 0;
        }
        fprintf(out, "%s%s%s", at ? " " : "  ", column->name, column[1].name ? "," : "\n");
        at += at ? len : len + 1;
    }
}

static void verb_help(const struct noun *noun, const struct verb *verb, FILE *out)
{
    bool named = *verb->name;
    fprintf(out, "Usage: cloudctl %s%s%s%s%s [option...]\n\n%s.\n", noun->name, named ? " " : "",
            verb->name, verb->targets ? " " : "", verb->targets ? verb->targets : "",
            verb->summary);
    if (verb->notes)
        fprintf(out, "%s\n", verb->notes);
    put_options(verb, false, "\nOptions:\n", out);
    if (verb->flags & VERB_OUTPUT)
        put_columns(verb_columns(noun, verb), out);
    put_options(verb, true, "\nOptions of every command:\n", out);
    if (verb->example)
        fprintf(out, "\nExample:\n  cloudctl %s%s%s %s\n", noun->name, named ? " " : "", verb->name,
                verb->example);
}

static void noun_help(const struct noun *noun, FILE *out)
{
    fprintf(out, "Usage: cloudctl %s VERB [argument...] [option...]\n\n%s.\n\nVerbs:\n", noun->name,
            noun->summary);
    size_t width = 10;
    for (const struct verb *verb = noun->verbs; verb->name; verb++)
        width = strlen(verb->name) > width ? strlen(verb->name) : width;
    for (const struct verb *verb = noun->verbs; verb->name; verb++) {
        if (!(verb->flags & VERB_HIDDEN))
            fprintf(out, "  %-*s %s\n", (int)width, verb->name, verb->summary);
    }
    put_options(NULL, true, "\nOptions of every command:\n", out);
    fprintf(out, "\nMore: cloudctl %s VERB --help\n", noun->name);
}

/* Behind the noun, on as many lines as they need. */
static void put_verbs(const struct noun *noun, FILE *out)
{
    size_t at = NOUN_WIDTH;
    for (const struct verb *verb = noun->verbs; verb->name; verb++) {
        size_t len = strlen(verb->name) + 1;
        if (at + len > 80) {
            fprintf(out, "\n%*s", NOUN_WIDTH, "");
            at = NOUN_WIDTH;
        }
        fprintf(out, "%s%s", at == NOUN_WIDTH ? "" : " ", verb->name);
        at += len;
    }
    fputc('\n', out);
}

static void put_nouns(bool commands, FILE *out)
{
    for (const struct noun *noun = nouns; noun->name; noun++) {
        if (noun_is_command(noun) != commands || noun->verbs->flags & VERB_HIDDEN)
            continue;
        fprintf(out, "  %-*s", commands ? 12 : NOUN_WIDTH - 2, noun->name);
        if (commands) {
            fprintf(out, "%s\n", noun->verbs->summary);
            continue;
        }
        put_verbs(noun, out);
    }
}

static void all_help(FILE *out)
{
    fprintf(out, "Usage: cloudctl NOUN VERB [NAME...] [option...]\n\n"
                 "Nouns and their verbs:\n");
    put_nouns(false, out);
    fprintf(out, "\nOther commands:\n");
    put_nouns(true, out);
    put_options(NULL, true, "\nOptions of every command:\n", out);
    fprintf(out,
            "\nWhere a name is asked for, an id will do. Commands wait until the host has done\n"
            "what was asked, unless --no-wait is given. What cannot be undone is asked about\n"
            "on a terminal; without one, --yes is needed.\n"
            "\nURL, token, context and project are taken from options, else from CLOUDCTL_URL,\n"
            "CLOUDCTL_TOKEN, CLOUDCTL_CONTEXT and CLOUDCTL_PROJECT, else from the context.\n"
            "A context's token is sent to that context's URL only.\n"
            "\nExit status: 0 done, 1 refused, 2 usage, 3 not found, 4 no access,\n"
            "5 operation failed, 6 timed out, 7 no connection.\n"
            "\nMore: cloudctl NOUN --help\n");
}

void help_print(const struct noun *noun, const struct verb *verb, FILE *out)
{
    if (noun && verb)
        verb_help(noun, verb, out);
    else if (noun)
        noun_help(noun, out);
    else
        all_help(out);
}

int run_help(struct cli *cli, const struct args *args, struct err *err)
{
    const struct noun *noun = NULL;
    const struct verb *verb = NULL;
    if (args->target_count > 0 && !(noun = noun_find(args->targets[0])))
        return err_set(err, ERR_USAGE, "there is no command %s. Try: cloudctl help",
                       args->targets[0]);
    if (noun && noun_is_command(noun))
        verb = noun->verbs;
    else if (args->target_count > 1 && !(verb = verb_find(noun, args->targets[1])))
        return err_set(err, ERR_USAGE, "%s has no verb %s. Try: cloudctl help %s", noun->name,
                       args->targets[1], noun->name);
    help_print(noun, verb, cli->screen.out);
    return 0;
}
