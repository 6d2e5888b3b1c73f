/* Which places there are to die at, and which of them come next. */
#ifndef MINICLOUD_TESTS_KILL_PLAN_H
#define MINICLOUD_TESTS_KILL_PLAN_H

#include "tests/faults/keeper.h"

enum phase { CREATE, STOP, START, DELETE, PHASES };
extern const char *const phase_names[];

struct kill_plan {
    struct kill_place *places;
    size_t count;
};

/* Adds what a MINICLOUD_FAILPOINT_LOG saw of one program in one phase. */
void kill_plan_add_log(struct kill_plan *plan, enum program program, int phase, const char *path);
/* Adds system calls to die in. */
void kill_plan_add_calls(struct kill_plan *plan);
/* Up to `room` untried places of a phase, the furthest first and then the nearest: the second
 * and third start of a program have less of the phase before them. */
size_t kill_plan_pick(struct kill_plan *plan, enum program program, int phase,
                      struct kill_place **out, size_t room);
/* Those that were armed and not reached may be armed again. */
void kill_plan_retry(struct kill_plan *plan);
size_t kill_plan_fired(const struct kill_plan *plan);
void kill_plan_release(struct kill_plan *plan);

#endif
