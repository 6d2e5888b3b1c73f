/* /metrics: Prometheus text. States are counted from rows when somebody asks. */
#include "controller/access/shares.h"
#include "controller/ledger/book/ledger.h"
#include "controller/request/flights.h"
#include "controller/request/handlers.h"
#include "controller/request/metrics.h"
#include "controller/system/store_metrics.h"
#include "controller/tx/writer.h"
#include "controller/usage/usage_held.h"
#include "controller/wait/pool.h"
#include "controller/wait/watch.h"
#include "controller/world.h"

/* How far the ledger is, and whether somebody is waited for: what an operator sets alarms on. */
static int print_usage(struct db *db, struct request *r, struct err *err)
{
    struct ledger_moment moment;
    int64_t held;
    if (ledger_now(r->app, &moment, err) != 0 || usage_held_count(r, db, &moment, &held, err) != 0)
        return -1;
    buf_printf(
        &r->reply,
        "# HELP minicloud_usage_sealed_until_seconds Up to when usage is sealed, Unix time.\n"
        "# TYPE minicloud_usage_sealed_until_seconds gauge\n"
        "minicloud_usage_sealed_until_seconds %lld\n"
        "# HELP minicloud_usage_measured_until_seconds Up to when hosts vouch for it.\n"
        "# TYPE minicloud_usage_measured_until_seconds gauge\n"
        "minicloud_usage_measured_until_seconds %lld\n"
        "# HELP minicloud_usage_held Clocks that are off, of which sealing waits to be told.\n"
        "# TYPE minicloud_usage_held gauge\nminicloud_usage_held %lld\n",
        (long long)(moment.sealed_ms / 1000), (long long)(moment.until_ms / 1000), (long long)held);
    return 0;
}

static void print_reads(struct app *app, struct buf *out)
{
    buf_printf(out,
               "# HELP minicloud_reads_waiting Reads that wait for a thread.\n"
               "# TYPE minicloud_reads_waiting gauge\n"
               "minicloud_reads_waiting{of=\"lists\"} %zu\n"
               "minicloud_reads_waiting{of=\"ledger\"} %zu\n"
               "minicloud_reads_waiting{of=\"nodes\"} %zu\n"
               "# HELP minicloud_reads_shared_total Reads that were answered along with an equal"
               " one.\n"
               "# TYPE minicloud_reads_shared_total counter\nminicloud_reads_shared_total %zu\n",
               pool_waiting(app->reads), pool_waiting(app->ledger_reads),
               pool_waiting(app->node_reads), flights_shared(app->flights));
}

static int print(struct db *db, struct request *r, struct err *err)
{
    struct writer_stats stats;
    struct http_stats connections;
    struct buf *out = &r->reply;
    writer_stats(r->app->writer, &stats);
    metrics_print_requests(r->app->metrics, out);
    metrics_print_writer(&stats, out);
    http_server_stats(r->app->http, &connections);
    metrics_print_connections(&connections, out);
    buf_printf(out,
               "# HELP minicloud_watchers Long polls and streams that wait for news.\n"
               "# TYPE minicloud_watchers gauge\nminicloud_watchers %zu\n"
               "# HELP minicloud_revision Newest revision of the log.\n"
               "# TYPE minicloud_revision counter\nminicloud_revision %lld\n",
               watch_count(r->app->watch), (long long)watch_revision(r->app->watch));
    shares_print(r->app->shares, out);
    print_reads(r->app, out);
    buf_printf(out,
               "# HELP minicloud_image_orphans Files among the images that no image has.\n"
               "# TYPE minicloud_image_orphans gauge\nminicloud_image_orphans %lld\n"
               "# HELP minicloud_image_orphan_bytes Their size.\n"
               "# TYPE minicloud_image_orphan_bytes gauge\nminicloud_image_orphan_bytes %lld\n",
               (long long)atomic_load(&r->app->orphan_files),
               (long long)atomic_load(&r->app->orphan_bytes));
    if (metrics_print_rows(db, out, err) != 0 || print_usage(db, r, err) != 0)
        return -1;
    r->status = 200;
    r->content_type = "text/plain; version=0.0.4";
    return 0;
}

void handle_metrics_show(struct request *r)
{
    request_pool(r, print);
}
