/* Joining, being schedulable, falling silent, being removed. */
#include "controller/node/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "controller/access/tokens.h"
#include "controller/instance/instance.h"
#include "controller/instance/store_instance.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/placement/hosts.h"
#include "controller/placement/store_node.h"
#include "controller/tx/writer.h"

static const char *state_of(const struct node *node)
{
    if (node->silent)
        return "silent";
    return node->last_seen_ms ? "ready" : "never";
}

static void put_quarantined(void *ctx, const struct quarantined *row)
{
    struct json_writer *w = ctx;
    json_open(w, NULL, '{');
    json_put_str(w, "domain", row->domain);
    json_put_str(w, "name", row->name);
    json_put_str(w, "state", state_names[row->state]);
    json_put_i64(w, "vcpus", row->sizes.vcpus);
    json_put_i64(w, "memory_mib", row->sizes.memory_mib);
    json_put_str(w, "address", row->address);
    json_close(w, '}');
}

static void put_condition(void *ctx, const struct condition *row)
{
    struct json_writer *w = ctx;
    json_open(w, NULL, '{');
    json_put_str(w, "code", row->code);
    json_put_str(w, "text", row->text);
    json_put_time(w, "since", row->since_ms);
    json_close(w, '}');
}

int node_put(struct db *db, struct json_writer *w, const char *key, const struct node *node,
             struct err *err)
{
    json_open(w, key, '{');
    json_put_str(w, "id", node->id);
    json_put_str(w, "name", node->name);
    json_put_str(w, "state", state_of(node));
    json_put_bool(w, "schedulable", node->schedulable);
    json_put_i64(w, "cpus", node->capacity.vcpus);
    json_put_i64(w, "memory_mib", node->capacity.memory_mib);
    json_put_i64(w, "disk_gib", node->capacity.disk_gib);
    json_put_i64(w, "used_cpus", node->used.vcpus);
    json_put_i64(w, "used_memory_mib", node->used.memory_mib);
    json_put_i64(w, "used_disk_gib", node->used.disk_gib);
    json_put_i64(w, "instances", node->instances);
    json_put_str(w, "virt", virt_names[node->virt]);
    json_put_str(w, "version", node->version);
    json_put_str(w, "boot_id", node->boot_id);
    json_put_time(w, "last_seen_at", node->last_seen_ms);
    json_open(w, "conditions", '[');
    int rc = store_condition_list(db, node->key, put_condition, w, err);
    json_close(w, ']');
    json_open(w, "quarantined", '[');
    rc = rc == 0 ? store_quarantine_list(db, node->key, put_quarantined, w, err) : rc;
    json_close(w, ']');
    json_close(w, '}');
    return rc;
}

static void event(struct tx *tx, struct node *node, const char *what)
{
    node->revision = tx_event(
        tx, &(struct event_row){.kind = "node", .id = node->id, .name = node->name, .what = what});
}

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

/* ---- joining ---- */

static int check_join(const struct node_join *join, struct err *err)
{
    if (join->protocol < 1)
        return err_field(err, "/protocol", "protocol: this controller speaks 1 to %d",
                         NODE_PROTOCOL);
    return 0;
}

static int insert(struct tx *tx, const struct node_join *join, struct node *node, struct err *err)
{
    char id[ID_TEXT_MAX];
    id_new(id);
    *node = (struct node){
        .id = id,
        .name = join->name,
        .host_uuid = join->host_uuid,
        .schedulable = true,
        .capacity = {join->capacity.cpus, join->capacity.memory_mib, join->capacity.disk_gib},
        .virt = join->capacity.virt,
        .version = join->version,
        .boot_id = join->boot_id,
        .protocol = join->protocol < NODE_PROTOCOL ? join->protocol : NODE_PROTOCOL,
        .created_ms = tx->now_ms,
    };
    event(tx, node, "joined");
    if (store_node_insert(tx->db, node, err) != 0)
        return -1;
    struct host host = {
        .key = node->key, .capacity = node->capacity, .schedulable = true, .virt = node->virt};
    copy(host.id, sizeof(host.id), id);
    copy(host.name, sizeof(host.name), node->name);
    copy(host.version, sizeof(host.version), node->version);
    copy(host.boot_id, sizeof(host.boot_id), node->boot_id);
    hosts_put(tx->hosts, &host);
    return store_node_get(tx->db, node->key, node, err);
}

/* A host that is heard and has another boot id cannot be this one that asks: two machines with
 * one UUID, as after cloning a disk. Taking its node would revoke the living one's token. */
static int refuse_twin(struct tx *tx, const struct node *node, const struct node_join *join,
                       struct err *err)
{
    const struct host *host = hosts_find(tx->hosts, node->key);
    if (!host || !host->reported || host->silent || strcmp(host->boot_id, join->boot_id) == 0)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "node %s is alive with this host_uuid (%s) and another boot: if this host is a "
                   "copy of that one, give it a UUID of its own (host_uuid in libvirtd.conf); if "
                   "it is the same host after a reboot, wait until the node is silent and join "
                   "again",
                   node->name, node->host_uuid);
}

