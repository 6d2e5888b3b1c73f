/* Tables on a screen. The only module that includes libsmartcols. */
#ifndef MINICLOUD_CLI_SHOW_OUTPUT_TABLE_H
#define MINICLOUD_CLI_SHOW_OUTPUT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct screen;

struct table_column {
    const char *title;
    bool right;
    /* On a terminal that is too narrow it gives way, down to TABLE_FLOOR; all others are
     * never cut, so lines may be longer than the terminal. */
    bool yields;
};

enum { TABLE_FLOOR = 8 };

/* Row after row. */
void table_print(const struct table_column *columns, size_t count, char *const *cells, size_t rows,
                 const struct screen *screen);
/* A line for each pair of name and value; long values go on below themselves. */
void table_print_pairs(char *const *cells, size_t rows, const struct screen *screen);

#endif
