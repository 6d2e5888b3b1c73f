/* Requests that wait: each has its share, and ends when its client leaves and when its token
 * does, whatever flows meanwhile. */
#include "api/base/limits.h"
#include "controller/access/shares.h"
#include "controller/wait/watch.h"
#include "tests/lib/raw_http.h"
#include "tests/unit/controller_tenants.h"

/* Not the end of the wait itself, after LIMIT_WAIT_SECONDS. */
enum { EARLY_MS = 45000 };

struct stage {
    struct world *world;
    struct sim_agent *host;
    char *operation; /* path of one that does not end: the host does nothing */
    char *console;
    char *desired;
    char *token; /* a reader's of the default project */
    int64_t begin_ms;
};

static char *desired_path(struct world *world, struct sim_agent *host)
{
    struct answer auto_answer_json page =
        tenant_call(world, sim_token(host), "GET", "/v1/node/desired", NULL);
    return xasprintf("/v1/node/desired?epoch=%s&after=%lld&mark=%s&wait=60s",
                     answer_str(&page, "epoch"), (long long)answer_i64(&page, "revision"),
                     answer_str(&page, "mark"));
}

static struct stage stage_open(void **state)
{
    struct stage stage = {.world = *state};
    struct world *world = stage.world;
    world_image(world, "tiny");
    stage.host = world_host(world, "h1", 8192);
    struct answer auto_answer_json made =
        world_call(world, 202, "POST", "/v1/instances",
                   "{\"name\":\"one\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    stage.operation = xasprintf("/v1/operations/%s?wait=60s", answer_str(&made, "operation.id"));
    stage.console = xasprintf("/v1/instances/%s/console", answer_str(&made, "instance.id"));
    stage.token = tenant_token(world, "default", "waiter", "reader");
    stage.desired = desired_path(world, stage.host);
    stage.begin_ms = clock_boottime_ms();
    return stage;
}

static void stage_close(struct stage *stage)
{
    sim_free(stage->host);
    free(stage->operation);
    free(stage->console);
    free(stage->desired);
    free(stage->token);
}
#define auto_stage __attribute__((cleanup(stage_close)))

/* For a connection that is only there. */
#define auto_held auto_raw __attribute__((unused))

static struct raw ask(struct world *world, const char *token, const char *path, const char *more)
{
    autofree char *socket = xasprintf("%s/data/api.sock", world->dir);
    autofree char *text = xasprintf(
        "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n", path, token, more);
    struct raw raw = raw_open_unix(socket);
    assert_true(raw_puts(&raw, text));
    return raw;
}

static char *events_path(struct world *world)
{
    return xasprintf("/v1/events?wait=60s&after=%lld",
                     (long long)watch_revision(world->app->watch));
}

static void await_held(struct world *world, enum share_kind kind, size_t count)
{
    world_until(world, shares_held(world->app->shares, kind) == count);
}

static void is_early(const struct stage *stage)
{
    assert_true(clock_boottime_ms() - stage->begin_ms < EARLY_MS);
}

static void reads(struct raw *raw, int status, const char *text)
{
    struct raw_reply auto_raw_reply reply = {0};
    raw_read(raw, &reply);
    if (reply.status != status || !reply.body.data || !strstr(reply.body.data, text))
        fail_msg("%d without \"%s\": %d %s", status, text, reply.status,
                 reply.body.data ? reply.body.data : "");
}

/* ---- shares ---- */

static void test_waits__one_token_cannot_take_the_places_of_others(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct raw raws[LIMIT_TOKEN_OPERATION_WAITS];
    for (int i = 0; i < LIMIT_TOKEN_OPERATION_WAITS; i++)
        raws[i] = ask(world, stage.token, stage.operation, "");
    await_held(world, SHARE_OPERATION, LIMIT_TOKEN_OPERATION_WAITS);
    struct raw auto_raw more = ask(world, stage.token, stage.operation, "");
    struct raw_reply auto_raw_reply refused = {0};
    raw_read(&more, &refused);
    assert_int_equal(refused.status, 429);
    assert_non_null(strstr(refused.body.data, "this token has 128 waits for operations open"));
    autofree char *after = raw_header(&refused, "Retry-After");
    assert_string_equal(after, "1");
    /* Not to wait needs no place, and other tokens have theirs. */
    autofree char *path = xstrndup(stage.operation, strcspn(stage.operation, "?"));
    assert_int_equal(tenant_status(world, stage.token, "GET", path, NULL), 200);
    autofree char *other = tenant_token(world, "default", "other", "reader");
    struct raw auto_held others = ask(world, other, stage.operation, "");
    struct raw auto_held operators = ask(world, world->cloud.token, stage.operation, "");
    await_held(world, SHARE_OPERATION, LIMIT_TOKEN_OPERATION_WAITS + 2);
    for (int i = 0; i < LIMIT_TOKEN_OPERATION_WAITS; i++)
        raw_close(&raws[i]);
    await_held(world, SHARE_OPERATION, 2);
    is_early(&stage);
}

static void test_waits__a_poll_that_ended_gives_its_share_back(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    autofree char *path =
        xasprintf("/v1/events?wait=50ms&after=%lld", (long long)watch_revision(world->app->watch));
    for (int i = 0; i < 3; i++)
        assert_int_equal(tenant_status(world, stage.token, "GET", path, NULL), 200);
    await_held(world, SHARE_EVENTS, 0);
}

static void test_waits__an_agent_has_room_for_a_few_polls(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct raw raws[LIMIT_NODE_POLLS];
    for (int i = 0; i < LIMIT_NODE_POLLS; i++)
        raws[i] = ask(world, sim_token(stage.host), stage.desired, "");
    await_held(world, SHARE_DESIRED, LIMIT_NODE_POLLS);
    struct raw auto_raw more = ask(world, sim_token(stage.host), stage.desired, "");
    reads(&more, 429, "polls of its agent");
    struct sim_agent *other = world_host(world, "h2", 8192);
    for (int i = 0; i < LIMIT_NODE_POLLS; i++)
        raw_close(&raws[i]);
    await_held(world, SHARE_DESIRED, 0);
    sim_free(other);
    is_early(&stage);
}

/* Sends the head of a report and a first byte of its body. */
static struct raw begin_report(struct world *world, const char *token, int length)
{
    autofree char *socket = xasprintf("%s/data/api.sock", world->dir);
    autofree char *text =
        xasprintf("POST /v1/node/observed HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                  "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n{",
                  token, length);
    struct raw raw = raw_open_unix(socket);
    assert_true(raw_puts(&raw, text));
    return raw;
}

static void test_waits__reports_that_never_end_take_no_room_of_other_hosts(void **state)
{
    static const struct {
        enum share_kind kind;
        int length, most;
        const char *word;
    } cases[] = {{SHARE_REPORT, 1000, LIMIT_NODE_REPORTS, " reports of its agent"},
                 {SHARE_BULK, LIMIT_BODY_BYTES + 1, LIMIT_NODE_BULK, "long reports of its agent"}};
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct err auto_err err = {0};
    struct raw raws[LIMIT_NODE_REPORTS];
    struct sim_agent *other = world_host(world, "h2", 8192);
    for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
        for (int i = 0; i < cases[c].most; i++)
            raws[i] = begin_report(world, sim_token(stage.host), cases[c].length);
        await_held(world, cases[c].kind, (size_t)cases[c].most);
        struct raw auto_raw more = begin_report(world, sim_token(stage.host), cases[c].length);
        reads(&more, 429, cases[c].word);
        assert_int_equal(sim_round(other, true, 0, &err), 0);
        for (int i = 0; i < cases[c].most; i++)
            raw_close(&raws[i]);
        await_held(world, cases[c].kind, 0);
    }
    sim_free(other);
}

/* The numbers are for an operator to see. */
static void test_waits__are_in_the_metrics(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct raw auto_held raw = ask(world, stage.token, stage.operation, "");
    await_held(world, SHARE_OPERATION, 1);
    struct answer auto_answer_json metrics = world_call(world, 200, "GET", "/metrics", NULL);
    assert_non_null(strstr(metrics.text, "\nminicloud_shares_held{kind=\"operation\"} 1\n"));
    assert_non_null(strstr(metrics.text, "\nminicloud_shares_refused_total{kind=\"upload\"} 0\n"));
}

/* ---- the client leaves ---- */

static void leaves(struct stage *stage, enum share_kind kind, const char *token, const char *path,
                   const char *more)
{
    struct raw raw = ask(stage->world, token, path, more);
    await_held(stage->world, kind, 1);
    raw_close(&raw);
    await_held(stage->world, kind, 0);
    world_until(stage->world, watch_count(stage->world->app->watch) == 0);
}

static void test_waits__a_client_that_leaves_frees_its_place_at_once(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *events = events_path(stage.world);
    leaves(&stage, SHARE_OPERATION, stage.token, stage.operation, "");
    leaves(&stage, SHARE_EVENTS, stage.token, events, "");
    leaves(&stage, SHARE_EVENTS, stage.token, "/v1/events", "Accept: text/event-stream\r\n");
    leaves(&stage, SHARE_DESIRED, sim_token(stage.host), stage.desired, "");
    is_early(&stage);
    int64_t begin_ms = clock_boottime_ms();
    leaves(&stage, SHARE_CONSOLE, stage.token, stage.console, "");
    assert_true(clock_boottime_ms() - begin_ms < CONSOLE_WAIT_SECONDS * 1000);
}

/* ---- the token ends ---- */

static void delete_token(struct stage *stage)
{
    world_did(stage->world, 204, "DELETE", "/v1/tokens/waiter?project=default", NULL);
}

static void test_waits__end_with_their_token(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    /* Of a kind that nothing is: the token's own deletion is no news to it. */
    autofree char *events = xasprintf("/v1/events?wait=60s&kind=none&after=%lld",
                                      (long long)watch_revision(world->app->watch));
    struct raw auto_raw operation = ask(world, stage.token, stage.operation, "");
    struct raw auto_raw event = ask(world, stage.token, events, "");
    struct raw auto_raw console = ask(world, stage.token, stage.console, "");
    struct raw auto_held other = ask(world, world->cloud.token, stage.operation, "");
    await_held(world, SHARE_OPERATION, 2);
    await_held(world, SHARE_EVENTS, 1);
    await_held(world, SHARE_CONSOLE, 1);
    delete_token(&stage);
    reads(&operation, 401, "the token was deleted");
    reads(&event, 401, "the token was deleted");
    reads(&console, 401, "the token was deleted");
    await_held(world, SHARE_OPERATION, 1); /* the other's */
    is_early(&stage);
}

static void test_waits__an_agents_poll_ends_with_its_node(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct sim_agent *host = world_host(world, "h2", 8192);
    autofree char *path = desired_path(world, host);
    struct raw auto_raw poll = ask(world, sim_token(host), path, "");
    await_held(world, SHARE_DESIRED, 1);
    world_did(world, 204, "DELETE", "/v1/nodes/h2", NULL);
    reads(&poll, 401, "the token was deleted");
    is_early(&stage);
    sim_free(host);
}

static void test_waits__a_poll_ends_with_its_project(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    tenant_project(world, "brief");
    autofree char *token = tenant_token(world, "brief", "its", "reader");
    autofree char *events = xasprintf("/v1/events?wait=60s&kind=none&after=%lld",
                                      (long long)watch_revision(world->app->watch));
    struct raw auto_raw poll = ask(world, token, events, "");
    await_held(world, SHARE_EVENTS, 1);
    world_did(world, 204, "DELETE", "/v1/projects/brief", NULL);
    reads(&poll, 401, "the token was deleted");
    is_early(&stage);
}

/* A stream that always has something to say has never a quiet moment to ask after its token. */
static void test_waits__a_busy_stream_ends_with_its_token_and_tells_no_more(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    struct raw auto_raw stream =
        ask(world, stage.token, "/v1/events", "Accept: text/event-stream\r\n");
    struct raw_reply auto_raw_reply reply = {0};
    await_held(world, SHARE_EVENTS, 1);
    for (int i = 0; i < 20; i++) {
        autofree char *name = xasprintf("m%d", i);
        free(tenant_token(world, "default", name, "reader"));
        if (i == 9)
            delete_token(&stage);
    }
    raw_read(&stream, &reply); /* up to its end */
    assert_non_null(strstr(reply.body.data, ": the end: the token was deleted\n"));
    assert_null(strstr(reply.body.data, "\"name\":\"m10\""));
    await_held(world, SHARE_EVENTS, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_waits__one_token_cannot_take_the_places_of_others),
        TEST(test_waits__a_poll_that_ended_gives_its_share_back),
        TEST(test_waits__an_agent_has_room_for_a_few_polls),
        TEST(test_waits__reports_that_never_end_take_no_room_of_other_hosts),
        TEST(test_waits__are_in_the_metrics),
        TEST(test_waits__a_client_that_leaves_frees_its_place_at_once),
        TEST(test_waits__end_with_their_token),
        TEST(test_waits__an_agents_poll_ends_with_its_node),
        TEST(test_waits__a_poll_ends_with_its_project),
        TEST(test_waits__a_busy_stream_ends_with_its_token_and_tells_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
