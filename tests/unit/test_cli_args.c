/* Command lines: what is understood, what is refused and how the refusal reads. */
#include "tests/unit/cli_harness.h"

#include "api/base/clock.h"
#include "api/base/err.h"
#include "cli/line/args.h"

struct parsed {
    struct args args;
    struct err err;
    int rc;
    char *words;
};

static void parsed_release(struct parsed *parsed)
{
    args_release(&parsed->args);
    err_clear(&parsed->err);
    free(parsed->words);
}
#define auto_parsed __attribute__((cleanup(parsed_release)))

static struct parsed parse(const char *line)
{
    struct parsed parsed = {.words = xstrdup(line)};
    char *argv[32];
    int argc = 0;
    char *rest = parsed.words, *word;
    while ((word = strsep(&rest, " ")) && argc < 32)
        argv[argc++] = word;
    parsed.rc = args_parse(argc, argv, &parsed.args, &parsed.err);
    return parsed;
}

static void assert_refused(const char *line, const char *message)
{
    auto_parsed struct parsed parsed = parse(line);
    assert_int_equal(parsed.rc, -1);
    assert_int_equal(parsed.err.code, ERR_USAGE);
    assert_has(parsed.err.msg, message);
}

static void test_args__noun_verb_targets_and_options_in_any_order(void **state)
{
    (void)state;
    auto_parsed struct parsed p =
        parse("cloudctl --context lab instance stop a --force b -ojson c");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.args.noun->name, "instance");
    assert_string_equal(p.args.verb->name, "stop");
    assert_int_equal(p.args.target_count, 3);
    assert_string_equal(p.args.targets[2], "c");
    assert_string_equal(args_text(&p.args, "context"), "lab");
    assert_string_equal(args_text(&p.args, "output"), "json");
    assert_true(args_has(&p.args, "force"));
}

static void test_args__options_of_groups_may_stand_before_the_noun(void **state)
{
    (void)state;
    auto_parsed struct parsed p = parse("cloudctl -o json instances list");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.args.noun->name, "instance");
    assert_refused("cloudctl --yes instance list", "there is no option --yes");
}

static void test_args__two_dashes_end_the_options(void **state)
{
    (void)state;
    auto_parsed struct parsed p = parse("cloudctl instance show -- -x --yes");
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.args.target_count, 2);
    assert_string_equal(p.args.targets[1], "--yes");
}

static void test_args__the_last_of_a_repeated_option_counts(void **state)
{
    (void)state;
    auto_parsed struct parsed p = parse("cloudctl instance list -o json -o yaml");
    assert_string_equal(args_text(&p.args, "output"), "yaml");
}

static int64_t number(const char *line, const char *option)
{
    auto_parsed struct parsed p = parse(line);
    if (p.rc != 0)
        fail_msg("%s: %s", line, p.err.msg);
    return args_number(&p.args, option, -1);
}

static void test_args__sizes_are_counted_in_their_unit(void **state)
{
    (void)state;
    assert_int_equal(number("cloudctl instance resize a --memory 512", "memory"), 512);
    assert_int_equal(number("cloudctl instance resize a --memory 512M", "memory"), 512);
    assert_int_equal(number("cloudctl instance resize a --memory=2G", "memory"), 2048);
    assert_int_equal(number("cloudctl instance resize a --memory 2GiB", "memory"), 2048);
    assert_int_equal(number("cloudctl instance resize a --memory 1048576k", "memory"), 1024);
    assert_int_equal(number("cloudctl instance resize a --disk 1T", "disk"), 1024);
    assert_refused("cloudctl instance resize a --disk 512M", "must be whole GiB");
    assert_refused("cloudctl instance resize a --memory 1.5G", "must be a size");
    assert_refused("cloudctl instance resize a --memory -1", "must be a size");
    assert_refused("cloudctl instance resize a --memory 0", "must be from 1 to");
    assert_refused("cloudctl instance resize a --memory 99999999999999999999", "must be a size");
    assert_refused("cloudctl instance resize a --disk 9223372036854775807T", "must be a size");
    assert_refused("cloudctl instance resize a --vcpus 257", "must be from 1 to 256");
    assert_refused("cloudctl instance resize a --vcpus 1x", "must be a whole number");
}

static void test_args__times_take_units(void **state)
{
    (void)state;
    assert_int_equal(number("cloudctl instance stop a --grace 90", "grace"), 90);
    assert_int_equal(number("cloudctl instance stop a --grace 90s", "grace"), 90);
    assert_int_equal(number("cloudctl instance stop a --timeout 2h", "timeout"), 7200);
    assert_refused("cloudctl instance stop a --grace 11m", "must be from 1 to 600");
    assert_refused("cloudctl instance stop a --timeout soon", "must be a time");
    assert_refused("cloudctl instance stop a --timeout 5ms", "must be a time");
}

