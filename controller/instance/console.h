/* Console requests: a person's request sleeps here until the agent of the instance's node
 * has sent the end of the log, or the wait is over. Only in memory: lost with the process,
 * as is the person's connection. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_CONSOLE_H
#define MINICLOUD_CONTROLLER_INSTANCE_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app;
struct console;

struct json_writer;
struct request;

/* Suspends the request, if there is a share left for it, and wakes the node's agent. It will
 * be answered exactly once: 504 when nothing comes within CONSOLE_WAIT_SECONDS. */
void console_ask(struct console *console, struct request *r, int64_t node_key,
                 const char *instance_id, int64_t bytes);
/* Requests of a node that its agent was not told of lately, as an array member `key`. Returns
 * how many. */
int console_put(struct console *console, int64_t node_key, struct json_writer *w, const char *key);
/* Whether console_put() would give any. */
bool console_waiting(struct console *console, int64_t node_key);
/* The agent's answer. false: nobody waits for it (any more). */
bool console_answer(struct console *console, int64_t node_key, const char *id, const char *data,
                    size_t len);

/* Console requests that wait for an agent. After stop none is taken, and the end of the watch
 * answers those that wait; free comes after the HTTP server has ended. */
struct console *console_new(struct app *app);
void console_stop(struct console *console);
void console_free(struct console *console);

#endif
