/* The page of what a node should make so, straight from rows into JSON. */
#ifndef MINICLOUD_CONTROLLER_NODE_NODE_DESIRED_H
#define MINICLOUD_CONTROLLER_NODE_NODE_DESIRED_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct console;
struct db;
struct err;
struct marks;

struct desired_ask {
    int64_t node_key;
    const char *epoch; /* NULL: none seen */
    int64_t after;
    const char *mark; /* that came with `after`; NULL: none */
    const struct marks *marks;
};

struct desired_answer {
    int64_t revision; /* of the snapshot */
    bool anything;    /* the page is full, or something is in it */
};

/* One read transaction. Without anything to tell `out` still holds a whole (empty) page.
 * `console` may be NULL. ERR_CONFLICT: the agent has seen another
 * history of this epoch. */
int node_desired_page(struct db *db, const struct desired_ask *ask, struct console *console,
                      struct buf *out, struct desired_answer *ret_answer, struct err *err);
/* Whether a page would be a full one: a longer read. -1 with `err`. */
int node_desired_full(struct db *db, const struct desired_ask *ask, bool *ret_full,
                      struct err *err);

#endif
