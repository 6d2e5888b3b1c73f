/* Rows of prices. Nothing of a row changes but its end, once; triggers see to it. */
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "controller/db/db.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/price/price.h"
#include "controller/tx/writer.h"

static const char *grain_name(int64_t grain_ms)
{
    return grain_ms == 1000 ? "second" : grain_ms == 60000 ? "minute" : "hour";
}

/* The end that was planned or the one that came, whichever is earlier. */
static int64_t until_of(struct stmt *stmt, int planned, int ended)
{
    int64_t until = stmt_null(stmt, planned) ? INT64_MAX : stmt_i64(stmt, planned);
    if (!stmt_null(stmt, ended) && stmt_i64(stmt, ended) < until)
        until = stmt_i64(stmt, ended);
    return until;
}

int price_count(struct db *db, int64_t *ret_count, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT count(*) FROM price WHERE deleted_ms IS NULL");
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_count = stmt_i64(stmt, 0);
    return 0;
}

int price_past(struct tx *tx, int64_t *ret_ms, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(tx->db, "SELECT max(until_ms) FROM seal");
    if (stmt_step(stmt, err) != 1)
        return -1;
    int64_t sealed_ms = stmt_i64(stmt, 0);
    int64_t now_ms = tx_utc(tx);
    *ret_ms = sealed_ms > now_ms ? sealed_ms : now_ms;
    return 0;
}

/* ---- changes ---- */

int price_terms(struct db *db, int64_t key, int64_t *ret_terms, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(
        db, "SELECT key || ' ' || id || ' ' || meter || ' ' || coalesce(project_key, '-') || ' ' ||"
            " coalesce(flavor_key, '-') || ' ' || nanos || ' ' || coalesce(grain_ms, '-') || ' ' ||"
            " minimum_ms || ' ' || coalesce(monthly_cap_nanos, '-') || ' ' || valid_from_ms ||"
            " ' ' || coalesce(valid_until_ms, '-') || ' ' || coalesce(ended_ms, '-') || ' ' ||"
            " coalesce(deleted_ms, '-') FROM price WHERE key = ?");
    uint8_t hash[SHA256_BYTES];
    uint64_t number;
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_PRICE);
    const char *terms = stmt_text(stmt, 0);
    sha256(terms ? terms : "", terms ? strlen(terms) : 0, hash);
    memcpy(&number, hash, sizeof(number));
    *ret_terms = (int64_t)(number >> 1);
    return 0;
}

/* So that whoever verifies a bill can tell that its prices are those that were set. */
static int witness(struct tx *tx, const char *id, int64_t key, struct err *err)
{
    int64_t terms;
    if (price_terms(tx->db, key, &terms, err) != 0)
        return -1;
    return evidence_priced(tx, id, terms, err);
}

static int64_t tell(struct tx *tx, const struct price *price, const char *what)
{
    return tx_event(tx, &(struct event_row){.project_key = price->project_key,
                                            .kind = "price",
                                            .id = price->id,
                                            .name = meters[price->meter].name,
                                            .what = what});
}

int price_insert(struct tx *tx, const struct price *price, int64_t *ret_key, struct err *err)
{
    bool endless = price->valid_until_ms == INT64_MAX;
    int64_t revision = tell(tx, price, "created");
    /* A price may begin this very moment, which is past a moment later. */
    int64_t now_ms = tx_utc(tx);
    int64_t created_ms = now_ms < price->valid_from_ms ? now_ms : price->valid_from_ms;
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO price (id, meter, project_key, flavor_key, nanos, grain_ms,"
                        " minimum_ms, monthly_cap_nanos, valid_from_ms, valid_until_ms, revision,"
                        " created_ms) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)");
    stmt_bind(stmt, "ttzzizizizii", price->id, meters[price->meter].name, price->project_key,
              price->flavor_key, price->nanos, price->grain_ms, price->minimum_ms,
              price->monthly_cap_nanos, price->valid_from_ms,
              endless ? (int64_t)0 : price->valid_until_ms, revision, created_ms);
    if (stmt_run(stmt, err) != 0)
        return -1;
    *ret_key = db_last_key(tx->db);
    return witness(tx, price->id, *ret_key, err);
}

