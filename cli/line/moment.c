/* Civil time is api/clock's; here are only the words for it. */
#include "cli/line/moment.h"

#include <stdbool.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"

#define HOUR_MS (3600LL * 1000)
#define DAY_MS (24 * HOUR_MS)

const char *const period_names[] = {"hour", "day", "month", "total", NULL};

static int64_t floor_to(int64_t wall_ms, int64_t unit_ms)
{
    int64_t rest = wall_ms % unit_ms;
    return wall_ms - (rest < 0 ? rest + unit_ms : rest);
}

static int64_t month_floor(int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];
    int64_t floor_ms = wall_ms;
    clock_format(wall_ms, text);
    memcpy(text + 7, "-01T00:00:00Z", sizeof("-01T00:00:00Z"));
    clock_parse(text, &floor_ms);
    return floor_ms;
}

int64_t period_floor(enum period period, int64_t wall_ms)
{
    switch (period) {
    case PERIOD_HOUR:
        return floor_to(wall_ms, HOUR_MS);
    case PERIOD_DAY:
        return floor_to(wall_ms, DAY_MS);
    case PERIOD_MONTH:
        return month_floor(wall_ms);
    case PERIOD_TOTAL:
        break;
    }
    return INT64_MIN;
}

int64_t period_next(enum period period, int64_t wall_ms)
{
    switch (period) {
    case PERIOD_HOUR:
        return floor_to(wall_ms, HOUR_MS) + HOUR_MS;
    case PERIOD_DAY:
        return floor_to(wall_ms, DAY_MS) + DAY_MS;
    case PERIOD_MONTH:
        return month_floor(month_floor(wall_ms) + 32 * DAY_MS);
    case PERIOD_TOTAL:
        break;
    }
    return INT64_MAX;
}

void period_put(enum period period, int64_t wall_ms, struct buf *out)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    if (period == PERIOD_MONTH && month_floor(wall_ms) == wall_ms)
        buf_add(out, text, 7);
    else if (period != PERIOD_HOUR && floor_to(wall_ms, DAY_MS) == wall_ms)
        buf_add(out, text, 10);
    else
        buf_printf(out, "%.10s %.5s", text, text + 11);
}

void moment_put_short(int64_t wall_ms, struct buf *out)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    if (floor_to(wall_ms, DAY_MS) == wall_ms)
        buf_add(out, text, 10);
    else if (memcmp(text + 17, "00", 2) == 0)
        buf_printf(out, "%.10s %.5s", text, text + 11);
    else
        buf_printf(out, "%.10s %.8s", text, text + 11);
}

void moment_put(int64_t wall_ms, struct buf *out)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    buf_printf(out, "%.10s %.8s UTC", text, text + 11);
}

/* "-24h": so long before now. */
static int parse_back(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    static const char letters[] = "smhdw";
    static const int64_t lengths[] = {1000, 60 * 1000, HOUR_MS, DAY_MS, 7 * DAY_MS};
    int64_t back = 0;
    const char *at = text + 1;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(back, 10, &back) ||
            __builtin_add_overflow(back, *at - '0', &back))
            return -1;
    }
    const char *letter = *at ? strchr(letters, *at) : NULL;
    if (at == text + 1 || !letter || at[1] ||
        __builtin_mul_overflow(back, lengths[letter - letters], &back) ||
        __builtin_sub_overflow(now_ms, back, ret_ms))
        return -1;
    return 0;
}

static bool parse_word(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    int64_t today_ms = floor_to(now_ms, DAY_MS);
    const struct {
        const char *word;
        int64_t ms;
    } words[] = {
        {"now", now_ms},
        {"today", today_ms},
        {"yesterday", today_ms - DAY_MS},
        {"month", month_floor(now_ms)},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].word, text) != 0)
            continue;
        *ret_ms = words[i].ms;
        return true;
    }
    return false;
}

/* A date or a month means its first moment; the calendar is clock_parse's to judge. */
static int parse_date(const char *text, int64_t *ret_ms)
{
    char whole[CLOCK_TEXT_MAX];
    size_t len = strlen(text);
    const char *rest = len == 7 ? "-01T00:00:00Z" : len == 10 ? "T00:00:00Z" : "";
    if (snprintf(whole, sizeof(whole), "%s%s", text, rest) >= (int)sizeof(whole))
        return clock_parse(text, ret_ms);
    return clock_parse(whole, ret_ms);
}

bool moment_is_relative(const char *text)
{
    return *text == '-' || strcmp(text, "now") == 0;
}

int moment_parse(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    static const int64_t first_ms = -62167219200000LL; /* the year 0 */
    if (parse_word(text, now_ms, ret_ms))
        return 0;
    int rc = *text == '-' ? parse_back(text, now_ms, ret_ms) : parse_date(text, ret_ms);
    return rc == 0 && *ret_ms >= first_ms ? 0 : -1;
}
