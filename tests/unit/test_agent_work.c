/* The worker pool: order, breadth, timers, and calls that do not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "node-agent/instance/work.h"
#include "tests/lib/bell.h"

enum { ITEMS = 8, MARKER = ITEMS - 1, PATIENCE_MS = 60000, AN_HOUR_MS = 3600000 };

struct item {
    struct work_item work; /* first */
    atomic_int runs, inside, most_inside, stuck;
    atomic_bool hold; /* its runs wait until this is false */
    atomic_bool hang; /* its next run waits for `release`, past the deadline of its call */
    atomic_bool release;
    atomic_bool return_meanwhile; /* the call comes back while `stuck` is told */
    bool forgotten;               /* and it could have been freed then */
};

struct test {
    struct work_pool *pool;
    struct item items[ITEMS];
    atomic_int inside, most_inside, opened, closing, closed;
    atomic_bool hold_closing;
};

static void note_most(atomic_int *most, int now)
{
    int seen = *most;
    while (now > seen && !atomic_compare_exchange_weak(most, &seen, now))
        ;
}

static void count(atomic_int *number)
{
    ++*number;
    bell_ring();
}

static void set(atomic_bool *what, bool value)
{
    *what = value;
    bell_ring();
}

static void *on_open(void *ctx, struct worker *worker)
{
    struct test *test = ctx;
    count(&test->opened);
    return worker;
}

static void on_close(void *ctx, void *held)
{
    struct test *test = ctx;
    (void)held;
    count(&test->closing);
    bell_await(!test->hold_closing);
    count(&test->closed);
}

static void on_run(void *ctx, void *held, struct worker *worker, struct work_item *work)
{
    enum { HANGING_MS = 50 };
    struct test *test = ctx;
    struct item *item = (struct item *)work;
    bool hangs = atomic_exchange(&item->hang, false);
    assert_ptr_equal(held, worker);
    note_most(&test->most_inside, ++test->inside);
    note_most(&item->most_inside, ++item->inside);
    work_call_begin(worker, "test", hangs ? HANGING_MS : 0);
    bell_ring();
    if (hangs)
        bell_await(item->release);
    bell_await(!item->hold);
    work_call_end(worker);
    item->inside--;
    test->inside--;
    count(&item->runs);
}

/* With one worker: what was queued before has been done, and what that queued as well. */
static void let_all_pass(struct test *test)
{
    struct item *marker = &test->items[MARKER];
    for (int i = 0; i < 2; i++) {
        int before = marker->runs;
        work_wake(test->pool, &marker->work);
        bell_await(marker->runs > before);
    }
}

static void on_stuck(void *ctx, struct work_item *work, const char *call, int64_t ms)
{
    struct item *item = (struct item *)work;
    struct test *test = ctx;
    if (item->return_meanwhile) {
        set(&item->release, true);
        /* It is worked on again after that, and then no one is left with it. */
        bell_await(item->runs >= 2);
        let_all_pass(test);
        item->forgotten = work_forget(test->pool, work);
    }
    (void)ms;
    assert_string_equal(call, "test");
    count(&item->stuck);
}

static struct test *start(int64_t workers, int64_t idle_ms)
{
    struct test *test = calloc(1, sizeof *test);
    auto_err struct err err = {0};
    struct work_settings settings = {.workers = workers,
                                     .written_off_max = 2,
                                     .deadline_ms = AN_HOUR_MS,
                                     .idle_ms = idle_ms,
                                     .ctx = test,
                                     .open = on_open,
                                     .close = on_close,
                                     .run = on_run,
                                     .stuck = on_stuck};
    assert_non_null(test);
    assert_int_equal(work_new(&settings, &test->pool, &err), 0);
    return test;
}

/* Waits for all threads; `opened` tells then how many there have been. */
static void stop(struct test *test)
{
    assert_true(work_stop(test->pool, PATIENCE_MS));
    assert_int_equal(test->opened, test->closed);
}

static void drop(struct test *test)
{
    work_free(test->pool);
    free(test);
}

static void finish(struct test *test)
{
    stop(test);
    drop(test);
}

static void hold_all(struct test *test, bool hold)
{
    for (int i = 0; i < ITEMS; i++)
        set(&test->items[i].hold, hold);
}

static void wake_all(struct test *test)
{
    for (int i = 0; i < ITEMS; i++)
        work_wake(test->pool, &test->items[i].work);
}

static void test_work__different_items_go_side_by_side_up_to_the_setting(void **state)
{
    (void)state;
    struct test *test = start(4, AN_HOUR_MS);
    hold_all(test, true);
    wake_all(test);
    bell_await(test->inside == 4);
    hold_all(test, false);
    for (int i = 0; i < ITEMS; i++)
        bell_await(test->items[i].runs == 1);
    assert_int_equal(test->most_inside, 4);
    stop(test);
    assert_int_equal(test->opened, 4);
    drop(test);
}

