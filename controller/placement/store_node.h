/* Rows of nodes: their reports' order, quarantined domains. */
#ifndef MINICLOUD_CONTROLLER_PLACEMENT_STORE_NODE_H
#define MINICLOUD_CONTROLLER_PLACEMENT_STORE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/node_protocol.h"
#include "controller/db/store.h"
#include "controller/placement/placement.h"

struct db;
struct err;
struct host;

/* A row; texts borrowed or, after store_node_get(), from `owned`. */
struct node {
    int64_t key;
    const char *id, *name, *host_uuid;
    bool schedulable, silent;
    struct sizes capacity, used;
    int64_t instances;
    int virt;
    const char *version, *boot_id;
    int64_t protocol;
    int64_t last_seen_ms; /* 0: never */
    int64_t revision, created_ms, deleted_ms;
    char *owned;
};

void node_release(struct node *node);
#define auto_node __attribute__((cleanup(node_release)))

typedef void node_each(void *ctx, const struct node *node);

/* With what its instances use. The caller releases. ERR_NOT_FOUND when there is none. */
int store_node_get(struct db *db, int64_t key, struct node *ret_node, struct err *err);
int store_node_list(struct db *db, const char *name, struct window *window, node_each *each,
                    void *ctx, struct err *err);
/* Key of the live node of this host: 1, 0, -1. */
int store_node_of_host(struct db *db, const char *host_uuid, int64_t *ret_key, struct err *err);
typedef void node_key_each(void *ctx, int64_t key, bool silent);
int store_node_keys(struct db *db, node_key_each *each, void *ctx, struct err *err);

/* Fills node->key. */
int store_node_insert(struct db *db, struct node *node, struct err *err);
/* Everything that a join, a person or the reconciler may change. */
int store_node_update(struct db *db, const struct node *node, struct err *err);
/* What a report changes; `revision` 0: stays. */
int store_node_set_report(struct db *db, const struct host *host, int64_t revision,
                          struct err *err);

/* Boots and agent processes that later ones replaced. */
int store_node_past_add(struct db *db, int64_t node_key, const char *boot_id,
                        const char *incarnation, struct err *err);
/* 1: this pair, or this boot when it is not `current_boot`, was replaced before. 0, -1. */
int store_node_past_has(struct db *db, int64_t node_key, const char *boot_id,
                        const char *incarnation, const char *current_boot, struct err *err);

/* ---- quarantine (store_quarantine.c) ---- */

struct quarantined {
    const char *domain, *name;
    int state;
    struct sizes sizes;
    int64_t uid;         /* 0: none */
    const char *address; /* NULL: none */
};
typedef void quarantined_each(void *ctx, const struct quarantined *row);
int store_quarantine_list(struct db *db, int64_t node_key, quarantined_each *each, void *ctx,
                          struct err *err);
int store_quarantine_put(struct db *db, int64_t node_key, const struct quarantined *row,
                         int64_t now_ms, struct err *err);
int store_quarantine_remove(struct db *db, int64_t node_key, const char *domain, struct err *err);
/* Whether a domain in quarantine on its own node has the uid or an address of this instance;
 * which. 1, 0, -1. */
int store_quarantine_twin(struct db *db, int64_t instance_key, char *ret_text, size_t size,
                          struct err *err);

/* ---- conditions (store_condition.c) ---- */

struct condition {
    const char *code, *text;
    int64_t since_ms;
};
typedef void condition_each(void *ctx, const struct condition *row);
int store_condition_list(struct db *db, int64_t node_key, condition_each *each, void *ctx,
                         struct err *err);
/* `since_ms` of one that is there stays. */
int store_condition_put(struct db *db, int64_t node_key, const struct condition *row,
                        struct err *err);
int store_condition_remove(struct db *db, int64_t node_key, const char *code, struct err *err);

#endif
