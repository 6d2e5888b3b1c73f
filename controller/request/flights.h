/* Questions that are answered together. A read that waits for its turn takes along all that ask
 * the same with the same rights until it begins: its answer is of a later moment than any of
 * their questions, so it is as good as their own. */
#ifndef MINICLOUD_CONTROLLER_REQUEST_FLIGHTS_H
#define MINICLOUD_CONTROLLER_REQUEST_FLIGHTS_H

#include <stddef.h>

struct err;
struct pool;
struct request;

struct flights;
struct flights *flights_new(void);
void flights_free(struct flights *flights);

/* Of one project's people, or of one token's owner who has none. */
long long request_lane(const struct request *r);
/* Has `r->read` done on the pool, for it and for those that join, and answers. The connection is
 * suspended. */
void flights_take(struct flights *flights, struct pool *pool, struct request *r);
/* How many of the waiting were answered along with another. */
size_t flights_shared(struct flights *flights);

#endif
