/* The limit of creating guests: the fewest libvirt calls that make the same guest (overlay, seed,
 * define, create), over the very XML that the agent made. Runs inside the host:
 *
 *   minicloud-bench --inside-host MODEL COUNT THREADS
 *
 * prints the milliseconds until all COUNT run, then removes them. */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "tests/bench/bench.h"

struct model {
    char *name, *id;   /* "mc-<id>" and the id within it */
    char *xml;         /* of the stopped domain */
    char *root_xml;    /* of its root volume */
    char *pool;        /* name */
    char *root, *seed; /* volume names */
    char *seed_data;
    size_t seed_len;
};

struct job {
    const struct model *model;
    int from, to;
    pthread_t thread;
};

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    const char *why = virGetLastErrorMessage();
    printf("%s: %s\n", what, why);
    exit(1);
}

/* A copy of `text` with each `from` replaced by `to`. */
static char *replaced(const char *text, const char *from, const char *to)
{
    struct buf out = {0};
    for (const char *at; (at = strstr(text, from)); text = at + strlen(from)) {
        buf_add(&out, text, (size_t)(at - text));
        buf_puts(&out, to);
    }
    buf_puts(&out, text);
    return buf_take(&out);
}

/* The element `<name ...>...</name>` is cut out, with its content. */
static char *without(const char *text, const char *open, const char *close)
{
    const char *from = strstr(text, open), *to = from ? strstr(from, close) : NULL;
    if (!to)
        return xstrdup(text);
    return xasprintf("%.*s%s", (int)(from - text), text, to + strlen(close));
}

static virStorageVolPtr volume_in(virConnectPtr conn, const char *xml, const char *mark, char **ret)
{
    /* The first source file whose path contains `mark`. */
    for (const char *at = strstr(xml, "<source file='"); at;
         at = strstr(at + 1, "<source file='")) {
        const char *path = at + strlen("<source file='");
        autofree char *file = xstrndup(path, strcspn(path, "'"));
        if (!strstr(file, mark))
            continue;
        virStorageVolPtr volume = virStorageVolLookupByPath(conn, file);
        if (volume && ret)
            *ret = xstrdup(virStorageVolGetName(volume));
        return volume;
    }
    return NULL;
}

static int keep_bytes(virStreamPtr stream, const char *data, size_t len, void *opaque)
{
    (void)stream;
    buf_add(opaque, data, len);
    return (int)len;
}

static void load_model(virConnectPtr conn, const char *name, struct model *m)
{
    virDomainPtr domain = virDomainLookupByName(conn, name);
    need(domain, "model");
    m->name = xstrdup(name);
    m->id = xstrdup(name + strlen("mc-"));
    m->xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    need(m->xml, "model XML");
    virDomainFree(domain);
    virStorageVolPtr seed = volume_in(conn, m->xml, "seed", &m->seed);
    virStorageVolPtr root = volume_in(conn, m->xml, ".qcow2", &m->root);
    need(seed && root, "model volumes");
    virStoragePoolPtr pool = virStoragePoolLookupByVolume(root);
    m->pool = xstrdup(virStoragePoolGetName(pool));
    m->root_xml = virStorageVolGetXMLDesc(root, 0);
    struct buf data = {0};
    virStreamPtr stream = virStreamNew(conn, 0);
    need(virStorageVolDownload(seed, stream, 0, 0, 0) == 0, "seed download");
    need(virStreamRecvAll(stream, keep_bytes, &data) == 0, "seed bytes");
    virStreamFinish(stream);
    virStreamFree(stream);
    m->seed_len = data.len;
    m->seed_data = buf_take(&data);
    virStoragePoolFree(pool);
    virStorageVolFree(seed);
    virStorageVolFree(root);
}

static void make_root(virStoragePoolPtr pool, const struct model *m, const char *id)
{
    autofree char *named = replaced(m->root_xml, m->id, id);
    /* Only name, capacity and backing store count at creation. */
    autofree char *plain = without(named, "<key>", "</key>");
    autofree char *sized = without(plain, "<allocation", "</allocation>");
    virStorageVolPtr volume = virStorageVolCreateXML(pool, sized, 0);
    need(volume, "overlay");
    virStorageVolFree(volume);
}

struct upload {
    const struct model *model;
    size_t at;
};

