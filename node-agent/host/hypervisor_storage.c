/* The storage pool and its volumes through libvirt. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "node-agent/host/hypervisor_private.h"
#include "node-agent/xml/volume_xml.h"

int hv_pool(struct hv *hv, virStoragePoolPtr *ret, struct err *err)
{
    if (hv_connect(hv, err))
        return -1;
    if (!hv->pool)
        hv->pool = HV_CALL(hv, "pool_lookup",
                           virStoragePoolLookupByName(hv->connection, hv->settings.pool));
    *ret = hv->pool;
    return hv->pool ? 0 : hv_error(err, "the storage pool is not there");
}

static int define_pool(struct hv *hv, struct err *err)
{
    auto_buf struct buf xml = {0};
    pool_xml(hv->settings.pool, hv->settings.pool_path, &xml);
    if (file_mkdirs(hv->settings.pool_path, 0711, err) || FAILPOINT("libvirt.pool_define", err))
        return -1;
    hv->pool = HV_CALL(hv, "pool_define", virStoragePoolDefineXML(hv->connection, xml.data, 0));
    return hv->pool ? 0 : hv_error(err, "the storage pool could not be defined");
}

int hv_pool_ensure(struct hv *hv, struct err *err)
{
    virStoragePoolPtr pool;
    if (hv_pool(hv, &pool, err)) {
        if (err->code != ERR_NOT_FOUND || define_pool(hv, err))
            return -1;
        err_clear(err);
        pool = hv->pool;
    }
    if (HV_CALL(hv, "pool_is_active", virStoragePoolIsActive(pool)) != 1) {
        if (FAILPOINT("libvirt.pool_create", err))
            return -1;
        if (HV_CALL(hv, "pool_create", virStoragePoolCreate(pool, 0)) < 0)
            return hv_error(err, "the storage pool could not be started");
        return 0; /* which has read its folder */
    }
    if (FAILPOINT("libvirt.pool_refresh", err))
        return -1;
    if (HV_CALL(hv, "pool_refresh", virStoragePoolRefresh(pool, 0)) < 0)
        return hv_error(err, "the storage pool could not be read");
    return 0;
}

int hv_volumes(struct hv *hv, void (*each)(void *ctx, const char *name), void *ctx, struct err *err)
{
    virStoragePoolPtr pool;
    virStorageVolPtr *volumes = NULL;
    if (hv_pool(hv, &pool, err))
        return -1;
    int n = HV_CALL(hv, "pool_list", virStoragePoolListAllVolumes(pool, &volumes, 0));
    if (n < 0)
        return hv_error(err, "the volumes are not told");
    for (int i = 0; i < n; i++) {
        each(ctx, virStorageVolGetName(volumes[i]));
        virStorageVolFree(volumes[i]);
    }
    free(volumes);
    return 0;
}

static void add_if_owned(void *ctx, const char *name)
{
    struct facts *facts = ctx;
    char id[ID_TEXT_MAX];
    if (volume_owner(name, id) && strcmp(id, facts->id) == 0)
        facts_add_volume(facts, name);
}

int hv_volume_list(struct hv *hv, const char *id, struct facts *ret, struct err *err)
{
    text_copy(ret->id, sizeof ret->id, id);
    if (hv_volumes(hv, add_if_owned, ret, err))
        return -1;
    /* A full table may not be all. */
    ret->listed = ret->volume_count < VOLUMES_MAX;
    return 0;
}

/* NULL with no error: there is no such volume. */
static virStorageVolPtr find_volume(struct hv *hv, const char *name, struct err *err)
{
    virStoragePoolPtr pool;
    if (hv_pool(hv, &pool, err))
        return NULL;
    virStorageVolPtr volume = HV_CALL(hv, "volume_lookup", virStorageVolLookupByName(pool, name));
    if (!volume && !hv_error_is(VIR_ERR_NO_STORAGE_VOL))
        hv_error(err, "a volume could not be looked for");
    return volume;
}

