/* /v1/usage/verify, /v1/usage/confirm: what operators do with the ledger itself. */
#include <string.h>

#include "api/base/id.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/access/access.h"
#include "controller/ledger/book/ledger_verify.h"
#include "controller/ledger/clock/clock_confirm.h"
#include "controller/placement/hosts.h"
#include "controller/request/handlers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

static const char *const no_params[] = {NULL};

/* ---- verify ---- */

enum { VERIFY_MS = 1000 }; /* no read transaction lasts much longer */

struct usage_verify {
    char *after;
};

#define STRUCT usage_verify
static const struct wire_field usage_verify_fields[] = {
    W_STR(after, SHA256_TEXT_MAX - 1, .min = 1, .check = validate_sha256)};
static const struct wire_struct usage_verify_wire = WIRE_STRUCT(usage_verify);
#undef STRUCT

static int verify(struct db *db, struct request *r, struct err *err)
{
    const struct usage_verify *in = r->input;
    uint8_t after[SHA256_BYTES] = {0};
    struct ledger_part part = {.after = after, .budget_ms = VERIFY_MS};
    struct ledger_verdict verdict;
    if (in->after)
        sha256_parse(in->after, after);
    if (ledger_verify(db, &part, &verdict, err) != 0)
        return -1;
    struct json_writer w = request_json(r, 200);
    json_open(&w, NULL, '{');
    json_put_bool(&w, "verified", !verdict.difference[0]);
    json_put_str(&w, "difference", verdict.difference[0] ? verdict.difference : NULL);
    json_put_i64(&w, "seals", verdict.seals);
    json_put_i64(&w, "segments", verdict.segments);
    json_put_i64(&w, "observations", verdict.observations);
    if (verdict.sealed_ms)
        json_put_time(&w, "sealed_until", verdict.sealed_ms);
    else
        json_put_str(&w, "sealed_until", NULL);
    json_put_str(&w, "chain", verdict.chain);
    json_put_bool(&w, "more", verdict.more);
    json_close(&w, '}');
    return 0;
}

void handle_usage_verify(struct request *r)
{
    auto_err struct err err = {0};
    if (request_only(r, no_params, &err) != 0)
        request_fail(r, &err);
    else if (request_decode(r, &usage_verify_wire) == 0)
        request_ledger(r, verify);
}

/* ---- confirm ---- */

struct usage_confirm {
    char *node, *boot;
    int clock; /* enum clock_word */
};

#define STRUCT usage_confirm
static const struct wire_field usage_confirm_fields[] = {
    W_STR(node, LIMIT_NAME), W_STR(boot, HOST_WORD_MAX - 1),
    W_ENUM(clock, clock_word_names, .flags = WIRE_REQUIRED)};
static const struct wire_struct usage_confirm_wire = WIRE_STRUCT(usage_confirm);
#undef STRUCT

static int confirm(struct tx *tx, struct request *r, struct err *err)
{
    const struct usage_confirm *in = r->input;
    struct clock_verdict verdict = {.boot_id = in->boot, .word = in->clock};
    if (request_only(r, no_params, err) != 0)
        return -1;
    if (in->node && access_row(tx->db, &r->caller, ACCESS_SEE, ACCESS_NODE, 0, in->node,
                               &verdict.node_key, err) != 0)
        return -1;
    if (clock_confirm(r->app->vouchers, tx, &verdict, err) != 0)
        return -1;
    autofree char *what = xasprintf("clock:%s", clock_word_names[in->clock]);
    tx_event(tx, &(struct event_row){.kind = "usage",
                                     .id = in->node ? in->node : "controller",
                                     .name = in->node,
                                     .what = what});
    r->status = 204;
    return 0;
}

void handle_usage_confirm(struct request *r)
{
    if (request_decode(r, &usage_confirm_wire) == 0)
        request_write(r, confirm);
}
