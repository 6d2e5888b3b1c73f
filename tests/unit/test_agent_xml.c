/* The XML that libvirt gets, held against files; UPDATE_GOLDEN=1 writes them anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "node-agent/host/nat.h"
#include "node-agent/xml/domain_xml.h"
#include "node-agent/xml/network_xml.h"
#include "node-agent/xml/volume_xml.h"
#include "tests/unit/agent_fixture.h"

static void read_data(const char *name, struct buf *out)
{
    auto_err struct err err = {0};
    autofree char *path = xasprintf("tests/data/agent/%s", name);
    if (file_read(path, 1 << 20, out, &err))
        fail_msg("%s (tests run from the top folder)", err.msg);
}

static void assert_golden(const char *name, const struct buf *got)
{
    auto_buf struct buf want = {0};
    if (getenv("UPDATE_GOLDEN")) {
        autofree char *path = xasprintf("tests/data/agent/%s", name);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fwrite(got->data, 1, got->len, file);
        fclose(file);
        return;
    }
    read_data(name, &want);
    assert_string_equal(got->data, want.data);
}

static const struct domain_nic nic = {"52:54:01:4d:00:10", "mc-" NETWORK};

static struct domain_spec spec(const struct mark *mark)
{
    return (struct domain_spec){.id = INSTANCE,
                                .title = "web1",
                                .virt = VIRT_QEMU,
                                .vcpus = 2,
                                .memory_mib = 512,
                                .uid = 200001,
                                .gid = 107,
                                .disk = {.disk = "/pool/" INSTANCE ".1.qcow2",
                                         .base = "/pool/" BASE,
                                         .base_format = FORMAT_QCOW2,
                                         .seed = "/pool/" SEED},
                                .nics = &nic,
                                .nic_count = 1,
                                .console = "/log/" INSTANCE ".log",
                                .mark = mark};
}

static void test_domain__is_written_as_agreed_for_emulation_and_for_kvm(void **state)
{
    (void)state;
    auto_buf struct buf emulated = {0}, kvm = {0};
    struct facts f = facts_running();
    struct domain_spec s = spec(&f.mark);
    domain_xml(&s, &emulated);
    assert_golden("domain-qemu.xml", &emulated);
    s.virt = VIRT_KVM;
    s.disk.base_format = FORMAT_RAW;
    s.nic_count = 0;
    domain_xml(&s, &kvm);
    assert_golden("domain-kvm.xml", &kvm);
}

static void test_domain__what_is_written_is_what_is_read(void **state)
{
    (void)state;
    auto_buf struct buf xml = {0};
    auto_err struct err err = {0};
    struct facts f = facts_running(), read = {0};
    struct domain_spec s = spec(&f.mark);
    s.title = "<web & \"1\">";
    domain_xml(&s, &xml);
    assert_int_equal(facts_read_domain(xml.data, &read, &err), 0);
    assert_true(read.defined && read.marked);
    assert_memory_equal(&read.mark, &f.mark, sizeof f.mark);
    assert_string_equal(read.id, INSTANCE);
    assert_string_equal(read.title, "<web & \"1\">");
    assert_string_equal(read.disk, f.disk);
    assert_string_equal(read.seed, SEED);
    assert_string_equal(read.base, BASE);
    assert_int_equal(read.vcpus, 2);
    assert_int_equal(read.memory_mib, 512);
}

/* What an older agent wrote where /dev/kvm is root's. */
static void test_domain__of_roots_group_is_known_and_gets_another(void **state)
{
    (void)state;
    auto_buf struct buf old = {0}, changed = {0};
    auto_err struct err err = {0};
    struct facts f = facts_stopped(), before = {0}, after = {0};
    struct domain_spec s = spec(&f.mark);
    s.gid = 0;
    domain_xml(&s, &old);
    assert_int_equal(facts_read_domain(old.data, &before, &err), 0);
    assert_true(before.roots_group);
    struct domain_change change = {.title = "web1",
                                   .vcpus = 2,
                                   .memory_mib = 512,
                                   .disk = s.disk,
                                   .mark = &f.mark,
                                   .relabel = true,
                                   .uid = 200001,
                                   .gid = 65534};
    assert_int_equal(domain_xml_edit(old.data, &change, &changed, &err), 0);
    assert_non_null(strstr(changed.data, "<label>+200001:+65534</label>"));
    assert_int_equal(facts_read_domain(changed.data, &after, &err), 0);
    assert_false(after.roots_group);
}

