/* Wire names of the shared enumerations, in the order of their values. */
#include "api/types.h"

#include <string.h>

const char *const power_names[] = {"stopped", "running", NULL};
const char *const state_names[] = {"provisioning", "running",  "stopped", "crashed", "error",
                                   "absent",       "deleting", "deleted", "unknown", NULL};
const char *const cause_names[] = {"none", "guest", "asked", "forced", "crashed", "unseen", NULL};
const char *const format_names[] = {"raw", "qcow2", NULL};
const char *const role_names[] = {"reader", "member", "admin", "node", "join", NULL};
const char *const operation_state_names[] = {"running", "done", "failed", NULL};
const char *const virt_names[] = {"auto", "kvm", "qemu", NULL};
const char *const observation_names[] = {"started", "stopped", "allocated", "gone",
                                         "counted", "seen",    "deleted",   "clock",
                                         "booted",  "priced",  NULL};

int name_index(const char *const *names, const char *name)
{
    for (int i = 0; name && names[i]; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}