int price_stop(struct tx *tx, int64_t key, int64_t ended_ms, struct err *err)
{
    struct noun_row row;
    struct price price;
    if (noun_row(tx->db, ACCESS_PRICE, key, &row, err) != 0 ||
        price_read(tx->db, key, &price, err) != 0)
        return -1;
    price.id = row.id;
    int64_t revision = tell(tx, &price, ended_ms ? "ended" : "deleted");
    auto_stmt struct stmt *stmt = db_stmt(
        tx->db, "UPDATE price SET ended_ms = ?, deleted_ms = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "zzii", ended_ms, ended_ms ? (int64_t)0 : tx_utc(tx), revision, key);
    if (stmt_run(stmt, err) != 0)
        return -1;
    return witness(tx, price.id, key, err);
}

/* ---- for rating ---- */

#define PRICE_SELECT                                                               \
    "SELECT key, id, meter, project_key, flavor_key, nanos, grain_ms, minimum_ms," \
    " monthly_cap_nanos, valid_from_ms, valid_until_ms, ended_ms FROM price "

/* All but the id, whose text the statement keeps. */
static int read_price(struct stmt *stmt, struct price *ret_price, struct err *err)
{
    *ret_price = (struct price){.key = stmt_i64(stmt, 0),
                                .meter = meter_find(stmt_text(stmt, 2)),
                                .project_key = stmt_i64(stmt, 3),
                                .flavor_key = stmt_i64(stmt, 4),
                                .nanos = stmt_i64(stmt, 5),
                                .grain_ms = stmt_i64(stmt, 6),
                                .minimum_ms = stmt_i64(stmt, 7),
                                .monthly_cap_nanos = stmt_i64(stmt, 8),
                                .valid_from_ms = stmt_i64(stmt, 9),
                                .valid_until_ms = until_of(stmt, 10, 11)};
    if (ret_price->meter < 0)
        return err_set(err, ERR_INTERNAL, "price %s is for the meter %s, which is not known",
                       stmt_text(stmt, 1), stmt_text(stmt, 2));
    return 0;
}

int price_read(struct db *db, int64_t key, struct price *ret_price, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, PRICE_SELECT "WHERE key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_PRICE);
    return read_price(stmt, ret_price, err);
}

struct pile {
    struct price *prices;
    size_t count, room;
    struct buf ids; /* one after another, each ended by NUL */
};

/* Those of the project and those of all. */
#define OF_PROJECT(project)                                                               \
    "key IN (SELECT key FROM price INDEXED BY price_list WHERE project_key = " project    \
    " AND deleted_ms IS NULL UNION ALL SELECT key FROM price INDEXED BY price_list WHERE" \
    " project_key IS NULL AND deleted_ms IS NULL) "

static int read_all(struct db *db, int64_t project_key, struct pile *pile, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, project_key ? PRICE_SELECT "WHERE " OF_PROJECT("?")
                                : PRICE_SELECT "WHERE deleted_ms IS NULL AND ? = 0");
    stmt_bind(stmt, "i", project_key);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        const char *id = stmt_text(stmt, 1);
        if (pile->count == pile->room) {
            pile->room = pile->room ? 2 * pile->room : 64;
            pile->prices = xrealloc(pile->prices, pile->room * sizeof(*pile->prices));
        }
        if (read_price(stmt, &pile->prices[pile->count++], err) != 0)
            return -1;
        buf_add(&pile->ids, id, strlen(id) + 1);
    }
    return rc;
}

int price_book_load(struct db *db, int64_t project_key, struct price_book **ret_book,
                    struct err *err)
{
    struct pile pile = {0};
    if (read_all(db, project_key, &pile, err) != 0) {
        free(pile.prices);
        buf_release(&pile.ids);
        return -1;
    }
    *ret_book = NULL;
    if (pile.count == 0)
        return 0;
    char *ids = buf_take(&pile.ids);
    const char *id = ids;
    for (size_t i = 0; i < pile.count; i++) {
        pile.prices[i].id = id;
        id += strlen(id) + 1;
    }
    *ret_book = price_book_new(pile.prices, pile.count);
    price_book_own(*ret_book, pile.prices, ids);
    return 0;
}

