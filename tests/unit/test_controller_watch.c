/* Long polls: who is woken by what, exactly once, and at no cost while waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "api/base/clock.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/wait/watch.h"

enum { LONG_MS = 600000 };

struct waiter {
    sem_t fired;
    atomic_int fires, expirations;
    /* Adds itself again from the callback, so many times. */
    struct watch *again;
    int again_left;
};

/* Static in each test: those that still wait at its end are fired by the teardown. */
static void waiter_init(struct waiter *waiter)
{
    *waiter = (struct waiter){0};
    sem_init(&waiter->fired, 0, 0);
}

static void fire(void *ctx, bool expired)
{
    struct waiter *waiter = ctx;
    waiter->fires++;
    waiter->expirations += expired;
    if (waiter->again_left > 0) {
        waiter->again_left--;
        watch_add(waiter->again, WATCH_NODE, 1, 0, 1, fire, waiter);
    }
    sem_post(&waiter->fired);
}

static int setup(void **state)
{
    *state = watch_new();
    return 0;
}

static int teardown(void **state)
{
    watch_free(*state);
    return 0;
}

static void publish(struct watch *watch, enum watch_kind kind, int64_t key, int64_t revision)
{
    watch_publish(watch, revision, &(struct watch_touch){kind, key, revision}, 1);
}

/* Everything that was ready before has fired once this returns: callbacks come in order. */
static void settle(struct watch *watch)
{
    static struct waiter waiter;
    waiter_init(&waiter);
    watch_poke(watch, WATCH_OPERATION, INT64_MAX);
    assert_true(watch_add(watch, WATCH_OPERATION, INT64_MAX, INT64_MAX, LONG_MS, fire, &waiter));
    sem_wait(&waiter.fired);
}

static void test_watch__wakes_those_of_the_key_and_no_others(void **state)
{
    struct watch *watch = *state;
    static struct waiter own, other, kind, operator;
    waiter_init(&own), waiter_init(&other), waiter_init(&kind), waiter_init(&operator);
    assert_true(watch_add(watch, WATCH_EVENTS, 7, 0, LONG_MS, fire, &own));
    assert_true(watch_add(watch, WATCH_EVENTS, 8, 0, LONG_MS, fire, &other));
    assert_true(watch_add(watch, WATCH_NODE, 7, 0, LONG_MS, fire, &kind));
    assert_true(watch_add(watch, WATCH_EVENTS, 0, 0, LONG_MS, fire, &operator));
    publish(watch, WATCH_EVENTS, 7, 1);
    sem_wait(&own.fired);
    sem_wait(&operator.fired); /* sees all */
    settle(watch);
    assert_int_equal(own.fires, 1);
    assert_int_equal(operator.fires, 1);
    assert_int_equal(own.expirations + operator.expirations, 0);
    assert_int_equal(other.fires + kind.fires, 0);
    assert_int_equal(watch_count(watch), 2);
}

static void test_watch__what_happened_already_fires_at_once(void **state)
{
    struct watch *watch = *state;
    static struct waiter late, current;
    waiter_init(&late), waiter_init(&current);
    publish(watch, WATCH_NODE, 3, 10);
    assert_true(watch_add(watch, WATCH_NODE, 3, 9, LONG_MS, fire, &late));
    sem_wait(&late.fired);
    assert_int_equal(late.expirations, 0);
    assert_true(watch_add(watch, WATCH_NODE, 3, 10, LONG_MS, fire, &current));
    settle(watch);
    assert_int_equal(current.fires, 0);
    assert_int_equal(watch_revision(watch), 10);
}

static void test_watch__ends_when_its_time_has_passed(void **state)
{
    struct watch *watch = *state;
    static struct waiter waiters[3];
    int64_t start = clock_mono_ns();
    for (int i = 0; i < 3; i++) {
        waiter_init(&waiters[i]);
        assert_true(watch_add(watch, WATCH_NODE, i, 0, (3 - i) * 20, fire, &waiters[i]));
    }
    for (int i = 2; i >= 0; i--) {
        sem_wait(&waiters[i].fired);
        assert_int_equal(waiters[i].expirations, 1);
        assert_true(clock_mono_ns() - start >= (3 - i) * 20 * 1000000LL);
    }
    assert_int_equal(watch_count(watch), 0);
}

static void test_watch__a_poke_is_not_lost_when_nobody_waits_yet(void **state)
{
    struct watch *watch = *state;
    static struct waiter first, second;
    waiter_init(&first), waiter_init(&second);
    watch_poke(watch, WATCH_NODE, 5);
    assert_true(watch_add(watch, WATCH_NODE, 5, 100, LONG_MS, fire, &first));
    sem_wait(&first.fired);
    assert_true(watch_add(watch, WATCH_NODE, 5, 100, LONG_MS, fire, &second));
    settle(watch);
    assert_int_equal(second.fires, 0);
    watch_poke(watch, WATCH_NODE, 5);
    sem_wait(&second.fired);
    assert_int_equal(second.expirations, 0);
}

