/* Prints lists and single things: makes the cells of tables and the text of all else. */
#include "cli/show/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/types.h"
#include "cli/line/args.h"
#include "cli/show/column.h"
#include "cli/show/format.h"
#include "cli/show/output_table.h"
#include "cli/show/screen.h"

const char *const output_formats[] = {"table", "json", "yaml", "csv", "name", NULL};

/* ---- which columns ---- */

static const struct column *column_find(const struct column *all, const char *name, size_t len)
{
    for (const struct column *column = all; column->name; column++) {
        if (strlen(column->name) == len && memcmp(column->name, name, len) == 0)
            return column;
    }
    return NULL;
}

static int no_such_column(const struct noun *noun, const struct column *all, const char *name,
                          size_t len, struct err *err)
{
    auto_buf struct buf names = {0};
    for (const struct column *column = all; column->name; column++)
        buf_printf(&names, "%s%s", column == all ? "" : ",", column->name);
    return err_set(err, ERR_USAGE, "%s has no column %.*s; it has %s", noun->name, (int)len, name,
                   names.data);
}

struct chooser {
    struct output *output;
    const struct column *all;
    struct err *err;
};

static int choose_column(void *ctx, const char *name, size_t len)
{
    struct chooser *chooser = ctx;
    struct output *output = chooser->output;
    const struct column *column = column_find(chooser->all, name, len);
    if (!column)
        return no_such_column(output->noun, chooser->all, name, len, chooser->err);
    if (output->count == COLUMNS_MAX)
        return err_set(chooser->err, ERR_USAGE, "--columns: at most %d", COLUMNS_MAX);
    output->columns[output->count++] = column;
    return 0;
}

static int choose_columns(const struct args *args, const struct column *all, struct output *output,
                          struct err *err)
{
    struct chooser chooser = {output, all, err};
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, "columns") == 0 &&
            list_each(args->given[i].text, choose_column, &chooser) != 0)
            return -1;
    }
    bool table = output->format == OUTPUT_TABLE || output->format == OUTPUT_CSV;
    if (output->count && !table)
        return err_set(err, ERR_USAGE, "--columns goes with -o table and -o csv, not with -o %s",
                       output_formats[output->format]);
    return 0;
}

int output_prepare(const struct args *args, const struct noun *noun, struct output *ret_output,
                   struct err *err)
{
    const char *format = args_text(args, "output");
    const struct verb *verb = noun == args->noun ? args->verb : NULL;
    const struct column *all = verb_columns(noun, verb);
    *ret_output = (struct output){
        .format = format ? (enum output_format)name_index(output_formats, format) : OUTPUT_TABLE,
        .chosen = format || args_has(args, "columns"),
        .picked = args_has(args, "columns"),
        .detail = args->verb->flags & VERB_DETAIL,
        .noun = noun,
        .name_path = all == noun->columns ? noun->name_path : verb->name_path,
    };
    if (choose_columns(args, all, ret_output, err) != 0)
        return -1;
    if (ret_output->count)
        return 0;
    unsigned wanted = ret_output->detail                 ? COLUMN_SHOW
                      : ret_output->format == OUTPUT_CSV ? COLUMN_CSV
                                                         : COLUMN_TABLE;
    for (const struct column *column = all; column->name; column++) {
        if (column->flags & wanted && ret_output->count < COLUMNS_MAX)
            ret_output->columns[ret_output->count++] = column;
    }
    return 0;
}

/* ---- tables ---- */

/* Cells of a table, row after row. */
struct cells {
    char **items;
    size_t count;
};

static void cells_add(struct cells *cells, struct buf *text)
{
    cells->items = xrealloc(cells->items, (cells->count + 1) * sizeof(*cells->items));
    cells->items[cells->count++] = buf_take(text);
}

static void cells_release(struct cells *cells)
{
    for (size_t i = 0; i < cells->count; i++)
        free(cells->items[i]);
    free(cells->items);
}

static void print_rows(const struct output *output, const struct screen *screen,
                       struct json *const *items, size_t count)
{
    __attribute__((cleanup(cells_release))) struct cells cells = {0};
    struct table_column columns[COLUMNS_MAX];
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < output->count; i++) {
        unsigned flags = output->columns[i]->flags;
        columns[i] = (struct table_column){output->columns[i]->title, flags & COLUMN_RIGHT,
                                           flags & COLUMN_YIELDS};
    }
    for (size_t i = 0; i < count * output->count; i++) {
        const struct column *column = output->columns[i % output->count];
        bool whole = column->type == CELL_HASH && output->picked;
        struct buf text = {0};
        column_put(column, items[i / output->count], whole ? CELL_DETAIL : CELL_PEOPLE, now_ms,
                   &text);
        cells_add(&cells, &text);
    }
    table_print(columns, output->count, cells.items, count, screen);
}

