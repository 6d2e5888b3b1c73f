/* The agent's settings: one table, from which --help and the example file are made. */
#ifndef MINICLOUD_AGENT_SETTINGS_H
#define MINICLOUD_AGENT_SETTINGS_H

#include <stdbool.h>

#include "node-agent/world.h"

struct buf;
struct err;

/* Also fills in what depends on something else: the node's name, the token's place. */
int settings_load(const char *path, bool required, int argc, char **argv, struct settings *ret,
                  struct err *err);
void settings_release(struct settings *settings);
void settings_describe(struct buf *out);

#endif
