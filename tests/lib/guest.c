/* The boot sector, the host's side of its console, and when QEMU began and ended. */
#include "tests/lib/guest.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
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

/* ---- the tiny image ---- */

char *guest_address(struct cloud *cloud, const char *name)
{
    autofree char *path = xasprintf("/v1/instances/%s", name);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", path, NULL);
    const char *address = answer_str(&shown, "addresses.0.address");
    if (!address)
        cloud_fail("no address: %s", shown.text);
    return xstrdup(address);
}

char *guest_ask(struct cloud *cloud, const char *address, const char *path)
{
    autofree char *url = xasprintf("http://%s%s", address, path);
    int status = 0;
    const char *argv[] = {"curl",
                          "-sf",
                          "--max-time",
                          "5",
                          "--retry",
                          "200",
                          "--retry-delay",
                          "1",
                          "--retry-max-time",
                          "100",
                          "--retry-all-errors",
                          url,
                          NULL};
    char *text = cloud_host_output(cloud, argv, &status);
    if (status != 0)
        cloud_fail("the guest at %s does not answer (curl %d)", url, status);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* ---- one run ---- */

/* Field 22 of /proc/PID/stat, in clock ticks; QEMU's own name has no bracket. */
static int64_t began_ms(pid_t pid)
{
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    long long ticks = 0;
    autofree char *path = xasprintf("/proc/%d/stat", pid);
    if (file_read(path, 4096, &text, &err))
        cloud_fail("%s", err.msg);
    const char *at = strrchr(text.data, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, " %lld", &ticks) != 1)
        cloud_fail("%s", text.data);
    return ticks * 1000 / sysconf(_SC_CLK_TCK);
}

/* A thread of its own: whoever started the guest may be waiting on something else. */
static void *watch(void *ctx)
{
    struct guest_run *run = ctx;
    struct pollfd ends = {.fd = run->pidfd, .events = POLLIN};
    while (poll(&ends, 1, -1) != 1)
        ;
    run->ended_ms = clock_boottime_ms();
    return NULL;
}

struct guest_run *guest_run_watch(struct cloud *cloud, const char *id)
{
    struct guest_run *run = xcalloc(1, sizeof(*run));
    run->pid = guest_pid(cloud, id);
    run->pidfd = run->pid > 0 ? pidfd_open(run->pid, 0) : -1;
    if (run->pidfd < 0)
        cloud_fail("%s has no QEMU", id);
    run->began_ms = began_ms(run->pid);
    if (pthread_create(&run->watcher, NULL, watch, run) != 0)
        abort();
    return run;
}

int64_t guest_run_end(struct guest_run *run, int timeout_ms)
{
    struct pollfd ends = {.fd = run->pidfd, .events = POLLIN};
    if (poll(&ends, 1, timeout_ms) != 1)
        cloud_fail("QEMU %d does not end", run->pid);
    pthread_join(run->watcher, NULL);
    int64_t ended_ms = run->ended_ms;
    close(run->pidfd);
    free(run);
    return ended_ms;
}
