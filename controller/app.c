/* Starting and stopping the controller: the order of its parts, forwards and backwards. */
#include "controller/app.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/http/http_server.h"
#include "controller/access/shares.h"
#include "controller/access/tokens.h"
#include "controller/data_dir.h"
#include "controller/db/db.h"
#include "controller/descriptors.h"
#include "controller/event/feed.h"
#include "controller/image/image_files.h"
#include "controller/instance/console.h"
#include "controller/ledger/book/ledger_months.h"
#include "controller/ledger/book/usage_life.h"
#include "controller/ledger/evidence/ledger_views.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/price/price.h"
#include "controller/node/marks.h"
#include "controller/placement/hosts.h"
#include "controller/reconcile_jobs.h"
#include "controller/request/flights.h"
#include "controller/request/handlers.h"
#include "controller/request/metrics.h"
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/usage/usage_kept.h"
#include "controller/wait/pool.h"
#include "controller/wait/watch.h"

enum { DRAIN_MS = 5000 };

/* Who reads waits for others of his kind only: lists for lists, which are short, the ledger for
 * the ledger, and agents for nobody but agents. In each, one project leaves a thread to the
 * others. */
static const struct pool_settings file_work = {.at_once = 3, .name = "files"};
static const struct pool_settings list_reads = {
    .at_once = 2, .lane_at_once = 1, .lane_waiting = LIMIT_LANE_READS, .name = "reads"};
static const struct pool_settings ledger_reads = {.at_once = 2,
                                                  .lane_at_once = 1,
                                                  .paused = 3,
                                                  .lane_waiting = LIMIT_LANE_READS,
                                                  .name = "ledger-reads"};
static const struct pool_settings node_reads = {
    .at_once = 2, .lane_at_once = 1, .name = "node-reads"};

/* The pools', those of both listeners, and one each that starts and stops, wakes watchers, looks
 * after deadlines and writes. */
static size_t reading_threads(const struct app *app)
{
    return file_work.at_once + list_reads.at_once + ledger_reads.at_once + ledger_reads.paused +
           node_reads.at_once + 2 * (size_t)app->settings.http_threads + 4;
}

void settings_release(struct settings *settings)
{
    free(settings->data_dir);
    free(settings->listen);
    free(settings->unix_socket);
    free(settings->network_cidr);
    free(settings->currency);
    *settings = (struct settings){0};
}

static int set_path(char *out, size_t size, const char *data_dir, const char *name, struct err *err)
{
    if (snprintf(out, size, "%s/%s", data_dir, name) >= (int)size)
        return err_set(err, ERR_INVALID, "the path %s/%s is too long", data_dir, name);
    return 0;
}

static int open_data(struct app *app, struct err *err)
{
    const char *data_dir = app->settings.data_dir;
    char lock[4096];
    if (set_path(app->db_path, sizeof(app->db_path), data_dir, "minicloud.db", err) != 0 ||
        set_path(app->ballast_path, sizeof(app->ballast_path), data_dir, "ballast", err) != 0 ||
        set_path(app->image_dir, sizeof(app->image_dir), data_dir, "images", err) != 0 ||
        set_path(lock, sizeof(lock), data_dir, "lock", err) != 0)
        return -1;
    if (file_mkdirs(data_dir, 0700, err) != 0 || file_lock(lock, &app->lock_fd, err) != 0 ||
        data_dir_open(data_dir, err) != 0 || file_mkdirs(app->image_dir, 0700, err) != 0)
        return -1;
    db_set_temporary_dir(data_dir);
    struct db *db = NULL;
    if (db_open(app->db_path, DB_WRITER, &db, err) != 0)
        return -1;
    int rc = db_migrate(db, err);
    db_close(db);
    return rc == 0 ? marks_open(data_dir, &app->marks, err) : -1;
}

static int start_core(struct app *app, struct err *err)
{
    app->readers = readers_new(app->db_path, reading_threads(app), err);
    if (!app->readers)
        return -1;
    app->metrics = metrics_new();
    app->health = health_new();
    app->tokens = tokens_new();
    app->watch = watch_new();
    app->hosts = hosts_new();
    app->vouchers = vouchers_new();
    app->views = ledger_views_new();
    app->months = ledger_months_new();
    app->kept = usage_kept_new();
    app->feed = feed_new();
    app->shares = shares_new();
    struct writer_settings settings = {
        .db_path = app->db_path,
        .ballast_path = app->ballast_path,
        .watch = app->watch,
        .tokens = app->tokens,
        .vouchers = app->vouchers,
        .marks = app->marks,
        .hosts = app->hosts,
        .hooks = &hosts_hooks,
        .event_keep = app->settings.event_keep,
        .audit_keep_ms = app->settings.audit_keep_ms,
        .wal_limit = app->settings.wal_limit_mib << 20,
        .deleted_keep_ms = app->settings.deleted_keep_ms,
        .readers = app->readers,
        .readers_hooks = &readers_hooks,
    };
    if (writer_start(&settings, &app->writer, err) != 0)
        return -1;
    app->flights = flights_new();
    app->pool = pool_new(&file_work);
    app->reads = pool_new(&list_reads);
    app->ledger_reads = pool_new(&ledger_reads);
    app->node_reads = pool_new(&node_reads);
    return 0;
}

