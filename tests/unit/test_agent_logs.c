/* The logs of a deleted instance: removed last, all of them and nothing else, from wherever
 * the agent was when it died. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/base/failpoint.h"
#include "api/base/file.h"
#include "tests/lib/guard.h"
#include "tests/unit/agent_model.h"

#define OTHER "01900000-0000-7000-8000-000000000002"
#define DOMAIN "mc-" INSTANCE

struct site {
    char *dir, *consoles, *qemu;
    struct model model;
};

static int set_up(void **state)
{
    struct site *site = xcalloc(1, sizeof *site);
    site->dir = guard_tempdir("logs");
    site->consoles = xasprintf("%s/consoles", site->dir);
    site->qemu = xasprintf("%s/qemu", site->dir);
    assert_int_equal(mkdir(site->consoles, 0700), 0);
    assert_int_equal(mkdir(site->qemu, 0700), 0);
    *state = site;
    return 0;
}

static int tear_down(void **state)
{
    struct site *site = *state;
    free(site->model.xml);
    free(site->consoles);
    free(site->qemu);
    free(site->dir);
    free(site);
    guard_flush();
    return 0;
}

static void put(const char *folder, const char *name)
{
    autofree char *path = xasprintf("%s/%s", folder, name);
    auto_err struct err err = {0};
    if (file_write("test", path, "x", 1, 0600, &err))
        fail_msg("%s", err.msg);
}

static bool is_there(const char *folder, const char *name)
{
    autofree char *path = xasprintf("%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static const char *const console_logs[] = {INSTANCE ".log", INSTANCE ".log.0", INSTANCE ".log.12"};
static const char *const qemu_logs[] = {DOMAIN ".log", DOMAIN ".log.0", DOMAIN ".log.1",
                                        DOMAIN ".log.2.gz"};

static void put_logs(const struct site *site)
{
    for (size_t i = 0; i < ARRAY_SIZE(console_logs); i++)
        put(site->consoles, console_logs[i]);
    for (size_t i = 0; i < ARRAY_SIZE(qemu_logs); i++)
        put(site->qemu, qemu_logs[i]);
}

static size_t logs_left(const struct site *site)
{
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(console_logs); i++)
        count += is_there(site->consoles, console_logs[i]);
    for (size_t i = 0; i < ARRAY_SIZE(qemu_logs); i++)
        count += is_there(site->qemu, qemu_logs[i]);
    return count;
}

enum { ALL_LOGS = ARRAY_SIZE(console_logs) + ARRAY_SIZE(qemu_logs) };

/* ---- the agent ---- */

static int on_witness(void *ctx, struct observation *o, struct err *err)
{
    (void)o;
    return model_dies(ctx, err) ? -1 : 0;
}

static void on_ended(void *ctx, const char *id, int64_t run, struct ending *ret)
{
    (void)ctx;
    (void)id;
    (void)run;
    *ret = (struct ending){.noticed = true};
}

static int on_sync(void *ctx, struct err *err)
{
    return model_dies(ctx, err) ? -1 : 0;
}

/* One life: until nothing is left to do, it dies, or a step fails. The last decision. */
static enum step live(struct site *site, const struct desired_instance *d, struct err *err)
{
    enum { MOST_STEPS = 50 };
    struct facts f = {.id = INSTANCE, .image_ready = true};
    struct situation s = {.desired = d, .epoch = EPOCH, .seed = SEED, .facts = &f};
    struct step_env env = {.host = {&model_ops, &site->model},
                           .virt = VIRT_QEMU,
                           .gid = 107,
                           .pool_path = "/pool",
                           .console_dir = site->consoles,
                           .qemu_log_dir = site->qemu,
                           .ctx = &site->model,
                           .witness = on_witness,
                           .witness_sync = on_sync,
                           .ended = on_ended};
    size_t before = logs_left(site);
    if (step_look(&env, &s, true, &f, err))
        return STEP_LIST;
    for (int i = 0; i < MOST_STEPS; i++) {
        struct decision next = converge(&s);
        if (next.step == STEP_NOTHING || step_do(&env, &s, &f, &next, err))
            return next.step;
        /* Whatever is known only by the domain is dealt with while it is there. */
        if (site->model.domain.defined)
            assert_int_equal(logs_left(site), before);
    }
    fail_msg("it does not come to an end");
    return STEP_WAIT;
}

static struct desired_instance tombstone(void)
{
    struct desired_instance d = desired_running();
    d.generation = 2;
    d.deleted = true;
    return d;
}

static void assert_deleted(struct site *site)
{
    struct desired_instance d = tombstone();
    auto_err struct err err = {0};
    enum step last = live(site, &d, &err);
    if (last != STEP_NOTHING)
        fail_msg("%s: %s", step_names[last], err.msg);
    assert_false(site->model.domain.defined);
    assert_int_equal(logs_left(site), 0);
}

/* ---- the tests ---- */

static void test_logs__a_deleted_instance_leaves_none(void **state)
{
    struct site *site = *state;
    model_put_domain(&site->model);
    put_logs(site);
    assert_deleted(site);
}

