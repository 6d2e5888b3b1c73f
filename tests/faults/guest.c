/* The boot sector, and the host's side of its console. */
#include "tests/faults/guest.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "api/err.h"
#include "api/file.h"
#include "api/mem.h"
#include "tests/lib/cloud.h"

static const unsigned char boot_sector[] = {
    0xba, 0xf8, 0x03,       /*        mov  dx, 0x3f8   COM1 */
    0xb0, 0x42,             /*        mov  al, 'B' */
    0xee,                   /*        out  dx, al */
    0xfb,                   /* sleep: sti */
    0xf4,                   /*        hlt              until the next tick */
    0xba, 0xfd, 0x03,       /*        mov  dx, 0x3fd   its line status */
    0xec,                   /*        in   al, dx */
    0xa8, 0x01,             /*        test al, 1       a byte is there? */
    0x74, 0xf6,             /*        jz   sleep */
    0xba, 0x04, 0x06,       /*        mov  dx, 0x604   q35's power management control */
    0xb8, 0x00, 0x20,       /*        mov  ax, 0x2000  go to S5 */
    0xef,                   /*        out  dx, ax */
    0xfa, 0xf4, 0xeb, 0xfd, /*        cli; hlt; jmp $-1 */
};

char *guest_disk(const char *dir)
{
    autofree unsigned char *disk = xcalloc(1, GUEST_DISK_BYTES);
    char *path = xasprintf("%s/guest.raw", dir);
    struct err auto_err err = {0};
    memcpy(disk, boot_sector, sizeof(boot_sector));
    disk[510] = 0x55;
    disk[511] = 0xaa;
    if (file_write("test", path, disk, GUEST_DISK_BYTES, 0644, &err) < 0)
        cloud_fail("%s", err.msg);
    return path;
}

/* In the host's own mount namespace. */
static const char await_boot[] = "exec 3< <(exec timeout 60 tail -n +1 -F \"$0\" 2>/dev/null);"
                                 "pid=$!; first=$(head -c1 <&3); kill $pid; [ \"$first\" = B ]";

void guest_power_off(struct cloud *cloud, const char *id)
{
    autofree char *log = xasprintf("/var/log/libvirt/minicloud/%s.log", id);
    autofree char *domain = xasprintf("mc-%s", id);
    const char *boot[] = {"bash", "-c", await_boot, log, NULL};
    pid_t pid = guest_pid(cloud, id);
    const char *tty[] = {"virsh", "-q", "-c", "qemu:///system", "ttyconsole", domain, NULL};
    int status;
    if (cloud_on_host(cloud, boot, 70000) != 0)
        cloud_fail("%s does not boot", id);
    autofree char *path = cloud_host_output(cloud, tty, &status);
    path[strcspn(path, "\n")] = '\0';
    autoclose int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (status != 0 || fd < 0 || write(fd, "x", 1) != 1)
        cloud_fail("no console of %s: %s", id, path);
    /* QEMU reads from a terminal only while somebody has it open. */
    if (!guest_await_end(pid, 20000))
        cloud_fail("%s does not switch itself off", id);
}

pid_t guest_pid(struct cloud *cloud, const char *id)
{
    autofree char *path = xasprintf("/run/libvirt/qemu/mc-%s.pid", id);
    const char *argv[] = {"sh", "-c", "cat \"$0\" 2>/dev/null", path, NULL};
    int status;
    autofree char *text = cloud_host_output(cloud, argv, &status);
    return status == 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

int guest_await_end(pid_t pid, int timeout_ms)
{
    autoclose int fd = pidfd_open(pid, 0);
    struct pollfd ends = {.fd = fd, .events = POLLIN};
    return fd < 0 || poll(&ends, 1, timeout_ms) == 1;
}
