/* The controller and the agent die by SIGKILL at every side effect: at failpoints and inside
 * system calls, at 200 and more distinct (program, site, occurrence), while real guests are
 * created, stopped, started and deleted. A first cycle without kills lists the places.
 *
 * KILLS=n stops after n (default 200; MINICLOUD_LONG: every place there is). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/faults/kill_plan.h"
#include "tests/faults/life.h"
#include "tests/faults/starts.h"

enum { ENOUGH = 200, EACH_START = 3, MOST_CYCLES = 120, TRIES = 2 };

static int phase_now;

static void say(struct keeper *keeper, const struct kill_place *place, int64_t ms)
{
    static int number;
    (void)keeper;
    printf("# kill %d: %s %s%s:%d during %s, up again after %.2f s\n",
           __atomic_add_fetch(&number, 1, __ATOMIC_SEQ_CST), program_names[place->program],
           place->traced ? "in " : "", place->site, place->n, phase_names[phase_now],
           (double)ms / 1000);
    fflush(stdout);
}

/* A cycle without kills: what is passed in each phase after a fresh start of both. */
static void record(struct life *life, struct kill_plan *plan)
{
    for (int phase = 0; phase < PHASES; phase++) {
        autofree char *logs[PROGRAMS] = {NULL};
        for (int i = 0; i < PROGRAMS; i++) {
            logs[i] = xasprintf("%s/passed.%d.%d", life->cloud->dir, i, phase);
            life->keepers[i].log = logs[i];
            keeper_arm(&life->keepers[i], NULL, 0);
            life->keepers[i].log = NULL;
        }
        life_run(life, phase);
        life_check(life, phase);
        for (int i = 0; i < PROGRAMS; i++) {
            kill_plan_add_log(plan, (enum program)i, phase, logs[i]);
            free(take(logs[i]));
        }
    }
    kill_plan_add_calls(plan);
    printf("# %zu places to die at\n", plan->count);
}

/* Whether there was anything left to arm. */
static bool kill_through(struct life *life, struct kill_plan *plan, int phase)
{
    struct kill_place *lists[PROGRAMS][EACH_START];
    size_t armed = 0;
    phase_now = phase;
    for (int i = 0; i < PROGRAMS; i++) {
        size_t count = kill_plan_pick(plan, (enum program)i, phase, lists[i], EACH_START);
        keeper_arm(&life->keepers[i], lists[i], count);
        armed += count;
    }
    life_run(life, phase);
    for (int i = 0; i < PROGRAMS; i++) {
        if (!keeper_await(&life->keepers[i], 60000) || life->keepers[i].wrong)
            cloud_fail("%s", life->keepers[i].wrong);
    }
    life_check(life, phase);
    return armed > 0;
}

static void print_sums(const struct kill_plan *plan, int cycles, int64_t ms)
{
    for (int program = 0; program < PROGRAMS; program++) {
        for (int phase = 0; phase < PHASES; phase++) {
            size_t all = 0, fired = 0;
            for (size_t i = 0; i < plan->count; i++) {
                bool here = plan->places[i].program == (enum program)program &&
                            plan->places[i].phase == phase;
                all += here;
                fired += here && plan->places[i].fired;
            }
            printf("# %s, %s: died at %zu of %zu places\n", program_names[program],
                   phase_names[phase], fired, all);
        }
    }
    printf("# %zu distinct kills in %d cycles of %d instances, %.1f s\n", kill_plan_fired(plan),
           cycles, LIVES, (double)ms / 1000);
}

static bool kill_cycle(struct life *life, struct kill_plan *plan)
{
    bool more = false;
    life->cycle++;
    for (int phase = 0; phase < PHASES; phase++)
        more = kill_through(life, plan, phase) || more;
    return more;
}

static size_t how_many(void)
{
    const char *text = getenv("KILLS");
    if (text && *text)
        return strtoul(text, NULL, 10);
    return getenv("MINICLOUD_LONG") ? SIZE_MAX : ENOUGH;
}

static void test_kills__nothing_is_lost_doubled_or_left_over(void **state)
{
    (void)state;
    size_t wanted = how_many();
    struct cloud *cloud = cloud_new("kills");
    struct life life = {0};
    struct kill_plan plan = {0};
    starts_record(cloud);
    cloud_host_up(cloud);
    life_begin(&life, cloud);
    record(&life, &plan);
    for (int i = 0; i < PROGRAMS; i++)
        life.keepers[i].recovered = say;
    int64_t start = clock_boottime_ms();
    for (int try = 0; try < TRIES; try++) {
        kill_plan_retry(&plan);
        for (bool more = true; more && kill_plan_fired(&plan) < wanted && life.cycle < MOST_CYCLES;)
            more = kill_cycle(&life, &plan);
    }
    print_sums(&plan, life.cycle, clock_boottime_ms() - start);
    size_t fired = kill_plan_fired(&plan);
    life_end(&life);
    kill_plan_release(&plan);
    cloud_free(cloud);
    assert_true(fired >= (wanted < ENOUGH ? wanted : ENOUGH));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kills__nothing_is_lost_doubled_or_left_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
