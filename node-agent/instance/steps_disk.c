/* Steps on storage, network and log files; see steps.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "node-agent/instance/seed.h"
#include "node-agent/instance/steps_private.h"
#include "node-agent/xml/domain_xml.h"

int step_disk(const struct step_env *env, struct situation *s, struct facts *f, struct err *err)
{
    const struct desired_instance *d = s->desired;
    char disk[VOLUME_MAX], base[VOLUME_MAX];
    int64_t bytes = d->disk_gib << 30;
    volume_disk(d->id, d->disk_number, disk);
    volume_image(d->image.sha256, d->image.format, base);
    if (bytes < d->image.virtual_bytes)
        return err_set(err, ERR_INVALID, "a disk of %lld GiB is smaller than its image",
                       (long long)d->disk_gib);
    if (env->host.ops->disk_make(env->host.ctx, disk, bytes, base, d->image.format, err))
        return -1;
    f->shape = DISK_GOOD;
    f->disk_bytes = bytes;
    facts_add_volume(f, disk);
    return 0;
}

int step_grow(const struct step_env *env, struct situation *s, struct facts *f, struct err *err)
{
    const struct desired_instance *d = s->desired;
    char disk[VOLUME_MAX];
    int64_t bytes = d->disk_gib << 30;
    volume_disk(d->id, d->disk_number, disk);
    if (env->host.ops->disk_grow(env->host.ctx, disk, bytes, err))
        return -1;
    f->disk_bytes = bytes;
    return 0;
}

int step_seed(const struct step_env *env, struct situation *s, struct facts *f, struct err *err)
{
    auto_buf struct buf iso = {0};
    if (seed_make(s->desired, &iso, err) ||
        env->host.ops->seed_write(env->host.ctx, s->seed, iso.data, iso.len, err))
        return -1;
    s->seed_written = true;
    facts_add_volume(f, s->seed);
    return 0;
}

static int ensure_interface(const struct step_env *env, const struct desired_interface *nic,
                            struct err *err)
{
    struct desired_network network = {0};
    if (!nic->network || !nic->mac || !nic->address)
        return err_set(err, ERR_INVALID, "an interface lacks its network, MAC or address");
    if (!env->network(env->ctx, nic->network, &network))
        return err_set(err, ERR_NOT_FOUND, "the controller did not describe network %s",
                       nic->network);
    int r = env->host.ops->network_ensure(env->host.ctx, &network, nic->mac, nic->address, err);
    free(network.id);
    free(network.name);
    free(network.cidr);
    free(network.gateway);
    return r;
}

int step_network(const struct step_env *env, struct situation *s, struct facts *f, struct err *err)
{
    const struct desired_interface *nics = s->desired->interfaces.items;
    for (size_t i = 0; i < s->desired->interfaces.count; i++) {
        if (ensure_interface(env, &nics[i], err))
            return -1;
    }
    if (env->nat(env->ctx, err))
        return -1;
    f->network_ready = true;
    return 0;
}

int step_sweep(const struct step_env *env, struct facts *f, const char *volume, struct err *err)
{
    char name[VOLUME_MAX];
    text_copy(name, sizeof name, volume); /* it points into the list that changes here */
    if (env->host.ops->volume_remove(env->host.ctx, name, err))
        return -1;
    facts_drop_volume(f, name);
    /* Only a disk that no domain stands on is ever swept while its shape is asked about. */
    if (f->shape == DISK_BROKEN)
        f->shape = DISK_NONE;
    return 0;
}

/* By the tombstone's interfaces and by the domain's metadata: either may lack them. */
int step_clean(const struct step_env *env, struct situation *s, struct facts *f, struct err *err)
{
    const struct host_ops *ops = env->host.ops;
    const struct desired_interface *nics = s->desired->interfaces.items;
    const struct mark *mark = &f->mark;
    if (f->marked && mark->network[0] &&
        ops->lease_remove(env->host.ctx, mark->network, mark->mac, mark->address, err))
        return -1;
    for (size_t i = 0; i < s->desired->interfaces.count; i++) {
        if (nics[i].network && nics[i].mac && nics[i].address &&
            ops->lease_remove(env->host.ctx, nics[i].network, nics[i].mac, nics[i].address, err))
            return -1;
    }
    s->cleaned = true;
    return 0;
}

/* "<stem>.log", what virtlogd makes of a full one, ".log.0", and logrotate, ".log.2.gz". */
static bool is_log_of(const char *stem, const char *name)
{
    size_t len = strlen(stem);
    if (strncmp(name, stem, len) != 0 || strncmp(name + len, ".log", 4) != 0)
        return false;
    const char *rest = name + len + 4;
    if (*rest == '\0')
        return true;
    size_t digits = *rest == '.' ? strspn(++rest, "0123456789") : 0;
    return digits > 0 && (rest[digits] == '\0' || strcmp(rest + digits, ".gz") == 0);
}

/* NULL: there are no more, or errno is not 0. */
static const char *next_log(DIR *dir, const char *stem)
{
    const struct dirent *e;
    errno = 0;
    while ((e = readdir(dir)) && !is_log_of(stem, e->d_name))
        ;
    return e ? e->d_name : NULL;
}

/* Where none is left it syncs all the same: whoever removed them may have died before. */
static int remove_logs(const char *what, const char *folder, const char *stem, struct err *err)
{
    bool synced = false;
    int r = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? 0 : err_errno(err, "cannot open folder %s", folder);
    for (const char *name; r == 0 && (name = next_log(dir, stem));) {
        auto_buf struct buf path = {0};
        buf_printf(&path, "%s/%s", folder, name);
        r = file_unlink(what, path.data, err);
        synced = true;
    }
    if (r == 0 && errno != 0)
        r = err_errno(err, "cannot read folder %s", folder);
    closedir(dir);
    return r != 0 || synced ? r : file_sync_folder(what, folder, err);
}

int step_remove_logs(const struct step_env *env, struct situation *s, const struct facts *f,
                     struct err *err)
{
    char name[DOMAIN_NAME_MAX];
    domain_name(f->id, name);
    if (remove_logs("console", env->console_dir, f->id, err) ||
        remove_logs("qemu_log", env->qemu_log_dir, name, err))
        return -1;
    s->logs_removed = true;
    return 0;
}
