/* Lowest free number by a tree of full words. */
#include "controller/placement/numbers.h"

#include <stdlib.h>

#include "api/base/mem.h"

static size_t words_at(int64_t count, int level)
{
    size_t words = (size_t)count;
    for (int i = 0; i <= level; i++)
        words = (words + 63) / 64;
    return words ? words : 1;
}

/* Marks what lies behind the last number of a level as taken, so that no search ends there. */
static void close_tail(uint64_t *words, size_t word_count, size_t bits)
{
    for (size_t i = bits; i < word_count * 64; i++)
        words[i / 64] |= 1ULL << (i % 64);
}

void numbers_init(struct numbers *numbers, int64_t first, int64_t last)
{
    int64_t count = last >= first ? last - first + 1 : 0;
    numbers->first = first;
    numbers->count = count < NUMBERS_MAX ? count : NUMBERS_MAX;
    size_t bits = (size_t)numbers->count;
    for (int i = 0; i < NUMBERS_LEVELS; i++) {
        size_t words = words_at(numbers->count, i);
        numbers->level[i] = xcalloc(words, sizeof(uint64_t));
        close_tail(numbers->level[i], words, bits);
        bits = (bits + 63) / 64;
    }
}

void numbers_release(struct numbers *numbers)
{
    for (int i = 0; i < NUMBERS_LEVELS; i++) {
        free(numbers->level[i]);
        numbers->level[i] = NULL;
    }
}

int64_t numbers_lowest(const struct numbers *numbers)
{
    size_t at = 0;
    for (int i = NUMBERS_LEVELS - 1; i >= 0; i--) {
        uint64_t open = ~numbers->level[i][at];
        if (numbers->count == 0 || open == 0)
            return -1;
        at = at * 64 + (size_t)__builtin_ctzll(open);
    }
    return numbers->first + (int64_t)at;
}

int64_t numbers_next(const struct numbers *numbers, int64_t from)
{
    size_t at = from > numbers->first ? (size_t)(from - numbers->first) : 0;
    int level = 0;
    uint64_t open = 0;
    for (; level < NUMBERS_LEVELS; level++, at = at / 64 + 1) {
        if (at / 64 >= words_at(numbers->count, level))
            return -1;
        open = ~numbers->level[level][at / 64] & UINT64_MAX << (at % 64);
        if (open)
            break;
    }
    if (level == NUMBERS_LEVELS || numbers->count == 0)
        return -1;
    at = at / 64 * 64 + (size_t)__builtin_ctzll(open);
    while (level-- > 0)
        at = at * 64 + (size_t)__builtin_ctzll(~numbers->level[level][at]);
    return numbers->first + (int64_t)at;
}

bool numbers_inside(const struct numbers *numbers, int64_t number)
{
    return number >= numbers->first && number - numbers->first < numbers->count;
}

bool numbers_taken(const struct numbers *numbers, int64_t number)
{
    if (!numbers_inside(numbers, number))
        return false;
    size_t at = (size_t)(number - numbers->first);
    return numbers->level[0][at / 64] >> (at % 64) & 1;
}

bool numbers_set(struct numbers *numbers, int64_t number, bool taken)
{
    if (!numbers_inside(numbers, number))
        return false;
    bool was = numbers_taken(numbers, number);
    size_t at = (size_t)(number - numbers->first);
    for (int i = 0; i < NUMBERS_LEVELS; i++) {
        uint64_t *word = &numbers->level[i][at / 64];
        bool was_full = *word == UINT64_MAX;
        uint64_t bit = 1ULL << (at % 64);
        *word = taken ? *word | bit : *word & ~bit;
        bool full = *word == UINT64_MAX;
        if (full == was_full)
            break;
        taken = full;
        at /= 64;
    }
    return was;
}
