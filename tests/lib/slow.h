/* Sockets of clients that are slow on purpose, on a thread of their own: half of them send a
 * head a byte a second and never end it, half ask for much in one go and read nothing. One that
 * the server closes is opened again, a second later. */
#ifndef MINICLOUD_TESTS_SLOW_H
#define MINICLOUD_TESTS_SLOW_H

#include <stdint.h>

struct slow;

/* Connects `sockets` (at most 4,000) to 127.0.0.1:port, from 20 addresses of 127.0.0.0/8. */
struct slow *slow_start(int port, int sockets);
/* Closes all. Returns how often the server had closed one before. */
int64_t slow_stop(struct slow *slow);

#endif
