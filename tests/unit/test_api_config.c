/* Settings: precedence, and refusals that name place, key and limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/config.h"
#include "api/base/err.h"
#include "api/base/mem.h"

static const char *const levels[] = {"debug", "info", "warn", NULL};

struct settings {
    char *data_dir;
    char *note;
    int64_t port;
    int64_t timeout_ms;
    bool verbose;
    int level;
};

static const struct config_field fields[] = {
    {"data_dir", CONFIG_STR, offsetof(struct settings, data_dir), "/var/lib/x", 0, 0, NULL,
     "Where data lives."},
    {"note", CONFIG_STR, offsetof(struct settings, note), NULL, 0, 0, NULL, NULL},
    {"port", CONFIG_INT, offsetof(struct settings, port), "8080", 1, 65535, NULL, "TCP port."},
    {"timeout", CONFIG_SECONDS, offsetof(struct settings, timeout_ms), "30", 1, 3600, NULL,
     "How long to wait."},
    {"verbose", CONFIG_BOOL, offsetof(struct settings, verbose), "false", 0, 0, NULL, "Say more."},
    {"log_level", CONFIG_ENUM, offsetof(struct settings, level), "info", 0, 0, levels,
     "Least level to log."},
};

static char path[64];

static int setup(void **state)
{
    (void)state;
    memcpy(path, "/tmp/minicloud-config-XXXXXX", 29);
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void put_file(const char *text)
{
    autoclose int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int load(char **flags, int count, struct settings *settings, struct err *err)
{
    char *argv[8] = {path};
    for (int i = 0; i < count; i++)
        argv[i + 1] = flags[i];
    return config_load(fields, ARRAY_SIZE(fields), path, true, count + 1, argv, settings, err);
}

static void release(struct settings *settings)
{
    config_release(fields, ARRAY_SIZE(fields), settings);
}

/* %s in `msg` stands for the path of the file. */
static void assert_file_refused(const char *text, const char *msg)
{
    struct settings settings = {0};
    struct err auto_err err = {0};
    put_file(text);
    assert_int_equal(load(NULL, 0, &settings, &err), -1);
    autofree char *wanted = xasprintf("%s:%s", path, msg);
    assert_string_equal(err.msg, wanted);
    assert_null(settings.data_dir);
}

static void assert_flag_refused(char *flag, const char *msg)
{
    struct settings settings = {0};
    struct err auto_err err = {0};
    assert_int_equal(load(&flag, 1, &settings, &err), -1);
    assert_string_equal(err.msg, msg);
    assert_null(settings.data_dir);
}

static void test_config__takes_defaults_when_nothing_is_set(void **state)
{
    (void)state;
    /* Memory that was not zeroed must do. */
    struct settings settings;
    struct err auto_err err = {0};
    memset(&settings, 0xA5, sizeof(settings));
    assert_int_equal(load(NULL, 0, &settings, &err), 0);
    assert_string_equal(settings.data_dir, "/var/lib/x");
    assert_null(settings.note);
    assert_int_equal(settings.port, 8080);
    assert_int_equal(settings.timeout_ms, 30000);
    assert_false(settings.verbose);
    assert_int_equal(settings.level, 1);
    release(&settings);
    assert_null(settings.data_dir);
}

