/* Prices: made by operators, valid from now or later on, ended, never changed. So what is past
 * keeps its price. All of a database are in one currency: the setting's, written down with the
 * first price. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_PRICE_PRICE_H
#define MINICLOUD_CONTROLLER_LEDGER_PRICE_PRICE_H

#include <stdint.h>

#include "controller/ledger/price/rate.h"
#include "controller/noun/store_noun.h"

struct app;
struct db;
struct err;
struct json_writer;
struct tx;

/* price.c: rules. */

/* At start: refuses a setting that is no currency, or not the one of the prices there are. */
int price_start(struct app *app, struct err *err);
/* ISO 4217, "EUR" unless set. */
const char *price_currency(const struct app *app);
/* valid_from_ms 0: from now on. `id` is given here. */
int price_create(struct tx *tx, const struct app *app, const struct price *price, int64_t *ret_key,
                 struct err *err);
/* One that has begun ends now, one that has not is withdrawn; one that ended is refused. */
int price_end(struct tx *tx, int64_t key, struct err *err);

/* store_price.c: rows. */

/* All that ever held or will, of a project (0: of any), for rating; NULL: there are none. The
 * caller frees the book, which owns its prices. */
int price_book_load(struct db *db, int64_t project_key, struct price_book **ret_book,
                    struct err *err);
/* How many there are, of all projects. */
int price_count(struct db *db, int64_t *ret_count, struct err *err);
int price_insert(struct tx *tx, const struct price *price, int64_t *ret_key, struct err *err);
int price_read(struct db *db, int64_t key, struct price *ret_price, struct err *err);
/* ended_ms 0: withdrawn. */
int price_stop(struct tx *tx, int64_t key, int64_t ended_ms, struct err *err);
/* A number that stands for all that a bill takes from a price (of SHA-256, 63 bits). */
int price_terms(struct db *db, int64_t key, int64_t *ret_terms, struct err *err);
/* The end of what is past: now, or where the ledger is sealed, should that be later. */
int price_past(struct tx *tx, int64_t *ret_ms, struct err *err);
int price_show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                   struct err *err);
/* Of a project: its own and those that are for all. */
int price_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                    struct window *window, struct err *err);

#endif
