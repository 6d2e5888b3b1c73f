/* Clocks and the RFC 3339 text of wall time. Civil dates are computed here, with
 * plain arithmetic: no time zone files, no shared buffers, and lists print
 * thousands of times. */
#include "api/base/clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/base/mem.h"

#define MS_PER_DAY 86400000LL
/* 0000-01-01 and 9999-12-31T23:59:59.999: what four digits of year can say. */
#define WALL_MIN (-62167219200000LL)
#define WALL_MAX 253402300799999LL

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_boottime_ms(void)
{
    return now_ns(CLOCK_BOOTTIME) / 1000000;
}

int64_t clock_wall_ms(void)
{
    return now_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. Years are counted
 * from March, so that the leap day is a year's last. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

static char *put_digits(char *at, int value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

void clock_format(int64_t wall_ms, char text[CLOCK_TEXT_MAX])
{
    int64_t ms = wall_ms < WALL_MIN ? WALL_MIN : wall_ms > WALL_MAX ? WALL_MAX : wall_ms;
    int64_t days = (ms >= 0 ? ms : ms - (MS_PER_DAY - 1)) / MS_PER_DAY;
    int left = (int)(ms - days * MS_PER_DAY);
    int year, month, day;
    civil_from_days(days, &year, &month, &day);
    char *at = put_digits(text, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, left / 3600000, 2);
    *at++ = ':';
    at = put_digits(at, left / 60000 % 60, 2);
    *at++ = ':';
    at = put_digits(at, left / 1000 % 60, 2);
    *at++ = '.';
    at = put_digits(at, left % 1000, 3);
    *at++ = 'Z';
    *at = '\0';
}

/* Takes exactly `width` digits within low..high and moves on; false otherwise. */
static bool get_digits(const char **at, int width, int low, int high, int *ret)
{
    int value = 0;
    for (int i = 0; i < width; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return value >= low && value <= high;
}

static bool get_char(const char **at, char either, char or_this)
{
    if (**at != either && **at != or_this)
        return false;
    ++*at;
    return true;
}

static bool get_date(const char **at, int64_t *ret_days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!get_digits(at, 4, 0, 9999, &year) || !get_char(at, '-', '-') ||
        !get_digits(at, 2, 1, 12, &month) || !get_char(at, '-', '-') ||
        !get_digits(at, 2, 1, 31, &day))
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + (leap && month == 2))
        return false;
    *ret_days = days_from_civil(year, month, day);
    return true;
}

/* A leap second (:60) is read as the second after it, as POSIX time does. */
static bool get_time(const char **at, int *ret_ms)
{
    int hour, minute, second, ms = 0;
    if (!get_digits(at, 2, 0, 23, &hour) || !get_char(at, ':', ':') ||
        !get_digits(at, 2, 0, 59, &minute) || !get_char(at, ':', ':') ||
        !get_digits(at, 2, 0, 60, &second))
        return false;
    if (get_char(at, '.', '.')) {
        int weight = 100, digit;
        const char *first = *at;
        while (get_digits(at, 1, 0, 9, &digit)) {
            ms += digit * weight;
            weight /= 10;
        }
        if (*at == first)
            return false;
    }
    *ret_ms = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    return true;
}

static bool get_offset(const char **at, int *ret_ms)
{
    int hours, minutes;
    *ret_ms = 0;
    if (get_char(at, 'Z', 'z'))
        return true;
    int sign = **at == '-' ? -1 : 1;
    if (!get_char(at, '+', '-') || !get_digits(at, 2, 0, 23, &hours) || !get_char(at, ':', ':') ||
        !get_digits(at, 2, 0, 59, &minutes))
        return false;
    *ret_ms = sign * (hours * 60 + minutes) * 60000;
    return true;
}

int clock_parse(const char *text, int64_t *ret_wall_ms)
{
    int64_t days;
    int ms, offset;
    if (!get_date(&text, &days) || !get_char(&text, 'T', 't') || !get_time(&text, &ms) ||
        !get_offset(&text, &offset) || *text)
        return -1;
    *ret_wall_ms = days * MS_PER_DAY + ms - offset;
    return 0;
}

void clock_boot_id(char text[BOOT_ID_MAX])
{
    autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, BOOT_ID_MAX - 1);
    text[len > 0 ? len : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}
