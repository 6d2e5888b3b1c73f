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
#include "controller/instance/store_instance.h"
#include "controller/operation/operation.h"

struct err;
struct image;
struct json_writer;
struct tx;
struct wish;

/* What people are shown: the observed state, unless deletion or a silent host says more. */
enum instance_state instance_shown_state(const struct instance *instance);
/* Whether the run that is wanted was started and has ended. */
bool instance_run_ended(const struct instance *instance);

void instance_put(struct json_writer *w, const char *key, const struct instance *instance,
                  const struct instance_address *addresses, size_t address_count);

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
