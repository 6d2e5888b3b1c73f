/* Comma-separated values by RFC 4180, lines ended by CR LF. Texts that people chose cannot
 * become formulas: one that begins with = + - @, a tab or a line break gets a ' in front. */
#ifndef MINICLOUD_CONTROLLER_USAGE_CSV_H
#define MINICLOUD_CONTROLLER_USAGE_CSV_H

#include <stdbool.h>

struct buf;

struct csv {
    struct buf *out;
    bool comma; /* there is a cell before the next one */
};

/* NULL: an empty cell. */
void csv_text(struct csv *csv, const char *text);
/* A number, a time or a word of ours: as it is. */
void csv_raw(struct csv *csv, const char *text);
void csv_line_end(struct csv *csv);

#endif
