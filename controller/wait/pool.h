/* A few threads for file work and reads over 1 ms, so that no HTTP thread waits.
 *
 * Who asks has a lane: a project, or a token without one, or a node. Lanes take turns, so that
 * whoever asks for little waits for a few jobs of each other lane at most, and not for all that
 * one of them has queued. A lane takes up to a share of the pool, and a job that takes long can
 * give way between its steps: it then stands in line again, at the head of its lane. */
#ifndef MINICLOUD_CONTROLLER_WAIT_POOL_H
#define MINICLOUD_CONTROLLER_WAIT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

struct pool_settings {
    unsigned at_once;      /* jobs at work */
    unsigned lane_at_once; /* of one lane; 0: as many */
    unsigned paused;       /* jobs that may have given way at the same time */
    size_t lane_waiting;   /* jobs of one lane that wait; 0: as many as of all */
    const char *name;      /* of its threads, 11 bytes at most */
};
struct pool *pool_new(const struct pool_settings *settings);

enum pool_answer { POOL_TAKEN, POOL_FULL, POOL_LANE_FULL };
/* Any thread. Unless it is taken `fn` will not run. */
enum pool_answer pool_submit_lane(struct pool *pool, int64_t lane, void (*fn)(void *ctx),
                                  void *ctx);
/* In a lane of its own kind, for work that nobody is asked to wait for. */
bool pool_submit(struct pool *pool, void (*fn)(void *ctx), void *ctx);

/* On a pool's thread, within a job: whether another lane's job waits that could run now. */
bool pool_others_wait(void);
/* Lets them run first. On other threads: nothing. */
void pool_give_way(void);

/* Jobs that wait. */
size_t pool_waiting(struct pool *pool);
/* Finishes what is queued and joins; pool_submit() says no from then on. */
void pool_stop(struct pool *pool);
void pool_free(struct pool *pool);

#endif
