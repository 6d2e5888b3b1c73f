/* Writes a domain's XML; see domain_xml.h. */
#include "node-agent/xml/domain_xml.h"

#include <stdio.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/types.h"
#include "node-agent/xml/xml.h"

#define DIGITS(value) (xml_digits(value).text)

/* xmlns first, so that the element reads well in `virsh dumpxml`. */
static void write_mark(struct xml_out *x, const struct mark *m)
{
    xml_empty(x, MARK_PREFIX ":instance", "xmlns:" MARK_PREFIX, MARK_NAMESPACE, "epoch", m->epoch,
              "generation", DIGITS(m->generation), "run", DIGITS(m->run), "started",
              DIGITS(m->started), "ended", DIGITS(m->ended), "cause", cause_names[m->cause], "disk",
              DIGITS(m->disk), "disk_gib", DIGITS(m->disk_gib), "uid", DIGITS(m->uid), "address",
              m->address, "mac", m->mac, "network", m->network, NULL);
}

/* libvirt adds the namespace declaration by itself: with one of ours it would stand twice. */
void mark_xml(const struct mark *m, struct buf *out)
{
    struct xml_out *x = xml_begin();
    xml_empty(x, "instance", "epoch", m->epoch, "generation", DIGITS(m->generation), "run",
              DIGITS(m->run), "started", DIGITS(m->started), "ended", DIGITS(m->ended), "cause",
              cause_names[m->cause], "disk", DIGITS(m->disk), "disk_gib", DIGITS(m->disk_gib),
              "uid", DIGITS(m->uid), "address", m->address, "mac", m->mac, "network", m->network,
              NULL);
    xml_finish(x, out);
}

/* Emulated guests share QEMU's default translation buffer of a GiB; 16 MiB saves 30 MB
 * of resident memory each. */
static void write_platform(struct xml_out *x, const struct domain_spec *spec)
{
    xml_open(x, "os", NULL);
    xml_open(x, "type", "arch", "x86_64", "machine", "q35", NULL);
    xmlTextWriterWriteString(x->writer, (const xmlChar *)"hvm");
    xml_close(x);
    xml_close(x);
    xml_open(x, "features", NULL);
    xml_empty(x, "acpi", NULL);
    xml_empty(x, "apic", NULL);
    if (spec->virt != VIRT_KVM) {
        xml_open(x, "tcg", NULL);
        xml_number(x, "tb-cache", "MiB", 16);
        xml_close(x);
    }
    xml_close(x);
    xml_empty(x, "cpu", "mode", spec->virt == VIRT_KVM ? "host-passthrough" : "maximum", "check",
              "none", NULL);
    xml_empty(x, "clock", "offset", "utc", NULL);
    xml_text(x, "on_poweroff", "destroy");
    /* The guest's own reboot is no new run: the domain stays. */
    xml_text(x, "on_reboot", "restart");
    xml_text(x, "on_crash", "destroy");
    xml_open(x, "pm", NULL);
    xml_empty(x, "suspend-to-mem", "enabled", "no", NULL);
    xml_empty(x, "suspend-to-disk", "enabled", "no", NULL);
    xml_close(x);
}

static void write_source(struct xml_out *x, const char *path, bool relabel)
{
    xml_open(x, "source", "file", path, NULL);
    if (!relabel)
        xml_empty(x, "seclabel", "model", "dac", "relabel", "no", NULL);
    xml_close(x);
}

/* The chain is named to its end, so that libvirt probes no image; the shared base
 * keeps its owner (relabel='no'). */
static void write_root_disk(struct xml_out *x, const struct domain_spec *spec)
{
    xml_open(x, "disk", "type", "file", "device", "disk", NULL);
    xml_empty(x, "driver", "name", "qemu", "type", "qcow2", "discard", "unmap", "detect_zeroes",
              "unmap", NULL);
    write_source(x, spec->disk.disk, true);
    xml_open(x, "backingStore", "type", "file", NULL);
    xml_empty(x, "format", "type", format_names[spec->disk.base_format], NULL);
    write_source(x, spec->disk.base, false);
    xml_empty(x, "backingStore", NULL);
    xml_close(x);
    xml_empty(x, "target", "dev", "vda", "bus", "virtio", NULL);
    xml_text(x, "serial", "root");
    xml_empty(x, "boot", "order", "1", NULL);
    xml_close(x);
}