static void test_args__refusals_name_what_would_be_right(void **state)
{
    (void)state;
    assert_refused("cloudctl instnace list", "did you mean instance?");
    assert_refused("cloudctl banana", "there is no command banana");
    assert_refused("cloudctl instance lst", "instance has no verb lst; did you mean list?");
    assert_refused("cloudctl instance create a --flavour x", "did you mean --flavor?");
    assert_refused("cloudctl instance list -o xml", "must be table, json, yaml, csv or name");
    assert_refused("cloudctl instance create a", "--image is needed");
    assert_refused("cloudctl instance show", "say which: NAME...");
    assert_refused("cloudctl instance update a b --name c", "b is too much");
    assert_refused("cloudctl instance list web1", "web1 is too much");
    assert_refused("cloudctl instance list -o", "-o needs a value");
    assert_refused("cloudctl instance create a --image", "--image needs a value");
    assert_refused("cloudctl instance stop a --force=yes", "--force takes no value");
    assert_refused("cloudctl instance create a --image x --label =y", "must be NAME=VALUE");
    assert_refused("cloudctl instance show ", "a name must not be empty");
    assert_refused("cloudctl node update n --schedulable maybe", "must be yes or no");
}

static void test_args__help_is_understood_everywhere(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "cloudctl --help",
        "cloudctl instance --help",
        "cloudctl instance create --help",
        "cloudctl instance help",
        "cloudctl -h",
        "cloudctl instance delete -h",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        auto_parsed struct parsed p = parse(lines[i]);
        assert_int_equal(p.rc, 0);
        assert_true(p.args.help);
    }
}

static void test_usage_errors__say_what_and_what_to_try_and_end_with_2(void **state)
{
    (void)state;
    auto_ran struct ran ran = run("cloudctl instance create web1");
    assert_int_equal(ran.code, 2);
    assert_string_equal(ran.out, "");
    assert_string_equal(ran.err, "cloudctl: instance create: --image is needed. Try: cloudctl "
                                 "instance create --help\n");
    auto_ran struct ran none = run("cloudctl");
    assert_int_equal(none.code, 2);
    assert_has(none.err, "Usage: cloudctl NOUN VERB");
}

static void test_columns__a_wrong_one_is_answered_with_those_there_are(void **state)
{
    (void)state;
    auto_ran struct ran ran = run("cloudctl flavor list --columns name,size");
    assert_int_equal(ran.code, 2);
    assert_has(ran.err, "flavor has no column size; it has name,id,vcpus,memory,disk,created");
    auto_ran struct ran json = run("cloudctl flavor list -o json --columns name");
    assert_int_equal(json.code, 2);
    assert_has(json.err, "--columns goes with -o table and -o csv, not with -o json");
}

static void test_delete__without_a_terminal_needs_yes(void **state)
{
    (void)state;
    auto_ran struct ran ran = run("cloudctl instance delete web1");
    assert_int_equal(ran.code, 2);
    assert_has(ran.err, "Try: --yes");
    struct screen terminal = {.in_tty = true, .err_tty = true, .width = 80};
    auto_ran struct ran asked = run_on(terminal, "n\n", "cloudctl instance delete web1 web2");
    assert_int_equal(asked.code, 1);
    assert_has(asked.err, "delete instance web1, web2? [y/N] ");
    assert_has(asked.err, "nothing was done");
}

static void assert_80_columns(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (len > 80)
            fail_msg("%zu columns: %.*s", len, (int)len, text);
        text += len + (text[len] == '\n');
    }
}

/* Rows of an export are of whole hours, so what counts from now goes to the hour around it. */
static void test_export__times_that_count_from_now_are_whole_hours(void **state)
{
    (void)state;
    const int64_t hour_ms = 3600LL * 1000;
    int64_t before_ms = clock_wall_ms();
    auto_parsed struct parsed p =
        parse("cloudctl usage export --format csv --start -24h --end now");
    assert_int_equal(p.rc, 0);
    int64_t start_ms = args_number(&p.args, "start", 0), end_ms = args_number(&p.args, "end", 0);
    assert_int_equal(start_ms % hour_ms, 0);
    assert_int_equal(end_ms % hour_ms, 0);
    assert_true(start_ms <= clock_wall_ms() - 24 * hour_ms);
    assert_true(start_ms > before_ms - 25 * hour_ms);
    assert_true(end_ms >= before_ms && end_ms < clock_wall_ms() + hour_ms);
    auto_parsed struct parsed absolute =
        parse("cloudctl usage export --format csv --start 2026-11-01T10:30:00Z");
    assert_int_equal(args_number(&absolute.args, "start", 0) % hour_ms, hour_ms / 2);
    auto_parsed struct parsed show = parse("cloudctl usage show --start -90s");
    assert_true(args_number(&show.args, "start", 0) >= before_ms - 90 * 1000);
}

