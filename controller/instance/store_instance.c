/* Reading instances. */
#include "controller/instance/store_instance.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/db/db.h"

/* clang-format off */
#define INSTANCE_SELECT_BY(index)                                                                  \
    "SELECT i.key, i.id, i.project_key, p.name, i.name, i.hostname, i.labels, i.node_key, n.name," \
    " n.silent, i.flavor_key, f.name, i.image_key, m.name, m.id, i.vcpus, i.memory_mib,"           \
    " i.disk_gib, i.uid, i.key_names, i.power, i.generation, i.run, i.disk_number, i.stop_force,"  \
    " i.stop_timeout_ms, i.adopt, i.desired_revision, i.observed_state, i.observed_reason,"        \
    " i.observed_generation, i.observed_run, i.observed_cause, i.started_ms, i.revision,"          \
    " i.created_ms, i.deleted_ms, i.gone_ms"                                                       \
    " FROM instance i " index " CROSS JOIN project p ON p.key = i.project_key"                     \
    " CROSS JOIN node n ON n.key = i.node_key CROSS JOIN image m ON m.key = i.image_key"           \
    " LEFT JOIN flavor f ON f.key = i.flavor_key "
#define INSTANCE_SELECT INSTANCE_SELECT_BY("")
/* The same rule as instance_shown_state(). */
#define INSTANCE_STATE                                                                             \
    "CASE WHEN i.gone_ms IS NOT NULL THEN 7 WHEN i.deleted_ms IS NOT NULL THEN 6"                  \
    " WHEN n.silent THEN 8 WHEN i.observed_state = 5 THEN 0 ELSE i.observed_state END"
#define INSTANCE_FILTER                                                                            \
    " AND (?4 IS NULL OR i.node_key = ?4) AND (?5 IS NULL OR i.image_key = ?5)"                    \
    " AND (?6 IS NULL OR i.name = ?6) AND (?7 IS NULL OR " INSTANCE_STATE " = ?7 - 1)"             \
    " AND (?8 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?8) s WHERE"                          \
    "      ifnull(json_extract(i.labels, '$.\"' || s.key || '\"') <> s.value,"                       \
    "             json_extract(i.labels, '$.\"' || s.key || '\"') IS NULL)))"
/* clang-format on */

static void read_desired(struct stmt *stmt, struct instance *row)
{
    *row = (struct instance){
        .key = stmt_i64(stmt, 0),
        .id = stmt_text(stmt, 1),
        .project_key = stmt_i64(stmt, 2),
        .project = stmt_text(stmt, 3),
        .name = stmt_text(stmt, 4),
        .hostname = stmt_text(stmt, 5),
        .labels = stmt_text(stmt, 6),
        .node_key = stmt_i64(stmt, 7),
        .node = stmt_text(stmt, 8),
        .node_silent = stmt_i64(stmt, 9) != 0,
        .flavor_key = stmt_i64(stmt, 10),
        .flavor = stmt_text(stmt, 11),
        .image_key = stmt_i64(stmt, 12),
        .image = stmt_text(stmt, 13),
        .image_id = stmt_text(stmt, 14),
        .sizes = {stmt_i64(stmt, 15), stmt_i64(stmt, 16), stmt_i64(stmt, 17)},
        .uid = stmt_i64(stmt, 18),
        .key_names = stmt_text(stmt, 19),
        .power = (int)stmt_i64(stmt, 20),
        .generation = stmt_i64(stmt, 21),
        .run = stmt_i64(stmt, 22),
        .disk_number = stmt_i64(stmt, 23),
        .stop_force = stmt_i64(stmt, 24) != 0,
        .stop_timeout_ms = stmt_i64(stmt, 25),
        .adopt = stmt_i64(stmt, 26) != 0,
        .desired_revision = stmt_i64(stmt, 27),
    };
}

static void read_row(struct stmt *stmt, struct instance *row)
{
    read_desired(stmt, row);
    row->observed_state = (int)stmt_i64(stmt, 28);
    row->observed_reason = stmt_text(stmt, 29);
    row->observed_generation = stmt_i64(stmt, 30);
    row->observed_run = stmt_i64(stmt, 31);
    row->observed_cause = (int)stmt_i64(stmt, 32);
    row->started_ms = stmt_i64(stmt, 33);
    row->revision = stmt_i64(stmt, 34);
    row->created_ms = stmt_i64(stmt, 35);
    row->deleted_ms = stmt_i64(stmt, 36);
    row->gone_ms = stmt_i64(stmt, 37);
}

void instance_keep(struct instance *row)
{
    const char **const fields[] = {
        &row->id,        &row->project,         &row->name,
        &row->hostname,  &row->labels,          &row->node,
        &row->flavor,    &row->image,           &row->image_id,
        &row->key_names, &row->observed_reason,
    };
    row->owned = texts_keep(fields, ARRAY_SIZE(fields));
}

