/* A column of one member of an object as text: for people (ages, sizes with units, "-" for
 * nothing) or for programs (as the API wrote it). */
#ifndef MINICLOUD_CLI_SHOW_CELL_H
#define MINICLOUD_CLI_SHOW_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/line/command.h"

struct buf;
struct json;

enum cell_style {
    CELL_PLAIN,  /* CSV and names: raw values, "" for nothing */
    CELL_PEOPLE, /* tables */
    CELL_DETAIL, /* a line per column: as tables, but times in full */
};

void cell_put(const struct column *column, const struct json *object, enum cell_style style,
              int64_t now_ms, struct buf *out);

/* "42s", "5m", "3h", "12d", "2y"; what lies ahead is "0s". */
void cell_age(int64_t age_ms, struct buf *out);
/* "512B", "1.5K", "12.4M", "3G". */
void cell_bytes(int64_t bytes, struct buf *out);

#endif
