/* An answer about usage as rows of a table: for people in hours and in the currency, for
 * spreadsheets in the units of the API. */
#ifndef MINICLOUD_CLI_VERB_USAGE_ROWS_H
#define MINICLOUD_CLI_VERB_USAGE_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/line/amount.h"
#include "cli/line/moment.h"
#include "cli/show/output.h"

struct args;
struct buf;
struct err;
struct json;
struct remote_list;

/* Rows of our own making, owned. */
struct rows {
    struct json **items;
    size_t count;
};
/* Takes the text of one JSON object. */
void rows_add(struct rows *rows, const struct buf *object);
void rows_release(struct rows *rows);
#define auto_rows __attribute__((cleanup(rows_release)))

enum { USAGE_KEYS_MAX = 16 };

/* How an answer was asked for, and how it is shown. */
struct usage_view {
    enum period period;
    bool people;                     /* a table, not CSV */
    bool unit_apart, currency_apart; /* in columns of their own, so not behind the number */
    const char *currency;            /* never NULL */
    int decimals;                    /* of money; the same in all rows of a table */
    amount total;                    /* of all costs */
    bool unverified, corrected;
    /* What it was grouped by, the meter apart: "project", "label:tier". */
    char *keys[USAGE_KEYS_MAX];
    size_t key_count;
    struct column label_columns[USAGE_KEYS_MAX]; /* of those keys that are labels */
};

int usage_view_init(struct usage_view *view, const struct args *args, struct err *err);
/* Sums costs and looks for marks. */
void usage_view_measure(struct usage_view *view, const struct remote_list *list);
void usage_view_release(struct usage_view *view);
#define auto_view __attribute__((cleanup(usage_view_release)))

/* Whether units and the currency have columns of their own. */
void usage_view_settle(struct usage_view *view, const struct output *output);
/* Those that suit the view, in place of the noun's. */
void usage_choose_columns(const struct usage_view *view, struct output *output);
void usage_make_rows(const struct usage_view *view, const struct remote_list *list,
                     struct rows *rows);
/* The last row: what all of it costs, under those columns. */
void usage_add_total(const struct usage_view *view, const struct output *output, struct rows *rows);

/* "0.0040 EUR"; without the currency for programs, and where it has a column. */
char *usage_money(const struct usage_view *view, amount nanos);
bool usage_is_gap(const struct json *row);
/* Why sealing waits, in one harmless line; false when it does not. */
bool usage_put_held(const struct json *answer, struct buf *out);

#endif
