/* Turns members of the API's objects into cells. */
#include "cli/show/cell.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/amount.h"
#include "cli/line/moment.h"

void cell_age(int64_t age_ms, struct buf *out)
{
    static const struct {
        int64_t below, unit;
        char letter;
    } steps[] = {
        {60, 1, 's'},
        {3600, 60, 'm'},
        {86400, 3600, 'h'},
        {365 * 86400, 86400, 'd'},
        {INT64_MAX, 365 * 86400, 'y'},
    };
    int64_t seconds = age_ms > 0 ? age_ms / 1000 : 0;
    size_t i = 0;
    while (seconds >= steps[i].below)
        i++;
    buf_printf(out, "%" PRId64 "%c", seconds / steps[i].unit, steps[i].letter);
}

void cell_bytes(int64_t bytes, struct buf *out)
{
    static const char letters[] = "BKMGTPE";
    double value = (double)bytes;
    size_t i = 0;
    for (; value >= 1024; i++)
        value /= 1024;
    double rounded = (double)(int64_t)(value * 10 + 0.5) / 10;
    bool whole = i == 0 || rounded >= 100 || rounded == (double)(int64_t)rounded;
    buf_printf(out, "%.*f%c", whole ? 0 : 1, value, letters[i]);
}

static void put_mib(int64_t mib, struct buf *out)
{
    if (mib % 1024 == 0 || mib >= 10000)
        cell_bytes(mib << 20, out);
    else
        buf_printf(out, "%" PRId64 "M", mib);
}

/* Decimal strings are how the API writes 64-bit counts. */
static bool number_of(const struct json *node, int64_t *ret)
{
    const char *text = json_str(node);
    if (!text)
        return json_i64(node, ret);
    char *end;
    *ret = strtoll(text, &end, 10);
    return *text && !*end;
}

static void put_time(const struct column *column, const struct json *node, enum cell_style style,
                     int64_t now_ms, struct buf *out)
{
    int64_t wall_ms;
    const char *text = json_str(node);
    bool told = style == CELL_PEOPLE && text && clock_parse(text, &wall_ms) == 0;
    if (told && column->type == CELL_DATE)
        moment_put_short(wall_ms, out);
    else if (told)
        cell_age(now_ms - wall_ms, out);
    else if (text)
        buf_puts(out, text);
}

/* Enough to tell one from the others. */
static void put_hash(const struct json *node, enum cell_style style, struct buf *out)
{
    enum { SHOWN = 16 };
    const char *text = json_str(node);
    bool is_short = style == CELL_PEOPLE && text && strlen(text) > SHOWN;
    if (text)
        buf_printf(out, "%.*s%s", is_short ? SHOWN : INT_MAX, text, is_short ? "..." : "");
}

static void put_text(const struct json *node, enum cell_style style, struct buf *out)
{
    bool yes;
    if (json_str(node))
        buf_puts(out, json_str(node));
    else if (json_bool(node, &yes) && style != CELL_PLAIN)
        buf_puts(out, yes ? "yes" : "no");
    else if (json_type(node) == JSON_OBJECT)
        for (const struct json *item = json_first(node); item; item = json_next(item)) {
            buf_printf(out, "%s%s=", item == json_first(node) ? "" : ",", json_name(item));
            put_text(item, style, out);
        }
    else if (json_type(node) != JSON_NULL)
        json_print(node, false, out);
}

static void put_seconds(int64_t ns, struct buf *out)
{
    amount_put_rounded(ns, 1000 * 1000 * 1000, out);
    buf_putc(out, 's');
}

static void put_size(enum cell_type type, int64_t number, struct buf *out)
{
    if (type == CELL_MIB)
        put_mib(number, out);
    else if (type == CELL_GIB)
        buf_printf(out, "%" PRId64 "G", number);
    else if (type == CELL_SECONDS)
        buf_printf(out, "%" PRId64 "s", number);
    else if (type == CELL_NANOSECONDS)
        put_seconds(number, out);
    else
        cell_bytes(number, out);
}

static void put_value(const struct column *column, const struct json *node, enum cell_style style,
                      int64_t now_ms, struct buf *out)
{
    int64_t number;
    amount nanos;
    enum cell_type type = column->type;
    bool is_size = type == CELL_MIB || type == CELL_GIB || type == CELL_BYTES ||
                   type == CELL_SECONDS || type == CELL_NANOSECONDS;
    if (type == CELL_TIME || type == CELL_DATE)
        put_time(column, node, style, now_ms, out);
    else if (type == CELL_HASH)
        put_hash(node, style, out);
    else if (type == CELL_MONEY && amount_of(node, &nanos))
        money_put(nanos, money_decimals(nanos), out);
    else if (!is_size || style == CELL_PLAIN || !number_of(node, &number))
        put_text(node, style, out);
    else
        put_size(type, number, out);
}

/* Follows the dots; an array gives what all its items give, joined by commas. */
static void walk(const struct column *column, const struct json *node, const char *path,
                 enum cell_style style, int64_t now_ms, struct buf *out)
{
    if (!node)
        return;
    if (json_type(node) == JSON_ARRAY) {
        for (const struct json *item = json_first(node); item; item = json_next(item)) {
            size_t before = out->len;
            if (item != json_first(node))
                buf_putc(out, ',');
            size_t comma = out->len;
            walk(column, item, path, style, now_ms, out);
            if (out->len == comma && before != comma)
                out->data[out->len = before] = '\0';
        }
        return;
    }
    if (!*path) {
        put_value(column, node, style, now_ms, out);
        return;
    }
    size_t len = strcspn(path, ".");
    autofree char *name = xstrndup(path, len);
    walk(column, json_get(node, name), path + len + (path[len] == '.'), style, now_ms, out);
}

void cell_put(const struct column *column, const struct json *object, enum cell_style style,
              int64_t now_ms, struct buf *out)
{
    size_t before = out->len;
    walk(column, object, column->path, style, now_ms, out);
    if (out->len == before && style != CELL_PLAIN)
        buf_putc(out, '-');
}