static void test_config__reads_a_file_with_comments_and_spaces(void **state)
{
    (void)state;
    struct settings settings = {0};
    struct err auto_err err = {0};
    put_file("# a comment\n\n  port=1\r\n\tdata-dir =  /a b#c/d   # why\n#verbose=true\n"
             "note =\ntimeout = 1500ms\nverbose = yes\nlog_level = warn");
    if (load(NULL, 0, &settings, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(settings.port, 1);
    assert_string_equal(settings.data_dir, "/a b#c/d");
    assert_string_equal(settings.note, "");
    assert_int_equal(settings.timeout_ms, 1500);
    assert_true(settings.verbose);
    assert_int_equal(settings.level, 2);
    release(&settings);
}

static void test_config__prefers_flag_to_environment_to_file(void **state)
{
    (void)state;
    struct settings settings = {0};
    struct err auto_err err = {0};
    char flag[] = "--port=3";
    char *flags[] = {flag};
    put_file("port = 1\ntimeout = 1m\ndata_dir = /file\n");
    setenv("MINICLOUD_PORT", "2", 1);
    setenv("MINICLOUD_DATA_DIR", "/environment", 1);
    assert_int_equal(load(flags, 1, &settings, &err), 0);
    unsetenv("MINICLOUD_PORT");
    unsetenv("MINICLOUD_DATA_DIR");
    assert_int_equal(settings.port, 3);
    assert_string_equal(settings.data_dir, "/environment");
    assert_int_equal(settings.timeout_ms, 60000);
    release(&settings);
}

static void test_config__takes_flags_in_every_form(void **state)
{
    (void)state;
    struct settings settings = {0};
    struct err auto_err err = {0};
    char a[] = "--data-dir", b[] = "/x=y", c[] = "--verbose", d[] = "--log_level=debug",
         e[] = "--timeout", f[] = "1h";
    char *flags[] = {a, b, c, d, e, f};
    assert_int_equal(load(flags, 6, &settings, &err), 0);
    assert_string_equal(settings.data_dir, "/x=y");
    assert_true(settings.verbose);
    assert_int_equal(settings.level, 0);
    assert_int_equal(settings.timeout_ms, 3600000);
    release(&settings);
    char g[] = "--verbose", h[] = "off";
    char *off[] = {g, h};
    assert_int_equal(load(off, 2, &settings, &err), 0);
    assert_false(settings.verbose);
    release(&settings);
}

static void test_config__names_file_line_key_and_limit(void **state)
{
    (void)state;
    assert_file_refused("\nport = 70000\n",
                        "2: port: must be a number from 1 to 65535, got \"70000\"");
    assert_file_refused("port = 0", "1: port: must be a number from 1 to 65535, got \"0\"");
    assert_file_refused("port = 80x", "1: port: must be a number from 1 to 65535, got \"80x\"");
    assert_file_refused("port =", "1: port: must be a number from 1 to 65535, got \"\"");
    assert_file_refused("port = 99999999999999999999",
                        "1: port: must be a number from 1 to 65535, got \"99999999999999999999\"");
    assert_file_refused("timeout = 2h", "1: timeout: must be 1 to 3600 seconds (units: ms, s, m, "
                                        "h, d), got \"2h\"");
    assert_file_refused("timeout = 999ms", "1: timeout: must be 1 to 3600 seconds (units: ms, s, "
                                           "m, h, d), got \"999ms\"");
    assert_file_refused("verbose = maybe", "1: verbose: must be true or false, got \"maybe\"");
    assert_file_refused("log_level = loud",
                        "1: log_level: must be debug, info or warn, got \"loud\"");
}

static void test_config__refuses_what_is_no_setting(void **state)
{
    (void)state;
    assert_file_refused("prot = 1", "1: there is no setting \"prot\"; there are data_dir, note, "
                                    "port, timeout, verbose, log_level");
    assert_file_refused("port", "1: must be \"key = value\", got \"port\"");
    assert_file_refused("port = 1\n\nport = 2", "3: port: already set in line 1");
}

static void test_config__names_the_flag_that_is_wrong(void **state)
{
    (void)state;
    char port[] = "--port=x", none[] = "--none=1", stray[] = "stray", last[] = "--port";
    assert_flag_refused(port, "--port: port: must be a number from 1 to 65535, got \"x\"");
    assert_flag_refused(none, "command line: there is no setting \"none\"; there are data_dir, "
                              "note, port, timeout, verbose, log_level");
    assert_flag_refused(stray, "stray: not expected; settings are --key=value");
    assert_flag_refused(last, "--port: needs a value");
}

static void test_config__names_the_environment_variable_that_is_wrong(void **state)
{
    (void)state;
    struct settings settings = {0};
    struct err auto_err err = {0};
    setenv("MINICLOUD_LOG_LEVEL", "loud", 1);
    assert_int_equal(load(NULL, 0, &settings, &err), -1);
    unsetenv("MINICLOUD_LOG_LEVEL");
    assert_string_equal(err.msg, "MINICLOUD_LOG_LEVEL: log_level: must be debug, info or warn, "
                                 "got \"loud\"");
}

static void test_config__misses_a_file_only_when_it_is_required(void **state)
{
    (void)state;
    struct settings settings = {0};
    struct err auto_err err = {0};
    char *argv[] = {path, NULL};
    const char *none = "/nonexistent/minicloud.conf";
    assert_int_equal(config_load(fields, ARRAY_SIZE(fields), none, true, 1, argv, &settings, &err),
                     -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    err_clear(&err);
    assert_int_equal(config_load(fields, ARRAY_SIZE(fields), none, false, 1, argv, &settings, &err),
                     0);
    assert_int_equal(err.code, ERR_NONE);
    release(&settings);
    assert_int_equal(config_load(fields, ARRAY_SIZE(fields), NULL, true, 1, argv, &settings, &err),
                     0);
    release(&settings);
}

static void test_config__describes_itself_as_a_file_that_it_reads(void **state)
{
    (void)state;
    struct buf auto_buf text = {0};
    config_describe(fields, ARRAY_SIZE(fields), &text);
    assert_non_null(
        strstr(text.data, "# TCP port.\n# (a number from 1 to 65535)\n# port = 8080\n"));
    struct settings settings = {0};
    struct err auto_err err = {0};
    put_file(text.data);
    assert_int_equal(load(NULL, 0, &settings, &err), 0);
    release(&settings);
}

#define CONFIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_config__takes_defaults_when_nothing_is_set),
        CONFIG_TEST(test_config__reads_a_file_with_comments_and_spaces),
        CONFIG_TEST(test_config__prefers_flag_to_environment_to_file),
        CONFIG_TEST(test_config__takes_flags_in_every_form),
        CONFIG_TEST(test_config__names_file_line_key_and_limit),
        CONFIG_TEST(test_config__refuses_what_is_no_setting),
        CONFIG_TEST(test_config__names_the_flag_that_is_wrong),
        CONFIG_TEST(test_config__names_the_environment_variable_that_is_wrong),
        CONFIG_TEST(test_config__misses_a_file_only_when_it_is_required),
        CONFIG_TEST(test_config__describes_itself_as_a_file_that_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
