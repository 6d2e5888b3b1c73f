/* What a guest is billed for is what was: whatever dies meanwhile, its runs begin and end in the
 * ledger when its QEMU's did, or it says that nobody knows. An hour ends and is sealed while they
 * work, and clocks step by a month. */
#include "tests/e2e/usage_stage.h"

#include "tests/lib/focus_rules.h"

/* ---- who may die ---- */

static void
test_usage__a_guest_that_stops_while_the_controller_is_dead_is_billed_as_it_was(void **state)
{
    (void)state;
    life_begin("steady", "switch"); /* until clocks step */
    struct life *life = life_begin("unheard", "switch");
    proc_kill(&stage.cloud->controller);
    guest_power_off(stage.cloud, life->id);
    life_ended(life);
    let_time_pass();
    start_controller();
    await_off(life, "stopped", true);
    assert_life(life);
    life_delete(life);
}

static void test_usage__a_guest_that_stops_while_the_agent_is_dead_is_billed_as_it_was(void **state)
{
    (void)state;
    struct life *life = life_begin("unseen", "switch");
    proc_kill(&stage.cloud->agent);
    guest_power_off(stage.cloud, life->id);
    life_ended(life);
    let_time_pass();
    start_agent();
    await_off(life, "stopped", true);
    assert_life(life);
    life_delete(life);
}

/* Its host does it later; that is nothing to its owner. */
static void test_usage__a_bill_ends_when_delete_is_accepted(void **state)
{
    (void)state;
    struct bill bill;
    autofree char *operation = NULL;
    struct life *life = life_begin("unwanted", "switch");
    bill_await_measured(stage.cloud, stage.line_ms + clock_boottime_ms());
    proc_kill(&stage.cloud->agent);
    int64_t deleted_ms = life_ask_delete(life, &operation);
    let_time_pass();
    start_agent();
    assert_true(life_await_deleted(life, operation, deleted_ms) > deleted_ms + EXACT_MS);
    read_bill(life, &bill);
    assert_runs(life, &bill);
    assert_no_moment_twice_or_never(&bill, 0);
    assert_over(life, &bill, deleted_ms);
}

static void test_usage__a_guest_that_ends_while_libvirtd_is_dead_is_billed_as_it_was(void **state)
{
    (void)state;
    struct life *life = life_begin("alone", "switch");
    cloud_libvirtd(stage.cloud, "kill-libvirtd");
    kill_guest(life);
    let_time_pass();
    cloud_libvirtd(stage.cloud, "start-libvirtd");
    await_off(life, "crashed", true);
    assert_life(life);
    life_delete(life);
}

static void test_usage__an_end_that_nobody_saw_ends_the_bill_at_the_last_evidence(void **state)
{
    (void)state;
    struct bill bill;
    const struct bill_row *ran[BILL_ROWS], *gap[BILL_ROWS];
    struct life *life = life_begin("dark", "switch");
    bill_await_measured(stage.cloud, stage.line_ms + clock_boottime_ms());
    int64_t seen_ms = clock_boottime_ms();
    proc_kill(&stage.cloud->agent);
    cloud_libvirtd(stage.cloud, "kill-libvirtd");
    let_time_pass();
    kill_guest(life);
    int64_t back_ms = clock_boottime_ms();
    cloud_libvirtd(stage.cloud, "start-libvirtd");
    start_agent();
    await_off(life, "crashed", false);
    read_bill(life, &bill);
    assert_no_moment_twice_or_never(&bill, 1);
    assert_int_equal(bill_rows(&bill, "running", ran), 1);
    assert_int_equal(bill_rows(&bill, "gap", gap), 1);
    assert_near(life, "the start", ran[0]->start_ms, life->runs[0].began_ms);
    assert_near(life, "the last evidence", ran[0]->end_ms, seen_ms);
    assert_true(ran[0]->end_ms <= stage.line_ms + life->runs[0].ended_ms);
    assert_false(ran[0]->verified);
    assert_true(gap[0]->end_ms >= stage.line_ms + back_ms);
    life_delete(life);
}

/* ---- a whole life ---- */

/* CPU time can be a little more than a guest's own: its emulator has a thread besides. */
static void assert_counted(const struct life *life, const struct bill *bill)
{
    const struct bill_row *counted[BILL_ROWS];
    int64_t cpu_ns = 0, ingress = 0, egress = 0;
    int64_t wall_ms = life->runs[0].ended_ms - life->runs[0].began_ms;
    size_t count = bill_rows(bill, "counted", counted);
    for (size_t i = 0; i < count; i++) {
        cpu_ns += counted[i]->run == 1 ? counted[i]->cpu_ns : 0;
        ingress += counted[i]->ingress_bytes;
        egress += counted[i]->egress_bytes;
    }
    printf("# %s: %lld ms of CPU in %lld ms; received %lld bytes, sent %lld\n", life->name,
           (long long)cpu_ns / 1000000, (long long)wall_ms, (long long)ingress, (long long)egress);
    assert_true(cpu_ns > 0 && cpu_ns / 1000000 < 2 * wall_ms);
    assert_true(ingress > 0 && egress > 0);
}

