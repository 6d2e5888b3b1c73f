/* The running controller: the parts of the program that anyone may reach by name. It includes
 * none of them, so that it may be included from anywhere; what a part does its own header says. */
#ifndef MINICLOUD_CONTROLLER_WORLD_H
#define MINICLOUD_CONTROLLER_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct db;
struct err;
struct hosts;
struct readers;
struct tokens;
struct writer;
struct watch;
struct http_server;
struct metrics;
struct health;
struct pool;
struct flights;
struct feed;
struct shares;
struct reconcile;
struct console;
struct vouchers;
struct marks;
struct ledger_months;
struct ledger_views;
struct usage_kept;

struct settings {
    char *data_dir; /* minicloud.db, images/, admin.token, join.token, marks.key, lock, ballast */
    char *listen;   /* "127.0.0.1:8080"; "" = none */
    char *unix_socket; /* default <data_dir>/api.sock; "" = none */
    int64_t http_threads;
    int64_t operation_timeout_ms; /* deadline of an operation */
    int64_t node_lease_ms;        /* silent after this without a report */
    int64_t event_keep;           /* revisions kept for watchers */
    int64_t seal_delay_ms;        /* an hour is sealed this long after its end; 0: never */
    int64_t audit_keep_ms;        /* age to which the audit is kept; 0: for ever */
    int64_t wal_limit_mib;        /* of the database's log; 0: WAL_LIMIT_MIB */
    int64_t deleted_keep_ms;      /* how long what was deleted can be shown; 0: for ever */
    char *network_cidr;           /* of the network made at first start */
    char *currency;               /* of all prices; NULL: EUR */
    int log_level;
};

/* In the order of their start; app_stop() goes backwards. */
struct app {
    struct settings settings;
    int lock_fd;
    struct readers *readers; /* one read connection per thread */
    struct metrics *metrics;
    struct health *health; /* the kept answer of /v1/healthz */
    struct tokens *tokens;
    struct watch *watch;
    struct hosts *hosts;          /* the writer's; nobody else touches it */
    struct vouchers *vouchers;    /* which hosts vouch for what now */
    struct ledger_views *views;   /* what is known of hosts' lines of time */
    struct marks *marks;          /* signs what hosts are told of our history */
    struct ledger_months *months; /* sealed months in memory */
    struct usage_kept *kept;      /* sums of usage whose next page may be asked for */
    struct writer *writer;
    struct pool *pool;           /* threads for file work */
    struct pool *reads;          /* people's lists */
    struct pool *ledger_reads;   /* what goes through the ledger, and may take long */
    struct pool *node_reads;     /* agents' pages */
    struct flights *flights;     /* equal reads that wait, answered together */
    struct reconcile *reconcile; /* what is due without anyone asking */
    struct console *console;     /* console requests that wait for an agent */
    struct feed *feed;           /* rendered pages of events, shared by equal watchers */
    struct shares *shares;       /* how many watchers each token has */
    struct http_server *http;
    atomic_llong orphan_files, orphan_bytes; /* in images/ without a row, when last counted */
    atomic_bool stopping;                    /* new requests get 503 */
    atomic_long in_flight;                   /* requests between `begin` and `end` */
    char db_path[4096];
    char ballast_path[4096];
    char image_dir[4096];
};

#endif
