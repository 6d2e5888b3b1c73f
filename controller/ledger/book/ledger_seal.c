/* Sealing; see ledger_seal.h. */
#include "controller/ledger/book/ledger_seal.h"

#include <inttypes.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/types.h"
#include "controller/db/db.h"
#include "controller/ledger/book/ledger_advance.h"
#include "controller/ledger/book/store_segment.h"
#include "controller/ledger/clock/clock_step.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/segment/store_seal.h"
#include "controller/placement/hosts.h"
#include "controller/tx/writer.h"

static int write_all(struct tx *tx, struct changes *changes, struct seal *seal, struct err *err)
{
    struct segment_head head;
    if (store_segment_head(tx->db, &head, err) != 0)
        return -1;
    for (size_t i = 0; i < changes->count; i++) {
        if (store_segment_change(tx->db, &changes->items[i], seal->key, &head, err) != 0)
            return -1;
    }
    seal->segment_ordinal = head.ordinal;
    memcpy(seal->segment_chain, head.chain, sizeof(head.chain));
    return store_seal_add(tx->db, seal, err);
}

int ledger_seal(struct tx *tx, int64_t until_ms, struct err *err)
{
    struct seal last, seal = {.until_ms = until_ms, .sealed_ms = tx->now_ms};
    struct changes changes = {0};
    if (store_seal_last(tx->db, &last, err) < 0 ||
        evidence_head(tx->db, &seal.observation_key, seal.observation_chain, err) != 0)
        return -1;
    if (until_ms <= last.until_ms)
        return 0;
    seal.key = last.key + 1;
    struct db_books at = {tx->db, last.key};
    struct books books = books_of_db(&at);
    struct step step = {.from_key = last.observation_key,
                        .news_key = last.news_key,
                        .from_ms = last.until_ms,
                        .to_key = seal.observation_key,
                        .to_ms = until_ms};
    int rc = ledger_advance(tx->db, &books, &step, &changes, &seal.news_key, err);
    if (rc == 0)
        rc = write_all(tx, &changes, &seal, err);
    changes_release(&changes);
    return rc;
}

/* ---- when ---- */

/* Every host that is heard from has to say so first; whoever is silent holds up nobody. */
static int note_hosts(struct tx *tx, bool *ret_all, struct err *err)
{
    *ret_all = true;
    for (size_t i = 0; i < hosts_count(tx->hosts); i++) {
        const struct host *host = hosts_at(tx->hosts, i);
        if (!host || host->silent || !host->reported)
            continue;
        if (host->pair_own_ms == 0)
            *ret_all = false;
        else if (evidence_host_seen(tx, host, err) != 0)
            return -1;
    }
    return 0;
}

static int all_vouch(struct tx *tx, struct evidence *evidence, int64_t own_line_ms,
                     int64_t until_ms, bool *ret_all, struct err *err)
{
    *ret_all = true;
    for (size_t i = 0; i < hosts_count(tx->hosts); i++) {
        const struct host *host = hosts_at(tx->hosts, i);
        if (!host || host->silent || !host->reported)
            continue;
        const struct boot *boot = evidence_boot(evidence, host->key, host->boot_id, err);
        if (!boot)
            return -1;
        /* Whose confirmed time lags behind ours cannot be waited for. */
        int64_t off = boot->line_ms + host->pair_boottime_ms - (own_line_ms + host->pair_own_ms);
        if (boot->line_ms && boot->line_ms + host->seen_boottime_ms < until_ms &&
            off >= -CLOCK_STEP_MS) {
            log_info("usage.waits", "node=%s until_ms=%" PRId64, host->name, until_ms);
            *ret_all = false;
        }
    }
    return 0;
}

/* Looked at every minute, due or not: a clock may step, and its host be gone before the hour is
 * over. Before anything else is written, as a hold can last. */
static int is_held(struct tx *tx, struct vouchers *vouchers, struct err *err)
{
    int64_t key;
    uint8_t chain[SHA256_BYTES];
    struct clock_held held;
    if (evidence_head(tx->db, &key, chain, err) != 0)
        return -1;
    struct evidence *evidence = evidence_at(tx->db, key, 0, NULL, NULL);
    int rc = clock_held_note(vouchers, tx, evidence, &held, err);
    evidence_free(evidence);
    if (rc == 1)
        log_warn("usage.held", "clocks=%" PRId64 " node_key=%" PRId64 " boot=%s step_ms=%" PRId64,
                 held.count, held.oldest.node_key, held.oldest.boot_id, held.oldest.step_ms);
    return rc;
}

static int may_seal(struct tx *tx, struct vouchers *vouchers, int64_t until_ms, bool *ret_may,
                    struct err *err)
{
    int64_t key;
    uint8_t chain[SHA256_BYTES];
    *ret_may = false;
    if (note_hosts(tx, ret_may, err) != 0 || (*ret_may && evidence_own_seen(tx, err) != 0) ||
        evidence_head(tx->db, &key, chain, err) != 0)
        return -1;
    if (!*ret_may)
        return 0;
    struct evidence *evidence = evidence_at(tx->db, key, 0, NULL, NULL);
    int rc = all_vouch(tx, evidence, vouchers_line(vouchers), until_ms, ret_may, err);
    evidence_free(evidence);
    return rc;
}

int ledger_seal_due(struct tx *tx, struct vouchers *vouchers, int64_t delay_ms, struct err *err)
{
    struct seal last;
    bool may;
    int64_t until = hour_floor(vouchers_now(vouchers) - delay_ms);
    int held = is_held(tx, vouchers, err);
    if (held < 0 || store_seal_last(tx->db, &last, err) < 0)
        return -1;
    if (held || until <= last.until_ms)
        return 0;
    /* Hour by hour, so that no backlog keeps the writer for long. */
    if (last.key && until > last.until_ms + HOUR_MS)
        until = hour_floor(last.until_ms) + HOUR_MS;
    if (may_seal(tx, vouchers, until, &may, err) != 0)
        return -1;
    if (!may)
        return 0;
    return ledger_seal(tx, until, err) == 0 ? 1 : -1;
}
