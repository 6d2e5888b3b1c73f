/* Domains through libvirt: looking, defining, starting, ending. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/types.h"
#include "node-agent/host/hypervisor_private.h"

void hv_domain_forget(struct hv *hv)
{
    if (hv->domain)
        virDomainFree(hv->domain);
    hv->domain = NULL;
}

static bool is_domain(virDomainPtr domain, const char *id)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    return domain && virDomainGetUUIDString(domain, uuid) == 0 && strcmp(uuid, id) == 0;
}

/* Borrowed: it stays the connection's. */
int hv_domain(struct hv *hv, const char *id, virDomainPtr *ret, struct err *err)
{
    if (hv_connect(hv, err))
        return -1;
    if (!is_domain(hv->domain, id)) {
        hv_domain_forget(hv);
        hv->domain = HV_CALL(hv, "domain_lookup", virDomainLookupByUUIDString(hv->connection, id));
        if (!hv->domain)
            return hv_error(err, "domain not found");
    }
    *ret = hv->domain;
    return 0;
}

static int cause_of(int reason)
{
    switch (reason) {
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN:
        return CAUSE_GUEST;
    case VIR_DOMAIN_SHUTOFF_DESTROYED:
        return CAUSE_FORCED;
    case VIR_DOMAIN_SHUTOFF_CRASHED:
    case VIR_DOMAIN_SHUTOFF_FAILED:
        return CAUSE_CRASHED;
    default:
        return CAUSE_UNSEEN;
    }
}

static void read_state(int state, int reason, struct facts *ret)
{
    ret->power = HOST_ACTIVE;
    ret->pause = PAUSE_NONE;
    ret->end_cause = CAUSE_NONE;
    if (state == VIR_DOMAIN_SHUTOFF) {
        ret->power = HOST_OFF;
        ret->end_cause = cause_of(reason);
    } else if (state == VIR_DOMAIN_CRASHED) {
        ret->power = HOST_OFF;
        ret->end_cause = CAUSE_CRASHED;
    } else if (state == VIR_DOMAIN_PAUSED) {
        ret->power = HOST_PAUSED;
        ret->pause = reason == VIR_DOMAIN_PAUSED_IOERROR ? PAUSE_IO
                     : reason == VIR_DOMAIN_PAUSED_USER || reason == VIR_DOMAIN_PAUSED_STARTING_UP
                         ? PAUSE_ASKED
                         : PAUSE_OTHER;
    }
}

/* Neither call needs QEMU's monitor, so a guest that hangs cannot hold them up. */
int hv_read_domain(struct hv *hv, virDomainPtr domain, struct facts *ret, struct err *err)
{
    int state = 0, reason = 0;
    if (HV_CALL(hv, "domain_get_state", virDomainGetState(domain, &state, &reason, 0)) < 0)
        return hv_error(err, "the domain's state is not told");
    autofree char *xml =
        HV_CALL(hv, "domain_get_xml", virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE));
    if (!xml)
        return hv_error(err, "the domain's XML is not told");
    if (facts_read_domain(xml, ret, err))
        return -1;
    read_state(state, reason, ret);
    return 0;
}

static int read_if_there(struct hv *hv, const char *id, struct facts *ret, struct err *err)
{
    virDomainPtr domain;
    if (hv_domain(hv, id, &domain, err) == 0 && hv_read_domain(hv, domain, ret, err) == 0)
        return 0;
    /* Also when it vanished between the two calls. */
    if (err->code != ERR_NOT_FOUND)
        return -1;
    hv_domain_forget(hv);
    err_clear(err);
    return 0;
}

int hv_look(void *host, const struct look_for *what, struct facts *ret, struct err *err)
{
    struct hv *hv = host;
    memset(ret, 0, sizeof *ret);
    text_copy(ret->id, sizeof ret->id, what->id);
    if (read_if_there(hv, what->id, ret, err))
        return -1;
    if (what->list && hv_volume_list(hv, what->id, ret, err))
        return -1;
    /* The definition is only made when its disk is good. */
    if (what->disk && strcmp(what->disk, ret->disk) != 0)
        return hv_volume_shape(hv, what, ret, err);
    if (what->disk)
        ret->shape = DISK_GOOD;
    return 0;
}

int hv_define(void *host, const char *id, const char *xml, struct err *err)
{
    struct hv *hv = host;
    (void)id;
    if (hv_connect(hv, err) || FAILPOINT("libvirt.domain_define", err))
        return -1;
    virDomainPtr domain =
        HV_CALL(hv, "domain_define", virDomainDefineXMLFlags(hv->connection, xml, 0));
    if (!domain)
        return hv_error(err, "libvirt refused the domain");
    FAILPOINT_VOID("libvirt.domain_define.after");
    hv_domain_forget(hv);
    hv->domain = domain;
    return 0;
}

