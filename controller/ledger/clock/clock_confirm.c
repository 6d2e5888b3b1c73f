/* What an operator says of a clock, carried out; see clock_confirm.h. */
#include "controller/ledger/clock/clock_confirm.h"

#include <stdio.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/types.h"
#include "controller/db/db.h"
#include "controller/ledger/clock/clock_step.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/tx/writer.h"

const char *const clock_word_names[] = {"keep", "take", "controller", NULL};

/* The boot that is spoken of. */
struct subject {
    int64_t node_key;
    char boot_id[HOST_WORD_MAX];
    struct voucher voucher;
    bool heard;             /* it is on at present, as the voucher says */
    struct clock_hold hold; /* what there is of it; of a finished boot as well */
};

static int subject_of(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                      struct subject *ret, struct err *err)
{
    const struct host *host = hosts_find(tx->hosts, verdict->node_key);
    *ret = (struct subject){.node_key = verdict->node_key};
    int held = verdict->boot_id
                   ? clock_hold_find(tx->db, ret->node_key, verdict->boot_id, &ret->hold, err)
                   : clock_hold_oldest_of(tx->db, ret->node_key, &ret->hold, err);
    if (held < 0)
        return -1;
    ret->heard = vouchers_find(v, verdict->node_key, &ret->voucher);
    const char *boot_id = verdict->boot_id ? verdict->boot_id
                          : held           ? ret->hold.boot_id
                          : ret->heard     ? ret->voucher.boot_id
                          : host           ? host->boot_id
                                           : "";
    snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", boot_id);
    ret->heard = ret->heard && strcmp(ret->voucher.boot_id, ret->boot_id) == 0;
    return 0;
}

/* ---- lines ---- */

static int line_from(struct tx *tx, int64_t node_key, const char *boot_id, int64_t line_ms,
                     struct err *err)
{
    return evidence_witness(
        tx,
        &(struct witnessed){
            .kind = OBS_CLOCK, .node_key = node_key, .boot_id = boot_id, .wall_ms = line_ms},
        err);
}

/* No report came before what it tells of: of a boot that is over this is the closest bound. What
 * we wrote of it ourselves by its line as it was would only confirm that one. */
static int received_line(struct db *db, const struct subject *s, int64_t *ret_ms, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT min(line) FROM (SELECT min(received_ms - boottime_ms) AS line"
                    " FROM observation WHERE node_key IS ?1 AND boot_id = ?2"
                    " AND resource_id <> '' AND kind <> 4 AND incarnation <> ''"
                    " UNION ALL SELECT min(received_ms - boottime_ms) FROM observation"
                    " WHERE node_key IS ?1 AND boot_id = ?2 AND kind = 5)");
    stmt_bind(stmt, "zt", s->node_key, s->boot_id);
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_ms = stmt_i64(stmt, 0);
    return stmt_null(stmt, 0)
               ? err_field(err, "boot", "boot: nothing is known of %s of this node", s->boot_id)
               : 0;
}

static int lay_on_ours(struct vouchers *v, struct tx *tx, const struct subject *s, struct err *err)
{
    int64_t line;
    if (received_line(tx->db, s, &line, err) != 0)
        return -1;
    if (s->heard)
        line = vouchers_line(v) + s->voucher.own_ms - s->voucher.boottime_ms;
    return line_from(tx, s->node_key, s->boot_id, line, err);
}

/* ---- a node's clock ---- */

static int check_node(const struct subject *s, const struct clock_verdict *verdict, struct err *err)
{
    if (verdict->word == CLOCK_TAKE && !s->heard)
        return err_set(err, ERR_CONFLICT,
                       "boot %s of the node is not heard from, so its clock cannot be read: "
                       "\"controller\" lays it on the controller's time, \"keep\" leaves it",
                       s->boot_id);
    if (verdict->word == CLOCK_KEEP && !s->heard && !s->hold.open)
        return err_set(err, ERR_CONFLICT,
                       "the node is not heard from, and nothing of it holds up sealing");
    return 0;
}