static void test_help__of_usage_and_prices_names_meters_times_and_defaults(void **state)
{
    (void)state;
    static const char *const meters[] = {"running_memory", "allocated_vcpu", "root_disk",
                                         "image",          "network_egress", "gap"};
    auto_ran struct ran show = run("cloudctl usage show --help");
    for (size_t i = 0; i < ARRAY_SIZE(meters); i++)
        assert_has(show.out, meters[i]);
    assert_has(show.out, "project, instance, flavor, meter, node, label:NAME");
    assert_has(show.out, "the first of the month in which it ends");
    assert_has(show.out, "Costs are exact");
    auto_ran struct ran create = run("cloudctl price create --help");
    assert_has(create.out, "A TIME is ");
    assert_has(create.out, "--until TIME");
    auto_ran struct ran segments = run("cloudctl usage segments --help");
    assert_has(segments.out, "the first of the month in which it ends");
    auto_ran struct ran export = run("cloudctl usage export --help");
    assert_has(export.out, "the first of the month in which it ends");
}

static void test_help__every_page_exists_and_fits_80_columns(void **state)
{
    (void)state;
    auto_ran struct ran all = run("cloudctl help");
    assert_int_equal(all.code, 0);
    assert_80_columns(all.out);
    for (const struct noun *noun = nouns; noun->name; noun++) {
        autofree char *line = xasprintf("cloudctl help %s", noun->name);
        auto_ran struct ran page = run(line);
        assert_int_equal(page.code, 0);
        assert_80_columns(page.out);
        for (const struct verb *verb = noun->verbs; verb->name && *verb->name; verb++) {
            assert_has(page.out, verb->summary);
            autofree char *verb_line = xasprintf("cloudctl %s %s --help", noun->name, verb->name);
            auto_ran struct ran verb_page = run(verb_line);
            assert_int_equal(verb_page.code, 0);
            assert_has(verb_page.out, "Usage: cloudctl ");
            assert_80_columns(verb_page.out);
        }
    }
}

static void test_table__every_noun_has_distinct_columns_and_letters(void **state)
{
    (void)state;
    for (const struct noun *noun = nouns; noun->name; noun++) {
        for (const struct column *a = noun->columns; a && a->name; a++)
            for (const struct column *b = a + 1; b->name; b++)
                assert_string_not_equal(a->name, b->name);
        for (const struct verb *verb = noun->verbs; verb->name; verb++) {
            const struct option *a, *b;
            assert_non_null(verb->run);
            for (size_t i = 0; (a = verb_option_at(verb, i)); i++)
                for (size_t j = i + 1; (b = verb_option_at(verb, j)); j++) {
                    assert_string_not_equal(a->name, b->name);
                    assert_true(!a->letter || a->letter != b->letter);
                }
        }
    }
}

int main(void)
{
    free(clean_environment("cli-args"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_args__noun_verb_targets_and_options_in_any_order),
        cmocka_unit_test(test_args__options_of_groups_may_stand_before_the_noun),
        cmocka_unit_test(test_args__two_dashes_end_the_options),
        cmocka_unit_test(test_args__the_last_of_a_repeated_option_counts),
        cmocka_unit_test(test_args__sizes_are_counted_in_their_unit),
        cmocka_unit_test(test_args__times_take_units),
        cmocka_unit_test(test_args__refusals_name_what_would_be_right),
        cmocka_unit_test(test_args__help_is_understood_everywhere),
        cmocka_unit_test(test_usage_errors__say_what_and_what_to_try_and_end_with_2),
        cmocka_unit_test(test_columns__a_wrong_one_is_answered_with_those_there_are),
        cmocka_unit_test(test_delete__without_a_terminal_needs_yes),
        cmocka_unit_test(test_export__times_that_count_from_now_are_whole_hours),
        cmocka_unit_test(test_help__of_usage_and_prices_names_meters_times_and_defaults),
        cmocka_unit_test(test_help__every_page_exists_and_fits_80_columns),
        cmocka_unit_test(test_table__every_noun_has_distinct_columns_and_letters),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_flush();
    return failed;
}
