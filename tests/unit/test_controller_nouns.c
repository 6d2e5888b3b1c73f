/* Keys, flavors, projects, tokens and operations as their users see them. */
#include "api/base/limits.h"
#include "tests/lib/raw_http.h"
#include "tests/unit/controller_tenants.h"

static void add_key(struct world *world, const char *name)
{
    world_did(world, 201, "POST", "/v1/keys", "{\"name\":\"%s\",\"public_key\":\"%s\"}", name,
              ED25519_LINE);
}

static void test_key__is_added_renamed_and_removed(void **state)
{
    struct world *world = *state;
    add_key(world, "me");
    world_see(world, "/v1/keys/me", "public_key", ED25519_LINE);
    world_see(world, "/v1/keys/me", "project", "default");
    struct answer auto_answer_json shown = world_call(world, 200, "GET", "/v1/keys/me", NULL);
    assert_int_equal(strncmp(answer_str(&shown, "fingerprint"), "SHA256:", 7), 0);
    world_did(world, 200, "PATCH", "/v1/keys/me", "{\"name\":\"you\"}");
    world_did(world, 404, "GET", "/v1/keys/me", NULL);
    world_did(world, 204, "DELETE", "/v1/keys/you", NULL);
    world_did(world, 404, "DELETE", "/v1/keys/you", NULL);
}

static void test_key__a_name_is_taken_once(void **state)
{
    struct world *world = *state;
    add_key(world, "me");
    add_key(world, "you");
    struct answer auto_answer_json twice = world_call(
        world, 409, "POST", "/v1/keys", "{\"name\":\"me\",\"public_key\":\"%s\"}", ED25519_LINE);
    world_is(&twice, "code", "name_taken");
    world_is(&twice, "field", "/name");
    struct answer auto_answer_json renamed =
        world_call(world, 409, "PATCH", "/v1/keys/you", "{\"name\":\"me\"}");
    world_is(&renamed, "code", "name_taken");
    world_see(world, "/v1/keys/you", "name", "you");
}

static void test_key__what_is_no_key_is_refused(void **state)
{
    struct world *world = *state;
    struct answer auto_answer_json bad = world_call(
        world, 400, "POST", "/v1/keys", "{\"name\":\"me\",\"public_key\":\"ssh-rsa x\"}");
    world_is(&bad, "field", "/public_key");
    world_did(world, 400, "POST", "/v1/keys", "{\"name\":\"me\"}");
    world_did(world, 400, "POST", "/v1/keys", NULL);
    world_did(world, 400, "POST", "/v1/keys", "[]");
}

static void test_flavor__is_made_by_operators_within_limits(void **state)
{
    struct world *world = *state;
    static const char path[] = "/v1/flavors";
    world_did(world, 201, "POST", path,
              "{\"name\":\"f\",\"vcpus\":%d,\"memory_mib\":%d,\"disk_gib\":%d}", LIMIT_VCPUS,
              LIMIT_MEMORY_MIB, LIMIT_DISK_GIB);
    world_did(world, 201, "POST", path,
              "{\"name\":\"g\",\"vcpus\":1,\"memory_mib\":%d,\"disk_gib\":1}",
              LIMIT_MEMORY_MIB_MIN);
    struct answer auto_answer_json vcpus = world_call(
        world, 400, "POST", path, "{\"name\":\"h\",\"vcpus\":%d,\"memory_mib\":64,\"disk_gib\":1}",
        LIMIT_VCPUS + 1);
    world_is(&vcpus, "field", "/vcpus");
    struct answer auto_answer_json memory = world_call(
        world, 400, "POST", path, "{\"name\":\"h\",\"vcpus\":1,\"memory_mib\":%d,\"disk_gib\":1}",
        LIMIT_MEMORY_MIB_MIN - 1);
    world_is(&memory, "field", "/memory_mib");
    world_did(world, 400, "POST", path,
              "{\"name\":\"h\",\"vcpus\":0,\"memory_mib\":64,\"disk_gib\":1}");
    world_did(world, 204, "DELETE", "/v1/flavors/f", NULL);
    world_did(world, 404, "GET", "/v1/flavors/f", NULL);
}

static void test_project__goes_only_when_it_is_empty_and_takes_its_tokens_along(void **state)
{
    struct world *world = *state;
    tenant_project(world, "acme");
    autofree char *dev = tenant_token(world, "acme", "dev", "member");
    struct answer auto_answer_json made = tenant_call(
        world, dev, "POST", "/v1/keys", "{\"name\":\"me\",\"public_key\":\"" ED25519_LINE "\"}");
    assert_int_equal(made.status, 201);
    struct answer auto_answer_json used =
        world_call(world, 409, "DELETE", "/v1/projects/acme", NULL);
    world_is(&used, "code", "in_use");
    assert_non_null(strstr(answer_str(&used, "detail"), "1 keys"));
    assert_int_equal(tenant_status(world, dev, "DELETE", "/v1/keys/me", NULL), 204);
    world_did(world, 204, "DELETE", "/v1/projects/acme", NULL);
    assert_int_equal(tenant_status(world, dev, "GET", "/v1/keys", NULL), 401);
    tenant_project(world, "acme");
}

