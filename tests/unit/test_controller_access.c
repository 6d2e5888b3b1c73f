/* The one door: whose rows a token finds, by id and by name. */
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "tests/unit/controller_tenants.h"

struct stage {
    struct world *world;
    char *acme, *other; /* members of two projects */
};

static struct stage stage_open(void **state)
{
    struct stage stage = {.world = *state};
    tenant_project(stage.world, "acme");
    tenant_project(stage.world, "other");
    stage.acme = tenant_token(stage.world, "acme", "dev", "admin");
    stage.other = tenant_token(stage.world, "other", "dev", "admin");
    return stage;
}

static void stage_close(struct stage *stage)
{
    free(stage->acme);
    free(stage->other);
}
#define auto_stage __attribute__((cleanup(stage_close)))

/* Makes something and returns the path by its id. */
static char *make(struct stage *stage, const char *token, const char *path, const char *body)
{
    struct answer auto_answer_json answer = tenant_call(stage->world, token, "POST", path, body);
    if (answer.status != 201)
        fail_msg("POST %s: %s", path, answer.text);
    char *plain = xstrndup(path, strcspn(path, "?"));
    char *made = xasprintf("%s/%s", plain, answer_str(&answer, "id"));
    free(plain);
    return made;
}

static const char key_body[] = "{\"name\":\"me\",\"public_key\":\"" ED25519_LINE "\"}";
static const char image_body[] = "{\"name\":\"img\",\"format\":\"raw\"}";
static const char token_body[] = "{\"name\":\"t\",\"role\":\"reader\"}";

