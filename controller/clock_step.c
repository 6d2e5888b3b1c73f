/* Steps of clocks, what they hold up, and an operator's word on them; see clock_step.h. */
#include "controller/clock_step.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/clock.h"
#include "api/err.h"
#include "api/mem.h"
#include "api/types.h"
#include "controller/clock_note.h"
#include "controller/db.h"
#include "controller/evidence.h"
#include "controller/meta.h"
#include "controller/store_segment.h"
#include "controller/vouch.h"
#include "controller/writer.h"

const char *const clock_word_names[] = {"keep", "take", "controller", NULL};

static void copy(char to[HOST_WORD_MAX], const char *text)
{
    snprintf(to, HOST_WORD_MAX, "%s", text);
}

/* ---- steps ---- */

/* How far a clock is from its line (a), and its line from ours (b); of which boot. */
static void step_name(char name[64], int64_t node_key)
{
    snprintf(name, 64, "clock.step.%" PRId64, node_key);
}

static bool stepped(int64_t by_ms, int64_t confirmed_ms)
{
    int64_t off = by_ms - confirmed_ms;
    return off > CLOCK_STEP_MS || off < -CLOCK_STEP_MS;
}

/* A boot of which there is no evidence has no line, and nothing to hold up. */
static int steps_of(struct vouchers *v, struct evidence *evidence, const struct voucher *voucher,
                    struct clock_note *ret_steps, struct err *err)
{
    const struct boot *boot = evidence_boot(evidence, voucher->node_key, voucher->boot_id, err);
    if (!boot)
        return -1;
    *ret_steps = (struct clock_note){0};
    copy(ret_steps->word, voucher->boot_id);
    if (boot->line_ms == 0)
        return 0;
    ret_steps->a = voucher->wall_ms - voucher->boottime_ms - boot->line_ms;
    ret_steps->b = boot->line_ms + voucher->boottime_ms - (vouchers_line(v) + voucher->own_ms);
    return 0;
}

static void own_steps(struct vouchers *v, struct clock_note *ret_steps)
{
    char boot_id[BOOT_ID_MAX];
    clock_boot_id(boot_id);
    *ret_steps = (struct clock_note){.a = clock_wall_ms() - clock_boottime_ms() - vouchers_line(v)};
    copy(ret_steps->word, boot_id);
}

/* 1: not confirmed. */
static int judge(struct db *db, int64_t node_key, const struct clock_note *steps,
                 struct clock_held *ret_held, struct err *err)
{
    struct clock_note confirmed;
    char name[64];
    step_name(name, node_key);
    if (clock_note_read(db, name, &confirmed, err) != 0)
        return -1;
    if (strcmp(confirmed.word, steps->word) != 0)
        confirmed = (struct clock_note){0};
    *ret_held = (struct clock_held){.node_key = node_key, .step_ms = steps->a};
    copy(ret_held->boot_id, steps->word);
    if (stepped(steps->a, confirmed.a))
        return 1;
    ret_held->step_ms = steps->b;
    ret_held->against_own = true;
    return stepped(steps->b, confirmed.b);
}

static const char away_name[] = "clock.away"; /* a: until when, in UTC by our line */

/* Since the last seal, or since somebody confirmed that so much time has passed. */
static int was_away(struct vouchers *v, struct db *db, const struct clock_note *own,
                    struct clock_held *ret_held, struct err *err)
{
    struct seal last;
    struct clock_note confirmed;
    int known = store_seal_last(db, &last, err);
    if (known <= 0 || clock_note_read(db, away_name, &confirmed, err) != 0)
        return known < 0 ? -1 : 0;
    int64_t since = confirmed.a > last.until_ms ? confirmed.a : last.until_ms;
    int64_t away = vouchers_now(v) - since;
    *ret_held = (struct clock_held){.step_ms = away, .against_own = true};
    copy(ret_held->boot_id, own->word);
    return away > CLOCK_AWAY_DAYS * 24LL * 3600 * 1000;
}

/* ---- what is held up ---- */

/* By what it is held against. The boot, its node (a), how far (b). */
static const char *const held_names[] = {"clock.held.step", "clock.held.line"};

int clock_note_held(struct tx *tx, const struct clock_held *held, struct err *err)
{
    struct clock_note note = {.a = held->node_key, .b = held->step_ms};
    copy(note.word, held->boot_id);
    return clock_note_write(tx, held_names[held->against_own], &note, err);
}

static int noted_held(struct db *db, struct clock_held *ret_held, struct err *err)
{
    for (int i = 0; i < 2; i++) {
        struct clock_note note;
        if (clock_note_read(db, held_names[i], &note, err) != 0)
            return -1;
        *ret_held = (struct clock_held){.node_key = note.a, .step_ms = note.b, .against_own = i};
        copy(ret_held->boot_id, note.word);
        if (note.word[0])
            return 1;
    }
    return 0;
}

int clock_held(struct vouchers *v, struct db *db, struct evidence *evidence,
               struct clock_held *ret_held, struct err *err)
{
    struct clock_note steps;
    size_t count;
    int known = noted_held(db, ret_held, err);
    if (known != 0)
        return known;
    autofree struct voucher *all = vouchers_all(v, &count);
    own_steps(v, &steps);
    int rc = judge(db, 0, &steps, ret_held, err);
    if (rc == 0)
        rc = was_away(v, db, &steps, ret_held, err);
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (steps_of(v, evidence, &all[i], &steps, err) != 0)
            return -1;
        rc = judge(db, all[i].node_key, &steps, ret_held, err);
    }
    return rc;
}

