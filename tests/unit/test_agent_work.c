/* The worker pool: order, breadth, timers, and calls that do not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/clock.h"
#include "api/err.h"
#include "node-agent/work.h"

enum { ITEMS = 8 };

struct item {
    struct work_item work; /* first */
    atomic_int runs, inside, most_inside, stuck;
    atomic_bool hang; /* until released */
    atomic_bool release;
    atomic_bool return_meanwhile; /* the call comes back while `stuck` is told */
    bool forgotten;               /* and it could have been freed then */
};

struct test {
    struct work_pool *pool;
    struct item items[ITEMS];
    atomic_int inside, most_inside, opened, closed;
    int64_t sleep_ms;
};

static void note_most(atomic_int *most, int now)
{
    int seen = *most;
    while (now > seen && !atomic_compare_exchange_weak(most, &seen, now))
        ;
}

static void *on_open(void *ctx, struct worker *worker)
{
    struct test *test = ctx;
    test->opened++;
    return worker;
}

static void on_close(void *ctx, void *held)
{
    struct test *test = ctx;
    (void)held;
    test->closed++;
}

static void on_run(void *ctx, void *held, struct worker *worker, struct work_item *work)
{
    struct test *test = ctx;
    struct item *item = (struct item *)work;
    assert_ptr_equal(held, worker);
    note_most(&test->most_inside, ++test->inside);
    note_most(&item->most_inside, ++item->inside);
    work_call_begin(worker, "test", 0);
    if (atomic_exchange(&item->hang, false)) {
        while (!item->release)
            usleep(1000);
    } else {
        usleep((useconds_t)(test->sleep_ms * 1000));
    }
    work_call_end(worker);
    item->inside--;
    test->inside--;
    item->runs++;
}

static void on_stuck(void *ctx, struct work_item *work, const char *call, int64_t ms)
{
    struct item *item = (struct item *)work;
    struct test *test = ctx;
    if (item->return_meanwhile) {
        item->release = true;
        /* It is worked on again after that, and then no one is left with it. */
        for (int i = 0; i < 5000 && item->runs < 2; i++)
            usleep(1000);
        usleep(20000);
        item->forgotten = work_forget(test->pool, work);
    }
    (void)ms;
    assert_string_equal(call, "test");
    item->stuck++;
}

static struct test *start(int64_t workers, int64_t deadline_ms, int64_t idle_ms)
{
    struct test *test = calloc(1, sizeof *test);
    auto_err struct err err = {0};
    struct work_settings settings = {.workers = workers,
                                     .written_off_max = 2,
                                     .deadline_ms = deadline_ms,
                                     .idle_ms = idle_ms,
                                     .ctx = test,
                                     .open = on_open,
                                     .close = on_close,
                                     .run = on_run,
                                     .stuck = on_stuck};
    assert_non_null(test);
    test->sleep_ms = 5;
    assert_int_equal(work_new(&settings, &test->pool, &err), 0);
    return test;
}

static void finish(struct test *test)
{
    assert_true(work_stop(test->pool, 5000));
    work_free(test->pool);
    assert_int_equal(test->opened, test->closed);
    free(test);
}

/* Waits until a number is reached; false after 5 s. */
static bool reaches(atomic_int *number, int wanted)
{
    for (int i = 0; i < 5000; i++) {
        if (*number >= wanted)
            return true;
        usleep(1000);
    }
    return false;
}

static void test_work__different_items_go_side_by_side_up_to_the_setting(void **state)
{
    (void)state;
    struct test *test = start(4, 10000, 1000);
    test->sleep_ms = 50;
    for (int i = 0; i < ITEMS; i++)
        work_wake(test->pool, &test->items[i].work);
    for (int i = 0; i < ITEMS; i++)
        assert_true(reaches(&test->items[i].runs, 1));
    assert_int_equal(test->most_inside, 4);
    finish(test);
}

static void test_work__one_item_is_never_worked_on_twice_at_once(void **state)
{
    (void)state;
    struct test *test = start(4, 10000, 1000);
    for (int i = 0; i < 200; i++) {
        work_wake(test->pool, &test->items[0].work);
        usleep(500);
    }
    assert_true(reaches(&test->items[0].runs, 2));
    assert_int_equal(test->items[0].most_inside, 1);
    finish(test);
}

static void test_work__a_wake_during_the_work_means_once_more(void **state)
{
    (void)state;
    struct test *test = start(2, 10000, 1000);
    test->sleep_ms = 50;
    work_wake(test->pool, &test->items[0].work);
    assert_true(reaches(&test->items[0].inside, 1));
    for (int i = 0; i < 10; i++)
        work_wake(test->pool, &test->items[0].work);
    assert_true(reaches(&test->items[0].runs, 2));
    usleep(100000);
    assert_int_equal(test->items[0].runs, 2);
    finish(test);
}