/* domain-libvirt.xml is what libvirt 9.0 made of such a domain. */
static void test_domain__is_changed_from_its_own_xml_and_keeps_the_rest(void **state)
{
    (void)state;
    auto_buf struct buf old = {0}, changed = {0};
    auto_err struct err err = {0};
    struct facts before = {0}, after = {0};
    read_data("domain-libvirt.xml", &old);
    assert_int_equal(facts_read_domain(old.data, &before, &err), 0);
    struct mark mark = before.mark;
    mark.generation = 9;
    mark.disk = 2;
    struct domain_change change = {.title = "web2",
                                   .vcpus = 4,
                                   .memory_mib = 1024,
                                   .disk = {.disk = "/pool/" INSTANCE ".2.qcow2",
                                            .base = "/pool/image-b.raw",
                                            .base_format = FORMAT_RAW,
                                            .seed = "/pool/" INSTANCE ".seed.b.iso"},
                                   .mark = &mark};
    assert_int_equal(domain_xml_edit(old.data, &change, &changed, &err), 0);
    assert_golden("domain-edited.xml", &changed);
    assert_int_equal(facts_read_domain(changed.data, &after, &err), 0);
    assert_memory_equal(&after.mark, &mark, sizeof mark);
    assert_int_equal(after.vcpus, 4);
    assert_int_equal(after.memory_mib, 1024);
    assert_string_equal(after.title, "web2");
    assert_string_equal(after.disk, INSTANCE ".2.qcow2");
    assert_string_equal(after.base, "image-b.raw");
    assert_non_null(
        strstr(changed.data, "machine='pc-q35-") ? "" : strstr(changed.data, "machine=\"pc-q35-"));
}

static void test_domain__without_its_disks_is_not_changed(void **state)
{
    (void)state;
    auto_buf struct buf changed = {0};
    auto_err struct err err = {0};
    struct mark mark = {.epoch = EPOCH};
    struct domain_change change = {
        .title = "x", .disk = {.disk = "a", .base = "b", .seed = "c"}, .mark = &mark};
    assert_int_equal(domain_xml_edit("<domain><name>x</name></domain>", &change, &changed, &err),
                     -1);
    assert_int_equal(err.code, ERR_CONFLICT);
}

static void test_mark__is_written_as_agreed(void **state)
{
    (void)state;
    auto_buf struct buf xml = {0};
    struct facts f = facts_stopped();
    mark_xml(&f.mark, &xml);
    assert_golden("mark.xml", &xml);
}

static struct desired_network network(void)
{
    return (struct desired_network){.id = text(NETWORK),
                                    .name = text("default"),
                                    .cidr = text("10.77.0.0/16"),
                                    .gateway = text("10.77.0.1"),
                                    .bridge = 1,
                                    .nat = true};
}

static void test_network__is_written_as_agreed(void **state)
{
    (void)state;
    auto_buf struct buf xml = {0}, lease = {0};
    auto_err struct err err = {0};
    struct desired_network n = network();
    assert_int_equal(network_xml(&n, &xml, &err), 0);
    assert_golden("network.xml", &xml);
    lease_xml("52:54:01:4d:00:10", "10.77.0.16", &lease);
    assert_golden("lease.xml", &lease);
}

