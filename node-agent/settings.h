/* The agent's settings: one table, from which --help and the example file are made. */
#ifndef MINICLOUD_AGENT_SETTINGS_H
#define MINICLOUD_AGENT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;

struct settings {
    char *controller, *name;
    char *state_dir, *token_file, *join_token_file;
    char *libvirt_uri, *pool, *pool_path, *console_dir, *qemu_log_dir, *run_dir, *hook_dir;
    char *capabilities_dir;
    int64_t workers, lost_workers;
    int64_t call_deadline, heartbeat, relist, poll_wait, count_every; /* ms */
    int virt_type;                                                    /* enum virt_type */
    int64_t reserved_cpus, reserved_memory_mib, reserved_disk_gib, cpu_overcommit;
    int log_level; /* enum log_level */
};

/* Also fills in what depends on something else: the node's name, the token's place. */
int settings_load(const char *path, bool required, int argc, char **argv, struct settings *ret,
                  struct err *err);
void settings_release(struct settings *settings);
void settings_describe(struct buf *out);

#endif
