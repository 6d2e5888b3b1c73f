/* Reads a command line by the table. Knows no command by name. */
#include "cli/line/args.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "cli/line/suggest.h"

static int unknown_option(const struct args *args, const char *word, size_t len, struct err *err)
{
    const char *names[64];
    size_t count = 0;
    const struct option *option;
    while (count < ARRAY_SIZE(names) && (option = verb_option_at(args->verb, count)))
        names[count++] = option->name;
    autofree char *given = xstrndup(word, len);
    const char *near = len > 2 ? suggest(given + 2, names, count) : NULL;
    if (near)
        return err_set(err, ERR_USAGE, "there is no option %s; did you mean --%s?", given, near);
    if (!args->verb)
        return err_set(err, ERR_USAGE, "there is no option %s before the verb", given);
    return err_set(err, ERR_USAGE, "there is no option %s", given);
}

static int add_given(struct args *args, const struct option *option, const char *text,
                     struct err *err)
{
    struct given given = {.option = option, .text = text};
    if (text && option_value(option, text, &given.number, err) != 0)
        return -1;
    args->given = xrealloc(args->given, (args->given_count + 1) * sizeof(given));
    args->given[args->given_count++] = given;
    args->help |= option_is_global(option) && strcmp(option->name, "help") == 0;
    return 0;
}

static int parse_noun(struct args *args, const char *word, struct err *err)
{
    args->noun = noun_find(word);
    if (args->noun) {
        args->verb = noun_is_command(args->noun) ? args->noun->verbs : NULL;
        return 0;
    }
    const char *names[64];
    size_t count = 0;
    for (const struct noun *noun = nouns; noun->name && count < ARRAY_SIZE(names); noun++)
        names[count++] = noun->name;
    const char *near = suggest(word, names, count);
    if (near)
        return err_set(err, ERR_USAGE, "there is no command %s; did you mean %s?", word, near);
    return err_set(err, ERR_USAGE, "there is no command %s", word);
}

/* "cloudctl --version" is the command "version". */
static bool is_command_word(const struct args *args, const char *word)
{
    const struct noun *noun = args->noun ? NULL : noun_find(word + 2);
    return noun && noun_is_command(noun);
}

/* "--name", "--name=value" or "--name value"; takes the next word when it needs it. */
static int parse_long(struct args *args, const char *word, const char *next, bool *ret_took,
                      struct err *err)
{
    size_t len = strcspn(word + 2, "=");
    const char *value = word[2 + len] == '=' ? word + 3 + len : NULL;
    const struct option *option = option_find(args->verb, word + 2, len);
    if (!option && is_command_word(args, word))
        return parse_noun(args, word + 2, err);
    if (!option)
        return unknown_option(args, word, len + 2, err);
    if (option->type == OPTION_FLAG && value)
        return err_set(err, ERR_USAGE, "--%s takes no value", option->name);
    if (option->type != OPTION_FLAG && !value) {
        if (!next)
            return err_set(err, ERR_USAGE, "--%s needs a value: %s", option->name, option->value);
        value = next;
        *ret_took = true;
    }
    return add_given(args, option, value, err);
}

/* "-f", "-fy", "-ojson" or "-o json". */
static int parse_letters(struct args *args, const char *word, const char *next, bool *ret_took,
                         struct err *err)
{
    for (const char *at = word + 1; *at; at++) {
        const struct option *option = option_find_letter(args->verb, *at);
        if (!option)
            return unknown_option(args, word, strlen(word), err);
        if (option->type == OPTION_FLAG) {
            if (add_given(args, option, NULL, err) != 0)
                return -1;
            continue;
        }
        *ret_took = !at[1];
        if (!at[1] && !next)
            return err_set(err, ERR_USAGE, "-%c needs a value: %s", *at, option->value);
        return add_given(args, option, at[1] ? at + 1 : next, err);
    }
    return 0;
}

static int parse_verb(struct args *args, const char *word, struct err *err)
{
    args->verb = verb_find(args->noun, word);
    if (args->verb)
        return 0;
    if (strcmp(word, "help") == 0) {
        args->help = true;
        return 0;
    }
    const char *names[32];
    size_t count = 0;
    for (const struct verb *verb = args->noun->verbs; verb->name && count < ARRAY_SIZE(names);
         verb++)
        names[count++] = verb->name;
    const char *near = suggest(word, names, count);
    if (near)
        return err_set(err, ERR_USAGE, "%s has no verb %s; did you mean %s?", args->noun->name,
                       word, near);
    return err_set(err, ERR_USAGE, "%s has no verb %s", args->noun->name, word);
}

