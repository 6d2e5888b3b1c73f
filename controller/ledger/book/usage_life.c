/* What the bill needs when the controller starts: our own line of time, and evidence that our
 * machine still has the images after it booted anew. And when it stops: until when each host
 * vouched, which is otherwise written down once a minute. */
#include "controller/ledger/book/usage_life.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/types.h"
#include "controller/db/db.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/placement/hosts.h"
#include "controller/tx/readers.h"
#include "controller/world.h"

/* Files that are not there any more: whatever the last word was, it ended. */
static int note_missing(struct tx *tx, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "SELECT i.id FROM image i WHERE i.file_missing_ms IS NOT NULL"
                        " AND i.deleted_ms IS NULL AND (SELECT o.kind FROM observation o"
                        " WHERE o.resource_id = i.id AND o.resource_id <> ''"
                        " ORDER BY o.key DESC LIMIT 1) = 2 ORDER BY i.key");
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (evidence_image(tx, stmt_text(stmt, 0), OBS_GONE, 0, err) != 0)
            return -1;
    }
    return rc;
}

/* Images with content of which there is no word from this boot, or that were missing. */
static int note_images(struct tx *tx, const char *boot_id, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "SELECT i.id, i.size_bytes FROM image i WHERE i.state = 1"
                        " AND i.deleted_ms IS NULL AND i.file_missing_ms IS NULL"
                        " AND ifnull((SELECT o.kind <> 2 OR o.boot_id <> ? FROM observation o"
                        " WHERE o.resource_id = i.id AND o.resource_id <> ''"
                        " ORDER BY o.key DESC LIMIT 1), 1) ORDER BY i.key");
    stmt_bind(stmt, "t", boot_id);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (evidence_image(tx, stmt_text(stmt, 0), OBS_ALLOCATED, stmt_i64(stmt, 1), err) != 0)
            return -1;
    }
    return rc;
}

static int start(struct tx *tx, void *ctx, struct err *err)
{
    char boot_id[BOOT_ID_MAX];
    clock_boot_id(boot_id);
    if (vouchers_keep(ctx, tx, err) != 0)
        return -1;
    return note_missing(tx, err) == 0 ? note_images(tx, boot_id, err) : -1;
}

int usage_start(struct app *app, struct err *err)
{
    if (vouchers_load(app->vouchers, app_reader(app), err) != 0)
        return -1;
    return writer_call(app->writer, &(struct write_job){.run = start, .ctx = app->vouchers}, err);
}

static int stop(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    for (size_t i = 0; i < hosts_count(tx->hosts); i++) {
        const struct host *host = hosts_at(tx->hosts, i);
        if (host && !host->silent && evidence_host_seen(tx, host, err) != 0)
            return -1;
    }
    return evidence_own_seen(tx, err);
}

void usage_stop(struct app *app)
{
    auto_err struct err err = {0};
    if (writer_call(app->writer, &(struct write_job){.run = stop}, &err) != 0)
        log_warn("usage.stop", "reason=\"%s\"", err.msg);
}