/* As far as it is off now, it may be; of a silent one, as far as it was when it was held. */
static int accept_node(struct vouchers *v, struct tx *tx, struct subject *s, int word,
                       struct err *err)
{
    int64_t last;
    uint8_t chain[SHA256_BYTES];
    struct clock_steps steps = {0};
    bool left = word == CLOCK_KEEP && s->hold.open;
    if (left && s->hold.against == CLOCK_ITS_LINE)
        steps.step_ms = s->hold.step_ms;
    else if (left)
        steps.line_ms = s->hold.step_ms;
    if (s->heard) {
        if (evidence_head(tx->db, &last, chain, err) != 0)
            return -1;
        struct evidence *evidence = evidence_at(tx->db, last, 0, NULL, NULL);
        int rc = clock_steps_of(v, evidence, &s->voucher, &steps, err);
        evidence_free(evidence);
        if (rc != 0)
            return -1;
    }
    s->hold.node_key = s->node_key;
    memcpy(s->hold.boot_id, s->boot_id, sizeof(s->boot_id));
    s->hold.kept_step_ms = steps.step_ms;
    s->hold.kept_line_ms = steps.line_ms;
    return clock_hold_close(tx, &s->hold, vouchers_now(v), err);
}

static int confirm_node(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                        struct err *err)
{
    struct subject s;
    int rc = 0;
    if (subject_of(v, tx, verdict, &s, err) != 0 || check_node(&s, verdict, err) != 0)
        return -1;
    if (verdict->word == CLOCK_TAKE)
        rc = line_from(tx, s.node_key, s.boot_id, s.voucher.wall_ms - s.voucher.boottime_ms, err);
    else if (verdict->word == CLOCK_CONTROLLER)
        rc = lay_on_ours(v, tx, &s, err);
    return rc == 0 ? accept_node(v, tx, &s, verdict->word, err) : -1;
}

/* ---- our own ---- */

/* Our line of a boot that is over stands, whatever its clock showed: there is nothing to choose. */
static int confirm_own_past(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                            struct err *err)
{
    struct clock_hold hold;
    if (clock_hold_find(tx->db, 0, verdict->boot_id, &hold, err) < 0)
        return -1;
    if (!hold.open)
        return err_field(err, "boot",
                         "boot: of the controller's own machine the present one, or one that is "
                         "held");
    if (verdict->word != CLOCK_KEEP)
        return err_set(err, ERR_CONFLICT,
                       "boot %s of the controller's own machine is over: \"keep\" leaves its time "
                       "as it was",
                       verdict->boot_id);
    return clock_hold_close(tx, &hold, vouchers_now(v), err);
}

/* Our own line is where our clock is. */
static int take_own(struct vouchers *v, struct tx *tx, struct clock_steps *steps, struct err *err)
{
    int64_t line = vouchers_line(v) + steps->step_ms;
    if (line_from(tx, 0, steps->boot_id, line, err) != 0 ||
        vouchers_take_line(v, tx, line, err) != 0)
        return -1;
    return clock_hold_moved(tx, steps->step_ms, CLOCK_STEP_MS, err);
}

static int confirm_own(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                       struct err *err)
{
    struct clock_steps steps;
    clock_steps_own(v, &steps);
    int64_t now = vouchers_now(v);
    if (verdict->word == CLOCK_CONTROLLER)
        return err_field(err, "clock", "clock: \"controller\" is for the clock of a node");
    if (verdict->boot_id && strcmp(verdict->boot_id, steps.boot_id) != 0)
        return confirm_own_past(v, tx, verdict, err);
    struct clock_hold hold = {.step_ms = steps.step_ms, .kept_step_ms = steps.step_ms};
    memcpy(hold.boot_id, steps.boot_id, sizeof(hold.boot_id));
    if (verdict->word == CLOCK_TAKE) {
        if (take_own(v, tx, &steps, err) != 0)
            return -1;
        now += steps.step_ms;
        hold.kept_step_ms = 0;
    }
    /* Who names no boot speaks of the one clock there is: in earlier boots as well. */
    if (!verdict->boot_id && clock_hold_close_own(tx, now, err) != 0)
        return -1;
    return clock_hold_close(tx, &hold, now, err);
}

/* Who names no boot speaks of all that are held of the node; only the present one has a clock that
 * can be taken. */
static int confirm_others(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                          struct err *err)
{
    struct clock_hold hold;
    int more = 0;
    if (verdict->boot_id || verdict->word == CLOCK_TAKE)
        return 0;
    while ((more = clock_hold_oldest_of(tx->db, verdict->node_key, &hold, err)) == 1) {
        struct clock_verdict next = *verdict;
        next.boot_id = hold.boot_id;
        if (confirm_node(v, tx, &next, err) != 0)
            return -1;
    }
    return more;
}

int clock_confirm(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                  struct err *err)
{
    if (!verdict->node_key)
        return confirm_own(v, tx, verdict, err);
    return confirm_node(v, tx, verdict, err) == 0 ? confirm_others(v, tx, verdict, err) : -1;
}
