/* A cloud whose programs live in a year to come, by wall clocks that the test sets, the lives of
 * the guests in it, and the ledger beside what the kernel says of each QEMU. */
#ifndef MINICLOUD_TESTS_USAGE_STAGE_H
#define MINICLOUD_TESTS_USAGE_STAGE_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "tests/lib/bill.h"
#include "tests/lib/cloud.h"
#include "tests/lib/guest.h"

enum { PATIENCE_MS = 30000, EXACT_MS = 1000, LIVES = 8, RUNS = 4, MONTH_S = 30 * 24 * 3600 };

/* When the hour ends, and how long before it all begins: so that guests are at work then. */
static const char hour_end[] = "2031-03-12T12:00:00Z";
enum { LEAD_S = 45 };

struct life {
    const char *name;
    char *id;
    struct guest_run *run; /* NULL: it is off */
    struct {
        int64_t began_ms, ended_ms; /* of CLOCK_BOOTTIME */
    } runs[RUNS];
    size_t count;
};

struct stage {
    struct cloud *cloud;
    int64_t offset_s; /* of the programs' wall clocks when they began */
    int64_t line_ms;  /* UTC, as they have it, of our boottime 0 */
    int64_t furthest_ms;
    struct life lives[LIVES];
    size_t count;
};
static struct stage stage;

/* ---- clocks ---- */

static char *clock_file(const char *of)
{
    return xasprintf("%s/%s.clock", stage.cloud->dir, of);
}

static void set_clock(const char *of, int64_t offset_s)
{
    autofree char *path = clock_file(of), *text = xasprintf("%+lld", (long long)offset_s);
    auto_err struct err err = {0};
    if (file_write("test", path, text, strlen(text), 0644, &err) != 0)
        cloud_fail("%s", err.msg);
}

/* The wall clock of a program, and no other, is what its file says. `wrap` is static. */
static const char *const *fake_clock(const char *of, const char *wrap[7])
{
    autofree char *path = clock_file(of);
    wrap[0] = "env";
    wrap[1] = "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1";
    wrap[2] = "FAKETIME_DONT_FAKE_MONOTONIC=1";
    wrap[3] = "FAKETIME_NO_CACHE=1";
    wrap[4] = "NO_FAKE_STAT=1";
    wrap[5] = xasprintf("FAKETIME_TIMESTAMP_FILE=%s", path);
    return wrap;
}

static int64_t moment(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(clock_parse(text, &ms), 0);
    return ms;
}

/* ---- the cloud ---- */

static void start_agent(void)
{
    static const char *const flags[] = {"--relist=2", "--heartbeat=1", "--count-every=60", NULL};
    cloud_start_agent(stage.cloud, NULL, flags);
}

static void start_controller(void)
{
    static const char *const flags[] = {"--seal-delay=1", NULL};
    cloud_start_controller(stage.cloud, NULL, flags);
}

static int begin(void **state)
{
    static const char *controller[7], *agent[7];
    (void)state;
    struct cloud *cloud = stage.cloud = cloud_new("usage");
    autofree char *tiny = cloud_tiny_image(false), *disk = guest_disk(cloud->dir);
    cloud_host_up(cloud);
    int64_t now = clock_wall_ms();
    stage.offset_s = (moment(hour_end) - now) / 1000 - LEAD_S;
    stage.line_ms = now - clock_boottime_ms() + stage.offset_s * 1000;
    set_clock("controller", stage.offset_s);
    set_clock("agent", stage.offset_s);
    cloud->controller_wrap = fake_clock("controller", controller);
    cloud->agent_wrap = fake_clock("agent", agent);
    start_controller();
    start_agent();
    cloud_add_image(cloud, "tiny", tiny, "qcow2");
    cloud_add_image(cloud, "switch", disk, "raw");
    struct answer auto_answer_json priced =
        cloud_call(cloud, "POST", "/v1/prices", "{\"meter\":\"running\",\"nanos\":\"4000000\"}");
    const char *from = answer_str(&priced, "valid_from");
    if (priced.status != 201 || !from || strncmp(from, hour_end, 4) != 0)
        cloud_fail("is libfaketime there? The controller says: %s", priced.text);
    return 0;
}

