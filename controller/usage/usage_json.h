/* Rows of usage as JSON objects in a list. Answers have many, and most of a row is what the one
 * before said too: its period, who used it. That is copied and not written anew. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_JSON_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "controller/usage/usage_sum.h"

struct json_writer;
struct usage_names;
struct usage_query;

/* Initialise the first three; nothing else may write between two rows. */
struct usage_json {
    struct json_writer *w;
    const struct usage_query *query;
    struct usage_names *names;
    /* Of the row before: where it says its period, and who, in what was written. */
    bool any;
    int64_t start_ms;
    struct usage_key key;
    size_t at, period_len, who_len;
};
void usage_json_row(struct usage_json *json, const struct usage_row *row);

#endif
