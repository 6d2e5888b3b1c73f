/* Looking things up in the table of commands, and the options that verbs get by
 * their flags or that all have. */
#include "cli/line/command.h"

#include <stdint.h>
#include <string.h>

#include "api/base/mem.h"

/* clang-format off */
static const struct option wait_options[] = {
    {.name = "no-wait", .type = OPTION_FLAG, .help = "do not wait; print the operation instead"},
    {.name = "timeout", .type = OPTION_SECONDS, .value = "TIME",
     .help = "stop waiting after it, such as 90s or 5m", .min = 1, .max = INT32_MAX},
    {0}};
static const struct option confirm_options[] = {
    {.name = "yes", .letter = 'y', .type = OPTION_FLAG,
     .help = "do not ask; needed where there is no terminal"},
    {0}};
static const struct option global_options[] = {
    {.name = "context", .type = OPTION_TEXT, .value = "NAME", .help = "use this context",
     .noun = "context"},
    {.name = "url", .type = OPTION_TEXT, .value = "URL",
     .help = "http://HOST:PORT or unix:/PATH of the controller"},
    {.name = "token-file", .type = OPTION_FILE, .value = "FILE",
     .help = "read the token from there; - is standard input"},
    {.name = "project", .type = OPTION_TEXT, .value = "NAME",
     .help = "act in this project (operators' tokens)", .noun = "project"},
    {.name = "help", .letter = 'h', .type = OPTION_FLAG, .help = "explain the command"},
    {0}};
/* clang-format on */

const struct noun *noun_find(const char *name)
{
    for (const struct noun *noun = nouns; noun->name; noun++) {
        if (strcmp(noun->name, name) == 0 || (noun->plural && strcmp(noun->plural, name) == 0))
            return noun;
    }
    return NULL;
}

bool noun_is_command(const struct noun *noun)
{
    return noun->verbs[0].name[0] == '\0';
}

const struct verb *verb_find(const struct noun *noun, const char *name)
{
    for (const struct verb *verb = noun->verbs; verb->name; verb++) {
        if (strcmp(verb->name, name) == 0)
            return verb;
    }
    return NULL;
}

const struct column *verb_columns(const struct noun *noun, const struct verb *verb)
{
    return verb && verb->columns ? verb->columns : noun->columns;
}

/* The tables that make up a verb's options, in the order of help. Before the verb is known
 * all are possible that a flag may bring. */
static size_t option_tables(const struct verb *verb, const struct option *ret_tables[5])
{
    size_t count = 0;
    if (verb && verb->options)
        ret_tables[count++] = verb->options;
    if (!verb || verb->flags & VERB_CONFIRM)
        ret_tables[count++] = confirm_options;
    if (!verb || verb->flags & VERB_WAIT)
        ret_tables[count++] = wait_options;
    if (!verb || verb->flags & VERB_OUTPUT)
        ret_tables[count++] = output_options;
    ret_tables[count++] = global_options;
    return count;
}

const struct option *verb_option_at(const struct verb *verb, size_t index)
{
    const struct option *tables[5];
    size_t count = option_tables(verb, tables);
    for (size_t i = 0; i < count; i++) {
        for (const struct option *option = tables[i]; option->name; option++) {
            if (index-- == 0)
                return option;
        }
    }
    return NULL;
}

bool option_is_global(const struct option *option)
{
    return option >= global_options && option < global_options + ARRAY_SIZE(global_options);
}