static void test_work__a_timer_runs_at_its_time_and_the_earlier_one_holds(void **state)
{
    (void)state;
    struct test *test = start(2, 10000, 1000);
    int64_t began = clock_boottime_ms();
    work_wake_at(test->pool, &test->items[0].work, began + 100);
    work_wake_at(test->pool, &test->items[0].work, began + 100000);
    work_wake_at(test->pool, &test->items[1].work, began + 100000);
    assert_true(reaches(&test->items[0].runs, 1));
    int64_t took = clock_boottime_ms() - began;
    assert_true(took >= 100 && took < 1000);
    assert_int_equal(test->items[1].runs, 0);
    assert_true(work_forget(test->pool, &test->items[1].work));
    finish(test);
}

static void test_work__idle_threads_end_save_one(void **state)
{
    (void)state;
    struct test *test = start(4, 10000, 50);
    test->sleep_ms = 30;
    for (int i = 0; i < ITEMS; i++)
        work_wake(test->pool, &test->items[i].work);
    assert_true(reaches(&test->closed, 3));
    usleep(200000);
    assert_int_equal(test->opened - test->closed, 1);
    finish(test);
}

static void test_work__a_call_past_its_deadline_holds_up_no_other(void **state)
{
    (void)state;
    struct test *test = start(1, 200, 1000);
    struct item *hung = &test->items[0], *other = &test->items[1];
    hung->hang = true;
    work_wake(test->pool, &hung->work);
    assert_true(reaches(&hung->inside, 1));
    work_wake(test->pool, &other->work);
    assert_true(reaches(&hung->stuck, 1));
    assert_true(reaches(&other->runs, 1));
    /* It is worked on again, told that a call is still out. */
    assert_true(reaches(&hung->runs, 1));
    assert_int_equal(work_stuck(test->pool, &hung->work), 1);
    assert_false(work_forget(test->pool, &hung->work));
    hung->release = true;
    /* The lost thread ends, and the item gets a look. */
    assert_true(reaches(&hung->runs, 3));
    assert_int_equal(work_stuck(test->pool, &hung->work), 0);
    finish(test);
}

static void test_work__what_is_told_to_hang_is_not_freed_meanwhile(void **state)
{
    (void)state;
    struct test *test = start(2, 200, 1000);
    struct item *hung = &test->items[0];
    hung->hang = hung->return_meanwhile = true;
    work_wake(test->pool, &hung->work);
    assert_true(reaches(&hung->stuck, 1));
    assert_true(hung->runs >= 2);
    assert_false(hung->forgotten);
    bool forgotten = false;
    for (int i = 0; i < 5000 && !(forgotten = work_forget(test->pool, &hung->work)); i++)
        usleep(1000);
    assert_true(forgotten);
    finish(test);
}

static void test_work__the_number_of_lost_workers_that_are_replaced_is_bounded(void **state)
{
    (void)state;
    struct test *test = start(1, 100, 1000);
    for (int i = 0; i < 3; i++) {
        test->items[i].hang = true;
        work_wake(test->pool, &test->items[i].work);
    }
    for (int i = 0; i < 3; i++)
        assert_true(reaches(&test->items[i].stuck, 1));
    work_wake(test->pool, &test->items[4].work);
    usleep(300000);
    assert_int_equal(test->items[4].runs, 0);
    for (int i = 0; i < 3; i++)
        test->items[i].release = true;
    assert_true(reaches(&test->items[4].runs, 1));
    finish(test);
}

static void test_work__stopping_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct test *test = start(1, 60000, 1000);
    test->items[0].hang = true;
    work_wake(test->pool, &test->items[0].work);
    assert_true(reaches(&test->items[0].inside, 1));
    assert_false(work_stop(test->pool, 100));
    test->items[0].release = true;
    assert_true(reaches(&test->closed, 1));
    /* The thread is counted out a moment after it closed its things. */
    usleep(50000);
    work_free(test->pool);
    free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work__different_items_go_side_by_side_up_to_the_setting),
        cmocka_unit_test(test_work__one_item_is_never_worked_on_twice_at_once),
        cmocka_unit_test(test_work__a_wake_during_the_work_means_once_more),
        cmocka_unit_test(test_work__a_timer_runs_at_its_time_and_the_earlier_one_holds),
        cmocka_unit_test(test_work__idle_threads_end_save_one),
        cmocka_unit_test(test_work__a_call_past_its_deadline_holds_up_no_other),
        cmocka_unit_test(test_work__what_is_told_to_hang_is_not_freed_meanwhile),
        cmocka_unit_test(test_work__the_number_of_lost_workers_that_are_replaced_is_bounded),
        cmocka_unit_test(test_work__stopping_does_not_wait_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
