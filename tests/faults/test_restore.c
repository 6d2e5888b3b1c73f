/* A database copied back from an hour before destroys nothing. Guests made in the gap are
 * unknown to it: counted, quarantined, untouched. Those it knows are adopted as the host has
 * them. One that was deleted in the gap shows an error and can be rebuilt or deleted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "api/base/mem.h"
#include "tests/lib/cloud.h"
#include "tests/lib/guest.h"

/* ---- the copy ---- */

/* While the controller runs, as an operator's backup does. */
static void back_up(struct cloud *cloud, const char *to)
{
    autofree char *path = xasprintf("%s/data/minicloud.db", cloud->dir);
    sqlite3 *from = NULL, *copy = NULL;
    assert_int_equal(sqlite3_open_v2(path, &from, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_open(to, &copy), SQLITE_OK);
    sqlite3_backup *backup = sqlite3_backup_init(copy, "main", from, "main");
    assert_int_equal(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    sqlite3_backup_finish(backup);
    sqlite3_close(copy);
    sqlite3_close(from);
}

static void put_back(struct cloud *cloud, const char *copy, bool agent_restarts)
{
    autofree char *db = xasprintf("%s/data/minicloud.db", cloud->dir);
    autofree char *wal = xasprintf("%s-wal", db), *shm = xasprintf("%s-shm", db);
    const char *remove[] = {"rm", "-f", wal, shm, NULL};
    const char *move[] = {"cp", copy, db, NULL};
    proc_kill(&cloud->controller);
    if (agent_restarts)
        proc_kill(&cloud->agent);
    assert_int_equal(proc_run(remove, NULL, NULL, 10000), 0);
    assert_int_equal(proc_run(move, NULL, NULL, 10000), 0);
    cloud_start_controller(cloud, NULL, NULL);
    if (agent_restarts)
        cloud_start_agent(cloud, NULL, NULL);
}

/* One text of the database, owned by the caller. */
static char *ask_db(struct cloud *cloud, const char *sql)
{
    autofree char *path = xasprintf("%s/data/minicloud.db", cloud->dir);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    char *text = sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0)
                     ? xstrdup((const char *)sqlite3_column_text(stmt, 0))
                     : xstrdup("");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return text;
}

/* ---- instances ---- */

struct guest {
    char *id;
    pid_t pid;
};

static struct guest create(struct cloud *cloud, const char *name)
{
    autofree char *path = xasprintf("/v1/instances/%s", name);
    cloud_done(cloud, "POST", "/v1/instances",
               "{\"name\":\"%s\",\"image\":\"switch\",\"vcpus\":1,\"memory_mib\":128,"
               "\"disk_gib\":1}",
               name);
    struct answer auto_answer_json made = cloud_call(cloud, "GET", path, NULL);
    struct guest guest = {.id = xstrdup(answer_str(&made, "id"))};
    guest.pid = guest_pid(cloud, guest.id);
    assert_true(guest.pid > 0);
    return guest;
}

static void act(struct cloud *cloud, const char *name, const char *verb, const char *body)
{
    autofree char *path = xasprintf("/v1/instances/%s/%s", name, verb);
    cloud_done(cloud, "POST", path, "%s", body);
}

static void delete (struct cloud *cloud, const char *ref)
{
    autofree char *path = xasprintf("/v1/instances/%s", ref);
    cloud_done(cloud, "DELETE", path, NULL);
}

static void assert_runs_on(struct cloud *cloud, const struct guest *guest)
{
    assert_int_equal(guest_pid(cloud, guest->id), guest->pid);
    assert_false(guest_await_end(guest->pid, 0));
}

/* ---- the gap ---- */

struct gap {
    struct guest same, stopped, grown, deleted[2], unknown[2];
    char *address;     /* of the first unknown one */
    char *image;       /* the id of one that was uploaded after the copy */
    char *image_cache; /* where the host keeps it */
};

static char *address_of(struct cloud *cloud, const char *ref)
{
    autofree char *path = xasprintf("/v1/instances/%s", ref);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", path, NULL);
    return xstrdup(answer_str(&shown, "addresses.0.address"));
}

static void before(struct cloud *cloud, struct gap *gap)
{
    gap->same = create(cloud, "same");
    gap->stopped = create(cloud, "stopped");
    gap->grown = create(cloud, "grown");
    gap->deleted[0] = create(cloud, "lost0");
    gap->deleted[1] = create(cloud, "lost1");
    act(cloud, "grown", "stop", "{\"force\":true}");
}

static void after(struct cloud *cloud, struct gap *gap)
{
    gap->unknown[0] = create(cloud, "unknown0");
    gap->unknown[1] = create(cloud, "unknown1");
    gap->address = address_of(cloud, "unknown0");
    act(cloud, "stopped", "stop", "{\"force\":true}");
    act(cloud, "grown", "resize", "{\"vcpus\":2,\"memory_mib\":160,\"disk_gib\":2}");
    delete (cloud, "lost0");
    delete (cloud, "lost1");
}

/* An image made in the gap, whose one guest is gone again: only its file is left, here and on
 * the host. */
static void use_new_image(struct cloud *cloud, struct gap *gap, const char *disk)
{
    autofree char *newer = xasprintf("%s/newer", cloud->dir);
    const char *copy[] = {"cp", disk, newer, NULL};
    assert_int_equal(proc_run(copy, NULL, NULL, 20000), 0);
    FILE *out = fopen(newer, "a");
    for (int i = 0; i < 512; i++)
        fputc('x', out);
    fclose(out);
    cloud_add_image(cloud, "newer", newer, "raw");
    cloud_done(cloud, "POST", "/v1/instances",
               "{\"name\":\"brief\",\"image\":\"newer\",\"vcpus\":1,\"memory_mib\":128,"
               "\"disk_gib\":1}");
    delete (cloud, "brief");
    struct answer auto_answer_json image = cloud_call(cloud, "GET", "/v1/images/newer", NULL);
    gap->image = xstrdup(answer_str(&image, "id"));
    gap->image_cache =
        xasprintf("%s/host/lib/minicloud/image-%s.raw", cloud->dir, answer_str(&image, "sha256"));
    assert_int_equal(access(gap->image_cache, F_OK), 0);
}

static void assert_image_can_be_taken_back(struct cloud *cloud, const struct gap *gap)
{
    autofree char *path = xasprintf("/v1/orphans/%s/import", gap->image);
    struct answer auto_answer_json list = cloud_call(cloud, "GET", "/v1/orphans", NULL);
    assert_string_equal(answer_str(&list, "orphans.0.file"), gap->image);
    assert_int_equal(access(gap->image_cache, F_OK), 0);
    struct answer auto_answer_json taken = cloud_call(cloud, "POST", path, "{}");
    assert_int_equal(taken.status, 201);
    delete (cloud, "fresh"); /* the host is full */
    cloud_done(cloud, "POST", "/v1/instances",
               "{\"name\":\"brief\",\"image\":\"newer\",\"vcpus\":1,\"memory_mib\":128,"
               "\"disk_gib\":1}");
    delete (cloud, "brief");
}

static void gap_release(struct gap *gap)
{
    struct guest *all[] = {&gap->same,       &gap->stopped,    &gap->grown,     &gap->deleted[0],
                           &gap->deleted[1], &gap->unknown[0], &gap->unknown[1]};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        free(all[i]->id);
    free(gap->address);
    free(gap->image);
    free(gap->image_cache);
}

static void assert_member(struct cloud *cloud, const char *name, const char *member,
                          const char *want)
{
    autofree char *path = xasprintf("/v1/instances/%s", name);
    cloud_await(cloud, path, member, want, 20000);
}

static void assert_quarantined(struct cloud *cloud, const struct gap *gap)
{
    autofree char *node = xasprintf("/v1/nodes/%s", cloud->host);
    cloud_await(cloud, node, "quarantined.0.domain", gap->unknown[0].id, 30000);
    cloud_await(cloud, node, "quarantined.1.domain", gap->unknown[1].id, 5000);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", node, NULL);
    assert_null(answer_at(&shown, "quarantined.2"));
    printf("# the node counts %lld CPUs as used\n", (long long)answer_i64(&shown, "used_cpus"));
    /* same 1, stopped 1, grown 2, lost 2, unknown 2. */
    assert_true(answer_i64(&shown, "used_cpus") >= 6);
}

static void assert_adopted(struct cloud *cloud, const struct gap *gap)
{
    assert_member(cloud, "same", "state", "running");
    assert_member(cloud, "stopped", "state", "stopped");
    assert_member(cloud, "stopped", "desired", "stopped");
    assert_member(cloud, "grown", "vcpus", "2");
    assert_member(cloud, "grown", "memory_mib", "160");
    assert_member(cloud, "grown", "disk_gib", "2");
    assert_member(cloud, "lost0", "state", "error");
    assert_member(cloud, "lost1", "state", "error");
    assert_runs_on(cloud, &gap->same);
    assert_runs_on(cloud, &gap->unknown[0]);
    assert_runs_on(cloud, &gap->unknown[1]);
}

/* What is adopted is whole again: it obeys, and nothing new collides with the unknown ones. */
static void assert_usable(struct cloud *cloud, const struct gap *gap)
{
    act(cloud, "lost0", "rebuild", "{}");
    act(cloud, "lost0", "start", "{}");
    assert_member(cloud, "lost0", "state", "running");
    delete (cloud, "lost1");
    act(cloud, "stopped", "start", "{}");
    act(cloud, "grown", "start", "{}");
    act(cloud, "same", "stop", "{\"force\":true}");
    act(cloud, "same", "start", "{}");
    struct guest fresh = create(cloud, "fresh");
    autofree char *address = address_of(cloud, "fresh");
    assert_string_not_equal(address, gap->address);
    assert_runs_on(cloud, &gap->unknown[0]);
    assert_runs_on(cloud, &gap->unknown[1]);
    free(fresh.id);
}

static void go_back(bool agent_restarts)
{
    struct cloud *cloud = cloud_new("restore");
    autofree char *disk = guest_disk(cloud->dir);
    autofree char *copy = xasprintf("%s/copy.db", cloud->dir);
    struct gap gap = {0};
    cloud_start_controller(cloud, NULL, NULL);
    cloud_start_agent(cloud, NULL, NULL);
    cloud_add_image(cloud, "switch", disk, "raw");
    before(cloud, &gap);
    back_up(cloud, copy);
    after(cloud, &gap);
    use_new_image(cloud, &gap, disk);
    autofree char *epoch = ask_db(cloud, "SELECT value FROM meta WHERE name = 'epoch'");
    put_back(cloud, copy, agent_restarts);
    assert_quarantined(cloud, &gap);
    assert_adopted(cloud, &gap);
    autofree char *new_epoch = ask_db(cloud, "SELECT value FROM meta WHERE name = 'epoch'");
    assert_string_not_equal(epoch, new_epoch);
    assert_usable(cloud, &gap);
    assert_image_can_be_taken_back(cloud, &gap);
    gap_release(&gap);
    cloud_free(cloud);
}

static void test_restore__a_copy_put_back_destroys_no_guest(void **state)
{
    (void)state;
    go_back(false);
}

static void test_restore__an_agent_that_restarts_meanwhile_remembers_how_far_it_was(void **state)
{
    (void)state;
    go_back(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore__a_copy_put_back_destroys_no_guest),
        cmocka_unit_test(test_restore__an_agent_that_restarts_meanwhile_remembers_how_far_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
