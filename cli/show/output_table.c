/* Lays tables out. libsmartcols measures UTF-8 and makes control bytes harmless; who gives way
 * on a narrow terminal is decided here, since it would cut whatever is longest. */
#include "cli/show/output_table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "api/base/mem.h"
#include "cli/show/screen.h"

/* How wide the first character is on the screen, and its bytes; what cannot be shown is
 * printed as \x1b, byte by byte. */
static size_t first_width(const char *text, size_t *ret_bytes)
{
    wchar_t wide;
    mbstate_t state = {0};
    size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
    bool readable = bytes > 0 && bytes < (size_t)-2;
    int width = readable ? wcwidth(wide) : -1;
    *ret_bytes = readable ? bytes : 1;
    return width >= 0 ? (size_t)width : *ret_bytes * strlen("\\x1b");
}

static size_t text_width(const char *text)
{
    size_t width = 0, bytes;
    for (; *text; text += bytes)
        width += first_width(text, &bytes);
    return width;
}

/* What stands for the rest of a text that was cut: one column, where the terminal has it. */
static const char *cut_mark(void)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    return text_width(ellipsis) == 1 ? ellipsis : "...";
}

/* A copy that takes no more than `width` columns, which the mark fits into. */
static char *fitted(const char *text, size_t width)
{
    size_t used = 0, bytes;
    const char *at = text, *mark = cut_mark();
    if (text_width(text) <= width)
        return xstrdup(text);
    for (size_t next; used + (next = first_width(at, &bytes)) + text_width(mark) <= width;) {
        used += next;
        at += bytes;
    }
    return xasprintf("%.*s%s", (int)(at - text), text, mark);
}

struct layout {
    const struct table_column *columns;
    size_t count, rows;
    char *const *cells;
    size_t *widths; /* that each column may take */
};

static void measure(struct layout *layout)
{
    for (size_t i = 0; i < layout->count; i++)
        layout->widths[i] = text_width(layout->columns[i].title);
    for (size_t i = 0; i < layout->count * layout->rows; i++) {
        size_t width = text_width(layout->cells[i]), *widest = &layout->widths[i % layout->count];
        *widest = width > *widest ? width : *widest;
    }
}

/* The widest of those that may still give way. */
static size_t *widest_yielding(struct layout *layout)
{
    size_t *widest = NULL;
    for (size_t i = 0; i < layout->count; i++) {
        bool can = layout->columns[i].yields && layout->widths[i] > TABLE_FLOOR;
        if (can && (!widest || layout->widths[i] > *widest))
            widest = &layout->widths[i];
    }
    return widest;
}

static void shorten(struct layout *layout, size_t screen_width)
{
    size_t total = layout->count - 1, *widest;
    for (size_t i = 0; i < layout->count; i++)
        total += layout->widths[i];
    for (; total > screen_width && (widest = widest_yielding(layout)); total--)
        --*widest;
}

static struct libscols_table *new_table(const struct screen *screen)
{
    struct libscols_table *table = scols_new_table();
    if (!table)
        abort();
    scols_table_set_stream(table, screen->out);
    return table;
}

static void add_line(struct libscols_table *table, char *const *cells, size_t count,
                     const size_t *widths)
{
    struct libscols_line *line = scols_table_new_line(table, NULL);
    for (size_t i = 0; i < count; i++) {
        autofree char *text = fitted(cells[i], widths[i]);
        if (!line || scols_line_set_data(line, i, text) != 0)
            abort();
    }
}

static void print_layout(const struct layout *layout, const struct screen *screen)
{
    struct libscols_table *table = new_table(screen);
    scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    for (size_t i = 0; i < layout->count; i++) {
        const struct table_column *column = &layout->columns[i];
        autofree char *title = fitted(column->title, layout->widths[i]);
        if (!scols_table_new_column(table, title, 0, column->right ? SCOLS_FL_RIGHT : 0))
            abort();
    }
    for (size_t row = 0; row < layout->rows; row++)
        add_line(table, layout->cells + row * layout->count, layout->count, layout->widths);
    scols_print_table(table);
    scols_unref_table(table);
}

void table_print(const struct table_column *columns, size_t count, char *const *cells, size_t rows,
                 const struct screen *screen)
{
    autofree size_t *widths = xcalloc(count + 1, sizeof(*widths));
    struct layout layout = {columns, count, rows, cells, widths};
    measure(&layout);
    /* A file or a pipe gets every byte. */
    if (screen->out_tty && screen->width > 0 && count > 0)
        shorten(&layout, (size_t)screen->width);
    print_layout(&layout, screen);
}

void table_print_pairs(char *const *cells, size_t rows, const struct screen *screen)
{
    static const size_t whole[] = {SIZE_MAX, SIZE_MAX};
    struct libscols_table *table = new_table(screen);
    scols_table_set_termforce(table,
                              screen->out_tty ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
    if (screen->out_tty && screen->width > 0)
        scols_table_set_termwidth(table, (size_t)screen->width);
    scols_table_enable_noheadings(table, 1);
    scols_table_new_column(table, "", 1, 0);
    scols_table_new_column(table, "", 0.5, screen->out_tty ? SCOLS_FL_WRAP : 0);
    for (size_t row = 0; row < rows; row++)
        add_line(table, cells + row * 2, 2, whole);
    scols_print_table(table);
    scols_unref_table(table);
}
