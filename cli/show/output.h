/* Data on standard output in the format and with the columns that were asked for. */
#ifndef MINICLOUD_CLI_SHOW_OUTPUT_H
#define MINICLOUD_CLI_SHOW_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/line/command.h"

struct json;
struct screen;

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_CSV, OUTPUT_NAME };
extern const char *const output_formats[]; /* "table","json","yaml","csv","name",NULL */

struct output {
    enum output_format format;
    bool chosen; /* -o or --columns was given */
    bool picked; /* --columns was given */
    bool detail; /* one thing, a line per column */
    const struct noun *noun;
    const char *name_path; /* what -o name prints; NULL: "name" */
    const struct column *columns[COLUMNS_MAX];
    size_t count;
};

/* Reads -o and --columns; refuses a column that `noun` has not and lists those it has. */
int output_prepare(const struct args *args, const struct noun *noun, struct output *ret_output,
                   struct err *err);
/* `single`: one object rather than an array of one. */
int output_print(const struct output *output, const struct screen *screen,
                 struct json *const *items, size_t count, bool single, struct err *err);
/* One item of an endless list: a line without heading (JSON: compact). */
int output_line(const struct output *output, const struct screen *screen, struct json *item,
                struct err *err);
/* The heading that such a list begins with, where its format has one. */
int output_heading(const struct output *output, const struct screen *screen, struct err *err);

#endif