int hv_volume_shape(struct hv *hv, const struct look_for *what, struct facts *ret, struct err *err)
{
    struct volume_facts volume;
    auto_volume virStorageVolPtr found = find_volume(hv, what->disk, err);
    ret->shape = DISK_NONE;
    if (!found)
        return err->code == ERR_NONE ? 0 : -1;
    autofree char *xml = HV_CALL(hv, "volume_get_xml", virStorageVolGetXMLDesc(found, 0));
    if (!xml)
        return hv_error(err, "a volume's XML is not told");
    if (facts_read_volume(xml, &volume, err))
        return -1;
    facts_add_volume(ret, what->disk);
    ret->disk_bytes = volume.capacity;
    if (strcmp(volume.format, "qcow2") != 0 || volume.capacity == 0 || !volume.backing[0])
        ret->shape = DISK_BROKEN;
    else
        ret->shape = strcmp(volume.backing, what->base) == 0 ? DISK_GOOD : DISK_FOREIGN;
    return 0;
}

static void volume_path(const struct hv *hv, const char *name, struct buf *out)
{
    buf_printf(out, "%s/%s", hv->settings.pool_path, name);
}

/* libvirt does not sync what it writes for us, and the definition that will name this
 * file is synced. */
static int sync_volume(struct hv *hv, const char *what, const char *name, struct err *err)
{
    auto_buf struct buf path = {0};
    volume_path(hv, name, &path);
    autoclose int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "cannot open volume %s", name);
    return file_sync(what, fd, err);
}

int hv_disk_make(void *host, const char *name, int64_t bytes, const char *base, int format,
                 struct err *err)
{
    struct hv *hv = host;
    virStoragePoolPtr pool;
    auto_buf struct buf xml = {0}, backing = {0};
    volume_path(hv, base, &backing);
    volume_overlay_xml(name, bytes, backing.data, format, &xml);
    if (hv_pool(hv, &pool, err) || FAILPOINT("libvirt.volume_create", err))
        return -1;
    auto_volume virStorageVolPtr volume =
        HV_CALL(hv, "volume_create", virStorageVolCreateXML(pool, xml.data, 0));
    if (!volume)
        return hv_error(err, "the disk could not be made");
    FAILPOINT_VOID("libvirt.volume_create.after");
    return sync_volume(hv, "disk", name, err);
}

int hv_disk_grow(void *host, const char *name, int64_t bytes, struct err *err)
{
    struct hv *hv = host;
    auto_volume virStorageVolPtr volume = find_volume(hv, name, err);
    if (!volume)
        return err->code == ERR_NONE ? err_set(err, ERR_NOT_FOUND, "volume %s is not there", name)
                                     : -1;
    if (FAILPOINT("libvirt.volume_resize", err))
        return -1;
    if (HV_CALL(hv, "volume_resize", virStorageVolResize(volume, (unsigned long long)bytes, 0)) < 0)
        return hv_error(err, "the disk could not be grown");
    FAILPOINT_VOID("libvirt.volume_resize.after");
    return sync_volume(hv, "disk", name, err);
}

int hv_volume_remove(void *host, const char *name, struct err *err)
{
    struct hv *hv = host;
    auto_volume virStorageVolPtr volume = find_volume(hv, name, err);
    if (!volume)
        return err->code == ERR_NONE ? 0 : -1;
    if (FAILPOINT("libvirt.volume_delete", err))
        return -1;
    if (HV_CALL(hv, "volume_delete", virStorageVolDelete(volume, 0)) < 0 &&
        !hv_error_is(VIR_ERR_NO_STORAGE_VOL))
        return hv_error(err, "a volume could not be deleted");
    FAILPOINT_VOID("libvirt.volume_delete.after");
    return 0;
}

/* ---- uploading ---- */

enum { CHUNK = 256 * 1024 };

struct hv_upload {
    struct hv *hv;
    virStreamPtr stream;
    char *name;
    size_t used;
    char buffer[CHUNK];
};

static virStorageVolPtr make_raw(struct hv *hv, const char *name, int64_t bytes, const char *mode,
                                 struct err *err)
{
    virStoragePoolPtr pool;
    auto_buf struct buf xml = {0};
    volume_raw_xml(name, bytes, mode, &xml);
    /* A half-written one of an earlier life. */
    if (hv_pool(hv, &pool, err) || hv_volume_remove(hv, name, err) ||
        FAILPOINT("libvirt.volume_create", err))
        return NULL;
    virStorageVolPtr volume =
        HV_CALL(hv, "volume_create", virStorageVolCreateXML(pool, xml.data, 0));
    if (!volume)
        hv_error(err, "a volume could not be made");
    return volume;
}

