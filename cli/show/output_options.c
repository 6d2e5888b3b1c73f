/* The options of verbs that print. */
#include "cli/line/command.h"
#include "cli/show/output.h"

/* clang-format off */
const struct option output_options[] = {
    {.name = "output", .letter = 'o', .type = OPTION_CHOICE, .value = "FORMAT",
     .help = "table, json, yaml, csv or name", .choices = output_formats},
    {.name = "columns", .type = OPTION_LIST, .value = "A,B,C",
     .help = "which columns, in which order (table and csv)"},
    {0}};
/* clang-format on */
