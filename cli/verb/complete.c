/* Completion: `cloudctl completion bash` prints a script that hands the words typed
 * so far to the hidden `cloudctl __complete`, which prints candidates, one a line,
 * or ":files". All of it comes from the table and, for names, from the API. */
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/verb/verbs.h"

enum { NAMES_MAX = 500, CONNECT_MS = 1000, NAMES_MS = 2000 };

static const char bash_script[] =
    "# cloudctl completion for bash\n"
    "_cloudctl() {\n"
    "    local line cur=${COMP_WORDS[COMP_CWORD]}\n"
    "    [[ $cur == = ]] && cur=\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        if [[ $line == :files ]]; then\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            while IFS= read -r line; do COMPREPLY+=(\"$line\"); done \\\n"
    "                < <(compgen -f -- \"$cur\")\n"
    "        else\n"
    "            COMPREPLY+=(\"$line\")\n"
    "        fi\n"
    "    done < <(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    [[ ${COMPREPLY[0]-} == *, ]] && compopt -o nospace 2>/dev/null\n"
    "}\n"
    "complete -F _cloudctl cloudctl\n";

int run_completion(struct cli *cli, const struct args *args, struct err *err)
{
    if (strcmp(args->targets[0], "bash") != 0)
        return err_set(err, ERR_USAGE, "there is no completion for %s, only for bash",
                       args->targets[0]);
    fputs(bash_script, cli->screen.out);
    return 0;
}

/* What was understood of the words before the one to complete. */
struct typed {
    const struct noun *noun;
    const struct verb *verb;
    const struct option *pending; /* whose value is to be completed */
    size_t targets;
    bool ended; /* by "--" */
    bool lost;  /* a word is no noun or verb: nothing can follow */
    const char *context, *url, *token_file, *project;
};

static void keep_connection(struct typed *typed, const struct option *option, const char *value)
{
    if (strcmp(option->name, "context") == 0)
        typed->context = value;
    else if (strcmp(option->name, "url") == 0)
        typed->url = value;
    else if (strcmp(option->name, "token-file") == 0)
        typed->token_file = value;
    else if (strcmp(option->name, "project") == 0)
        typed->project = value;
}

static const struct option *option_of_word(const struct verb *verb, const char *word)
{
    if (word[1] == '-')
        return option_find(verb, word + 2, strcspn(word + 2, "="));
    return word[1] && !word[2] ? option_find_letter(verb, word[1]) : NULL;
}

static void read_word(struct typed *typed, const char *word)
{
    if (typed->pending) {
        if (strcmp(word, "=") == 0)
            return; /* bash makes "--name=value" three words */
        keep_connection(typed, typed->pending, word);
        typed->pending = NULL;
    } else if (!typed->ended && strcmp(word, "--") == 0) {
        typed->ended = true;
    } else if (!typed->ended && word[0] == '-' && word[1]) {
        const struct option *option = option_of_word(typed->verb, word);
        if (option && option->type != OPTION_FLAG && !strchr(word, '='))
            typed->pending = option;
    } else if (!typed->noun) {
        typed->noun = noun_find(word);
        typed->lost |= !typed->noun;
        if (typed->noun && noun_is_command(typed->noun))
            typed->verb = typed->noun->verbs;
    } else if (!typed->verb) {
        typed->verb = verb_find(typed->noun, word);
        typed->lost |= !typed->verb;
    } else {
        typed->targets++;
    }
}

/* ---- candidates ---- */

struct candidates {
    FILE *out;
    const char *lead; /* printed before each: what stands before the last comma */
    size_t lead_len;
    const char *prefix; /* what a candidate must begin with */
};

static void offer(const struct candidates *c, const char *text)
{
    if (strncmp(text, c->prefix, strlen(c->prefix)) == 0)
        fprintf(c->out, "%.*s%s\n", (int)c->lead_len, c->lead, text);
}

static void offer_contexts(const struct candidates *c)
{
    auto_err struct err ignored = {0};
    struct strings names = {0};
    if (context_names(&names, &ignored) == 0) {
        for (size_t i = 0; i < names.count; i++)
            offer(c, names.items[i]);
    }
    strings_release(&names);
}

/* Settles which controller is asked, as the typed options say. */
static int connect_as_typed(struct cli *cli, const struct typed *typed, struct err *err)
{
    const char *words[10] = {"cloudctl", "version"};
    int count = 2;
    const char *pairs[][2] = {{"--context", typed->context},
                              {"--url", typed->url},
                              {"--token-file", typed->token_file},
                              {"--project", typed->project}};
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (!pairs[i][1] || strcmp(pairs[i][1], "-") == 0)
            continue;
        words[count++] = pairs[i][0];
        words[count++] = pairs[i][1];
    }
    char *argv[10];
    for (int i = 0; i < count; i++)
        argv[i] = xstrdup(words[i]);
    auto_args struct args args = {0};
    int rc = args_parse(count, argv, &args, err);
    if (rc == 0)
        rc = settings_resolve(&args, cli->screen.in, &cli->settings, err);
    struct http_client_settings settings = {
        .url = cli->settings.url, .token = cli->settings.token, .connect_timeout_ms = CONNECT_MS};
    if (rc == 0)
        rc = http_client_new(&settings, &cli->client, err);
    for (int i = 0; i < count; i++)
        free(argv[i]);
    return rc;
}

