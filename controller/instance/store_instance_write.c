/* Writing instances. */
#include "api/base/err.h"
#include "api/node_protocol.h"
#include "controller/db/db.h"
#include "controller/instance/store_instance.h"

/* The only unique index that a request can run into is the name's: id, uid and address are
 * of our own choosing. */
static int name_taken(struct err *err, const struct instance *instance)
{
    if (err->code != ERR_CONFLICT)
        return -1;
    return err_set(err, ERR_NAME_TAKEN, "the project already has an instance called %s",
                   instance->name);
}

int store_instance_insert(struct db *db, struct instance *instance, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "INSERT INTO instance (id, project_key, name, hostname, labels, node_key, flavor_key,"
            " image_key, vcpus, memory_mib, disk_gib, uid, key_names, power, generation, run,"
            " disk_number, stop_timeout_ms, desired_revision, revision, created_ms) VALUES"
            " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    stmt_bind(stmt, "titttiziiiiitiiiiiiii", instance->id, instance->project_key, instance->name,
              instance->hostname, instance->labels, instance->node_key, instance->flavor_key,
              instance->image_key, instance->sizes.vcpus, instance->sizes.memory_mib,
              instance->sizes.disk_gib, instance->uid, instance->key_names,
              (int64_t)instance->power, instance->generation, instance->run, instance->disk_number,
              instance->stop_timeout_ms, instance->desired_revision, instance->revision,
              instance->created_ms);
    if (stmt_run(stmt, err) != 0)
        return name_taken(err, instance);
    instance->key = db_last_key(db);
    return 0;
}

int store_seed_insert(struct db *db, int64_t instance_key, const struct instance_seed *seed,
                      struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "INSERT INTO instance_seed (instance_key, key_lines, user_data) VALUES (?, ?, ?)");
    stmt_bind(stmt, "itb", instance_key, seed->key_lines, seed->user_data, seed->user_data_len);
    return stmt_run(stmt, err);
}

static int drop_seed(struct db *db, int64_t instance_key, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, "DELETE FROM instance_seed WHERE instance_key = ?");
    stmt_bind(stmt, "i", instance_key);
    return stmt_run(stmt, err);
}

int store_interface_insert(struct db *db, int64_t instance_key, int64_t network_key, int64_t number,
                           const struct instance_address *address, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "INSERT INTO interface (instance_key, network_key, position, address, address_number,"
            " mac) VALUES (?, ?, 0, ?, ?, ?)");
    stmt_bind(stmt, "iitit", instance_key, network_key, address->address, number, address->mac);
    return stmt_run(stmt, err);
}

int store_instance_set_desired(struct db *db, const struct instance *instance, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "UPDATE instance SET name = ?, hostname = ?, labels = ?, flavor_key = ?,"
            " image_key = ?, vcpus = ?, memory_mib = ?, disk_gib = ?, disk_number = ?, adopt = ?,"
            " power = ?, run = ?, generation = ?, stop_force = ?, stop_timeout_ms = ?,"
            " desired_revision = ?, revision = ?, deleted_ms = ?, observed_state = ?,"
            " observed_reason = ? WHERE key = ?");
    stmt_bind(stmt, "tttziiiiiiiiiiiiiziti", instance->name, instance->hostname, instance->labels,
              instance->flavor_key, instance->image_key, instance->sizes.vcpus,
              instance->sizes.memory_mib, instance->sizes.disk_gib, instance->disk_number,
              (int64_t)instance->adopt, (int64_t)instance->power, instance->run,
              instance->generation, (int64_t)instance->stop_force, instance->stop_timeout_ms,
              instance->desired_revision, instance->revision, instance->deleted_ms,
              (int64_t)instance->observed_state, instance->observed_reason, instance->key);
    return stmt_run(stmt, err) == 0 ? 0 : name_taken(err, instance);
}

int store_instance_set_power(struct db *db, const struct instance *instance, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "UPDATE instance SET power = ?, run = ?, generation = ?, stop_force = ?,"
                    " stop_timeout_ms = ?, desired_revision = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "iiiiiiii", (int64_t)instance->power, instance->run, instance->generation,
              (int64_t)instance->stop_force, instance->stop_timeout_ms, instance->desired_revision,
              instance->revision, instance->key);
    return stmt_run(stmt, err);
}

