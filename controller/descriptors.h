/* File descriptors: enough for what the limits allow, and some that no connection can take. */
#ifndef MINICLOUD_CONTROLLER_DESCRIPTORS_H
#define MINICLOUD_CONTROLLER_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

/* Raises RLIMIT_NOFILE towards what `readers` and the connections need, and says so in the log
 * where that cannot be. How many connections there may be: LIMIT_CONNECTIONS, or fewer. */
unsigned descriptors_raise(size_t readers);
/* Pure: connections with so many descriptors in all; at least
 * LIMIT_CONNECTIONS_LEAST, which fit beside what is open at the start. */
unsigned descriptors_share(uint64_t limit, size_t readers);

#endif