static void print_detail(const struct output *output, const struct screen *screen,
                         const struct json *item)
{
    __attribute__((cleanup(cells_release))) struct cells cells = {0};
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < output->count; i++) {
        const struct column *column = output->columns[i];
        if (!json_get(item, column->path) && !strchr(column->path, '.'))
            continue;
        struct buf name = {0}, text = {0};
        buf_puts(&name, column->name);
        cells_add(&cells, &name);
        column_put(column, item, CELL_DETAIL, now_ms, &text);
        cells_add(&cells, &text);
    }
    table_print_pairs(cells.items, cells.count / 2, screen);
}

static void print_table(const struct output *output, const struct screen *screen,
                        struct json *const *items, size_t count)
{
    if (count == 0 && screen->err_tty)
        fprintf(screen->err, "There are no %s.\n", output->noun->plural);
    if (count > 0 && !output->detail)
        print_rows(output, screen, items, count);
    for (size_t i = 0; i < count && output->detail; i++) {
        if (i > 0)
            fputc('\n', screen->out);
        print_detail(output, screen, items[i]);
    }
}

/* ---- the other formats ---- */

static void put_csv_row(const struct output *output, const struct json *item, struct buf *out)
{
    for (size_t i = 0; i < output->count; i++) {
        auto_buf struct buf text = {0};
        if (item)
            column_put(output->columns[i], item, CELL_PLAIN, clock_wall_ms(), &text);
        else
            buf_puts(&text, output->columns[i]->name);
        if (i > 0)
            buf_putc(out, ',');
        format_csv_cell(text.data ? text.data : "", out);
    }
    buf_putc(out, '\n');
}

static void put_name(const struct output *output, const struct json *item, struct buf *out)
{
    const char *path = output->name_path ? output->name_path : "name";
    const char *name = json_str(json_get(item, path));
    buf_printf(out, "%s\n", name ? name : "");
}

static void put_items(const struct output *output, struct json *const *items, size_t count,
                      bool single, struct buf *out)
{
    single = single && count == 1;
    if (output->format == OUTPUT_JSON && single)
        format_json(items[0], out);
    else if (output->format == OUTPUT_JSON)
        format_json_list(items, count, out);
    else if (output->format == OUTPUT_YAML && single)
        format_yaml(items[0], out);
    else if (output->format == OUTPUT_YAML)
        format_yaml_list(items, count, out);
    if (output->format == OUTPUT_CSV)
        put_csv_row(output, NULL, out);
    for (size_t i = 0; i < count && output->format == OUTPUT_CSV; i++)
        put_csv_row(output, items[i], out);
    for (size_t i = 0; i < count && output->format == OUTPUT_NAME; i++)
        put_name(output, items[i], out);
}

static int flush(const struct screen *screen, const struct buf *text, struct err *err)
{
    if (text->len)
        fwrite(text->data, 1, text->len, screen->out);
    if (fflush(screen->out) != 0 || ferror(screen->out))
        return err_set(err, ERR_CONFLICT, "standard output: %s", strerror(errno));
    return 0;
}

int output_print(const struct output *output, const struct screen *screen,
                 struct json *const *items, size_t count, bool single, struct err *err)
{
    auto_buf struct buf text = {0};
    if (output->format == OUTPUT_TABLE)
        print_table(output, screen, items, count);
    else
        put_items(output, items, count, single, &text);
    return flush(screen, &text, err);
}

int output_heading(const struct output *output, const struct screen *screen, struct err *err)
{
    auto_buf struct buf text = {0};
    if (output->format == OUTPUT_CSV)
        put_csv_row(output, NULL, &text);
    return flush(screen, &text, err);
}

static void put_line(const struct output *output, const struct json *item, struct buf *out)
{
    for (size_t i = 0; i < output->count; i++) {
        auto_buf struct buf text = {0};
        column_put(output->columns[i], item, CELL_DETAIL, clock_wall_ms(), &text);
        if (i > 0)
            buf_putc(out, ' ');
        format_harmless(text.data, text.len, '?');
        buf_add(out, text.data, text.len);
    }
    buf_putc(out, '\n');
}

int output_line(const struct output *output, const struct screen *screen, struct json *item,
                struct err *err)
{
    auto_buf struct buf text = {0};
    if (output->format == OUTPUT_TABLE)
        put_line(output, item, &text);
    else if (output->format == OUTPUT_YAML)
        format_yaml_list(&item, 1, &text);
    else if (output->format == OUTPUT_CSV)
        put_csv_row(output, item, &text);
    else if (output->format == OUTPUT_NAME)
        put_name(output, item, &text);
    else {
        json_print(item, false, &text);
        buf_putc(&text, '\n');
    }
    return flush(screen, &text, err);
}
