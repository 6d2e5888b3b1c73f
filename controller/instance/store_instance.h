/* Rows of instances and their interfaces. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_STORE_INSTANCE_H
#define MINICLOUD_CONTROLLER_INSTANCE_STORE_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/db/store.h"
#include "controller/placement/placement.h"

struct db;
struct err;

/* A row and the names of what it points at. Texts are borrowed from the statement or,
 * after store_instance_get(), from `owned`. */
struct instance {
    int64_t key, project_key, node_key, flavor_key, image_key;
    const char *id, *project, *name, *hostname;
    const char *labels; /* JSON object */
    const char *node;
    const char *flavor; /* NULL: explicit sizes */
    const char *image, *image_id;
    const char *key_names; /* JSON array */
    struct sizes sizes;
    int64_t uid;
    int power;
    int64_t generation, run, disk_number;
    bool stop_force;
    int64_t stop_timeout_ms;
    bool adopt;
    int64_t desired_revision;
    int observed_state;
    const char *observed_reason;
    int64_t observed_generation, observed_run;
    int observed_cause;
    int64_t started_ms, revision, created_ms, deleted_ms, gone_ms;
    bool node_silent;
    char *owned;
};

/* Makes borrowed texts its own. */
void instance_keep(struct instance *instance);
void instance_release(struct instance *instance);
#define auto_instance __attribute__((cleanup(instance_release)))

struct instance_address {
    const char *network, *address, *mac;
};

typedef void instance_each(void *ctx, const struct instance *instance);

/* The caller releases. ERR_NOT_FOUND when there is none. */
int store_instance_get(struct db *db, int64_t key, struct instance *ret_instance, struct err *err);
/* By UUID, deleted ones too. 1: found, 0: none, -1. */
int store_instance_find(struct db *db, const char *id, struct instance *ret_instance,
                        struct err *err);

/* Of an instance that may be long gone. 1: found, 0: none, -1. */
int store_instance_generation(struct db *db, const char *id, int64_t *ret_generation,
                              struct err *err);

/* Which flavor the sizes in a piece of evidence are of: the present one or one from before a
 * resize; 0: none, or it tells no sizes. */
struct observation;
int store_instance_flavor_of(struct db *db, const struct observation *observation,
                             int64_t *ret_flavor_key, struct err *err);
/* On which node it is, or was. 1: known; 0: no such instance; -1. */
int store_instance_node(struct db *db, const char *id, int64_t *ret_node_key, struct err *err);
/* Remembers the present flavor for evidence that comes after it has changed. */
int store_instance_flavor_past(struct db *db, const struct instance *instance, struct err *err);

/* Zero or NULL: any. */
struct instance_filter {
    int64_t project_key, node_key, image_key;
    const char *name;
    int state;          /* enum instance_state + 1 */
    const char *labels; /* JSON object: all of these, null for any value */
};
int store_instance_list(struct db *db, const struct instance_filter *filter, struct window *window,
                        instance_each *each, void *ctx, struct err *err);
/* All of a node that are not gone, in order of keys. */
int store_instance_of_node(struct db *db, int64_t node_key, instance_each *each, void *ctx,
                           struct err *err);

enum { INSTANCE_INTERFACES_MAX = 16 };
struct interfaces {
    struct instance_address items[INSTANCE_INTERFACES_MAX];
    size_t count;
    char *owned[INSTANCE_INTERFACES_MAX];
};
int store_interfaces(struct db *db, int64_t instance_key, struct interfaces *ret_interfaces,
                     struct err *err);
void interfaces_release(struct interfaces *interfaces);
#define auto_interfaces __attribute__((cleanup(interfaces_release)))

/* ---- writing ---- */

/* Fills instance->key. A name that is taken: ERR_NAME_TAKEN. */
int store_instance_insert(struct db *db, struct instance *instance, struct err *err);
/* What a guest is given at its first boot. */
struct instance_seed {
    const char *key_lines; /* JSON array */
    const void *user_data; /* NULL: none */
    size_t user_data_len;
};
int store_seed_insert(struct db *db, int64_t instance_key, const struct instance_seed *seed,
                      struct err *err);
int store_interface_insert(struct db *db, int64_t instance_key, int64_t network_key, int64_t number,
                           const struct instance_address *address, struct err *err);
/* Everything that a request may change. */
int store_instance_set_desired(struct db *db, const struct instance *instance, struct err *err);
/* The narrow set that most changes need: power, run, generation, how to stop. */
int store_instance_set_power(struct db *db, const struct instance *instance, struct err *err);
int store_instance_set_observed(struct db *db, const struct instance *instance, struct err *err);
/* All live instances of a node (0: of all): adopt = 1. */
int store_instance_adopt_all(struct db *db, int64_t node_key, int64_t revision, struct err *err);
/* deleted_ms and gone_ms, and releases the interfaces, with a call of `each` for each. */
typedef void interface_released(void *ctx, int64_t network_key, int64_t number);
int store_instance_set_gone(struct db *db, const struct instance *instance,
                            interface_released *each, void *ctx, struct err *err);

#endif
