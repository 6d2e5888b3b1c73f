/* Where a new instance goes, as which user, with which address. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_NUMBERS_H
#define MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_NUMBERS_H

#include <stdint.h>

struct err;
struct host;
struct hosts_network;
struct sizes;
struct tx;

struct allotted {
    const struct host *host; /* both until the table of hosts changes */
    const struct hosts_network *network;
    int64_t uid, number; /* the lowest free ones; not taken yet */
};

/* What quarantined domains of a host hold is not given out on that host. One on which they hold
 * all that is free gets nothing, and the next best one is asked. */
int instance_allot(struct tx *tx, const struct sizes *sizes, struct allotted *ret_allotted,
                   struct err *err);

#endif
