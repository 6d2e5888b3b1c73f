/* How the link's threads reach the controller: this node's token, a client that carries it, and
 * the pause before the next try. */
#ifndef MINICLOUD_AGENT_CLIENT_H
#define MINICLOUD_AGENT_CLIENT_H

#include <pthread.h>
#include <stdint.h>

struct agent;
struct buf;
struct err;
struct http_client;

void client_new(struct agent *agent);
void client_free(struct agent *agent);
/* Backoff with jitter: sleeps, less when stopping. */
void client_back_off(struct agent *agent, int64_t *delay_ms);
/* Everyone who backs off looks at `stopping`. */
void client_wake(struct agent *agent);

/* A client for the controller; `token` NULL: none. */
int agent_client(struct agent *agent, const char *token, struct http_client **ret, struct err *err);
/* Whether a new token can be kept. */
int agent_token_place(struct agent *agent, struct err *err);
/* This node's token as text in `out`; ERR_NOT_FOUND before it has joined. */
int agent_token(struct agent *agent, struct buf *out, struct err *err);
/* The same of a file that holds one. */
int agent_token_read(const char *path, struct buf *out, struct err *err);

int agent_start_thread(pthread_t *ret, void *(*run)(void *), void *arg, const char *name,
                       struct err *err);

#endif