static void test_watch__may_be_added_again_from_the_callback(void **state)
{
    static struct waiter waiter;
    waiter_init(&waiter);
    waiter.again = *state;
    waiter.again_left = 5;
    assert_true(watch_add(*state, WATCH_NODE, 1, 0, 1, fire, &waiter));
    for (int i = 0; i < 6; i++)
        sem_wait(&waiter.fired);
    settle(*state);
    assert_int_equal(waiter.fires, 6);
}

static void test_watch__stopping_fires_all_and_takes_no_more(void **state)
{
    struct watch *watch = *state;
    static struct waiter waiters[10], late;
    waiter_init(&late);
    for (int i = 0; i < 10; i++) {
        waiter_init(&waiters[i]);
        assert_true(watch_add(watch, WATCH_EVENTS, i, 0, LONG_MS, fire, &waiters[i]));
    }
    watch_stop(watch);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(waiters[i].fires, 1);
        assert_int_equal(waiters[i].expirations, 1);
    }
    assert_false(watch_add(watch, WATCH_EVENTS, 1, 0, LONG_MS, fire, &late));
    assert_int_equal(late.fires, 0);
}

static void test_watch__has_a_bound(void **state)
{
    struct watch *watch = *state;
    static struct waiter waiter;
    waiter_init(&waiter);
    for (int i = 0; i < LIMIT_WATCHERS; i++)
        assert_true(watch_add(watch, WATCH_EVENTS, i + 1, 0, LONG_MS, fire, &waiter));
    assert_false(watch_add(watch, WATCH_EVENTS, 1, 0, LONG_MS, fire, &waiter));
    publish(watch, WATCH_EVENTS, 1, 1);
    sem_wait(&waiter.fired);
    assert_true(watch_add(watch, WATCH_EVENTS, 1, 1, LONG_MS, fire, &waiter));
}

static void test_watch__keys_of_another_kind_are_other_keys(void **state)
{
    struct watch *watch = *state;
    static struct waiter waiter;
    waiter_init(&waiter);
    for (int i = 1; i < LIMIT_NODE_WATCHERS; i++)
        assert_true(watch_add(watch, WATCH_NODE, i, INT64_MAX, LONG_MS, fire, &waiter));
    for (int i = 1; i < LIMIT_NODE_WATCHERS; i++)
        publish(watch, WATCH_EVENTS, i, i);
    settle(watch);
    assert_int_equal(waiter.fires, 0);
    assert_int_equal(watch_count(watch), LIMIT_NODE_WATCHERS - 1);
}

/* ---- for whose sake ---- */

static void add_for(struct watch *watch, struct watch_sake *sake, int64_t after,
                    struct waiter *waiter)
{
    waiter_init(waiter);
    assert_true(watch_add_for(watch, sake, WATCH_OPERATION, 1, after, LONG_MS, fire, waiter));
}

static void test_watch__the_end_of_a_token_wakes_those_who_wait_by_it(void **state)
{
    struct watch *watch = *state;
    static struct waiter own, second, other, nobodys, late;
    static struct watch_sake sakes[] = {{.token_key = 7}, {.token_key = 7}, {.token_key = 8}, {0}};
    add_for(watch, &sakes[0], 1, &own);
    add_for(watch, &sakes[1], 1, &second);
    add_for(watch, &sakes[2], 1, &other);
    add_for(watch, &sakes[3], 1, &nobodys);
    publish(watch, WATCH_TOKEN, 7, 2);
    sem_wait(&own.fired);
    sem_wait(&second.fired);
    settle(watch);
    assert_int_equal(own.expirations + second.expirations, 0); /* they look again */
    assert_int_equal(other.fires + nobodys.fires, 0);
    /* Who looked before that and adds afterwards misses nothing. */
    add_for(watch, &sakes[0], 1, &late);
    sem_wait(&late.fired);
    assert_int_equal(watch_count(watch), 2);
}

static void test_watch__whoever_has_left_waits_no_more(void **state)
{
    struct watch *watch = *state;
    static struct waiter waiting, again, other;
    static struct watch_sake left = {.token_key = 7}, stays = {.token_key = 7};
    add_for(watch, &left, 1, &waiting);
    add_for(watch, &stays, 1, &other);
    watch_left(watch, &left);
    sem_wait(&waiting.fired);
    assert_int_equal(waiting.expirations, 1);
    add_for(watch, &left, 1, &again);
    sem_wait(&again.fired);
    assert_int_equal(again.expirations, 1);
    watch_left(watch, &left);
    settle(watch);
    assert_int_equal(waiting.fires + again.fires, 2);
    assert_int_equal(other.fires, 0);
    assert_int_equal(watch_count(watch), 1);
}

/* ---- the order of deadlines ---- */

enum { TIMERS = 400 };

/* It is due at some time between these, in ns. */
struct timer {
    int64_t earliest, latest;
};

