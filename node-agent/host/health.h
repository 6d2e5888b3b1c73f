/* What is amiss with this host though it works: seen by the agent, told with each report, shown
 * by `cloudctl node show` with the cure. Pure but for the folder it looks at. */
#ifndef MINICLOUD_AGENT_HEALTH_H
#define MINICLOUD_AGENT_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HEALTH_SLOW_MS: libvirt defines or starts a guest in well under a second.
 * HEALTH_QUICK: so many in a row must do so again before that is over; of many that are under way
 * at once on a busy host some are always quick.
 * HEALTH_PROBES: one probing of QEMU, as after an update of it, rewrites a few files and may be
 * seen by several calls that go on at once; a cache that does not hold is met by every call. */
enum { HEALTH_SLOW_MS = 5000, HEALTH_QUICK = 8, HEALTH_PROBES = 4, HEALTH_TEXT_MAX = 768 };

enum health_code { HEALTH_LIBVIRT_FORGETS, HEALTH_LIBVIRT_SLOW, HEALTH_KVM_CLOSED, HEALTH_CODES };
extern const char *const health_names[HEALTH_CODES + 1];

struct health {
    int64_t counted; /* stamp of the probing that was counted last */
    int in_a_row;    /* calls that met a probing of their own */
    int quick;       /* calls in a row that were */
    /* As it was when it was noticed, so that what is told does not change all the time; "": it is
     * not so. */
    char text[HEALTH_CODES][HEALTH_TEXT_MAX];
};

/* Of libvirt's folder of what QEMU can do: it changes whenever libvirt has probed QEMU; 0: not
 * known. */
int64_t health_stamp(const char *capabilities_dir);

/* A call in which libvirt must know what QEMU can do. Whether that changed what is to be told. */
struct health_call {
    const char *what; /* "define": for people */
    int64_t took_ms;
    int64_t stamp_before, stamp_after;
    const char *kvm; /* device */
};
bool health_note_call(struct health *health, const struct health_call *call);
/* Guests do not use KVM only because they may not open `kvm`. */
bool health_note_kvm(struct health *health, bool closed, const char *kvm);

#endif
