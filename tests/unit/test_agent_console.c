/* The end of a console log: bounded, over a rotation, and of files only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "node-agent/instance/console.h"
#include "tests/lib/guard.h"
#include "tests/unit/agent_fixture.h"

static char *dir;

static int set_up(void **state)
{
    (void)state;
    dir = guard_tempdir("console");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(dir);
    guard_flush();
    return 0;
}

static void put(const char *name, const char *content, size_t len)
{
    auto_err struct err err = {0};
    autofree char *path = xasprintf("%s/%s", dir, name);
    assert_int_equal(file_write("console", path, content, len, 0600, &err), 0);
}

static void assert_tail(int64_t bytes, const char *want)
{
    auto_buf struct buf out = {0};
    auto_err struct err err = {0};
    if (console_tail(dir, INSTANCE, bytes, &out, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(out.len, strlen(want));
    if (out.len > 0)
        assert_memory_equal(out.data, want, out.len);
}

static void test_console__gives_the_end_of_the_log(void **state)
{
    (void)state;
    put(INSTANCE ".log", "one\ntwo\n", 8);
    assert_tail(4, "two\n");
    assert_tail(100, "one\ntwo\n");
}

static void test_console__goes_on_in_the_rotated_file(void **state)
{
    (void)state;
    put(INSTANCE ".log.0", "older\n", 6);
    put(INSTANCE ".log", "new\n", 4);
    assert_tail(7, "er\nnew\n");
}

static void test_console__no_log_is_an_empty_text(void **state)
{
    (void)state;
    assert_tail(100, "");
}

static void test_console__is_bounded(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    auto_err struct err err = {0};
    autofree char *big = xcalloc(1, LIMIT_CONSOLE_BYTES * 2);
    put(INSTANCE ".log", big, LIMIT_CONSOLE_BYTES * 2);
    assert_int_equal(console_tail(dir, INSTANCE, INT64_MAX, &out, &err), 0);
    assert_int_equal(out.len, LIMIT_CONSOLE_BYTES);
    buf_reset(&out);
    assert_int_equal(console_tail(dir, INSTANCE, -1, &out, &err), 0);
    assert_int_equal(out.len, LIMIT_CONSOLE_BYTES);
}

static void test_console__follows_no_link_and_opens_no_device(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    auto_err struct err err = {0};
    autofree char *path = xasprintf("%s/" INSTANCE ".log", dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(console_tail(dir, INSTANCE, 100, &out, &err), -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    err_clear(&err);
    assert_int_equal(console_tail(dir, INSTANCE, 100, &out, &err), -1);
    err_clear(&err);
    assert_int_equal(console_tail(dir, "../../etc/passwd", 100, &out, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_console__gives_the_end_of_the_log),
        TEST(test_console__goes_on_in_the_rotated_file),
        TEST(test_console__no_log_is_an_empty_text),
        TEST(test_console__is_bounded),
        TEST(test_console__follows_no_link_and_opens_no_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
