/* Connections to libvirt; see hypervisor.h. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "node-agent/host/hypervisor_private.h"

enum { KEEPALIVE_SECONDS = 5, KEEPALIVE_MISSES = 3, STACK_BYTES = 256 * 1024 };

const struct host_ops hv_host_ops = {
    .look = hv_look,
    .disk_make = hv_disk_make,
    .disk_grow = hv_disk_grow,
    .seed_write = hv_seed_write,
    .volume_remove = hv_volume_remove,
    .define = hv_define,
    .definition = hv_definition,
    .set_title = hv_set_title,
    .set_mark = hv_set_mark,
    .network_ensure = hv_network_ensure,
    .network_active = hv_network_active,
    .lease_remove = hv_lease_remove,
    .create = hv_create,
    .resume = hv_resume,
    .press = hv_press,
    .destroy = hv_destroy,
    .undefine = hv_undefine,
    .count = hv_count,
};

static void *run_events(void *unused)
{
    (void)unused;
    for (;;) {
        if (virEventRunDefaultImpl() < 0)
            log_warn("libvirt.event_loop", "error=\"%s\"", virGetLastErrorMessage());
    }
    return NULL;
}

/* Errors come back through return values; libvirt would also print them. */
static void say_nothing(void *ctx, virErrorPtr error)
{
    (void)ctx;
    (void)error;
}

int hv_start(struct err *err)
{
    pthread_t thread;
    pthread_attr_t attributes;
    virSetErrorFunc(NULL, say_nothing);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
        return hv_error(err, "libvirt's client library does not start");
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int r = pthread_create(&thread, &attributes, run_events, NULL);
    pthread_attr_destroy(&attributes);
    if (r != 0)
        return err_set(err, ERR_INTERNAL, "no thread for libvirt's events: %s", strerror(r));
    pthread_detach(thread);
    return 0;
}

struct hv *hv_new(const struct hv_settings *settings, const struct hv_guard *guard)
{
    struct hv *hv = xcalloc(1, sizeof *hv);
    hv->settings = *settings;
    hv->guard = *guard;
    hv->callback = -1;
    return hv;
}

void hv_free(struct hv *hv)
{
    if (!hv)
        return;
    hv_disconnect(hv);
    free(hv);
}

void hv_disconnect(struct hv *hv)
{
    hv_domain_forget(hv);
    if (hv->pool)
        virStoragePoolFree(hv->pool);
    hv->pool = NULL;
    if (!hv->connection)
        return;
    if (hv->callback >= 0)
        virConnectDomainEventDeregisterAny(hv->connection, hv->callback);
    if (hv->watch)
        virConnectUnregisterCloseCallback(hv->connection, hv_on_close);
    hv->callback = -1;
    hv->watch = NULL;
    virConnectClose(hv->connection);
    hv->connection = NULL;
}

int hv_connect(struct hv *hv, struct err *err)
{
    if (hv->connection && virConnectIsAlive(hv->connection) == 1)
        return 0;
    hv_disconnect(hv);
    hv->connection = HV_CALL(hv, "connect", virConnectOpen(hv->settings.uri));
    if (!hv->connection) {
        hv_error(err, "no connection to libvirt");
        err->code = ERR_UNAVAILABLE;
        return -1;
    }
    /* A libvirtd that hangs breaks the connection, which ends all calls on it. */
    if (virConnectSetKeepAlive(hv->connection, KEEPALIVE_SECONDS, KEEPALIVE_MISSES) < 0)
        log_debug("libvirt.keepalive", "error=\"%s\"", virGetLastErrorMessage());
    return 0;
}

static enum err_code classify(const virError *error)
{
    switch (error ? error->code : VIR_ERR_INTERNAL_ERROR) {
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_RPC:
    case VIR_ERR_RESOURCE_BUSY:
    case VIR_ERR_OPERATION_ABORTED:
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_UNAVAILABLE:
        return ERR_UNAVAILABLE;
    case VIR_ERR_OPERATION_TIMEOUT:
        return ERR_HOST_TIMEOUT;
    case VIR_ERR_XML_ERROR:
    case VIR_ERR_XML_DETAIL:
    case VIR_ERR_XML_INVALID_SCHEMA:
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_CPU_INCOMPATIBLE:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
        return ERR_INVALID;
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_STORAGE_VOL:
    case VIR_ERR_NO_NETWORK:
    case VIR_ERR_NO_STORAGE_POOL:
        return ERR_NOT_FOUND;
    default:
        break;
    }
    if (error && error->message && strstr(error->message, "No space left on device"))
        return ERR_STORAGE_FULL;
    /* The socket broke under a call: a "system error" or "internal error" by number. */
    if (error && (error->domain == VIR_FROM_RPC || error->domain == VIR_FROM_REMOTE))
        return ERR_UNAVAILABLE;
    return ERR_OPERATION_FAILED;
}

int hv_error(struct err *err, const char *what)
{
    const virError *error = virGetLastError();
    return err_set(err, classify(error), "%s: %s", what,
                   error && error->message ? error->message : "libvirt gave no reason");
}

int hv_error_is(int code)
{
    return virGetLastErrorCode() == code;
}

void hv_cleanup_domain(virDomainPtr *domain)
{
    if (*domain)
        virDomainFree(*domain);
}

void hv_cleanup_volume(virStorageVolPtr *volume)
{
    if (*volume)
        virStorageVolFree(*volume);
}

void hv_cleanup_network(virNetworkPtr *network)
{
    if (*network)
        virNetworkFree(*network);
}
