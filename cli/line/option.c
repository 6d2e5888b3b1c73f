/* Options by name, and what each type of value may look like. */
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "cli/line/amount.h"
#include "cli/line/args.h"
#include "cli/line/moment.h"
#include "cli/line/suggest.h"

const struct option *option_find(const struct verb *verb, const char *name, size_t len)
{
    const struct option *option;
    for (size_t i = 0; (option = verb_option_at(verb, i)); i++) {
        if (strlen(option->name) == len && memcmp(option->name, name, len) == 0)
            return option;
    }
    return NULL;
}

const struct option *option_find_letter(const struct verb *verb, char letter)
{
    const struct option *option;
    for (size_t i = 0; (option = verb_option_at(verb, i)); i++) {
        if (option->letter == letter)
            return option;
    }
    return NULL;
}

static int bad_value(const struct option *option, const char *text, const char *rule,
                     struct err *err)
{
    return err_set(err, ERR_USAGE, "--%s %s: %s", option->name, text, rule);
}

static int in_range(const struct option *option, const char *text, int64_t value, struct err *err)
{
    if (value >= option->min && value <= option->max)
        return 0;
    return err_set(err, ERR_USAGE, "--%s %s: must be from %lld to %lld", option->name, text,
                   (long long)option->min, (long long)option->max);
}

/* Digits, then a suffix that the caller judges. -1: no number, or one too large. */
static int leading_number(const char *text, int64_t *ret_value, const char **ret_rest)
{
    if (*text < '0' || *text > '9')
        return -1;
    int64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value))
            return -1;
    }
    *ret_value = value;
    *ret_rest = text;
    return 0;
}

static int value_int(const struct option *option, const char *text, int64_t *ret, struct err *err)
{
    const char *rest;
    if (leading_number(text, ret, &rest) != 0 || *rest)
        return bad_value(option, text, "must be a whole number", err);
    return in_range(option, text, *ret, err);
}

/* "512" in units of the option, or "512M", "512MiB", "2G", "1T". */
static int value_size(const struct option *option, const char *text, int64_t *ret, struct err *err)
{
    static const char letters[] = "KMGT";
    const char *rest;
    int64_t bytes, unit = option->unit;
    if (leading_number(text, &bytes, &rest) != 0)
        return bad_value(option, text, "must be a size such as 512M or 2G", err);
    const char *letter = *rest ? strchr(letters, *rest & ~0x20) : NULL;
    if (letter && *letter) {
        unit = 1LL << (10 * (letter - letters + 1));
        rest++;
        rest += strcmp(rest, "iB") == 0 ? 2 : strcmp(rest, "B") == 0 ? 1 : 0;
    }
    if (*rest || __builtin_mul_overflow(bytes, unit, &bytes))
        return bad_value(option, text, "must be a size such as 512M or 2G", err);
    if (bytes % option->unit)
        return bad_value(option, text,
                         option->unit == 1LL << 30 ? "must be whole GiB" : "must be whole MiB",
                         err);
    *ret = bytes / option->unit;
    return in_range(option, text, *ret, err);
}

static int value_seconds(const struct option *option, const char *text, int64_t *ret,
                         struct err *err)
{
    static const char letters[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, 86400};
    const char *rest;
    if (leading_number(text, ret, &rest) != 0)
        return bad_value(option, text, "must be a time such as 90s or 5m", err);
    const char *letter = *rest ? strchr(letters, *rest) : NULL;
    if ((*rest && (!letter || rest[1])) ||
        __builtin_mul_overflow(*ret, letter ? seconds[letter - letters] : 1, ret))
        return bad_value(option, text, "must be a time such as 90s or 5m", err);
    return in_range(option, text, *ret, err);
}

static int64_t rounded(int64_t wall_ms, int64_t unit_ms, bool up)
{
    int64_t over = wall_ms % unit_ms;
    int64_t floor_ms = wall_ms - (over < 0 ? over + unit_ms : over);
    return up && floor_ms != wall_ms ? floor_ms + unit_ms : floor_ms;
}

static int value_time(const struct option *option, const char *text, int64_t *ret, struct err *err)
{
    if (moment_parse(text, clock_wall_ms(), ret) == 0) {
        if (option->unit && moment_is_relative(text))
            *ret = rounded(*ret, option->unit, option->round_up);
        return 0;
    }
    return bad_value(option, text,
                     "must be a time such as 2026-11-01, 2026-11, -24h, today or"
                     " 2026-11-01T10:00:00Z",
                     err);
}

static int value_money(const struct option *option, const char *text, int64_t *ret, struct err *err)
{
    if (money_parse(text, option->max, ret, err) != 0)
        return err_context(err, "--%s %s", option->name, text);
    return *ret >= option->min ? 0 : bad_value(option, text, "must be more than 0", err);
}

static int value_choice(const struct option *option, const char *text, struct err *err)
{
    if (name_index(option->choices, text) >= 0)
        return 0;
    autofree char *all = suggest_all(option->choices);
    return err_set(err, ERR_USAGE, "--%s %s: must be %s", option->name, text, all);
}

static int value_yes_no(const struct option *option, const char *text, int64_t *ret,
                        struct err *err)
{
    *ret = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    if (*ret || strcmp(text, "no") == 0 || strcmp(text, "false") == 0)
        return 0;
    return bad_value(option, text, "must be yes or no", err);
}

int option_value(const struct option *option, const char *text, int64_t *ret_number,
                 struct err *err)
{
    switch (option->type) {
    case OPTION_INT:
        return value_int(option, text, ret_number, err);
    case OPTION_SIZE:
        return value_size(option, text, ret_number, err);
    case OPTION_SECONDS:
        return value_seconds(option, text, ret_number, err);
    case OPTION_TIME:
        return value_time(option, text, ret_number, err);
    case OPTION_MONEY:
        return value_money(option, text, ret_number, err);
    case OPTION_CHOICE:
        return value_choice(option, text, err);
    case OPTION_YES_NO:
        return value_yes_no(option, text, ret_number, err);
    case OPTION_LABEL:
        return strchr(text, '=') && *text != '='
                   ? 0
                   : bad_value(option, text, "must be NAME=VALUE", err);
    case OPTION_FLAG:
        return 0;
    case OPTION_TEXT:
    case OPTION_LIST:
    case OPTION_FILE:
    case OPTION_CONTENT:
    case OPTION_LINE:
        return *text ? 0 : bad_value(option, "''", "must not be empty", err);
    }
    return 0;
}
