/* Rows of networks. */
#ifndef MINICLOUD_CONTROLLER_NETWORK_STORE_NETWORK_H
#define MINICLOUD_CONTROLLER_NETWORK_STORE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/db/store.h"

struct db;
struct err;

/* A row; texts are borrowed from the statement that reads it. */
struct network {
    int64_t key, revision, created_ms;
    const char *id, *name, *project, *cidr, *gateway;
    bool nat;
    int64_t generation;
};

typedef void network_each(void *ctx, const struct network *network);

int store_network_insert(struct db *db, int64_t project_key, const struct network *network,
                         int64_t now_ms, struct err *err);
/* Calls `each` for the row; ERR_NOT_FOUND when there is none. */
int store_network_get(struct db *db, int64_t key, network_each *each, void *ctx, struct err *err);
/* Those of a project and the public ones; project 0: all. */
int store_network_list(struct db *db, int64_t project_key, struct window *window,
                       network_each *each, void *ctx, struct err *err);
/* Those that live instances of a node use. */
int store_network_of_node(struct db *db, int64_t node_key, network_each *each, void *ctx,
                          struct err *err);

#endif
