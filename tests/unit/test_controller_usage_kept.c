/* Sums that are kept between pages are found for the same answer only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/usage/usage_kept.h"
#include "controller/usage/usage_query.h"

#define HOUR ((int64_t)HOUR_MS)

static struct usage_query query_of(void)
{
    return (struct usage_query){
        .question = {.from_ms = 10 * HOUR,
                     .to_ms = 20 * HOUR,
                     .period = USAGE_HOUR,
                     .by = {USAGE_BY_PROJECT, USAGE_BY_RESOURCE},
                     .by_count = 2},
        .moment = {.observation_key = 7,
                   .until_ms = 30 * HOUR,
                   .seal_key = 3,
                   .sealed_ms = 29 * HOUR,
                   .revision = 5},
        .position_ms = 12 * HOUR,
    };
}

/* Of the hours from 10 on, as many as fit into one go. */
static struct usage_sum *sum_of(const struct usage_query *query, int periods)
{
    struct usage_question question = query->question;
    question.periods_max = periods;
    struct usage_sum *sum = usage_sum_new(&question, NULL, 0);
    usage_sum_finish(sum);
    return sum;
}

static void test_usage_kept__gives_back_what_the_next_page_needs_once(void **state)
{
    (void)state;
    struct usage_kept *kept = usage_kept_new();
    struct usage_query query = query_of();
    struct usage_sum *sum = sum_of(&query, 0);
    usage_kept_give(kept, &query, sum);
    query.skip = 1000;
    assert_ptr_equal(usage_kept_take(kept, &query), sum);
    assert_null(usage_kept_take(kept, &query));
    usage_sum_free(sum);
    usage_kept_free(kept);
}

enum { CHANGES = 11 };

static void change(struct usage_query *query, int which)
{
    struct usage_question *question = &query->question;
    switch (which) {
    case 0:
        question->from_ms += HOUR;
        break;
    case 1:
        question->to_ms += HOUR;
        break;
    case 2:
        question->period = USAGE_DAY;
        break;
    case 3:
        question->by_count = 1;
        break;
    case 4:
        question->by[1] = USAGE_BY_FLAVOR;
        break;
    case 5:
        question->meters = 1;
        break;
    case 6:
        question->project_key = 2;
        break;
    case 7:
        query->moment.until_ms++;
        break;
    case 8:
        query->moment.seal_key++;
        break;
    case 9:
        query->moment.observation_key++;
        break;
    default:
        query->position_ms = 15 * HOUR; /* behind what was summed up */
    }
}

static void test_usage_kept__is_of_no_use_for_another_answer(void **state)
{
    (void)state;
    for (int which = 0; which < CHANGES; which++) {
        struct usage_kept *kept = usage_kept_new();
        struct usage_query query = query_of(), other = query;
        usage_kept_give(kept, &query, sum_of(&query, 5));
        change(&other, which);
        assert_null(usage_kept_take(kept, &other));
        struct usage_sum *sum = usage_kept_take(kept, &query);
        assert_non_null(sum);
        usage_sum_free(sum);
        usage_kept_free(kept);
    }
}

/* Numbers of labels mean something within their own request only. */
static void test_usage_kept__keeps_no_labels_and_no_prices(void **state)
{
    (void)state;
    static const int keys[] = {USAGE_BY_LABEL, USAGE_BY_LABEL + 1, USAGE_BY_PRICE};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct usage_kept *kept = usage_kept_new();
        struct usage_query query = query_of();
        query.question.by[1] = keys[i];
        usage_kept_give(kept, &query, sum_of(&query, 0));
        assert_null(usage_kept_take(kept, &query));
        usage_kept_free(kept);
    }
}

static void test_usage_kept__the_oldest_makes_room(void **state)
{
    (void)state;
    struct usage_kept *kept = usage_kept_new();
    struct usage_query query = query_of();
    int found = 0;
    for (int i = 0; i < 20; i++) {
        query.moment.revision = i;
        usage_kept_give(kept, &query, sum_of(&query, 0));
    }
    for (int i = 0; i < 20; i++) {
        query.moment.revision = i;
        struct usage_sum *sum = usage_kept_take(kept, &query);
        found += sum != NULL;
        usage_sum_free(sum);
    }
    assert_in_range(found, 1, 19);
    usage_kept_tidy(kept);
    usage_kept_free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_kept__gives_back_what_the_next_page_needs_once),
        cmocka_unit_test(test_usage_kept__is_of_no_use_for_another_answer),
        cmocka_unit_test(test_usage_kept__keeps_no_labels_and_no_prices),
        cmocka_unit_test(test_usage_kept__the_oldest_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