static const char *none_if_empty(const char *text)
{
    return text && *text ? text : NULL;
}

static int start_http(struct app *app, unsigned connections, struct err *err)
{
    struct http_settings settings = {
        .listen = none_if_empty(app->settings.listen),
        .unix_path = none_if_empty(app->settings.unix_socket),
        .threads = (unsigned)app->settings.http_threads,
        .max_connections = connections,
    };
    struct http_handlers handlers = dispatch_handlers;
    handlers.ctx = app;
    return http_server_start(&settings, &handlers, &app->http, err);
}

/* The tokens are read after bootstrap has made the first ones: all that changes them later
 * passes through the writer. */
static int start(struct app *app, struct err *err)
{
    unsigned connections = descriptors_raise(reading_threads(app));
    if (open_data(app, err) != 0 || start_core(app, err) != 0 || bootstrap(app, err) != 0 ||
        price_start(app, err) != 0 || tokens_load(app->tokens, app_reader(app), err) != 0 ||
        image_start(app, err) != 0 || usage_start(app, err) != 0)
        return -1;
    app->console = console_new(app);
    if (reconcile_start(app, reconcile_jobs, &app->reconcile, err) != 0)
        return -1;
    return start_http(app, connections, err);
}

int app_start(struct settings *settings, struct app **ret_app, struct err *err)
{
    struct app *app = xcalloc(1, sizeof(*app));
    app->settings = *settings;
    *settings = (struct settings){0};
    app->lock_fd = -1;
    if (!app->settings.unix_socket)
        app->settings.unix_socket = xasprintf("%s/api.sock", app->settings.data_dir);
    if (start(app, err) != 0) {
        app_stop(app);
        return -1;
    }
    *ret_app = app;
    return 0;
}

/* Requests that are at work end by themselves: everything they may wait for has been told
 * to stop, and a slow client is cut off by the server's end. */
static void drain(struct app *app)
{
    int64_t until = clock_boottime_ms() + DRAIN_MS;
    while (atomic_load(&app->in_flight) > 0 && clock_boottime_ms() < until)
        poll(NULL, 0, 5);
}

static void stop_pools(struct app *app)
{
    pool_stop(app->reads);
    pool_stop(app->ledger_reads);
    pool_stop(app->node_reads);
    pool_stop(app->pool);
}

static void free_pools(struct app *app)
{
    pool_free(app->reads);
    pool_free(app->ledger_reads);
    pool_free(app->node_reads);
    pool_free(app->pool);
    flights_free(app->flights);
}

void app_stop(struct app *app)
{
    if (!app)
        return;
    atomic_store(&app->stopping, true);
    if (app->http)
        http_server_quiesce(app->http);
    if (app->reconcile)
        reconcile_stop(app->reconcile);
    if (app->console)
        console_stop(app->console);
    watch_stop(app->watch);
    if (app->http) {
        drain(app);
        stop_pools(app);
        http_server_stop(app->http);
    }
    stop_pools(app);
    if (app->http)
        usage_stop(app);
    /* The last connection to close tidies the WAL away: the writer's. */
    if (app->readers)
        readers_close(app->readers);
    writer_stop(app->writer);
    free_pools(app); /* the writer's last jobs still heard that they take no more */
    readers_free(app->readers);
    reconcile_free(app->reconcile);
    console_free(app->console);
    feed_free(app->feed);
    shares_free(app->shares);
    hosts_free(app->hosts);
    usage_kept_free(app->kept);
    ledger_months_free(app->months);
    ledger_views_free(app->views);
    vouchers_free(app->vouchers);
    marks_free(app->marks);
    watch_free(app->watch);
    tokens_free(app->tokens);
    metrics_free(app->metrics);
    health_free(app->health);
    if (app->lock_fd >= 0)
        close(app->lock_fd);
    settings_release(&app->settings);
    free(app);
}
