/* See health.h. */
#include "node-agent/host/health.h"

#include <stdio.h>
#include <sys/stat.h>

#include "node-agent/host/kvm.h"

const char *const health_names[HEALTH_CODES + 1] = {
    [HEALTH_LIBVIRT_FORGETS] = "libvirt_forgets",
    [HEALTH_LIBVIRT_SLOW] = "libvirt_slow",
    [HEALTH_KVM_CLOSED] = "kvm_closed",
};

/* libvirt removes the file that it does not believe and makes it anew, so the folder tells. */
int64_t health_stamp(const char *capabilities_dir)
{
    struct stat st;
    if (stat(capabilities_dir, &st) != 0)
        return 0;
    return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* What is there to be told already stays as it is. */
static bool set(struct health *health, enum health_code code, bool is, const char *text)
{
    bool was = health->text[code][0] != '\0';
    if (is && !was)
        snprintf(health->text[code], HEALTH_TEXT_MAX, "%s", text);
    else if (!is)
        health->text[code][0] = '\0';
    return is != was;
}

static void count_probing(struct health *health, const struct health_call *call)
{
    bool probed = call->stamp_before != call->stamp_after;
    if (!probed)
        health->in_a_row = 0;
    else if (call->stamp_after != health->counted)
        health->in_a_row++;
    if (probed)
        health->counted = call->stamp_after;
}

static bool note_forgetting(struct health *health, const struct health_call *call)
{
    char text[HEALTH_TEXT_MAX], rights[64];
    kvm_rights(call->kvm, rights, sizeof rights);
    snprintf(text, sizeof text,
             "libvirt forgets what QEMU can do and probes it anew whenever it defines or starts a "
             "guest (the last %s took %lld ms): it finds KVM when it probes and not when QEMU's "
             "own user asks, or the other way round. %s is %s. Let QEMU's group use it (chgrp kvm "
             "%s && chmod 0660 %s, and a udev rule so that it lasts), or take it away where KVM "
             "is of no use (rmmod kvm_intel kvm_amd kvm, or rm %s); libvirtd need not be "
             "restarted",
             call->what, (long long)call->took_ms, call->kvm, rights, call->kvm, call->kvm,
             call->kvm);
    return set(health, HEALTH_LIBVIRT_FORGETS, health->in_a_row >= HEALTH_PROBES, text);
}

static bool note_slowness(struct health *health, const struct health_call *call)
{
    char text[HEALTH_TEXT_MAX];
    snprintf(text, sizeof text,
             "libvirt took %lld ms for a %s, which takes it well under a second: look at the "
             "host's load and at its disk, and whether libvirtd hangs (restarting it disturbs no "
             "guest)",
             (long long)call->took_ms, call->what);
    bool was = health->text[HEALTH_LIBVIRT_SLOW][0] != '\0';
    bool unexplained = health->text[HEALTH_LIBVIRT_FORGETS][0] == '\0';
    health->quick += health->quick < HEALTH_QUICK;
    if (call->took_ms >= HEALTH_SLOW_MS)
        health->quick = 0;
    bool is = health->quick == 0 || (was && health->quick < HEALTH_QUICK);
    return set(health, HEALTH_LIBVIRT_SLOW, is && unexplained, text);
}

bool health_note_call(struct health *health, const struct health_call *call)
{
    count_probing(health, call);
    bool forgets = note_forgetting(health, call), slow = note_slowness(health, call);
    return forgets || slow;
}

bool health_note_kvm(struct health *health, bool closed, const char *kvm)
{
    char text[HEALTH_TEXT_MAX], rights[64];
    kvm_rights(kvm, rights, sizeof rights);
    snprintf(text, sizeof text,
             "guests cannot use KVM, though this host's CPU has virtualization: %s is %s, and QEMU "
             "never runs with root's group. chgrp kvm %s && chmod 0660 %s, and a udev rule so that "
             "it lasts, then restart libvirtd and the agent. Until then `auto` emulates guests, "
             "many times slower",
             kvm, rights, kvm, kvm);
    return set(health, HEALTH_KVM_CLOSED, closed, text);
}
