/* The domain as XML: written once, and afterwards changed from its own XML, so that
 * machine type, PCI addresses and MACs stay. Pure: struct -> text. */
#ifndef MINICLOUD_AGENT_DOMAIN_XML_H
#define MINICLOUD_AGENT_DOMAIN_XML_H

#include "node-agent/xml/facts.h"

struct buf;
struct err;

struct domain_disk {
    const char *disk; /* paths */
    const char *base;
    int base_format; /* enum image_format */
    const char *seed;
};

struct domain_nic {
    const char *mac;
    const char *network; /* libvirt's name of it */
};

struct domain_spec {
    const char *id, *title;
    int virt; /* enum virt_type, never auto */
    int64_t vcpus, memory_mib;
    int64_t uid, gid; /* QEMU runs as */
    struct domain_disk disk;
    const struct domain_nic *nics;
    size_t nic_count;
    const char *console; /* log file */
    const struct mark *mark;
};

enum { DOMAIN_NAME_MAX = ID_TEXT_MAX + 4 };
/* libvirt's name of it. */
void domain_name(const char *id, char out[DOMAIN_NAME_MAX]);

void domain_xml(const struct domain_spec *spec, struct buf *out);

/* The metadata element alone, for virDomainSetMetadata. */
void mark_xml(const struct mark *mark, struct buf *out);

struct domain_change {
    const char *title;
    int64_t vcpus, memory_mib;
    struct domain_disk disk;
    const struct mark *mark;
    bool relabel; /* QEMU runs as these, instead of as its label says: */
    int64_t uid, gid;
};
/* `old` with these values put in; everything else stays as libvirt printed it. */
int domain_xml_edit(const char *old, const struct domain_change *change, struct buf *out,
                    struct err *err);

#endif
