/* What evidence proves: exact small cases. Times are seconds from the first moment of
 * 2026-11-10; what comes out is written down as one line of text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "controller/ledger/segment/usage_fold.h"

/* ---- facts ---- */

static int64_t base_ms(void)
{
    static int64_t base;
    if (!base)
        assert_int_equal(clock_parse("2026-11-10T00:00:00Z", &base), 0);
    return base;
}

/* `seen`: seconds of its own time at which the host vouched, ended by 0. */
static struct boot boot_seen(const char *id, int64_t line_s, const int64_t *seen)
{
    static int64_t kept[16][8];
    static int next;
    int64_t *copy = kept[next++ % 16];
    struct boot boot = {
        .node_key = 1, .boot_id = id, .line_ms = base_ms() + line_s * 1000, .seen = copy};
    while (seen[boot.seen_count]) {
        copy[boot.seen_count] = seen[boot.seen_count] * 1000;
        boot.seen_count++;
    }
    return boot;
}
#define BOOT(id, line_s, ...) boot_seen(id, line_s, (const int64_t[]){__VA_ARGS__, 0})

/* As a host's spool counts its boots: from its clock at the first, then on, if that went back. */
static void follows(const struct boot *before, struct boot *boot)
{
    int64_t order = before->order ? before->order : before->line_ms;
    boot->order = order < boot->line_ms ? boot->line_ms : order + 1;
}

static struct fact fact(const struct boot *boot, int kind, int64_t at_s, int64_t run)
{
    return (struct fact){.boot = boot, .kind = kind, .run = run, .boottime_ms = at_s * 1000};
}

/* The disk is there, with these sizes from now on. */
static struct fact sized(const struct boot *boot, int64_t at_s, int64_t vcpus, int64_t memory_mib,
                         int64_t disk_gib)
{
    struct fact f = fact(boot, OBS_ALLOCATED, at_s, 0);
    f.vcpus = vcpus;
    f.memory_mib = memory_mib;
    f.disk_gib = disk_gib;
    return f;
}

static struct fact kept(const struct boot *boot, int64_t at_s)
{
    return sized(boot, at_s, 1, 512, 10);
}

/* A boot's first report lists it; the newest run is known to it. */
static struct fact still_there(const struct boot *boot, int64_t at_s, int64_t run)
{
    struct fact f = kept(boot, at_s);
    f.run = run;
    f.told = true;
    return f;
}

/* Another flavor of the same sizes, by the controller's word alone. */
static struct fact renamed(const struct boot *boot, int64_t at_s, int64_t flavor_key)
{
    struct fact f = kept(boot, at_s);
    f.flavor_key = flavor_key;
    f.told = true;
    return f;
}

static struct fact started(const struct boot *boot, int64_t at_s, int64_t run)
{
    struct fact f = kept(boot, at_s);
    f.kind = OBS_STARTED;
    f.run = run;
    return f;
}

static struct fact stopped(const struct boot *boot, int64_t at_s, int64_t run)
{
    return fact(boot, OBS_STOPPED, at_s, run);
}

static struct fact noticed(const struct boot *boot, int64_t at_s, int64_t run)
{
    struct fact f = stopped(boot, at_s, run);
    f.noticed = true;
    return f;
}

static struct fact deleted(const struct boot *boot, int64_t at_s)
{
    struct fact f = fact(boot, OBS_DELETED, at_s, 0);
    f.told = true;
    return f;
}

static struct fact gone(const struct boot *boot, int64_t at_s)
{
    return fact(boot, OBS_GONE, at_s, 0);
}

/* ---- what they come to ---- */

static void put_time(struct buf *text, int64_t ms)
{
    buf_i64(text, ms / 1000);
    if (ms % 1000)
        buf_printf(text, ".%03d", (int)(ms % 1000));
}

