/* What one page of an answer about usage is of, and the cursor that carries it from page to
 * page. Pure. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_CURSOR_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/limits.h"
#include "controller/ledger/book/ledger.h"
#include "controller/usage/usage_sum.h"

struct buf;
struct err;

struct usage_query {
    struct usage_question question;
    char labels[USAGE_LABELS][LIMIT_LABEL_NAME + 1];
    struct ledger_moment moment;
    /* Where the page begins: a period, and how many of its rows came before. */
    int64_t position_ms;
    size_t skip;
};

/* The cursor of a page that begins at (position_ms, skip). */
void usage_cursor(const struct usage_query *query, int64_t position_ms, size_t skip,
                  struct buf *out);
/* Reads it back into moment and position. It must be of the same question, and may not speak of
 * what is not known `now`. */
int usage_cursor_parse(const char *text, const struct ledger_moment *now, struct usage_query *query,
                       struct err *err);
/* Whether the position is where a period of the question begins. */
bool usage_position_fits(const struct usage_query *query);

#endif
