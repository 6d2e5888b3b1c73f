/* Hosts whose /dev/kvm is of no use: closed to all but root, open with nothing behind it, or not
 * there. Each host is made from a /dev of the test's own, so that the machine's stays as it is and
 * none of the three depends on what the machine has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "tests/lib/cloud.h"
#include "tests/lib/guest.h"

enum { HOSTS = 3, ROUNDS = 4, STOP_MS = 60000, PROBING_MS = 600000 };
enum { KVM_MAJOR = 10, KVM_MINOR = 232 };

static struct stage {
    const char *name;
    mode_t mode; /* of /dev/kvm; 0: it is not there */
    struct cloud *cloud;
    int caps_fd;     /* inotify: what libvirt writes down of what QEMU can do */
    int64_t took_ms; /* its newest create */
    int64_t percent; /* of the quickest in the same round, in its best round */
} stages[HOSTS] = {{.name = "0600", .mode = 0600}, {.name = "0666", .mode = 0666}, {.name = "no"}};

/* ---- a /dev of one's own ---- */

static void must(bool done, const char *what, const char *path)
{
    if (!done)
        cloud_fail("%s %s: %m", what, path);
}

static void copy_entry(const char *name, const char *to_dir)
{
    struct stat st;
    char target[256] = "";
    autofree char *from = xasprintf("/dev/%s", name), *to = xasprintf("%s/%s", to_dir, name);
    must(lstat(from, &st) == 0, "lstat", from);
    if (S_ISLNK(st.st_mode)) {
        must(readlink(from, target, sizeof target - 1) > 0, "readlink", from);
        must(symlink(target, to) == 0, "symlink", to);
    } else if (S_ISDIR(st.st_mode)) {
        must(mkdir(to, 0755) == 0, "mkdir", to);
        must(mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0, "bind", to);
    } else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        must(mknod(to, st.st_mode, st.st_rdev) == 0, "mknod", to);
        must(chmod(to, st.st_mode & 07777) == 0, "chmod", to);
    }
}

/* In place of the one before; a host keeps the one that it was made from. */
static void own_dev(const char *dir, mode_t kvm_mode)
{
    autofree char *dev = xasprintf("%s/dev", dir), *kvm = xasprintf("%s/kvm", dev);
    must(mkdir(dev, 0755) == 0, "mkdir", dev);
    must(mount("test", dev, "tmpfs", MS_NOSUID, "mode=0755,size=1m") == 0, "mount", dev);
    DIR *folder = opendir("/dev");
    must(folder != NULL, "opendir", "/dev");
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "kvm") != 0)
            copy_entry(entry->d_name, dev);
    }
    closedir(folder);
    if (kvm_mode) {
        must(mknod(kvm, S_IFCHR | 0600, makedev(KVM_MAJOR, KVM_MINOR)) == 0, "mknod", kvm);
        must(chmod(kvm, kvm_mode) == 0, "chmod", kvm);
    }
    /* One /dev and not a stack of them, which libvirt does not understand. */
    while (umount2("/dev", MNT_DETACH) == 0)
        ;
    must(mount(dev, "/dev", NULL, MS_MOVE, NULL) == 0, "move", dev);
}

/* ---- three clouds ---- */

static void watch_caps(struct stage *stage)
{
    autofree char *dir = xasprintf("%s/host/cache/qemu/capabilities", stage->cloud->dir);
    stage->caps_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    /* Events that are alike and follow each other come as one: so there is one in between. */
    if (inotify_add_watch(stage->caps_fd, dir, IN_CREATE | IN_CLOSE_WRITE) < 0)
        cloud_fail("inotify %s: %m", dir);
}

/* How often QEMU was probed since the last time. */
static int probes(struct stage *stage)
{
    _Alignas(struct inotify_event) char events[4096];
    int count = 0;
    ssize_t got;
    while ((got = read(stage->caps_fd, events, sizeof events)) > 0) {
        for (char *at = events; at < events + got;) {
            const struct inotify_event *event = (const void *)at;
            count += (event->mask & IN_CLOSE_WRITE) != 0;
            at += sizeof *event + event->len;
        }
    }
    return count;
}

static void guest_create(struct stage *stage)
{
    cloud_done(stage->cloud, "POST", "/v1/instances",
               "{\"name\":\"guest\",\"image\":\"switch\",\"vcpus\":1,\"memory_mib\":64,"
               "\"disk_gib\":1}");
}

