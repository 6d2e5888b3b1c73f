/* A few threads for file work and reads over 1 ms, so that no HTTP thread waits. */
#ifndef MINICLOUD_CONTROLLER_POOL_H
#define MINICLOUD_CONTROLLER_POOL_H

#include <stdbool.h>

struct pool;

struct pool *pool_new(unsigned threads);
/* Any thread. false: too many wait; `fn` will not run. */
bool pool_submit(struct pool *pool, void (*fn)(void *ctx), void *ctx);
/* Finishes what is queued and joins; pool_submit() says no from then on. */
void pool_stop(struct pool *pool);
void pool_free(struct pool *pool);

#endif
