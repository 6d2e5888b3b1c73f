/* Completion: everything it offers comes from the table. */
#include "tests/unit/cli_harness.h"

#include "cli/line/command.h"

/* Candidates for the last of the words. */
static struct ran complete(const char *words)
{
    autofree char *line = xasprintf("cloudctl __complete %s", words);
    return run(line);
}

static void assert_offers(const char *words, const char *expected)
{
    auto_ran struct ran ran = complete(words);
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.out, expected);
    assert_string_equal(ran.err, "");
}

static void test_completion__offers_nouns_and_commands(void **state)
{
    (void)state;
    assert_offers("no", "node\n");
    assert_offers("co", "context\ncompletion\n");
    auto_ran struct ran all = complete("");
    for (const struct noun *noun = nouns; noun->name; noun++) {
        if (noun->verbs->flags & VERB_HIDDEN)
            assert_null(strstr(all.out, noun->name));
        else
            assert_has(all.out, noun->name);
    }
}

static void test_completion__offers_each_nouns_verbs(void **state)
{
    (void)state;
    for (const struct noun *noun = nouns; noun->name; noun++) {
        if (noun_is_command(noun))
            continue;
        autofree char *words = xasprintf("%s ", noun->name);
        auto_ran struct ran ran = complete(words);
        char *at = ran.out;
        for (const struct verb *verb = noun->verbs; verb->name; verb++) {
            autofree char *line = xasprintf("%s\n", verb->name);
            assert_memory_equal(at, line, strlen(line));
            at += strlen(line);
        }
        assert_string_equal(at, "");
    }
}

static void test_completion__offers_options_and_their_values(void **state)
{
    (void)state;
    assert_offers("instance stop --gr", "--grace\n");
    assert_offers("instance list --col", "--columns\n");
    assert_offers("instance list -o j", "json\n");
    assert_offers("instance list --output=c", "csv\n");
    assert_offers("instance list --output = c", "csv\n");
    assert_offers("instance list --state st", "stopped\n");
    assert_offers("token create x --role ", "reader\nmember\nadmin\njoin\n");
    assert_offers("node update n --schedulable ", "yes\nno\n");
    assert_offers("flavor list --columns name,v", "name,vcpus\n");
    assert_offers("image create x --file ", ":files\n");
    assert_offers("completion ", "bash\n");
    assert_offers("help fla", "flavor\n");
}

static void test_completion__skips_option_values_when_it_counts_words(void **state)
{
    (void)state;
    assert_offers("--context lab -o json flavor de", "delete\n");
    assert_offers("--url=http://x flavor de", "delete\n");
}

static void test_completion__offers_contexts_from_their_folder(void **state)
{
    (void)state;
    auto_ran struct ran one = run("cloudctl context create lab --url http://127.0.0.1:1");
    auto_ran struct ran two = run("cloudctl context create home --url http://127.0.0.1:1");
    assert_int_equal(one.code + two.code, 0);
    assert_offers("context use ", "home\nlab\n");
    assert_offers("instance list --context l", "lab\n");
}

static void test_completion__is_silent_where_nothing_can_be_known(void **state)
{
    (void)state;
    assert_offers("banana ", "");
    assert_offers("instance create ", "");
    assert_offers("instance show --url http://127.0.0.1:1 w", "");
    auto_ran struct ran nothing = run("cloudctl __complete");
    assert_string_equal(nothing.out, "");
}

static void test_completion__the_script_asks_the_program(void **state)
{
    (void)state;
    auto_ran struct ran ran = run("cloudctl completion bash");
    assert_int_equal(ran.code, 0);
    assert_has(ran.out, "__complete");
    assert_has(ran.out, "complete -F _cloudctl cloudctl");
    auto_ran struct ran other = run("cloudctl completion tcsh");
    assert_int_equal(other.code, 2);
}

int main(void)
{
    free(clean_environment("cli-complete"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completion__offers_nouns_and_commands),
        cmocka_unit_test(test_completion__offers_each_nouns_verbs),
        cmocka_unit_test(test_completion__offers_options_and_their_values),
        cmocka_unit_test(test_completion__skips_option_values_when_it_counts_words),
        cmocka_unit_test(test_completion__is_silent_where_nothing_can_be_known),
        cmocka_unit_test(test_completion__the_script_asks_the_program),
        cmocka_unit_test(test_completion__offers_contexts_from_their_folder),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_flush();
    return failed;
}