static void put_what(struct buf *text, const struct segment *s)
{
    buf_puts(text, s->kind == SEGMENT_ROOT_DISK ? "disk" : segment_names[s->kind]);
    if (s->run)
        buf_printf(text, "#%d", (int)s->run);
    bool state = s->kind == SEGMENT_RUNNING || s->kind == SEGMENT_ALLOCATED;
    if (state && (s->amounts[1] != 1 || s->amounts[2] != 512))
        buf_printf(text, "[%d,%d]", (int)s->amounts[1], (int)s->amounts[2]);
    if (s->kind == SEGMENT_IMAGE || (s->kind == SEGMENT_ROOT_DISK && s->amounts[0] != 10))
        buf_printf(text, "[%d]", (int)s->amounts[0]);
    if (s->flavor_key)
        buf_printf(text, "(%d)", (int)s->flavor_key);
}

static int by_start_and_kind(const void *a, const void *b)
{
    const struct segment *left = a, *right = b;
    if (left->start_ms != right->start_ms)
        return left->start_ms < right->start_ms ? -1 : 1;
    return left->kind - right->kind;
}

/* "+": it goes on; "?": its end is not proved; "<2": it began at 2, before it was cut. */
static void put_segments(struct buf *text, const struct segments *segments)
{
    for (size_t i = 0; i < segments->count; i++) {
        const struct segment *s = &segments->items[i];
        buf_puts(text, i ? ", " : "");
        put_what(text, s);
        buf_putc(text, ' ');
        put_time(text, s->start_ms - base_ms());
        buf_putc(text, '-');
        put_time(text, s->end_ms - base_ms());
        buf_puts(text, s->open ? "+" : s->verified ? "" : "?");
        if (s->origin_ms != s->start_ms) {
            buf_putc(text, '<');
            put_time(text, s->origin_ms - base_ms());
        }
        assert_int_equal(s->sign, 1);
        assert_true(s->end_ms > s->start_ms);
    }
}

static char *told(int resource, int64_t until_s, const struct fact *facts, size_t count)
{
    autofree struct fact *copy = xcalloc(count + 1, sizeof(*copy));
    struct segments segments = {0};
    struct fold_question question = {.resource = resource, .until_ms = base_ms() + until_s * 1000};
    struct buf text = {0};
    memcpy(copy, facts, count * sizeof(*copy));
    usage_fold(&question, copy, count, &segments);
    if (segments.count)
        qsort(segments.items, segments.count, sizeof(*segments.items), by_start_and_kind);
    buf_puts(&text, "");
    put_segments(&text, &segments);
    segments_release(&segments);
    return text.data;
}

static void expect(int line, int resource, int64_t until_s, const char *wanted,
                   const struct fact *facts, size_t count)
{
    autofree char *text = told(resource, until_s, facts, count);
    if (strcmp(text, wanted) != 0)
        fail_msg("line %d:\n   %s\nnot %s", line, text, wanted);
}
#define PROVES(until_s, wanted, ...)                                                         \
    expect(__LINE__, RESOURCE_INSTANCE, until_s, wanted, (const struct fact[]){__VA_ARGS__}, \
           sizeof((const struct fact[]){__VA_ARGS__}) / sizeof(struct fact))

/* ---- runs ---- */

static void test_fold__a_run_lasts_from_its_start_to_its_stop(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 100);
    PROVES(100, "allocated 1-10, disk 1-100+, running#1 10-50, allocated 50-100+", kept(&a, 1),
           started(&a, 10, 1), stopped(&a, 50, 1));
}

static void test_fold__exactly_one_of_running_and_allocated_is_on_between_runs(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 200);
    PROVES(100,
           "running#1 10-20, disk 10-100+, allocated 20-30, running#2 30-40, allocated 40-55,"
           " running#3 55-100+",
           started(&a, 10, 1), stopped(&a, 20, 1), started(&a, 30, 2), stopped(&a, 40, 2),
           started(&a, 55, 3));
}

static void test_fold__a_run_that_goes_on_is_open_as_far_as_was_asked(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 100);
    PROVES(70, "running#1 10-70+, disk 10-70+", started(&a, 10, 1));
    PROVES(100, "running#1 10-100+, disk 10-100+", started(&a, 10, 1));
}

