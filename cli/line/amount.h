/* Quantities and money as text. Both are integers of the API, as decimal strings; what people
 * read is made of them by whole numbers alone. Quantities are rounded, money never is. */
#ifndef MINICLOUD_CLI_LINE_AMOUNT_H
#define MINICLOUD_CLI_LINE_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;
struct json;

/* A terabyte kept for a year is 3e22 byte-milliseconds. */
typedef __int128 amount;

/* "-12"; false when it is no whole number or has more than 36 digits. */
bool amount_parse(const char *text, amount *ret);
/* A decimal string or a number of the API; false for anything else, NULL included. */
bool amount_of(const struct json *node, amount *ret);

/* How many times `one` it is, rounded half up: to three decimals, and where it is less than one
 * of them to four digits, in nine decimals at most. One is at most 2^90. */
void amount_put_rounded(amount quantity, amount one, struct buf *out);
/* "1.250 h", "3.000 vCPU h", "0.02197 GiB h", "1.500 GB": units of meters in those that people
 * and prices count in. An unknown unit stays as it is. */
void amount_put_quantity(amount quantity, const char *unit, struct buf *out);
/* The same in two: "1.250" and "h". */
void amount_put_number(amount quantity, const char *unit, struct buf *out);
const char *amount_shown_unit(const char *unit);

enum { MONEY_DECIMALS_MIN = 4, MONEY_DECIMALS_MAX = 9 };
/* How many decimals it takes to say so many nano-units exactly; at least MONEY_DECIMALS_MIN. */
int money_decimals(amount nanos);
/* "-12.3400"; with fewer decimals than it takes, the rest is cut off. */
void money_put(amount nanos, int decimals, struct buf *out);
/* "2.50" as nano-units, exactly. The error (ERR_USAGE) says the rule that the text breaks. */
int money_parse(const char *text, int64_t max_nanos, int64_t *ret_nanos, struct err *err);

#endif