static void test_project__the_default_one_stays(void **state)
{
    struct world *world = *state;
    world_did(world, 409, "DELETE", "/v1/projects/default", NULL);
    world_did(world, 409, "PATCH", "/v1/projects/default", "{\"name\":\"x\"}");
}

static void test_token__kinds_follow_from_who_asks_for_what(void **state)
{
    struct world *world = *state;
    tenant_project(world, "acme");
    autofree char *admin = tenant_token(world, "acme", "a", "admin");
    autofree char *operator= tenant_token(world, NULL, "o", "admin");
    autofree char *plain = tenant_token(world, NULL, "m", "member");
    assert_non_null(plain);
    world_see(world, "/v1/tokens/a?project=acme", "project", "acme");
    world_see(world, "/v1/tokens/o", "project", NULL);
    world_see(world, "/v1/tokens/m?project=default", "project", "default");
    assert_int_equal(tenant_status(world, operator, "GET", "/v1/nodes", NULL), 200);
    assert_int_equal(tenant_status(world, admin, "GET", "/v1/nodes", NULL), 403);
    assert_int_equal(
        tenant_status(world, admin, "POST", "/v1/tokens", "{\"name\":\"j\",\"role\":\"join\"}"),
        403);
    assert_int_equal(
        tenant_status(world, admin, "POST", "/v1/tokens", "{\"name\":\"n\",\"role\":\"node\"}"),
        400);
    world_did(world, 201, "POST", "/v1/tokens", "{\"name\":\"j\",\"role\":\"join\"}");
    struct answer auto_answer_json own =
        tenant_call(world, admin, "POST", "/v1/tokens", "{\"name\":\"r\",\"role\":\"reader\"}");
    world_is(&own, "project", "acme");
    struct answer auto_answer_json shown = tenant_call(world, admin, "GET", "/v1/tokens/r", NULL);
    assert_null(answer_at(&shown, "secret"));
}

static void test_lists__show_each_row_once_whatever_the_page(void **state)
{
    struct world *world = *state;
    enum { KEYS = 7 };
    for (int i = 0; i < KEYS; i++) {
        autofree char *name = xasprintf("k%d", i);
        add_key(world, name);
    }
    for (int limit = 1; limit <= KEYS + 1; limit++) {
        autofree char *cursor = NULL;
        int seen = 0;
        do {
            autofree char *path = xasprintf("/v1/keys?limit=%d%s%s", limit,
                                            cursor ? "&cursor=" : "", cursor ? cursor : "");
            struct answer auto_answer_json page = world_call(world, 200, "GET", path, NULL);
            for (struct json *item = json_first(answer_at(&page, "keys")); item;
                 item = json_next(item)) {
                autofree char *name = xasprintf("k%d", seen++);
                assert_string_equal(json_str(json_get(item, "name")), name);
            }
            free(cursor);
            cursor = xstrdup(answer_str(&page, "next"));
        } while (cursor);
        assert_int_equal(seen, KEYS);
    }
    struct answer auto_answer_json named = world_call(world, 200, "GET", "/v1/keys?name=k3", NULL);
    assert_int_equal(json_count(answer_at(&named, "keys")), 1);
}

static void test_lists__refuse_what_they_do_not_know_by_name(void **state)
{
    struct world *world = *state;
    static const char *const paths[] = {
        "/v1/keys?nam=x",     "/v1/flavors?label=x", "/v1/projects?x=1", "/v1/tokens?rol=admin",
        "/v1/operations?x=1", "/v1/healthz?x=1",     "/v1/keys/me?x=1",  NULL};
    for (int i = 0; paths[i]; i++)
        world_did(world, 400, "GET", paths[i], NULL);
    world_did(world, 400, "GET", "/v1/tokens?role=king", NULL);
    world_did(world, 400, "GET", "/v1/operations?state=maybe", NULL);
}

/* ---- conditions ---- */

static int raw_status(struct world *world, const char *head, const char *body)
{
    autofree char *socket_path = xasprintf("%s/data/api.sock", world->dir);
    autofree char *text =
        xasprintf("%s\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
                  head, world->cloud.token, strlen(body), body);
    struct raw auto_raw raw = raw_open_unix(socket_path);
    struct raw_reply auto_raw_reply reply = {0};
    raw_puts(&raw, text);
    raw_read(&raw, &reply);
    return reply.status;
}

