/* Starting and stopping the parts of a test's cloud. */
#include "tests/lib/cloud.h"

#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "tests/lib/guard.h"

enum { READY_MS = 60000, STOP_MS = 60000, MAX_ARGS = 48 };

void cloud_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "# ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    fail();
    abort();
}

/* build/<variant>, from the place of the running test. */
static char *programs_folder(void)
{
    const char *given = getenv("MINICLOUD_BIN");
    char self[PATH_MAX] = "";
    if (given && given[0])
        return realpath(given, NULL);
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        abort();
    for (int up = 0; up < 2; up++)
        *strrchr(self, '/') = '\0';
    return xstrdup(self);
}

/* The top of the source tree: build/<variant>/../.. */
static char *source_path(const char *bin, const char *rest)
{
    const char *given = getenv("MINICLOUD_SOURCE");
    return given ? xasprintf("%s/%s", given, rest) : xasprintf("%s/../../%s", bin, rest);
}

struct cloud *cloud_new(const char *name)
{
    struct cloud *cloud = xcalloc(1, sizeof(*cloud));
    cloud->dir = guard_tempdir(name);
    cloud->bin = programs_folder();
    cloud->url = xasprintf("unix:%s/data/api.sock", cloud->dir);
    return cloud;
}

void cloud_free(struct cloud *cloud)
{
    if (!cloud)
        return;
    if (cloud->agent.pid > 0)
        proc_stop(&cloud->agent, STOP_MS);
    if (cloud->controller.pid > 0)
        proc_stop(&cloud->controller, STOP_MS);
    http_client_free(cloud->client);
    guard_flush();
    free(cloud->dir);
    free(cloud->host);
    free(cloud->bin);
    free(cloud->url);
    free(cloud->token);
    free(cloud);
}

/* ---- readiness by sd_notify(3)'s datagram ---- */

static int notify_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        cloud_fail("%s is too long for a socket; set TMPDIR to something shorter", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        cloud_fail("cannot bind %s", path);
    return fd;
}

/* 0 when READY=1 came, -1 when the process ended or time ran out first. */
static int await_ready(struct proc *proc, int fd)
{
    int64_t deadline = clock_boottime_ms() + READY_MS;
    for (;;) {
        struct pollfd wait[2] = {{.fd = fd, .events = POLLIN},
                                 {.fd = proc->pidfd, .events = POLLIN}};
        int64_t left = deadline - clock_boottime_ms();
        if (left <= 0 || poll(wait, 2, (int)left) <= 0)
            return -1;
        if (wait[0].revents & POLLIN) {
            char text[256] = "";
            ssize_t got = recv(fd, text, sizeof(text) - 1, 0);
            if (got > 0 && strstr(text, "READY=1"))
                return 0;
        } else if (wait[1].revents) {
            return -1;
        }
    }
}

static void print_end(const char *log)
{
    struct buf auto_buf text = {0};
    struct err auto_err err = {0};
    if (file_read(log, 64 << 20, &text, &err) < 0)
        return;
    const char *from = text.len > 3000 ? text.data + text.len - 3000 : text.data;
    fprintf(stderr, "---- end of %s\n%s\n----\n", log, from ? from : "");
}

static int start_and_await(struct cloud *cloud, struct proc *proc, const char *const argv[],
                           const char *const env[], const char *what)
{
    autofree char *log = xasprintf("%s/%s.log", cloud->dir, what);
    autofree char *socket_path = xasprintf("%s/%s.notify", cloud->dir, what);
    autofree char *notify = xasprintf("NOTIFY_SOCKET=%s", socket_path);
    const char *all[MAX_ARGS] = {notify};
    for (int i = 0; env && env[i] && i + 2 < MAX_ARGS; i++)
        all[i + 1] = env[i];
    int fd = notify_socket(socket_path);
    *proc = proc_start(argv, all, log);
    int ready = await_ready(proc, fd);
    close(fd);
    return ready;
}

static int append(const char **argv, int count, const char *const more[])
{
    for (int i = 0; more && more[i] && count + 1 < MAX_ARGS; i++)
        argv[count++] = more[i];
    argv[count] = NULL;
    return count;
}

static int read_token(struct cloud *cloud)
{
    autofree char *path = xasprintf("%s/data/admin.token", cloud->dir);
    struct buf auto_buf text = {0};
    struct err auto_err err = {0};
    if (file_read(path, 4096, &text, &err) < 0) {
        fprintf(stderr, "# no admin token: %s\n", err.msg);
        return -1;
    }
    free(cloud->token);
    cloud->token = xstrndup(text.data, strcspn(text.data, "\r\n"));
    return 0;
}

static void connect_client(struct cloud *cloud)
{
    struct err auto_err err = {0};
    struct http_client_settings settings = {
        .url = cloud->url, .token = cloud->token, .user_agent = "minicloud-tests"};
    http_client_free(cloud->client);
    cloud->client = NULL;
    if (http_client_new(&settings, &cloud->client, &err) < 0)
        cloud_fail("no client: %s", err.msg);
}

int cloud_try_controller(struct cloud *cloud, const char *const env[], const char *const flags[])
{
    autofree char *program = xasprintf("%s/cloud-controller", cloud->bin);
    autofree char *data = xasprintf("--data-dir=%s/data", cloud->dir);
    const char *own[] = {program, data, "--listen=", NULL};
    const char *argv[MAX_ARGS];
    append(argv, append(argv, append(argv, 0, cloud->controller_wrap), own), flags);
    if (start_and_await(cloud, &cloud->controller, argv, env, "controller") < 0 ||
        read_token(cloud) < 0)
        return -1;
    connect_client(cloud);
    return 0;
}

