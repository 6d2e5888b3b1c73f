/* Placement and the numbers it hands out: pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "controller/placement/numbers.h"
#include "controller/placement/placement.h"

static const struct sizes need = {.vcpus = 4, .memory_mib = 8192, .disk_gib = 40};

static struct placement_host open_host(const char *name, int64_t vcpus, int64_t memory,
                                       int64_t disk)
{
    return (struct placement_host){
        .name = name, .free = {vcpus, memory, disk}, .schedulable = true, .reported = true};
}

static void test_placement__names_the_rule_that_refused_each_host(void **state)
{
    (void)state;
    struct placement_host hosts[] = {
        open_host("cpu", 3, 9000, 50),   open_host("memory", 8, 8191, 50),
        open_host("disk", 8, 9000, 39),  open_host("closed", 8, 9000, 50),
        open_host("quiet", 8, 9000, 50), open_host("new", 8, 9000, 50)};
    hosts[3].schedulable = false;
    hosts[4].silent = true;
    hosts[5].reported = false;
    static const char *const rules[] = {"vcpus",       "memory", "disk",
                                        "schedulable", "silent", "never_reported"};
    struct err auto_err err = {0};
    assert_int_equal(placement_refuse(hosts, ARRAY_SIZE(hosts), &need, &err), -1);
    assert_int_equal(err.code, ERR_NO_CAPACITY);
    struct json auto_json *more = NULL;
    struct err auto_err bad = {0};
    assert_int_equal(json_parse(err.more, strlen(err.more), &more, &bad), 0);
    struct json *item = json_first(json_get(more, "hosts"));
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++, item = json_next(item)) {
        assert_string_equal(json_str(json_get(item, "node")), hosts[i].name);
        assert_string_equal(json_str(json_get(item, "rule")), rules[i]);
    }
    int64_t needed, free_amount;
    item = json_next(json_first(json_get(more, "hosts")));
    assert_true(json_i64(json_get(item, "needed"), &needed));
    assert_true(json_i64(json_get(item, "free"), &free_amount));
    assert_int_equal(needed, 8192);
    assert_int_equal(free_amount, 8191);
    assert_non_null(strstr(err.msg, "at most 8191 MiB"));
}

static void test_placement__a_refusal_by_a_large_fleet_stays_short(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct placement_host *hosts = xcalloc(COUNT, sizeof(*hosts));
    for (size_t i = 0; i < COUNT; i++)
        hosts[i] = open_host("host", 1, 1, 1);
    struct err auto_err err = {0};
    placement_refuse(hosts, COUNT, &need, &err);
    struct json auto_json *more = NULL;
    struct err auto_err bad = {0};
    assert_int_equal(json_parse(err.more, strlen(err.more), &more, &bad), 0);
    assert_int_equal(json_count(json_get(more, "hosts")), PLACEMENT_EXPLAINED);
    int64_t omitted, vcpus;
    assert_true(json_i64(json_get(more, "hosts_omitted"), &omitted));
    assert_true(json_i64(json_get(json_get(more, "rules"), "vcpus"), &vcpus));
    assert_int_equal(omitted, COUNT - PLACEMENT_EXPLAINED);
    assert_int_equal(vcpus, COUNT);
    free(hosts);
}

static void test_placement__says_so_when_there_is_no_host(void **state)
{
    (void)state;
    struct err auto_err err = {0};
    placement_refuse(NULL, 0, &need, &err);
    assert_non_null(strstr(err.msg, "no host has joined"));
}

static const struct sizes whole = {.vcpus = 16, .memory_mib = 16384, .disk_gib = 100};

static void test_placement__takes_the_host_whose_scarcest_resource_is_freest(void **state)
{
    (void)state;
    struct placement *placement = placement_new();
    const struct sizes hosts[] = {{8, 9000, 60}, {12, 12000, 75}, {5, 16000, 99}, {12, 12000, 75}};
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
        placement_set(placement, i, &hosts[i], &whole);
    size_t index;
    assert_true(placement_choose(placement, &need, &index));
    assert_int_equal(index, 1);
    placement_set(placement, 1, NULL, &whole);
    assert_true(placement_choose(placement, &need, &index));
    assert_int_equal(index, 3);
    placement_set(placement, 3, NULL, &whole);
    assert_true(placement_choose(placement, &need, &index));
    assert_int_equal(index, 0);
    placement_set(placement, 0, NULL, &whole);
    placement_set(placement, 2, NULL, &whole);
    assert_false(placement_choose(placement, &need, &index));
    placement_free(placement);
}

/* ---- against a plain scan ---- */

static bool scan(const struct sizes *hosts, const bool *open, size_t count,
                 const struct sizes *wanted, size_t *ret_index)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (!open[i] || hosts[i].vcpus < wanted->vcpus || hosts[i].disk_gib < wanted->disk_gib ||
            hosts[i].memory_mib < wanted->memory_mib)
            continue;
        if (!found ||
            placement_share(&hosts[i], &whole) > placement_share(&hosts[*ret_index], &whole))
            *ret_index = i;
        found = true;
    }
    return found;
}

