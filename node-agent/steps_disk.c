/* Steps on storage, network and log files; see steps.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/buf.h"
#include "api/err.h"
#include "api/file.h"
#include "api/mem.h"
#include "node-agent/seed.h"
#include "node-agent/steps_private.h"

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

/* The console log and what virtlogd rotated: "<id>.log", "<id>.log.0", ... */
static int remove_logs(const struct step_env *env, const char *id, struct err *err)
{
    char prefix[ID_TEXT_MAX + 4];
    int r = 0;
    DIR *dir = opendir(env->console_dir);
    if (!dir)
        return 0;
    snprintf(prefix, sizeof prefix, "%s.log", id);
    for (struct dirent *e; r == 0 && (e = readdir(dir));) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        auto_buf struct buf path = {0};
        buf_printf(&path, "%s/%s", env->console_dir, e->d_name);
        r = file_unlink("console", path.data, err);
    }
    closedir(dir);
    return r;
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
    if (remove_logs(env, f->id, err))
        return -1;
    s->cleaned = true;
    return 0;
}
