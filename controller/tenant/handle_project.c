/* /v1/projects: operators make them; a token of a project sees its own. */
#include "api/base/limits.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/request/handle_noun.h"
#include "controller/request/handlers.h"
#include "controller/tx/writer.h"

struct project_name {
    char *name;
};

#define STRUCT project_name
static const struct wire_field project_name_fields[] = {
    W_STR_REQ(name, LIMIT_NAME, .check = validate_name)};
static const struct wire_struct project_name_wire = WIRE_STRUCT(project_name);
#undef STRUCT

static const char *const list_params[] = {"limit", "cursor", "name", NULL};
static const char *const no_params[] = {NULL};

void handle_project_list(struct request *r)
{
    auto_err struct err err = {0};
    struct noun_filter filter = {0};
    if (request_only(r, list_params, &err) == 0)
        noun_list(r, "projects", &filter, project_list_rows);
    else
        request_fail(r, &err);
}

void handle_project_show(struct request *r)
{
    noun_show(r, ACCESS_PROJECT, project_show_row);
}

static int create(struct tx *tx, struct request *r, struct err *err)
{
    const struct project_name *in = r->input;
    int64_t key;
    struct noun_row row;
    if (request_only(r, no_params, err) != 0 || project_insert(tx, in->name, &key, err) != 0 ||
        noun_row(tx->db, ACCESS_PROJECT, key, &row, err) != 0)
        return -1;
    r->location = noun_location("projects", row.id);
    return noun_answer(tx, r, 201, key, project_show_row, err);
}

void handle_project_create(struct request *r)
{
    if (request_decode(r, &project_name_wire) == 0)
        request_write(r, create);
}

/* Operators' requests that name no project mean the one called "default": it stays. */
static int check_not_default(struct tx *tx, int64_t key, struct err *err)
{
    struct noun_row row;
    if (noun_row(tx->db, ACCESS_PROJECT, key, &row, err) != 0)
        return -1;
    if (strcmp(row.name, "default") != 0)
        return 0;
    return err_set(err, ERR_CONFLICT, "the project \"default\" can be neither renamed nor deleted");
}

static int update(struct tx *tx, struct request *r, struct err *err)
{
    const struct project_name *in = r->input;
    int64_t key;
    if (noun_target(tx, r, ACCESS_PROJECT, &key, err) != 0 ||
        check_not_default(tx, key, err) != 0 || project_rename(tx, key, in->name, err) != 0)
        return -1;
    return noun_answer(tx, r, 200, key, project_show_row, err);
}

void handle_project_update(struct request *r)
{
    if (request_decode(r, &project_name_wire) == 0)
        request_write(r, update);
}

static int remove_row(struct tx *tx, int64_t key, struct err *err)
{
    return check_not_default(tx, key, err) == 0 ? project_remove(tx, key, err) : -1;
}

static int remove_project(struct tx *tx, struct request *r, struct err *err)
{
    return noun_delete(tx, r, ACCESS_PROJECT, remove_row, err);
}

void handle_project_delete(struct request *r)
{
    request_write(r, remove_project);
}