static void test_fold__what_begins_when_it_is_asked_for_is_not_told_yet(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 100);
    PROVES(10, "", started(&a, 10, 1));
    PROVES(11, "running#1 10-11+, disk 10-11+", started(&a, 10, 1));
}

static void test_fold__a_stop_at_the_moment_asked_for_is_told_by_a_later_one(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 100);
    PROVES(50, "running#1 10-50+, disk 10-50+", started(&a, 10, 1), stopped(&a, 50, 1));
    PROVES(51, "running#1 10-50, disk 10-51+, allocated 50-51+", started(&a, 10, 1),
           stopped(&a, 50, 1));
}

static void test_fold__a_stop_that_was_only_noticed_ends_where_the_host_vouched_last(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20, 40, 60, 90);
    PROVES(80, "running#1 10-40?, disk 10-80+, gap 40-55, allocated 55-80+", started(&a, 10, 1),
           noticed(&a, 55, 1));
}

static void test_fold__without_a_word_of_its_host_a_noticed_run_is_not_billed(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "disk 10-80+, gap 10-55, allocated 55-80+", started(&a, 10, 1), noticed(&a, 55, 1));
}

static void test_fold__counters_that_were_read_prove_that_it_ran_then(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20);
    PROVES(80, "running#1 10-50?, disk 10-50?, gap 50-80+", started(&a, 10, 1),
           fact(&a, OBS_COUNTED, 50, 1));
    PROVES(58, "running#1 10-50?, disk 10-55?, gap 50-58+", started(&a, 10, 1),
           fact(&a, OBS_COUNTED, 50, 1), noticed(&a, 55, 1));
}

static void test_fold__an_exact_stop_counts_more_than_a_noticed_one(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20, 90);
    PROVES(80, "running#1 10-50, disk 10-80+, allocated 50-80+", started(&a, 10, 1),
           noticed(&a, 55, 1), stopped(&a, 50, 1));
}

static void test_fold__a_next_start_ends_a_run_of_whose_end_nobody_spoke(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20, 90);
    PROVES(80, "running#1 10-20?, disk 10-80+, gap 20-40, running#2 40-80+", started(&a, 10, 1),
           started(&a, 40, 2));
}

static void test_fold__being_gone_does_not_prove_that_it_ran_until_then(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20, 90);
    PROVES(80, "running#1 10-20?, disk 10-60, gap 20-60", started(&a, 10, 1), gone(&a, 60));
    PROVES(80, "running#1 10-40, disk 10-60, allocated 40-60", started(&a, 10, 1),
           stopped(&a, 40, 1), gone(&a, 60));
}

static void test_fold__a_run_of_no_length_is_none(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "allocated 1-80+, disk 1-80+", kept(&a, 1), started(&a, 10, 1), stopped(&a, 10, 1));
}

static void test_fold__a_stop_before_its_start_by_the_grain_of_a_clock_is_no_length(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    struct fact stop = stopped(&a, 10, 1);
    stop.boottime_ms -= 7;
    PROVES(80, "allocated 1-80+, disk 1-80+", kept(&a, 1), started(&a, 10, 1), stop);
}

static void test_fold__a_stop_behind_the_next_start_ends_there(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "running#1 10-30, disk 10-80+, running#2 30-80+", started(&a, 10, 1),
           stopped(&a, 35, 1), started(&a, 30, 2));
}

static void test_fold__of_several_words_the_earliest_counts(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "running#1 10-50, disk 10-80+, allocated 50-80+", started(&a, 12, 1),
           stopped(&a, 53, 1), started(&a, 10, 1), stopped(&a, 50, 1), stopped(&a, 50, 1));
}

static void test_fold__the_order_in_which_facts_came_changes_nothing(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "allocated 1-10, disk 1-80+, running#1 10-50, allocated 50-80+", stopped(&a, 50, 1),
           kept(&a, 1), stopped(&a, 50, 1), started(&a, 10, 1), kept(&a, 1));
}

