/* libvirtd, the agent and the controller die and return while guests run: no guest notices,
 * and everything comes together again without a person. A guest's own end is told with
 * evidence by whoever returns; a QEMU that hangs is nobody's problem but its own. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"
#include "tests/lib/guest.h"

static int begin(void **state)
{
    struct cloud *cloud = cloud_new("deaths");
    autofree char *disk = guest_disk(cloud->dir);
    cloud_start_controller(cloud, NULL, NULL);
    cloud_start_agent(cloud, NULL, NULL);
    cloud_add_image(cloud, "switch", disk, "raw");
    *state = cloud;
    return 0;
}

static int end(void **state)
{
    cloud_free(*state);
    return 0;
}

/* Its id, owned by the caller. */
static char *create(struct cloud *cloud, const char *name)
{
    autofree char *path = xasprintf("/v1/instances/%s", name);
    cloud_done(cloud, "POST", "/v1/instances",
               "{\"name\":\"%s\",\"image\":\"switch\",\"vcpus\":1,\"memory_mib\":128,"
               "\"disk_gib\":1}",
               name);
    struct answer auto_answer_json made = cloud_call(cloud, "GET", path, NULL);
    assert_string_equal(answer_str(&made, "state"), "running");
    return xstrdup(answer_str(&made, "id"));
}

static void delete (struct cloud *cloud, const char *id)
{
    autofree char *path = xasprintf("/v1/instances/%s", id);
    cloud_done(cloud, "DELETE", path, NULL);
}

enum victim { LIBVIRTD, AGENT, CONTROLLER, VICTIMS };
static const char *const victim_names[] = {"libvirtd", "the agent", "the controller"};

static void kill_one(struct cloud *cloud, enum victim victim)
{
    if (victim == LIBVIRTD)
        cloud_libvirtd(cloud, "kill-libvirtd");
    else
        proc_kill(victim == AGENT ? &cloud->agent : &cloud->controller);
}

static void bring_back(struct cloud *cloud, enum victim victim)
{
    if (victim == LIBVIRTD)
        cloud_libvirtd(cloud, "start-libvirtd");
    else if (victim == AGENT)
        cloud_start_agent(cloud, NULL, NULL);
    else
        cloud_start_controller(cloud, NULL, NULL);
}

static void test_deaths__guests_run_on_and_all_comes_together_again(void **state)
{
    struct cloud *cloud = *state;
    autofree char *one = create(cloud, "one"), *two = create(cloud, "two");
    pid_t pids[2] = {guest_pid(cloud, one), guest_pid(cloud, two)};
    assert_true(pids[0] > 0 && pids[1] > 0);
    for (enum victim victim = LIBVIRTD; victim < VICTIMS; victim++) {
        int64_t start = clock_boottime_ms();
        kill_one(cloud, victim);
        bring_back(cloud, victim);
        autofree char *name = xasprintf("after%d", victim);
        autofree char *new = create(cloud, name);
        cloud_await(cloud, "/v1/instances/one", "state", "running", 20000);
        cloud_await(cloud, "/v1/instances/two", "state", "running", 20000);
        printf("# %s died and came back; a new instance ran after %.1f s\n", victim_names[victim],
               (double)(clock_boottime_ms() - start) / 1000);
        assert_int_equal(guest_pid(cloud, one), pids[0]);
        assert_int_equal(guest_pid(cloud, two), pids[1]);
        delete (cloud, new);
    }
    delete (cloud, one);
    delete (cloud, two);
}

/* All three at once, returning in the worst order. */
static void test_deaths__all_may_die_at_once(void **state)
{
    struct cloud *cloud = *state;
    autofree char *alone = create(cloud, "alone");
    pid_t pid = guest_pid(cloud, alone);
    for (enum victim victim = LIBVIRTD; victim < VICTIMS; victim++)
        kill_one(cloud, victim);
    bring_back(cloud, CONTROLLER);
    bring_back(cloud, LIBVIRTD);
    bring_back(cloud, AGENT);
    cloud_await(cloud, "/v1/instances/alone", "state", "running", 20000);
    assert_int_equal(guest_pid(cloud, alone), pid);
    delete (cloud, alone);
}

static void check_power_off_while_dead(struct cloud *cloud, enum victim victim)
{
    autofree char *id = create(cloud, "sleepy");
    kill_one(cloud, victim);
    guest_power_off(cloud, id);
    bring_back(cloud, victim);
    cloud_await(cloud, "/v1/instances/sleepy", "state", "stopped", 20000);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/instances/sleepy", NULL);
    assert_string_equal(answer_str(&shown, "stop_cause"), "guest");
    assert_string_equal(answer_str(&shown, "desired"), "stopped");
    assert_int_equal(guest_pid(cloud, id), 0);
    delete (cloud, id);
}