static void add_target(struct args *args, const char *word)
{
    args->targets = xrealloc(args->targets, (args->target_count + 1) * sizeof(*args->targets));
    args->targets[args->target_count++] = word;
}

static int parse_word(struct args *args, const char *word, struct err *err)
{
    if (!args->noun)
        return parse_noun(args, word, err);
    if (!args->verb)
        return parse_verb(args, word, err);
    if (!*word)
        return err_set(err, ERR_USAGE, "a name must not be empty");
    add_target(args, word);
    return 0;
}

static bool verb_takes(const struct verb *verb, const struct option *wanted)
{
    const struct option *option;
    for (size_t i = 0; (option = verb_option_at(verb, i)); i++) {
        if (option == wanted)
            return true;
    }
    return false;
}

/* Options before the verb were taken on trust, and some are needed. */
static int check_options(const struct args *args, struct err *err)
{
    for (size_t i = 0; i < args->given_count; i++) {
        if (!verb_takes(args->verb, args->given[i].option))
            return err_set(err, ERR_USAGE, "there is no option --%s", args->given[i].option->name);
    }
    const struct option *option;
    for (size_t i = 0; (option = verb_option_at(args->verb, i)); i++) {
        if (option->required && !args_has(args, option->name))
            return err_set(err, ERR_USAGE, "--%s is needed", option->name);
    }
    return 0;
}

static int check_complete(const struct args *args, struct err *err)
{
    const struct verb *verb = args->verb;
    if (args->help || !verb)
        return 0;
    if (args->target_count < (size_t)verb->min_targets)
        return err_set(err, ERR_USAGE, "say which: %s", verb->targets);
    if (args->target_count > (size_t)verb->max_targets)
        return verb->targets
                   ? err_set(err, ERR_USAGE, "%s is too much: it takes %s",
                             args->targets[verb->max_targets], verb->targets)
                   : err_set(err, ERR_USAGE, "%s is too much: it takes no name", args->targets[0]);
    return check_options(args, err);
}

/* Words behind a VERB_WORDS command are all targets. */
static bool takes_options(const struct args *args, bool ended)
{
    return !ended && !(args->verb && args->verb->flags & VERB_WORDS);
}

int args_parse(int argc, char *const argv[], struct args *ret_args, struct err *err)
{
    *ret_args = (struct args){0};
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool took = false;
        int rc = 0;
        if (!takes_options(ret_args, ended) && ret_args->verb)
            add_target(ret_args, word);
        else if (!ended && strcmp(word, "--") == 0)
            ended = true;
        else if (!ended && word[0] == '-' && word[1] == '-')
            rc = parse_long(ret_args, word, next, &took, err);
        else if (!ended && word[0] == '-' && word[1])
            rc = parse_letters(ret_args, word, next, &took, err);
        else
            rc = parse_word(ret_args, word, err);
        if (rc != 0)
            return -1;
        i += took;
    }
    return check_complete(ret_args, err);
}

void args_release(struct args *args)
{
    free(args->targets);
    free(args->given);
    *args = (struct args){0};
}

const struct given *args_given(const struct args *args, const char *name)
{
    for (size_t i = args->given_count; i-- > 0;) {
        if (strcmp(args->given[i].option->name, name) == 0)
            return &args->given[i];
    }
    return NULL;
}

bool args_has(const struct args *args, const char *name)
{
    return args_given(args, name) != NULL;
}

const char *args_text(const struct args *args, const char *name)
{
    const struct given *given = args_given(args, name);
    return given ? given->text : NULL;
}

int64_t args_number(const struct args *args, const char *name, int64_t fallback)
{
    const struct given *given = args_given(args, name);
    return given ? given->number : fallback;
}

int list_each(const char *text, int (*each)(void *ctx, const char *piece, size_t len), void *ctx)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len && each(ctx, text, len) != 0)
            return -1;
        text += len + (text[len] == ',');
    }
    return 0;
}