static int end(void **state)
{
    (void)state;
    printf("# no transition is further than %lld ms from the kernel's\n",
           (long long)stage.furthest_ms);
    for (size_t i = 0; i < stage.count; i++)
        free(stage.lives[i].id);
    cloud_free(stage.cloud);
    return 0;
}

/* ---- lives ---- */

static void life_runs(struct life *life)
{
    life->run = guest_run_watch(stage.cloud, life->id);
    assert_true(life->count < RUNS);
    life->runs[life->count++].began_ms = life->run->began_ms;
}

static void life_ended(struct life *life)
{
    life->runs[life->count - 1].ended_ms = guest_run_end(take(life->run), PATIENCE_MS);
}

static struct life *life_begin(const char *name, const char *image)
{
    static const char user_data[] =
        "#!/bin/sh\\n"
        "printf '#!/bin/sh\\\\necho; echo bye; (sleep 0.2; poweroff -f) >/dev/null 2>&1 &\\\\n' "
        ">/www/cgi-bin/off\\n"
        "chmod +x /www/cgi-bin/off\\n";
    assert_true(stage.count < LIVES);
    struct life *life = &stage.lives[stage.count++];
    autofree char *path = xasprintf("/v1/instances/%s", name);
    cloud_done(stage.cloud, "POST", "/v1/instances",
               "{\"name\":\"%s\",\"image\":\"%s\",\"vcpus\":1,\"memory_mib\":128,\"disk_gib\":1,"
               "\"user_data\":\"%s\"}",
               name, image, user_data);
    struct answer auto_answer_json made = cloud_call(stage.cloud, "GET", path, NULL);
    *life = (struct life){.name = name, .id = xstrdup(answer_str(&made, "id"))};
    life_runs(life);
    return life;
}

static void life_do(struct life *life, const char *what, const char *body)
{
    autofree char *path = xasprintf("/v1/instances/%s/%s", life->name, what);
    cloud_done(stage.cloud, "POST", path, "%s", body);
}

/* When the answer came: a run that is still on ends then, for the bill. */
static int64_t life_ask_delete(const struct life *life, char **ret_operation)
{
    autofree char *path = xasprintf("/v1/instances/%s", life->id);
    struct answer auto_answer_json taken = cloud_call(stage.cloud, "DELETE", path, NULL);
    int64_t deleted_ms = clock_boottime_ms();
    assert_int_equal(taken.status, 202);
    *ret_operation = xstrdup(answer_str(&taken, "operation.id"));
    return deleted_ms;
}

/* Waits for the rest, and tells when its QEMU ended if it was still on; else 0. */
static int64_t life_await_deleted(struct life *life, const char *operation, int64_t deleted_ms)
{
    struct answer auto_answer_json done = cloud_operation(stage.cloud, operation, PATIENCE_MS);
    assert_string_equal(answer_str(&done, "state"), "done");
    if (!life->run)
        return 0;
    life_ended(life);
    int64_t ended_ms = life->runs[life->count - 1].ended_ms;
    if (ended_ms > deleted_ms)
        life->runs[life->count - 1].ended_ms = deleted_ms;
    return ended_ms;
}

static int64_t life_delete(struct life *life)
{
    autofree char *operation = NULL;
    int64_t deleted_ms = life_ask_delete(life, &operation);
    life_await_deleted(life, operation, deleted_ms);
    return deleted_ms;
}

static void kill_guest(struct life *life)
{
    assert_int_equal(kill(life->run->pid, SIGKILL), 0);
    life_ended(life);
}

/* Long enough that a time that was made up would show. */
static void let_time_pass(void)
{
    usleep(2 * EXACT_MS * 1000);
}

