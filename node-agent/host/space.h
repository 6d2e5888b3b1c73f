/* How much disk this host has to give: what of the pool's disk is ours. */
#ifndef MINICLOUD_AGENT_SPACE_H
#define MINICLOUD_AGENT_SPACE_H

#include <stdint.h>

/* Bytes that instances' volumes take; cached images come out of what is reserved. */
int64_t space_taken(const char *pool_path);
/* And with what is free there. */
int64_t space_ours(const char *pool_path);
/* What to tell: the last word stands until it is off by more than a GiB and by 1 %. */
int64_t space_settle(int64_t told_gib, int64_t gib);

#endif
