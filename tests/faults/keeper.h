/* Keeps one program of a cloud running, as an init system would, and kills it at chosen
 * places: each time it is started it is armed with the next kill of a list. */
#ifndef MINICLOUD_TESTS_KEEPER_H
#define MINICLOUD_TESTS_KEEPER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloud;

enum program { CONTROLLER, AGENT, PROGRAMS };
extern const char *const program_names[];

/* A place to die: the n-th passage of a failpoint, or the n-th call of a system call by one
 * thread (strace's injection). */
struct kill_place {
    enum program program;
    bool traced;
    char site[64];
    int n;
    int phase; /* where the recording saw it */
    bool tried, fired;
};

struct keeper {
    struct cloud *cloud;
    enum program program;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int wake; /* eventfd */
    bool stopping, restart;
    bool up;
    struct kill_place **list; /* what is still to be armed, in order */
    size_t count, next;
    struct kill_place *armed;
    const char *log; /* MINICLOUD_FAILPOINT_LOG of the next start; NULL: none */
    char *wrong;     /* it ended in a way that nobody asked for */
    /* Called on the keeper's thread once the program is ready again after a kill. */
    void (*recovered)(struct keeper *keeper, const struct kill_place *place, int64_t ms);
};

/* The program must not run yet; the keeper starts it. */
void keeper_start(struct keeper *keeper);
/* Ends the program (SIGKILL) and starts it again, armed with the list one after another.
 * Returns when it is up. */
void keeper_arm(struct keeper *keeper, struct kill_place **list, size_t count);
/* Until it is up, or timeout_ms. */
bool keeper_await(struct keeper *keeper, int timeout_ms);
/* Ends the program and the thread. */
void keeper_stop(struct keeper *keeper);

#endif
