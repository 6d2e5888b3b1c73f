/* Guests' processes in /proc; see qemu.h. */
#include "node-agent/host/qemu.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "node-agent/xml/domain_xml.h"

enum { STAT_UTIME = 14, STAT_STIME = 15, STAT_START = 22, ARGUMENTS_MAX = 1 << 20 };

/* Fields count from 1; the name in field 2 may hold anything, so counting begins after its
 * last bracket. */
static int64_t stat_field(const char *stat, int which)
{
    long long value = -1;
    const char *at = strrchr(stat, ')');
    for (int field = 2; at && field < which; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, " %lld", &value) == 1 ? value : -1;
}

static bool read_stat(long pid, struct buf *out)
{
    char path[64];
    auto_err struct err err = {0};
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    return file_read(path, 4096, out, &err) == 0 && out->len > 0;
}

int64_t process_start_ticks(long pid)
{
    auto_buf struct buf stat = {0};
    int64_t ticks = read_stat(pid, &stat) ? stat_field(stat.data, STAT_START) : 0;
    return ticks > 0 ? ticks : 0;
}

static long read_pid(const char *run_dir, const char *id)
{
    auto_buf struct buf path = {0}, text = {0};
    auto_err struct err err = {0};
    char name[DOMAIN_NAME_MAX];
    domain_name(id, name);
    buf_printf(&path, "%s/%s.pid", run_dir, name);
    if (file_read(path.data, 32, &text, &err) || text.len == 0)
        return 0;
    long pid = strtol(text.data, NULL, 10);
    return pid > 0 ? pid : 0;
}

/* Its arguments hold "guest=<name>," (of -name). One that has ended has none. */
static bool is_guest(long pid, const char *id)
{
    char path[64], name[DOMAIN_NAME_MAX];
    auto_buf struct buf arguments = {0}, wanted = {0};
    auto_err struct err err = {0};
    snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
    domain_name(id, name);
    buf_printf(&wanted, "guest=%s,", name);
    return file_read(path, ARGUMENTS_MAX, &arguments, &err) == 0 && arguments.len > 0 &&
           memmem(arguments.data, arguments.len, wanted.data, wanted.len);
}

/* What was read by its number is asked who it is afterwards: so it was the guest's then. */
static int64_t guest_stat(const char *run_dir, const char *id, int from, int to)
{
    auto_buf struct buf stat = {0};
    int64_t sum = 0;
    long pid = read_pid(run_dir, id);
    if (pid == 0 || !read_stat(pid, &stat) || !is_guest(pid, id))
        return -1;
    for (int field = from; field <= to; field++) {
        int64_t value = stat_field(stat.data, field);
        if (value < 0)
            return -1;
        sum += value;
    }
    return sum;
}

int qemu_pidfd(const char *run_dir, const char *id)
{
    long pid = read_pid(run_dir, id);
    int fd = pid > 0 ? pidfd_open((pid_t)pid, 0) : -1;
    if (fd >= 0 && !is_guest(pid, id)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int64_t qemu_started_at(const char *run_dir, const char *id)
{
    int64_t ticks = guest_stat(run_dir, id, STAT_START, STAT_START);
    return ticks > 0 ? ticks * 1000 / sysconf(_SC_CLK_TCK) : 0;
}

int64_t qemu_cpu_ns(const char *run_dir, const char *id)
{
    int64_t ticks = guest_stat(run_dir, id, STAT_UTIME, STAT_STIME);
    return ticks < 0 ? -1 : ticks * (1000000000 / sysconf(_SC_CLK_TCK));
}
