/* Long polls: suspended requests that wait for the revision log to move. After each
 * COMMIT the writer publishes which projects and nodes it touched; a waker thread then
 * answers the watchers whose filter matches, a bounded number per tick. Answers that
 * are equal are rendered once and shared. */
#ifndef MINICLOUD_CONTROLLER_WAIT_WATCH_H
#define MINICLOUD_CONTROLLER_WAIT_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch;
struct watch_entry;

enum watch_kind {
    WATCH_EVENTS,    /* key: project, 0 = all (operators) */
    WATCH_NODE,      /* key: node */
    WATCH_OPERATION, /* key: operation */
    WATCH_TOKEN,     /* key: token; touched when it ends, and wakes whoever waits for its sake */
    WATCH_CONSOLE,   /* key: none; nothing but its time, its token and its client ends it */
};

/* For whose sake someone waits: kept by the one who waits, zeroed but for the token. What is
 * in it is the watch's. */
struct watch_sake {
    int64_t token_key; /* its end wakes too; 0: none */
    bool left;
    struct watch_entry *entry; /* that waits now */
};

struct watch *watch_new(void);
/* Fires all with `expired` and joins the waker; from then on watch_add() says no. */
void watch_stop(struct watch *watch);
void watch_free(struct watch *watch);

/* Calls `fire` exactly once, on the waker thread: when something that matches was committed
 * with a revision above `after`, or when `wait_ms` passed (`expired`). If it already
 * happened, `fire` comes at once. It may also come without cause: look again, and wait on.
 * So that nothing is missed: first watch_revision(), then look at the rows, then add with
 * that revision as `after`. `fire` may add again. false: LIMIT_WATCHERS (for
 * WATCH_NODE: LIMIT_NODE_WATCHERS) reached or stopping, `fire` will not come. */
typedef void watch_fire(void *ctx, bool expired);
bool watch_add(struct watch *watch, enum watch_kind kind, int64_t key, int64_t after,
               int64_t wait_ms, watch_fire *fire, void *ctx);
/* The same for the sake of someone who may leave, or whose token may end: that wakes it as
 * well, if it came with a revision above `after`. */
bool watch_add_for(struct watch *watch, struct watch_sake *sake, enum watch_kind kind, int64_t key,
                   int64_t after, int64_t wait_ms, watch_fire *fire, void *ctx);
/* They have left: their time is over, now and whenever something is added for them again. */
void watch_left(struct watch *watch, struct watch_sake *sake);
/* Wakes the watchers of one key without a commit (a console request for a node). */
void watch_poke(struct watch *watch, enum watch_kind kind, int64_t key);

/* By the writer, after COMMIT. */
struct watch_touch {
    enum watch_kind kind;
    int64_t key;
    int64_t revision;
};
void watch_publish(struct watch *watch, int64_t revision, const struct watch_touch *touched,
                   size_t count);
/* Highest committed revision; at the start set from the log. */
int64_t watch_revision(const struct watch *watch);
void watch_set_revision(struct watch *watch, int64_t revision);
/* Requests that wait now. */
size_t watch_count(struct watch *watch);

#endif
