/* /v1/healthz and /v1/openapi.yaml: what needs no token. */
#include "controller/app.h"
#include "controller/handlers.h"
#include "controller/openapi.h"
#include "controller/watch.h"

static const char *const no_params[] = {NULL};

void handle_system_healthz(struct request *r)
{
    auto_err struct err err = {0};
    if (request_only(r, no_params, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    struct json_writer w = request_json(r, 200);
    json_open(&w, NULL, '{');
    json_put_str(&w, "status", "ok");
    json_put_str(&w, "version", MINICLOUD_VERSION);
    json_put_i64(&w, "revision", watch_revision(r->app->watch));
    json_close(&w, '}');
    request_reply(r);
}

void handle_system_openapi(struct request *r)
{
    auto_err struct err err = {0};
    if (request_only(r, no_params, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    r->status = 200;
    r->content_type = "application/yaml";
    buf_add(&r->reply, openapi_yaml, (size_t)(openapi_yaml_end - openapi_yaml));
    request_reply(r);
}