/* It is done when its host has done it, however long that takes; what comes after is quick. */
static void assert_resized(const struct life *life, const struct bill *bill, int64_t done_ms)
{
    const struct bill_row *ran[BILL_ROWS], *kept[BILL_ROWS];
    size_t runs = bill_rows(bill, "running", ran), count = bill_rows(bill, "allocated", kept);
    assert_int_equal(ran[0]->vcpus, 1);
    assert_int_equal(ran[0]->memory_mib, 128);
    assert_int_equal(ran[runs - 1]->vcpus, 2);
    assert_int_equal(ran[runs - 1]->memory_mib, 192);
    for (size_t i = 1; i < count; i++) {
        if (kept[i]->vcpus == 1 || kept[i - 1]->vcpus == 2)
            continue;
        assert_near(life, "the resize", kept[i]->start_ms, done_ms);
        assert_int_equal(kept[i]->start_ms, kept[i - 1]->end_ms);
        return;
    }
    cloud_fail("%s was never resized", life->name);
}

static void test_usage__a_whole_life_is_billed_as_it_was(void **state)
{
    (void)state;
    struct cloud *cloud = stage.cloud;
    struct bill bill;
    struct life *life = life_begin("web1", "tiny");
    autofree char *address = guest_address(cloud, "web1");
    free(guest_ask(cloud, address, "/cgi-bin/facts"));
    life_do(life, "stop", "{\"timeout_s\":60}");
    life_ended(life);
    life_do(life, "start", "{}");
    life_runs(life);
    free(guest_ask(cloud, address, "/cgi-bin/off"));
    life_ended(life);
    await_off(life, "stopped", true);
    life_do(life, "start", "{}");
    life_runs(life);
    life_do(life, "stop", "{\"force\":true}");
    life_ended(life);
    life_do(life, "resize", "{\"vcpus\":2,\"memory_mib\":192}");
    int64_t resized_ms = clock_boottime_ms();
    life_do(life, "start", "{}");
    life_runs(life);
    assert_life(life);
    int64_t deleted_ms = life_delete(life);
    read_bill(life, &bill);
    assert_runs(life, &bill);
    assert_no_moment_twice_or_never(&bill, 0);
    assert_resized(life, &bill, resized_ms);
    assert_counted(life, &bill);
    assert_over(life, &bill, deleted_ms);
}

/* ---- clocks that step ---- */

static void ctl(const char *const words[])
{
    autofree char *program = xasprintf("%s/cloudctl", stage.cloud->bin);
    autofree char *log = xasprintf("%s/cloudctl.log", stage.cloud->dir);
    const char *argv[16] = {program};
    for (size_t i = 0; words[i] && i + 2 < ARRAY_SIZE(argv); i++)
        argv[i + 1] = words[i];
    setenv("CLOUDCTL_URL", stage.cloud->url, 1);
    setenv("CLOUDCTL_TOKEN", stage.cloud->token, 1);
    int status = proc_run(argv, NULL, log, PATIENCE_MS);
    if (status != 0) {
        auto_buf struct buf said = {0};
        auto_err struct err err = {0};
        file_read(log, 1 << 20, &said, &err);
        cloud_fail("cloudctl %s %s ended with %d: %s", words[0], words[1], status,
                   said.data ? said.data : "");
    }
}

static void test_usage__a_sealed_hour_can_be_worked_out_again(void **state)
{
    (void)state;
    bill_await_sealed(stage.cloud, moment(hour_end));
    ctl((const char *[]){"usage", "verify", NULL});
}

/* `node` NULL: the controller's. No event tells: it is judged when it is asked. */
static void await_held(const char *node, bool held)
{
    int64_t until = clock_boottime_ms() + PATIENCE_MS;
    for (;;) {
        struct answer auto_answer_json said =
            cloud_call(stage.cloud, "GET", "/v1/usage?limit=1", NULL);
        const char *reason = answer_str(&said, "held.reason"), *of = answer_str(&said, "held.node");
        if (!reason == !held && (!held || (node ? of && strcmp(of, node) == 0 : !of)))
            return;
        if (clock_boottime_ms() > until)
            cloud_fail("not as wanted: %s", said.text);
        usleep(20 * 1000);
    }
}

