/* A guest that costs nothing: a boot sector that says 'B' on its serial console once for each
 * boot, then sleeps, ignores the power button, and switches itself off when a byte comes in
 * on the console. And the QEMU processes of a test's host. */
#ifndef MINICLOUD_TESTS_GUEST_H
#define MINICLOUD_TESTS_GUEST_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

struct cloud;

/* ---- the boot sector ---- */

enum { GUEST_DISK_BYTES = 1 << 20 };

/* Writes the raw disk; its path, owned by the caller. */
char *guest_disk(const char *dir);
/* Waits for the boot of the guest, has it switch itself off, and waits for its QEMU's end. */
void guest_power_off(struct cloud *cloud, const char *id);
/* The pid of an instance's QEMU, 0 when there is none. */
pid_t guest_pid(struct cloud *cloud, const char *id);
/* Whether that very process ends within timeout_ms. */
int guest_await_end(pid_t pid, int timeout_ms);

/* ---- the tiny image of cloud.h ---- */

/* Its address. Owned by the caller. */
char *guest_address(struct cloud *cloud, const char *name);
/* What it answers, to the end of the line; curl itself tries again until it is up. Owned by the
 * caller. */
char *guest_ask(struct cloud *cloud, const char *address, const char *path);

/* ---- when QEMU began and ended ---- */

/* One QEMU, by what the kernel tells of it; in ms of CLOCK_BOOTTIME. */
struct guest_run {
    pid_t pid;
    int pidfd;
    int64_t began_ms; /* to a clock tick, of which there are a hundred in a second */
    int64_t ended_ms; /* read it by guest_run_end */
    pthread_t watcher;
};

/* Watches an instance's QEMU from now on; fails the test where there is none. */
struct guest_run *guest_run_watch(struct cloud *cloud, const char *id);
/* Waits for its end, and tells when it was; frees. */
int64_t guest_run_end(struct guest_run *run, int timeout_ms);

#endif
