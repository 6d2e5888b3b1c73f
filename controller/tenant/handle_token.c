/* /v1/tokens: an admin manages those of the own project, an operator all. The secret is in
 * the answer that made it, and nowhere else. */
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/access/tokens.h"
#include "controller/request/handle_noun.h"
#include "controller/request/handlers.h"
#include "controller/tx/writer.h"

struct token_create {
    char *name;
    int role;
};

#define STRUCT token_create
static const struct wire_field token_create_fields[] = {
    W_STR_REQ(name, LIMIT_NAME, .check = validate_name),
    W_ENUM(role, role_names, .flags = WIRE_REQUIRED)};
static const struct wire_struct token_create_wire = WIRE_STRUCT(token_create);
#undef STRUCT

static const char *const list_params[] = {"limit", "cursor", "name", "role", "project", NULL};
static const char *const project_param[] = {"project", NULL};

static int list_filter(struct request *r, struct noun_filter *filter, struct err *err)
{
    const char *role = http_query(r->http, "role");
    if (request_only(r, list_params, err) != 0)
        return -1;
    filter->role = role ? name_index(role_names, role) : -1;
    if (role && filter->role < 0)
        return err_field(err, "role", "role must be admin, member, reader, node or join");
    return 0;
}

void handle_token_list(struct request *r)
{
    auto_err struct err err = {0};
    struct noun_filter filter = {0};
    if (list_filter(r, &filter, &err) == 0)
        noun_list(r, "tokens", &filter, token_list_rows);
    else
        request_fail(r, &err);
}

static int show_row(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                    struct err *err)
{
    return token_show_row(db, key, NULL, w, ret_revision, err);
}

void handle_token_show(struct request *r)
{
    noun_show(r, ACCESS_TOKEN, show_row);
}

/* Which project the new token is for: an operator's own kind (admin, join) has none unless
 * the request names one. */
static int choose_project(struct tx *tx, struct request *r, enum role role, int64_t *ret_key,
                          struct err *err)
{
    bool named = http_query(r->http, "project");
    if (role == ROLE_NODE)
        return err_field(err, "/role", "a node gets its token by joining");
    if (role == ROLE_JOIN && (!caller_is_operator(&r->caller) || named))
        return err_set(err, ERR_FORBIDDEN, "a join token is an operator's and has no project");
    *ret_key = 0;
    if (caller_is_operator(&r->caller) && !named && (role == ROLE_ADMIN || role == ROLE_JOIN))
        return 0;
    return request_project(r, tx->db, ret_key, err);
}

static int create(struct tx *tx, struct request *r, struct err *err)
{
    const struct token_create *in = r->input;
    struct token_new new = {.name = in->name, .role = (enum role)in->role};
    struct token_made made;
    int64_t revision;
    if (request_only(r, project_param, err) != 0 ||
        choose_project(tx, r, new.role, &new.project_key, err) != 0)
        return -1;
    if (token_mint(tx, &new, &made, err) != 0)
        return noun_taken(err, ACCESS_TOKEN, in->name);
    struct json_writer w = request_json(r, 201);
    if (token_show_row(tx->db, made.key, made.secret, &w, &revision, err) != 0)
        return -1;
    r->secret = true;
    r->etag = etag_of(revision);
    r->location = noun_location("tokens", made.id);
    return 0;
}

void handle_token_create(struct request *r)
{
    if (request_decode(r, &token_create_wire) == 0)
        request_write(r, create);
}

static int remove_token(struct tx *tx, struct request *r, struct err *err)
{
    return noun_delete(tx, r, ACCESS_TOKEN, token_revoke, err);
}

void handle_token_delete(struct request *r)
{
    request_write(r, remove_token);
}
