/* What a host's report says of one instance, taken into its row. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_OBSERVED_H
#define MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_OBSERVED_H

#include <stdbool.h>
#include <stdint.h>

#include "api/node_protocol.h"

struct err;
struct instance;
struct tx;

struct observe_how {
    const char *epoch;  /* own */
    bool same_epoch;    /* the agent has seen it */
    bool judge;         /* operations may end by this */
    int64_t started_ms; /* when the run began, by evidence; 0: none */
};

/* `ret_wrote` and `ret_gone` are set, never cleared. */
int instance_observe(struct tx *tx, struct instance *instance, const struct observed_instance *seen,
                     const struct observe_how *how, bool *ret_wrote, bool *ret_gone,
                     struct err *err);
/* Whether what is reported of it can be; NULL: yes, else why not, owned by the caller. Then nothing
 * of that is taken: it is shown as an error, with this reason. */
char *instance_observed_fault(const struct instance *instance,
                              const struct observed_instance *seen);
int instance_observe_fault(struct tx *tx, struct instance *instance, const char *reason,
                           bool *ret_wrote, struct err *err);
/* A full report did not name it. */
int instance_observe_missing(struct tx *tx, struct instance *instance, bool *ret_wrote,
                             struct err *err);
/* Its host has booted anew: what is desired running gets another run. */
int instance_host_booted(struct tx *tx, struct instance *instance, struct err *err);

#endif
