/* The route table: which paths there are, what each is called, and who may. The order
 * within one path does not matter; api/openapi.yaml says the same to clients, and a test
 * holds the two together. */
#include <string.h>

#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/request/handlers.h"

/* clang-format off */
#define READ(path, action, ...)   {"GET", path, action, .min_role = ROLE_READER, __VA_ARGS__}
#define CREATE(path, action, ...) {"POST", path, action, .min_role = ROLE_MEMBER, __VA_ARGS__}
#define CHANGE(path, action, ...) {"PATCH", path, action, .min_role = ROLE_MEMBER, __VA_ARGS__}
#define REMOVE(path, action, ...) {"DELETE", path, action, .min_role = ROLE_MEMBER, __VA_ARGS__}
#define OPERATOR .min_role = ROLE_ADMIN, .flags = ROUTE_OPERATOR
#define OPERATOR_SEES .flags = ROUTE_OPERATOR

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
const struct route routes[] = {
    READ("/v1/healthz", "system.healthz", .flags = ROUTE_OPEN, .handle = handle_system_healthz),
    READ("/v1/openapi.yaml", "system.openapi", .flags = ROUTE_OPEN, .handle = handle_system_openapi),
    READ("/metrics", "system.metrics", OPERATOR_SEES, .handle = handle_metrics_show),

    CREATE("/v1/system/restored", "system.restored", OPERATOR, .handle = handle_system_restored),

    READ("/v1/instances", "instance.list", .handle = handle_instance_list),
    CREATE("/v1/instances", "instance.create", .handle = handle_instance_create),
    READ("/v1/instances/{instance}", "instance.show", .handle = handle_instance_show),
    CHANGE("/v1/instances/{instance}", "instance.update", .handle = handle_instance_update),
    REMOVE("/v1/instances/{instance}", "instance.delete", .handle = handle_instance_delete),
    CREATE("/v1/instances/{instance}/start", "instance.start", .handle = handle_instance_start),
    CREATE("/v1/instances/{instance}/stop", "instance.stop", .handle = handle_instance_stop),
    CREATE("/v1/instances/{instance}/reboot", "instance.reboot", .handle = handle_instance_reboot),
    CREATE("/v1/instances/{instance}/resize", "instance.resize", .handle = handle_instance_resize),
    CREATE("/v1/instances/{instance}/rebuild", "instance.rebuild", .handle = handle_instance_rebuild),
    READ("/v1/instances/{instance}/usage", "instance.usage", .handle = handle_instance_usage),
    READ("/v1/instances/{instance}/console", "instance.console", .handle = handle_instance_console),

    READ("/v1/images", "image.list", .handle = handle_image_list),
    CREATE("/v1/images", "image.create", .handle = handle_image_create),
    READ("/v1/images/{image}", "image.show", .handle = handle_image_show),
    CHANGE("/v1/images/{image}", "image.update", .handle = handle_image_update),
    REMOVE("/v1/images/{image}", "image.delete", .handle = handle_image_delete),
    {"PUT", "/v1/images/{image}/content", "image.upload", .min_role = ROLE_MEMBER,
     .flags = ROUTE_UPLOAD, .handle = handle_image_upload, .begin = handle_image_upload_begin},
    READ("/v1/images/{image}/content", "image.download", .flags = ROUTE_NODE_TOO,
         .handle = handle_image_download),

    READ("/v1/orphans", "orphan.list", OPERATOR_SEES, .handle = handle_orphan_list),
    REMOVE("/v1/orphans/{file}", "orphan.delete", OPERATOR, .handle = handle_orphan_delete),
    CREATE("/v1/orphans/{file}/import", "orphan.import", OPERATOR, .handle = handle_orphan_import),

    READ("/v1/flavors", "flavor.list", .handle = handle_flavor_list),
    CREATE("/v1/flavors", "flavor.create", OPERATOR, .handle = handle_flavor_create),
    READ("/v1/flavors/{flavor}", "flavor.show", .handle = handle_flavor_show),
    REMOVE("/v1/flavors/{flavor}", "flavor.delete", OPERATOR, .handle = handle_flavor_delete),

    CREATE("/v1/usage/verify", "usage.verify", OPERATOR, .handle = handle_usage_verify),
    CREATE("/v1/usage/confirm", "usage.confirm", OPERATOR, .handle = handle_usage_confirm),
    READ("/v1/prices", "price.list", .handle = handle_price_list),
    CREATE("/v1/prices", "price.create", OPERATOR, .handle = handle_price_create),
    READ("/v1/prices/{price}", "price.show", .handle = handle_price_show),
    REMOVE("/v1/prices/{price}", "price.delete", OPERATOR, .handle = handle_price_delete),

    READ("/v1/usage", "usage.list", .handle = handle_usage_list),
    READ("/v1/usage/now", "usage.now", .handle = handle_usage_now),
    READ("/v1/usage/export", "usage.export", .handle = handle_usage_export),
    READ("/v1/usage/seals", "usage.seals", OPERATOR_SEES, .handle = handle_usage_seals),

    READ("/v1/keys", "key.list", .handle = handle_key_list),
    CREATE("/v1/keys", "key.create", .handle = handle_key_create),
    READ("/v1/keys/{key}", "key.show", .handle = handle_key_show),
    CHANGE("/v1/keys/{key}", "key.update", .handle = handle_key_update),
    REMOVE("/v1/keys/{key}", "key.delete", .handle = handle_key_delete),

    READ("/v1/networks", "network.list", .handle = handle_network_list),
    READ("/v1/networks/{network}", "network.show", .handle = handle_network_show),

    READ("/v1/operations", "operation.list", .handle = handle_operation_list),
    READ("/v1/operations/{operation}", "operation.show", .handle = handle_operation_show),
    READ("/v1/events", "event.list", .handle = handle_event_list),

    READ("/v1/projects", "project.list", .handle = handle_project_list),
    CREATE("/v1/projects", "project.create", OPERATOR, .handle = handle_project_create),
    READ("/v1/projects/{project}", "project.show", .handle = handle_project_show),
    CHANGE("/v1/projects/{project}", "project.update", OPERATOR, .handle = handle_project_update),
    REMOVE("/v1/projects/{project}", "project.delete", OPERATOR, .handle = handle_project_delete),

    READ("/v1/tokens", "token.list", .min_role = ROLE_ADMIN, .handle = handle_token_list),
    CREATE("/v1/tokens", "token.create", .min_role = ROLE_ADMIN, .handle = handle_token_create),
    READ("/v1/tokens/{token}", "token.show", .min_role = ROLE_ADMIN, .handle = handle_token_show),
    REMOVE("/v1/tokens/{token}", "token.delete", .min_role = ROLE_ADMIN, .handle = handle_token_delete),

    READ("/v1/nodes", "node.list", OPERATOR_SEES, .handle = handle_node_list),
    CREATE("/v1/nodes", "node.join", .flags = ROUTE_JOIN, .handle = handle_node_join),
    READ("/v1/nodes/{node}", "node.show", OPERATOR_SEES, .handle = handle_node_show),
    CHANGE("/v1/nodes/{node}", "node.update", OPERATOR, .handle = handle_node_update),
    REMOVE("/v1/nodes/{node}", "node.delete", OPERATOR, .handle = handle_node_delete),

    READ("/v1/node/desired", "node.desired", .flags = ROUTE_NODE, .handle = handle_node_desired),
    CREATE("/v1/node/observed", "node.observed", .flags = ROUTE_NODE, .handle = handle_node_observed,
           .body_limit = LIMIT_AGENT_BODY_BYTES),
    CREATE("/v1/node/console/{request}", "node.console", .flags = ROUTE_NODE | ROUTE_TEXT,
           .handle = handle_node_console, .body_limit = LIMIT_CONSOLE_BYTES),
    {0},
};
#pragma GCC diagnostic pop
/* clang-format on */