static void test_fold__a_run_whose_start_nobody_proved_is_not_billed(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "", stopped(&a, 50, 1));
    PROVES(80, "allocated 1-80+, disk 1-80+", kept(&a, 1), stopped(&a, 50, 1));
}

static void test_fold__milliseconds_are_kept(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    struct fact start = started(&a, 10, 1), stop = stopped(&a, 11, 1);
    start.boottime_ms += 1;
    stop.boottime_ms -= 1;
    PROVES(80, "running#1 10.001-10.999, disk 10.001-80+, allocated 10.999-80+", start, stop);
}

/* ---- sizes ---- */

static void test_fold__a_resize_while_stopped_splits_all_at_one_instant(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    struct fact start = started(&a, 40, 1);
    start.vcpus = 4;
    start.memory_mib = 2048;
    start.disk_gib = 20;
    PROVES(80,
           "allocated 1-30, disk 1-30, allocated[4,2048] 30-40, disk[20] 30-80+,"
           " running#1[4,2048] 40-80+",
           kept(&a, 1), sized(&a, 30, 4, 2048, 20), start);
}

static void test_fold__saying_the_same_sizes_again_splits_nothing(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "allocated 1-80+, disk 1-80+", kept(&a, 1), kept(&a, 30), kept(&a, 31));
}

static void test_fold__another_flavor_of_the_same_sizes_splits_as_well(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "allocated 1-30, disk 1-30, allocated(7) 30-80+, disk(7) 30-80+", kept(&a, 1),
           renamed(&a, 30, 7));
}

static void test_fold__the_controllers_word_of_a_flavor_does_not_vouch_for_a_host(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20);
    PROVES(80, "allocated 1-20?, disk 1-20?, gap 20-80+", kept(&a, 1), renamed(&a, 60, 7));
}

/* ---- ends ---- */

static void test_fold__delete_accepted_ends_a_run_though_it_stops_later(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "running#1 10-30, disk 10-30", started(&a, 10, 1), deleted(&a, 30),
           stopped(&a, 33, 1), gone(&a, 34));
}

static void test_fold__delete_accepted_ends_a_run_that_goes_on(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "running#1 10-30, disk 10-30", started(&a, 10, 1), deleted(&a, 30));
}

static void test_fold__delete_ends_what_is_allocated(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "allocated 1-30, disk 1-30", kept(&a, 1), deleted(&a, 30), gone(&a, 31));
}

static void test_fold__delete_behind_what_is_vouched_for_leaves_a_gap_up_to_it(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20);
    PROVES(80, "running#1 10-20?, disk 10-20?, gap 20-50", started(&a, 10, 1), deleted(&a, 50));
    PROVES(40, "running#1 10-20?, disk 10-20?, gap 20-40+", started(&a, 10, 1), deleted(&a, 50));
}

static void test_fold__a_start_behind_the_delete_is_not_billed(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "allocated 1-30, disk 1-30", kept(&a, 1), deleted(&a, 30), started(&a, 35, 1),
           stopped(&a, 40, 1));
}

static void test_fold__deleting_what_was_never_there_is_nothing(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "", deleted(&a, 30));
    PROVES(80, "", deleted(&a, 30), kept(&a, 40), gone(&a, 50));
}

static void test_fold__a_second_delete_changes_nothing(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    PROVES(80, "allocated 1-30, disk 1-30", kept(&a, 1), deleted(&a, 40), deleted(&a, 30));
}

static void test_fold__the_first_report_of_a_new_boot_does_not_bring_back_what_was_deleted(void **s)
{
    (void)s;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", 50, 40);
    PROVES(80, "running#1 10-30, disk 10-30", started(&a, 10, 1), deleted(&a, 30),
           still_there(&b, 5, 1), gone(&b, 20));
}

static void test_fold__deleted_in_a_boot_that_never_spoke_of_it_ends_its_gap(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", 50, 40);
    PROVES(80, "running#1 10-40?, disk 10-40?, gap 40-60", started(&a, 10, 1), deleted(&b, 10));
}

