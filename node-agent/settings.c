/* The table of settings; see settings.h. */
#include "node-agent/settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/config.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/types.h"

#define AT(member) offsetof(struct settings, member)

static const struct config_field fields[] = {
    {"controller", CONFIG_STR, AT(controller), "http://127.0.0.1:8080", 0, 0, NULL,
     "where the controller is: http://host:port or unix:/path"},
    {"name", CONFIG_STR, AT(name), "", 0, 0, NULL, "this node's name; empty: the host name"},
    {"state_dir", CONFIG_STR, AT(state_dir), "/var/lib/minicloud/agent", 0, 0, NULL,
     "the node's token and the spool of unacknowledged observations"},
    {"token_file", CONFIG_STR, AT(token_file), "", 0, 0, NULL,
     "the node's own token; empty: 'token' in state_dir"},
    {"join_token_file", CONFIG_STR, AT(join_token_file), "/etc/minicloud/join-token", 0, 0, NULL,
     "token that lets a new node join; needed only until it has joined"},
    {"libvirt_uri", CONFIG_STR, AT(libvirt_uri), "qemu:///system", 0, 0, NULL,
     "which libvirt to use"},
    {"pool", CONFIG_STR, AT(pool), "minicloud", 0, 0, NULL,
     "libvirt storage pool for disks, seeds and cached images; made when missing"},
    {"pool_path", CONFIG_STR, AT(pool_path), "/var/lib/libvirt/minicloud", 0, 0, NULL,
     "folder of that pool"},
    {"console_dir", CONFIG_STR, AT(console_dir), "/var/log/libvirt/minicloud", 0, 0, NULL,
     "folder of the guests' console logs"},
    {"qemu_log_dir", CONFIG_STR, AT(qemu_log_dir), "/var/log/libvirt/qemu", 0, 0, NULL,
     "where libvirt logs each guest's QEMU; a deleted instance's log is removed from it"},
    {"run_dir", CONFIG_STR, AT(run_dir), "/run/libvirt/qemu", 0, 0, NULL,
     "where libvirt keeps QEMU's pid files"},
    {"capabilities_dir", CONFIG_STR, AT(capabilities_dir), "/var/cache/libvirt/qemu/capabilities",
     0, 0, NULL,
     "where libvirt keeps what QEMU can do: a libvirt that forgets it all the time is told of"},
    {"hook_dir", CONFIG_STR, AT(hook_dir), "/etc/libvirt/hooks/qemu.d", 0, 0, NULL,
     "libvirt's folder for hooks of QEMU guests: ours writes down ends that the agent cannot see; "
     "empty: none"},
    {"count_every", CONFIG_SECONDS, AT(count_every), "3600", 60, 86400, NULL,
     "CPU time and network bytes of running guests are counted this often, on the full hour and "
     "its even parts"},
    {"workers", CONFIG_INT, AT(workers), "16", 1, 64, NULL,
     "instances worked on at the same time, each with its own connection to libvirt"},
    {"lost_workers", CONFIG_INT, AT(lost_workers), "8", 0, 64, NULL,
     "workers waiting for a hung call that are replaced; beyond it there are fewer"},
    {"call_deadline", CONFIG_SECONDS, AT(call_deadline), "60", 1, 3600, NULL,
     "a libvirt call that takes longer is given up"},
    {"heartbeat", CONFIG_SECONDS, AT(heartbeat), "10", 1, 300, NULL,
     "a report goes out at least this often"},
    {"relist", CONFIG_SECONDS, AT(relist), "60", 1, 3600, NULL,
     "everything on the host is listed afresh and reported this often"},
    {"poll_wait", CONFIG_SECONDS, AT(poll_wait), "30", 1, 60, NULL,
     "how long the controller may hold a request for news"},
    {"virt_type", CONFIG_ENUM, AT(virt_type), "auto", 0, 0, virt_names,
     "auto: KVM where the CPU has it and libvirt offers it, else emulation"},
    {"reserved_cpus", CONFIG_INT, AT(reserved_cpus), "0", 0, 1024, NULL, "CPUs kept for the host"},
    {"reserved_memory_mib", CONFIG_INT, AT(reserved_memory_mib), "512", 0, 1 << 30, NULL,
     "memory kept for the host"},
    {"reserved_disk_gib", CONFIG_INT, AT(reserved_disk_gib), "2", 0, 1 << 30, NULL,
     "disk kept for the host and cached images"},
    {"cpu_overcommit", CONFIG_INT, AT(cpu_overcommit), "4", 1, 64, NULL,
     "virtual CPUs offered for each of the host's"},
    {"log_level", CONFIG_ENUM, AT(log_level), "info", 0, 0, log_level_names,
     "debug, info, warn or error"},
};

static void set_default(char **text, char *value)
{
    if (*text && **text) {
        free(value);
        return;
    }
    free(*text);
    *text = value;
}

/* A node's name is a label; the domain part of a host name is not needed, and what no label
 * may hold becomes a hyphen. */
static char *label_of(const char *host)
{
    char *name = xstrndup(host, strcspn(host, "."));
    if (strlen(name) > LIMIT_NAME)
        name[LIMIT_NAME] = '\0';
    for (char *c = name; *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        else if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9'))
            *c = '-';
    }
    if (name[0] && name[0] != '-' && name[strlen(name) - 1] != '-')
        return name;
    free(name);
    return xstrdup("node");
}

int settings_load(const char *path, bool required, int argc, char **argv, struct settings *ret,
                  struct err *err)
{
    char host[256] = "";
    if (config_load(fields, ARRAY_SIZE(fields), path, required, argc, argv, ret, err))
        return -1;
    bool named = gethostname(host, sizeof host - 1) == 0 && host[0];
    set_default(&ret->name, label_of(named ? host : "node"));
    set_default(&ret->token_file, xasprintf("%s/token", ret->state_dir));
    return 0;
}

void settings_release(struct settings *settings)
{
    config_release(fields, ARRAY_SIZE(fields), settings);
}

void settings_describe(struct buf *out)
{
    config_describe(fields, ARRAY_SIZE(fields), out);
}
