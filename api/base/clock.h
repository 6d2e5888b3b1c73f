/* The two clocks. Deadlines, leases and durations use CLOCK_BOOTTIME, which no
 * one can set and which counts sleep; the wall clock only dates what people
 * read. Both in milliseconds. */
#ifndef MINICLOUD_API_BASE_CLOCK_H
#define MINICLOUD_API_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_boottime_ms(void);
int64_t clock_wall_ms(void);
/* CLOCK_MONOTONIC in nanoseconds, for measuring. */
int64_t clock_mono_ns(void);

enum { CLOCK_TEXT_MAX = 32 };
/* RFC 3339 in UTC with milliseconds: "2026-01-31T12:00:00.000Z". */
void clock_format(int64_t wall_ms, char text[CLOCK_TEXT_MAX]);
/* Accepts RFC 3339 with Z or an offset, optional fraction; -1 when it is not. */
int clock_parse(const char *text, int64_t *ret_wall_ms);

/* /proc/sys/kernel/random/boot_id; "" when unreadable. */
enum { BOOT_ID_MAX = 40 };
void clock_boot_id(char text[BOOT_ID_MAX]);

#endif
