/* Contexts: who may read them, and what takes precedence over what. */
#include "tests/unit/cli_harness.h"

#include <sys/stat.h>

#include "api/base/err.h"
#include "cli/line/args.h"
#include "cli/remote/context.h"

static int setup(void **state)
{
    *state = clean_environment("cli-context");
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static char *file_of(void **state, const char *name)
{
    return xasprintf("%s/cloudctl/contexts/%s.json", (const char *)*state, name);
}

static void make(const char *line)
{
    auto_ran struct ran ran = run(line);
    if (ran.code != 0)
        fail_msg("%s: %s", line, ran.err);
}

static void test_context__files_are_for_their_owner_only(void **state)
{
    make("cloudctl context create lab --url http://127.0.0.1:1 --token mc_secret");
    struct stat info;
    autofree char *file = file_of(state, "lab");
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    autofree char *folder = xasprintf("%s/cloudctl/contexts", (const char *)*state);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
}

static void test_context__one_that_others_may_read_is_refused(void **state)
{
    make("cloudctl context create lab --url http://127.0.0.1:1 --token mc_secret");
    autofree char *file = file_of(state, "lab");
    assert_int_equal(chmod(file, 0640), 0);
    auto_ran struct ran ran = run("cloudctl instance list");
    assert_int_equal(ran.code, 4);
    assert_has(ran.err, "open to others (mode 0640). Try: chmod 600 ");
    auto_ran struct ran named = run("cloudctl instance list --context lab");
    assert_int_equal(named.code, 4);
    auto_ran struct ran list = run("cloudctl context list -o name");
    assert_string_equal(list.out, "lab\n");
}

static void test_context__the_first_is_current_and_use_changes_it(void **state)
{
    (void)state;
    make("cloudctl context create one --url http://127.0.0.1:1");
    make("cloudctl context create two --url http://127.0.0.1:2 --project p2");
    auto_ran struct ran first = run("cloudctl context list -o csv");
    assert_string_equal(first.out, "name,current,url,project\none,true,http://127.0.0.1:1,\n"
                                   "two,false,http://127.0.0.1:2,p2\n");
    make("cloudctl context use two");
    auto_ran struct ran shown = run("cloudctl context show -o name");
    assert_string_equal(shown.out, "two\n");
    make("cloudctl context delete two --yes");
    auto_ran struct ran none = run("cloudctl context show");
    assert_int_equal(none.code, 2);
    assert_has(none.err, "Try: cloudctl context use NAME");
}

static void test_context__is_not_overwritten_unasked(void **state)
{
    (void)state;
    make("cloudctl context create lab --url http://127.0.0.1:1");
    auto_ran struct ran again = run("cloudctl context create lab --url http://127.0.0.1:2");
    assert_int_equal(again.code, 1);
    assert_has(again.err, "context lab: it is there already. Try: --force");
    make("cloudctl context create lab --url http://127.0.0.1:2 --force");
    auto_ran struct ran shown = run("cloudctl context show lab -o csv --columns url");
    assert_string_equal(shown.out, "url\nhttp://127.0.0.1:2\n");
}

static void test_context__names_cannot_leave_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"../evil", "a/b", ".hidden", "Upper", "a..b"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        autofree char *line =
            xasprintf("cloudctl context create %s --url http://127.0.0.1:1", names[i]);
        auto_ran struct ran ran = run(line);
        assert_int_equal(ran.code, 2);
    }
}

static void test_context__bad_urls_and_tokens_are_refused(void **state)
{
    auto_ran struct ran url = run("cloudctl context create a --url 127.0.0.1:80");
    assert_int_equal(url.code, 2);
    assert_has(url.err, "must be http://HOST:PORT or unix:/PATH");
    autofree char *file = xasprintf("%s/empty", (const char *)*state);
    fclose(fopen(file, "w"));
    autofree char *line =
        xasprintf("cloudctl context create a --url http://127.0.0.1:1 --token-file %s", file);
    auto_ran struct ran empty = run(line);
    assert_int_equal(empty.code, 2);
    assert_has(empty.err, "holds no token");
    auto_ran struct ran both = run_on((struct screen){0}, "mc_in two words\n",
                                      "cloudctl context create a --url http://x --token-file -");
    assert_int_equal(both.code, 2);
}

