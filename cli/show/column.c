/* Chooses by the column's type. */
#include "cli/show/column.h"

#include "api/base/buf.h"
#include "cli/show/derived.h"

void column_put(const struct column *column, const struct json *object, enum cell_style style,
                int64_t now_ms, struct buf *out)
{
    size_t before = out->len;
    derived_put *derived = derived_find(column->type);
    if (!derived) {
        cell_put(column, object, style, now_ms, out);
        return;
    }
    derived(column, object, style, now_ms, out);
    if (out->len == before && style != CELL_PLAIN)
        buf_putc(out, '-');
}