static struct timer timers[TIMERS];
static int timers_expired, timers_woken;
static struct timer *timers_order[TIMERS];
static sem_t timers_over;

static void timer_fire(void *ctx, bool expired)
{
    struct timer *timer = ctx;
    if (expired)
        timers_order[timers_expired++] = timer;
    else
        timers_woken++;
    sem_post(&timers_over);
}

/* Half of them are taken out of the middle first; the rest must still come in order. */
static void test_watch__deadlines_come_in_order_whatever_was_removed(void **state)
{
    unsigned seed = 7;
    sem_init(&timers_over, 0, 0);
    for (int i = 0; i < TIMERS; i++) {
        int64_t wait_ms = 100 + rand_r(&seed) % 10 * 40;
        timers[i].earliest = clock_mono_ns() + wait_ms * 1000000;
        watch_add(*state, WATCH_NODE, i, 0, wait_ms, timer_fire, &timers[i]);
        timers[i].latest = clock_mono_ns() + wait_ms * 1000000;
    }
    for (int i = 0; i < TIMERS; i++) {
        if (rand_r(&seed) % 2)
            publish(*state, WATCH_NODE, i, i + 1);
    }
    for (int i = 0; i < TIMERS; i++)
        sem_wait(&timers_over);
    assert_int_equal(timers_expired + timers_woken, TIMERS);
    for (int i = 1; i < timers_expired; i++)
        assert_true(timers_order[i - 1]->earliest <= timers_order[i]->latest);
}

static int64_t process_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void test_watch__a_thousand_wait_for_nothing_and_hear_of_a_commit(void **state)
{
    enum { QUIET_MS = 300 };
    struct watch *watch = *state;
    static struct waiter waiter, quiet;
    waiter_init(&waiter), waiter_init(&quiet);
    for (int i = 0; i < 1000; i++)
        assert_true(watch_add(watch, WATCH_EVENTS, 1, 0, LONG_MS, fire, &waiter));
    settle(watch);
    int64_t cpu = process_cpu_ns();
    assert_true(watch_add(watch, WATCH_NODE, 9, 0, QUIET_MS, fire, &quiet));
    sem_wait(&quiet.fired); /* so long nothing happens */
    assert_true(process_cpu_ns() - cpu < QUIET_MS * 1000000LL / 4);
    publish(watch, WATCH_EVENTS, 1, 1);
    for (int i = 0; i < 1000; i++)
        sem_wait(&waiter.fired);
    assert_int_equal(waiter.fires, 1000);
    assert_int_equal(waiter.expirations, 0);
}

/* ---- many threads ---- */

enum { ADDERS = 3, ROUNDS = 2000 };

struct adder {
    struct watch *watch;
    pthread_t thread;
    int64_t key;
    atomic_llong *newest;
};

/* Looks, waits, looks again, like a handler does: a wake-up that is lost would last for a
 * minute. */
static void *adder_main(void *ctx)
{
    struct adder *adder = ctx;
    struct waiter waiter;
    waiter_init(&waiter);
    for (int64_t seen = 0; seen < ROUNDS;) {
        int64_t revision = watch_revision(adder->watch);
        seen = *adder->newest;
        if (seen >= ROUNDS)
            break;
        if (seen > revision)
            continue;
        watch_add(adder->watch, WATCH_NODE, adder->key, revision, LONG_MS, fire, &waiter);
        sem_wait(&waiter.fired);
        assert_int_equal(waiter.expirations, 0);
    }
    return NULL;
}

static void test_watch__loses_no_wakeup_among_threads(void **state)
{
    struct adder adders[ADDERS];
    atomic_llong newest = 0;
    for (int i = 0; i < ADDERS; i++) {
        adders[i] = (struct adder){.watch = *state, .key = i, .newest = &newest};
        pthread_create(&adders[i].thread, NULL, adder_main, &adders[i]);
    }
    for (int64_t revision = 1; revision <= ROUNDS; revision++) {
        struct watch_touch touched[ADDERS];
        newest = revision;
        for (int i = 0; i < ADDERS; i++)
            touched[i] = (struct watch_touch){WATCH_NODE, i, revision};
        watch_publish(*state, revision, touched, ADDERS);
    }
    for (int i = 0; i < ADDERS; i++)
        pthread_join(adders[i].thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_watch__wakes_those_of_the_key_and_no_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_watch__what_happened_already_fires_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_watch__ends_when_its_time_has_passed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch__a_poke_is_not_lost_when_nobody_waits_yet, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_watch__may_be_added_again_from_the_callback, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_watch__stopping_fires_all_and_takes_no_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_watch__has_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch__keys_of_another_kind_are_other_keys, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_watch__the_end_of_a_token_wakes_those_who_wait_by_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch__whoever_has_left_waits_no_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_watch__deadlines_come_in_order_whatever_was_removed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_watch__a_thousand_wait_for_nothing_and_hear_of_a_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch__loses_no_wakeup_among_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
