/* Random ledgers with prices, for tests that add them up: three resources about the end of a
 * month, with corrections. The same seed gives the same ledger. */
#ifndef MINICLOUD_TESTS_USAGE_LEDGER_H
#define MINICLOUD_TESTS_USAGE_LEDGER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "controller/usage/usage_sum.h"

#define HOUR ((int64_t)HOUR_MS)

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(clock_parse(text, &ms), 0);
    return ms;
}

struct dice {
    uint64_t state;
};

static uint64_t roll(struct dice *dice)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return dice->state * 0x2545f4914f6cdd1d >> 16;
}

static int64_t below(struct dice *dice, int64_t limit)
{
    return (int64_t)(roll(dice) % (uint64_t)limit);
}

enum { SEGMENTS_MAX = 96, PRICES_MAX = 5, RESOURCES = 3 };

struct ledger {
    struct segment segments[SEGMENTS_MAX];
    size_t count;
    struct price prices[PRICES_MAX];
    size_t price_count;
    struct price_book *book;
    int64_t from_ms, to_ms, month_ms; /* month_ms: an end of a month within */
};

static void add_row(struct ledger *ledger, struct segment segment)
{
    if (ledger->count == SEGMENTS_MAX || segment.start_ms >= segment.end_ms)
        return;
    segment.key = (int64_t)ledger->count + 1;
    ledger->segments[ledger->count++] = segment;
}

/* Cut at the end of the month, as every row of a ledger is. */
static void add_cut(struct ledger *ledger, struct segment segment)
{
    struct segment rest = segment;
    if (segment.start_ms < ledger->month_ms && segment.end_ms > ledger->month_ms) {
        rest.start_ms = segment.end_ms = ledger->month_ms;
        add_row(ledger, rest);
    }
    add_row(ledger, segment);
}

static struct segment random_segment(struct dice *dice, int kind, int64_t resource)
{
    struct segment segment = {.kind = kind,
                              .sign = 1,
                              .resource =
                                  kind == SEGMENT_IMAGE ? RESOURCE_IMAGE : RESOURCE_INSTANCE,
                              .resource_key = resource,
                              .project_key = 1 + resource % 2,
                              .node_key = below(dice, 3),
                              .flavor_key = below(dice, 3),
                              .verified = below(dice, 4) != 0,
                              .amounts = {1 + below(dice, 9), below(dice, 5), below(dice, 4096)}};
    if (kind == SEGMENT_RUNNING || kind == SEGMENT_ALLOCATED || kind == SEGMENT_GAP)
        segment.amounts[0] = 1;
    if (kind == SEGMENT_COUNTED)
        segment.amounts[0] = below(dice, 4000000000000);
    return segment;
}

/* Takes back one row, and puts pieces in its place. */
static void correct_one(struct ledger *ledger, struct dice *dice)
{
    struct segment *row = &ledger->segments[below(dice, (int64_t)ledger->count)];
    for (size_t i = 0; i < ledger->count; i++) {
        if (row->sign < 0 || ledger->segments[i].reverses == row->key)
            return;
    }
    struct segment back = *row, piece = *row;
    back.sign = -1;
    back.reverses = row->key;
    back.correction = piece.correction = true;
    int64_t length = row->end_ms - row->start_ms;
    piece.end_ms -= below(dice, length);
    piece.verified = true;
    piece.flavor_key = below(dice, 3);
    add_row(ledger, back);
    if (below(dice, 3))
        add_row(ledger, piece);
}

static void random_prices(struct ledger *ledger, struct dice *dice)
{
    static const int64_t grains[] = {1000, 60000, 3600000};
    static const char *const ids[PRICES_MAX] = {"p1", "p2", "p3", "p4", "p5"};
    ledger->price_count = (size_t)below(dice, PRICES_MAX + 1);
    for (size_t i = 0; i < ledger->price_count; i++) {
        int64_t from = ledger->from_ms - 10 * HOUR + below(dice, 80 * HOUR);
        ledger->prices[i] = (struct price){
            .key = (int64_t)i + 1,
            .id = ids[i],
            .meter = (int)below(dice, METER_GAP),
            .project_key = below(dice, 3),
            .flavor_key = below(dice, 3),
            .nanos = below(dice, 5000000),
            .grain_ms = grains[below(dice, 3)],
            .minimum_ms = below(dice, 2) ? below(dice, 3 * HOUR) : 0,
            .monthly_cap_nanos = below(dice, 2) ? 1 + below(dice, 30000000) : 0,
            .valid_from_ms = from,
            .valid_until_ms = below(dice, 2) ? INT64_MAX : from + below(dice, 60 * HOUR)};
    }
    ledger->book = ledger->price_count ? price_book_new(ledger->prices, ledger->price_count) : NULL;
}

static __attribute__((unused)) void random_ledger(struct ledger *ledger, struct dice *dice)
{
    memset(ledger, 0, sizeof(*ledger));
    ledger->month_ms = at("2026-12-01T00:00:00Z");
    ledger->from_ms = ledger->month_ms - 20 * HOUR - below(dice, 20 * HOUR);
    ledger->to_ms = ledger->from_ms + 20 * HOUR + below(dice, 30 * HOUR);
    for (int64_t resource = 1; resource <= RESOURCES; resource++) {
        int kind = (int)below(dice, SEGMENT_GAP + 1);
        int64_t t = ledger->from_ms - below(dice, 20 * HOUR);
        for (int64_t n = below(dice, 7); n > 0; n--) {
            struct segment segment = random_segment(dice, kind, resource);
            segment.start_ms = segment.origin_ms = t + below(dice, 2) * below(dice, 3 * HOUR);
            segment.end_ms = t = segment.start_ms + 1 + below(dice, 1 + below(dice, 25 * HOUR));
            add_cut(ledger, segment);
        }
    }
    for (int64_t n = ledger->count ? below(dice, 4) : 0; n > 0; n--)
        correct_one(ledger, dice);
    random_prices(ledger, dice);
}

#endif