static void test_fold__gone_in_a_later_boot_is_the_end_though_clocks_went_back(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", -5000, 40);
    follows(&a, &b);
    PROVES(80, "running#1 10-40?, disk 10-40?, allocated 40-75?, disk 40-75?, gap 75-80+",
           started(&a, 10, 1), still_there(&b, 5, 1));
    PROVES(80, "running#1 10-40?, disk 10-40?, allocated 40-55, disk 40-55", started(&a, 10, 1),
           still_there(&b, 5, 1), gone(&b, 20));
}

/* ---- hosts ---- */

static void test_fold__a_lost_host_ends_all_where_it_vouched_last(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20, 40);
    PROVES(80, "allocated 1-10, disk 1-40?, running#1 10-40?, gap 40-80+", kept(&a, 1),
           started(&a, 10, 1));
}

static void test_fold__a_host_that_was_away_had_what_it_still_has(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20, 75);
    PROVES(70, "running#1 10-70+, disk 10-70+", started(&a, 10, 1));
}

static void test_fold__a_new_boot_leaves_a_gap_and_goes_on(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", 50, 40);
    PROVES(80,
           "running#1 10-40?, disk 10-40?, gap 40-55, allocated 55-60, disk 55-80+,"
           " running#2 60-80+",
           started(&a, 10, 1), still_there(&b, 5, 1), started(&b, 10, 2));
}

static void test_fold__a_boot_that_never_spoke_of_it_proves_nothing(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40);
    PROVES(80, "running#1 10-40?, disk 10-40?, gap 40-80+", started(&a, 10, 1));
}

static void test_fold__the_line_of_a_boot_moves_all_of_it(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 3600, 90);
    PROVES(3600 + 80, "running#1 3610-3650, disk 3610-3680+, allocated 3650-3680+",
           started(&a, 10, 1), stopped(&a, 50, 1));
}

static void test_fold__a_boot_whose_line_lies_in_another_is_moved_behind_it(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", 20, 40);
    PROVES(100,
           "running#1 10-40?, disk 10-40?, allocated 40-45, disk 40-75?, running#2 45-75?,"
           " gap 75-100+",
           started(&a, 10, 1), still_there(&b, 5, 1), started(&b, 10, 2));
}

static void test_fold__what_was_deleted_stays_so_though_the_next_boot_lies_a_month_back(void **s)
{
    (void)s;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", -2592000, 40);
    follows(&a, &b);
    PROVES(80, "running#1 10-30, disk 10-30", started(&a, 10, 1), deleted(&a, 30),
           still_there(&b, 5, 1));
    PROVES(80, "running#1 10-30, disk 10-30", started(&a, 10, 1), deleted(&a, 30),
           still_there(&b, 5, 1), gone(&b, 20));
}

static void test_fold__a_delete_in_a_boot_of_which_nothing_is_known_comes_last(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40), b = {.node_key = 1, .boot_id = "b"};
    PROVES(80, "running#1 10-40?, disk 10-40?", started(&a, 10, 1), deleted(&b, 10));
}

static void test_fold__a_word_of_a_later_run_tells_that_the_one_before_is_over(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20, 30, 90);
    PROVES(80, "running#1 10-30?, disk 10-80+, gap 30-50, allocated 50-80+", started(&a, 10, 1),
           stopped(&a, 50, 2));
}

static void test_fold__the_report_that_notices_an_end_vouches_for_none_of_it(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20, 50, 90);
    PROVES(80, "running#1 10-20?, disk 10-80+, gap 20-50, allocated 50-80+", started(&a, 10, 1),
           noticed(&a, 50, 1));
}

static void test_fold__nothing_is_billed_in_a_boot_after_the_one_it_was_deleted_in(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", 50, 40);
    PROVES(80, "", deleted(&a, 30), still_there(&b, 5, 1));
}

static void test_fold__boots_follow_one_another_though_a_clock_went_back_a_month(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", -2592000, 40);
    follows(&a, &b);
    PROVES(100,
           "running#1 10-30, disk 10-40?, allocated 30-40?, running#2 40-60, disk 40-70?,"
           " allocated 60-70?, gap 70-100+",
           started(&a, 10, 1), stopped(&a, 30, 1), started(&b, 10, 2), stopped(&b, 30, 2));
}