static void test_access__a_foreign_row_and_a_missing_one_are_alike(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    static const struct {
        const char *path, *body, *name, *missing;
    } kinds[] = {
        {"/v1/keys", key_body, "/v1/keys/me", "/v1/keys/0190aaaa-0000-7000-8000-000000000000"},
        {"/v1/images", image_body, "/v1/images/img",
         "/v1/images/0190aaaa-0000-7000-8000-000000000000"},
        {"/v1/tokens", token_body, "/v1/tokens/t",
         "/v1/tokens/0190aaaa-0000-7000-8000-000000000000"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        autofree char *path = make(&stage, stage.acme, kinds[i].path, kinds[i].body);
        assert_int_equal(tenant_status(stage.world, stage.acme, "GET", path, NULL), 200);
        assert_int_equal(tenant_status(stage.world, stage.acme, "GET", kinds[i].name, NULL), 200);
        static const char *const methods[] = {"GET", "DELETE", NULL};
        for (int m = 0; methods[m]; m++) {
            struct answer auto_answer_json foreign =
                tenant_call(stage.world, stage.other, methods[m], path, NULL);
            struct answer auto_answer_json missing =
                tenant_call(stage.world, stage.other, methods[m], kinds[i].missing, NULL);
            assert_int_equal(foreign.status, 404);
            assert_int_equal(missing.status, 404);
            assert_string_equal(answer_str(&foreign, "title"), answer_str(&missing, "title"));
            /* Alike but for the id that the asker wrote. */
            assert_int_equal(strlen(answer_str(&foreign, "detail")),
                             strlen(answer_str(&missing, "detail")));
            assert_int_equal(
                tenant_status(stage.world, stage.other, methods[m], kinds[i].name, NULL), 404);
        }
        assert_int_equal(tenant_status(stage.world, stage.acme, "GET", path, NULL), 200);
    }
}

static void test_access__lists_show_ones_own_project_only(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    free(make(&stage, stage.acme, "/v1/keys", key_body));
    struct answer auto_answer_json own =
        tenant_call(stage.world, stage.acme, "GET", "/v1/keys", NULL);
    struct answer auto_answer_json foreign =
        tenant_call(stage.world, stage.other, "GET", "/v1/keys", NULL);
    struct answer auto_answer_json all = world_call(stage.world, 200, "GET", "/v1/keys", NULL);
    struct answer auto_answer_json named =
        world_call(stage.world, 200, "GET", "/v1/keys?project=other", NULL);
    assert_int_equal(json_count(answer_at(&own, "keys")), 1);
    assert_int_equal(json_count(answer_at(&foreign, "keys")), 0);
    assert_int_equal(json_count(answer_at(&all, "keys")), 1);
    assert_int_equal(json_count(answer_at(&named, "keys")), 0);
    struct answer auto_answer_json projects =
        tenant_call(stage.world, stage.acme, "GET", "/v1/projects", NULL);
    assert_int_equal(json_count(answer_at(&projects, "projects")), 1);
    world_is(&projects, "projects.0.name", "acme");
}

static void test_access__a_token_cannot_name_another_project(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct world *world = stage.world;
    assert_int_equal(tenant_status(world, stage.acme, "GET", "/v1/keys?project=acme", NULL), 200);
    assert_int_equal(tenant_status(world, stage.acme, "GET", "/v1/keys?project=other", NULL), 404);
    assert_int_equal(tenant_status(world, stage.acme, "GET", "/v1/keys?project=nope", NULL), 404);
    assert_int_equal(tenant_status(world, stage.acme, "POST", "/v1/keys?project=other", key_body),
                     404);
    assert_int_equal(
        tenant_status(world, stage.acme, "POST", "/v1/tokens?project=other", token_body), 404);
    assert_int_equal(tenant_status(world, stage.acme, "GET", "/v1/events?project=other", NULL),
                     404);
}

static void test_access__the_same_name_lives_in_each_project(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *one = make(&stage, stage.acme, "/v1/keys", key_body);
    autofree char *two = make(&stage, stage.other, "/v1/keys", key_body);
    autofree char *three = make(&stage, NULL, "/v1/keys", key_body);
    struct answer auto_answer_json own =
        tenant_call(stage.world, stage.other, "GET", "/v1/keys/me", NULL);
    assert_string_equal(strrchr(two, '/') + 1, answer_str(&own, "id"));
    struct answer auto_answer_json named =
        world_call(stage.world, 200, "GET", "/v1/keys/me?project=acme", NULL);
    assert_string_equal(strrchr(one, '/') + 1, answer_str(&named, "id"));
    struct answer auto_answer_json fallback =
        world_call(stage.world, 200, "GET", "/v1/keys/me", NULL);
    assert_string_equal(strrchr(three, '/') + 1, answer_str(&fallback, "id"));
    /* By id an operator needs no project. */
    world_did(stage.world, 200, "GET", one, NULL);
}

/* Whatever a handler passes, a name means the asker's own project. */
static void test_access__a_name_is_never_looked_up_in_a_project_that_is_not_ones_own(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    struct err auto_err err = {0};
    struct db *db = app_reader(stage.world->app);
    struct caller operator= {.token_key = 1, .role = ROLE_ADMIN};
    int64_t acme, other, key, found;
    free(make(&stage, stage.acme, "/v1/keys", key_body));
    assert_int_equal(access_project(db, &operator, "acme", &acme, &err), 0);
    assert_int_equal(access_project(db, &operator, "other", &other, &err), 0);
    assert_int_equal(access_row(db, &operator, ACCESS_SEE, ACCESS_KEY, acme, "me", &key, &err), 0);
    struct caller own = {.token_key = 2, .project_key = acme, .role = ROLE_READER};
    assert_int_equal(access_row(db, &own, ACCESS_SEE, ACCESS_KEY, other, "me", &found, &err), 0);
    assert_int_equal(found, key);
    struct caller foreign = {.token_key = 3, .project_key = other, .role = ROLE_ADMIN};
    assert_int_equal(access_row(db, &foreign, ACCESS_SEE, ACCESS_KEY, acme, "me", &found, &err),
                     -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    struct caller agent = {.token_key = 4, .node_key = 1, .role = ROLE_NODE};
    assert_int_equal(access_row(db, &agent, ACCESS_SEE, ACCESS_KEY, acme, "me", &found, &err), -1);
    struct caller join = {.token_key = 5, .role = ROLE_JOIN};
    assert_int_equal(access_row(db, &join, ACCESS_SEE, ACCESS_KEY, acme, "me", &found, &err), -1);
    assert_int_equal(access_project(db, &join, NULL, &found, &err), -1);
}

static void test_access__public_images_are_seen_by_all_and_changed_by_their_project(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *path =
        make(&stage, NULL, "/v1/images", "{\"name\":\"base\",\"format\":\"raw\",\"public\":true}");
    assert_int_equal(tenant_status(stage.world, stage.acme, "GET", path, NULL), 200);
    assert_int_equal(tenant_status(stage.world, stage.acme, "GET", "/v1/images/base", NULL), 200);
    assert_int_equal(tenant_status(stage.world, stage.acme, "DELETE", path, NULL), 404);
    assert_int_equal(
        tenant_status(stage.world, stage.acme, "PATCH", "/v1/images/base", "{\"name\":\"x\"}"),
        404);
    /* One's own comes first. */
    free(make(&stage, stage.acme, "/v1/images", "{\"name\":\"base\",\"format\":\"raw\"}"));
    struct answer auto_answer_json found =
        tenant_call(stage.world, stage.acme, "GET", "/v1/images/base", NULL);
    world_is(&found, "project", "acme");
}

static void test_access__a_deleted_row_is_seen_by_id_and_changed_no_more(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *path = make(&stage, stage.acme, "/v1/keys", key_body);
    assert_int_equal(tenant_status(stage.world, stage.acme, "DELETE", "/v1/keys/me", NULL), 204);
    struct answer auto_answer_json gone = tenant_call(stage.world, stage.acme, "GET", path, NULL);
    assert_int_equal(gone.status, 200);
    assert_non_null(answer_str(&gone, "deleted_at"));
    assert_int_equal(tenant_status(stage.world, stage.acme, "GET", "/v1/keys/me", NULL), 404);
    assert_int_equal(tenant_status(stage.world, stage.acme, "DELETE", path, NULL), 404);
    assert_int_equal(tenant_status(stage.world, stage.other, "GET", path, NULL), 404);
    free(make(&stage, stage.acme, "/v1/keys", key_body)); /* the name is free */
}

static void test_access__an_id_is_found_in_either_case_and_is_never_a_name(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    autofree char *path = make(&stage, stage.acme, "/v1/keys", key_body);
    for (char *at = path + strlen("/v1/keys/"); *at; at++)
        *at = (char)(*at >= 'a' && *at <= 'f' ? *at - 32 : *at);
    assert_int_equal(tenant_status(stage.world, stage.acme, "GET", path, NULL), 200);
    assert_int_equal(tenant_status(stage.world, NULL, "POST", "/v1/projects",
                                   "{\"name\":\"0190aaaa-0000-7000-8000-000000000000\"}"),
                     400);
}

static void test_access__a_deleted_token_is_refused_at_once(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    assert_int_equal(tenant_status(stage.world, stage.acme, "GET", "/v1/keys", NULL), 200);
    world_did(stage.world, 204, "DELETE", "/v1/tokens/dev?project=acme", NULL);
    assert_int_equal(tenant_status(stage.world, stage.acme, "GET", "/v1/keys", NULL), 401);
    assert_int_equal(tenant_status(stage.world, stage.other, "GET", "/v1/keys", NULL), 200);
    world_restart(stage.world);
    assert_int_equal(tenant_status(stage.world, stage.acme, "GET", "/v1/keys", NULL), 401);
    assert_int_equal(tenant_status(stage.world, stage.other, "GET", "/v1/keys", NULL), 200);
}

static void test_access__events_of_other_projects_are_not_told(void **state)
{
    struct stage auto_stage stage = stage_open(state);
    free(make(&stage, stage.acme, "/v1/keys", key_body));
    struct answer auto_answer_json own =
        tenant_call(stage.world, stage.acme, "GET", "/v1/events?kind=key", NULL);
    struct answer auto_answer_json foreign =
        tenant_call(stage.world, stage.other, "GET", "/v1/events?kind=key", NULL);
    assert_int_equal(json_count(answer_at(&own, "events")), 1);
    assert_int_equal(json_count(answer_at(&foreign, "events")), 0);
    /* Where to watch from does not depend on what one may see. */
    assert_int_equal(answer_i64(&own, "revision"), answer_i64(&foreign, "revision"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_access__##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_foreign_row_and_a_missing_one_are_alike),
        TEST(lists_show_ones_own_project_only),
        TEST(a_token_cannot_name_another_project),
        TEST(the_same_name_lives_in_each_project),
        TEST(a_name_is_never_looked_up_in_a_project_that_is_not_ones_own),
        TEST(public_images_are_seen_by_all_and_changed_by_their_project),
        TEST(a_deleted_row_is_seen_by_id_and_changed_no_more),
        TEST(an_id_is_found_in_either_case_and_is_never_a_name),
        TEST(a_deleted_token_is_refused_at_once),
        TEST(events_of_other_projects_are_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
