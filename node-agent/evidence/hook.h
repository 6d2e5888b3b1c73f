/* Puts our hook (hook_main.c) where libvirtd looks for hooks of QEMU guests. */
#ifndef MINICLOUD_AGENT_HOOK_H
#define MINICLOUD_AGENT_HOOK_H

#include <stdbool.h>

struct err;
struct settings;

/* Makes or mends the two links that are told of in hook_main.c. `ret_changed`: something was
 * not as it should be; libvirtd takes notice when it is started next. */
int hook_install(const struct settings *settings, bool *ret_changed, struct err *err);
/* The same at the agent's start, where it is no reason not to go on. */
void hook_ensure(const struct settings *settings);

#endif
