/* Start and stop of the program. */
#ifndef MINICLOUD_AGENT_AGENT_H
#define MINICLOUD_AGENT_AGENT_H

#include "node-agent/world.h"

struct err;

/* All parts, from settings already there. On error the process is expected to end. */
int agent_start(struct agent *agent, struct err *err);
void agent_stop(struct agent *agent);

#endif
