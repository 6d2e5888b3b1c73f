/* What a label selector finds, in both lists that take one: by name and value, or by name. */
#include "tests/unit/controller_world.h"

static void put_labels(struct world *world, const char *noun, const char *name, const char *labels)
{
    const char *more = strcmp(noun, "images") == 0 ? "\"format\":\"raw\""
                                                   : "\"image\":\"tiny\",\"flavor\":\"tiny\"";
    autofree char *path = xasprintf("/v1/%s", noun);
    world_did(world, strcmp(noun, "images") == 0 ? 201 : 202, "POST", path,
              "{\"name\":\"%s\",%s,\"labels\":%s}", name, more, labels);
}

/* Names of what is found, in the order of the list. */
static void expect_found(struct world *world, const char *noun, const char *selector,
                         const char *names)
{
    struct buf auto_buf found = {0};
    autofree char *path = xasprintf("/v1/%s?label=%s", noun, selector);
    struct answer auto_answer_json page = world_call(world, 200, "GET", path, NULL);
    const struct json *row = json_first(answer_at(&page, noun));
    for (; row; row = json_next(row))
        buf_printf(&found, "%s ", json_str(json_get(row, "name")));
    assert_string_equal(found.data ? found.data : "", names);
}

static void test_selector__finds_by_value_and_by_name_alone(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *selector, *names;
    } cases[] = {
        {"tier%3Dweb", "a b "},
        {"tier%3Dweb,env%3Dprod", "a "},
        {"tier", "a b c "},
        {"env", "a d "},
        {"tier,env", "a "},
        {"tier%3Dweb,env", "a "},
        {"env,tier%3Ddb", ""},
        {"tier,tier%3Ddb", "c "},
        {"env%3D", "d "},
        {"tier%3D", ""},
        {"ten", ""},
        {"tier%3Dweb,tier%3Ddb", ""},
    };
    static const char *const nouns[] = {"images", "instances"};
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    for (size_t n = 0; n < ARRAY_SIZE(nouns); n++) {
        put_labels(world, nouns[n], "a", "{\"tier\":\"web\",\"env\":\"prod\"}");
        put_labels(world, nouns[n], "b", "{\"tier\":\"web\"}");
        put_labels(world, nouns[n], "c", "{\"tier\":\"db\"}");
        put_labels(world, nouns[n], "d", "{\"env\":\"\"}");
        put_labels(world, nouns[n], "e", "{}");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
            expect_found(world, nouns[n], cases[i].selector, cases[i].names);
    }
    sim_free(host);
}

static void test_selector__that_is_none_is_named(void **state)
{
    struct world *world = *state;
    static const char *const bad[] = {",", "%3Dweb", "a,,b", "a%20b", "-a", "a%3Db,%3D"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        autofree char *path = xasprintf("/v1/instances?label=%s", bad[i]);
        struct answer auto_answer_json page = world_call(world, 400, "GET", path, NULL);
        world_is(&page, "field", "label");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_selector__finds_by_value_and_by_name_alone,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_selector__that_is_none_is_named, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
