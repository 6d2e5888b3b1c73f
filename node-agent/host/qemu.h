/* The process of a guest's QEMU, as the kernel shows it: needs neither libvirt nor an answer
 * of QEMU, which may hang. */
#ifndef MINICLOUD_AGENT_QEMU_H
#define MINICLOUD_AGENT_QEMU_H

#include <stdint.h>

/* A pidfd of the process that libvirt's pid file names, if that is this very guest's: the pid
 * may have become somebody else's. -1: there is none. `run_dir`: of the pid files. */
int qemu_pidfd(const char *run_dir, const char *id);
/* Its start in CLOCK_BOOTTIME ms, up to a clock tick too early; 0: not known. */
int64_t qemu_started_at(const char *run_dir, const char *id);
/* CPU time of all its threads since then, in ns; -1: not known. */
int64_t qemu_cpu_ns(const char *run_dir, const char *id);
/* The start of any process in clock ticks since boot, 0: not known. */
int64_t process_start_ticks(long pid);

#endif
