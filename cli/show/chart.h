/* A bar chart out of text: a line per bar, with its label before and its value behind. Pure. */
#ifndef MINICLOUD_CLI_SHOW_CHART_H
#define MINICLOUD_CLI_SHOW_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/line/amount.h"

struct buf;

struct chart_bar {
    char *label, *text; /* owned by the caller */
    amount value;       /* below zero: drawn as nothing */
    amount gap;         /* what is not known, as dots behind the bar; in the same unit */
};

struct chart {
    const struct chart_bar *bars;
    size_t count;
    int width; /* columns of a line */
    bool utf8; /* bars of eighth blocks; otherwise of '#' */
};

/* The longest bar fills the room that labels and values leave. */
void chart_put(const struct chart *chart, struct buf *out);

#endif