/* ---- for people ---- */

#define SHOWN                                                                            \
    "SELECT x.key, x.id, x.meter, f.name, f.id, p.name, p.id, x.nanos, x.grain_ms,"      \
    " x.minimum_ms, x.monthly_cap_nanos, x.valid_from_ms, x.valid_until_ms, x.ended_ms," \
    " x.created_ms, x.deleted_ms, (SELECT value FROM meta WHERE name = 'currency'),"     \
    " x.revision FROM price x LEFT JOIN flavor f ON f.key = x.flavor_key"                \
    " LEFT JOIN project p ON p.key = x.project_key "

static void put_nanos(struct json_writer *w, const char *key, int64_t nanos)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)nanos);
    json_put_str(w, key, text);
}

static void put_scope(struct stmt *stmt, struct json_writer *w)
{
    int meter = meter_find(stmt_text(stmt, 2));
    json_put_str(w, "id", stmt_text(stmt, 1));
    json_put_str(w, "meter", stmt_text(stmt, 2));
    json_put_str(w, "unit", meter < 0 ? NULL : meters[meter].priced);
    json_put_str(w, "flavor", stmt_text(stmt, 3));
    json_put_str(w, "flavor_id", stmt_text(stmt, 4));
    json_put_str(w, "project", stmt_text(stmt, 5));
    json_put_str(w, "project_id", stmt_text(stmt, 6));
}

static void put_row(struct stmt *stmt, struct json_writer *w)
{
    int64_t until = until_of(stmt, 12, 13);
    json_open(w, NULL, '{');
    put_scope(stmt, w);
    put_nanos(w, "nanos", stmt_i64(stmt, 7));
    json_put_str(w, "currency", stmt_text(stmt, 16));
    json_put_str(w, "per", stmt_null(stmt, 8) ? NULL : grain_name(stmt_i64(stmt, 8)));
    json_put_i64(w, "minimum_seconds", stmt_i64(stmt, 9) / 1000);
    if (stmt_null(stmt, 10))
        json_put_null(w, "monthly_cap_nanos");
    else
        put_nanos(w, "monthly_cap_nanos", stmt_i64(stmt, 10));
    json_put_time(w, "valid_from", stmt_i64(stmt, 11));
    json_put_time(w, "valid_until", until == INT64_MAX ? 0 : until);
    json_put_time(w, "created_at", stmt_i64(stmt, 14));
    if (!stmt_null(stmt, 15))
        json_put_time(w, "deleted_at", stmt_i64(stmt, 15));
    json_close(w, '}');
}

int price_show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                   struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, SHOWN "WHERE x.key = ?");
    stmt_bind(stmt, "i", key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc < 0 ? -1 : noun_missing(err, ACCESS_PRICE);
    put_row(stmt, w);
    *ret_revision = stmt_i64(stmt, 17);
    return 0;
}

#define SHOWN_LISTED                                                            \
    " AND x.key > ?1 AND x.deleted_ms IS NULL AND (?3 IS NULL OR x.meter = ?3)" \
    " ORDER BY x.key LIMIT ?4"

int price_list_rows(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                    struct window *window, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, filter->project_key ? SHOWN
                        "WHERE x.key IN (SELECT key FROM price INDEXED BY price_list WHERE"
                        " project_key = ?2 AND deleted_ms IS NULL UNION ALL"
                        " SELECT key FROM price INDEXED BY price_list WHERE project_key IS NULL AND"
                        " deleted_ms IS NULL)" SHOWN_LISTED
                                        : SHOWN "WHERE ?2 IS NULL" SHOWN_LISTED);
    stmt_bind(stmt, "izti", window->after_key, filter->project_key, filter->meter,
              window->limit + 1);
    int rc;
    while ((rc = noun_next(stmt, window, err)) == 1)
        put_row(stmt, w);
    return rc;
}