static void test_deaths__a_power_off_while_the_agent_is_dead_is_told_afterwards(void **state)
{
    check_power_off_while_dead(*state, AGENT);
}

static void test_deaths__a_power_off_while_the_controller_is_dead_is_told_afterwards(void **state)
{
    check_power_off_while_dead(*state, CONTROLLER);
}

/* ---- a QEMU that hangs ---- */

static char *ask_stop(struct cloud *cloud, const char *name, const char *body)
{
    autofree char *path = xasprintf("/v1/instances/%s/stop", name);
    struct answer auto_answer_json asked = cloud_call(cloud, "POST", path, "%s", body);
    assert_int_equal(asked.status, 202);
    return xstrdup(answer_str(&asked, "operation.id"));
}

static void test_deaths__a_qemu_that_hangs_blocks_nobody_else(void **state)
{
    struct cloud *cloud = *state;
    autofree char *hung = create(cloud, "hung"), *fine = create(cloud, "fine");
    pid_t pid = guest_pid(cloud, hung);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    int64_t start = clock_boottime_ms();
    autofree char *operation = ask_stop(cloud, "hung", "{\"timeout_s\":5}");
    autofree char *other = create(cloud, "other");
    cloud_done(cloud, "POST", "/v1/instances/fine/stop", "{\"force\":true}");
    cloud_done(cloud, "POST", "/v1/instances/fine/start", "{}");
    int64_t others = clock_boottime_ms() - start;
    printf("# beside a hung QEMU: create, stop and start of others in %.1f s\n",
           (double)others / 1000);
    assert_true(others < 15000);
    /* It is asked, then forced; libvirt itself waits a while for a process that takes no TERM. */
    struct answer auto_answer_json ended = cloud_operation(cloud, operation, 60000);
    printf("# its own operation ended %s after %.1f s\n", answer_str(&ended, "state"),
           (double)(clock_boottime_ms() - start) / 1000);
    assert_string_equal(answer_str(&ended, "state"), "done");
    bool forced = false;
    assert_true(json_bool(answer_at(&ended, "forced"), &forced) && forced);
    assert_true(guest_await_end(pid, 0));
    delete (cloud, hung);
    delete (cloud, fine);
    delete (cloud, other);
}

/* A deadline ends the operation, not the desire. */
static void test_deaths__an_operation_ends_even_when_no_agent_comes(void **state)
{
    static const char *const soon[] = {"--operation-timeout=3", NULL};
    struct cloud *cloud = *state;
    autofree char *id = create(cloud, "patient");
    proc_kill(&cloud->agent);
    proc_kill(&cloud->controller);
    cloud_start_controller(cloud, NULL, soon);
    autofree char *operation = ask_stop(cloud, "patient", "{\"force\":true}");
    struct answer auto_answer_json ended = cloud_operation(cloud, operation, 20000);
    assert_string_equal(answer_str(&ended, "state"), "failed");
    assert_string_equal(answer_str(&ended, "error.code"), "deadline_passed");
    assert_non_null(answer_str(&ended, "error.detail"));
    bring_back(cloud, AGENT);
    cloud_await(cloud, "/v1/instances/patient", "state", "stopped", 20000);
    proc_kill(&cloud->controller);
    bring_back(cloud, CONTROLLER);
    delete (cloud, id);
}

/* Of all the instances above, whose host lost its libvirtd, agent and controller. */
static void test_deaths__nothing_is_left_of_what_was_deleted(void **state)
{
    static const char find[] =
        "find /etc/libvirt/qemu /var/lib/libvirt/qemu /run/libvirt/qemu /var/log/libvirt"
        " -path '*/networks' -prune -o -name '*mc-*' -print;"
        "ls /var/log/libvirt/minicloud";
    struct cloud *cloud = *state;
    const char *argv[] = {"sh", "-c", find, NULL};
    int status;
    autofree char *left = cloud_host_output(cloud, argv, &status);
    assert_string_equal(left, "");
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deaths__guests_run_on_and_all_comes_together_again),
        cmocka_unit_test(test_deaths__all_may_die_at_once),
        cmocka_unit_test(test_deaths__a_power_off_while_the_agent_is_dead_is_told_afterwards),
        cmocka_unit_test(test_deaths__a_power_off_while_the_controller_is_dead_is_told_afterwards),
        cmocka_unit_test(test_deaths__a_qemu_that_hangs_blocks_nobody_else),
        cmocka_unit_test(test_deaths__an_operation_ends_even_when_no_agent_comes),
        cmocka_unit_test(test_deaths__nothing_is_left_of_what_was_deleted),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
