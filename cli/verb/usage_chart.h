/* Usage drawn as bars: a bar for each hour, day or month of a range. */
#ifndef MINICLOUD_CLI_VERB_USAGE_CHART_H
#define MINICLOUD_CLI_VERB_USAGE_CHART_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/line/moment.h"

struct args;
struct buf;
struct err;
struct json;
struct remote_list;
struct usage_view;

struct usage_range {
    int64_t start_ms, end_ms;
    enum period period;
    const char *meters; /* that were asked for, borrowed; NULL: all */
};

/* What to ask for: hours or days as they fit, unless the arguments say. Where these have no end,
 * it is a guess by the clock of this machine. */
int usage_range_init(struct usage_range *range, const struct args *args, int64_t now_ms,
                     struct err *err);
/* What the answer is of: without an end of its own, until where it was measured. */
int usage_range_settle(struct usage_range *range, const struct args *args,
                       const struct json *answer, struct err *err);

/* Bars of cost; where nothing costs anything, of running hours (or of the first meter). Sets
 * *ret_gaps when time without proof is drawn beside what is known. */
void usage_chart_put(const struct usage_view *view, const struct usage_range *range,
                     const struct remote_list *list, int width, bool utf8, struct buf *out,
                     bool *ret_gaps);

#endif
