/* /v1/keys: SSH public keys. */
#include "api/base/limits.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/request/handle_noun.h"
#include "controller/request/handlers.h"
#include "controller/tx/writer.h"

struct key_create {
    char *name;
    char *public_key;
};

#define STRUCT key_create
static const struct wire_field key_create_fields[] = {
    W_STR_REQ(name, LIMIT_NAME, .check = validate_name),
    W_STR_REQ(public_key, LIMIT_PUBLIC_KEY, .check = validate_public_key)};
static const struct wire_struct key_create_wire = WIRE_STRUCT(key_create);
#undef STRUCT

struct key_update {
    char *name;
};

#define STRUCT key_update
static const struct wire_field key_update_fields[] = {
    W_STR_REQ(name, LIMIT_NAME, .check = validate_name)};
static const struct wire_struct key_update_wire = WIRE_STRUCT(key_update);
#undef STRUCT

static const char *const list_params[] = {"limit", "cursor", "name", "project", NULL};
static const char *const project_param[] = {"project", NULL};

void handle_key_list(struct request *r)
{
    auto_err struct err err = {0};
    struct noun_filter filter = {0};
    if (request_only(r, list_params, &err) == 0)
        noun_list(r, "keys", &filter, key_list_rows);
    else
        request_fail(r, &err);
}

void handle_key_show(struct request *r)
{
    noun_show(r, ACCESS_KEY, key_show_row);
}

static int create(struct tx *tx, struct request *r, struct err *err)
{
    const struct key_create *in = r->input;
    int64_t project_key, key;
    struct noun_row row;
    if (request_only(r, project_param, err) != 0 ||
        request_project(r, tx->db, &project_key, err) != 0 ||
        key_insert(tx, project_key, in->name, in->public_key, &key, err) != 0 ||
        noun_row(tx->db, ACCESS_KEY, key, &row, err) != 0)
        return -1;
    r->location = noun_location("keys", row.id);
    return noun_answer(tx, r, 201, key, key_show_row, err);
}

void handle_key_create(struct request *r)
{
    if (request_decode(r, &key_create_wire) == 0)
        request_write(r, create);
}

static int update(struct tx *tx, struct request *r, struct err *err)
{
    const struct key_update *in = r->input;
    int64_t key;
    if (noun_target(tx, r, ACCESS_KEY, &key, err) != 0 || key_rename(tx, key, in->name, err) != 0)
        return -1;
    return noun_answer(tx, r, 200, key, key_show_row, err);
}

void handle_key_update(struct request *r)
{
    if (request_decode(r, &key_update_wire) == 0)
        request_write(r, update);
}

static int remove_key(struct tx *tx, struct request *r, struct err *err)
{
    return noun_delete(tx, r, ACCESS_KEY, key_remove, err);
}

void handle_key_delete(struct request *r)
{
    request_write(r, remove_key);
}
