/* /dev/kvm: which group guests' QEMU runs with, and whether they can open it at all. */
#ifndef MINICLOUD_AGENT_KVM_H
#define MINICLOUD_AGENT_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KVM_DEVICE "/dev/kvm"

/* The group for guests of this kind (enum virt_type): that of `device` where they use it and it
 * belongs to a group, else nogroup. Never root's: whoever broke out of a QEMU that has it could
 * read what root's group may. */
int64_t kvm_group(int virt, const char *device);
/* Whether a QEMU with that group may open it. */
bool kvm_open_to_guests(const char *device);
/* Its rights in words: "0600, of 0:0"; "not there". */
void kvm_rights(const char *device, char *out, size_t size);

#endif
