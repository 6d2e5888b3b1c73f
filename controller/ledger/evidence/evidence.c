/* Appending to the evidence log; see evidence.h. */
#include "controller/ledger/evidence/evidence.h"

#include <stdio.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/placement/hosts.h"
#include "controller/tx/writer.h"

int evidence_head(struct db *db, int64_t *ret_key, uint8_t ret_chain[SHA256_BYTES], struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT key, chain FROM observation ORDER BY key DESC LIMIT 1");
    size_t len = 0;
    *ret_key = 0;
    memset(ret_chain, 0, SHA256_BYTES);
    int rc = stmt_step(stmt, err);
    if (rc == 1) {
        *ret_key = stmt_i64(stmt, 0);
        const void *chain = stmt_blob(stmt, 1, &len);
        memcpy(ret_chain, chain, len < SHA256_BYTES ? len : SHA256_BYTES);
    }
    return rc < 0 ? -1 : 0;
}

/* 1: there is such a row already. */
static int is_repeat(struct db *db, const struct evidence_row *row, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT 1 FROM observation WHERE node_key = ? AND incarnation = ?"
                    " AND sequence = ? AND incarnation <> ''");
    stmt_bind(stmt, "iti", row->node_key, row->o.incarnation, row->o.sequence);
    return stmt_step(stmt, err);
}

void evidence_chain(const uint8_t before[SHA256_BYTES], const struct evidence_row *row,
                    uint8_t ret_chain[SHA256_BYTES])
{
    const struct observation *o = &row->o;
    const int64_t numbers[] = {row->key,         row->node_key,   o->boot_order,   o->sequence,
                               o->kind,          o->run,          o->cause,        o->noticed,
                               o->boottime_ms,   o->wall_ms,      o->vcpus,        o->memory_mib,
                               o->disk_gib,      row->flavor_key, row->bytes,      o->cpu_ns,
                               o->ingress_bytes, o->egress_bytes, row->received_ms};
    auto_buf struct buf whole = {0};
    buf_add(&whole, before, SHA256_BYTES);
    buf_printf(&whole, "observation\n%zu\n%s\n%zu\n%s\n%zu\n%s", strlen(o->boot_id), o->boot_id,
               strlen(o->incarnation), o->incarnation, strlen(o->instance), o->instance);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        buf_putc(&whole, '\n');
        buf_i64(&whole, numbers[i]);
    }
    sha256(whole.data, whole.len, ret_chain);
}

static int insert(struct db *db, struct evidence_row *row, struct err *err)
{
    const struct observation *o = &row->o;
    uint8_t before[SHA256_BYTES], chain[SHA256_BYTES];
    int64_t last;
    if (evidence_head(db, &last, before, err) != 0)
        return -1;
    row->key = last + 1;
    evidence_chain(before, row, chain);
    auto_stmt struct stmt *stmt = db_stmt(
        db,
        "INSERT INTO observation (key, node_key, boot_id, boot_order, incarnation, sequence, kind,"
        " resource_id, run, cause, noticed, boottime_ms, wall_ms, vcpus, memory_mib, disk_gib,"
        " flavor_key, bytes, cpu_ns, ingress_bytes, egress_bytes, received_ms, chain)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    stmt_bind(stmt, "iztitiitiiiiiiiiziiiiib", row->key, row->node_key, o->boot_id, o->boot_order,
              o->incarnation, o->sequence, (int64_t)o->kind, o->instance, o->run, (int64_t)o->cause,
              (int64_t)o->noticed, o->boottime_ms, o->wall_ms, o->vcpus, o->memory_mib, o->disk_gib,
              row->flavor_key, row->bytes, o->cpu_ns, o->ingress_bytes, o->egress_bytes,
              row->received_ms, chain, (size_t)SHA256_BYTES);
    return stmt_run(stmt, err);
}

int evidence_add(struct tx *tx, int64_t node_key, const struct observation *observation,
                 int64_t flavor_key, struct err *err)
{
    struct evidence_row row = {.o = *observation,
                               .node_key = node_key,
                               .flavor_key = flavor_key,
                               .received_ms = tx_utc(tx)};
    int known = is_repeat(tx->db, &row, err);
    if (known != 0)
        return known < 0 ? -1 : 0;
    return insert(tx->db, &row, err) == 0 ? 1 : -1;
}

int evidence_witness(struct tx *tx, const struct witnessed *w, struct err *err)
{
    char boot[HOST_WORD_MAX], resource[ID_TEXT_MAX], none[1] = "";
    snprintf(boot, sizeof(boot), "%s", w->boot_id);
    snprintf(resource, sizeof(resource), "%s", w->resource_id ? w->resource_id : "");
    struct evidence_row row = {.o = {.boot_id = boot,
                                     .boot_order = w->boot_order,
                                     .incarnation = none,
                                     .kind = w->kind,
                                     .instance = resource,
                                     .run = w->run,
                                     .noticed = w->noticed,
                                     .boottime_ms = w->boottime_ms,
                                     .wall_ms = w->wall_ms,
                                     .vcpus = w->vcpus,
                                     .memory_mib = w->memory_mib,
                                     .disk_gib = w->disk_gib},
                               .node_key = w->node_key,
                               .flavor_key = w->flavor_key,
                               .bytes = w->bytes,
                               .received_ms = tx_utc(tx)};
    return insert(tx->db, &row, err);
}

/* The newest word of that boot, -1: none. */
static int last_seen(struct db *db, int64_t node_key, const char *boot_id, int64_t *ret_ms,
                     struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT max(boottime_ms) FROM observation WHERE node_key IS ?"
                    " AND boot_id = ? AND kind = 5");
    stmt_bind(stmt, "zt", node_key, boot_id);
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_ms = stmt_null(stmt, 0) ? -1 : stmt_i64(stmt, 0);
    return 0;
}