/* ---- what an operator says ---- */

/* The boot that is spoken of. */
struct subject {
    int64_t node_key;
    char boot_id[HOST_WORD_MAX];
    struct voucher voucher;
    bool heard; /* it is on at present, as the voucher says */
    bool held;  /* a noted hold is of it */
};

static int subject_of(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                      struct subject *ret, struct err *err)
{
    struct clock_held held;
    const struct host *host = hosts_find(tx->hosts, verdict->node_key);
    int noted = noted_held(tx->db, &held, err);
    if (noted < 0)
        return -1;
    *ret = (struct subject){.node_key = verdict->node_key};
    noted = noted && held.node_key == verdict->node_key;
    ret->heard = vouchers_find(v, verdict->node_key, &ret->voucher);
    copy(ret->boot_id, verdict->boot_id ? verdict->boot_id
                       : noted          ? held.boot_id
                       : ret->heard     ? ret->voucher.boot_id
                       : host           ? host->boot_id
                                        : "");
    ret->held = noted && strcmp(held.boot_id, ret->boot_id) == 0;
    ret->heard = ret->heard && strcmp(ret->voucher.boot_id, ret->boot_id) == 0;
    return 0;
}

static int line_from(struct tx *tx, const struct subject *s, int64_t line_ms, struct err *err)
{
    return evidence_witness(
        tx,
        &(struct witnessed){
            .kind = OBS_CLOCK, .node_key = s->node_key, .boot_id = s->boot_id, .wall_ms = line_ms},
        err);
}

/* No report came before what it tells of: of a boot that is over this is the closest bound. */
static int received_line(struct db *db, const struct subject *s, int64_t *ret_ms, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT min(line) FROM (SELECT min(received_ms - boottime_ms) AS line"
                    " FROM observation WHERE node_key IS ?1 AND boot_id = ?2 AND kind <= 3"
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
    return line_from(tx, s, line, err);
}

static int release(struct tx *tx, const struct subject *s, struct err *err)
{
    struct clock_note none = {0};
    if (!s->held)
        return 0;
    return clock_note_write(tx, held_names[0], &none, err) == 0 &&
                   clock_note_write(tx, held_names[1], &none, err) == 0
               ? 0
               : -1;
}

static int note_steps(struct tx *tx, int64_t node_key, const struct clock_note *steps,
                      struct err *err)
{
    char name[64];
    step_name(name, node_key);
    return clock_note_write(tx, name, steps, err);
}

/* As far as it is off now, it may be. */
static int note_present(struct vouchers *v, struct tx *tx, const struct subject *s, struct err *err)
{
    int64_t last;
    uint8_t chain[SHA256_BYTES];
    struct clock_note steps;
    if (evidence_head(tx->db, &last, chain, err) != 0)
        return -1;
    struct evidence *evidence = evidence_at(tx->db, last, 0, NULL, NULL);
    int rc = steps_of(v, evidence, &s->voucher, &steps, err);
    evidence_free(evidence);
    return rc == 0 ? note_steps(tx, s->node_key, &steps, err) : -1;
}

static int confirm_node(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                        struct err *err)
{
    struct subject s;
    int rc = 0;
    if (subject_of(v, tx, verdict, &s, err) != 0)
        return -1;
    if (verdict->word == CLOCK_TAKE && !s.heard)
        return err_set(err, ERR_CONFLICT,
                       "boot %s of the node is not heard from, so its clock cannot be read: "
                       "\"controller\" lays it on the controller's time, \"keep\" leaves it",
                       s.boot_id);
    if (verdict->word == CLOCK_KEEP && !s.heard && !s.held)
        return err_set(err, ERR_CONFLICT,
                       "the node is not heard from, and nothing of it holds up sealing");
    if (verdict->word == CLOCK_TAKE)
        rc = line_from(tx, &s, s.voucher.wall_ms - s.voucher.boottime_ms, err);
    else if (verdict->word == CLOCK_CONTROLLER)
        rc = lay_on_ours(v, tx, &s, err);
    if (rc != 0 || release(tx, &s, err) != 0)
        return -1;
    return s.heard ? note_present(v, tx, &s, err) : 0;
}

static int confirm_own(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                       struct err *err)
{
    struct clock_note steps, away = {.word = "confirmed", .a = vouchers_now(v)};
    struct subject s;
    if (verdict->boot_id)
        return err_field(err, "boot", "boot: of the controller's own machine only the present one");
    if (verdict->word == CLOCK_CONTROLLER)
        return err_field(err, "clock", "clock: \"controller\" is for the clock of a node");
    own_steps(v, &steps);
    if (subject_of(v, tx, verdict, &s, err) != 0)
        return -1;
    if (!s.boot_id[0])
        copy(s.boot_id, steps.word);
    if (verdict->word == CLOCK_TAKE) {
        int64_t line = vouchers_line(v) + steps.a;
        struct subject present = {0};
        copy(present.boot_id, steps.word);
        steps.a = 0;
        if (line_from(tx, &present, line, err) != 0 || vouchers_take_line(v, tx, line, err) != 0)
            return -1;
    }
    if (clock_note_write(tx, away_name, &away, err) != 0 || release(tx, &s, err) != 0)
        return -1;
    return note_steps(tx, 0, &steps, err);
}

int clock_confirm(struct vouchers *v, struct tx *tx, const struct clock_verdict *verdict,
                  struct err *err)
{
    return verdict->node_key ? confirm_node(v, tx, verdict, err) : confirm_own(v, tx, verdict, err);
}
