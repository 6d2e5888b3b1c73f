/* Settings from defaults, file, environment and flags, each over the last. Knows
 * the table it is given and nothing of what a setting means. */
#include "api/base/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"

enum { CONFIG_FILE_BYTES = 1024 * 1024 };

/* The table, what it fills, and how messages call the place a value came from. */
struct loader {
    const struct config_field *fields;
    size_t count;
    char *settings;
    struct err *err;
};

static const char white[] = " \t\r";

static int refuse(struct loader *l, const char *where, const char *key, const char *rule,
                  const char *got)
{
    return err_field(l->err, key, "%s: %s: %s, got \"%s\"", where, key, rule, got);
}

static int parse_number(const char *text, int64_t *ret, const char **ret_rest)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    /* strtoll skips white space and takes a '+'; a setting does not. */
    if (end == text || errno || (text[0] != '-' && (text[0] < '0' || text[0] > '9')))
        return -1;
    *ret = value;
    *ret_rest = end;
    return 0;
}

static int parse_int(const struct config_field *field, const char *text, int64_t *ret)
{
    const char *rest;
    if (parse_number(text, ret, &rest) != 0 || *rest)
        return -1;
    return *ret < field->min || *ret > field->max ? -1 : 0;
}

/* "90", "90s", "1500ms", "5m", "2h", "7d" to milliseconds. */
static int parse_seconds(const struct config_field *field, const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const char *rest;
    int64_t value;
    if (parse_number(text, &value, &rest) != 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcmp(rest, units[i].unit) != 0)
            continue;
        if (__builtin_mul_overflow(value, units[i].ms, ret_ms))
            return -1;
        return *ret_ms < field->min * 1000 || *ret_ms > field->max * 1000 ? -1 : 0;
    }
    return -1;
}

static int parse_bool(const char *text, bool *ret)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = i % 2;
            return 0;
        }
    }
    return -1;
}

static int parse_enum(const struct config_field *field, const char *text, int *ret)
{
    for (int i = 0; field->names[i]; i++) {
        if (strcmp(field->names[i], text) == 0) {
            *ret = i;
            return 0;
        }
    }
    return -1;
}

/* The rule of a field in words, for messages and for help. */
static void add_rule(const struct config_field *field, struct buf *out)
{
    long long min = field->min, max = field->max;
    switch (field->type) {
    case CONFIG_STR:
        buf_puts(out, "a text");
        break;
    case CONFIG_INT:
        buf_printf(out, "a number from %lld to %lld", min, max);
        break;
    case CONFIG_SECONDS:
        buf_printf(out, "%lld to %lld seconds (units: ms, s, m, h, d)", min, max);
        break;
    case CONFIG_BOOL:
        buf_puts(out, "true or false");
        break;
    case CONFIG_ENUM:
        for (size_t i = 0; field->names[i]; i++)
            buf_printf(out, "%s%s",
                       i == 0                ? ""
                       : field->names[i + 1] ? ", "
                                             : " or ",
                       field->names[i]);
        break;
    }
}

static int parse_value(const struct config_field *field, const char *text, void *at)
{
    char **string = at;
    switch (field->type) {
    case CONFIG_STR:
        free(*string);
        *string = xstrdup(text);
        return 0;
    case CONFIG_INT:
        return parse_int(field, text, at);
    case CONFIG_SECONDS:
        return parse_seconds(field, text, at);
    case CONFIG_BOOL:
        return parse_bool(text, at);
    case CONFIG_ENUM:
        return parse_enum(field, text, at);
    }
    return -1;
}

static int set_field(struct loader *l, const struct config_field *field, const char *where,
                     const char *text)
{
    if (parse_value(field, text, l->settings + field->offset) == 0)
        return 0;
    struct buf auto_buf rule = {0};
    buf_puts(&rule, "must be ");
    add_rule(field, &rule);
    return refuse(l, where, field->key, rule.data, text);
}

/* Underscores and dashes are alike. */
static bool same_key(const char *key, const char *text, size_t len)
{
    if (strlen(key) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char a = key[i] == '-' ? '_' : key[i], b = text[i] == '-' ? '_' : text[i];
        if (a != b)
            return false;
    }
    return true;
}

static const struct config_field *find_field(const struct loader *l, const char *key, size_t len)
{
    for (size_t i = 0; i < l->count; i++) {
        if (same_key(l->fields[i].key, key, len))
            return &l->fields[i];
    }
    return NULL;
}

static int unknown_key(struct loader *l, const char *where, const char *key)
{
    struct buf auto_buf known = {0};
    for (size_t i = 0; i < l->count; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", l->fields[i].key);
    return err_field(l->err, key, "%s: there is no setting \"%s\"; there are %s", where, key,
                     known.data ? known.data : "none");
}

static int load_defaults(struct loader *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct config_field *field = &l->fields[i];
        if (field->fallback && set_field(l, field, "default", field->fallback) != 0)
            return -1;
    }
    return 0;
}

/* ---- the file ---- */

/* Ends the text after its last character that is not white space. */
static void trim_end(char *text)
{
    size_t len = strlen(text);
    while (len > 0 && strchr(white, text[len - 1]))
        len--;
    text[len] = '\0';
}

