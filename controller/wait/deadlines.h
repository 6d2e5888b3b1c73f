/* A heap of (due, key), earliest first. */
#ifndef MINICLOUD_CONTROLLER_WAIT_DEADLINES_H
#define MINICLOUD_CONTROLLER_WAIT_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
    int64_t due_ms, key;
};

struct deadlines {
    struct deadline *items;
    size_t count, cap;
};

void deadlines_add(struct deadlines *deadlines, int64_t due_ms, int64_t key);
/* INT64_MAX when empty. */
int64_t deadlines_next(const struct deadlines *deadlines);
/* Takes out the earliest if it is due. */
bool deadlines_take(struct deadlines *deadlines, int64_t now_ms, int64_t *ret_key);
void deadlines_release(struct deadlines *deadlines);

#endif
