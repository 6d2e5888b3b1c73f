/* Times as people write them, and the hours, days and months of UTC. Pure. */
#ifndef MINICLOUD_CLI_LINE_MOMENT_H
#define MINICLOUD_CLI_LINE_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

/* RFC 3339, "2026-11-01", "2026-11", "-24h", "-7d" (s, m, h, d, w), "now", "today",
 * "yesterday" or "month" (when it began). Wall milliseconds; -1 when it is none of these. */
int moment_parse(const char *text, int64_t now_ms, int64_t *ret_ms);

/* True for what counts from now: "-24h", "now". */
bool moment_is_relative(const char *text);

enum period { PERIOD_HOUR, PERIOD_DAY, PERIOD_MONTH, PERIOD_TOTAL };
extern const char *const period_names[]; /* "hour","day","month","total",NULL */

/* When the period began, and when the next one begins. The whole range has neither. */
int64_t period_floor(enum period period, int64_t wall_ms);
int64_t period_next(enum period period, int64_t wall_ms);
/* As short as it can be said: "2026-11", "2026-11-01", else "2026-11-01 10:00". */
void period_put(enum period period, int64_t wall_ms, struct buf *out);
/* "2026-11-22 15:59:30", without what is zero behind: "2026-11-22 15:59", "2026-11-22". */
void moment_put_short(int64_t wall_ms, struct buf *out);
/* "2026-11-22 15:59:30 UTC". */
void moment_put(int64_t wall_ms, struct buf *out);

#endif