static void test_usage__clocks_that_step_by_a_month_change_no_length(void **state)
{
    (void)state;
    struct life *steady = &stage.lives[0], *life = life_begin("timely", "switch");
    const char *node = stage.cloud->host;
    set_clock("controller", stage.offset_s + MONTH_S);
    await_held(NULL, true);
    proc_kill(&stage.cloud->controller);
    start_controller();
    await_held(NULL, true);
    kill_guest(life);
    await_off(life, "crashed", true);
    assert_life(life);
    ctl((const char *[]){"usage", "confirm", "--clock", "keep", "--yes", NULL});
    await_held(NULL, false);

    set_clock("agent", stage.offset_s - MONTH_S);
    await_held(node, true);
    guest_power_off(stage.cloud, steady->id);
    life_ended(steady);
    await_off(steady, "stopped", true);
    assert_life(steady);
    ctl((const char *[]){"usage", "confirm", node, "--clock", "keep", "--yes", NULL});
    await_held(node, false);
    life_delete(steady);
    life_delete(life);
    ctl((const char *[]){"usage", "verify", NULL});
}

/* ---- the whole ---- */

static void assert_equal_sums(const struct bill_sums *sums, const struct bill_sums *segments,
                              const char *of)
{
    assert_true(sums->rows > 0);
    for (size_t i = 0; i < BILL_METERS; i++) {
        if (sums->meters[i] != segments->meters[i])
            cloud_fail("%s: %s is %lld, the segments come to %lld", of, bill_meters[i],
                       (long long)sums->meters[i], (long long)segments->meters[i]);
    }
}

static void test_usage__every_sum_is_that_of_the_segments(void **state)
{
    (void)state;
    static const char *const queries[] = {"", "&group_by=instance", "&group_by=node",
                                          "&granularity=hour", "&granularity=day&group_by=flavor"};
    struct bill_sums segments = {0}, sums, total;
    for (size_t i = 0; i < stage.count; i++) {
        struct bill bill;
        read_bill(&stage.lives[i], &bill);
        bill_add(&bill, &segments);
    }
    for (size_t i = 0; i < BILL_METERS; i++)
        printf("# %s: %lld\n", bill_meters[i], (long long)segments.meters[i]);
    bill_query(stage.cloud, "&meter=running", &total);
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        bill_query(stage.cloud, queries[i], &sums);
        assert_equal_sums(&sums, &segments, queries[i]);
        assert_int_equal(sums.nanos, total.nanos);
    }
    assert_true(total.nanos > 0);
    /* Each hour has its share. */
    bill_query(stage.cloud, "&granularity=hour&meter=running", &sums);
    assert_int_equal(sums.rows, 2 * total.rows);
    bill_export(stage.cloud, "", &sums);
    assert_equal_sums(&sums, &segments, "the export");
    assert_int_equal(sums.nanos, total.nanos);
}

static void test_usage__every_row_of_the_focus_export_holds_the_rules(void **state)
{
    (void)state;
    char message[512];
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    autofree char *path = cloud_source(stage.cloud, "tests/data/focus-1.2.rules");
    if (file_read(path, 1 << 20, &text, &err) != 0)
        cloud_fail("%s", err.msg);
    struct focus_rules *rules = focus_rules_read(text.data, message, sizeof(message));
    assert_non_null(rules);
    struct answer auto_answer_json said = cloud_call(
        stage.cloud, "GET", "/v1/usage/export?format=focus&start=2031-03-12T11:00:00Z", NULL);
    long rows = focus_rules_check(rules, said.text, message, sizeof(message));
    if (rows < 0)
        cloud_fail("%s", message);
    printf("# %ld rows of FOCUS\n", rows);
    assert_true(rows > 2 * (long)stage.count);
    focus_rules_free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_usage__a_guest_that_stops_while_the_controller_is_dead_is_billed_as_it_was),
        cmocka_unit_test(test_usage__a_whole_life_is_billed_as_it_was),
        cmocka_unit_test(
            test_usage__a_guest_that_stops_while_the_agent_is_dead_is_billed_as_it_was),
        cmocka_unit_test(test_usage__a_bill_ends_when_delete_is_accepted),
        cmocka_unit_test(test_usage__a_guest_that_ends_while_libvirtd_is_dead_is_billed_as_it_was),
        cmocka_unit_test(test_usage__an_end_that_nobody_saw_ends_the_bill_at_the_last_evidence),
        cmocka_unit_test(test_usage__a_sealed_hour_can_be_worked_out_again),
        cmocka_unit_test(test_usage__clocks_that_step_by_a_month_change_no_length),
        cmocka_unit_test(test_usage__every_sum_is_that_of_the_segments),
        cmocka_unit_test(test_usage__every_row_of_the_focus_export_holds_the_rules),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
