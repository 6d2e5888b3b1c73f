/* Whose turn it is: lanes on a pool's threads, and jobs that give way. Every job waits at a gate,
 * so that the order is the pool's alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/base/mem.h"
#include "controller/wait/pool.h"
#include "tests/lib/bell.h"

enum { OURS = 7, THEIRS = 8, MANY = 64 };

/* What jobs did, a letter each, in order. */
static char story[512];
static atomic_size_t told;
static atomic_int gate; /* how many jobs may pass */
static atomic_int inside;

static void tell(char what)
{
    story[atomic_fetch_add(&told, 1)] = what;
    bell_ring();
}

static int begin(void **state)
{
    (void)state;
    memset(story, 0, sizeof(story));
    told = 0;
    gate = inside = 0;
    return 0;
}

static void pass_gate(void)
{
    atomic_fetch_add(&inside, 1);
    bell_ring();
    for (uint64_t seen = bell_rings();; seen = bell_rings()) {
        int open = atomic_load(&gate);
        if (open > 0 && atomic_compare_exchange_strong(&gate, &open, open - 1))
            break;
        bell_wait(seen, bell_patience());
    }
    atomic_fetch_sub(&inside, 1);
}

static void open_gate(int jobs)
{
    atomic_fetch_add(&gate, jobs);
    bell_ring();
}

static void gated(void *ctx)
{
    pass_gate();
    tell(*(const char *)ctx);
}

static void at_once(void *ctx)
{
    tell(*(const char *)ctx);
}

static char ours[] = "a", theirs[] = "b", third[] = "c";

static void submit(struct pool *pool, int64_t lane, void (*fn)(void *ctx), char *what)
{
    assert_int_equal(pool_submit_lane(pool, lane, fn, what), POOL_TAKEN);
}

static void test_pool__one_lane_leaves_a_thread_to_the_others(void **state)
{
    (void)state;
    struct pool *pool =
        pool_new(&(struct pool_settings){.at_once = 2, .lane_at_once = 1, .name = "t"});
    for (int i = 0; i < MANY; i++)
        submit(pool, OURS, gated, ours);
    bell_await(inside == 1);
    submit(pool, THEIRS, at_once, theirs);
    bell_await(told == 1); /* while not one of ours has got anywhere */
    assert_string_equal(story, "b");
    assert_int_equal(inside, 1);
    open_gate(MANY);
    pool_free(pool);
    assert_int_equal(told, MANY + 1);
}

static void test_pool__lanes_take_turns_however_much_one_has_queued(void **state)
{
    (void)state;
    struct pool *pool = pool_new(&(struct pool_settings){.at_once = 1, .name = "t"});
    for (int i = 0; i < MANY; i++)
        submit(pool, OURS, gated, ours);
    bell_await(inside == 1);
    for (int i = 0; i < 3; i++) {
        submit(pool, THEIRS, gated, theirs);
        submit(pool, 9, gated, third);
    }
    open_gate(MANY + 6);
    pool_free(pool);
    story[10] = '\0';
    assert_string_equal(story, "aabcabcabc");
}

static void test_pool__a_lane_that_is_full_takes_no_room_from_others(void **state)
{
    (void)state;
    struct pool *pool =
        pool_new(&(struct pool_settings){.at_once = 1, .lane_waiting = 4, .name = "t"});
    submit(pool, OURS, gated, ours);
    bell_await(inside == 1);
    for (int i = 0; i < 4; i++)
        submit(pool, OURS, gated, ours);
    assert_int_equal(pool_submit_lane(pool, OURS, gated, ours), POOL_LANE_FULL);
    assert_int_equal(pool_submit_lane(pool, THEIRS, gated, theirs), POOL_TAKEN);
    assert_int_equal(pool_waiting(pool), 5);
    open_gate(6);
    pool_free(pool);
    assert_int_equal(told, 6);
}

static struct pool *long_pool;

/* A long job of three steps that gives way between them. */
static void three_steps(void *ctx)
{
    for (int i = 0; i < 3; i++) {
        pass_gate();
        tell(*(const char *)ctx);
        pool_give_way();
    }
}

static void test_pool__a_long_job_lets_others_run_between_its_steps(void **state)
{
    (void)state;
    long_pool = pool_new(&(struct pool_settings){.at_once = 1, .paused = 2, .name = "t"});
    submit(long_pool, OURS, three_steps, ours);
    bell_await(inside == 1);
    submit(long_pool, THEIRS, at_once, theirs);
    submit(long_pool, 9, three_steps, third);
    open_gate(6);
    pool_free(long_pool);
    assert_string_equal(story, "abcacac");
}

static void test_pool__nobody_gives_way_to_his_own(void **state)
{
    (void)state;
    struct pool *pool = pool_new(&(struct pool_settings){.at_once = 1, .paused = 2, .name = "t"});
    submit(pool, OURS, three_steps, ours);
    bell_await(inside == 1);
    submit(pool, OURS, at_once, theirs);
    open_gate(3);
    pool_free(pool);
    assert_string_equal(story, "aaab");
}

static void test_pool__what_gave_way_is_finished_when_the_pool_stops(void **state)
{
    (void)state;
    enum { LONG = 8 };
    struct pool *pool = pool_new(&(struct pool_settings){.at_once = 2, .paused = 2, .name = "t"});
    for (int i = 0; i < LONG; i++)
        submit(pool, i, three_steps, ours);
    bell_await(inside == 2);
    open_gate(3 * LONG);
    pool_stop(pool);
    assert_int_equal(told, 3 * LONG);
    assert_int_equal(pool_submit_lane(pool, 1, at_once, ours), POOL_FULL);
    pool_free(pool);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pool__one_lane_leaves_a_thread_to_the_others),
        TEST(test_pool__lanes_take_turns_however_much_one_has_queued),
        TEST(test_pool__a_lane_that_is_full_takes_no_room_from_others),
        TEST(test_pool__a_long_job_lets_others_run_between_its_steps),
        TEST(test_pool__nobody_gives_way_to_his_own),
        TEST(test_pool__what_gave_way_is_finished_when_the_pool_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
