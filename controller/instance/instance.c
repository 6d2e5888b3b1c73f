/* What an instance is shown as, and how one comes to be and ends. */
#include "controller/instance/instance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/json/json.h"
#include "controller/image/image.h"
#include "controller/image/store_image.h"
#include "controller/instance/instance_numbers.h"
#include "controller/instance/operation_rules.h"
#include "controller/instance/store_instance.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/placement/address.h"
#include "controller/placement/hosts.h"
#include "controller/tx/writer.h"

enum instance_state instance_shown_state(const struct instance *instance)
{
    if (instance->gone_ms)
        return STATE_DELETED;
    if (instance->deleted_ms)
        return STATE_DELETING;
    if (instance->node_silent)
        return STATE_UNKNOWN;
    if (instance->observed_state == STATE_ABSENT)
        return STATE_PROVISIONING;
    return (enum instance_state)instance->observed_state;
}

bool instance_run_ended(const struct instance *instance)
{
    return instance->observed_run == instance->run &&
           (instance->observed_state == STATE_STOPPED ||
            instance->observed_state == STATE_CRASHED || instance->observed_state == STATE_ERROR);
}

static void put_addresses(struct json_writer *w, const struct instance_address *addresses,
                          size_t count)
{
    json_open(w, "addresses", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(w, NULL, '{');
        json_put_str(w, "network", addresses[i].network);
        json_put_str(w, "address", addresses[i].address);
        json_put_str(w, "mac", addresses[i].mac);
        json_close(w, '}');
    }
    json_close(w, ']');
}

static void put_wanted(struct json_writer *w, const struct instance *instance)
{
    json_put_str(w, "id", instance->id);
    json_put_str(w, "name", instance->name);
    json_put_str(w, "project", instance->project);
    json_put_str(w, "hostname", instance->hostname);
    json_put_str(w, "flavor", instance->flavor);
    json_put_i64(w, "vcpus", instance->sizes.vcpus);
    json_put_i64(w, "memory_mib", instance->sizes.memory_mib);
    json_put_i64(w, "disk_gib", instance->sizes.disk_gib);
    json_put_str(w, "image", instance->image);
    json_put_str(w, "image_id", instance->image_id);
    json_put_raw(w, "keys", instance->key_names, strlen(instance->key_names));
    json_put_raw(w, "labels", instance->labels, strlen(instance->labels));
    json_put_str(w, "desired", power_names[instance->power]);
}

void instance_put(struct json_writer *w, const char *key, const struct instance *instance,
                  const struct instance_address *addresses, size_t address_count)
{
    bool ended = instance->observed_cause != CAUSE_NONE;
    json_open(w, key, '{');
    put_wanted(w, instance);
    json_put_str(w, "state", state_names[instance_shown_state(instance)]);
    json_put_str(w, "reason", instance->observed_reason);
    json_put_str(w, "node", instance->node);
    put_addresses(w, addresses, address_count);
    json_put_i64(w, "generation", instance->generation);
    json_put_i64(w, "run", instance->run);
    json_put_str(w, "stop_cause", ended ? cause_names[instance->observed_cause] : NULL);
    json_put_time(w, "created_at", instance->created_ms);
    json_put_time(w, "started_at", instance->started_ms);
    json_put_time(w, "deleted_at", instance->deleted_ms);
    json_close(w, '}');
}

void instance_event(struct tx *tx, struct instance *instance, const char *what, bool wake)
{
    instance->revision = tx_event(tx, &(struct event_row){.project_key = instance->project_key,
                                                          .node_key = wake ? instance->node_key : 0,
                                                          .kind = "instance",
                                                          .id = instance->id,
                                                          .name = instance->name,
                                                          .what = what});
    if (wake)
        instance->desired_revision = instance->revision;
}

int instance_change(struct tx *tx, struct instance *instance, const char *what, struct err *err)
{
    instance->generation++;
    instance_event(tx, instance, what, true);
    return store_instance_set_desired(tx->db, instance, err);
}

/* ---- create ---- */