static void test_fold__boots_of_a_clock_that_jumps_on_leave_a_gap(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 40), b = BOOT("b", 1000, 40);
    PROVES(1035,
           "running#1 10-30, disk 10-40?, allocated 30-40?, gap 40-1010,"
           " running#2 1010-1030, disk 1010-1035+, allocated 1030-1035+",
           started(&a, 10, 1), stopped(&a, 30, 1), started(&b, 10, 2), stopped(&b, 30, 2));
}

/* ---- months ---- */

enum { MONTH_END_S = 21 * 86400 }; /* from the 10th of November */

static void test_fold__the_end_of_a_month_cuts_and_the_origin_stays(void **state)
{
    (void)state;
    struct boot a = BOOT("a", MONTH_END_S - 100, 400);
    PROVES(MONTH_END_S + 200,
           "running#1 1814390-1814400, disk 1814390-1814400, running#1 1814400-1814500<1814390,"
           " disk 1814400-1814600+<1814390, allocated 1814500-1814600+",
           started(&a, 90, 1), stopped(&a, 200, 1));
}

static void test_fold__what_ends_with_the_month_is_not_cut(void **state)
{
    (void)state;
    struct boot a = BOOT("a", MONTH_END_S - 100, 400);
    PROVES(MONTH_END_S, "running#1 1814390-1814400+, disk 1814390-1814400+", started(&a, 90, 1),
           stopped(&a, 200, 1));
}

/* ---- images ---- */

static struct fact image(const struct boot *boot, int64_t at_s, int64_t bytes)
{
    struct fact f = fact(boot, OBS_ALLOCATED, at_s, 0);
    f.bytes = bytes;
    return f;
}

#define IMAGE_PROVES(until_s, wanted, ...)                                                \
    expect(__LINE__, RESOURCE_IMAGE, until_s, wanted, (const struct fact[]){__VA_ARGS__}, \
           sizeof((const struct fact[]){__VA_ARGS__}) / sizeof(struct fact))

static void test_fold__an_image_is_kept_from_its_upload_until_it_is_gone(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 90);
    IMAGE_PROVES(80, "image[700] 10-80+", image(&a, 10, 700));
    IMAGE_PROVES(80, "image[700] 10-60", image(&a, 10, 700), gone(&a, 60));
}

static void test_fold__an_image_is_not_billed_while_its_machine_was_down(void **state)
{
    (void)state;
    struct boot a = BOOT("a", 0, 20), b = BOOT("b", 50, 90);
    IMAGE_PROVES(80, "image[700] 10-20?, gap 20-51, image[700] 51-80+", image(&a, 10, 700),
                 image(&b, 1, 700));
}

