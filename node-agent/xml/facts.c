/* From libvirt's XML to plain values, and the names of files; see facts.h. */
#include "node-agent/xml/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/base/utf8.h"
#include "api/types.h"
#include "node-agent/xml/xml.h"

static void read_mark(const xmlNode *root, struct facts *facts)
{
    const xmlNode *node = xml_child_ns(xml_child(root, "metadata"), "instance", MARK_NAMESPACE);
    if (!node)
        return;
    struct mark *mark = &facts->mark;
    char cause[16];
    facts->marked = true;
    xml_attr(node, "epoch", mark->epoch, sizeof mark->epoch);
    mark->generation = xml_attr_i64(node, "generation");
    mark->run = xml_attr_i64(node, "run");
    mark->started = xml_attr_i64(node, "started");
    mark->ended = xml_attr_i64(node, "ended");
    mark->disk = xml_attr_i64(node, "disk");
    mark->disk_gib = xml_attr_i64(node, "disk_gib");
    mark->uid = xml_attr_i64(node, "uid");
    xml_attr(node, "cause", cause, sizeof cause);
    int index = name_index(cause_names, cause);
    mark->cause = index < 0 ? CAUSE_NONE : index;
    xml_attr(node, "address", mark->address, sizeof mark->address);
    xml_attr(node, "mac", mark->mac, sizeof mark->mac);
    xml_attr(node, "network", mark->network, sizeof mark->network);
}

static void read_file_name(const xmlNode *source, char out[VOLUME_MAX])
{
    char path[4096];
    xml_attr(source, "file", path, sizeof path);
    text_copy(out, VOLUME_MAX, path_file(path));
}

static void read_disks(const xmlNode *root, struct facts *facts)
{
    const xmlNode *disk = xml_child(xml_child(root, "devices"), "disk");
    for (; disk; disk = xml_next(disk, "disk")) {
        char target[16];
        xml_attr(xml_child(disk, "target"), "dev", target, sizeof target);
        if (strcmp(target, "vda") == 0) {
            read_file_name(xml_child(disk, "source"), facts->disk);
            read_file_name(xml_child(xml_child(disk, "backingStore"), "source"), facts->base);
        } else if (strcmp(target, "vdb") == 0) {
            read_file_name(xml_child(disk, "source"), facts->seed);
        }
    }
}

/* "+200001:+107"; names are allowed too, though we write none. */
static bool is_roots_group(const char *label)
{
    const char *group = strchr(label, ':');
    return group &&
           (strcmp(group, ":+0") == 0 || strcmp(group, ":0") == 0 || strcmp(group, ":root") == 0);
}

static void read_label(const xmlNode *root, struct facts *facts)
{
    const xmlNode *node = xml_child(root, "seclabel");
    facts->roots_group = false;
    for (; node; node = xml_next(node, "seclabel")) {
        char model[16], label[128];
        xml_attr(node, "model", model, sizeof model);
        xml_content(xml_child(node, "label"), label, sizeof label);
        if (strcmp(model, "dac") == 0 && is_roots_group(label))
            facts->roots_group = true;
    }
}

int facts_read_domain(const char *xml, struct facts *facts, struct err *err)
{
    auto_xml xmlDoc *doc = NULL;
    if (xml_parse(xml, &doc, err))
        return -1;
    const xmlNode *root = xmlDocGetRootElement(doc);
    char text[24];
    facts->defined = true;
    facts->marked = false;
    memset(&facts->mark, 0, sizeof facts->mark);
    xml_content(xml_child(root, "uuid"), facts->id, sizeof facts->id);
    xml_content(xml_child(root, "name"), facts->name, sizeof facts->name);
    xml_content(xml_child(root, "title"), facts->title, sizeof facts->title);
    xml_content(xml_child(root, "vcpu"), text, sizeof text);
    facts->vcpus = strtoll(text, NULL, 10);
    facts->memory_mib = xml_bytes(xml_child(root, "memory")) >> 20;
    read_mark(root, facts);
    read_label(root, facts);
    read_disks(root, facts);
    return 0;
}

int facts_read_volume(const char *xml, struct volume_facts *ret, struct err *err)
{
    auto_xml xmlDoc *doc = NULL;
    if (xml_parse(xml, &doc, err))
        return -1;
    const xmlNode *root = xmlDocGetRootElement(doc);
    char path[4096];
    xml_attr(xml_child(xml_child(root, "target"), "format"), "type", ret->format,
             sizeof ret->format);
    ret->capacity = xml_bytes(xml_child(root, "capacity"));
    xml_content(xml_child(xml_child(root, "backingStore"), "path"), path, sizeof path);
    text_copy(ret->backing, sizeof ret->backing, path_file(path));
    return 0;
}

int facts_read_network(const char *xml, void (*entry)(void *ctx, const char *mac, const char *ip),
                       void *ctx, struct err *err)
{
    auto_xml xmlDoc *doc = NULL;
    if (xml_parse(xml, &doc, err))
        return -1;
    const xmlNode *ip = xml_child(xmlDocGetRootElement(doc), "ip");
    for (; ip; ip = xml_next(ip, "ip")) {
        const xmlNode *host = xml_child(xml_child(ip, "dhcp"), "host");
        for (; host; host = xml_next(host, "host")) {
            char mac[24], address[64];
            xml_attr(host, "mac", mac, sizeof mac);
            xml_attr(host, "ip", address, sizeof address);
            entry(ctx, mac, address);
        }
    }
    return 0;
}

void volume_disk(const char *id, int64_t number, char out[VOLUME_MAX])
{
    snprintf(out, VOLUME_MAX, "%s.%lld.qcow2", id, (long long)number);
}

void volume_seed(const char *id, const char *digest, char out[VOLUME_MAX])
{
    snprintf(out, VOLUME_MAX, "%s.seed.%.16s.iso", id, digest);
}

void volume_image(const char *sha256, int format, char out[VOLUME_MAX])
{
    snprintf(out, VOLUME_MAX, "image-%s.%s", sha256, format_names[format]);
}

bool volume_owner(const char *name, char id[ID_TEXT_MAX])
{
    enum { LEN = ID_TEXT_MAX - 1 };
    if (strlen(name) <= LEN || name[LEN] != '.')
        return false;
    snprintf(id, ID_TEXT_MAX, "%.*s", LEN, name);
    return id_valid(id);
}

const char *path_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void text_copy(char *out, size_t size, const char *text)
{
    size_t len = text ? utf8_cut(text, strlen(text), size - 1) : 0;
    if (len > 0)
        memcpy(out, text, len);
    out[len] = '\0';
}

bool facts_has_volume(const struct facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->volume_count; i++) {
        if (strcmp(facts->volumes[i], name) == 0)
            return true;
    }
    return false;
}

void facts_add_volume(struct facts *facts, const char *name)
{
    if (facts->volume_count < VOLUMES_MAX && !facts_has_volume(facts, name))
        text_copy(facts->volumes[facts->volume_count++], VOLUME_MAX, name);
}

void facts_drop_volume(struct facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->volume_count; i++) {
        if (strcmp(facts->volumes[i], name) != 0)
            continue;
        facts->volume_count--;
        if (i != facts->volume_count)
            memcpy(facts->volumes[i], facts->volumes[facts->volume_count], VOLUME_MAX);
        return;
    }
}
