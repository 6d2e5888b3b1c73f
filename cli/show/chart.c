/* Draws bars by eighths of a column, in whole numbers. */
#include "cli/show/chart.h"

#include <string.h>

#include "api/base/buf.h"

enum { EIGHTHS = 8, BAR_MIN = 8, BAR_MAX = 1000 };

static const char *const blocks[EIGHTHS + 1] = {
    "",
    "\xe2\x96\x8f",
    "\xe2\x96\x8e",
    "\xe2\x96\x8d",
    "\xe2\x96\x8c",
    "\xe2\x96\x8b",
    "\xe2\x96\x8a",
    "\xe2\x96\x89",
    "\xe2\x96\x88",
};

struct measure {
    int label, text, bar; /* columns */
    int full;             /* of them, for the longest bar: a dot keeps its place behind it */
    amount most;
};

static int longer(int len, const char *text)
{
    int other = (int)strlen(text);
    return other > len ? other : len;
}

static amount positive(amount value)
{
    return value > 0 ? value : 0;
}

static struct measure measure_chart(const struct chart *chart)
{
    struct measure m = {.most = 0};
    bool dotted = false;
    for (size_t i = 0; i < chart->count; i++) {
        const struct chart_bar *bar = &chart->bars[i];
        amount length = positive(bar->value) + positive(bar->gap);
        m.label = longer(m.label, bar->label);
        m.text = longer(m.text, bar->text);
        m.most = length > m.most ? length : m.most;
        dotted |= bar->gap > 0;
    }
    int room = chart->width - m.label - m.text - 2;
    m.bar = room < BAR_MIN ? BAR_MIN : room > BAR_MAX ? BAR_MAX : room;
    m.full = m.bar - dotted;
    return m;
}

/* How many of the bar's `steps` a value takes; what is more than nothing takes one. */
static int scale(amount value, amount most, int steps)
{
    if (value <= 0)
        return 0;
    /* Both lose bits alike when the product would not fit. */
    while (most >> 100) {
        most >>= 1;
        value >>= 1;
    }
    int length = (int)(value * steps / most);
    return length > 0 ? length : 1;
}

static int put_repeated(const char *text, int times, struct buf *out)
{
    for (int i = 0; i < times; i++)
        buf_puts(out, text);
    return times;
}

/* Returns the columns it took. */
static int put_bar(const struct chart *chart, const struct measure *m, const struct chart_bar *bar,
                   struct buf *out)
{
    int length, used;
    if (chart->utf8) {
        length = scale(bar->value, m->most, m->full * EIGHTHS);
        used = put_repeated(blocks[EIGHTHS], length / EIGHTHS, out);
        used += put_repeated(blocks[length % EIGHTHS], length % EIGHTHS > 0, out);
    } else {
        length = scale(bar->value, m->most, m->full);
        used = put_repeated("#", length, out);
    }
    int dots = scale(bar->gap, m->most, m->full);
    dots = dots > m->bar - used ? m->bar - used : dots;
    return used + put_repeated(chart->utf8 ? "\xc2\xb7" : ".", dots, out);
}

void chart_put(const struct chart *chart, struct buf *out)
{
    struct measure m = measure_chart(chart);
    for (size_t i = 0; i < chart->count; i++) {
        const struct chart_bar *bar = &chart->bars[i];
        buf_printf(out, "%-*s ", m.label, bar->label);
        int used = put_bar(chart, &m, bar, out);
        buf_printf(out, "%*s %*s\n", m.bar - used, "", m.text, bar->text);
    }
}
