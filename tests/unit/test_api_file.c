/* Durable files and locks, in a folder of their own; and the failpoints on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/file.h"
#include "api/base/mem.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/minicloud-file-XXXXXX", 27);
    return mkdtemp(folder) ? 0 : -1;
}

/* Removes the folder with what is in it, one level of folders deep. */
static void remove_all(const char *path, int depth)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        autofree char *inner = xasprintf("%s/%s", path, entry->d_name);
        if (unlink(inner) != 0 && depth > 0)
            remove_all(inner, depth - 1);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static int teardown(void **state)
{
    (void)state;
    remove_all(folder, 4);
    return 0;
}

static char *in_folder(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    struct err auto_err err = {0};
    if (file_write("test", path, text, strlen(text), mode, &err) != 0)
        fail_msg("%s", err.msg);
}

static void assert_holds(const char *path, const char *text)
{
    struct err auto_err err = {0};
    struct buf auto_buf got = {0};
    if (file_read(path, 1 << 20, &got, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(got.data, text);
}

static void test_file__writes_replaces_and_sets_the_mode(void **state)
{
    (void)state;
    autofree char *path = in_folder("a");
    struct stat info;
    write_text(path, "one", 0644);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0644);
    write_text(path, "second", 0600);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_holds(path, "second");
    write_text(path, "", 0600);
    assert_holds(path, "");
    assert_int_equal(count_files(), 1);
}

static void test_file__overwrites_what_a_killed_write_left_behind(void **state)
{
    (void)state;
    autofree char *path = in_folder("a"), *left = in_folder("a.tmp");
    write_text(left, "half a sec", 0644);
    write_text(path, "whole", 0600);
    assert_holds(path, "whole");
    assert_int_equal(access(left, F_OK), -1);
}

static void test_file__follows_no_link_when_it_writes(void **state)
{
    (void)state;
    autofree char *path = in_folder("a"), *left = in_folder("a.tmp"), *prey = in_folder("prey");
    write_text(prey, "precious", 0600);
    assert_int_equal(symlink(prey, left), 0);
    struct err auto_err err = {0};
    assert_int_equal(file_write("test", path, "x", 1, 0600, &err), -1);
    assert_holds(prey, "precious");
}

static void test_file__reads_up_to_its_bound_and_no_more(void **state)
{
    (void)state;
    autofree char *path = in_folder("a"), *none = in_folder("none");
    struct err auto_err err = {0};
    struct buf auto_buf got = {0};
    write_text(path, "12345", 0600);
    buf_puts(&got, "before ");
    assert_int_equal(file_read(path, 5, &got, &err), 0);
    assert_string_equal(got.data, "before 12345");
    assert_int_equal(file_read(path, 4, &got, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_int_equal(file_read(none, 4, &got, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(file_read(folder, 4, &got, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_file__reads_large_content_whole(void **state)
{
    (void)state;
    autofree char *path = in_folder("large");
    struct err auto_err err = {0};
    struct buf auto_buf data = {0}, auto_buf got = {0};
    while (data.len < 300000)
        buf_printf(&data, "%zu,", data.len);
    assert_int_equal(file_write("test", path, data.data, data.len, 0600, &err), 0);
    assert_int_equal(file_read(path, data.len, &got, &err), 0);
    assert_int_equal(got.len, data.len);
    assert_memory_equal(got.data, data.data, data.len);
}

static void test_file__unlink_of_a_missing_file_is_no_error(void **state)
{
    (void)state;
    autofree char *path = in_folder("a");
    struct err auto_err err = {0};
    write_text(path, "x", 0600);
    assert_int_equal(file_unlink("test", path, &err), 0);
    assert_int_equal(file_unlink("test", path, &err), 0);
    assert_int_equal(count_files(), 0);
    assert_int_equal(file_unlink("test", folder, &err), -1);
}

static void test_file__renames(void **state)
{
    (void)state;
    autofree char *from = in_folder("from"), *to = in_folder("to");
    struct err auto_err err = {0};
    write_text(from, "x", 0600);
    assert_int_equal(file_rename("test", from, to, &err), 0);
    assert_holds(to, "x");
    assert_int_equal(file_rename("test", from, to, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_file__makes_folders_on_the_way(void **state)
{
    (void)state;
    autofree char *deep = in_folder("a/b//c/"), *file = in_folder("f"), *under = in_folder("f/g");
    struct err auto_err err = {0};
    struct stat info;
    assert_int_equal(file_mkdirs(deep, 0700, &err), 0);
    assert_int_equal(stat(deep, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_int_equal(file_mkdirs(deep, 0700, &err), 0);
    write_text(file, "x", 0600);
    assert_int_equal(file_mkdirs(under, 0700, &err), -1);
    assert_int_equal(file_mkdirs(file, 0700, &err), -1);
}

static void test_file__lock_refuses_a_second_holder_and_names_the_first(void **state)
{
    (void)state;
    autofree char *path = in_folder("lock");
    struct err auto_err err = {0};
    int fd = -1, second = -1;
    assert_int_equal(file_lock(path, &fd, &err), 0);
    assert_int_equal(file_lock(path, &second, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    autofree char *holder = xasprintf("(%ld)", (long)getpid());
    assert_non_null(strstr(err.msg, holder));
    close(fd);
    assert_int_equal(file_lock(path, &fd, &err), 0);
    close(fd);
}

static void test_file__full_disk_has_its_own_code(void **state)
{
    (void)state;
    struct err auto_err err = {0};
    autofree char *path = in_folder("full"), *temporary = in_folder("full.tmp");
    /* As /dev/full, which answers each write with ENOSPC. Making one takes root. */
    if (mknod(temporary, S_IFCHR | 0600, makedev(1, 7)) != 0)
        skip();
    assert_int_equal(file_write("test", path, "x", 1, 0600, &err), -1);
    assert_int_equal(err.code, ERR_STORAGE_FULL);
    assert_int_equal(count_files(), 0);
}

/* ---- failpoints, each armed in a child of its own ---- */

struct outcome {
    int status;
    int code;
};

static struct outcome write_in_child(const char *failpoint, const char *log, const char *path)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct err auto_err err = {0};
        setenv("MINICLOUD_FAILPOINT", failpoint, 1);
        setenv("MINICLOUD_FAILPOINT_LOG", log, 1);
        failpoint_init();
        write_text(path, "first", 0600);
        _exit(file_write("test", path, "second", 6, 0600, &err) == 0 ? 0 : 1);
    }
    struct outcome outcome = {0};
    assert_int_equal(waitpid(child, &outcome.status, 0), child);
    outcome.code = WIFEXITED(outcome.status) ? WEXITSTATUS(outcome.status) : -1;
    return outcome;
}

static void test_failpoint__kills_at_the_passage_asked_for(void **state)
{
    (void)state;
    autofree char *path = in_folder("a"), *log = in_folder("log");
    struct outcome outcome = write_in_child("file.rename:test:2", log, path);
    assert_true(WIFSIGNALED(outcome.status));
    assert_int_equal(WTERMSIG(outcome.status), SIGKILL);
    assert_holds(path, "first");
    assert_holds(log, "file.fsync:test 1\nfile.rename:test 1\nfile.fsync_dir:test 1\n"
                      "file.fsync:test 2\nfile.rename:test 2\n");
}

static void test_failpoint__returns_an_error_and_the_file_stays_whole(void **state)
{
    (void)state;
    static const char *const sites[] = {"file.fsync:test:2:error", "file.rename:test:2:error"};
    for (size_t i = 0; i < ARRAY_SIZE(sites); i++) {
        autofree char *path = in_folder("a");
        assert_int_equal(write_in_child(sites[i], "", path).code, 1);
        assert_holds(path, "first");
        assert_int_equal(count_files(), 1);
    }
}

static void test_failpoint__that_is_never_reached_changes_nothing(void **state)
{
    (void)state;
    autofree char *path = in_folder("a");
    assert_int_equal(write_in_child("file.rename:test:3:kill", "", path).code, 0);
    assert_holds(path, "second");
}

static void test_failpoint__misspelt_ends_the_process(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "file.rename:test",      "x:0", "x:1:explode", ":1", "x:", "x:-1", "x:1x", "kill",
        "x:99999999999999999999"};
    /* The complaints belong to the children and would only confuse here. */
    int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    int codes[ARRAY_SIZE(bad)];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        autofree char *path = in_folder("a");
        codes[i] = write_in_child(bad[i], "", path).code;
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(null);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(codes[i], 2);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_file__writes_replaces_and_sets_the_mode),
        FILE_TEST(test_file__overwrites_what_a_killed_write_left_behind),
        FILE_TEST(test_file__follows_no_link_when_it_writes),
        FILE_TEST(test_file__reads_up_to_its_bound_and_no_more),
        FILE_TEST(test_file__reads_large_content_whole),
        FILE_TEST(test_file__unlink_of_a_missing_file_is_no_error),
        FILE_TEST(test_file__renames),
        FILE_TEST(test_file__makes_folders_on_the_way),
        FILE_TEST(test_file__lock_refuses_a_second_holder_and_names_the_first),
        FILE_TEST(test_file__full_disk_has_its_own_code),
        FILE_TEST(test_failpoint__kills_at_the_passage_asked_for),
        FILE_TEST(test_failpoint__returns_an_error_and_the_file_stays_whole),
        FILE_TEST(test_failpoint__that_is_never_reached_changes_nothing),
        FILE_TEST(test_failpoint__misspelt_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
