/* /v1/healthz and /v1/openapi.yaml, which need no token; and what an operator says of the whole
 * database. */
#include <pthread.h>
#include <stdlib.h>

#include "api/base/id.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/node/node.h"
#include "controller/request/handlers.h"
#include "controller/system/openapi.h"
#include "controller/tx/writer.h"
#include "controller/wait/watch.h"
#include "controller/world.h"

static const char *const no_params[] = {NULL};

/* Answers that are the same for all who ask: one of each is kept. That of healthz changes with
 * the revision only, and supervisors ask often. */
struct health {
    pthread_mutex_t lock;
    int64_t revision; /* of `answer` */
    struct http_shared *answer;
    struct http_shared *contract; /* openapi.yaml, for good */
    char contract_etag[SHA256_TEXT_MAX];
};

static void render_contract(struct health *health)
{
    struct buf body = {0};
    uint8_t hash[SHA256_BYTES];
    sha256(openapi_yaml, openapi_yaml_size, hash);
    sha256_text(hash, health->contract_etag);
    buf_add(&body, openapi_yaml, openapi_yaml_size);
    health->contract = http_shared_new(&(struct http_reply){.status = 200,
                                                            .content_type = "application/yaml",
                                                            .etag = health->contract_etag},
                                       &body);
}

struct health *health_new(void)
{
    struct health *health = xcalloc(1, sizeof(*health));
    pthread_mutex_init(&health->lock, NULL);
    render_contract(health);
    return health;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    http_shared_unref(health->answer);
    http_shared_unref(health->contract);
    pthread_mutex_destroy(&health->lock);
    free(health);
}

static struct http_shared *render_health(int64_t revision)
{
    struct buf body = {0};
    struct json_writer w = JSON_WRITER(&body);
    json_open(&w, NULL, '{');
    json_put_str(&w, "status", "ok");
    json_put_str(&w, "version", MINICLOUD_VERSION);
    json_put_i64(&w, "revision", revision);
    json_close(&w, '}');
    return http_shared_new(&(struct http_reply){.status = 200}, &body);
}

void handle_system_healthz(struct request *r)
{
    auto_err struct err err = {0};
    if (request_only(r, no_params, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    struct health *health = r->app->health;
    int64_t revision = watch_revision(r->app->watch);
    pthread_mutex_lock(&health->lock);
    if (!health->answer || health->revision != revision) {
        http_shared_unref(health->answer);
        health->answer = render_health(revision);
        health->revision = revision;
    }
    http_reply_shared(r->http, health->answer);
    pthread_mutex_unlock(&health->lock);
}

void handle_system_openapi(struct request *r)
{
    auto_err struct err err = {0};
    if (request_only(r, no_params, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    struct health *health = r->app->health;
    r->status = 200;
    r->etag = xstrdup(health->contract_etag);
    if (request_not_modified(r))
        request_reply(r);
    else
        http_reply_shared(r->http, health->contract);
}

/* ---- an operator's word ---- */

struct system_restored {
    char *reason;
};

#define STRUCT system_restored
static const struct wire_field system_restored_fields[] = {
    W_STR(reason, LIMIT_LABEL_VALUE, .check = validate_label_value)};
static const struct wire_struct system_restored_wire = WIRE_STRUCT(system_restored);
#undef STRUCT

static int restored(struct tx *tx, struct request *r, struct err *err)
{
    const struct system_restored *in = r->input;
    char epoch[ID_TEXT_MAX];
    if (request_only(r, no_params, err) != 0 || epoch_begin(tx, NULL, epoch, err) != 0)
        return -1;
    log_warn("epoch.declared", "epoch=%s actor=\"%s\" reason=\"%s\"", epoch, r->caller.actor,
             in->reason ? in->reason : "");
    tx_event(tx, &(struct event_row){.kind = "system", .id = epoch, .what = "restored"});
    struct json_writer w = request_json(r, 200);
    json_open(&w, NULL, '{');
    json_put_str(&w, "epoch", epoch);
    json_close(&w, '}');
    return 0;
}

void handle_system_restored(struct request *r)
{
    if (request_decode(r, &system_restored_wire) == 0)
        request_write(r, restored);
}
