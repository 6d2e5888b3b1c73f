/* Comma-separated values. */
#include "controller/usage/csv.h"

#include <string.h>

#include "api/base/buf.h"

static void next_cell(struct csv *csv)
{
    if (csv->comma)
        buf_putc(csv->out, ',');
    csv->comma = true;
}

void csv_raw(struct csv *csv, const char *text)
{
    next_cell(csv);
    buf_puts(csv->out, text);
}

void csv_text(struct csv *csv, const char *text)
{
    next_cell(csv);
    if (!text)
        return;
    bool formula = *text && strchr("=+-@\t\r\n", *text);
    bool quoted = strpbrk(text, "\",\r\n") != NULL;
    if (quoted)
        buf_putc(csv->out, '"');
    if (formula)
        buf_putc(csv->out, '\'');
    for (; *text; text++) {
        if (*text == '"')
            buf_putc(csv->out, '"');
        buf_putc(csv->out, *text);
    }
    if (quoted)
        buf_putc(csv->out, '"');
}

void csv_line_end(struct csv *csv)
{
    buf_puts(csv->out, "\r\n");
    csv->comma = false;
}
