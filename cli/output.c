/* Prints lists and single things. Tables are libsmartcols', which measures UTF-8,
 * fits the terminal and makes control bytes harmless. */
#include "cli/output.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "api/buf.h"
#include "api/clock.h"
#include "api/err.h"
#include "api/json.h"
#include "api/mem.h"
#include "api/types.h"
#include "cli/args.h"
#include "cli/cell.h"
#include "cli/format.h"
#include "cli/screen.h"

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
        .detail = args->verb->flags & VERB_DETAIL,
        .noun = noun,
        .name_path = all == noun->columns ? noun->name_path : verb->name_path,
    };
    if (choose_columns(args, all, ret_output, err) != 0)
        return -1;
    if (ret_output->count)
        return 0;
    unsigned wanted = ret_output->detail ? COLUMN_SHOW : COLUMN_LIST;
    for (const struct column *column = all; column->name; column++) {
        if (column->flags & wanted && ret_output->count < COLUMNS_MAX)
            ret_output->columns[ret_output->count++] = column;
    }
    return 0;
}

/* ---- tables ---- */

static struct libscols_table *new_table(const struct screen *screen)
{
    struct libscols_table *table = scols_new_table();
    if (!table)
        abort();
    scols_table_set_stream(table, screen->out);
    /* A file or a pipe gets every byte, a terminal what fits. */
    scols_table_set_termforce(table,
                              screen->out_tty ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
    if (screen->out_tty && screen->width > 0)
        scols_table_set_termwidth(table, (size_t)screen->width);
    return table;
}

static void set_cell(struct libscols_line *line, size_t n, const char *text)
{
    if (scols_line_set_data(line, n, text) != 0)
        abort();
}

static void print_rows(const struct output *output, const struct screen *screen,
                       struct json *const *items, size_t count)
{
    struct libscols_table *table = new_table(screen);
    for (size_t i = 0; i < output->count; i++) {
        const struct column *column = output->columns[i];
        bool right = column->flags & COLUMN_RIGHT;
        if (!scols_table_new_column(table, column->title, right ? 1 : 0.1,
                                    right ? SCOLS_FL_RIGHT : SCOLS_FL_TRUNC))
            abort();
    }
    int64_t now_ms = clock_wall_ms();
    for (size_t row = 0; row < count; row++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        for (size_t i = 0; i < output->count; i++) {
            auto_buf struct buf text = {0};
            cell_put(output->columns[i], items[row], CELL_PEOPLE, now_ms, &text);
            set_cell(line, i, text.data);
        }
    }
    scols_print_table(table);
    scols_unref_table(table);
}

static void print_detail(const struct output *output, const struct screen *screen,
                         const struct json *item)
{
    struct libscols_table *table = new_table(screen);
    scols_table_enable_noheadings(table, 1);
    scols_table_new_column(table, "", 1, 0);
    scols_table_new_column(table, "", 0.5, screen->out_tty ? SCOLS_FL_WRAP : 0);
    for (size_t i = 0; i < output->count; i++) {
        const struct column *column = output->columns[i];
        if (!json_get(item, column->path) && !strchr(column->path, '.'))
            continue;
        auto_buf struct buf text = {0};
        cell_put(column, item, CELL_DETAIL, 0, &text);
        struct libscols_line *line = scols_table_new_line(table, NULL);
        set_cell(line, 0, column->name);
        set_cell(line, 1, text.data);
    }
    scols_print_table(table);
    scols_unref_table(table);
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
            cell_put(output->columns[i], item, CELL_PLAIN, 0, &text);
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

/* Control bytes would let whoever named a thing write on the terminal at will. */
static void put_harmless(const char *text, struct buf *out)
{
    for (; *text; text++) {
        bool control = (unsigned char)*text < 0x20 || *text == 0x7f;
        buf_putc(out, control ? '?' : *text);
    }
}

static void put_line(const struct output *output, const struct json *item, struct buf *out)
{
    for (size_t i = 0; i < output->count; i++) {
        auto_buf struct buf text = {0};
        cell_put(output->columns[i], item, CELL_DETAIL, 0, &text);
        if (i > 0)
            buf_putc(out, ' ');
        put_harmless(text.data, out);
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
