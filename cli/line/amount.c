/* Arithmetic on decimal text. No floating point: what is billed is what is shown. */
#include "cli/line/amount.h"

#include <inttypes.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"

enum { DIGITS_MAX = 36, NANOS = 1000 * 1000 * 1000 };
enum { DECIMALS_MIN = 3, DECIMALS_MAX = 9, DIGITS_SHOWN = 1000 /* the least of four */ };

bool amount_parse(const char *text, amount *ret)
{
    bool negative = *text == '-';
    const char *first = text + negative, *at = first;
    amount value = 0;
    for (; *at >= '0' && *at <= '9' && at - first < DIGITS_MAX; at++)
        value = value * 10 + (*at - '0');
    if (at == first || *at)
        return false;
    *ret = negative ? -value : value;
    return true;
}

bool amount_of(const struct json *node, amount *ret)
{
    int64_t number;
    const char *text = json_str(node);
    if (text)
        return amount_parse(text, ret);
    if (!json_i64(node, &number))
        return false;
    *ret = number;
    return true;
}

/* printf knows no number as wide as this. */
static void put_whole(amount value, struct buf *out)
{
    char digits[48];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value);
    buf_add(out, digits + at, sizeof(digits) - at);
}

static void put_sign(amount *value, struct buf *out)
{
    if (*value >= 0)
        return;
    buf_putc(out, '-');
    *value = -*value;
}

#define HOUR_MS (3600LL * 1000)

/* How much of a meter's unit makes one of what people count in: the product of two. */
static const struct {
    const char *unit, *shown;
    int64_t high, low;
} units[] = {
    {"ms", "h", HOUR_MS, 1},
    {"vcpu_ms", "vCPU h", HOUR_MS, 1},
    {"mib_ms", "GiB h", HOUR_MS, 1024},
    {"gib_ms", "GiB h", HOUR_MS, 1},
    {"byte_ms", "GB h", HOUR_MS, NANOS},
    {"bytes", "GB", NANOS, 1},
    {"ns", "CPU h", HOUR_MS, 1000 * 1000},
};

static size_t find_unit(const char *unit)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(units) && strcmp(units[i].unit, unit) != 0)
        i++;
    return i;
}

const char *amount_shown_unit(const char *unit)
{
    size_t i = find_unit(unit);
    return i < ARRAY_SIZE(units) ? units[i].shown : unit;
}

/* The fraction as a whole number of its last decimal. */
static amount scaled(amount rest, amount one, int decimals)
{
    amount power = 1;
    for (int i = 0; i < decimals; i++)
        power *= 10;
    return (rest * power + one / 2) / one;
}

/* Four digits of what is less than one; no zeros at the end. */
static int fraction_decimals(amount quantity, amount one)
{
    int decimals = DECIMALS_MIN;
    if (quantity >= one)
        return decimals;
    while (decimals < DECIMALS_MAX && scaled(quantity, one, decimals) < DIGITS_SHOWN)
        decimals++;
    while (decimals > DECIMALS_MIN && scaled(quantity, one, decimals) % 10 == 0)
        decimals--;
    return decimals;
}

void amount_put_rounded(amount quantity, amount one, struct buf *out)
{
    amount magnitude = quantity < 0 ? -quantity : quantity;
    int decimals = fraction_decimals(magnitude, one);
    amount whole = magnitude / one, rest = scaled(magnitude % one, one, decimals);
    amount full = scaled(1, 1, decimals);
    char fraction[16];
    whole += rest / full;
    snprintf(fraction, sizeof(fraction), "%0*d", decimals, (int)(rest % full));
    if (quantity < 0 && (whole || rest))
        buf_putc(out, '-');
    put_whole(whole, out);
    buf_printf(out, ".%s", fraction);
}

void amount_put_number(amount quantity, const char *unit, struct buf *out)
{
    size_t i = find_unit(unit);
    if (i < ARRAY_SIZE(units)) {
        amount_put_rounded(quantity, (amount)units[i].high * units[i].low, out);
        return;
    }
    put_sign(&quantity, out);
    put_whole(quantity, out);
}

void amount_put_quantity(amount quantity, const char *unit, struct buf *out)
{
    amount_put_number(quantity, unit, out);
    buf_printf(out, " %s", amount_shown_unit(unit));
}

int money_decimals(amount nanos)
{
    int decimals = MONEY_DECIMALS_MAX;
    for (; decimals > MONEY_DECIMALS_MIN && nanos % 10 == 0; decimals--)
        nanos /= 10;
    return decimals;
}

void money_put(amount nanos, int decimals, struct buf *out)
{
    char fraction[16];
    put_sign(&nanos, out);
    put_whole(nanos / NANOS, out);
    snprintf(fraction, sizeof(fraction), "%09d", (int)(nanos % NANOS));
    buf_printf(out, ".%.*s", decimals, fraction);
}

/* Up to nine digits behind the point, as if there were nine. -1: there are more. */
static int parse_fraction(const char *at, int64_t *ret_nanos, const char **ret_end)
{
    int64_t weight = NANOS, nanos = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        weight /= 10;
        nanos += (*at - '0') * weight;
        if (weight == 0)
            return -1;
    }
    *ret_nanos = nanos;
    *ret_end = at;
    return 0;
}

static int too_much(int64_t max_nanos, struct err *err)
{
    auto_buf struct buf most = {0};
    money_put(max_nanos, MONEY_DECIMALS_MAX, &most);
    while (most.data[most.len - 1] == '0')
        most.data[--most.len] = '\0';
    if (most.data[most.len - 1] == '.')
        most.data[--most.len] = '\0';
    return err_set(err, ERR_USAGE, "must be at most %s", most.data);
}

int money_parse(const char *text, int64_t max_nanos, int64_t *ret_nanos, struct err *err)
{
    int64_t whole = 0, nanos = 0;
    const char *at = text;
    bool too_large = false;
    if (*at == '-')
        return err_set(err, ERR_USAGE, "must not be negative");
    for (; *at >= '0' && *at <= '9'; at++)
        too_large |= __builtin_mul_overflow(whole, 10, &whole) ||
                     __builtin_add_overflow(whole, *at - '0', &whole);
    bool begun = at > text, pointed = *at == '.';
    if (pointed && parse_fraction(at + 1, &nanos, &at) != 0)
        return err_set(err, ERR_USAGE, "must have at most %d decimals", MONEY_DECIMALS_MAX);
    if (!begun || *at || (pointed && at[-1] == '.'))
        return err_set(err, ERR_USAGE, "must be an amount such as 0.004 or 2.50");
    if (too_large || __builtin_mul_overflow(whole, NANOS, &whole) ||
        __builtin_add_overflow(whole, nanos, ret_nanos) || *ret_nanos > max_nanos)
        return too_much(max_nanos, err);
    return 0;
}
