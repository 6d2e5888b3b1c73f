/* Small judgements of the agent: what fits into a report, how much disk to offer, when to
 * ask again, where a token can be kept. */
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
#include "api/json/json.h"
#include "node-agent/host/space.h"
#include "node-agent/link/client.h"
#include "node-agent/link/sync.h"
#include "node-agent/world.h"
#include "tests/lib/guard.h"
#include "tests/unit/agent_fixture.h"

static void test_text__is_cut_between_characters(void **state)
{
    (void)state;
    char out[6];
    text_copy(out, sizeof out, "abcd\xc3\xa9");
    assert_string_equal(out, "abcd");
    text_copy(out, sizeof out, "abc\xc3\xa9");
    assert_string_equal(out, "abc\xc3\xa9");
    text_copy(out, sizeof out, NULL);
    assert_string_equal(out, "");
}

/* Else the controller would refuse the report of the whole host. */
static void test_title__of_a_foreign_domain_is_cut_so_that_the_wire_takes_it(void **state)
{
    (void)state;
    auto_buf struct buf xml = {0}, text = {0};
    auto_err struct err err = {0};
    struct facts f = {0};
    struct observed o;
    struct trouble none = {0};
    struct observed_instance back = {0};
    buf_puts(&xml, "<domain><uuid>" INSTANCE "</uuid><name>x</name><title>");
    for (int i = 0; i < 200; i++)
        buf_puts(&xml, "\xc3\xa9");
    buf_puts(&xml, "</title></domain>");
    assert_int_equal(facts_read_domain(xml.data, &f, &err), 0);
    struct situation s = {.epoch = "", .seed = "", .facts = &f};
    struct decision d = converge(&s);
    observe(&s, &d, &none, true, &o);
    assert_int_equal(strlen(o.name), 254); /* two bytes each */
    struct observed_instance out = {.id = o.id, .state = o.state, .name = o.name};
    struct json_writer w = JSON_WRITER(&text);
    wire_encode(&observed_instance_wire, &out, &w, NULL);
    if (wire_parse(&observed_instance_wire, text.data, text.len, WIRE_LENIENT, &back, &err))
        fail_msg("%s", err.msg);
    wire_release(&observed_instance_wire, &back);
}

static void test_space__what_was_told_stands_until_it_is_well_off(void **state)
{
    (void)state;
    assert_int_equal(space_settle(0, 50), 50);
    assert_int_equal(space_settle(50, 51), 50);
    assert_int_equal(space_settle(50, 49), 50);
    assert_int_equal(space_settle(50, 52), 52);
    assert_int_equal(space_settle(1000, 1010), 1000);
    assert_int_equal(space_settle(1000, 989), 989);
}

static void test_space__counts_what_instances_take_and_nothing_else(void **state)
{
    (void)state;
    enum { MIB = 1 << 20 };
    auto_err struct err err = {0};
    autofree char *dir = guard_tempdir("space");
    autofree char *disk = xasprintf("%s/" INSTANCE ".1.qcow2", dir);
    autofree char *other = xasprintf("%s/somebody.qcow2", dir);
    autofree char *bytes = xmalloc(MIB);
    memset(bytes, 'x', MIB);
    assert_int_equal(space_taken(dir), 0);
    assert_int_equal(file_write("test", disk, bytes, MIB, 0600, &err), 0);
    assert_int_equal(file_write("test", other, bytes, MIB, 0600, &err), 0);
    int64_t taken = space_taken(dir);
    assert_true(taken >= MIB && taken < 2 * MIB);
    assert_true(space_ours(dir) >= taken);
    guard_flush();
}

static void test_sync__an_empty_page_well_before_its_time_is_hasty(void **state)
{
    (void)state;
    struct desired_page page = {0};
    assert_true(sync_hasty(&page, 10, 30000));
    assert_false(sync_hasty(&page, 29000, 30000));
    page.full = true;
    assert_false(sync_hasty(&page, 10, 30000));
    page.full = false;
    page.instances.count = 1;
    assert_false(sync_hasty(&page, 10, 30000));
    page.instances.count = 0;
    page.console.count = 1;
    assert_false(sync_hasty(&page, 10, 30000));
}

static void test_join__wants_a_place_for_the_token_first(void **state)
{
    (void)state;
    auto_err struct err err = {0};
    autofree char *dir = guard_tempdir("token");
    struct agent *agent = xcalloc(1, sizeof *agent);
    autofree char *good = xasprintf("%s/token", dir);
    autofree char *bad = xasprintf("%s/missing/token", dir);
    autofree char *probe = xasprintf("%s.probe", good);
    agent->settings.token_file = bad;
    assert_int_equal(agent_token_place(agent, &err), -1);
    agent->settings.token_file = good;
    assert_int_equal(agent_token_place(agent, &err), 0);
    assert_int_equal(access(good, F_OK), -1);
    assert_int_equal(access(probe, F_OK), -1);
    free(agent);
    guard_flush();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__is_cut_between_characters),
        cmocka_unit_test(test_title__of_a_foreign_domain_is_cut_so_that_the_wire_takes_it),
        cmocka_unit_test(test_space__what_was_told_stands_until_it_is_well_off),
        cmocka_unit_test(test_space__counts_what_instances_take_and_nothing_else),
        cmocka_unit_test(test_sync__an_empty_page_well_before_its_time_is_hasty),
        cmocka_unit_test(test_join__wants_a_place_for_the_token_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