static void test_fold__no_facts_prove_nothing(void **state)
{
    (void)state;
    expect(__LINE__, RESOURCE_INSTANCE, 80, "", (const struct fact[]){{0}}, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold__a_run_lasts_from_its_start_to_its_stop),
        cmocka_unit_test(test_fold__exactly_one_of_running_and_allocated_is_on_between_runs),
        cmocka_unit_test(test_fold__a_run_that_goes_on_is_open_as_far_as_was_asked),
        cmocka_unit_test(test_fold__what_begins_when_it_is_asked_for_is_not_told_yet),
        cmocka_unit_test(test_fold__a_stop_at_the_moment_asked_for_is_told_by_a_later_one),
        cmocka_unit_test(test_fold__a_stop_that_was_only_noticed_ends_where_the_host_vouched_last),
        cmocka_unit_test(test_fold__without_a_word_of_its_host_a_noticed_run_is_not_billed),
        cmocka_unit_test(test_fold__counters_that_were_read_prove_that_it_ran_then),
        cmocka_unit_test(test_fold__an_exact_stop_counts_more_than_a_noticed_one),
        cmocka_unit_test(test_fold__a_next_start_ends_a_run_of_whose_end_nobody_spoke),
        cmocka_unit_test(test_fold__being_gone_does_not_prove_that_it_ran_until_then),
        cmocka_unit_test(test_fold__a_run_of_no_length_is_none),
        cmocka_unit_test(test_fold__a_stop_before_its_start_by_the_grain_of_a_clock_is_no_length),
        cmocka_unit_test(test_fold__a_stop_behind_the_next_start_ends_there),
        cmocka_unit_test(test_fold__of_several_words_the_earliest_counts),
        cmocka_unit_test(test_fold__the_order_in_which_facts_came_changes_nothing),
        cmocka_unit_test(test_fold__a_run_whose_start_nobody_proved_is_not_billed),
        cmocka_unit_test(test_fold__milliseconds_are_kept),
        cmocka_unit_test(test_fold__a_resize_while_stopped_splits_all_at_one_instant),
        cmocka_unit_test(test_fold__saying_the_same_sizes_again_splits_nothing),
        cmocka_unit_test(test_fold__another_flavor_of_the_same_sizes_splits_as_well),
        cmocka_unit_test(test_fold__the_controllers_word_of_a_flavor_does_not_vouch_for_a_host),
        cmocka_unit_test(test_fold__delete_accepted_ends_a_run_though_it_stops_later),
        cmocka_unit_test(test_fold__delete_accepted_ends_a_run_that_goes_on),
        cmocka_unit_test(test_fold__delete_ends_what_is_allocated),
        cmocka_unit_test(test_fold__delete_behind_what_is_vouched_for_leaves_a_gap_up_to_it),
        cmocka_unit_test(test_fold__a_start_behind_the_delete_is_not_billed),
        cmocka_unit_test(test_fold__deleting_what_was_never_there_is_nothing),
        cmocka_unit_test(test_fold__a_second_delete_changes_nothing),
        cmocka_unit_test(
            test_fold__the_first_report_of_a_new_boot_does_not_bring_back_what_was_deleted),
        cmocka_unit_test(test_fold__deleted_in_a_boot_that_never_spoke_of_it_ends_its_gap),
        cmocka_unit_test(test_fold__gone_in_a_later_boot_is_the_end_though_clocks_went_back),
        cmocka_unit_test(test_fold__a_lost_host_ends_all_where_it_vouched_last),
        cmocka_unit_test(test_fold__a_host_that_was_away_had_what_it_still_has),
        cmocka_unit_test(test_fold__a_new_boot_leaves_a_gap_and_goes_on),
        cmocka_unit_test(test_fold__a_boot_that_never_spoke_of_it_proves_nothing),
        cmocka_unit_test(test_fold__the_line_of_a_boot_moves_all_of_it),
        cmocka_unit_test(test_fold__a_boot_whose_line_lies_in_another_is_moved_behind_it),
        cmocka_unit_test(
            test_fold__what_was_deleted_stays_so_though_the_next_boot_lies_a_month_back),
        cmocka_unit_test(test_fold__nothing_is_billed_in_a_boot_after_the_one_it_was_deleted_in),
        cmocka_unit_test(test_fold__a_delete_in_a_boot_of_which_nothing_is_known_comes_last),
        cmocka_unit_test(test_fold__a_word_of_a_later_run_tells_that_the_one_before_is_over),
        cmocka_unit_test(test_fold__the_report_that_notices_an_end_vouches_for_none_of_it),
        cmocka_unit_test(test_fold__boots_follow_one_another_though_a_clock_went_back_a_month),
        cmocka_unit_test(test_fold__boots_of_a_clock_that_jumps_on_leave_a_gap),
        cmocka_unit_test(test_fold__the_end_of_a_month_cuts_and_the_origin_stays),
        cmocka_unit_test(test_fold__what_ends_with_the_month_is_not_cut),
        cmocka_unit_test(test_fold__an_image_is_kept_from_its_upload_until_it_is_gone),
        cmocka_unit_test(test_fold__an_image_is_not_billed_while_its_machine_was_down),
        cmocka_unit_test(test_fold__no_facts_prove_nothing),
    };
    return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