int hv_upload_begin(struct hv *hv, const char *name, int64_t bytes, const char *mode,
                    struct hv_upload **ret, struct err *err)
{
    auto_volume virStorageVolPtr volume = make_raw(hv, name, bytes, mode, err);
    if (!volume)
        return -1;
    struct hv_upload *upload = xcalloc(1, sizeof *upload);
    upload->hv = hv;
    upload->name = xstrdup(name);
    upload->stream = virStreamNew(hv->connection, 0);
    if (FAILPOINT("libvirt.volume_upload", err)) {
        hv_upload_abort(upload);
        return -1;
    }
    if (!upload->stream ||
        HV_CALL(hv, "volume_upload",
                virStorageVolUpload(volume, upload->stream, 0, (unsigned long long)bytes,
                                    VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)) < 0) {
        hv_error(err, "the upload into a volume could not begin");
        hv_upload_abort(upload);
        return -1;
    }
    *ret = upload;
    return 0;
}

static bool all_zero(const char *data, size_t len)
{
    return len > 0 && data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static int send_all(struct hv_upload *upload, struct err *err)
{
    size_t done = 0;
    while (done < upload->used) {
        int n = HV_CALL(upload->hv, "stream_send",
                        virStreamSend(upload->stream, upload->buffer + done, upload->used - done));
        if (n < 0)
            return hv_error(err, "the upload into a volume broke off");
        done += (size_t)n;
    }
    return 0;
}

static int flush(struct hv_upload *upload, struct err *err)
{
    int r = 0;
    if (upload->used == CHUNK && all_zero(upload->buffer, CHUNK)) {
        if (HV_CALL(upload->hv, "stream_send_hole", virStreamSendHole(upload->stream, CHUNK, 0)) <
            0)
            r = hv_error(err, "the upload into a volume broke off");
    } else {
        r = send_all(upload, err);
    }
    upload->used = 0;
    return r;
}

int hv_upload_write(struct hv_upload *upload, const void *data, size_t len, struct err *err)
{
    const char *from = data;
    while (len > 0) {
        size_t n = CHUNK - upload->used < len ? CHUNK - upload->used : len;
        memcpy(upload->buffer + upload->used, from, n);
        upload->used += n;
        from += n;
        len -= n;
        if (upload->used == CHUNK && flush(upload, err))
            return -1;
    }
    return 0;
}

static void upload_free(struct hv_upload *upload)
{
    if (upload->stream)
        virStreamFree(upload->stream);
    free(upload->name);
    free(upload);
}

int hv_upload_end(struct hv_upload *upload, struct err *err)
{
    if (flush(upload, err)) {
        hv_upload_abort(upload);
        return -1;
    }
    int r = HV_CALL(upload->hv, "stream_finish", virStreamFinish(upload->stream));
    if (r < 0)
        hv_error(err, "the upload into a volume did not end well");
    else
        FAILPOINT_VOID("libvirt.volume_upload.after");
    if (r == 0)
        r = sync_volume(upload->hv, "volume", upload->name, err);
    upload_free(upload);
    return r;
}

void hv_upload_abort(struct hv_upload *upload)
{
    if (upload->stream)
        HV_CALL(upload->hv, "stream_abort", virStreamAbort(upload->stream));
    upload_free(upload);
}

int hv_seed_write(void *host, const char *name, const void *data, size_t len, struct err *err)
{
    struct hv_upload *upload;
    if (hv_upload_begin(host, name, (int64_t)len, "0600", &upload, err))
        return -1;
    if (hv_upload_write(upload, data, len, err)) {
        hv_upload_abort(upload);
        return -1;
    }
    return hv_upload_end(upload, err);
}

int hv_volume_touch(struct hv *hv, const char *name, struct err *err)
{
    auto_volume virStorageVolPtr volume = make_raw(hv, name, 0, "0600", err);
    if (!volume)
        return -1;
    FAILPOINT_VOID("libvirt.volume_create.after");
    if (sync_volume(hv, "volume", name, err))
        return -1;
    autoclose int fd = open(hv->settings.pool_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", hv->settings.pool_path);
    return file_sync("pool", fd, err);
}
