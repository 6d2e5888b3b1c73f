/* What the agent can do on a host, as a struct of functions: hypervisor.c does it with
 * libvirt, tests with a model. Each does one thing, may be repeated, and is used by one
 * thread at a time. Names of volumes are file names in the pool. */
#ifndef MINICLOUD_AGENT_HOST_H
#define MINICLOUD_AGENT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct desired_network;
struct err;
struct facts;

struct look_for {
    const char *id;
    const char *disk; /* wanted overlay: its shape is told; NULL: do not look */
    const char *base; /* volume that it should stand on */
    bool list;        /* with all volumes of this instance */
};

/* Of a run, since it began, as its guest sees it: ingress is what it received. */
struct counters {
    int64_t cpu_ns, ingress_bytes, egress_bytes;
};

struct host_ops {
    /* Fills everything but image_ready and network_ready. */
    int (*look)(void *host, const struct look_for *what, struct facts *ret, struct err *err);
    int (*disk_make)(void *host, const char *name, int64_t bytes, const char *base, int format,
                     struct err *err);
    int (*disk_grow)(void *host, const char *name, int64_t bytes, struct err *err);
    int (*seed_write)(void *host, const char *name, const void *data, size_t len, struct err *err);
    int (*volume_remove)(void *host, const char *name, struct err *err);
    int (*define)(void *host, const char *id, const char *xml, struct err *err);
    int (*definition)(void *host, const char *id, struct buf *ret_xml, struct err *err);
    int (*set_title)(void *host, const char *id, const char *title, struct err *err);
    int (*set_mark)(void *host, const char *id, const char *xml, bool live, struct err *err);
    int (*network_ensure)(void *host, const struct desired_network *network, const char *mac,
                          const char *address, struct err *err);
    /* It is there, and up. */
    int (*network_active)(void *host, const char *network, bool *ret, struct err *err);
    int (*lease_remove)(void *host, const char *network, const char *mac, const char *address,
                        struct err *err);
    int (*create)(void *host, const char *id, struct err *err); /* paused */
    int (*resume)(void *host, const char *id, struct err *err);
    /* Presses the power button; gives up after `timeout_ms`. */
    int (*press)(void *host, const char *id, int64_t timeout_ms, struct err *err);
    int (*destroy)(void *host, const char *id, struct err *err);
    int (*undefine)(void *host, const char *id, struct err *err);
    /* Asks QEMU nothing. */
    int (*count)(void *host, const char *id, struct counters *ret, struct err *err);
};

struct host {
    const struct host_ops *ops;
    void *ctx;
};

#endif
