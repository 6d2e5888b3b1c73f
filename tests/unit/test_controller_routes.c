/* The route table against the API's description, both ways, and against every role. */
#include "controller/request/request.h"
#include "controller/system/openapi.h"
#include "tests/unit/controller_tenants.h"

/* ---- the description, read line by line: paths at two blanks, methods at four ---- */

struct described {
    char method[8], path[96], action[48], role[24];
};

enum { DESCRIBED_MAX = 96 };

static bool is_method(const char *word)
{
    static const char *const methods[] = {"get", "post", "patch", "delete", "put", NULL};
    return name_index(methods, word) >= 0;
}

static void upper(const char *from, char *to, size_t size)
{
    size_t i = 0;
    for (; from[i] && i + 1 < size; i++)
        to[i] = (char)(from[i] >= 'a' && from[i] <= 'z' ? from[i] - 32 : from[i]);
    to[i] = '\0';
}

static size_t read_description(struct described *all)
{
    autofree char *text = xstrndup(openapi_yaml, openapi_yaml_size);
    char path[96] = "";
    size_t count = 0;
    bool in_paths = false;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        char word[96];
        if (line[0] && line[0] != ' ')
            in_paths = strcmp(line, "paths:") == 0;
        if (!in_paths)
            continue;
        if (sscanf(line, "  /%94[^:]:", word) == 1 && line[2] == '/')
            snprintf(path, sizeof(path), "/%.94s", word);
        else if (strspn(line, " ") == 4 && sscanf(line, "    %94[a-z]:", word) == 1 &&
                 is_method(word)) {
            assert_in_range(count, 0, DESCRIBED_MAX - 1);
            upper(word, all[count].method, sizeof(all[count].method));
            snprintf(all[count++].path, sizeof(path), "%s", path);
        } else if (count && sscanf(line, "      operationId: %47s", word) == 1)
            snprintf(all[count - 1].action, sizeof(all[0].action), "%.47s", word);
        else if (count && sscanf(line, "      x-role: %23s", word) == 1)
            snprintf(all[count - 1].role, sizeof(all[0].role), "%.23s", word);
    }
    return count;
}

static const char *role_of(const struct route *route)
{
    if (route->flags & ROUTE_OPEN)
        return "open";
    if (route->flags & ROUTE_NODE)
        return "node";
    if (route->flags & ROUTE_JOIN)
        return "join";
    if (route->flags & ROUTE_OPERATOR)
        return route->min_role == ROLE_ADMIN ? "operator" : "operator-reader";
    return role_names[route->min_role];
}

static void test_routes__every_route_is_described_with_its_action_and_role(void **state)
{
    (void)state;
    static struct described all[DESCRIBED_MAX];
    size_t count = read_description(all);
    for (const struct route *route = routes; route->method; route++) {
        const struct described *found = NULL;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(all[i].path, route->path) == 0 && strcmp(all[i].method, route->method) == 0)
                found = &all[i];
        }
        if (!found)
            fail_msg("%s %s is not in api/openapi.yaml", route->method, route->path);
        assert_string_equal(found->action, route->action);
        assert_string_equal(found->role, role_of(route));
    }
}

static void test_routes__everything_described_is_routed(void **state)
{
    (void)state;
    static struct described all[DESCRIBED_MAX];
    size_t count = read_description(all);
    assert_true(count > 40);
    for (size_t i = 0; i < count; i++) {
        char *args[2] = {0}, allow[ROUTE_ALLOW_MAX];
        struct err auto_err err = {0};
        const struct route *route = route_find(all[i].method, all[i].path, args, allow, &err);
        if (!route)
            fail_msg("api/openapi.yaml has %s %s, which is not routed", all[i].method, all[i].path);
        assert_string_equal(route->path, all[i].path);
        free(args[0]);
        free(args[1]);
    }
}

static void test_routes__placeholders_take_one_segment(void **state)
{
    (void)state;
    char *args[2] = {0}, allow[ROUTE_ALLOW_MAX];
    struct err auto_err err = {0};
    const struct route *route = route_find("POST", "/v1/instances/web1/start", args, allow, &err);
    assert_string_equal(route->action, "instance.start");
    assert_string_equal(args[0], "web1");
    free(args[0]);
    static const char *const wrong[] = {
        "/v1/instances/",         "/v1/instances/a/b/start", "/v1", "/",
        "/v1/instances/a/start/", "/v1/instancesx",          NULL};
    for (int i = 0; wrong[i]; i++) {
        assert_null(route_find("GET", wrong[i], args, allow, &err));
        assert_int_equal(err.code, ERR_NO_ROUTE);
    }
    assert_null(route_find("PUT", "/v1/keys/me", args, allow, &err));
    assert_int_equal(err.code, ERR_METHOD);
    assert_string_equal(allow, "GET, PATCH, DELETE");
}

/* ---- roles ---- */

/* Columns of who asks; the rows of x-role say who may. Written out by hand, so that the
 * code under test does not judge itself. */
enum who { NOBODY, READER, MEMBER, ADMIN, OPERATOR_READER, OPERATOR, NODE, JOIN, WHO };

