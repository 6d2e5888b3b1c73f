/* A set of taken numbers that knows its lowest free one: host users and addresses are
 * given out by it. Three levels of bits above the leaves say which words are full, so
 * that finding takes a handful of steps however many are taken. */
#ifndef MINICLOUD_CONTROLLER_PLACEMENT_NUMBERS_H
#define MINICLOUD_CONTROLLER_PLACEMENT_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBERS_LEVELS = 4, NUMBERS_MAX = 1 << 24 };

struct numbers {
    int64_t first, count;
    uint64_t *level[NUMBERS_LEVELS]; /* 0: the numbers; above: "this word is full" */
};

/* first..last; what lies beyond NUMBERS_MAX of them is not given out. */
void numbers_init(struct numbers *numbers, int64_t first, int64_t last);
void numbers_release(struct numbers *numbers);
/* -1: all are taken. */
int64_t numbers_lowest(const struct numbers *numbers);
/* The lowest free one from `from` on; -1: none. */
int64_t numbers_next(const struct numbers *numbers, int64_t from);
/* Whether it is one that may be given out, free or not. */
bool numbers_inside(const struct numbers *numbers, int64_t number);
bool numbers_taken(const struct numbers *numbers, int64_t number);
/* Returns whether it was taken. A number outside the range counts as free and stays it. */
bool numbers_set(struct numbers *numbers, int64_t number, bool taken);

#endif
