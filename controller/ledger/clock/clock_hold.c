/* Rows of clock_hold; see clock_hold.h. */
#include "controller/ledger/clock/clock_hold.h"

#include <stdio.h>

#include "controller/db/db.h"
#include "controller/tx/writer.h"

#define HOLD_SELECT                                                                   \
    "SELECT node_key, boot_id, step_ms, against, confirmed_ms IS NULL, kept_step_ms," \
    " kept_line_ms FROM clock_hold "

static int read_row(struct stmt *stmt, struct clock_hold *ret, struct err *err)
{
    int rc = stmt_step(stmt, err);
    *ret = (struct clock_hold){0};
    if (rc != 1)
        return rc;
    *ret = (struct clock_hold){.node_key = stmt_i64(stmt, 0),
                               .step_ms = stmt_i64(stmt, 2),
                               .against = (int)stmt_i64(stmt, 3),
                               .open = stmt_i64(stmt, 4) != 0,
                               .kept_step_ms = stmt_i64(stmt, 5),
                               .kept_line_ms = stmt_i64(stmt, 6)};
    snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", stmt_text(stmt, 1));
    return 1;
}

int clock_hold_find(struct db *db, int64_t node_key, const char *boot_id,
                    struct clock_hold *ret_hold, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, HOLD_SELECT "WHERE ifnull(node_key, 0) = ? AND boot_id = ?");
    stmt_bind(stmt, "it", node_key, boot_id);
    return read_row(stmt, ret_hold, err);
}

int clock_hold_any(struct db *db, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT 1 FROM clock_hold LIMIT 1");
    return stmt_step(stmt, err);
}

int clock_hold_oldest(struct db *db, struct clock_hold *ret_hold, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, HOLD_SELECT "WHERE confirmed_ms IS NULL ORDER BY noted_ms, key LIMIT 1");
    return read_row(stmt, ret_hold, err);
}

int clock_hold_oldest_of(struct db *db, int64_t node_key, struct clock_hold *ret_hold,
                         struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, HOLD_SELECT "WHERE ifnull(node_key, 0) = ? AND confirmed_ms IS NULL"
                                " ORDER BY noted_ms, key LIMIT 1");
    stmt_bind(stmt, "i", node_key);
    return read_row(stmt, ret_hold, err);
}

int clock_hold_count(struct db *db, int64_t *ret_count, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT count(*) FROM clock_hold WHERE confirmed_ms IS NULL");
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_count = stmt_i64(stmt, 0);
    return 0;
}

int clock_hold_open(struct tx *tx, const struct clock_hold *hold, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO clock_hold (node_key, boot_id, step_ms, against, noted_ms,"
                        " kept_step_ms, kept_line_ms) VALUES (?, ?, ?, ?, ?, 0, 0)"
                        " ON CONFLICT (ifnull(node_key, 0), boot_id) DO UPDATE SET"
                        " step_ms = excluded.step_ms, against = excluded.against,"
                        " noted_ms = excluded.noted_ms, confirmed_ms = NULL");
    stmt_bind(stmt, "ztiii", hold->node_key, hold->boot_id, hold->step_ms, (int64_t)hold->against,
              tx->now_ms);
    return stmt_run(stmt, err);
}

int clock_hold_close(struct tx *tx, const struct clock_hold *hold, int64_t at_ms, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO clock_hold (node_key, boot_id, step_ms, against, noted_ms,"
                        " confirmed_ms, kept_step_ms, kept_line_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                        " ON CONFLICT (ifnull(node_key, 0), boot_id) DO UPDATE SET"
                        " confirmed_ms = excluded.confirmed_ms,"
                        " kept_step_ms = excluded.kept_step_ms,"
                        " kept_line_ms = excluded.kept_line_ms");
    stmt_bind(stmt, "ztiiiiii", hold->node_key, hold->boot_id, hold->step_ms,
              (int64_t)hold->against, tx->now_ms, at_ms, hold->kept_step_ms, hold->kept_line_ms);
    return stmt_run(stmt, err);
}

int clock_hold_close_own(struct tx *tx, int64_t at_ms, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(tx->db, "UPDATE clock_hold SET confirmed_ms = ?"
                                                  " WHERE node_key IS NULL"
                                                  " AND confirmed_ms IS NULL");
    stmt_bind(stmt, "i", at_ms);
    return stmt_run(stmt, err);
}

int clock_hold_own_closed(struct db *db, int64_t now_ms, int64_t *ret_ms, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT max(confirmed_ms) FROM clock_hold"
                                              " WHERE node_key IS NULL AND confirmed_ms <= ?");
    stmt_bind(stmt, "i", now_ms);
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_ms = stmt_i64(stmt, 0);
    return 0;
}

int clock_hold_moved(struct tx *tx, int64_t by_ms, int64_t most_ms, struct err *err)
{
    auto_stmt struct stmt *move = db_stmt(tx->db, "UPDATE clock_hold SET step_ms = step_ms - ?"
                                                  " WHERE against = 1 AND confirmed_ms IS NULL");
    auto_stmt struct stmt *drop =
        db_stmt(tx->db, "UPDATE clock_hold SET confirmed_ms = ?2 WHERE against = 1"
                        " AND confirmed_ms IS NULL AND step_ms BETWEEN - ?1 AND ?1");
    stmt_bind(move, "i", by_ms);
    stmt_bind(drop, "ii", most_ms, tx->now_ms);
    return stmt_run(move, err) == 0 && stmt_run(drop, err) == 0 ? 0 : -1;
}
