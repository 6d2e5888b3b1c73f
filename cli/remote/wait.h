/* Waiting for operations: one task per target, in the order of the command line. */
#ifndef MINICLOUD_CLI_REMOTE_WAIT_H
#define MINICLOUD_CLI_REMOTE_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli;
struct err;
struct json;
struct noun;

struct task {
    const struct noun *noun;
    char *target;       /* as the command line names it */
    char *id;           /* of the resource; NULL: unknown */
    char *operation;    /* id; NULL: there is nothing to wait for */
    struct json *reply; /* owned: what the request answered */
    bool failed;        /* and reported */
};

struct tasks {
    struct task *items;
    size_t count;
};

/* Takes over `reply`: {"<noun>":{...},"operation":{...}}, or the bare resource. */
struct task *tasks_add(struct tasks *tasks, const struct noun *noun, const char *target,
                       struct json *reply);
void tasks_release(struct tasks *tasks);
#define auto_tasks __attribute__((cleanup(tasks_release)))

/* Until all have ended, `timeout_s` (0: no bound) is over or the person interrupts. What
 * fails is reported and marked. */
void tasks_wait(struct cli *cli, struct tasks *tasks, int64_t timeout_s);
/* The operations of the replies, for --no-wait. */
int tasks_print_operations(struct cli *cli, const struct tasks *tasks, struct err *err);
/* The resources as they are now. */
int tasks_print_resources(struct cli *cli, const struct tasks *tasks, struct err *err);

#endif