static void guest_delete(struct stage *stage)
{
    cloud_done(stage->cloud, "DELETE", "/v1/instances/guest", NULL);
}

static int begin(void **state)
{
    static const char *const flags[] = {"--heartbeat=1", "--call-deadline=600", NULL};
    (void)state;
    for (size_t i = 0; i < HOSTS; i++) {
        struct stage *stage = &stages[i];
        autofree char *name = xasprintf("kvm-%s", stage->name);
        struct cloud *cloud = stage->cloud = cloud_new(name);
        own_dev(cloud->dir, stage->mode);
        autofree char *disk = guest_disk(cloud->dir);
        cloud_start_controller(cloud, NULL, NULL);
        cloud_start_agent(cloud, NULL, flags);
        cloud_add_image(cloud, "switch", disk, "raw");
        /* The image is fetched and the network made only once. */
        guest_create(stage);
        guest_delete(stage);
        watch_caps(stage);
    }
    return 0;
}

/* All programs first: what the guard has to undo it undoes for all clouds at once. */
static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOSTS; i++) {
        proc_stop(&stages[i].cloud->agent, STOP_MS);
        proc_stop(&stages[i].cloud->controller, STOP_MS);
        close(stages[i].caps_fd);
    }
    for (size_t i = 0; i < HOSTS; i++)
        cloud_free(stages[i].cloud);
    return 0;
}

/* ---- the tests ---- */

/* One after another, so that whatever else the machine does is about the same for all. */
static void create_on_each(void)
{
    int64_t best_ms = INT64_MAX;
    for (size_t i = 0; i < HOSTS; i++) {
        int64_t began_ms = clock_boottime_ms();
        guest_create(&stages[i]);
        stages[i].took_ms = clock_boottime_ms() - began_ms;
        guest_delete(&stages[i]);
        if (stages[i].took_ms < best_ms)
            best_ms = stages[i].took_ms;
    }
    for (size_t i = 0; i < HOSTS; i++) {
        int64_t percent = 100 * stages[i].took_ms / best_ms;
        if (!stages[i].percent || percent < stages[i].percent)
            stages[i].percent = percent;
    }
}

static void test_kvm__a_create_takes_as_long_whatever_dev_kvm_is(void **state)
{
    (void)state;
    int probed[HOSTS];
    for (int round = 0; round < ROUNDS; round++)
        create_on_each();
    for (size_t i = 0; i < HOSTS; i++) {
        probed[i] = probes(&stages[i]);
        printf("# /dev/kvm %s: %d probings of QEMU, a create in %lld ms, %lld %% of the best\n",
               stages[i].name, probed[i], (long long)stages[i].took_ms,
               (long long)stages[i].percent);
    }
    for (size_t i = 0; i < HOSTS; i++) {
        assert_int_equal(probed[i], 0);
        assert_true(stages[i].percent <= 200);
    }
}

/* The numbers in a line of /proc/PID/status. */
static char *status_line(pid_t pid, const char *name)
{
    autofree char *path = xasprintf("/proc/%d/status", pid);
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    if (file_read(path, 1 << 16, &text, &err))
        cloud_fail("%s", err.msg);
    const char *at = strstr(text.data, name);
    assert_non_null(at);
    at += strlen(name);
    return xstrndup(at, strcspn(at, "\n"));
}

static void test_kvm__no_guest_runs_with_roots_group(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOSTS; i++) {
        struct stage *stage = &stages[i];
        const char *tainted[] = {"sh", "-c", "grep -h tainted /var/log/libvirt/qemu/*.log", NULL};
        guest_create(stage);
        struct answer auto_answer_json made =
            cloud_call(stage->cloud, "GET", "/v1/instances/guest", NULL);
        pid_t pid = guest_pid(stage->cloud, answer_str(&made, "id"));
        assert_true(pid > 0);
        autofree char *gid = status_line(pid, "\nGid:"), *groups = status_line(pid, "\nGroups:");
        autofree char *said = cloud_host_output(stage->cloud, tainted, NULL);
        printf("# /dev/kvm %s: gid%s, groups%s\n", stage->name, gid, groups);
        assert_true(strtol(gid, NULL, 10) > 0);
        assert_true(!groups[strspn(groups, " \t")] || strtol(groups, NULL, 10) > 0);
        assert_null(strstr(said, "high-privileges"));
        guest_delete(stage);
    }
}

