/* The thread that hears from libvirt and lists the host. */
#ifndef MINICLOUD_AGENT_WATCH_H
#define MINICLOUD_AGENT_WATCH_H

struct agent;
struct err;

int watch_start(struct agent *agent, struct err *err);
void watch_stop(struct agent *agent);

#endif