void cloud_start_controller(struct cloud *cloud, const char *const env[], const char *const flags[])
{
    if (cloud_try_controller(cloud, env, flags) < 0) {
        autofree char *log = xasprintf("%s/controller.log", cloud->dir);
        print_end(log);
        cloud_fail("the controller did not become ready");
    }
}

/* ---- the host ---- */

/* libvirtd looks for hooks when it starts. */
static void install_hook(struct cloud *cloud)
{
    autofree char *program = xasprintf("%s/cloud-node-agent", cloud->bin);
    autofree char *state = xasprintf("--state-dir=%s/agent", cloud->dir);
    autofree char *hooks = xasprintf("--hook-dir=%s/host/etc/hooks/qemu.d", cloud->dir);
    autofree char *log = xasprintf("%s/host.log", cloud->dir);
    const char *argv[] = {program, "--install-hook", state, hooks, NULL};
    if (proc_run(argv, NULL, log, 20000) != 0) {
        print_end(log);
        cloud_fail("libvirt's hook could not be installed");
    }
}

void cloud_host_up(struct cloud *cloud)
{
    static int count;
    if (cloud->host)
        return;
    cloud->host = xasprintf("mct%d-%d", getpid(), ++count);
    autofree char *program = source_path(cloud->bin, "packaging/local/host-ns");
    autofree char *dir = xasprintf("%s/host", cloud->dir);
    autofree char *log = xasprintf("%s/host.log", cloud->dir);
    const char *down[] = {program, "down", cloud->host, dir, "--data", NULL};
    guard_run(down);
    install_hook(cloud);
    const char *up[] = {program, "up", cloud->host, dir, NULL};
    if (proc_run(up, NULL, log, 120000) != 0) {
        print_end(log);
        cloud_fail("the host did not come up");
    }
}

static int host_argv(struct cloud *cloud, char *program, const char **argv,
                     const char *const command[])
{
    argv[0] = program;
    argv[1] = "exec";
    argv[2] = cloud->host;
    return append(argv, 3, command);
}

int cloud_try_agent(struct cloud *cloud, const char *const env[], const char *const flags[])
{
    cloud_host_up(cloud);
    autofree char *host_ns = source_path(cloud->bin, "packaging/local/host-ns");
    autofree char *program = xasprintf("%s/cloud-node-agent", cloud->bin);
    autofree char *url = xasprintf("--controller=%s", cloud->url);
    autofree char *join = xasprintf("--join-token-file=%s/data/join.token", cloud->dir);
    autofree char *state = xasprintf("--state-dir=%s/agent", cloud->dir);
    autofree char *name = xasprintf("--name=%s", cloud->host);
    const char *own[] = {program, url, join, state, name, NULL};
    const char *command[MAX_ARGS];
    append(command, append(command, append(command, 0, cloud->agent_wrap), own), flags);
    const char *argv[MAX_ARGS];
    host_argv(cloud, host_ns, argv, command);
    return start_and_await(cloud, &cloud->agent, argv, env, "agent");
}

void cloud_start_agent(struct cloud *cloud, const char *const env[], const char *const flags[])
{
    if (cloud_try_agent(cloud, env, flags) < 0) {
        autofree char *log = xasprintf("%s/agent.log", cloud->dir);
        print_end(log);
        cloud_fail("the agent did not become ready");
    }
}

int cloud_on_host(struct cloud *cloud, const char *const command[], int timeout_ms)
{
    autofree char *host_ns = source_path(cloud->bin, "packaging/local/host-ns");
    autofree char *log = xasprintf("%s/on-host.log", cloud->dir);
    const char *argv[MAX_ARGS];
    host_argv(cloud, host_ns, argv, command);
    return proc_run(argv, NULL, log, timeout_ms);
}

char *cloud_host_output(struct cloud *cloud, const char *const command[], int *ret_status)
{
    autofree char *host_ns = source_path(cloud->bin, "packaging/local/host-ns");
    const char *argv[MAX_ARGS];
    host_argv(cloud, host_ns, argv, command);
    return proc_output(argv, ret_status, 60000);
}

void cloud_libvirtd(struct cloud *cloud, const char *verb)
{
    autofree char *host_ns = source_path(cloud->bin, "packaging/local/host-ns");
    const char *argv[] = {host_ns, verb, cloud->host, NULL};
    if (proc_run(argv, NULL, NULL, 60000) != 0)
        cloud_fail("%s failed", verb);
}

char *cloud_source(const struct cloud *cloud, const char *path)
{
    return source_path(cloud->bin, path);
}

char *cloud_tiny_image(bool stubborn)
{
    autofree char *bin = programs_folder();
    autofree char *builder = source_path(bin, "packaging/image/build-tiny");
    const char *given = getenv("MINICLOUD_IMAGES");
    autofree char *folder = given ? xstrdup(given) : source_path(bin, "build/images");
    char *path = xasprintf("%s/%s.qcow2", folder, stubborn ? "stubborn" : "tiny");
    struct err auto_err err = {0};
    if (access(path, R_OK) == 0)
        return path;
    if (file_mkdirs(folder, 0755, &err) < 0)
        cloud_fail("%s", err.msg);
    const char *argv[] = {builder, path, stubborn ? "--ignore-power-button" : NULL, NULL};
    if (proc_run(argv, NULL, "/dev/null", 300000) != 0)
        cloud_fail("%s failed", builder);
    return path;
}
