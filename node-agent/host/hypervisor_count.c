/* What a guest has used. libvirt tells its network's bytes from the kernel's devices without
 * asking QEMU; CPU time, which libvirt would read there too, comes from /proc (qemu.h).
 *
 * Which way round: libvirt's interface statistics speak from the domain's point of view, also
 * where it reads them from a tap, whose own counters are the other way round ("The returned
 * statistics are always from domain POV", virNetDevTapInterfaceStats in libvirt's
 * src/util/virnetdevtap.c, called with `swapped` for all but macvtap). So rx is what the guest
 * received. */
#include <stdio.h>
#include <string.h>

#include "api/base/err.h"
#include "node-agent/host/hypervisor_private.h"
#include "node-agent/host/qemu.h"

/* Nothing here waits for a guest: one that takes this long hangs. */
enum { COUNT_MS = 10000 };

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), tail = strlen(end);
    return len >= tail && strcmp(text + len - tail, end) == 0;
}

/* "net.<n>.rx.bytes" and "net.<n>.tx.bytes". */
static void sum_bytes(const virDomainStatsRecord *record, struct counters *ret)
{
    for (int i = 0; i < record->nparams; i++) {
        const virTypedParameter *p = &record->params[i];
        if (p->type != VIR_TYPED_PARAM_ULLONG || strncmp(p->field, "net.", 4) != 0)
            continue;
        if (ends_with(p->field, ".rx.bytes"))
            ret->ingress_bytes += (int64_t)p->value.ul;
        else if (ends_with(p->field, ".tx.bytes"))
            ret->egress_bytes += (int64_t)p->value.ul;
    }
}

int hv_count(void *host, const char *id, struct counters *ret, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    virDomainStatsRecordPtr *records = NULL;
    memset(ret, 0, sizeof *ret);
    ret->cpu_ns = qemu_cpu_ns(hv->settings.run_dir, id);
    if (ret->cpu_ns < 0)
        return err_set(err, ERR_NOT_FOUND, "the guest's QEMU is not to be found");
    if (hv_domain(hv, id, &domain, err))
        return -1;
    virDomainPtr domains[] = {domain, NULL};
    int n = HV_CALL_FOR(hv, "domain_count", COUNT_MS,
                        virDomainListGetStats(domains, VIR_DOMAIN_STATS_INTERFACE, &records,
                                              VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT));
    if (n < 0)
        return hv_error(err, "the guest's network bytes are not told");
    for (int i = 0; i < n; i++)
        sum_bytes(records[i], ret);
    virDomainStatsRecordListFree(records);
    return n == 1 ? 0 : err_set(err, ERR_NOT_FOUND, "the guest's network bytes are not told");
}
