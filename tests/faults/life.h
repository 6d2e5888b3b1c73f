/* A few small instances that are taken through create, stop, start and delete while the
 * programs under them die, and what must hold after each of these. Requests are repeated
 * with the same Idempotency-Key until an answer comes, as a careful client does. */
#ifndef MINICLOUD_TESTS_LIFE_H
#define MINICLOUD_TESTS_LIFE_H

#include "tests/faults/keeper.h"
#include "tests/lib/cloud.h"

enum { LIVES = 3 };

struct life {
    struct cloud *cloud;
    struct cloud view; /* the same cloud for this thread: its own client and token */
    struct keeper keepers[PROGRAMS];
    int cycle;
    char *disk; /* of guest.h */
    char ids[LIVES][40];
    char operations[LIVES][40];
};

/* Starts both programs with their keepers. */
void life_begin(struct life *life, struct cloud *cloud);
void life_end(struct life *life);
/* Sends until an answer comes; fails the test when none does. */
struct answer life_call(struct life *life, const char *key, const char *method, const char *path,
                        const char *body);
/* One phase from request to the end of its operations; fails the test where a promise is
 * broken. In the first an image of this cycle's own is made and uploaded too. */
void life_run(struct life *life, int phase);
/* What must hold after a phase: states, runs, what the host holds. */
void life_check(struct life *life, int phase);

#endif
