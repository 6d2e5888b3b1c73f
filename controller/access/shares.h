/* Shares: how much of what is held for a while - a place to wait in, an upload under way -
 * one token, one project and all of them together may have. One table of kinds says it all,
 * so that something new that is bounded is one more row. Operators and agents have room of
 * their own: no project can take theirs. */
#ifndef MINICLOUD_CONTROLLER_ACCESS_SHARES_H
#define MINICLOUD_CONTROLLER_ACCESS_SHARES_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct caller;
struct err;
struct shares;

enum share_kind {
    SHARE_EVENTS,    /* event watchers: long polls and streams */
    SHARE_OPERATION, /* waits for an operation's end */
    SHARE_CONSOLE,   /* waits for a console log's end */
    SHARE_DESIRED,   /* an agent's long polls */
    SHARE_UPLOAD,    /* uploads under way, each with its buffers */
    SHARE_REPORT,    /* an agent's reports and console logs, from head to answer */
    SHARE_BULK,      /* the same of long ones, each with up to LIMIT_AGENT_BODY_BYTES */
    SHARE_KINDS
};

/* What somebody holds, kept by the holder; all zero: nothing. It may be moved, not copied. */
struct share {
    struct shares *shares;
    enum share_kind kind;
    int group; /* of whom: see shares.c */
    int64_t token_key, project_key;
};

struct shares *shares_new(void);
void shares_free(struct shares *shares);

/* Takes one more of this kind for the caller; `share` must hold nothing. Any thread.
 * ERR_TOO_MANY_REQUESTS: the token or its project has as many as it may.
 * ERR_UNAVAILABLE: all together have. The message names the limit. */
int shares_take(struct shares *shares, enum share_kind kind, const struct caller *caller,
                struct share *share, struct err *err);
/* Gives it back, and empties it: a second call does nothing. Any thread. */
void share_give(struct share *share);

/* How many of a kind are held now, by whomever. */
size_t shares_held(struct shares *shares, enum share_kind kind);
/* What is held, and how often more was refused, for /metrics. */
void shares_print(struct shares *shares, struct buf *out);

#endif