static void test_etag__guards_changes_and_spares_reads(void **state)
{
    struct world *world = *state;
    add_key(world, "me");
    struct answer auto_answer_json shown = world_call(world, 200, "GET", "/v1/keys/me", NULL);
    static const struct {
        const char *line, *format;
        int status;
    } cases[] = {
        {"GET /v1/keys/me HTTP/1.1", "If-None-Match: \"%s\"", 304},
        {"GET /v1/keys/me HTTP/1.1", "If-None-Match: W/\"%s\"", 304},
        {"GET /v1/keys/me HTTP/1.1", "If-None-Match: \"r0\", \"%s\"", 304},
        {"GET /v1/keys/me HTTP/1.1", "If-None-Match: \"%s0\"", 200},
        {"GET /v1/keys/me HTTP/1.1", "If-None-Match: \"r\"", 200},
        {"DELETE /v1/keys/me HTTP/1.1", "If-Match: \"%s1\"", 412},
        {"DELETE /v1/keys/me HTTP/1.1", "If-Match: W/\"%s\"", 412},
        {"DELETE /v1/keys/me HTTP/1.1", "If-Match: \"r0\", \"%s\"", 204},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *mark = strstr(cases[i].format, "%s");
        autofree char *value = mark ? xasprintf("%.*s%s%s", (int)(mark - cases[i].format),
                                                cases[i].format, shown.etag, mark + 2)
                                    : xstrdup(cases[i].format);
        autofree char *head = xasprintf("%s\r\n%s", cases[i].line, value);
        int status = raw_status(world, head, "");
        if (status != cases[i].status)
            fail_msg("%s gave %d", head, status);
    }
}

static void test_etag__changes_with_the_row(void **state)
{
    struct world *world = *state;
    add_key(world, "me");
    struct answer auto_answer_json before = world_call(world, 200, "GET", "/v1/keys/me", NULL);
    struct answer auto_answer_json patched =
        world_call(world, 200, "PATCH", "/v1/keys/me", "{\"name\":\"you\"}");
    struct answer auto_answer_json after = world_call(world, 200, "GET", "/v1/keys/you", NULL);
    assert_string_not_equal(before.etag, patched.etag);
    assert_string_equal(patched.etag, after.etag);
}

static void test_content__only_json_is_taken(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *type;
        int status;
    } cases[] = {{"application/x-www-form-urlencoded", 415},
                 {"text/plain", 415},
                 {"application/jsonp", 415},
                 {"application/json; charset=utf-8", 201},
                 {"Application/JSON", 409}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        autofree char *head =
            xasprintf("POST /v1/projects HTTP/1.1\r\nContent-Type: %s", cases[i].type);
        assert_int_equal(raw_status(world, head, "{\"name\":\"p\"}"), cases[i].status);
    }
    assert_int_equal(raw_status(world, "GET /v1/keys HTTP/1.1", "{}"), 400);
}

/* ---- operations ---- */

static void test_operation__waiting_ends_when_it_ends(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    struct answer auto_answer_json made =
        world_call(world, 202, "POST", "/v1/instances",
                   "{\"name\":\"one\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    autofree char *path = xasprintf("/v1/operations/%s", answer_str(&made, "operation.id"));
    autofree char *short_wait = xasprintf("%s?wait=50ms", path);
    autofree char *long_wait = xasprintf("%s?wait=30s", path);
    world_see(world, short_wait, "state", "running");
    autofree char *socket_path = xasprintf("%s/data/api.sock", world->dir);
    struct raw auto_raw raw = raw_open_unix(socket_path);
    struct raw_reply auto_raw_reply reply = {0};
    autofree char *text =
        xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", long_wait,
                  world->cloud.token);
    raw_puts(&raw, text);
    world_settle(host);
    raw_read(&raw, &reply);
    assert_non_null(strstr(reply.body.data, "\"state\":\"done\""));
    struct answer auto_answer_json done =
        world_call(world, 200, "GET", "/v1/operations?instance=one&state=done&kind=create", NULL);
    assert_int_equal(json_count(answer_at(&done, "operations")), 1);
    struct answer auto_answer_json metrics = world_call(world, 200, "GET", "/metrics", NULL);
    assert_non_null(strstr(metrics.text, "minicloud_instances{state=\"running\"} 1\n"));
    assert_non_null(strstr(metrics.text, "minicloud_nodes{state=\"ready\"} 1\n"));
    assert_non_null(strstr(metrics.text, "minicloud_http_requests_total{route=\"instance.create\","
                                         "status=\"202\"} 1\n"));
    sim_free(host);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(key__is_added_renamed_and_removed),
        TEST(key__a_name_is_taken_once),
        TEST(key__what_is_no_key_is_refused),
        TEST(flavor__is_made_by_operators_within_limits),
        TEST(project__goes_only_when_it_is_empty_and_takes_its_tokens_along),
        TEST(project__the_default_one_stays),
        TEST(token__kinds_follow_from_who_asks_for_what),
        TEST(lists__show_each_row_once_whatever_the_page),
        TEST(lists__refuse_what_they_do_not_know_by_name),
        TEST(etag__guards_changes_and_spares_reads),
        TEST(etag__changes_with_the_row),
        TEST(content__only_json_is_taken),
        TEST(operation__waiting_ends_when_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