static void test_logs__of_others_stay(void **state)
{
    static const char *const others[] = {
        "mc-" OTHER ".log", "mc-" OTHER ".log.0", DOMAIN,           DOMAIN ".logs",
        DOMAIN ".log.",     DOMAIN ".log.x",      DOMAIN ".log.1x", DOMAIN ".log.1.gz.old",
        DOMAIN ".log.gz",   DOMAIN "-2.log",      INSTANCE ".log",  "libvirtd.log"};
    struct site *site = *state;
    put_logs(site);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        put(site->qemu, others[i]);
    put(site->consoles, OTHER ".log");
    assert_deleted(site);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_true(is_there(site->qemu, others[i]));
    assert_true(is_there(site->consoles, OTHER ".log"));
}

static void test_logs__stay_while_the_instance_does(void **state)
{
    struct site *site = *state;
    struct desired_instance d = desired_running();
    auto_err struct err err = {0};
    model_put_domain(&site->model);
    put_logs(site);
    d.generation = 2;
    d.power = POWER_STOPPED;
    d.force = true;
    d.disk_number = 2; /* rebuilt */
    site->model.image = true;
    assert_int_equal(live(site, &d, &err), STEP_NOTHING);
    assert_int_equal(site->model.domain.power, HOST_OFF);
    assert_int_equal(site->model.domain.mark.disk, 2);
    assert_int_equal(logs_left(site), ALL_LOGS);
}

static void test_logs__folders_may_be_missing(void **state)
{
    struct site *site = *state;
    model_put_domain(&site->model);
    assert_int_equal(rmdir(site->consoles), 0);
    assert_int_equal(rmdir(site->qemu), 0);
    assert_deleted(site);
}

static void test_logs__that_cannot_be_removed_are_told(void **state)
{
    struct site *site = *state;
    struct desired_instance d = tombstone();
    auto_err struct err err = {0};
    autofree char *path = xasprintf("%s/" DOMAIN ".log", site->qemu);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(live(site, &d, &err), STEP_REMOVE_LOGS);
    assert_non_null(strstr(err.msg, path));
    err_clear(&err);
    assert_int_equal(rmdir(path), 0);
    put_logs(site);
    assert_deleted(site);
}

static void test_logs__a_folder_that_cannot_be_read_is_told(void **state)
{
    struct site *site = *state;
    struct desired_instance d = tombstone();
    auto_err struct err err = {0};
    assert_int_equal(rmdir(site->qemu), 0);
    put(site->dir, "qemu");
    assert_int_equal(live(site, &d, &err), STEP_REMOVE_LOGS);
    assert_non_null(strstr(err.msg, site->qemu));
}

static void test_logs__are_removed_though_the_agent_died_at_any_side_effect(void **state)
{
    struct site *site = *state;
    struct desired_instance d = tombstone();
    int deaths = 0;
    bool died;
    do {
        auto_err struct err err = {0};
        model_put_domain(&site->model);
        put_logs(site);
        site->model.crash_at = site->model.ops + deaths + 1;
        enum step last = live(site, &d, &err);
        died = site->model.crashed;
        deaths += died;
        assert_int_equal(last == STEP_NOTHING, !died);
        site->model.crashed = false;
        site->model.crash_at = 0;
        assert_deleted(site);
        free(take(site->model.xml));
    } while (died);
    assert_true(deaths > 6);
}

/* Dies at the n-th passage of `site_name`; whether it came there. */
static bool dies_at(struct site *site, const char *site_name, int n)
{
    struct desired_instance d = tombstone();
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        auto_err struct err err = {0};
        autofree char *place = xasprintf("%s:%d", site_name, n);
        setenv("MINICLOUD_FAILPOINT", place, 1);
        failpoint_init();
        _exit(live(site, &d, &err) != STEP_NOTHING);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGKILL;
    assert_int_equal(status, 0);
    return false;
}

static void test_logs__are_removed_though_the_agent_died_between_two_of_them(void **state)
{
    static const struct {
        const char *site;
        int passages;
    } places[] = {{"file.unlink:console", ARRAY_SIZE(console_logs)},
                  {"file.fsync_dir:console", ARRAY_SIZE(console_logs)},
                  {"file.unlink:qemu_log", ARRAY_SIZE(qemu_logs)},
                  {"file.fsync_dir:qemu_log", ARRAY_SIZE(qemu_logs)}};
    struct site *site = *state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        for (int n = 1; n <= places[i].passages; n++) {
            put_logs(site);
            assert_true(dies_at(site, places[i].site, n));
            assert_deleted(site);
        }
    }
    /* And a folder that has lost them, but not yet for good, is synced. */
    assert_true(dies_at(site, "file.fsync_dir:console", 1));
    assert_true(dies_at(site, "file.fsync_dir:qemu_log", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logs__a_deleted_instance_leaves_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_logs__of_others_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_logs__stay_while_the_instance_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_logs__folders_may_be_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_logs__that_cannot_be_removed_are_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_logs__a_folder_that_cannot_be_read_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_logs__are_removed_though_the_agent_died_at_any_side_effect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_logs__are_removed_though_the_agent_died_between_two_of_them, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