/* Its boot id and capacity stay as last reported: the full report that follows a join tells,
 * and lets a new boot be seen as one. */
static int return_node(struct tx *tx, int64_t key, const struct node_join *join, struct node *node,
                       struct err *err)
{
    if (store_node_get(tx->db, key, node, err) != 0 || refuse_twin(tx, node, join, err) != 0 ||
        token_revoke_all(tx, 0, key, err) != 0)
        return -1;
    event(tx, node, "joined");
    return store_node_update(tx->db, node, err);
}

int node_joins(struct tx *tx, const struct node_join *join, struct node *ret_node,
               struct token_made *ret_token, struct err *err)
{
    int64_t key = 0;
    if (check_join(join, err) != 0)
        return -1;
    int known = store_node_of_host(tx->db, join->host_uuid, &key, err);
    if (known < 0)
        return -1;
    int rc = known ? return_node(tx, key, join, ret_node, err) : insert(tx, join, ret_node, err);
    if (rc != 0)
        return -1;
    struct token_new new = {.name = ret_node->name, .node_key = ret_node->key, .role = ROLE_NODE};
    return token_mint(tx, &new, ret_token, err);
}

/* ---- changes ---- */

int node_set_schedulable(struct tx *tx, struct node *node, bool schedulable, struct err *err)
{
    if (node->schedulable == schedulable)
        return 0;
    node->schedulable = schedulable;
    event(tx, node, schedulable ? "schedulable" : "unschedulable");
    const struct host *known = hosts_find(tx->hosts, node->key);
    if (known) {
        struct host host = *known;
        host.schedulable = schedulable;
        hosts_put(tx->hosts, &host);
    }
    return store_node_update(tx->db, node, err);
}

/* Each of its instances is shown in another state now: their watchers hear of it. */
static void tell_watchers(void *ctx, const struct instance *instance)
{
    struct tx *tx = ctx;
    if (!instance->deleted_ms)
        tx_event(tx, &(struct event_row){.project_key = instance->project_key,
                                         .kind = "instance",
                                         .id = instance->id,
                                         .name = instance->name,
                                         .what = "state:unknown"});
}

int node_fall_silent(struct tx *tx, int64_t node_key, struct err *err)
{
    const struct host *known = hosts_find(tx->hosts, node_key);
    if (!known || known->silent)
        return 0;
    struct host host = *known;
    host.silent = true;
    if (evidence_host_seen(tx, &host, err) != 0)
        return -1;
    hosts_put(tx->hosts, &host);
    struct node auto_node node = {0};
    if (store_node_get(tx->db, node_key, &node, err) != 0)
        return -1;
    node.silent = true;
    event(tx, &node, "silent");
    if (store_node_update(tx->db, &node, err) != 0)
        return -1;
    return store_instance_of_node(tx->db, node_key, tell_watchers, tx, err);
}

/* ---- removal ---- */

struct keys {
    int64_t *items;
    size_t count, cap;
};

static void collect(void *ctx, const struct instance *instance)
{
    struct keys *keys = ctx;
    if (keys->count == keys->cap) {
        keys->cap = keys->cap ? 2 * keys->cap : 64;
        keys->items = xrealloc(keys->items, keys->cap * sizeof(*keys->items));
    }
    keys->items[keys->count++] = instance->key;
}

static int declare_gone(struct tx *tx, int64_t key, struct err *err)
{
    struct instance auto_instance instance = {0};
    struct operation_end end = {.state = OPERATION_FAILED,
                                .code = ERR_OPERATION_FAILED,
                                .detail = "its node was removed by force"};
    if (store_instance_get(tx->db, key, &instance, err) != 0 ||
        instance_gone(tx, &instance, err) != 0)
        return -1;
    return operation_finish_all(tx, key, INT64_MAX, &end, err);
}

int node_remove(struct tx *tx, struct node *node, bool force, struct err *err)
{
    struct keys keys = {0};
    int rc = store_instance_of_node(tx->db, node->key, collect, &keys, err);
    autofree int64_t *items = keys.items;
    if (rc == 0 && keys.count && !force)
        return err_set(err, ERR_IN_USE,
                       "node %s still has %zu instances: delete them first, or repeat with "
                       "?force=true when the host is lost, which declares them gone",
                       node->name, keys.count);
    const struct host *host = hosts_find(tx->hosts, node->key);
    if (rc == 0 && host)
        rc = evidence_host_seen(tx, host, err);
    for (size_t i = 0; i < keys.count && rc == 0; i++)
        rc = declare_gone(tx, items[i], err);
    if (rc != 0 || node_forget_quarantine(tx, node->key, err) != 0 ||
        node_forget_conditions(tx, node->key, err) != 0 ||
        token_revoke_all(tx, 0, node->key, err) != 0)
        return -1;
    node->deleted_ms = tx->now_ms;
    event(tx, node, "deleted");
    hosts_remove(tx->hosts, node->key);
    return store_node_update(tx->db, node, err);
}