void instance_release(struct instance *instance)
{
    free(instance->owned);
    instance->owned = NULL;
}

static int read_one(struct stmt *stmt, struct instance *ret_instance, struct err *err)
{
    int rc = stmt_step(stmt, err);
    if (rc != 1)
        return rc;
    read_row(stmt, ret_instance);
    instance_keep(ret_instance);
    return 1;
}

int store_instance_get(struct db *db, int64_t key, struct instance *ret_instance, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, INSTANCE_SELECT "WHERE i.key = ?");
    stmt_bind(stmt, "i", key);
    int rc = read_one(stmt, ret_instance, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND,
                       "the instance was deleted so long ago that only its usage is kept");
    return rc < 0 ? -1 : 0;
}

int store_instance_find(struct db *db, const char *id, struct instance *ret_instance,
                        struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, INSTANCE_SELECT "WHERE i.id = ?");
    stmt_bind(stmt, "t", id);
    return read_one(stmt, ret_instance, err);
}

int store_instance_generation(struct db *db, const char *id, int64_t *ret_generation,
                              struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, "SELECT generation FROM instance_ever WHERE id = ?");
    stmt_bind(stmt, "t", id);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        *ret_generation = stmt_i64(stmt, 0);
    return rc;
}

static int read_window(struct stmt *stmt, struct window *window, instance_each *each, void *ctx,
                       struct err *err)
{
    int64_t count = 0;
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        if (count++ == window->limit) {
            window->more = true;
            return 0;
        }
        struct instance row;
        read_row(stmt, &row);
        window->last_key = row.key;
        each(ctx, &row);
    }
    return rc;
}

/* clang-format off */
#define LISTED "i.deleted_ms IS NULL AND i.key > ?2" INSTANCE_FILTER " ORDER BY i.key LIMIT ?3"
/* clang-format on */

/* A text for each way to the rows; each has an index that leaves out what was deleted, which is
 * most of the table after a while. */
static const char *list_sql(const struct instance_filter *filter)
{
    if (filter->project_key && filter->name)
        return INSTANCE_SELECT_BY("INDEXED BY instance_name") "WHERE i.project_key = ?1 AND"
                                                              " i.name = ?6 AND " LISTED;
    if (filter->project_key)
        return INSTANCE_SELECT_BY(
            "INDEXED BY instance_list") "WHERE i.project_key = ?1 AND " LISTED;
    if (filter->node_key)
        return INSTANCE_SELECT_BY("INDEXED BY instance_live") "WHERE ?1 = 0 AND i.node_key = ?4 AND"
                                                              " i.gone_ms IS NULL AND " LISTED;
    return INSTANCE_SELECT_BY("INDEXED BY instance_all") "WHERE ?1 = 0 AND " LISTED;
}

int store_instance_list(struct db *db, const struct instance_filter *filter, struct window *window,
                        instance_each *each, void *ctx, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(db, list_sql(filter));
    stmt_bind(stmt, "iiizztzt", filter->project_key, window->after_key, window->limit + 1,
              filter->node_key, filter->image_key, filter->name, (int64_t)filter->state,
              filter->labels);
    return read_window(stmt, window, each, ctx, err);
}

int store_instance_of_node(struct db *db, int64_t node_key, instance_each *each, void *ctx,
                           struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, INSTANCE_SELECT "WHERE i.node_key = ? AND i.gone_ms IS NULL ORDER BY i.key");
    stmt_bind(stmt, "i", node_key);
    struct window all = {.limit = INT64_MAX};
    return read_window(stmt, &all, each, ctx, err);
}

int store_interfaces(struct db *db, int64_t instance_key, struct interfaces *ret_interfaces,
                     struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT n.name, f.address, f.mac FROM interface f CROSS JOIN network n"
                    " ON n.key = f.network_key WHERE f.instance_key = ? ORDER BY f.position");
    stmt_bind(stmt, "i", instance_key);
    ret_interfaces->count = 0;
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1 && ret_interfaces->count < INSTANCE_INTERFACES_MAX) {
        struct instance_address *item = &ret_interfaces->items[ret_interfaces->count];
        *item = (struct instance_address){.network = stmt_text(stmt, 0),
                                          .address = stmt_text(stmt, 1),
                                          .mac = stmt_text(stmt, 2)};
        const char **const fields[] = {&item->network, &item->address, &item->mac};
        ret_interfaces->owned[ret_interfaces->count++] = texts_keep(fields, ARRAY_SIZE(fields));
    }
    return rc < 0 ? -1 : 0;
}

void interfaces_release(struct interfaces *interfaces)
{
    for (size_t i = 0; i < interfaces->count; i++)
        free(interfaces->owned[i]);
    interfaces->count = 0;
}
