/* Builds JSON bodies. Knows no noun: an option's row says its member and how its
 * value is written. */
#include "cli/remote/body.h"

#include <inttypes.h>
#include <string.h>

#include "api/base/base64.h"
#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"

static int put_piece(void *ctx, const char *piece, size_t len)
{
    struct json_writer *w = ctx;
    json_put_strn(w, NULL, piece, len);
    return 0;
}

static void put_list(const struct args *args, const struct option *option, const char *member,
                     struct json_writer *w)
{
    json_open(w, member, '[');
    for (size_t i = 0; i < args->given_count; i++) {
        if (args->given[i].option == option)
            list_each(args->given[i].text, put_piece, w);
    }
    json_close(w, ']');
}

static int read_file(const struct given *given, struct buf *out, struct err *err)
{
    const char *path = strcmp(given->text, "-") == 0 ? "/dev/stdin" : given->text;
    if (file_read(path, (size_t)given->option->max, out, err) == 0)
        return 0;
    return err_set(err, ERR_USAGE, "--%s: %s", given->option->name, err->msg);
}

static int put_content(const struct given *given, const char *member, struct json_writer *w,
                       struct err *err)
{
    auto_buf struct buf bytes = {0}, text = {0};
    if (read_file(given, &bytes, err) != 0)
        return -1;
    base64_encode(bytes.data ? bytes.data : "", bytes.len, &text);
    json_put_str(w, member, text.data ? text.data : "");
    autofree char *encoding = xasprintf("%s_encoding", member);
    json_put_str(w, encoding, "base64");
    return 0;
}

static int put_line(const struct given *given, const char *member, struct json_writer *w,
                    struct err *err)
{
    auto_buf struct buf text = {0};
    if (read_file(given, &text, err) != 0)
        return -1;
    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
        text.data[--text.len] = '\0';
    if (text.len == 0 || memchr(text.data, '\n', text.len) || strlen(text.data) != text.len)
        return err_set(err, ERR_USAGE, "--%s: %s must hold one line", given->option->name,
                       given->text);
    json_put_str(w, member, text.data);
    return 0;
}

static int put_option(const struct body *body, const struct given *given, struct json_writer *w,
                      struct err *err)
{
    const struct option *option = given->option;
    const char *member = option->member ? option->member : option->name;
    switch (option->type) {
    case OPTION_FLAG: {
        const char *fixed = option->fixed ? option->fixed : "true";
        json_put_raw(w, member, fixed, strlen(fixed));
        return 0;
    }
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_SECONDS:
        json_put_i64(w, member, given->number);
        return 0;
    case OPTION_TIME: {
        char text[CLOCK_TEXT_MAX];
        if (option->fixed && strcmp(given->text, option->fixed) == 0)
            return 0;
        clock_format(given->number, text);
        json_put_str(w, member, text);
        return 0;
    }
    case OPTION_MONEY: {
        autofree char *text = xasprintf("%" PRId64, given->number);
        json_put_str(w, member, text);
        return 0;
    }
    case OPTION_YES_NO:
        json_put_bool(w, member, given->number);
        return 0;
    case OPTION_LIST:
        put_list(body->args, option, member, w);
        return 0;
    case OPTION_CONTENT:
        return put_content(given, member, w, err);
    case OPTION_LINE:
        return put_line(given, member, w, err);
    case OPTION_TEXT:
    case OPTION_CHOICE:
    case OPTION_FILE:
        json_put_str(w, member, given->text);
        return 0;
    case OPTION_LABEL:
        return 0; /* put_labels() */
    }
    return 0;
}

/* ---- labels ---- */

/* Whether a later --label (from `from` on) or, for old ones, an --unlabel replaces it. */
static bool is_set_again(const struct args *args, size_t from, const char *name, size_t len)
{
    for (size_t i = from; i < args->given_count; i++) {
        const struct given *given = &args->given[i];
        if (given->option->type == OPTION_LABEL && strncmp(given->text, name, len) == 0 &&
            given->text[len] == '=')
            return true;
    }
    return false;
}

struct wanted {
    const char *name;
};

static int is_other(void *ctx, const char *piece, size_t len)
{
    const struct wanted *wanted = ctx;
    return strlen(wanted->name) == len && memcmp(wanted->name, piece, len) == 0 ? -1 : 0;
}

static bool is_unset(const struct args *args, const char *name)
{
    struct wanted wanted = {name};
    for (size_t i = 0; i < args->given_count; i++) {
        const struct given *given = &args->given[i];
        if (strcmp(given->option->name, "unlabel") == 0 &&
            list_each(given->text, is_other, &wanted) != 0)
            return true;
    }
    return false;
}

static void put_labels(const struct body *body, struct json_writer *w)
{
    const struct args *args = body->args;
    json_open(w, "labels", '{');
    const struct json *old = body->labels ? json_first(body->labels) : NULL;
    for (; old; old = json_next(old)) {
        const char *name = json_name(old);
        if (is_unset(args, name) || is_set_again(args, 0, name, strlen(name)))
            continue;
        json_put_key(w, name);
        json_put_str(w, NULL, json_str(old));
    }
    for (size_t i = 0; i < args->given_count; i++) {
        const char *text = args->given[i].text;
        size_t len = text ? strcspn(text, "=") : 0;
        if (args->given[i].option->type != OPTION_LABEL || is_set_again(args, i + 1, text, len))
            continue;
        autofree char *name = xstrndup(text, len);
        json_put_key(w, name);
        json_put_str(w, NULL, text + len + 1);
    }
    json_close(w, '}');
}

static bool has_labels(const struct args *args)
{
    for (size_t i = 0; i < args->given_count; i++) {
        if (args->given[i].option->type == OPTION_LABEL)
            return true;
    }
    return args_has(args, "unlabel");
}

int body_build(const struct body *body, struct buf *out, struct err *err)
{
    struct json_writer w = JSON_WRITER(out);
    json_open(&w, NULL, '{');
    if (body->extra)
        json_put_str(&w, body->extra, body->extra_value);
    const struct option *option;
    for (size_t i = 0; (option = verb_option_at(body->args->verb, i)); i++) {
        const struct given *given = args_given(body->args, option->name);
        if (given && option->place == PLACE_BODY && put_option(body, given, &w, err) != 0)
            return -1;
    }
    if (has_labels(body->args))
        put_labels(body, &w);
    json_close(&w, '}');
    return 0;
}

void body_named(const struct buf *body, const char *name, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    json_open(&w, NULL, '{');
    json_put_str(&w, "name", name);
    if (body->len > 2)
        json_put_raw(&w, NULL, body->data + 1, body->len - 2);
    json_close(&w, '}');
}