static const struct {
    const char *role;
    bool may[WHO];
} matrix[] = {
    /*                   none   reader member admin  op-rd  op     node   join */
    {"open", {true, true, true, true, true, true, true, true}},
    {"reader", {false, true, true, true, true, true, false, false}},
    {"member", {false, false, true, true, false, true, false, false}},
    {"admin", {false, false, false, true, false, true, false, false}},
    {"operator-reader", {false, false, false, false, true, true, false, false}},
    {"operator", {false, false, false, false, false, true, false, false}},
    {"node", {false, false, false, false, false, false, true, false}},
    {"join", {false, false, false, false, false, false, false, true}},
};

static bool matrix_says(const char *role, enum who who)
{
    for (size_t i = 0; i < ARRAY_SIZE(matrix); i++) {
        if (strcmp(matrix[i].role, role) == 0)
            return matrix[i].may[who];
    }
    fail_msg("no such role: %s", role);
    return false;
}

/* Beside its role, an agent fetches its images. */
static bool may(const struct described *route, enum who who)
{
    return matrix_says(route->role, who) ||
           (who == NODE && strcmp(route->action, "image.download") == 0);
}

static void test_routes__each_role_may_what_the_description_says(void **state)
{
    (void)state;
    static struct described all[DESCRIBED_MAX];
    static const struct caller callers[WHO] = {
        [READER] = {.token_key = 1, .project_key = 5, .role = ROLE_READER},
        [MEMBER] = {.token_key = 2, .project_key = 5, .role = ROLE_MEMBER},
        [ADMIN] = {.token_key = 3, .project_key = 5, .role = ROLE_ADMIN},
        [OPERATOR_READER] = {.token_key = 4, .role = ROLE_READER},
        [OPERATOR] = {.token_key = 5, .role = ROLE_ADMIN},
        [NODE] = {.token_key = 6, .node_key = 3, .role = ROLE_NODE},
        [JOIN] = {.token_key = 7, .role = ROLE_JOIN},
    };
    size_t count = read_description(all);
    for (size_t i = 0; i < count; i++) {
        char *args[2] = {0}, allow[ROUTE_ALLOW_MAX];
        struct err auto_err err = {0};
        const struct route *route = route_find(all[i].method, all[i].path, args, allow, &err);
        for (enum who who = READER; who < WHO; who++) {
            bool allowed = route_allows(route, &callers[who], &err) == 0;
            if (allowed != may(&all[i], who))
                fail_msg("%s: column %d is %s", all[i].action, who,
                         allowed ? "let in" : "kept out");
            assert_true(allowed || err.code == ERR_FORBIDDEN);
        }
        free(args[0]);
        free(args[1]);
    }
}

/* The path with a name that does not exist in place of each placeholder. */
static char *example(const char *pattern)
{
    struct buf path = {0};
    for (const char *at = pattern; *at; at++) {
        if (*at != '{') {
            buf_putc(&path, *at);
            continue;
        }
        buf_puts(&path, "nothing-here");
        at = strchr(at, '}');
    }
    return buf_take(&path);
}

static void walk(struct world *world, const struct described *route, enum who who,
                 const char *token)
{
    autofree char *path = example(route->path);
    bool body = strcmp(route->method, "POST") == 0 || strcmp(route->method, "PATCH") == 0;
    struct answer auto_answer_json answer =
        tenant_call(world, token, route->method, path, body ? "{\"no such member\":1}" : NULL);
    bool refused = answer.status == 401 || answer.status == 403;
    int wanted = who == NOBODY ? 401 : 403;
    if (may(route, who) ? refused || answer.status >= 500 : answer.status != wanted)
        fail_msg("%s by column %d: %d %s", route->action, who, answer.status, answer.text);
    if (refused)
        world_is(&answer, "code", who == NOBODY ? "unauthenticated" : "forbidden");
}

/* Over HTTP, with real tokens: whatever the table says, the door must keep to it. */
static void test_routes__every_route_refuses_every_role_that_has_no_business_there(void **state)
{
    struct world *world = *state;
    static struct described all[DESCRIBED_MAX];
    char *tokens[WHO] = {0};
    tenant_project(world, "acme");
    struct sim_agent *host = world_host(world, "h1", 8192);
    tokens[NOBODY] = xstrdup("mc_a_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    tokens[READER] = tenant_token(world, "acme", "r", "reader");
    tokens[MEMBER] = tenant_token(world, "acme", "m", "member");
    tokens[ADMIN] = tenant_token(world, "acme", "a", "admin");
    tokens[OPERATOR] = tenant_token(world, NULL, "o", "admin");
    tokens[NODE] = xstrdup(sim_token(host));
    tokens[JOIN] = xstrdup(world->join);
    size_t count = read_description(all);
    for (size_t i = 0; i < count; i++) {
        for (enum who who = NOBODY; who < WHO; who++) {
            if (tokens[who])
                walk(world, &all[i], who, tokens[who]);
        }
    }
    for (enum who who = NOBODY; who < WHO; who++)
        free(tokens[who]);
    sim_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes__every_route_is_described_with_its_action_and_role),
        cmocka_unit_test(test_routes__everything_described_is_routed),
        cmocka_unit_test(test_routes__placeholders_take_one_segment),
        cmocka_unit_test(test_routes__each_role_may_what_the_description_says),
        cmocka_unit_test_setup_teardown(
            test_routes__every_route_refuses_every_role_that_has_no_business_there, world_setup,
            world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