static int give_bytes(virStreamPtr stream, char *data, size_t len, void *opaque)
{
    struct upload *upload = opaque;
    size_t left = upload->model->seed_len - upload->at;
    size_t now = left < len ? left : len;
    (void)stream;
    memcpy(data, upload->model->seed_data + upload->at, now);
    upload->at += now;
    return (int)now;
}

static void make_seed(virConnectPtr conn, virStoragePoolPtr pool, const struct model *m,
                      const char *id)
{
    autofree char *name = replaced(m->seed, m->id, id);
    autofree char *xml = xasprintf("<volume><name>%s</name><capacity unit='bytes'>%zu</capacity>"
                                   "<target><format type='raw'/></target></volume>",
                                   name, m->seed_len);
    struct upload upload = {.model = m};
    virStorageVolPtr volume = virStorageVolCreateXML(pool, xml, 0);
    need(volume, "seed");
    virStreamPtr stream = virStreamNew(conn, 0);
    need(virStorageVolUpload(volume, stream, 0, m->seed_len, 0) == 0, "seed upload");
    need(virStreamSendAll(stream, give_bytes, &upload) == 0, "seed bytes");
    need(virStreamFinish(stream) == 0, "seed end");
    virStreamFree(stream);
    virStorageVolFree(volume);
}

static void id_for(int number, char id[ID_TEXT_MAX])
{
    snprintf(id, ID_TEXT_MAX, "00000000-0000-4000-8000-%012d", number + 1);
}

static char *domain_xml(const struct model *m, const char *id, int number)
{
    autofree char *named = replaced(m->xml, m->id, id);
    autofree char *mac =
        xasprintf("<mac address='52:54:00:be:%02x:%02x'/>", number / 256, number % 256);
    const char *at = strstr(named, "<mac address='");
    autofree char *before = xstrndup(named, (size_t)(at - named));
    const char *after = strchr(at, '>') + 1;
    return xasprintf("%s%s%s", before, mac, after);
}

static void *create_some(void *arg)
{
    struct job *job = arg;
    virConnectPtr conn = virConnectOpen("qemu:///system");
    need(conn, "connect");
    virStoragePoolPtr pool = virStoragePoolLookupByName(conn, job->model->pool);
    for (int i = job->from; i < job->to; i++) {
        char id[ID_TEXT_MAX];
        id_for(i, id);
        make_root(pool, job->model, id);
        make_seed(conn, pool, job->model, id);
        autofree char *xml = domain_xml(job->model, id, i);
        virDomainPtr domain = virDomainDefineXML(conn, xml);
        need(domain, "define");
        need(virDomainCreate(domain) == 0, "create");
        virDomainFree(domain);
    }
    virStoragePoolFree(pool);
    virConnectClose(conn);
    return NULL;
}

static void remove_all(virConnectPtr conn, const struct model *m, int count)
{
    virStoragePoolPtr pool = virStoragePoolLookupByName(conn, m->pool);
    for (int i = 0; i < count; i++) {
        char id[ID_TEXT_MAX];
        id_for(i, id);
        autofree char *name = replaced(m->name, m->id, id);
        virDomainPtr domain = virDomainLookupByName(conn, name);
        virDomainDestroy(domain);
        virDomainUndefine(domain);
        virDomainFree(domain);
        const char *volumes[] = {m->root, m->seed};
        for (int n = 0; n < 2; n++) {
            autofree char *volume_name = replaced(volumes[n], m->id, id);
            virStorageVolPtr volume = virStorageVolLookupByName(pool, volume_name);
            virStorageVolDelete(volume, 0);
            virStorageVolFree(volume);
        }
    }
    virStoragePoolFree(pool);
}

int bench_inside_host(int argc, char **argv)
{
    struct model model = {0};
    struct job jobs[64] = {0};
    if (argc != 5)
        return 2;
    int count = (int)strtol(argv[3], NULL, 10), threads = (int)strtol(argv[4], NULL, 10);
    virConnectPtr conn = virConnectOpen("qemu:///system");
    need(conn, "connect");
    load_model(conn, argv[2], &model);
    double start = now_s();
    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct job){
            .model = &model, .from = count * i / threads, .to = count * (i + 1) / threads};
        pthread_create(&jobs[i].thread, NULL, create_some, &jobs[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(jobs[i].thread, NULL);
    printf("%.1f\n", (now_s() - start) * 1000);
    remove_all(conn, &model, count);
    virConnectClose(conn);
    return 0;
}
