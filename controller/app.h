/* The running controller: everything a handler can reach, made by main and by tests. */
#ifndef MINICLOUD_CONTROLLER_APP_H
#define MINICLOUD_CONTROLLER_APP_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct writer;
struct watch;
struct http_server;
struct metrics;
struct pool;
struct reconcile;
struct console;

struct settings {
    char *data_dir;    /* minicloud.db, images/, admin.token, join.token, lock */
    char *listen;      /* "127.0.0.1:8080"; "" = none */
    char *unix_socket; /* default <data_dir>/api.sock; "" = none */
    int64_t http_threads;
    int64_t operation_timeout_ms; /* deadline of an operation */
    int64_t node_lease_ms;        /* silent after this without a report */
    int64_t event_keep;           /* revisions kept for watchers */
    char *network_cidr;           /* of the network made at first start */
    int log_level;
};

struct app {
    struct settings settings;
    struct writer *writer;
    struct watch *watch;
    struct metrics *metrics;
    struct pool *pool;           /* threads for file work and long reads */
    struct reconcile *reconcile; /* deadlines, leases */
    struct console *console;     /* console requests that wait for an agent */
    struct http_server *http;
    int lock_fd;
    char db_path[4096];
    char image_dir[4096];
};

#endif
