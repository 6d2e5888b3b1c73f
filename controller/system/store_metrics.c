/* Counting rows for /metrics. The states are what people are shown (instance.h). */
#include "controller/system/store_metrics.h"

#include "api/base/buf.h"
#include "api/types.h"
#include "controller/db/db.h"

static int print_instances(struct db *db, struct buf *out, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT CASE WHEN i.deleted_ms IS NOT NULL THEN ?1 WHEN n.silent THEN ?2"
                    " ELSE i.observed_state END AS state, count(*) FROM instance i"
                    " JOIN node n ON n.key = i.node_key WHERE i.gone_ms IS NULL GROUP BY state");
    stmt_bind(stmt, "ii", (int64_t)STATE_DELETING, (int64_t)STATE_UNKNOWN);
    int64_t counts[STATE_UNKNOWN + 1] = {0};
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        int64_t state = stmt_i64(stmt, 0);
        if (state >= 0 && state <= STATE_UNKNOWN)
            counts[state] = stmt_i64(stmt, 1);
    }
    if (rc != 0)
        return -1;
    buf_puts(out, "# HELP minicloud_instances Instances by state.\n"
                  "# TYPE minicloud_instances gauge\n");
    for (int state = 0; state <= STATE_UNKNOWN; state++) {
        if (state != STATE_ABSENT && state != STATE_DELETED)
            buf_printf(out, "minicloud_instances{state=\"%s\"} %lld\n", state_names[state],
                       (long long)counts[state]);
    }
    return 0;
}

/* The codes are the hosts' own words, so they are no labels here. */
static int print_conditions(struct db *db, struct buf *out, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT count(DISTINCT node_key) FROM node_condition");
    if (stmt_step(stmt, err) != 1)
        return -1;
    buf_printf(out,
               "# HELP minicloud_nodes_with_conditions Nodes that say something is amiss with "
               "them.\n# TYPE minicloud_nodes_with_conditions gauge\n"
               "minicloud_nodes_with_conditions %lld\n",
               (long long)stmt_i64(stmt, 0));
    return 0;
}

/* The states of node.c's node_put(). */
static int print_nodes(struct db *db, struct buf *out, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT count(*) FILTER (WHERE silent = 0 AND last_seen_ms IS NOT NULL),"
                    " count(*) FILTER (WHERE silent = 1),"
                    " count(*) FILTER (WHERE silent = 0 AND last_seen_ms IS NULL)"
                    " FROM node WHERE deleted_ms IS NULL");
    if (stmt_step(stmt, err) != 1)
        return -1;
    buf_printf(out,
               "# HELP minicloud_nodes Nodes by state.\n# TYPE minicloud_nodes gauge\n"
               "minicloud_nodes{state=\"ready\"} %lld\nminicloud_nodes{state=\"silent\"} %lld\n"
               "minicloud_nodes{state=\"never\"} %lld\n",
               (long long)stmt_i64(stmt, 0), (long long)stmt_i64(stmt, 1),
               (long long)stmt_i64(stmt, 2));
    return print_conditions(db, out, err);
}

static int print_operations(struct db *db, struct buf *out, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT count(*) FROM operation WHERE state = 0");
    if (stmt_step(stmt, err) != 1)
        return -1;
    buf_printf(out,
               "# HELP minicloud_operations_running Operations that have not ended.\n"
               "# TYPE minicloud_operations_running gauge\nminicloud_operations_running %lld\n",
               (long long)stmt_i64(stmt, 0));
    return 0;
}

static int print_quarantined(struct db *db, struct buf *out, struct err *err)
{
    auto_stmt struct stmt *stmt = db_stmt(db, "SELECT count(*) FROM quarantine");
    if (stmt_step(stmt, err) != 1)
        return -1;
    buf_printf(out,
               "# HELP minicloud_quarantined Domains on hosts that this cloud does not know.\n"
               "# TYPE minicloud_quarantined gauge\nminicloud_quarantined %lld\n",
               (long long)stmt_i64(stmt, 0));
    return 0;
}

static int print_missing(struct db *db, struct buf *out, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT count(*) FROM image WHERE file_missing_ms IS NOT NULL"
                    " AND deleted_ms IS NULL");
    if (stmt_step(stmt, err) != 1)
        return -1;
    buf_printf(out,
               "# HELP minicloud_images_missing Images whose file is not there.\n"
               "# TYPE minicloud_images_missing gauge\nminicloud_images_missing %lld\n",
               (long long)stmt_i64(stmt, 0));
    return 0;
}

int metrics_print_rows(struct db *db, struct buf *out, struct err *err)
{
    if (print_instances(db, out, err) != 0 || print_nodes(db, out, err) != 0 ||
        print_quarantined(db, out, err) != 0 || print_missing(db, out, err) != 0)
        return -1;
    return print_operations(db, out, err);
}
