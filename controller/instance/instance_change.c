/* Resize, rebuild, rename, delete. */
#include <inttypes.h>

#include "api/base/err.h"
#include "controller/image/image.h"
#include "controller/image/store_image.h"
#include "controller/instance/instance.h"
#include "controller/instance/instance_evidence.h"
#include "controller/instance/operation_rules.h"
#include "controller/instance/store_instance.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/placement/hosts.h"
#include "controller/tx/writer.h"

static int refuse_deleted(const struct instance *instance, struct err *err)
{
    if (instance->deleted_ms)
        return err_set(err, ERR_CONFLICT, "instance %s is being deleted", instance->name);
    return 0;
}

static int may_resize(const struct instance *instance, const struct sizes *sizes, struct err *err)
{
    if (refuse_deleted(instance, err) != 0)
        return -1;
    bool stopped = instance->power == POWER_STOPPED && !instance->adopt &&
                   instance->observed_state == STATE_STOPPED;
    if (!stopped)
        return err_set(err, ERR_CONFLICT,
                       "instance %s must be stopped to be resized: it is %s and wanted %s; stop "
                       "it and wait until it is stopped",
                       instance->name, state_names[instance_shown_state(instance)],
                       power_names[instance->power]);
    if (sizes->disk_gib < instance->sizes.disk_gib)
        return err_field(err, "/disk_gib",
                         "disk_gib: a disk only grows: %" PRId64
                         " is less than the present %" PRId64,
                         sizes->disk_gib, instance->sizes.disk_gib);
    return 0;
}

int instance_resize(struct tx *tx, struct instance *instance, const struct sizes *sizes,
                    int64_t flavor_key, const char *flavor, const struct wish *wish,
                    struct operation_ref *ret_operation, struct err *err)
{
    struct sizes more = {sizes->vcpus - instance->sizes.vcpus,
                         sizes->memory_mib - instance->sizes.memory_mib,
                         sizes->disk_gib - instance->sizes.disk_gib};
    if (may_resize(instance, sizes, err) != 0 ||
        hosts_room(tx->hosts, instance->node_key, &more, err) != 0)
        return -1;
    if (store_instance_flavor_past(tx->db, instance, err) != 0)
        return -1;
    bool same = !more.vcpus && !more.memory_mib && !more.disk_gib;
    hosts_use(tx->hosts, instance->node_key, &more, 0);
    instance->sizes = *sizes;
    instance->flavor_key = flavor_key;
    instance->flavor = flavor;
    /* A flavor that only has another name is no matter for the host. */
    if (same && instance_witness_flavor(tx, instance, err) != 0)
        return -1;
    if (instance_change(tx, instance, "resize", err) != 0)
        return -1;
    return operation_open(tx, instance, "resize", wish, ret_operation, err);
}

int instance_rebuild(struct tx *tx, struct instance *instance, const struct image *image,
                     const struct wish *wish, struct operation_ref *ret_operation, struct err *err)
{
    if (refuse_deleted(instance, err) != 0 ||
        image_usable(image, instance->sizes.disk_gib, "/image", err) != 0 ||
        instance_refuse_twin(tx, instance, err) != 0)
        return -1;
    instance->image_key = image->key;
    instance->image = image->name;
    instance->image_id = image->id;
    instance->disk_number++;
    if (instance->power == POWER_RUNNING)
        instance->run++;
    /* The old disk is not wanted any more, so its guest need not be asked. */
    instance->stop_force = true;
    if (instance->adopt) {
        instance->adopt = false;
        instance->observed_state = STATE_PROVISIONING;
        instance->observed_reason = NULL;
    }
    if (instance_change(tx, instance, "rebuild", err) != 0)
        return -1;
    return operation_open(tx, instance, "rebuild", wish, ret_operation, err);
}

int instance_delete(struct tx *tx, struct instance *instance, const struct wish *wish,
                    struct operation_ref *ret_operation, struct err *err)
{
    if (instance->gone_ms)
        return err_set(err, ERR_NOT_FOUND, "there is no such instance");
    if (!instance->deleted_ms) {
        instance->deleted_ms = tx->now_ms;
        instance->adopt = false; /* a tombstone is not adopted */
        const struct host *host = hosts_find(tx->hosts, instance->node_key);
        if (evidence_deleted(tx, host, instance->id, err) != 0)
            return -1;
        if (instance_change(tx, instance, "delete", err) != 0)
            return -1;
    }
    return operation_open(tx, instance, "delete", wish, ret_operation, err);
}

int instance_update(struct tx *tx, struct instance *instance, const struct instance_patch *patch,
                    struct err *err)
{
    if (refuse_deleted(instance, err) != 0)
        return -1;
    if (patch->labels)
        instance->labels = patch->labels;
    if (patch->name)
        instance->name = patch->name;
    if (patch->hostname)
        instance->hostname = patch->hostname;
    if (patch->name || patch->hostname)
        return instance_change(tx, instance, "updated", err);
    instance_event(tx, instance, "updated", false);
    return store_instance_set_desired(tx->db, instance, err);
}