static void test_placement__agrees_with_a_plain_scan_over_random_fleets(void **state)
{
    (void)state;
    enum { COUNT = 137, STEPS = 20000 };
    struct sizes hosts[COUNT];
    bool open[COUNT];
    struct placement *placement = placement_new();
    srandom(7);
    memset(open, 0, sizeof(open));
    for (int step = 0; step < STEPS; step++) {
        size_t at = (size_t)random() % COUNT;
        hosts[at] = (struct sizes){random() % 8, random() % 32 * 512, random() % 40};
        open[at] = random() % 10 != 0;
        placement_set(placement, at, open[at] ? &hosts[at] : NULL, &whole);
        struct sizes wanted = {random() % 8, random() % 32 * 512, random() % 40};
        size_t a = 0, b = 0;
        bool found = scan(hosts, open, COUNT, &wanted, &a);
        assert_int_equal(placement_choose(placement, &wanted, &b), found);
        if (found)
            assert_int_equal(a, b);
    }
    placement_free(placement);
}

/* ---- numbers ---- */

static void test_numbers__give_the_lowest_free_one(void **state)
{
    (void)state;
    struct numbers numbers;
    numbers_init(&numbers, 200000, 200000 + 5000);
    for (int64_t i = 0; i <= 5000; i++) {
        assert_int_equal(numbers_lowest(&numbers), 200000 + i);
        assert_false(numbers_set(&numbers, 200000 + i, true));
    }
    assert_int_equal(numbers_lowest(&numbers), -1);
    assert_true(numbers_set(&numbers, 204999, false));
    assert_true(numbers_set(&numbers, 200777, false));
    assert_int_equal(numbers_lowest(&numbers), 200777);
    numbers_set(&numbers, 200777, true);
    assert_int_equal(numbers_lowest(&numbers), 204999);
    numbers_release(&numbers);
}

static void test_numbers__ignore_what_is_outside_their_range(void **state)
{
    (void)state;
    struct numbers numbers;
    numbers_init(&numbers, 10, 12);
    assert_false(numbers_set(&numbers, 9, true));
    assert_false(numbers_set(&numbers, 13, true));
    assert_false(numbers_set(&numbers, -1, true));
    assert_int_equal(numbers_lowest(&numbers), 10);
    numbers_release(&numbers);
    numbers_init(&numbers, 10, 9);
    assert_int_equal(numbers_lowest(&numbers), -1);
    numbers_release(&numbers);
}

static void test_numbers__give_the_lowest_free_one_from_a_number_on(void **state)
{
    (void)state;
    enum { FIRST = 7, COUNT = 70000 };
    struct numbers numbers;
    numbers_init(&numbers, FIRST, FIRST + COUNT - 1);
    for (int64_t i = FIRST; i < FIRST + COUNT; i++)
        numbers_set(&numbers, i, true);
    assert_int_equal(numbers_next(&numbers, FIRST), -1);
    static const int64_t open[] = {FIRST, FIRST + 63, FIRST + 64, FIRST + 5000, FIRST + COUNT - 1};
    for (size_t i = 0; i < ARRAY_SIZE(open); i++)
        numbers_set(&numbers, open[i], false);
    int64_t from = 0;
    for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
        assert_int_equal(numbers_next(&numbers, from), open[i]);
        assert_int_equal(numbers_next(&numbers, open[i]), open[i]);
        from = open[i] + 1;
    }
    assert_int_equal(numbers_next(&numbers, from), -1);
    assert_int_equal(numbers_next(&numbers, INT64_MAX), -1);
    numbers_release(&numbers);
}

static void test_numbers__agree_with_a_plain_array(void **state)
{
    (void)state;
    enum { COUNT = 9000 };
    static bool taken[COUNT];
    struct numbers numbers;
    numbers_init(&numbers, 0, COUNT - 1);
    srandom(3);
    for (int step = 0; step < 60000; step++) {
        int64_t at = random() % COUNT;
        bool now = random() % 20 != 0;
        assert_int_equal(numbers_set(&numbers, at, now), taken[at]);
        taken[at] = now;
        if (step % 50)
            continue;
        int64_t lowest = 0;
        while (lowest < COUNT && taken[lowest])
            lowest++;
        assert_int_equal(numbers_lowest(&numbers), lowest == COUNT ? -1 : lowest);
    }
    numbers_release(&numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placement__names_the_rule_that_refused_each_host),
        cmocka_unit_test(test_placement__a_refusal_by_a_large_fleet_stays_short),
        cmocka_unit_test(test_placement__says_so_when_there_is_no_host),
        cmocka_unit_test(test_placement__takes_the_host_whose_scarcest_resource_is_freest),
        cmocka_unit_test(test_placement__agrees_with_a_plain_scan_over_random_fleets),
        cmocka_unit_test(test_numbers__give_the_lowest_free_one),
        cmocka_unit_test(test_numbers__ignore_what_is_outside_their_range),
        cmocka_unit_test(test_numbers__give_the_lowest_free_one_from_a_number_on),
        cmocka_unit_test(test_numbers__agree_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
