/* /v1/prices: what a unit of each meter costs. Operators make and end them; a project sees
 * those that can apply to it. */
#include "controller/ledger/price/price.h"

#include <string.h>

#include "api/base/limits.h"
#include "api/json/wire_table.h"
#include "controller/request/handle_noun.h"
#include "controller/request/handlers.h"
#include "controller/tx/writer.h"

/* In the order of the grains below. */
static const char *const per_names[] = {"second", "minute", "hour", NULL};
static const int64_t grains_ms[] = {1000, 60 * 1000, HOUR_MS};

enum { METER_NAME_MAX = 63 };

struct price_input {
    char *meter, *flavor, *project;
    int64_t nanos;
    int per;
    int64_t minimum_seconds, monthly_cap_nanos;
    int64_t valid_from, valid_until;
    uint64_t present;
};

#define STRUCT price_input
static const struct wire_field price_input_fields[] = {
    W_STR_REQ(meter, METER_NAME_MAX),
    W_ROW(flavor, WIRE_STR, .min = 1, .max = LIMIT_NAME, .flags = WIRE_NULLABLE),
    W_ROW(project, WIRE_STR, .min = 1, .max = LIMIT_NAME, .flags = WIRE_NULLABLE),
    W_DEC64(nanos, .max = LIMIT_PRICE_NANOS, .flags = WIRE_REQUIRED),
    W_ENUM(per, per_names),
    W_I64(minimum_seconds, .max = LIMIT_PRICE_MINIMUM_SECONDS),
    W_DEC64(monthly_cap_nanos, .min = 1, .max = LIMIT_PRICE_NANOS, .flags = WIRE_NULLABLE),
    W_TIME(valid_from, .flags = WIRE_NULLABLE),
    W_TIME(valid_until, .flags = WIRE_NULLABLE)};
static const struct wire_struct price_input_wire = WIRE_STRUCT_PRESENT(price_input);
#undef STRUCT

/* In the order of the table. */
enum { HAS_PER = 1 << 4 };

static const char *const list_params[] = {"limit", "cursor", "project", "meter", NULL};
static const char *const no_params[] = {NULL};

/* Gaps are shown and never billed. -1: `field` is refused. */
static int read_meter(const char *field, const char *name, struct err *err)
{
    struct buf known = {0};
    int meter = meter_find(name);
    if (meter >= 0 && meter != METER_GAP)
        return meter;
    for (int i = 0; i < METER_COUNT; i++) {
        if (i != METER_GAP)
            buf_printf(&known, "%s%s", i ? ", " : "", meters[i].name);
    }
    err_field(err, field, "meter must be one of %s", known.data);
    buf_release(&known);
    return -1;
}

/* ---- reading ---- */

static int read_filter(struct request *r, struct noun_filter *ret_filter, struct err *err)
{
    ret_filter->meter = http_query(r->http, "meter");
    if (request_only(r, list_params, err) != 0)
        return -1;
    return ret_filter->meter && read_meter("meter", ret_filter->meter, err) < 0 ? -1 : 0;
}

void handle_price_list(struct request *r)
{
    auto_err struct err err = {0};
    struct noun_filter filter = {0};
    if (read_filter(r, &filter, &err) == 0)
        noun_list(r, "prices", &filter, price_list_rows);
    else
        request_fail(r, &err);
}

void handle_price_show(struct request *r)
{
    noun_show(r, ACCESS_PRICE, price_show_row);
}

/* ---- making ---- */

static int find_named(struct tx *tx, struct request *r, enum access_verb verb,
                      enum access_kind kind, const char *ref, const char *field, int64_t *ret_key,
                      struct err *err)
{
    if (!ref)
        return 0;
    if (access_row(tx->db, &r->caller, verb, kind, 0, ref, ret_key, err) == 0)
        return 0;
    if (err->code == ERR_NOT_FOUND)
        snprintf(err->field, sizeof(err->field), "%s", field);
    return -1;
}

/* Grains are stretches of time: bytes have none. */
static int read_grain(const struct price_input *in, struct price *price, struct err *err)
{
    const struct meter_def *def = &meters[price->meter];
    if (!def->counted) {
        price->grain_ms = grains_ms[in->per];
        price->minimum_ms = in->minimum_seconds * 1000;
        return 0;
    }
    if (in->present & HAS_PER)
        return err_field(err, "/per", "%s is billed by what was counted: leave per out", def->name);
    if (in->minimum_seconds)
        return err_field(err, "/minimum_seconds",
                         "%s is billed by what was counted: leave minimum_seconds out", def->name);
    return 0;
}

/* A flavor that was deleted may still be in use, and is found by its id. */
static int read_price(struct tx *tx, struct request *r, struct price *price, struct err *err)
{
    const struct price_input *in = r->input;
    *price = (struct price){.meter = read_meter("/meter", in->meter, err),
                            .nanos = in->nanos,
                            .monthly_cap_nanos = in->monthly_cap_nanos,
                            .valid_from_ms = in->valid_from,
                            .valid_until_ms = in->valid_until ? in->valid_until : INT64_MAX};
    if (price->meter < 0 || read_grain(in, price, err) != 0)
        return -1;
    if (in->flavor && meters[price->meter].kind == SEGMENT_IMAGE)
        return err_field(err, "/flavor", "an image has no flavor: leave flavor out");
    if (find_named(tx, r, ACCESS_CHANGE, ACCESS_PROJECT, in->project, "/project",
                   &price->project_key, err) != 0)
        return -1;
    return find_named(tx, r, ACCESS_SEE, ACCESS_FLAVOR, in->flavor, "/flavor", &price->flavor_key,
                      err);
}

static int create(struct tx *tx, struct request *r, struct err *err)
{
    struct price price;
    int64_t key;
    struct noun_row row;
    if (request_only(r, no_params, err) != 0 || read_price(tx, r, &price, err) != 0 ||
        price_create(tx, r->app, &price, &key, err) != 0 ||
        noun_row(tx->db, ACCESS_PRICE, key, &row, err) != 0)
        return -1;
    r->location = noun_location("prices", row.id);
    return noun_answer(tx, r, 201, key, price_show_row, err);
}

void handle_price_create(struct request *r)
{
    if (request_decode(r, &price_input_wire) == 0)
        request_write(r, create);
}

/* ---- ending ---- */

static int end(struct tx *tx, struct request *r, struct err *err)
{
    return noun_delete(tx, r, ACCESS_PRICE, price_end, err);
}

void handle_price_delete(struct request *r)
{
    request_write(r, end);
}
