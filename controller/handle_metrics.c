/* /metrics: Prometheus text. States are counted from rows when somebody asks. */
#include "controller/app.h"
#include "controller/handlers.h"
#include "controller/metrics.h"
#include "controller/store_metrics.h"
#include "controller/watch.h"
#include "controller/writer.h"

static int print(struct db *db, struct request *r, struct err *err)
{
    struct writer_stats stats;
    struct buf *out = &r->reply;
    writer_stats(r->app->writer, &stats);
    metrics_print_requests(r->app->metrics, out);
    metrics_print_writer(&stats, out);
    buf_printf(out,
               "# HELP minicloud_watchers Long polls and streams that wait for news.\n"
               "# TYPE minicloud_watchers gauge\nminicloud_watchers %zu\n"
               "# HELP minicloud_revision Newest revision of the log.\n"
               "# TYPE minicloud_revision counter\nminicloud_revision %lld\n",
               watch_count(r->app->watch), (long long)watch_revision(r->app->watch));
    if (metrics_print_rows(db, out, err) != 0)
        return -1;
    r->status = 200;
    r->content_type = "text/plain; version=0.0.4";
    return 0;
}

void handle_metrics_show(struct request *r)
{
    request_pool(r, print);
}