int hv_definition(void *host, const char *id, struct buf *ret_xml, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    if (hv_domain(hv, id, &domain, err))
        return -1;
    autofree char *xml =
        HV_CALL(hv, "domain_get_xml",
                virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE));
    if (!xml)
        return hv_error(err, "the domain's XML is not told");
    buf_puts(ret_xml, xml);
    return 0;
}

static unsigned affect(struct hv *hv, virDomainPtr domain)
{
    bool active = HV_CALL(hv, "domain_is_active", virDomainIsActive(domain)) == 1;
    return VIR_DOMAIN_AFFECT_CONFIG | (active ? VIR_DOMAIN_AFFECT_LIVE : 0);
}

int hv_set_title(void *host, const char *id, const char *title, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    if (hv_domain(hv, id, &domain, err) || FAILPOINT("libvirt.domain_set_title", err))
        return -1;
    int r = HV_CALL(hv, "domain_set_metadata",
                    virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_TITLE, title, NULL, NULL,
                                         affect(hv, domain)));
    return r < 0 ? hv_error(err, "the domain's title could not be set") : 0;
}

int hv_set_mark(void *host, const char *id, const char *xml, bool live, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    unsigned flags = VIR_DOMAIN_AFFECT_CONFIG | (live ? VIR_DOMAIN_AFFECT_LIVE : 0);
    if (hv_domain(hv, id, &domain, err) || FAILPOINT("libvirt.domain_set_metadata", err))
        return -1;
    int r = HV_CALL(hv, "domain_set_metadata",
                    virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, MARK_PREFIX,
                                         MARK_NAMESPACE, flags));
    if (r < 0)
        return hv_error(err, "the domain's metadata could not be set");
    FAILPOINT_VOID("libvirt.domain_set_metadata.after");
    return 0;
}

int hv_create(void *host, const char *id, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    if (hv_domain(hv, id, &domain, err) || FAILPOINT("libvirt.domain_create", err))
        return -1;
    if (HV_CALL(hv, "domain_create", virDomainCreateWithFlags(domain, VIR_DOMAIN_START_PAUSED)) < 0)
        return hv_error(err, "the guest could not be started");
    FAILPOINT_VOID("libvirt.domain_create.after");
    return 0;
}

int hv_resume(void *host, const char *id, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    if (hv_domain(hv, id, &domain, err) || FAILPOINT("libvirt.domain_resume", err))
        return -1;
    if (HV_CALL(hv, "domain_resume", virDomainResume(domain)) < 0)
        return hv_error(err, "the guest could not be set going");
    FAILPOINT_VOID("libvirt.domain_resume.after");
    return 0;
}

int hv_press(void *host, const char *id, int64_t timeout_ms, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    if (hv_domain(hv, id, &domain, err) || FAILPOINT("libvirt.domain_shutdown", err))
        return -1;
    if (HV_CALL_FOR(hv, "domain_shutdown", timeout_ms,
                    virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)) == 0)
        return 0;
    /* It went off by itself just now: that is what was wanted. */
    return hv_error_is(VIR_ERR_OPERATION_INVALID) ? 0
                                                  : hv_error(err, "the guest could not be asked");
}

int hv_destroy(void *host, const char *id, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    if (hv_domain(hv, id, &domain, err) || FAILPOINT("libvirt.domain_destroy", err))
        return -1;
    if (HV_CALL(hv, "domain_destroy", virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_DEFAULT)) <
            0 &&
        !hv_error_is(VIR_ERR_OPERATION_INVALID))
        return hv_error(err, "the guest could not be destroyed");
    FAILPOINT_VOID("libvirt.domain_destroy.after");
    return 0;
}

int hv_undefine(void *host, const char *id, struct err *err)
{
    struct hv *hv = host;
    virDomainPtr domain;
    unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                     VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM;
    if (hv_domain(hv, id, &domain, err) || FAILPOINT("libvirt.domain_undefine", err))
        return -1;
    int r = HV_CALL(hv, "domain_undefine", virDomainUndefineFlags(domain, flags));
    if (r < 0 && !hv_error_is(VIR_ERR_NO_DOMAIN))
        return hv_error(err, "the domain could not be undefined");
    hv_domain_forget(hv);
    FAILPOINT_VOID("libvirt.domain_undefine.after");
    return 0;
}