/* ---- a libvirt that forgets ---- */

static bool on_host(struct stage *stage, const char *command)
{
    const char *argv[] = {"sh", "-c", command, NULL};
    return cloud_on_host(stage->cloud, argv, STOP_MS) == 0;
}

/* A /dev/kvm on which libvirt cannot agree with itself. Where nothing is behind the node, one that
 * is open to all; where KVM is there, one that was open when QEMU was probed and is closed now. */
static void spoil(struct stage *stage)
{
    if (!on_host(stage, "mknod -m 0666 /dev/kvm c 10 232"))
        cloud_fail("no node could be made");
    if (!on_host(stage, ": <> /dev/kvm"))
        return;
    guest_create(stage);
    guest_delete(stage);
    on_host(stage, "chmod 0600 /dev/kvm");
}

/* A busy machine may have others: of a libvirt that is slow. */
static bool forgets(const struct answer *node)
{
    struct json *conditions = answer_at(node, "conditions");
    auto_buf struct buf text = {0};
    json_print(conditions, false, &text);
    return strstr(text.data, "\"libvirt_forgets\"") != NULL;
}

static void await_forgets(struct stage *stage, const char *node, bool wanted)
{
    int64_t until_ms = clock_boottime_ms() + PROBING_MS;
    for (;;) {
        /* The revision first: a change between the two requests ends the wait at once. */
        struct answer auto_answer_json log = cloud_call(stage->cloud, "GET", "/v1/healthz", NULL);
        struct answer auto_answer_json now = cloud_call(stage->cloud, "GET", node, NULL);
        if (forgets(&now) == wanted)
            return;
        if (clock_boottime_ms() > until_ms)
            cloud_fail("not as wanted: %s", now.text);
        autofree char *wait = xasprintf("/v1/events?after=%lld&wait=2s&limit=1",
                                        (long long)answer_i64(&log, "revision"));
        struct answer moved = cloud_call(stage->cloud, "GET", wait, NULL);
        answer_release(&moved);
    }
}

static void assert_shown(struct stage *stage, const char *node)
{
    autofree char *program = xasprintf("%s/cloudctl", stage->cloud->bin);
    const char *argv[] = {program, "node", "show", node, NULL};
    int status = 0;
    setenv("CLOUDCTL_URL", stage->cloud->url, 1);
    setenv("CLOUDCTL_TOKEN", stage->cloud->token, 1);
    autofree char *shown = proc_output(argv, &status, STOP_MS);
    assert_int_equal(status, 0);
    printf("%s", shown);
    assert_non_null(strstr(shown, "libvirt forgets what QEMU can do"));
    assert_non_null(strstr(shown, "chmod 0660 /dev/kvm"));
}

static void test_kvm__a_libvirt_that_forgets_is_shown_of_its_node_with_the_cure(void **state)
{
    (void)state;
    struct stage *stage = &stages[HOSTS - 1];
    autofree char *node = xasprintf("/v1/nodes/%s", stage->cloud->host);
    struct answer auto_answer_json before = cloud_call(stage->cloud, "GET", node, NULL);
    if (strcmp(answer_str(&before, "virt"), "qemu") != 0)
        skip();
    assert_false(forgets(&before));
    spoil(stage);
    for (int i = 0; i < 2; i++) {
        guest_create(stage);
        guest_delete(stage);
    }
    await_forgets(stage, node, true);
    printf("# %d probings of QEMU for two creates\n", probes(stage));
    assert_shown(stage, stage->cloud->host);

    assert_true(on_host(stage, "rm /dev/kvm"));
    guest_create(stage);
    guest_delete(stage);
    await_forgets(stage, node, false);
}

/* Everything below is the children's too; nothing of it is the machine's. */
static void leave_the_machines_mounts(void)
{
    must(unshare(CLONE_NEWNS) == 0, "unshare", "mounts");
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make private", "/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kvm__a_create_takes_as_long_whatever_dev_kvm_is),
        cmocka_unit_test(test_kvm__no_guest_runs_with_roots_group),
        cmocka_unit_test(test_kvm__a_libvirt_that_forgets_is_shown_of_its_node_with_the_cure),
    };
    leave_the_machines_mounts();
    return cmocka_run_group_tests(tests, begin, end);
}
