/* One column of one object as text, be it of one member (cell.h) or of several (derived.h). */
#ifndef MINICLOUD_CLI_SHOW_COLUMN_H
#define MINICLOUD_CLI_SHOW_COLUMN_H

#include <stdint.h>

#include "cli/show/cell.h"

void column_put(const struct column *column, const struct json *object, enum cell_style style,
                int64_t now_ms, struct buf *out);

#endif
