/* See kvm.h. */
#include "node-agent/host/kvm.h"

#include <stdio.h>
#include <sys/stat.h>

#include "api/types.h"

enum { NOGROUP = 65534 };

int64_t kvm_group(int virt, const char *device)
{
    struct stat st;
    bool used = virt == VIRT_KVM && stat(device, &st) == 0 && st.st_gid != 0;
    return used ? (int64_t)st.st_gid : NOGROUP;
}

bool kvm_open_to_guests(const char *device)
{
    struct stat st;
    if (stat(device, &st) != 0)
        return false;
    mode_t need = st.st_gid != 0 ? S_IRGRP | S_IWGRP : S_IROTH | S_IWOTH;
    return (st.st_mode & need) == need;
}

void kvm_rights(const char *device, char *out, size_t size)
{
    struct stat st;
    if (stat(device, &st) != 0)
        snprintf(out, size, "not there");
    else
        snprintf(out, size, "%04o, of %u:%u", (unsigned)st.st_mode & 07777, (unsigned)st.st_uid,
                 (unsigned)st.st_gid);
}