static void test_work__one_item_is_never_worked_on_twice_at_once(void **state)
{
    (void)state;
    struct test *test = start(4, AN_HOUR_MS);
    struct item *item = &test->items[0], *other = &test->items[1];
    for (int i = 1; i <= 100; i++) {
        set(&item->hold, true);
        work_wake(test->pool, &item->work);
        bell_await(item->inside == 1);
        /* Were it queued now, a second worker would come to it before the other one. */
        work_wake(test->pool, &item->work);
        work_wake(test->pool, &other->work);
        bell_await(other->runs == i);
        set(&item->hold, false);
        bell_await(item->runs == 2 * i);
    }
    assert_int_equal(item->most_inside, 1);
    finish(test);
}

static void test_work__a_wake_during_the_work_means_once_more(void **state)
{
    (void)state;
    struct test *test = start(1, AN_HOUR_MS);
    struct item *item = &test->items[0];
    set(&item->hold, true);
    work_wake(test->pool, &item->work);
    bell_await(item->inside == 1);
    for (int i = 0; i < 10; i++)
        work_wake(test->pool, &item->work);
    set(&item->hold, false);
    bell_await(item->runs == 2);
    let_all_pass(test);
    assert_int_equal(item->runs, 2);
    finish(test);
}

static void test_work__a_timer_runs_at_its_time_and_the_earlier_one_holds(void **state)
{
    (void)state;
    struct test *test = start(2, AN_HOUR_MS);
    int64_t began = clock_boottime_ms();
    work_wake_at(test->pool, &test->items[0].work, began + 100);
    work_wake_at(test->pool, &test->items[0].work, began + AN_HOUR_MS);
    work_wake_at(test->pool, &test->items[1].work, began + AN_HOUR_MS);
    bell_await(test->items[0].runs == 1);
    assert_true(clock_boottime_ms() - began >= 100);
    assert_int_equal(test->items[1].runs, 0);
    assert_true(work_forget(test->pool, &test->items[1].work));
    finish(test);
}

/* Those that end are held at it, so that the last one decides while they are still there. */
static void test_work__idle_threads_end_save_one(void **state)
{
    enum { IDLE_MS = 50 };
    (void)state;
    struct test *test = start(4, IDLE_MS);
    struct item *later = &test->items[0];
    set(&test->hold_closing, true);
    hold_all(test, true);
    wake_all(test);
    bell_await(test->inside == 4);
    hold_all(test, false);
    bell_await(test->closing >= 3);
    bell_await(later->runs == 1);
    work_wake_at(test->pool, &later->work, clock_boottime_ms() + 2 * IDLE_MS);
    bell_await(later->runs == 2);
    assert_int_equal(test->closing, 3);
    assert_int_equal(test->opened, 4); /* it was the one that stayed */
    set(&test->hold_closing, false);
    finish(test);
}

static void test_work__a_call_past_its_deadline_holds_up_no_other(void **state)
{
    (void)state;
    struct test *test = start(1, AN_HOUR_MS);
    struct item *hung = &test->items[0], *other = &test->items[1];
    hung->hang = true;
    work_wake(test->pool, &hung->work);
    bell_await(hung->inside == 1);
    work_wake(test->pool, &other->work);
    bell_await(hung->stuck == 1);
    bell_await(other->runs == 1);
    /* It is worked on again, told that a call is still out. */
    bell_await(hung->runs == 1);
    assert_int_equal(work_stuck(test->pool, &hung->work), 1);
    assert_false(work_forget(test->pool, &hung->work));
    set(&hung->release, true);
    /* The lost thread ends, and the item gets a look. */
    bell_await(hung->runs == 3);
    assert_int_equal(work_stuck(test->pool, &hung->work), 0);
    finish(test);
}

static void test_work__what_is_told_to_hang_is_not_freed_meanwhile(void **state)
{
    (void)state;
    struct test *test = start(1, AN_HOUR_MS);
    struct item *hung = &test->items[0];
    hung->return_meanwhile = true;
    hung->hang = true;
    work_wake(test->pool, &hung->work);
    bell_await(hung->stuck == 1);
    assert_false(hung->forgotten);
    bell_await(hung->runs == 3); /* a look once the keeper has had its word */
    let_all_pass(test);
    assert_true(work_forget(test->pool, &hung->work));
    finish(test);
}

static void test_work__the_number_of_lost_workers_that_are_replaced_is_bounded(void **state)
{
    (void)state;
    struct test *test = start(1, AN_HOUR_MS);
    struct item *last = &test->items[4];
    for (int i = 0; i < 3; i++) {
        test->items[i].hang = true;
        work_wake(test->pool, &test->items[i].work);
    }
    for (int i = 0; i < 3; i++)
        bell_await(test->items[i].stuck == 1);
    work_wake(test->pool, &last->work);
    /* The two that were replaced come back and end; nobody else is there. */
    for (int i = 0; i < 2; i++) {
        set(&test->items[i].release, true);
        bell_await(test->closed == i + 1);
    }
    assert_int_equal(test->opened, 3);
    assert_int_equal(last->runs, 0);
    set(&test->items[2].release, true);
    bell_await(last->runs == 1);
    finish(test);
}

static void test_work__stopping_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct test *test = start(1, AN_HOUR_MS);
    set(&test->items[0].hold, true);
    work_wake(test->pool, &test->items[0].work);
    bell_await(test->items[0].inside == 1);
    assert_false(work_stop(test->pool, 100));
    set(&test->items[0].hold, false);
    finish(test);
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
