/* Instances: what their owners want of them, and what their hosts proved. Everything here
 * runs inside a write job and knows nothing of HTTP. Every change gives a new generation,
 * a revision that wakes the node's agent, an event and (but for renames) an operation. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_H
#define MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/types.h"
#include "controller/operation/operation.h"
#include "controller/placement/placement.h"

struct err;
struct image;
struct json_writer;
struct tx;

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

/* What people are shown: the observed state, unless deletion or a silent host says more. */
enum instance_state instance_shown_state(const struct instance *instance);
/* Whether the run that is wanted was started and has ended. */
bool instance_run_ended(const struct instance *instance);

struct instance_address {
    const char *network, *address, *mac;
};
void instance_put(struct json_writer *w, const char *key, const struct instance *instance,
                  const struct instance_address *addresses, size_t address_count);

/* How long someone waits for a change. */
struct wish {
    int64_t timeout_ms;
};

/* What a request wants; names already resolved to rows. Texts are borrowed. */
struct instance_new {
    int64_t project_key;
    const char *project;
    const char *name, *hostname;
    const char *labels;
    int64_t flavor_key; /* 0: explicit sizes */
    const char *flavor;
    struct sizes sizes;
    const struct image *image;
    const char *key_names, *key_lines; /* JSON arrays */
    const void *user_data;             /* NULL: none */
    size_t user_data_len;
    enum power power;
};

/* A fresh instance: the row and its one address. */
struct instance_made {
    struct instance instance; /* texts borrowed from `instance_new`, the table of hosts and here */
    struct instance_address address;
    char id[ID_TEXT_MAX], node[64], network[64], address_text[16], mac[18];
    struct operation_ref operation;
};

int instance_create(struct tx *tx, const struct instance_new *wanted, const struct wish *wish,
                    struct instance_made *ret_made, struct err *err);

/* Each takes a loaded instance, brings it up to date in memory and in its row, and returns the
 * operation to wait on. */
int instance_start(struct tx *tx, struct instance *instance, const struct wish *wish,
                   struct operation_ref *ret_operation, struct err *err);
struct stop_how {
    bool force;         /* do not ask the guest */
    int64_t timeout_ms; /* ask, and force after this */
};
int instance_stop(struct tx *tx, struct instance *instance, const struct stop_how *how,
                  const struct wish *wish, struct operation_ref *ret_operation, struct err *err);
int instance_reboot(struct tx *tx, struct instance *instance, const struct stop_how *how,
                    const struct wish *wish, struct operation_ref *ret_operation, struct err *err);
/* `flavor` NULL: explicit sizes. */
int instance_resize(struct tx *tx, struct instance *instance, const struct sizes *sizes,
                    int64_t flavor_key, const char *flavor, const struct wish *wish,
                    struct operation_ref *ret_operation, struct err *err);
int instance_rebuild(struct tx *tx, struct instance *instance, const struct image *image,
                     const struct wish *wish, struct operation_ref *ret_operation, struct err *err);
int instance_delete(struct tx *tx, struct instance *instance, const struct wish *wish,
                    struct operation_ref *ret_operation, struct err *err);

/* NULL: stays. The host hears of a new name or host name, not of labels. */
struct instance_patch {
    const char *name, *hostname, *labels;
};
int instance_update(struct tx *tx, struct instance *instance, const struct instance_patch *patch,
                    struct err *err);

/* ---- for the parts of the domain that see reports ---- */

/* A revision and an event; with `wake` the node's agent sees the change. */
void instance_event(struct tx *tx, struct instance *instance, const char *what, bool wake);
/* Before anything of it is started or made anew: no domain in quarantine may have its uid or
 * address, or there would be two of them. */
int instance_refuse_twin(struct tx *tx, const struct instance *instance, struct err *err);
/* generation+1, event, row. */
int instance_change(struct tx *tx, struct instance *instance, const char *what, struct err *err);
/* The host proved that nothing is left, or is itself gone: frees capacity, address and uid. */
int instance_gone(struct tx *tx, struct instance *instance, struct err *err);

#endif
