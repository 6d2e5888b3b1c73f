/* What somebody outside took away is put back; at each listing. */
#ifndef MINICLOUD_AGENT_MEND_H
#define MINICLOUD_AGENT_MEND_H

struct agent;

/* `host` is the ctx of the agent's host_ops. */
void mend_networks(struct agent *agent, void *host);
void mend_rules(struct agent *agent);

#endif