static void test_context__secrets_come_from_standard_input_and_are_not_shown(void **state)
{
    (void)state;
    auto_ran struct ran made = run_on((struct screen){0}, "mc_hidden\n",
                                      "cloudctl context create a --url http://x --token-file -");
    assert_int_equal(made.code, 0);
    auto_context struct context context = {0};
    auto_err struct err err = {0};
    assert_int_equal(context_load("a", &context, &err), 0);
    assert_string_equal(context.token, "mc_hidden");
    auto_ran struct ran shown = run("cloudctl context show a -o json");
    assert_null(strstr(shown.out, "mc_hidden"));
}

/* ---- precedence ---- */

static void assert_settings(const char *line, const char *url, const char *token,
                            const char *project)
{
    struct settings settings = {0};
    auto_args struct args args = {0};
    auto_err struct err err = {0};
    autofree char *words = xstrdup(line);
    char *argv[16], *rest = words, *word;
    int argc = 0;
    while ((word = strsep(&rest, " ")))
        argv[argc++] = word;
    assert_int_equal(args_parse(argc, argv, &args, &err), 0);
    if (settings_resolve(&args, stdin, &settings, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(settings.url, url);
    assert_string_equal(settings.token ? settings.token : "none", token);
    assert_string_equal(settings.project ? settings.project : "none", project);
    settings_release(&settings);
}

static void make_two(void)
{
    make("cloudctl context create one --url http://one --token mc_one --project p1");
    make("cloudctl context create two --url http://two/ --token mc_two");
}

static void test_settings__come_from_the_current_context(void **state)
{
    (void)state;
    make_two();
    assert_settings("cloudctl instance list", "http://one", "mc_one", "p1");
    make("cloudctl context use two");
    assert_settings("cloudctl instance list", "http://two", "mc_two", "none");
}

static void test_settings__environment_beats_the_file_and_flags_beat_both(void **state)
{
    make_two();
    setenv("CLOUDCTL_CONTEXT", "two", 1);
    assert_settings("cloudctl instance list", "http://two", "mc_two", "none");
    assert_settings("cloudctl instance list --context one", "http://one", "mc_one", "p1");
    setenv("CLOUDCTL_TOKEN", "mc_env", 1);
    setenv("CLOUDCTL_PROJECT", "penv", 1);
    assert_settings("cloudctl instance list", "http://two", "mc_env", "penv");
    autofree char *file = xasprintf("%s/token", (const char *)*state);
    FILE *out = fopen(file, "w");
    fputs("mc_file\n", out);
    fclose(out);
    autofree char *line = xasprintf("cloudctl instance list --token-file %s --project pf", file);
    assert_settings(line, "http://two", "mc_file", "pf");
    setenv("CLOUDCTL_URL", "http://env", 1);
    assert_settings(line, "http://env", "mc_file", "pf");
    autofree char *with_url = xasprintf("%s --url http://flag", line);
    assert_settings(with_url, "http://flag", "mc_file", "pf");
}

static void test_settings__a_contexts_token_goes_to_its_own_url_only(void **state)
{
    (void)state;
    make_two();
    assert_settings("cloudctl instance list --url http://elsewhere", "http://elsewhere", "none",
                    "none");
    assert_settings("cloudctl instance list --url http://one/", "http://one", "mc_one", "p1");
}

static void test_settings__without_any_the_error_says_how_to_begin(void **state)
{
    (void)state;
    auto_ran struct ran ran = run("cloudctl instance list");
    assert_int_equal(ran.code, 2);
    assert_has(ran.err, "no controller is known. Try: cloudctl context create NAME --url URL "
                        "--token-file FILE\n");
    auto_ran struct ran missing = run("cloudctl instance list --context nowhere");
    assert_int_equal(missing.code, 3);
    assert_has(missing.err, "there is no context nowhere. Try: cloudctl context list");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_context__files_are_for_their_owner_only),
        TEST(test_context__one_that_others_may_read_is_refused),
        TEST(test_context__the_first_is_current_and_use_changes_it),
        TEST(test_context__is_not_overwritten_unasked),
        TEST(test_context__names_cannot_leave_the_folder),
        TEST(test_context__bad_urls_and_tokens_are_refused),
        TEST(test_context__secrets_come_from_standard_input_and_are_not_shown),
        TEST(test_settings__come_from_the_current_context),
        TEST(test_settings__environment_beats_the_file_and_flags_beat_both),
        TEST(test_settings__a_contexts_token_goes_to_its_own_url_only),
        TEST(test_settings__without_any_the_error_says_how_to_begin),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_flush();
    return failed;
}
