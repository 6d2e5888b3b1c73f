/* The only libvirt code. `struct hv` is one connection for one thread, made when first
 * needed and made anew when it broke. Every call is announced to a guard before and after,
 * so that whoever owns the thread can write it off when a call does not come back. */
#ifndef MINICLOUD_AGENT_HYPERVISOR_H
#define MINICLOUD_AGENT_HYPERVISOR_H

#include "node-agent/host/host.h"

struct hv;

struct hv_settings {
    const char *uri;
    const char *pool, *pool_path;
    const char *run_dir; /* where libvirt keeps QEMU's pid files */
};

struct hv_guard {
    void *ctx;
    /* `timeout_ms` 0: the usual deadline. */
    void (*begin)(void *ctx, const char *call, int64_t timeout_ms);
    void (*end)(void *ctx);
};

extern const struct host_ops hv_host_ops; /* ctx: struct hv */

/* libvirt's event loop in a thread of its own; once, before any connection. */
int hv_start(struct err *err);
struct hv *hv_new(const struct hv_settings *settings, const struct hv_guard *guard);
void hv_free(struct hv *hv);
/* Connects unless a living connection is there. */
int hv_connect(struct hv *hv, struct err *err);
/* Closes; the next call connects afresh. */
void hv_disconnect(struct hv *hv);

/* ---- the host ---- */

struct hv_info {
    char uuid[40];
    int64_t cpus, memory_mib;
    int virt;        /* enum virt_type: what `auto` means here */
    bool kvm_closed; /* guests may not open a /dev/kvm that would be of use */
};
/* Also warms libvirt's capabilities: the first define would wait 4 s for them. */
int hv_info(struct hv *hv, int virt_setting, struct hv_info *ret, struct err *err);
/* Defines and starts the storage pool if need be, and reads its folder afresh. */
int hv_pool_ensure(struct hv *hv, struct err *err);
int hv_volumes(struct hv *hv, void (*each)(void *ctx, const char *name), void *ctx,
               struct err *err);

/* ---- watching ---- */

enum hv_event {
    HV_DEFINED,
    HV_UNDEFINED,
    HV_STARTED,
    HV_SUSPENDED,
    HV_RESUMED,
    HV_SHUTDOWN_GUEST, /* QEMU begins to end: the guest powered itself off */
    HV_SHUTDOWN_HOST,  /* or somebody on the host sent it SIGTERM */
    HV_STOPPED,
    HV_OTHER
};

struct hv_watch {
    void *ctx;
    /* From libvirt's event thread: must not call libvirt. */
    void (*event)(void *ctx, const char *id, enum hv_event event);
    void (*lost)(void *ctx);
};
/* Connects and registers; `watch` must outlive the connection. */
int hv_watch(struct hv *hv, const struct hv_watch *watch, struct err *err);
/* Every domain there is, ours or not. Asks QEMU nothing, so no hung guest blocks it. */
int hv_domains(struct hv *hv, void (*each)(void *ctx, const struct facts *facts), void *ctx,
               struct err *err);

/* ---- uploading an image ---- */

struct hv_upload;
int hv_upload_begin(struct hv *hv, const char *name, int64_t bytes, const char *mode,
                    struct hv_upload **ret, struct err *err);
int hv_upload_write(struct hv_upload *upload, const void *data, size_t len, struct err *err);
/* Frees in any case. */
int hv_upload_end(struct hv_upload *upload, struct err *err);
void hv_upload_abort(struct hv_upload *upload);
/* An empty volume, as a mark. */
int hv_volume_touch(struct hv *hv, const char *name, struct err *err);

#endif
