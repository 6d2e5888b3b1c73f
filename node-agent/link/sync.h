/* The thread that joins once and then asks the controller what should be. */
#ifndef MINICLOUD_AGENT_SYNC_H
#define MINICLOUD_AGENT_SYNC_H

#include <stdbool.h>
#include <stdint.h>

struct agent;
struct desired_page;
struct err;

int sync_start(struct agent *agent, struct err *err);
void sync_stop(struct agent *agent);
/* Whether this page came well before the wait was over, and told nothing. */
bool sync_hasty(const struct desired_page *page, int64_t took_ms, int64_t wait_ms);

#endif
