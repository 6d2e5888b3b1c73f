/* Cursors of usage: "u2" and numbers, in base64 so that nobody builds on it. What it says is
 * checked, not trusted: a cursor that was invented is refused, or means nothing but a question
 * that could have been asked anyway. */
#include "controller/usage/usage_cursor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/base64.h"
#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"

enum { SKIP_MAX = 1000 * 1000 * 1000 };

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

/* Of what was asked, so that a cursor is of use for that only. */
static uint32_t fingerprint(const struct usage_query *query)
{
    const struct usage_question *question = &query->question;
    int64_t numbers[] = {question->period, question->meters, question->project_key};
    uint64_t hash = mix(0xcbf29ce484222325, numbers, sizeof(numbers));
    hash = mix(hash, question->by, question->by_count * sizeof(question->by[0]));
    for (int i = 0; i < USAGE_LABELS; i++)
        hash = mix(hash, query->labels[i], strlen(query->labels[i]) + 1);
    return (uint32_t)(hash ^ hash >> 32);
}

void usage_cursor(const struct usage_query *query, int64_t position_ms, size_t skip,
                  struct buf *out)
{
    const struct ledger_moment *moment = &query->moment;
    const int64_t numbers[] = {
        fingerprint(query), moment->observation_key, moment->until_ms,     moment->seal_key,
        moment->sealed_ms,  moment->revision,        moment->vouched,      position_ms,
        (int64_t)skip,      query->question.from_ms, query->question.to_ms};
    auto_buf struct buf plain = {0};
    buf_puts(&plain, "u2");
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        buf_putc(&plain, '.');
        buf_i64(&plain, numbers[i]);
    }
    base64_encode(plain.data, plain.len, out);
}

enum {
    PRINT,
    OBSERVATION,
    UNTIL,
    SEAL,
    SEALED,
    REVISION,
    VOUCHED,
    POSITION,
    SKIP,
    FROM,
    TO,
    NUMBERS
};

static bool read_numbers(const char *text, int64_t numbers[NUMBERS])
{
    if (strncmp(text, "u2", 2) != 0)
        return false;
    text += 2;
    for (int i = 0; i < NUMBERS; i++) {
        if (text[0] != '.' || text[1] < '0' || text[1] > '9')
            return false;
        char *end;
        errno = 0;
        numbers[i] = strtoll(text + 1, &end, 10);
        if (errno)
            return false;
        text = end;
    }
    return !*text;
}

static bool known(const int64_t numbers[NUMBERS], const struct ledger_moment *now)
{
    return numbers[OBSERVATION] <= now->observation_key && numbers[SEAL] <= now->seal_key &&
           numbers[SEALED] <= now->sealed_ms && numbers[REVISION] <= now->revision &&
           numbers[UNTIL] >= numbers[SEALED] && numbers[SKIP] <= SKIP_MAX &&
           numbers[POSITION] >= numbers[FROM] && (numbers[POSITION] < numbers[TO]);
}

int usage_cursor_parse(const char *text, const struct ledger_moment *now, struct usage_query *query,
                       struct err *err)
{
    auto_buf struct buf plain = {0};
    auto_err struct err bad = {0};
    int64_t numbers[NUMBERS];
    if (base64_decode("cursor", text, &plain, &bad) != 0 || plain.len == 0 ||
        strlen(plain.data) != plain.len || !read_numbers(plain.data, numbers) ||
        !known(numbers, now))
        return err_field(err, "cursor", "cursor must be what an earlier page gave as `next`");
    if (numbers[PRINT] != fingerprint(query))
        return err_field(err, "cursor",
                         "cursor is of another question: the other parameters must stay the same");
    query->moment = (struct ledger_moment){.observation_key = numbers[OBSERVATION],
                                           .until_ms = numbers[UNTIL],
                                           .seal_key = numbers[SEAL],
                                           .sealed_ms = numbers[SEALED],
                                           .revision = numbers[REVISION],
                                           .vouched = numbers[VOUCHED]};
    query->position_ms = numbers[POSITION];
    query->skip = (size_t)numbers[SKIP];
    query->question.from_ms = numbers[FROM];
    query->question.to_ms = numbers[TO];
    return 0;
}

bool usage_position_fits(const struct usage_query *query)
{
    int64_t at = query->position_ms;
    if (at == query->question.from_ms)
        return true;
    switch (query->question.period) {
    case USAGE_HOUR:
        return hour_floor(at) == at;
    case USAGE_DAY:
        return day_floor(at) == at;
    case USAGE_MONTH:
        return month_floor(at) == at;
    case USAGE_TOTAL:
        break;
    }
    return false;
}
