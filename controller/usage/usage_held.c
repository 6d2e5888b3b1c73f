/* Why nothing is sealed at present; see usage_held.h. */
#include "controller/usage/usage_held.h"

#include <stdlib.h>

#include "controller/access/access.h"
#include "controller/ledger/book/ledger.h"
#include "controller/ledger/clock/clock_step.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/evidence/ledger_views.h"
#include "controller/request/request.h"
#include "controller/usage/usage_names.h"
#include "controller/world.h"

static int read_held(struct request *r, struct db *db, const struct ledger_moment *moment,
                     struct clock_held *ret_held, struct err *err)
{
    struct ledger_views *views = r->app->views;
    struct evidence *evidence =
        ledger_views_take(views, VIEW_NEWEST, db, moment->observation_key, err);
    int rc = evidence ? clock_held(r->app->vouchers, db, evidence, ret_held, err) : -1;
    ledger_views_give(views, VIEW_NEWEST, evidence);
    return rc;
}

int usage_held_count(struct request *r, struct db *db, const struct ledger_moment *moment,
                     int64_t *ret_count, struct err *err)
{
    struct clock_held held;
    if (read_held(r, db, moment, &held, err) < 0)
        return -1;
    *ret_count = held.count;
    return 0;
}

/* ---- words ---- */

void usage_span_text(int64_t ms, struct buf *out)
{
    static const struct {
        const char *name;
        long long seconds;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    long long left = llabs(ms / 1000) + (llabs(ms % 1000) >= 500);
    size_t i = 0;
    while (i < 3 && left < units[i].seconds)
        i++;
    for (size_t last = i + 1; i <= last && i < 4; i++) {
        long long n = left / units[i].seconds;
        left %= units[i].seconds;
        if (n || !out->len)
            buf_printf(out, "%s%lld %s%s", out->len ? " " : "", n, units[i].name,
                       n == 1 ? "" : "s");
    }
}

/* The host is named to operators only, and so is what only they can do. */
static void put_reason(const struct clock_held *held, bool operator, const struct noun_row * node,
                       struct buf *out)
{
    static const char *const against[] = {
        [CLOCK_ITS_LINE] = "where it was",
        [CLOCK_OUR_LINE] = "the controller's",
        [CLOCK_LAST_SEAL] = "the last seal",
    };
    const struct clock_hold *hold = &held->oldest;
    auto_buf struct buf span = {0};
    usage_span_text(hold->step_ms, &span);
    if (!hold->node_key)
        buf_puts(out, "the controller's clock");
    else if (operator&& node)
        buf_printf(out, "the clock of node %s", node->name);
    else
        buf_puts(out, "a host's clock");
    buf_printf(out, " is %s %s %s", span.data, hold->step_ms < 0 ? "behind" : "ahead of",
               against[hold->against]);
    if (held->count > 1)
        buf_printf(out, ", and %lld more", (long long)(held->count - 1));
    if (!operator)
        buf_puts(out, "; an operator has to say which time holds");
    else if (hold->node_key)
        buf_puts(out, "; POST /v1/usage/confirm with this boot, and node_id as its node, says "
                      "which time holds");
    else
        buf_puts(out, "; POST /v1/usage/confirm without a node says which time holds");
}

int usage_held_put(struct json_writer *w, struct request *r, const struct ledger_moment *moment,
                   struct usage_names *names, struct err *err)
{
    struct clock_held held;
    struct db *db = request_reader(r);
    auto_buf struct buf reason = {0};
    int rc = read_held(r, db, moment, &held, err);
    if (rc < 0)
        return -1;
    if (rc == 0) {
        json_put_null(w, "held");
        return 0;
    }
    usage_names_use(names, db);
    bool operator= caller_is_operator(&r->caller);
    const struct noun_row *node = usage_name(names, ACCESS_NODE, held.oldest.node_key);
    put_reason(&held, operator, node, &reason);
    json_open(w, "held", '{');
    json_put_str(w, "reason", reason.data);
    json_put_i64(w, "count", held.count);
    json_put_str(w, "node", operator&& node ? node->name : NULL);
    json_put_str(w, "node_id", operator&& node ? node->id : NULL);
    json_put_str(w, "boot", operator? held.oldest.boot_id : NULL);
    json_close(w, '}');
    return 0;
}