/* Whether `path` has the shape of `pattern`; takes the placeholders' texts. */
static bool matches(const char *pattern, const char *path, const char *starts[2], size_t lens[2])
{
    size_t arg = 0;
    starts[0] = starts[1] = NULL;
    while (*pattern && *path) {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");
            if (arg == 2 || len == 0)
                return false;
            starts[arg] = path;
            lens[arg++] = len;
            path += len;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return !*pattern && !*path;
}

static void add_allow(char allow[ROUTE_ALLOW_MAX], const char *method)
{
    size_t len = strlen(allow);
    snprintf(allow + len, ROUTE_ALLOW_MAX - len, "%s%s", len ? ", " : "", method);
}

const struct route *route_find(const char *method, const char *path, char *args[2],
                               char allow[ROUTE_ALLOW_MAX], struct err *err)
{
    const char *starts[2];
    size_t lens[2] = {0};
    allow[0] = '\0';
    for (const struct route *route = routes; route->method; route++) {
        if (!matches(route->path, path, starts, lens))
            continue;
        if (strcmp(route->method, method) != 0) {
            add_allow(allow, route->method);
            continue;
        }
        for (int i = 0; i < 2; i++)
            args[i] = starts[i] ? xstrndup(starts[i], lens[i]) : NULL;
        return route;
    }
    if (allow[0])
        err_set(err, ERR_METHOD, "%s is not for %s; it takes %s", method, path, allow);
    else
        err_set(err, ERR_NO_ROUTE, "there is no path %s; GET /v1/openapi.yaml lists all", path);
    return NULL;
}

/* A token of a machine is good for that machine's routes only, and a person's for none of
 * them. */
static int machine_allows(const struct route *route, const struct caller *who, struct err *err)
{
    if (who->role == ROLE_NODE && !(route->flags & (ROUTE_NODE | ROUTE_NODE_TOO)))
        return err_set(err, ERR_FORBIDDEN, "%s is not for a node's token", route->action);
    if (who->role == ROLE_JOIN && !(route->flags & ROUTE_JOIN))
        return err_set(err, ERR_FORBIDDEN, "a join token is good for joining only");
    return 0;
}

int route_allows(const struct route *route, const struct caller *who, struct err *err)
{
    if (route->flags & ROUTE_OPEN)
        return 0;
    if (who->role > ROLE_ADMIN)
        return machine_allows(route, who, err);
    if (route->flags & ROUTE_NODE)
        return err_set(err, ERR_FORBIDDEN, "%s needs a node's token", route->action);
    if (route->flags & ROUTE_JOIN)
        return err_set(err, ERR_FORBIDDEN, "%s needs a join token", route->action);
    if (route->flags & ROUTE_OPERATOR && !caller_is_operator(who))
        return err_set(err, ERR_FORBIDDEN, "%s needs an operator's token", route->action);
    if (who->role < route->min_role)
        return err_set(err, ERR_FORBIDDEN, "%s needs the role %s; this token has %s", route->action,
                       role_names[route->min_role], role_names[who->role]);
    return 0;
}
