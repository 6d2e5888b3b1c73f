/* The rules of prices. */
#include "controller/ledger/price/price.h"

#include <inttypes.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

const char *price_currency(const struct app *app)
{
    const char *set = app->settings.currency;
    return set && *set ? set : "EUR";
}

int price_start(struct app *app, struct err *err)
{
    const char *currency = price_currency(app);
    autofree char *first = NULL;
    if (strlen(currency) != 3 || strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
        return err_field(err, "currency",
                         "currency must be three capitals as in ISO 4217, such as EUR, not \"%s\"",
                         currency);
    if (meta_get(app_reader(app), "currency", &first, err) != 0)
        return -1;
    if (!first || strcmp(first, currency) == 0)
        return 0;
    return err_field(err, "currency",
                     "the prices of this database are in %s, but the setting currency says %s; a "
                     "database keeps the currency of its first price: set currency = %s",
                     first, currency, first);
}

/* The first price decides. */
static int keep_currency(struct tx *tx, const struct app *app, struct err *err)
{
    autofree char *first = NULL;
    if (meta_get(tx->db, "currency", &first, err) != 0)
        return -1;
    return first ? 0 : meta_set(tx, "currency", price_currency(app), err);
}

static int check_count(struct db *db, struct err *err)
{
    int64_t count;
    if (price_count(db, &count, err) != 0)
        return -1;
    if (count < LIMIT_PRICES)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "there are %" PRId64 " prices, and there is room for no more; those that ended "
                   "stay, since what is past keeps its price",
                   count);
}

static int check_range(const struct price *price, int64_t now_ms, struct err *err)
{
    char now[CLOCK_TEXT_MAX];
    clock_format(now_ms, now);
    if (price->valid_from_ms < now_ms)
        return err_field(err, "/valid_from",
                         "valid_from must not be in the past: what is past keeps its price; it is "
                         "now %s, and a price without valid_from begins now",
                         now);
    if (price->valid_until_ms <= price->valid_from_ms)
        return err_field(err, "/valid_until",
                         "valid_until must be later than valid_from; it is now %s", now);
    return 0;
}

int price_create(struct tx *tx, const struct app *app, const struct price *price, int64_t *ret_key,
                 struct err *err)
{
    struct price row = *price;
    char id[ID_TEXT_MAX];
    int64_t past_ms;
    if (price_past(tx, &past_ms, err) != 0)
        return -1;
    id_new(id);
    row.id = id;
    if (row.valid_from_ms == 0)
        row.valid_from_ms = past_ms;
    if (check_range(&row, past_ms, err) != 0 || check_count(tx->db, err) != 0 ||
        keep_currency(tx, app, err) != 0)
        return -1;
    return price_insert(tx, &row, ret_key, err);
}

int price_end(struct tx *tx, int64_t key, struct err *err)
{
    struct price price;
    char until[CLOCK_TEXT_MAX];
    int64_t past_ms;
    if (price_past(tx, &past_ms, err) != 0 || price_read(tx->db, key, &price, err) != 0)
        return -1;
    if (price.valid_until_ms <= past_ms) {
        clock_format(price.valid_until_ms, until);
        return err_set(err, ERR_CONFLICT, "the price ended at %s already", until);
    }
    return price_stop(tx, key, price.valid_from_ms <= past_ms ? past_ms : 0, err);
}
