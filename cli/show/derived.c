/* Knows the members of prices and segments. Programs get the members as the API has them. */
#include "cli/show/derived.h"

#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/amount.h"

static const char *text_of(const struct json *object, const char *name)
{
    const char *text = json_str(json_get(object, name));
    return text ? text : "";
}

static bool is_set(const struct json *object, const char *name)
{
    bool yes = false;
    return json_bool(json_get(object, name), &yes) && yes;
}

/* ---- prices ---- */

static bool put_sum(const struct column *column, const struct json *object, enum cell_style style,
                    struct buf *out)
{
    amount nanos;
    const char *currency = text_of(object, "currency");
    if (!amount_of(json_get(object, column->path), &nanos))
        return false;
    money_put(nanos, money_decimals(nanos), out);
    if (style != CELL_PLAIN && *currency)
        buf_printf(out, " %s", currency);
    return true;
}

static void sum_put(const struct column *column, const struct json *object, enum cell_style style,
                    int64_t now_ms, struct buf *out)
{
    (void)now_ms;
    put_sum(column, object, style, out);
}

/* As quantities are shown; an unknown unit stays as it is. */
static const char *shown_unit(const char *unit)
{
    static const char *const units[][2] = {{"hour", "h"},
                                           {"vcpu-hour", "vCPU h"},
                                           {"GiB-hour", "GiB h"},
                                           {"GB-hour", "GB h"},
                                           {"CPU-hour", "CPU h"}};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcmp(units[i][0], unit) == 0)
            return units[i][1];
    }
    return unit;
}

/* "0.0040 EUR/GiB h" */
static void price_put(const struct column *column, const struct json *object, enum cell_style style,
                      int64_t now_ms, struct buf *out)
{
    (void)now_ms;
    const char *unit = text_of(object, "unit");
    if (put_sum(column, object, style, out) && style != CELL_PLAIN && *unit)
        buf_printf(out, "/%s", shown_unit(unit));
}

static void grain_put(const struct column *column, const struct json *object, enum cell_style style,
                      int64_t now_ms, struct buf *out)
{
    (void)now_ms;
    const char *per = text_of(object, column->path);
    if (style == CELL_PLAIN)
        buf_puts(out, per);
    else if (*per)
        buf_printf(out, "each %s", per);
    else
        buf_puts(out, "as counted");
}

static bool time_in(const struct json *object, const char *name, int64_t *ret_ms)
{
    return clock_parse(text_of(object, name), ret_ms) == 0;
}

static void state_put(const struct column *column, const struct json *object, enum cell_style style,
                      int64_t now_ms, struct buf *out)
{
    (void)column, (void)style;
    int64_t ms;
    /* Where this clock is behind the controller's, a new price would not have begun. */
    if (time_in(object, "created_at", &ms) && ms > now_ms)
        now_ms = ms;
    if (*text_of(object, "deleted_at"))
        buf_puts(out, "withdrawn");
    else if (time_in(object, "valid_until", &ms) && ms <= now_ms)
        buf_puts(out, "ended");
    else if (time_in(object, "valid_from", &ms) && ms > now_ms)
        buf_puts(out, "not begun");
    else
        buf_puts(out, "holding");
}

/* ---- segments ---- */

static bool is_gap(const struct json *segment)
{
    return strcmp(text_of(segment, "kind"), "gap") == 0;
}

/* How it differs from one that a host proved from end to end, each remark behind a separator. */
static void put_remarks(const struct json *segment, const char *separator, struct buf *out)
{
    bool proved = true;
    json_bool(json_get(segment, "verified"), &proved);
    if (is_set(segment, "reversal")) {
        buf_printf(out, "%staken back", separator);
        return;
    }
    if (is_set(segment, "correction")) {
        buf_printf(out, "%scorrection", separator);
        separator = ", ";
    }
    if (is_set(segment, "open"))
        buf_printf(out, "%sgoes on", separator);
    else if (!proved && !is_gap(segment))
        buf_printf(out, "%send not proved", separator);
}

static void note_put(const struct column *column, const struct json *object, enum cell_style style,
                     int64_t now_ms, struct buf *out)
{
    (void)column, (void)style, (void)now_ms;
    put_remarks(object, "", out);
}

/* Its end is not something that a gap has to prove. */
static void proof_put(const struct column *column, const struct json *object, enum cell_style style,
                      int64_t now_ms, struct buf *out)
{
    (void)now_ms;
    bool proved;
    if (!json_bool(json_get(object, column->path), &proved) || is_gap(object))
        return;
    if (style == CELL_PLAIN)
        buf_puts(out, proved ? "true" : "false");
    else
        buf_puts(out, proved ? "yes" : "no");
}

/* "2 vCPUs, 512M", "5G", "12.345s CPU, 1.5M in, 3K out", "5G, taken back". */
static void segment_put(const struct column *column, const struct json *object,
                        enum cell_style style, int64_t now_ms, struct buf *out)
{
    static const struct {
        struct column column;
        const char *one, *many;
    } parts[] = {
        {{.path = "vcpus"}, " vCPU", " vCPUs"},
        {{.path = "memory_mib", .type = CELL_MIB}, "", ""},
        {{.path = "disk_gib", .type = CELL_GIB}, "", ""},
        {{.path = "cpu_ns", .type = CELL_NANOSECONDS}, " CPU", " CPU"},
        {{.path = "ingress_bytes", .type = CELL_BYTES}, " in", " in"},
        {{.path = "egress_bytes", .type = CELL_BYTES}, " out", " out"},
    };
    (void)column;
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        int64_t count = 0;
        const struct json *node = json_get(object, parts[i].column.path);
        if (!node)
            continue;
        buf_puts(out, separator);
        cell_put(&parts[i].column, object, style, now_ms, out);
        json_i64(node, &count);
        buf_puts(out, count == 1 ? parts[i].one : parts[i].many);
        separator = ", ";
    }
    put_remarks(object, separator, out);
}

derived_put *derived_find(enum cell_type type)
{
    switch (type) {
    case CELL_SUM:
        return sum_put;
    case CELL_PRICE:
        return price_put;
    case CELL_PRICE_GRAIN:
        return grain_put;
    case CELL_PRICE_STATE:
        return state_put;
    case CELL_SEGMENT:
        return segment_put;
    case CELL_SEGMENT_NOTE:
        return note_put;
    case CELL_SEGMENT_PROOF:
        return proof_put;
    default:
        return NULL;
    }
}
