/* Which operations end when: what a new wish supersedes, and what an observed state
 * fulfils or refutes. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_OPERATION_RULES_H
#define MINICLOUD_CONTROLLER_INSTANCE_OPERATION_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/id.h"

struct db;
struct err;
struct instance;
struct operation_ref;
struct tx;

/* How long someone waits for a change. */
struct wish {
    int64_t timeout_ms;
};

/* Ends those operations of the instance that `kind` makes pointless, as superseded, and opens
 * one of this kind for the instance's generation and last event; or gives the one that runs
 * for the very same. */
int operation_open(struct tx *tx, const struct instance *instance, const char *kind,
                   const struct wish *wish, struct operation_ref *ret_operation, struct err *err);
/* The same, ended at once: what is wished is so already. */
int operation_open_done(struct tx *tx, const struct instance *instance, const char *kind,
                        const struct wish *wish, struct operation_ref *ret_operation,
                        struct err *err);

/* What a report said, as far as operations care. */
struct outcome {
    bool converged; /* host and `generation` agree */
    int64_t generation;
    bool final; /* an error that trying again does not mend */
};
/* Ends all running operations of the instance that its observed columns and `outcome` decide. */
int operation_judge(struct tx *tx, const struct instance *instance, const struct outcome *outcome,
                    struct err *err);
/* The guest did not obey and this run of it was ended: to be told by the operations that asked
 * for that end. */
int operation_mark_forced(struct tx *tx, const struct instance *instance, int64_t run,
                          struct err *err);

/* ---- store_operation_running.c ---- */

struct operation_running {
    int64_t key, generation;
    int64_t run; /* the instance's when it was asked for */
    char id[ID_TEXT_MAX];
    char kind[16];
    bool forced;
};
enum { OPERATIONS_AT_ONCE = 64 };
/* Oldest first, those after `after_key`, at most OPERATIONS_AT_ONCE; the count or -1. */
int store_operation_running(struct db *db, int64_t instance_key, int64_t after_key,
                            struct operation_running *items, struct err *err);
/* One that runs and waits for just this. 1, 0: none, -1. */
int store_operation_same(struct db *db, int64_t instance_key, const char *kind, int64_t generation,
                         struct operation_ref *ret_operation, struct err *err);
/* The next instance of this node, by key, that an operation runs for. 1, 0, -1. */
int store_operation_next_instance(struct db *db, int64_t node_key, int64_t after_key,
                                  int64_t *ret_instance_key, struct err *err);
int store_operation_forced(struct db *db, int64_t key, int64_t revision, struct err *err);
/* All that run: key and how long each may take. */
typedef void operation_each(void *ctx, int64_t key, int64_t timeout_ms);
int store_operation_all_running(struct db *db, operation_each *each, void *ctx, struct err *err);
/* The instance of an operation that still runs: 1, 0: it has ended, -1. */
int store_operation_instance(struct db *db, int64_t key, int64_t *ret_instance_key,
                             struct err *err);

#endif