/* ---- the ledger beside them ---- */

static void assert_near(const struct life *life, const char *what, int64_t utc_ms, int64_t true_ms)
{
    int64_t off = utc_ms - (stage.line_ms + true_ms);
    printf("# %s: %s is %lld ms off\n", life->name, what, (long long)off);
    if (llabs(off) > stage.furthest_ms)
        stage.furthest_ms = llabs(off);
    assert_true(llabs(off) < EXACT_MS);
}

/* As the ledger has it once everything up to now has been told. */
static void read_bill(const struct life *life, struct bill *ret_bill)
{
    bill_await_measured(stage.cloud, stage.line_ms + clock_boottime_ms());
    bill_read(stage.cloud, life->id, ret_bill);
}

/* Its host says that it is off before it says since when, and no event tells of that. `seen`:
 * somebody saw it end, and will say so. */
static void await_off(const struct life *life, const char *state, bool seen)
{
    autofree char *path = xasprintf("/v1/instances/%s", life->id);
    cloud_await(stage.cloud, path, "state", state, PATIENCE_MS);
    int64_t until = clock_boottime_ms() + PATIENCE_MS;
    for (;;) {
        struct bill bill;
        const struct bill_row *kept[BILL_ROWS], *ran[BILL_ROWS];
        bill_read(stage.cloud, life->id, &bill);
        size_t count = bill_rows(&bill, "allocated", kept);
        size_t runs = bill_rows(&bill, "running", ran);
        if (count > 0 && kept[count - 1]->open && runs > 0 && (!seen || ran[runs - 1]->verified))
            return;
        if (clock_boottime_ms() > until)
            cloud_fail("the end of %s is not told", life->name);
        usleep(20 * 1000);
    }
}

static void assert_runs(const struct life *life, const struct bill *bill)
{
    const struct bill_row *rows[BILL_ROWS];
    assert_int_equal(bill_rows(bill, "running", rows), life->count);
    for (size_t i = 0; i < life->count; i++) {
        assert_near(life, "a start", rows[i]->start_ms, life->runs[i].began_ms);
        if (life->runs[i].ended_ms)
            assert_near(life, "an end", rows[i]->end_ms, life->runs[i].ended_ms);
        assert_int_equal(rows[i]->open, !life->runs[i].ended_ms);
        assert_true(rows[i]->verified);
    }
}

/* From the disk's first moment to its last it is running, allocated or in a gap: one of them. */
static void assert_no_moment_twice_or_never(const struct bill *bill, size_t gaps)
{
    const struct bill_row *rows[BILL_ROWS], *disk[BILL_ROWS];
    int64_t at = 0;
    size_t disks = bill_rows(bill, "root_disk", disk);
    assert_true(disks >= 1);
    for (size_t i = 0; i < bill->count; i++) {
        const struct bill_row *row = &bill->rows[i];
        if (strcmp(row->kind, "root_disk") == 0 || strcmp(row->kind, "counted") == 0)
            continue;
        assert_int_equal(row->start_ms, at ? at : disk[0]->start_ms);
        at = row->end_ms;
    }
    assert_int_equal(at, disk[disks - 1]->end_ms);
    assert_int_equal(bill_rows(bill, "gap", rows), gaps);
}

static void assert_over(const struct life *life, const struct bill *bill, int64_t deleted_ms)
{
    int64_t last_ms = 0;
    for (size_t i = 0; i < bill->count; i++) {
        assert_false(bill->rows[i].open);
        if (bill->rows[i].end_ms > last_ms)
            last_ms = bill->rows[i].end_ms;
    }
    assert_near(life, "the last of all", last_ms, deleted_ms);
}

static void assert_life(struct life *life)
{
    struct bill bill;
    read_bill(life, &bill);
    assert_runs(life, &bill);
    assert_no_moment_twice_or_never(&bill, 0);
}

#endif
