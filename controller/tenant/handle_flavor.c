/* /v1/flavors: sizes with a name. Operators make them, everybody sees them. */
#include "api/base/limits.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/request/handle_noun.h"
#include "controller/request/handlers.h"
#include "controller/tx/writer.h"

struct flavor_create {
    char *name;
    int64_t vcpus, memory_mib, disk_gib;
};

#define STRUCT flavor_create
static const struct wire_field flavor_create_fields[] = {
    W_STR_REQ(name, LIMIT_NAME, .check = validate_name),
    W_I64(vcpus, .min = 1, .max = LIMIT_VCPUS, .flags = WIRE_REQUIRED),
    W_I64(memory_mib, .min = LIMIT_MEMORY_MIB_MIN, .max = LIMIT_MEMORY_MIB, .flags = WIRE_REQUIRED),
    W_I64(disk_gib, .min = 1, .max = LIMIT_DISK_GIB, .flags = WIRE_REQUIRED)};
static const struct wire_struct flavor_create_wire = WIRE_STRUCT(flavor_create);
#undef STRUCT

static const char *const list_params[] = {"limit", "cursor", "name", NULL};
static const char *const no_params[] = {NULL};

void handle_flavor_list(struct request *r)
{
    auto_err struct err err = {0};
    struct noun_filter filter = {0};
    if (request_only(r, list_params, &err) == 0)
        noun_list(r, "flavors", &filter, flavor_list_rows);
    else
        request_fail(r, &err);
}

void handle_flavor_show(struct request *r)
{
    noun_show(r, ACCESS_FLAVOR, flavor_show_row);
}

static int create(struct tx *tx, struct request *r, struct err *err)
{
    const struct flavor_create *in = r->input;
    struct flavor flavor = {
        .vcpus = in->vcpus, .memory_mib = in->memory_mib, .disk_gib = in->disk_gib};
    int64_t project_key, key;
    struct noun_row row;
    snprintf(flavor.name, sizeof(flavor.name), "%s", in->name);
    if (request_only(r, no_params, err) != 0 ||
        request_project(r, tx->db, &project_key, err) != 0 ||
        flavor_insert(tx, project_key, &flavor, &key, err) != 0 ||
        noun_row(tx->db, ACCESS_FLAVOR, key, &row, err) != 0)
        return -1;
    r->location = noun_location("flavors", row.id);
    return noun_answer(tx, r, 201, key, flavor_show_row, err);
}

void handle_flavor_create(struct request *r)
{
    if (request_decode(r, &flavor_create_wire) == 0)
        request_write(r, create);
}

static int remove_flavor(struct tx *tx, struct request *r, struct err *err)
{
    return noun_delete(tx, r, ACCESS_FLAVOR, flavor_remove, err);
}

void handle_flavor_delete(struct request *r)
{
    request_write(r, remove_flavor);
}
