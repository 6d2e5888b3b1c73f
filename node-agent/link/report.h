/* The thread that tells the controller what is. */
#ifndef MINICLOUD_AGENT_REPORT_H
#define MINICLOUD_AGENT_REPORT_H

#include <stdbool.h>

struct agent;
struct console_request;
struct err;

/* Hands its report_wake in, so that instances can call it. */
void report_new(struct agent *agent);
int report_start(struct agent *agent, struct err *err);
void report_stop(struct agent *agent);
/* There is something to tell. Any thread, lock held or not. */
void report_wake(struct agent *agent);
/* The next report is a full one. */
void report_full(struct agent *agent);
/* Somebody wants the end of a console log. */
void report_console(struct agent *agent, const struct console_request *request);
/* Waits until a full report was taken; false when stopping. */
bool report_wait_first(struct agent *agent);
void report_set_token(struct agent *agent, const char *token);

#endif