static int allot(struct tx *tx, const struct instance_new *wanted, struct instance_made *made,
                 int64_t *ret_number, struct err *err)
{
    struct instance *instance = &made->instance;
    struct allotted allotted;
    if (instance_allot(tx, &wanted->sizes, &allotted, err) != 0)
        return -1;
    instance->node_key = allotted.host->key;
    snprintf(made->node, sizeof(made->node), "%s", allotted.host->name);
    instance->uid = allotted.uid;
    *ret_number = allotted.number;
    snprintf(made->network, sizeof(made->network), "%s", allotted.network->name);
    address_text(*ret_number, made->address_text);
    network_mac(allotted.network->id, *ret_number, made->mac);
    made->address = (struct instance_address){
        .network = made->network, .address = made->address_text, .mac = made->mac};
    return 0;
}

static void fill(struct tx *tx, const struct instance_new *wanted, struct instance_made *made)
{
    id_new(made->id);
    made->instance = (struct instance){
        .id = made->id,
        .project_key = wanted->project_key,
        .project = wanted->project,
        .name = wanted->name,
        .hostname = wanted->hostname,
        .labels = wanted->labels,
        .flavor_key = wanted->flavor_key,
        .flavor = wanted->flavor,
        .image_key = wanted->image->key,
        .image = wanted->image->name,
        .image_id = wanted->image->id,
        .key_names = wanted->key_names,
        .sizes = wanted->sizes,
        .node = made->node,
        .power = (int)wanted->power,
        .generation = 1,
        .run = wanted->power == POWER_RUNNING ? 1 : 0,
        .disk_number = 1,
        .stop_timeout_ms = STOP_TIMEOUT_DEFAULT_SECONDS * 1000,
        .created_ms = tx->now_ms,
    };
}

static int insert(struct tx *tx, const struct instance_new *wanted, struct instance_made *made,
                  int64_t number, struct err *err)
{
    struct instance *instance = &made->instance;
    struct instance_seed seed = {.key_lines = wanted->key_lines,
                                 .user_data = wanted->user_data,
                                 .user_data_len = wanted->user_data_len};
    int64_t network_key = hosts_network_default(tx->hosts)->key;
    if (store_instance_insert(tx->db, instance, err) != 0 ||
        store_interface_insert(tx->db, instance->key, network_key, number, &made->address, err) !=
            0)
        return -1;
    if ((seed.user_data || strcmp(seed.key_lines, "[]") != 0) &&
        store_seed_insert(tx->db, instance->key, &seed, err) != 0)
        return -1;
    hosts_use(tx->hosts, instance->node_key, &instance->sizes, 1);
    hosts_uid_set(tx->hosts, instance->uid, true);
    hosts_address_set(tx->hosts, network_key, number, true);
    return 0;
}

int instance_create(struct tx *tx, const struct instance_new *wanted, const struct wish *wish,
                    struct instance_made *ret_made, struct err *err)
{
    int64_t number;
    fill(tx, wanted, ret_made);
    if (image_usable(wanted->image, wanted->sizes.disk_gib, "/disk_gib", err) != 0 ||
        allot(tx, wanted, ret_made, &number, err) != 0)
        return -1;
    instance_event(tx, &ret_made->instance, "created", true);
    if (insert(tx, wanted, ret_made, number, err) != 0)
        return -1;
    return operation_open(tx, &ret_made->instance, "create", wish, &ret_made->operation, err);
}

/* ---- the end ---- */

static void release_address(void *ctx, int64_t network_key, int64_t number)
{
    struct tx *tx = ctx;
    hosts_address_set(tx->hosts, network_key, number, false);
}

int instance_gone(struct tx *tx, struct instance *instance, struct err *err)
{
    instance->gone_ms = tx->now_ms;
    if (!instance->deleted_ms) {
        const struct host *host = hosts_find(tx->hosts, instance->node_key);
        instance->deleted_ms = tx->now_ms;
        if (evidence_deleted(tx, host, instance->id, err) != 0)
            return -1;
    }
    instance_event(tx, instance, "deleted", true);
    if (store_instance_set_gone(tx->db, instance, release_address, tx, err) != 0)
        return -1;
    struct sizes back = {-instance->sizes.vcpus, -instance->sizes.memory_mib,
                         -instance->sizes.disk_gib};
    hosts_use(tx->hosts, instance->node_key, &back, -1);
    hosts_uid_set(tx->hosts, instance->uid, false);
    return 0;
}