int store_instance_set_observed(struct db *db, const struct instance *instance, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "UPDATE instance SET observed_state = ?, observed_reason = ?, observed_generation = ?,"
            " observed_run = ?, observed_cause = ?, started_ms = ?, revision = ? WHERE key = ?");
    stmt_bind(stmt, "itiiizii", (int64_t)instance->observed_state, instance->observed_reason,
              instance->observed_generation, instance->observed_run,
              (int64_t)instance->observed_cause, instance->started_ms, instance->revision,
              instance->key);
    return stmt_run(stmt, err);
}

static int release_interfaces(struct db *db, const struct instance *instance, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "UPDATE interface SET released_ms = ? WHERE instance_key = ? AND released_ms IS NULL");
    stmt_bind(stmt, "ii", instance->gone_ms, instance->key);
    return stmt_run(stmt, err);
}

int store_instance_set_gone(struct db *db, const struct instance *instance,
                            interface_released *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *held =
        db_stmt(db, "SELECT network_key, address_number FROM interface WHERE instance_key = ?"
                    " AND released_ms IS NULL");
    stmt_bind(held, "i", instance->key);
    int rc;
    while ((rc = stmt_step(held, err)) == 1)
        each(ctx, stmt_i64(held, 0), stmt_i64(held, 1));
    struct stmt auto_stmt *stmt = db_stmt(
        db, "UPDATE instance SET deleted_ms = ?, gone_ms = ?, revision = ?, desired_revision = ?"
            " WHERE key = ?");
    stmt_bind(stmt, "iiiii", instance->deleted_ms, instance->gone_ms, instance->revision,
              instance->desired_revision, instance->key);
    if (rc < 0 || stmt_run(stmt, err) != 0 || drop_seed(db, instance->key, err) != 0)
        return -1;
    return release_interfaces(db, instance, err);
}

int store_instance_flavor_past(struct db *db, const struct instance *instance, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "INSERT INTO instance_flavor_past (instance_key, vcpus, memory_mib, flavor_key)"
                    " VALUES (?, ?, ?, ?)");
    stmt_bind(stmt, "iiiz", instance->key, instance->sizes.vcpus, instance->sizes.memory_mib,
              instance->flavor_key);
    return stmt_run(stmt, err);
}

int store_instance_node(struct db *db, const char *id, int64_t *ret_node_key, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, "SELECT node_key FROM instance_ever WHERE id = ?");
    stmt_bind(stmt, "t", id);
    int rc = stmt_step(stmt, err);
    *ret_node_key = rc == 1 ? stmt_i64(stmt, 0) : 0;
    return rc;
}

int store_instance_flavor_of(struct db *db, const struct observation *observation,
                             int64_t *ret_flavor_key, struct err *err)
{
    *ret_flavor_key = 0;
    if (observation->kind != OBS_STARTED && observation->kind != OBS_ALLOCATED)
        return 0;
    struct stmt auto_stmt *stmt = db_stmt(
        db, "SELECT flavor_key, 0 FROM instance_ever WHERE id = ?1 AND vcpus = ?2"
            " AND memory_mib = ?3 UNION ALL SELECT p.flavor_key, p.key FROM instance_flavor_past p"
            " JOIN instance i ON i.key = p.instance_key"
            " WHERE i.id = ?1 AND p.vcpus = ?2 AND p.memory_mib = ?3 ORDER BY 2 DESC");
    stmt_bind(stmt, "tii", observation->instance, observation->vcpus, observation->memory_mib);
    int rc;
    /* The present one comes last, and counts. */
    while ((rc = stmt_step(stmt, err)) == 1)
        *ret_flavor_key = stmt_i64(stmt, 0);
    return rc;
}

int store_instance_adopt_all(struct db *db, int64_t node_key, int64_t revision, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, node_key ? "UPDATE instance SET adopt = 1, desired_revision = ?1"
                               " WHERE gone_ms IS NULL AND deleted_ms IS NULL AND node_key = ?2"
                             : "UPDATE instance SET adopt = 1, desired_revision = ?1"
                               " WHERE gone_ms IS NULL AND deleted_ms IS NULL AND ?2 = 0");
    stmt_bind(stmt, "ii", revision, node_key);
    return stmt_run(stmt, err);
}
