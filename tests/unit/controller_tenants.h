/* Two projects and their tokens, for tests of who may what. */
#ifndef MINICLOUD_TESTS_CONTROLLER_TENANTS_H
#define MINICLOUD_TESTS_CONTROLLER_TENANTS_H

#include "tests/unit/controller_world.h"

#define ED25519_LINE \
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKOpZ2zp2g7a8Hh4NcTRDzo6Z0Yb2o0y8d7K0q5q1mGz"

/* A new token's secret, owned by the caller. `project` NULL: an operator's or a join token. */
static __attribute__((unused)) char *tenant_token(struct world *world, const char *project,
                                                  const char *name, const char *role)
{
    autofree char *path =
        project ? xasprintf("/v1/tokens?project=%s", project) : xstrdup("/v1/tokens");
    struct answer auto_answer_json answer =
        world_call(world, 201, "POST", path, "{\"name\":\"%s\",\"role\":\"%s\"}", name, role);
    return xstrdup(answer_str(&answer, "secret"));
}

static __attribute__((unused)) void tenant_project(struct world *world, const char *name)
{
    world_did(world, 201, "POST", "/v1/projects", "{\"name\":\"%s\"}", name);
}

/* As somebody; `token` "" sends none. */
static __attribute__((unused)) struct answer tenant_call(struct world *world, const char *token,
                                                         const char *method, const char *path,
                                                         const char *body)
{
    return cloud_call_as(&world->cloud, token, NULL, method, path, body);
}

static __attribute__((unused)) int tenant_status(struct world *world, const char *token,
                                                 const char *method, const char *path,
                                                 const char *body)
{
    struct answer auto_answer_json answer = tenant_call(world, token, method, path, body);
    return answer.status;
}

#endif