static void test_network__refuses_a_range_that_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "10.77.0.0",
                                      "10.77.0.0/",
                                      "10.77.0.0/31",
                                      "10.77.0.0/7",
                                      "10.77.0.0/x",
                                      "10.77.0.0/16 ",
                                      "a.b.c.d/16"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        auto_buf struct buf xml = {0};
        auto_err struct err err = {0};
        struct desired_network n = network();
        n.cidr = text(bad[i]);
        assert_int_equal(network_xml(&n, &xml, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void test_nat__is_written_as_agreed(void **state)
{
    (void)state;
    auto_buf struct buf rules = {0};
    struct desired_network n[3] = {network(), network(), network()};
    n[1].bridge = 2;
    n[1].cidr = text("10.78.0.0/16");
    n[1].nat = false;
    n[2].bridge = 3;
    n[2].cidr = text("1.2.3.4/8 ; flush ruleset"); /* is left out */
    nat_rules(n, 3, &rules);
    assert_golden("nat.nft", &rules);
}

static void test_volumes__are_written_as_agreed(void **state)
{
    (void)state;
    auto_buf struct buf pool = {0}, raw = {0}, overlay = {0};
    pool_xml("minicloud", "/pool", &pool);
    assert_golden("pool.xml", &pool);
    volume_raw_xml(SEED, 69632, "0600", &raw);
    assert_golden("volume-raw.xml", &raw);
    volume_overlay_xml(INSTANCE ".1.qcow2", 10LL << 30, "/pool/" BASE, FORMAT_QCOW2, &overlay);
    assert_golden("volume-overlay.xml", &overlay);
}

static void test_volumes__tell_whose_they_are(void **state)
{
    (void)state;
    char id[ID_TEXT_MAX], name[VOLUME_MAX];
    volume_disk(INSTANCE, 12, name);
    assert_string_equal(name, INSTANCE ".12.qcow2");
    assert_true(volume_owner(name, id));
    assert_string_equal(id, INSTANCE);
    volume_seed(INSTANCE, SHA256, name);
    assert_true(volume_owner(name, id));
    volume_image(SHA256, FORMAT_RAW, name);
    assert_string_equal(name, "image-" SHA256 ".raw");
    assert_false(volume_owner(name, id));
    assert_false(volume_owner(INSTANCE, id));
    assert_false(volume_owner("", id));
    assert_false(volume_owner("zz900000-0000-7000-8000-000000000001.1.qcow2", id));
}

static void count_entries(void *ctx, const char *mac, const char *ip)
{
    (void)mac;
    (void)ip;
    ++*(int *)ctx;
}

static void test_facts__read_what_libvirt_tells_of_volumes_and_networks(void **state)
{
    (void)state;
    auto_err struct err err = {0};
    struct volume_facts v;
    int entries = 0;
    assert_int_equal(
        facts_read_volume("<volume type='file'><name>x</name><capacity unit='bytes'>1073741824"
                          "</capacity><target><path>/pool/x</path><format type='qcow2'/></target>"
                          "<backingStore><path>/pool/" BASE "</path><format type='qcow2'/>"
                          "</backingStore></volume>",
                          &v, &err),
        0);
    assert_string_equal(v.format, "qcow2");
    assert_int_equal(v.capacity, 1 << 30);
    assert_string_equal(v.backing, BASE);
    assert_int_equal(
        facts_read_network("<network><ip address='10.0.0.1'><dhcp><host mac='a' ip='b'/>"
                           "<host mac='c' ip='d'/></dhcp></ip><ip family='ipv6'/></network>",
                           count_entries, &entries, &err),
        0);
    assert_int_equal(entries, 2);
    assert_int_equal(facts_read_volume("<volume", &v, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_domain__is_written_as_agreed_for_emulation_and_for_kvm),
        cmocka_unit_test(test_domain__what_is_written_is_what_is_read),
        cmocka_unit_test(test_domain__of_roots_group_is_known_and_gets_another),
        cmocka_unit_test(test_domain__is_changed_from_its_own_xml_and_keeps_the_rest),
        cmocka_unit_test(test_domain__without_its_disks_is_not_changed),
        cmocka_unit_test(test_mark__is_written_as_agreed),
        cmocka_unit_test(test_network__is_written_as_agreed),
        cmocka_unit_test(test_network__refuses_a_range_that_is_none),
        cmocka_unit_test(test_nat__is_written_as_agreed),
        cmocka_unit_test(test_volumes__are_written_as_agreed),
        cmocka_unit_test(test_volumes__tell_whose_they_are),
        cmocka_unit_test(test_facts__read_what_libvirt_tells_of_volumes_and_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
