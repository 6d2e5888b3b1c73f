/* Changes a domain's own XML; see domain_xml.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/types.h"
#include "node-agent/xml/domain_xml.h"
#include "node-agent/xml/xml.h"

#define X(text) ((const xmlChar *)(text))

/* The old content goes, whatever it was; text is escaped by the node type. */
static void set_text(xmlNode *node, const char *text)
{
    xmlNodeSetContent(node, NULL);
    xmlNodeAddContent(node, X(text));
}

static void set_number(xmlNode *node, const char *unit, int64_t value)
{
    if (!node)
        return;
    if (unit)
        xmlSetProp(node, X("unit"), X(unit));
    set_text(node, xml_digits(value).text);
}

static void set_title(xmlNode *root, const char *title)
{
    xmlNode *node = xml_child(root, "title");
    if (!node) {
        node = xmlNewDocNode(root->doc, NULL, X("title"), NULL);
        xmlAddNextSibling(xml_child(root, "name"), node);
    }
    set_text(node, title);
}

static int set_mark(xmlNode *root, const struct mark *mark, struct err *err)
{
    auto_buf struct buf text = {0};
    auto_xml xmlDoc *doc = NULL;
    mark_xml(mark, &text);
    if (xml_parse(text.data, &doc, err))
        return -1;
    xmlNode *metadata = xml_child(root, "metadata");
    if (!metadata)
        metadata = xmlNewChild(root, NULL, X("metadata"), NULL);
    xmlNode *old = xml_child_ns(metadata, "instance", MARK_NAMESPACE);
    if (old) {
        xmlUnlinkNode(old);
        xmlFreeNode(old);
    }
    xmlNode *fresh = xmlDocCopyNode(xmlDocGetRootElement(doc), root->doc, 1);
    xmlSetNs(fresh, xmlNewNs(fresh, X(MARK_NAMESPACE), X(MARK_PREFIX)));
    xmlAddChild(metadata, fresh);
    return 0;
}

static xmlNode *find_disk(xmlNode *root, const char *name)
{
    xmlNode *disk = xml_child(xml_child(root, "devices"), "disk");
    for (; disk; disk = xml_next(disk, "disk")) {
        char target[16];
        xml_attr(xml_child(disk, "target"), "dev", target, sizeof target);
        if (strcmp(target, name) == 0)
            return disk;
    }
    return NULL;
}

static int set_path(xmlNode *holder, const char *path, const char *what, struct err *err)
{
    xmlNode *source = xml_child(holder, "source");
    if (!source)
        return err_set(err, ERR_CONFLICT, "the domain's own XML has no %s any more", what);
    xmlSetProp(source, X("file"), X(path));
    return 0;
}

static int set_disks(xmlNode *root, const struct domain_disk *disk, struct err *err)
{
    xmlNode *root_disk = find_disk(root, "vda");
    xmlNode *base = xml_child(root_disk, "backingStore");
    if (set_path(root_disk, disk->disk, "root disk", err) ||
        set_path(base, disk->base, "backing file", err) ||
        set_path(find_disk(root, "vdb"), disk->seed, "seed", err))
        return -1;
    xmlNode *format = xml_child(base, "format");
    if (format)
        xmlSetProp(format, X("type"), X(format_names[disk->base_format]));
    return 0;
}

static void set_label(xmlNode *root, const struct domain_change *change)
{
    char label[64];
    snprintf(label, sizeof label, "+%lld:+%lld", (long long)change->uid, (long long)change->gid);
    for (xmlNode *node = xml_child(root, "seclabel"); node && change->relabel;
         node = xml_next(node, "seclabel")) {
        char model[16];
        xmlNode *text = xml_child(node, "label");
        xml_attr(node, "model", model, sizeof model);
        if (text && strcmp(model, "dac") == 0)
            set_text(text, label);
    }
}

int domain_xml_edit(const char *old, const struct domain_change *change, struct buf *out,
                    struct err *err)
{
    auto_xml xmlDoc *doc = NULL;
    if (xml_parse(old, &doc, err))
        return -1;
    xmlNode *root = xmlDocGetRootElement(doc);
    set_title(root, change->title);
    set_number(xml_child(root, "memory"), "MiB", change->memory_mib);
    set_number(xml_child(root, "currentMemory"), "MiB", change->memory_mib);
    set_number(xml_child(root, "vcpu"), NULL, change->vcpus);
    set_label(root, change);
    if (set_mark(root, change->mark, err) || set_disks(root, &change->disk, err))
        return -1;
    xmlChar *text = NULL;
    int len = 0;
    xmlDocDumpMemory(doc, &text, &len);
    if (!text)
        abort();
    buf_add(out, text, (size_t)len);
    xmlFree(text);
    return 0;
}
