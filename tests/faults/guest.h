/* A guest that costs nothing: a boot sector that says 'B' on its serial console once for each
 * boot, then sleeps, ignores the power button, and switches itself off when a byte comes in
 * on the console. And the QEMU processes of a test's host. */
#ifndef MINICLOUD_TESTS_GUEST_H
#define MINICLOUD_TESTS_GUEST_H

#include <stdint.h>
#include <sys/types.h>

struct cloud;

enum { GUEST_DISK_BYTES = 1 << 20 };

/* Writes the raw disk; its path, owned by the caller. */
char *guest_disk(const char *dir);
/* Waits for the boot of the guest, has it switch itself off, and waits for its QEMU's end. */
void guest_power_off(struct cloud *cloud, const char *id);
/* The pid of an instance's QEMU, 0 when there is none. */
pid_t guest_pid(struct cloud *cloud, const char *id);
/* Whether that very process ends within timeout_ms. */
int guest_await_end(pid_t pid, int timeout_ms);

#endif