/* virtio, not a cdrom: cloud kernels come without AHCI. */
static void write_seed(struct xml_out *x, const struct domain_spec *spec)
{
    xml_open(x, "disk", "type", "file", "device", "disk", NULL);
    xml_empty(x, "driver", "name", "qemu", "type", "raw", NULL);
    write_source(x, spec->disk.seed, true);
    xml_empty(x, "backingStore", NULL);
    xml_empty(x, "target", "dev", "vdb", "bus", "virtio", NULL);
    xml_empty(x, "readonly", NULL);
    xml_text(x, "serial", "seed");
    xml_close(x);
}

static void write_nic(struct xml_out *x, const struct domain_nic *nic)
{
    xml_open(x, "interface", "type", "network", NULL);
    xml_empty(x, "mac", "address", nic->mac, NULL);
    xml_empty(x, "source", "network", nic->network, NULL);
    xml_empty(x, "model", "type", "virtio", NULL);
    xml_close(x);
}

static void write_console(struct xml_out *x, const struct domain_spec *spec)
{
    xml_open(x, "serial", "type", "pty", NULL);
    xml_empty(x, "log", "file", spec->console, "append", "on", NULL);
    xml_open(x, "target", "type", "isa-serial", "port", "0", NULL);
    xml_empty(x, "model", "name", "isa-serial", NULL);
    xml_close(x);
    xml_close(x);
    xml_open(x, "channel", "type", "unix", NULL);
    xml_empty(x, "target", "type", "virtio", "name", "org.qemu.guest_agent.0", NULL);
    xml_close(x);
}

static void write_small_devices(struct xml_out *x)
{
    xml_empty(x, "controller", "type", "usb", "model", "none", NULL);
    xml_open(x, "memballoon", "model", "virtio", NULL);
    xml_empty(x, "stats", "period", "10", NULL);
    xml_close(x);
    xml_open(x, "rng", "model", "virtio", NULL);
    xml_open(x, "backend", "model", "random", NULL);
    xmlTextWriterWriteString(x->writer, (const xmlChar *)"/dev/urandom");
    xml_close(x);
    xml_close(x);
    xml_open(x, "video", NULL);
    xml_empty(x, "model", "type", "none", NULL);
    xml_close(x);
}

static void write_label(struct xml_out *x, const struct domain_spec *spec)
{
    char label[64];
    snprintf(label, sizeof label, "+%lld:+%lld", (long long)spec->uid, (long long)spec->gid);
    xml_open(x, "seclabel", "type", "static", "model", "dac", "relabel", "yes", NULL);
    xml_text(x, "label", label);
    xml_close(x);
}

void domain_name(const char *id, char out[DOMAIN_NAME_MAX])
{
    snprintf(out, DOMAIN_NAME_MAX, "mc-%s", id);
}

void domain_xml(const struct domain_spec *spec, struct buf *out)
{
    char name[DOMAIN_NAME_MAX];
    domain_name(spec->id, name);
    struct xml_out *x = xml_begin();
    xml_open(x, "domain", "type", spec->virt == VIRT_KVM ? "kvm" : "qemu", NULL);
    xml_text(x, "name", name);
    xml_text(x, "uuid", spec->id);
    xml_text(x, "title", spec->title);
    xml_open(x, "metadata", NULL);
    write_mark(x, spec->mark);
    xml_close(x);
    xml_number(x, "memory", "MiB", spec->memory_mib);
    xml_number(x, "vcpu", NULL, spec->vcpus);
    write_platform(x, spec);
    xml_open(x, "devices", NULL);
    write_root_disk(x, spec);
    write_seed(x, spec);
    for (size_t i = 0; i < spec->nic_count; i++)
        write_nic(x, &spec->nics[i]);
    write_console(x, spec);
    write_small_devices(x);
    xml_close(x);
    write_label(x, spec);
    xml_finish(x, out);
}