/* A # begins a comment at the start of a line or after white space. */
static void cut_comment(char *line)
{
    for (char *at = line; (at = strchr(at, '#')); at++) {
        if (at == line || strchr(white, at[-1])) {
            *at = '\0';
            return;
        }
    }
}

static int load_line(struct loader *l, const char *where, char *line, unsigned *seen_lines,
                     unsigned number)
{
    cut_comment(line);
    char *key = line + strspn(line, white);
    trim_end(key);
    if (!*key)
        return 0;
    char *equals = strchr(key, '=');
    if (!equals)
        return err_set(l->err, ERR_INVALID, "%s: must be \"key = value\", got \"%s\"", where, key);
    *equals = '\0';
    trim_end(key);
    const struct config_field *field = find_field(l, key, strlen(key));
    if (!field)
        return unknown_key(l, where, key);
    unsigned *seen = &seen_lines[field - l->fields];
    if (*seen)
        return err_field(l->err, field->key, "%s: %s: already set in line %u", where, field->key,
                         *seen);
    *seen = number;
    return set_field(l, field, where, equals + 1 + strspn(equals + 1, white));
}

static int load_file(struct loader *l, const char *path, bool required)
{
    struct buf auto_buf text = {0};
    if (file_read(path, CONFIG_FILE_BYTES, &text, l->err) != 0) {
        if (l->err->code != ERR_NOT_FOUND || required)
            return -1;
        err_clear(l->err);
        return 0;
    }
    if (text.len != strlen(text.data))
        return err_set(l->err, ERR_INVALID, "%s: holds a NUL byte, so it is no text", path);
    autofree unsigned *seen_lines = xcalloc(l->count, sizeof(*seen_lines));
    unsigned number = 1;
    for (char *line = text.data; line; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        autofree char *where = xasprintf("%s:%u", path, number);
        if (load_line(l, where, line, seen_lines, number) != 0)
            return -1;
        line = end;
    }
    return 0;
}

/* ---- environment and flags ---- */

static int load_environment(struct loader *l)
{
    for (size_t i = 0; i < l->count; i++) {
        autofree char *name = xasprintf("MINICLOUD_%s", l->fields[i].key);
        for (char *at = name; *at; at++)
            *at = (char)(*at == '-' ? '_' : *at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
        const char *value = getenv(name);
        if (value && set_field(l, &l->fields[i], name, value) != 0)
            return -1;
    }
    return 0;
}

/* The value of a flag and how many arguments it took beside the flag; NULL when
 * it has none. A bool may stand alone. */
static const char *flag_value(const struct config_field *field, const char *flag, const char *next,
                              int *ret_taken)
{
    bool ignored;
    const char *equals = strchr(flag, '=');
    *ret_taken = 0;
    if (equals)
        return equals + 1;
    if (field->type == CONFIG_BOOL && (!next || parse_bool(next, &ignored) != 0))
        return "true";
    *ret_taken = 1;
    return next;
}

static int load_flags(struct loader *l, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strncmp(flag, "--", 2) != 0 || !flag[2])
            return err_set(l->err, ERR_USAGE, "%s: not expected; settings are --key=value", flag);
        size_t len = strcspn(flag + 2, "=");
        autofree char *where = xasprintf("--%.*s", (int)len, flag + 2);
        const struct config_field *field = find_field(l, flag + 2, len);
        if (!field)
            return unknown_key(l, "command line", where + 2);
        int taken;
        const char *value = flag_value(field, flag, i + 1 < argc ? argv[i + 1] : NULL, &taken);
        if (!value)
            return err_field(l->err, field->key, "%s: needs a value", where);
        if (set_field(l, field, where, value) != 0)
            return -1;
        i += taken;
    }
    return 0;
}

/* So that release is safe whatever the caller's memory held. */
static void clear_strings(const struct loader *l)
{
    static char *const none = NULL;
    for (size_t i = 0; i < l->count; i++) {
        if (l->fields[i].type == CONFIG_STR)
            memcpy(l->settings + l->fields[i].offset, &none, sizeof(none));
    }
}

int config_load(const struct config_field *fields, size_t count, const char *path, bool required,
                int argc, char **argv, void *ret_settings, struct err *err)
{
    struct loader l = {fields, count, ret_settings, err};
    clear_strings(&l);
    if (load_defaults(&l) == 0 && (!path || load_file(&l, path, required) == 0) &&
        load_environment(&l) == 0 && load_flags(&l, argc, argv) == 0)
        return 0;
    config_release(fields, count, ret_settings);
    return -1;
}

void config_release(const struct config_field *fields, size_t count, void *settings)
{
    const struct loader l = {fields, count, settings, NULL};
    for (size_t i = 0; i < count; i++) {
        if (fields[i].type == CONFIG_STR)
            mem_cleanup(l.settings + fields[i].offset);
    }
    clear_strings(&l);
}

void config_describe(const struct config_field *fields, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct config_field *field = &fields[i];
        buf_printf(out, "%s# %s\n# (", i ? "\n" : "", field->help ? field->help : field->key);
        add_rule(field, out);
        buf_printf(out, ")\n# %s = %s\n", field->key, field->fallback ? field->fallback : "");
    }
}
