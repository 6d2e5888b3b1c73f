/* Composes error lines. Texts that came from elsewhere are made harmless for a
 * terminal first. */
#include "cli/show/report.h"

#include <ctype.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/show/format.h"

/* What to try, by code. In the text, @noun stands for the noun of the command, @help
 * for the shortest command that explains it, and @again for how to begin anew. */
static const struct {
    enum err_code code;
    const char *text;
} hints[] = {
    {ERR_USAGE, "@help"},
    {ERR_INVALID, "@help"},
    {ERR_FIELD, "@help"},
    {ERR_UNAUTHENTICATED, "cloudctl context create NAME --url URL --token-file FILE"},
    {ERR_FORBIDDEN, "a token of a higher role (cloudctl token create --help)"},
    {ERR_NOT_FOUND, "cloudctl @noun list"},
    {ERR_CONFLICT, "cloudctl @noun show @target"},
    {ERR_NAME_TAKEN, "another name, or cloudctl @noun list"},
    {ERR_IN_USE, "cloudctl instance list"},
    {ERR_NO_CAPACITY, "cloudctl node list"},
    {ERR_SECRET_SHARED, "delete the token and make another"},
    {ERR_REVISION_GONE, "the same command @again"},
    {ERR_PRECONDITION, "the same command again"},
    {ERR_TOO_MANY_REQUESTS, "the same command in a while"},
    {ERR_INTERNAL, "the controller's log"},
    {ERR_UNAVAILABLE, "the same command in a moment"},
    {ERR_HOST_TIMEOUT, "cloudctl node list"},
    {ERR_STORAGE_FULL, "cloudctl image list, and delete what is not needed"},
    {ERR_OPERATION_FAILED, "cloudctl instance show @target"},
    {ERR_CONNECT, "cloudctl context list"},
};

static void put_help(const struct args *args, struct buf *out)
{
    buf_puts(out, "cloudctl");
    if (!args->noun) {
        buf_puts(out, " help");
        return;
    }
    buf_printf(out, " %s", args->noun->name);
    if (args->verb && *args->verb->name)
        buf_printf(out, " %s", args->verb->name);
    buf_puts(out, " --help");
}

/* The noun that a refusal is about: "there is no image x", or a field that is called like
 * one. The command's own noun otherwise. */
static const struct noun *refused_noun(const struct args *args, const struct err *err)
{
    static const char missing[] = "there is no ";
    const char *text = err->field[0] == '/' ? err->field + 1 : err->field;
    if (!*text && strncmp(err->msg, missing, strlen(missing)) == 0)
        text = err->msg + strlen(missing);
    autofree char *word = xstrndup(text, strcspn(text, " "));
    const struct noun *noun = noun_find(word);
    return noun ? noun : args->noun;
}

static void put_hint(const struct args *args, const char *target, const struct err *err,
                     const char *text, struct buf *out)
{
    for (const char *at = text; *at; at++) {
        if (strncmp(at, "@noun", 5) == 0) {
            buf_puts(out, refused_noun(args, err)->name);
            at += 4;
        } else if (strncmp(at, "@target", 7) == 0) {
            buf_puts(out, target);
            at += 6;
        } else if (strncmp(at, "@help", 5) == 0) {
            put_help(args, out);
            at += 4;
        } else if (strncmp(at, "@again", 6) == 0) {
            buf_puts(out, args_has(args, "after") ? "without --after" : "again");
            at += 5;
        } else {
            buf_putc(out, *at);
        }
    }
}

/* A message that says itself what to try needs no hint. */
static void add_hint(const struct args *args, const char *target, const struct err *err,
                     struct buf *out)
{
    if (strstr(err->msg, "Try: "))
        return;
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (hints[i].code != err->code)
            continue;
        if ((strstr(hints[i].text, "@noun") && !args->noun) ||
            (strstr(hints[i].text, "@target") && !target))
            return;
        buf_puts(out, ". Try: ");
        put_hint(args, target, err, hints[i].text, out);
        return;
    }
}

static void put_subject(const struct args *args, const char *target, struct buf *out)
{
    if (!args->noun)
        return;
    buf_puts(out, args->noun->name);
    if (target)
        buf_printf(out, " %s", target);
    else if (args->verb && *args->verb->name)
        buf_printf(out, " %s", args->verb->name);
    buf_puts(out, ": ");
}

static void put_reason(const struct args *args, const char *target, const struct err *err,
                       struct buf *out)
{
    bool target_missing = err->code == ERR_NOT_FOUND && target &&
                          refused_noun(args, err) == args->noun && !(args->verb->flags & VERB_NEW);
    const char *field = err->field[0] == '/' ? err->field + 1 : err->field;
    if (target_missing) {
        buf_puts(out, "not found");
        return;
    }
    /* Most messages name their field already. A sentence goes on in lower case. */
    if (*field && !strstr(err->msg, field))
        buf_printf(out, "%s: ", field);
    size_t start = out->len;
    buf_puts(out, err->msg);
    if (isupper((unsigned char)err->msg[0]) && islower((unsigned char)err->msg[1]))
        out->data[start] = (char)tolower((unsigned char)err->msg[0]);
    while (out->len > 0 && strchr(". \n", out->data[out->len - 1]))
        out->data[--out->len] = '\0';
}

/* So that what a server or a guest wrote stays one line. */
static void make_harmless(struct buf *text)
{
    format_harmless(text->data, text->len, ' ');
}

static void put_pairs(const struct json *object, struct buf *out)
{
    for (const struct json *item = json_first(object); item; item = json_next(item)) {
        buf_printf(out, "%s%s=", item == json_first(object) ? "" : " ", json_name(item));
        if (json_str(item))
            buf_puts(out, json_str(item));
        else
            json_print(item, false, out);
    }
}

/* Arrays of objects (such as each host's refusal) take a line an item, the rest of the
 * problem a line a member; nothing and zero say nothing. */
static void print_line(const char *name, const struct json *value, FILE *out)
{
    auto_buf struct buf line = {0};
    int64_t number;
    if (json_type(value) == JSON_NULL || (json_i64(value, &number) && number == 0))
        return;
    if (name)
        buf_printf(&line, "%s: ", name);
    if (json_type(value) == JSON_OBJECT)
        put_pairs(value, &line);
    else if (json_str(value))
        buf_puts(&line, json_str(value));
    else
        json_print(value, false, &line);
    make_harmless(&line);
    fprintf(out, "  %s\n", line.data);
}

static void print_more(const struct err *err, FILE *out)
{
    auto_json struct json *more = NULL;
    auto_err struct err ignored = {0};
    if (!err->more || json_parse(err->more, strlen(err->more), &more, &ignored) != 0)
        return;
    for (const struct json *member = json_first(more); member; member = json_next(member)) {
        const struct json *item = json_first(member);
        if (json_type(member) != JSON_ARRAY)
            print_line(json_name(member), member, out);
        else
            for (; item; item = json_next(item))
                print_line(NULL, item, out);
    }
}

void report_error(const struct args *args, const char *target, const struct err *err, FILE *out)
{
    auto_buf struct buf line = {0};
    buf_puts(&line, "cloudctl: ");
    put_subject(args, target, &line);
    put_reason(args, target, err, &line);
    add_hint(args, target, err, &line);
    make_harmless(&line);
    fprintf(out, "%s\n", line.data);
    print_more(err, out);
}
