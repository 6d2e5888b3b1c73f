/* Shared by the hypervisor*.c files, and by nothing else. */
#ifndef MINICLOUD_AGENT_HYPERVISOR_PRIVATE_H
#define MINICLOUD_AGENT_HYPERVISOR_PRIVATE_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "api/base/failpoint.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/xml/facts.h"

struct hv {
    struct hv_settings settings;
    struct hv_guard guard;
    virConnectPtr connection;
    virStoragePoolPtr pool;
    /* The domain that was asked for last: the steps of one instance need no look-up each. */
    virDomainPtr domain;
    const struct hv_watch *watch;
    int callback;
};

/* One libvirt call under the guard. */
#define HV_CALL_FOR(hv, call, timeout_ms, expression)         \
    __extension__({                                           \
        (hv)->guard.begin((hv)->guard.ctx, call, timeout_ms); \
        __auto_type result_ = (expression);                   \
        (hv)->guard.end((hv)->guard.ctx);                     \
        result_;                                              \
    })
#define HV_CALL(hv, call, expression) HV_CALL_FOR(hv, call, 0, expression)

/* Turns libvirt's last error into ours; returns -1. The code says what may help:
 * ERR_UNAVAILABLE the connection, try again; ERR_INVALID, ERR_STORAGE_FULL nothing;
 * ERR_OPERATION_FAILED perhaps another try. */
int hv_error(struct err *err, const char *what);
/* Whether libvirt's last error is this one. */
int hv_error_is(int code);

int hv_domain(struct hv *hv, const char *id, virDomainPtr *ret, struct err *err);
void hv_domain_forget(struct hv *hv);
int hv_pool(struct hv *hv, virStoragePoolPtr *ret, struct err *err);

void hv_cleanup_domain(virDomainPtr *domain);
void hv_cleanup_volume(virStorageVolPtr *volume);
void hv_cleanup_network(virNetworkPtr *network);
#define auto_volume __attribute__((cleanup(hv_cleanup_volume)))
#define auto_network __attribute__((cleanup(hv_cleanup_network)))

void hv_on_close(virConnectPtr connection, int reason, void *ctx);

/* State and XML of a domain into facts. */
int hv_read_domain(struct hv *hv, virDomainPtr domain, struct facts *ret, struct err *err);

/* host_ops, by file. */
int hv_look(void *host, const struct look_for *what, struct facts *ret, struct err *err);
int hv_define(void *host, const char *id, const char *xml, struct err *err);
int hv_definition(void *host, const char *id, struct buf *ret_xml, struct err *err);
int hv_set_title(void *host, const char *id, const char *title, struct err *err);
int hv_set_mark(void *host, const char *id, const char *xml, bool live, struct err *err);
int hv_create(void *host, const char *id, struct err *err);
int hv_resume(void *host, const char *id, struct err *err);
int hv_press(void *host, const char *id, int64_t timeout_ms, struct err *err);
int hv_destroy(void *host, const char *id, struct err *err);
int hv_undefine(void *host, const char *id, struct err *err);
int hv_count(void *host, const char *id, struct counters *ret, struct err *err);
int hv_disk_make(void *host, const char *name, int64_t bytes, const char *base, int format,
                 struct err *err);
int hv_disk_grow(void *host, const char *name, int64_t bytes, struct err *err);
int hv_seed_write(void *host, const char *name, const void *data, size_t len, struct err *err);
int hv_volume_remove(void *host, const char *name, struct err *err);
int hv_volume_shape(struct hv *hv, const struct look_for *what, struct facts *ret, struct err *err);
int hv_volume_list(struct hv *hv, const char *id, struct facts *ret, struct err *err);
int hv_network_ensure(void *host, const struct desired_network *network, const char *mac,
                      const char *address, struct err *err);
int hv_network_active(void *host, const char *id, bool *ret, struct err *err);
int hv_lease_remove(void *host, const char *network, const char *mac, const char *address,
                    struct err *err);

#endif
