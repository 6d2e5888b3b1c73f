/* What is on the host of one instance, as plain values: read from libvirt's XML by
 * facts.c, gathered by the hypervisor, judged by converge. Nothing here owns memory,
 * so a copy is a copy. Knows nothing of libvirt. */
#ifndef MINICLOUD_AGENT_FACTS_H
#define MINICLOUD_AGENT_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/node_protocol.h"

struct err;

#define MARK_NAMESPACE "urn:minicloud:instance:1"
#define MARK_PREFIX "minicloud"

enum {
    VOLUME_MAX = 112, /* "image-" + SHA-256 + ".qcow2.ok" fits */
    VOLUMES_MAX = 12, /* of one instance, looked at in one go; the next look sees the rest */
};

/* Our element in a domain's metadata: the agent's only memory of an instance. */
struct mark {
    char epoch[EPOCH_MAX];
    int64_t generation;
    int64_t run;     /* the run that this definition is for */
    int64_t started; /* newest run that was started */
    int64_t ended;   /* newest run whose end was written to the spool */
    int cause;       /* enum stop_cause of that end */
    int64_t disk, disk_gib;
    int64_t uid;
    char address[64], mac[24], network[ID_TEXT_MAX];
};

enum host_power { HOST_OFF, HOST_PAUSED, HOST_ACTIVE };
/* Why a domain is paused: PAUSE_ASKED is what START_PAUSED leaves. */
enum host_pause { PAUSE_NONE, PAUSE_ASKED, PAUSE_IO, PAUSE_OTHER };
/* The disk volume of the wanted number, when no domain says that it is good. */
enum disk_shape { DISK_NONE, DISK_GOOD, DISK_BROKEN, DISK_FOREIGN };

struct facts {
    char id[ID_TEXT_MAX];
    bool defined;
    bool marked; /* it has our metadata */
    struct mark mark;
    enum host_power power;
    enum host_pause pause;
    int end_cause; /* enum stop_cause, from libvirt's reason for being shut off */
    int64_t vcpus, memory_mib;
    bool roots_group; /* its QEMU runs with root's group, which no guest of ours may */
    char name[256], title[256];
    char disk[VOLUME_MAX], seed[VOLUME_MAX], base[VOLUME_MAX]; /* file names in its XML */
    /* Of the storage pool; looked at only when asked for. */
    enum disk_shape shape;
    int64_t disk_bytes; /* 0: not known */
    bool listed;        /* `volumes` is all there is of it */
    size_t volume_count;
    char volumes[VOLUMES_MAX][VOLUME_MAX];
    bool network_ready; /* the network is up and has its DHCP entry */
    bool image_ready;
};

/* Reads a domain's XML (what libvirt prints, but suspicious all the same). */
int facts_read_domain(const char *xml, struct facts *facts, struct err *err);

struct volume_facts {
    char format[16];
    int64_t capacity;
    char backing[VOLUME_MAX]; /* file name of the backing volume, "": none */
};
int facts_read_volume(const char *xml, struct volume_facts *ret, struct err *err);

/* DHCP host entries of a network's XML. */
int facts_read_network(const char *xml, void (*entry)(void *ctx, const char *mac, const char *ip),
                       void *ctx, struct err *err);

/* File names. */
void volume_disk(const char *id, int64_t number, char out[VOLUME_MAX]);
void volume_seed(const char *id, const char *digest, char out[VOLUME_MAX]);
void volume_image(const char *sha256, int format, char out[VOLUME_MAX]);
/* The instance a volume belongs to: `<id>.<anything>`. false: not one of ours. */
bool volume_owner(const char *name, char id[ID_TEXT_MAX]);
/* The last part of a path. */
const char *path_file(const char *path);
/* Cut to fit, no UTF-8 sequence in two: a cut name matches nothing, which is what should
 * become of it. */
void text_copy(char *out, size_t size, const char *text);

bool facts_has_volume(const struct facts *facts, const char *name);
void facts_add_volume(struct facts *facts, const char *name);
void facts_drop_volume(struct facts *facts, const char *name);

#endif
