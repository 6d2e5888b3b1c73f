/* Which clocks are off, and what is noted of them; see clock_step.h. */
#include "controller/ledger/clock/clock_step.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/segment/store_seal.h"
#include "controller/tx/writer.h"

/* ---- steps ---- */

int clock_steps_of(struct vouchers *v, struct evidence *evidence, const struct voucher *voucher,
                   struct clock_steps *ret_steps, struct err *err)
{
    const struct boot *boot = evidence_boot(evidence, voucher->node_key, voucher->boot_id, err);
    if (!boot)
        return -1;
    *ret_steps = (struct clock_steps){.node_key = voucher->node_key};
    snprintf(ret_steps->boot_id, sizeof(ret_steps->boot_id), "%s", voucher->boot_id);
    if (boot->line_ms == 0)
        return 0;
    ret_steps->step_ms = voucher->wall_ms - voucher->boottime_ms - boot->line_ms;
    ret_steps->line_ms =
        boot->line_ms + voucher->boottime_ms - (vouchers_line(v) + voucher->own_ms);
    return 0;
}

void clock_steps_own(struct vouchers *v, struct clock_steps *ret_steps)
{
    *ret_steps =
        (struct clock_steps){.step_ms = clock_wall_ms() - clock_boottime_ms() - vouchers_line(v)};
    _Static_assert((int)BOOT_ID_MAX <= (int)HOST_WORD_MAX, "our own boot's name fits");
    clock_boot_id(ret_steps->boot_id);
}

static bool far(int64_t ms)
{
    return ms > CLOCK_STEP_MS || ms < -CLOCK_STEP_MS;
}

/* Neither where it should be nor where an operator let it be. */
static bool is_off(int64_t by_ms, int64_t kept_ms)
{
    return far(by_ms) && far(by_ms - kept_ms);
}

/* `known`: what there is of this boot. */
static bool judge(const struct clock_steps *steps, const struct clock_hold *known,
                  struct clock_hold *ret_found)
{
    bool off = is_off(steps->step_ms, known->kept_step_ms);
    *ret_found = (struct clock_hold){.node_key = steps->node_key,
                                     .step_ms = off ? steps->step_ms : steps->line_ms,
                                     .against = off ? CLOCK_ITS_LINE : CLOCK_OUR_LINE};
    snprintf(ret_found->boot_id, sizeof(ret_found->boot_id), "%s", steps->boot_id);
    return off || is_off(steps->line_ms, known->kept_line_ms);
}

/* Since the last seal, or since somebody confirmed that so much time has passed. */
static int was_away(struct vouchers *v, struct db *db, struct clock_hold *found, struct err *err)
{
    struct seal last;
    int64_t confirmed;
    int known = store_seal_last(db, &last, err);
    if (known <= 0)
        return known;
    int64_t now = vouchers_now(v);
    if (clock_hold_own_closed(db, now, &confirmed, err) != 0)
        return -1;
    found->step_ms = now - (confirmed > last.until_ms ? confirmed : last.until_ms);
    found->against = CLOCK_LAST_SEAL;
    return found->step_ms > CLOCK_AWAY_DAYS * 24LL * 3600 * 1000;
}

/* 1: it is off, and not noted yet. */
static int look(struct vouchers *v, struct db *db, bool any_known, const struct clock_steps *steps,
                struct clock_hold *ret_found, struct err *err)
{
    struct clock_hold known = {0};
    if (any_known && clock_hold_find(db, steps->node_key, steps->boot_id, &known, err) < 0)
        return -1;
    if (known.open)
        return 0;
    if (judge(steps, &known, ret_found))
        return 1;
    return steps->node_key ? 0 : was_away(v, db, ret_found, err);
}

/* ---- all of them ---- */

typedef int found_fn(void *ctx, const struct clock_hold *found, struct err *err);

/* All that is off and not noted: ours first, then of every host that is heard from. */
static int look_at_all(struct vouchers *v, struct db *db, struct evidence *evidence, found_fn *fn,
                       void *ctx, struct err *err)
{
    struct clock_steps steps;
    struct clock_hold found;
    size_t count;
    autofree struct voucher *all = vouchers_all(v, &count);
    int any_known = clock_hold_any(db, err);
    if (any_known < 0)
        return -1;
    clock_steps_own(v, &steps);
    for (size_t i = 0; i <= count; i++) {
        if (i > 0 && clock_steps_of(v, evidence, &all[i - 1], &steps, err) != 0)
            return -1;
        int rc = look(v, db, any_known, &steps, &found, err);
        if (rc < 0 || (rc > 0 && fn(ctx, &found, err) != 0))
            return -1;
    }
    return 0;
}

static int add_found(void *ctx, const struct clock_hold *found, struct err *err)
{
    struct clock_held *held = ctx;
    (void)err;
    if (held->count++ == 0)
        held->oldest = *found;
    return 0;
}

static int read_noted(struct db *db, struct clock_held *ret_held, struct err *err)
{
    return clock_hold_count(db, &ret_held->count, err) == 0 &&
                   clock_hold_oldest(db, &ret_held->oldest, err) >= 0
               ? 0
               : -1;
}

int clock_held(struct vouchers *v, struct db *db, struct evidence *evidence,
               struct clock_held *ret_held, struct err *err)
{
    if (read_noted(db, ret_held, err) != 0 ||
        look_at_all(v, db, evidence, add_found, ret_held, err) != 0)
        return -1;
    return ret_held->count > 0;
}

static int note_found(void *ctx, const struct clock_hold *found, struct err *err)
{
    log_warn("clock.held", "node_key=%" PRId64 " boot=%s step_ms=%" PRId64, found->node_key,
             found->boot_id, found->step_ms);
    return clock_hold_open(ctx, found, err);
}

int clock_held_note(struct vouchers *v, struct tx *tx, struct evidence *evidence,
                    struct clock_held *ret_held, struct err *err)
{
    if (look_at_all(v, tx->db, evidence, note_found, tx, err) != 0 ||
        read_noted(tx->db, ret_held, err) != 0)
        return -1;
    return ret_held->count > 0;
}

/* ---- evidence ---- */

/* Where an operator has laid the boot, if one did. */
static int line_of(struct tx *tx, int64_t node_key, const char *boot_id, int64_t *ret_ms,
                   struct err *err)
{
    int64_t last;
    uint8_t chain[SHA256_BYTES];
    if (evidence_head(tx->db, &last, chain, err) != 0)
        return -1;
    struct evidence *evidence = evidence_at(tx->db, last, 0, NULL, NULL);
    const struct boot *boot = evidence_boot(evidence, node_key, boot_id, err);
    *ret_ms = boot ? boot->line_ms : 0;
    evidence_free(evidence);
    return boot ? 0 : -1;
}

int clock_note_ahead(struct tx *tx, int64_t node_key, const struct observation *o, struct err *err)
{
    struct clock_hold known;
    int64_t line;
    if (o->wall_ms - tx_utc(tx) <= CLOCK_STEP_MS)
        return 0;
    int rc = clock_hold_find(tx->db, node_key, o->boot_id, &known, err);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (line_of(tx, node_key, o->boot_id, &line, err) != 0)
        return -1;
    struct clock_hold found = {.node_key = node_key,
                               .step_ms = line + o->boottime_ms - tx_utc(tx),
                               .against = CLOCK_OUR_LINE};
    snprintf(found.boot_id, sizeof(found.boot_id), "%s", o->boot_id);
    return found.step_ms > CLOCK_STEP_MS ? note_found(tx, &found, err) : 0;
}