/* Names from the API; silence where it cannot be asked. */
static void offer_names(struct cli *cli, const struct typed *typed, const char *noun_name,
                        const struct candidates *c)
{
    const struct noun *noun = noun_find(noun_name);
    auto_err struct err ignored = {0};
    auto_buf struct buf path = {0};
    auto_json struct json *page = NULL;
    if (strcmp(noun_name, "context") == 0) {
        offer_contexts(c);
        return;
    }
    if (connect_as_typed(cli, typed, &ignored) != 0 ||
        remote_path(cli, noun, NULL, NULL, &path, &ignored) != 0)
        return;
    remote_query_i64(&path, "limit", NAMES_MAX);
    struct remote_call call = {.method = "GET", .path = path.data, .timeout_ms = NAMES_MS};
    if (remote_call(cli, &call, &page, NULL, &ignored) != 0 || !page)
        return;
    const struct json *items = json_get(page, noun->plural);
    const struct json *item = items ? json_first(items) : NULL;
    for (; item; item = json_next(item)) {
        const char *name = json_str(json_get(item, noun->name_path ? noun->name_path : "name"));
        if (name)
            offer(c, name);
    }
}

static void offer_all(const struct candidates *c, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        offer(c, names[i]);
}

static void offer_columns(const struct typed *typed, const struct candidates *c)
{
    const struct column *column = typed->noun ? verb_columns(typed->noun, typed->verb) : NULL;
    for (; column && column->name; column++)
        offer(c, column->name);
}

static void offer_value(struct cli *cli, const struct typed *typed, const struct option *option,
                        const char *word, FILE *out)
{
    static const char *const yes_no[] = {"yes", "no", NULL};
    const char *comma = option->type == OPTION_LIST ? strrchr(word, ',') : NULL;
    struct candidates c = {.out = out, .lead = word, .prefix = comma ? comma + 1 : word};
    c.lead_len = (size_t)(c.prefix - word);
    if (option->choices)
        offer_all(&c, option->choices);
    else if (option->type == OPTION_YES_NO)
        offer_all(&c, yes_no);
    else if (option->noun)
        offer_names(cli, typed, option->noun, &c);
    else if (strcmp(option->name, "columns") == 0)
        offer_columns(typed, &c);
    else if (option->type == OPTION_FILE || option->type == OPTION_CONTENT ||
             option->type == OPTION_LINE)
        fputs(":files\n", out);
}

static void offer_options(const struct verb *verb, const char *word, FILE *out)
{
    struct candidates c = {.out = out, .lead = "--", .lead_len = 2};
    c.prefix = word[1] == '-' ? word + 2 : "";
    const struct option *option;
    for (size_t i = 0; (option = verb_option_at(verb, i)); i++)
        offer(&c, option->name);
}

static void offer_word(struct cli *cli, const struct typed *typed, const char *word, FILE *out)
{
    struct candidates c = {.out = out, .prefix = word};
    const struct verb *verb = typed->verb;
    if (!typed->noun) {
        for (const struct noun *noun = nouns; noun->name; noun++) {
            if (!(noun->verbs->flags & VERB_HIDDEN))
                offer(&c, noun->name);
        }
    } else if (!verb) {
        for (const struct verb *row = typed->noun->verbs; row->name; row++)
            offer(&c, row->name);
    } else if (verb->target_choices && typed->targets < (size_t)verb->max_targets) {
        offer_all(&c, verb->target_choices);
    } else if (verb->run == run_help) {
        struct typed none = {0};
        offer_word(cli, &none, word, out);
    } else if (typed->noun->plural && !(verb->flags & VERB_NEW) &&
               typed->targets < (size_t)verb->max_targets) {
        offer_names(cli, typed, verb->target_noun ? verb->target_noun : typed->noun->name, &c);
    }
}

int run_complete(struct cli *cli, const struct args *args, struct err *err)
{
    (void)err;
    struct typed typed = {0};
    if (args->target_count == 0)
        return 0;
    for (size_t i = 0; i + 1 < args->target_count; i++)
        read_word(&typed, args->targets[i]);
    const char *word = args->targets[args->target_count - 1];
    const char *value = strchr(word, '=');
    if (typed.lost)
        return 0;
    if (typed.pending)
        offer_value(cli, &typed, typed.pending, strcmp(word, "=") == 0 ? "" : word,
                    cli->screen.out);
    else if (!typed.ended && word[0] == '-' && value && option_of_word(typed.verb, word))
        offer_value(cli, &typed, option_of_word(typed.verb, word), value + 1, cli->screen.out);
    else if (!typed.ended && word[0] == '-')
        offer_options(typed.verb, word, cli->screen.out);
    else
        offer_word(cli, &typed, word, cli->screen.out);
    return 0;
}
