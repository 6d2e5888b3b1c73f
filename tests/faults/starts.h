/* What starts of QEMU a test's host has seen, told by libvirt itself: it calls a hook before
 * each, which writes a line into a file that nobody else touches and that outlives instance,
 * domain and log. */
#ifndef MINICLOUD_TESTS_STARTS_H
#define MINICLOUD_TESTS_STARTS_H

struct cloud;

/* Before the host is brought up: libvirtd looks for hooks when it starts. */
void starts_record(struct cloud *cloud);
/* The lines, "start <id> run <number>" each, owned by the caller. */
char *starts_seen(struct cloud *cloud);

#endif
