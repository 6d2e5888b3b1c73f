/* Usage drawn as bars: a bar for each hour, day or month of a range. */
#ifndef MINICLOUD_CLI_USAGE_CHART_H
#define MINICLOUD_CLI_USAGE_CHART_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/moment.h"

struct args;
struct buf;
struct err;
struct remote_list;
struct usage_view;

struct usage_range {
    int64_t start_ms, end_ms;
    enum period period;
};

/* What was asked for; where nothing was, this month so far, and hours or days as they fit. */
int usage_range_init(struct usage_range *range, const struct args *args, int64_t now_ms,
                     struct err *err);

/* Bars of cost; where nothing costs anything, of running hours (or of the first meter). Sets
 * *ret_gaps when time without proof is drawn. */
void usage_chart_put(const struct usage_view *view, const struct usage_range *range,
                     const struct remote_list *list, int width, bool utf8, struct buf *out,
                     bool *ret_gaps);

#endif
