/* The host itself through libvirt: who it is, what it has, what it can, what runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "node-agent/host/hypervisor_private.h"
#include "node-agent/host/kvm.h"
#include "node-agent/xml/domain_xml.h"
#include "node-agent/xml/xml.h"

static int read_uuid(struct hv *hv, char out[40], struct err *err)
{
    auto_xml xmlDoc *doc = NULL;
    autofree char *xml = HV_CALL(hv, "get_capabilities", virConnectGetCapabilities(hv->connection));
    if (!xml)
        return hv_error(err, "libvirt does not tell its capabilities");
    if (xml_parse(xml, &doc, err))
        return -1;
    const xmlNode *host = xml_child(xmlDocGetRootElement(doc), "host");
    xml_content(xml_child(host, "uuid"), out, 40);
    return out[0] ? 0 : err_set(err, ERR_INTERNAL, "libvirt does not tell the host's UUID");
}

/* virNodeGetInfo tells less memory than there is. */
static int read_memory(struct hv *hv, int64_t *ret_mib, struct err *err)
{
    virNodeMemoryStats stats[16];
    int n = 0;
    if (HV_CALL(hv, "node_get_memory",
                virNodeGetMemoryStats(hv->connection, VIR_NODE_MEMORY_STATS_ALL_CELLS, NULL, &n,
                                      0)) < 0 ||
        n > (int)ARRAY_SIZE(stats) ||
        HV_CALL(hv, "node_get_memory",
                virNodeGetMemoryStats(hv->connection, VIR_NODE_MEMORY_STATS_ALL_CELLS, stats, &n,
                                      0)) < 0)
        return hv_error(err, "libvirt does not tell the host's memory");
    for (int i = 0; i < n; i++) {
        if (strcmp(stats[i].field, VIR_NODE_MEMORY_STATS_TOTAL) == 0)
            *ret_mib = (int64_t)(stats[i].value >> 10);
    }
    return 0;
}

static bool cpu_has_virtualization(void)
{
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    if (file_read("/proc/cpuinfo", 16 << 20, &text, &err))
        return false;
    return strstr(text.data, " vmx") || strstr(text.data, " svm");
}

static bool libvirt_offers(struct hv *hv, const char *virt)
{
    autofree char *xml =
        HV_CALL(hv, "get_domain_capabilities",
                virConnectGetDomainCapabilities(hv->connection, NULL, "x86_64", "q35", virt, 0));
    return xml != NULL;
}

/* A /dev/kvm that opens is no proof: under another hypervisor without nesting a guest
 * hangs on it. Nor is libvirt's word: it has looked with more rights than a guest gets. */
static void choose_virt(struct hv *hv, int setting, struct hv_info *ret)
{
    bool kvm = setting == VIRT_KVM || (setting == VIRT_AUTO && cpu_has_virtualization());
    bool offered = kvm && libvirt_offers(hv, "kvm");
    ret->kvm_closed = kvm && access(KVM_DEVICE, F_OK) == 0 && !kvm_open_to_guests(KVM_DEVICE);
    if (setting == VIRT_AUTO)
        kvm = offered && !ret->kvm_closed;
    if (!kvm && !libvirt_offers(hv, "qemu"))
        log_warn("host.no_qemu", "error=\"%s\"", virGetLastErrorMessage());
    ret->virt = kvm ? VIRT_KVM : VIRT_QEMU;
}

int hv_info(struct hv *hv, int virt_setting, struct hv_info *ret, struct err *err)
{
    virNodeInfo node;
    memset(ret, 0, sizeof *ret);
    if (hv_connect(hv, err) || read_uuid(hv, ret->uuid, err))
        return -1;
    if (HV_CALL(hv, "node_get_info", virNodeGetInfo(hv->connection, &node)) < 0)
        return hv_error(err, "libvirt does not tell the host's CPUs");
    ret->cpus = node.cpus;
    choose_virt(hv, virt_setting, ret);
    return read_memory(hv, &ret->memory_mib, err);
}

/* ---- watching ---- */

static enum hv_event kind_of(int event, int detail)
{
    switch (event) {
    case VIR_DOMAIN_EVENT_DEFINED:
        return HV_DEFINED;
    case VIR_DOMAIN_EVENT_UNDEFINED:
        return HV_UNDEFINED;
    case VIR_DOMAIN_EVENT_STARTED:
        return HV_STARTED;
    case VIR_DOMAIN_EVENT_SUSPENDED:
        return HV_SUSPENDED;
    case VIR_DOMAIN_EVENT_RESUMED:
        return HV_RESUMED;
    case VIR_DOMAIN_EVENT_SHUTDOWN:
        return detail == VIR_DOMAIN_EVENT_SHUTDOWN_GUEST  ? HV_SHUTDOWN_GUEST
               : detail == VIR_DOMAIN_EVENT_SHUTDOWN_HOST ? HV_SHUTDOWN_HOST
                                                          : HV_OTHER;
    case VIR_DOMAIN_EVENT_STOPPED:
    case VIR_DOMAIN_EVENT_CRASHED:
        return HV_STOPPED;
    default:
        return HV_OTHER;
    }
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
                        void *ctx)
{
    const struct hv_watch *watch = ctx;
    char id[VIR_UUID_STRING_BUFLEN];
    (void)connection;
    if (virDomainGetUUIDString(domain, id) == 0)
        watch->event(watch->ctx, id, kind_of(event, detail));
    return 0;
}

void hv_on_close(virConnectPtr connection, int reason, void *ctx)
{
    const struct hv_watch *watch = ctx;
    (void)connection;
    (void)reason;
    watch->lost(watch->ctx);
}

/* libvirt wants a type of its own for the callback, and hands back what it was given. */
static void *unconst(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

int hv_watch(struct hv *hv, const struct hv_watch *watch, struct err *err)
{
    if (hv_connect(hv, err))
        return -1;
    if (hv->watch)
        return 0;
    if (virConnectRegisterCloseCallback(hv->connection, hv_on_close, unconst(watch), NULL) < 0)
        return hv_error(err, "libvirt does not tell when it goes");
    hv->watch = watch;
    hv->callback = HV_CALL(hv, "watch_domains",
                           virConnectDomainEventRegisterAny(
                               hv->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                               VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), unconst(watch), NULL));
    return hv->callback < 0 ? hv_error(err, "libvirt does not tell events") : 0;
}

int hv_domains(struct hv *hv, void (*each)(void *ctx, const struct facts *facts), void *ctx,
               struct err *err)
{
    virDomainPtr *domains = NULL;
    if (hv_connect(hv, err))
        return -1;
    int n = HV_CALL(hv, "list_domains", virConnectListAllDomains(hv->connection, &domains, 0));
    if (n < 0)
        return hv_error(err, "libvirt does not list its domains");
    int r = 0;
    for (int i = 0; i < n; i++) {
        struct facts facts = {0};
        /* One that vanished meanwhile is no error. */
        if (r == 0 && hv_read_domain(hv, domains[i], &facts, err) == 0)
            each(ctx, &facts);
        else if (err->code == ERR_NOT_FOUND)
            err_clear(err);
        else
            r = -1;
        virDomainFree(domains[i]);
    }
    free(domains);
    return r;
}
