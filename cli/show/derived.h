/* Cells that several members of an object make together: prices with their units, what a
 * segment is. Pure. */
#ifndef MINICLOUD_CLI_SHOW_DERIVED_H
#define MINICLOUD_CLI_SHOW_DERIVED_H

#include <stdint.h>

#include "cli/show/cell.h"

struct buf;
struct json;

/* Puts nothing where there is nothing to say. */
typedef void derived_put(const struct column *column, const struct json *object,
                         enum cell_style style, int64_t now_ms, struct buf *out);
/* NULL: cells of this type are of one member. */
derived_put *derived_find(enum cell_type type);

#endif
