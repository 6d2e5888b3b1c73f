/* Who is next at the writer: people at once, hosts for their share. Pure, with a clock of its
 * own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/base/mem.h"
#include "controller/tx/write_queue.h"

enum { MS = 1000 * 1000 };

static void add(struct write_queue *queue, bool of_host, int64_t now_ns)
{
    struct write_job job = {.of_host = of_host};
    assert_true(write_queue_add(queue, &job, now_ns));
}

/* A group of people's jobs that take `people_ns`, then of hosts' that take `host_ns` each, as
 * the writer does it. Returns how many were hosts'. */
static int run_group(struct write_queue *queue, int64_t people_ns, int64_t host_ns, int64_t *now_ns)
{
    struct write_job job;
    int64_t hosts_ns = 0;
    int hosts = 0;
    bool contended = false;
    while (write_queue_take(queue, LANE_PEOPLE, &job))
        contended = true;
    while (write_queue_take_turn(queue, contended, hosts_ns, *now_ns, &job)) {
        hosts_ns += host_ns;
        hosts++;
    }
    int64_t all_ns = (contended ? people_ns : 0) + hosts_ns;
    write_queue_spent(queue, contended, all_ns, hosts_ns);
    *now_ns += all_ns;
    return hosts;
}

static void test_write_queue__hosts_get_a_tenth_where_people_wait(void **state)
{
    (void)state;
    static const int64_t reports_ns[] = {MS / 20, MS, 25 * MS};
    for (size_t i = 0; i < ARRAY_SIZE(reports_ns); i++) {
        struct write_queue queue = {0};
        int64_t now_ns = 0, hosts_ns = 0;
        for (int n = 0; n < 10000; n++)
            add(&queue, true, INT64_MAX / 2); /* none has waited long */
        while (now_ns < 3000LL * MS) {
            add(&queue, false, now_ns);
            hosts_ns += run_group(&queue, 4 * MS, reports_ns[i], &now_ns) * reports_ns[i];
        }
        assert_in_range(hosts_ns, now_ns / 11 - reports_ns[i], now_ns / 9);
        write_queue_release(&queue);
    }
}

static void test_write_queue__a_report_that_waited_long_goes_all_the_same(void **state)
{
    (void)state;
    struct write_queue queue = {.credit_ns = -1000LL * MS};
    int64_t now_ns = 0;
    add(&queue, true, 0);
    add(&queue, true, 0);
    add(&queue, false, 0);
    assert_int_equal(run_group(&queue, MS, MS, &now_ns), 0);
    now_ns = 5000LL * MS;
    for (int i = 0; i < 2; i++) {
        add(&queue, false, now_ns);
        assert_int_equal(run_group(&queue, MS, MS, &now_ns), 1);
    }
    write_queue_release(&queue);
}

static void test_write_queue__hosts_alone_go_together_but_do_not_hold_the_next_up(void **state)
{
    (void)state;
    struct write_queue queue = {0};
    int64_t now_ns = 0;
    for (int n = 0; n < 100; n++)
        add(&queue, true, 0);
    assert_int_equal(run_group(&queue, 0, MS, &now_ns), 10);
    assert_int_equal(run_group(&queue, 0, 50 * MS, &now_ns), 1);
    /* And they owe nothing for it. */
    for (int i = 0; i < 3; i++) {
        add(&queue, false, 0);
        run_group(&queue, 10 * MS, 0, &now_ns);
    }
    assert_true(queue.credit_ns >= 0);
    write_queue_release(&queue);
}

static void test_write_queue__each_lane_is_bounded_by_itself(void **state)
{
    (void)state;
    struct write_queue queue = {0};
    struct write_job person = {0}, host = {.of_host = true}, taken;
    int hosts = 0;
    while (write_queue_add(&queue, &host, 0))
        hosts++;
    assert_int_equal(write_queue_count(&queue), hosts);
    assert_true(write_queue_add(&queue, &person, 0));
    assert_true(write_queue_take(&queue, LANE_HOSTS, &taken));
    assert_true(taken.of_host);
    assert_true(write_queue_add(&queue, &host, 0));
    write_queue_release(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_queue__hosts_get_a_tenth_where_people_wait),
        cmocka_unit_test(test_write_queue__a_report_that_waited_long_goes_all_the_same),
        cmocka_unit_test(test_write_queue__hosts_alone_go_together_but_do_not_hold_the_next_up),
        cmocka_unit_test(test_write_queue__each_lane_is_bounded_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