int evidence_host_seen(struct tx *tx, const struct host *host, struct err *err)
{
    int64_t known;
    if (!*host->boot_id || host->seen_boottime_ms <= 0)
        return 0;
    if (last_seen(tx->db, host->key, host->boot_id, &known, err) != 0)
        return -1;
    if (known >= host->seen_boottime_ms)
        return 0;
    return evidence_witness(tx,
                            &(struct witnessed){.kind = OBS_SEEN,
                                                .node_key = host->key,
                                                .boot_id = host->boot_id,
                                                .boottime_ms = host->seen_boottime_ms,
                                                .wall_ms = tx->now_ms},
                            err);
}

static int64_t own_order(const struct tx *tx)
{
    return tx->vouchers ? vouchers_boot_order(tx->vouchers) : 0;
}

int evidence_booted(struct tx *tx, int64_t node_key, const struct node_report *report,
                    int64_t boot_order, struct err *err)
{
    return evidence_witness(tx,
                            &(struct witnessed){.kind = OBS_BOOTED,
                                                .node_key = node_key,
                                                .boot_id = report->boot_id,
                                                .boot_order = boot_order,
                                                .boottime_ms = report->boottime_ms,
                                                .wall_ms = report->wall_ms},
                            err);
}

int evidence_own_seen(struct tx *tx, struct err *err)
{
    char boot_id[BOOT_ID_MAX];
    clock_boot_id(boot_id);
    return evidence_witness(tx,
                            &(struct witnessed){.kind = OBS_SEEN,
                                                .boot_id = boot_id,
                                                .boot_order = own_order(tx),
                                                .boottime_ms = clock_boottime_ms(),
                                                .wall_ms = tx_utc(tx)},
                            err);
}

/* Without a report since our start there is no pair: then the line of its boot has to do, and
 * without that what it vouched for last. It is never earlier than that. */
int64_t evidence_host_now(struct tx *tx, const struct host *host, struct err *err)
{
    if (host->pair_own_ms > 0)
        return host->pair_boottime_ms + (clock_boottime_ms() - host->pair_own_ms);
    int64_t last, now = -1;
    uint8_t chain[SHA256_BYTES];
    if (evidence_head(tx->db, &last, chain, err) != 0)
        return -1;
    struct evidence *evidence = evidence_at(tx->db, last, 0, NULL, NULL);
    const struct boot *boot = evidence_boot(evidence, host->key, host->boot_id, err);
    if (boot) {
        now = boot->line_ms ? tx_utc(tx) - boot->line_ms : 0;
        now = now < host->seen_boottime_ms ? host->seen_boottime_ms : now;
    }
    evidence_free(evidence);
    return now;
}

int evidence_ended(struct tx *tx, int64_t node_key, const struct node_report *report,
                   const struct observed_instance *seen, struct err *err)
{
    bool runs = seen->state == STATE_RUNNING;
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "SELECT DISTINCT s.run FROM observation s INDEXED BY observation_fact"
                        " WHERE s.resource_id = ?1 AND s.resource_id <> '' AND s.kind <> 4"
                        " AND s.kind = 0 AND s.boot_id = ?2 AND s.run <> ?3 AND NOT EXISTS"
                        " (SELECT 1 FROM observation e INDEXED BY observation_fact"
                        " WHERE e.resource_id = ?1 AND e.resource_id <> '' AND e.kind <> 4"
                        " AND e.kind = 1 AND e.run = s.run) ORDER BY 1");
    stmt_bind(stmt, "tti", seen->id, report->boot_id, runs ? seen->run : (int64_t)-1);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct witnessed end = {.kind = OBS_STOPPED,
                                .node_key = node_key,
                                .boot_id = report->boot_id,
                                .resource_id = seen->id,
                                .run = stmt_i64(stmt, 0),
                                .noticed = true,
                                .boottime_ms = report->boottime_ms,
                                .wall_ms = report->wall_ms};
        if (evidence_witness(tx, &end, err) != 0)
            return -1;
    }
    return rc;
}

int evidence_priced(struct tx *tx, const char *price_id, int64_t terms, struct err *err)
{
    char boot_id[BOOT_ID_MAX];
    clock_boot_id(boot_id);
    return evidence_witness(tx,
                            &(struct witnessed){.kind = OBS_PRICED,
                                                .boot_id = boot_id,
                                                .boot_order = own_order(tx),
                                                .resource_id = price_id,
                                                .boottime_ms = clock_boottime_ms(),
                                                .wall_ms = tx_utc(tx),
                                                .bytes = terms},
                            err);
}

int evidence_image(struct tx *tx, const char *image_id, int kind, int64_t bytes, struct err *err)
{
    char boot_id[BOOT_ID_MAX];
    int64_t now = clock_boottime_ms();
    clock_boot_id(boot_id);
    return evidence_witness(tx,
                            &(struct witnessed){.kind = kind,
                                                .boot_id = boot_id,
                                                .boot_order = own_order(tx),
                                                .resource_id = image_id,
                                                .boottime_ms = now,
                                                .wall_ms = tx_utc(tx),
                                                .bytes = bytes},
                            err);
}

int evidence_deleted(struct tx *tx, const struct host *host, const char *resource_id,
                     struct err *err)
{
    if (!host || !*host->boot_id)
        return 0;
    int64_t at = evidence_host_now(tx, host, err);
    if (at < 0)
        return -1;
    return evidence_witness(tx,
                            &(struct witnessed){.kind = OBS_DELETED,
                                                .node_key = host->key,
                                                .boot_id = host->boot_id,
                                                .resource_id = resource_id,
                                                .boottime_ms = at,
                                                .wall_ms = tx->now_ms},
                            err);
}
