/* A project that has nothing pays for nothing: what its questions cost does not grow with what
 * others have. Counted in steps of SQLite's machine, which are the same on every computer. */
#include <sqlite3.h>

#include "controller/request/request.h"
#include "tests/lib/others.h"
#include "tests/unit/controller_tenants.h"

enum { STEPS = 10, OTHERS = 5000, LOOKS = 5 };

static _Atomic int64_t worked; /* by all connections, in STEPS */

static int count_work(void *ctx)
{
    (void)ctx;
    worked++;
    return 0;
}

/* Of each connection that is opened from here on. */
static int watch_connection(sqlite3 *raw, const char **error,
                            const struct sqlite3_api_routines *api)
{
    (void)error;
    (void)api;
    sqlite3_progress_handler(raw, STEPS, count_work, NULL);
    return SQLITE_OK;
}

static int setup(void **state)
{
    int rc = world_setup(state);
    if (rc == 0) {
        sqlite3_auto_extension((void (*)(void))watch_connection);
        world_restart(*state);
    }
    return rc;
}

static int teardown(void **state)
{
    sqlite3_cancel_auto_extension((void (*)(void))watch_connection);
    return world_teardown(state);
}

/* ---- what others have ---- */

static void put_others(struct world *world)
{
    autofree char *path = xasprintf("%s/data/minicloud.db", world->dir);
    others_fill(path, OTHERS);
}

static void put_past(struct world *world)
{
    autofree char *path = xasprintf("%s/data/minicloud.db", world->dir);
    others_fill(path, OTHERS);
    others_end(path);
}

/* ---- what a question costs ---- */

/* The least of some: what goes on in the background comes on top of some of them. */
static int64_t cost(struct world *world, const char *token, const char *path)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < LOOKS; i++) {
        int64_t before = worked;
        struct answer auto_answer_json answer = tenant_call(world, token, "GET", path, NULL);
        if (answer.status != 200)
            fail_msg("%s: %s", path, answer.text);
        int64_t now = worked - before;
        least = now < least ? now : least;
    }
    return least * STEPS;
}

/* Lists, with what makes each of them look elsewhere. */
static const char *const questions[] = {
    "/v1/instances?limit=10",
    "/v1/instances?limit=10&name=v2",
    "/v1/instances?limit=10&state=running",
    "/v1/instances?limit=10&label=a=b",
    "/v1/instances?limit=10&cursor=azk=",
    "/v1/images?limit=10",
    "/v1/images?limit=10&name=i2",
    "/v1/images?limit=10&label=a=b",
    "/v1/images?limit=10&cursor=azk=",
    "/v1/flavors?limit=10",
    "/v1/networks?limit=10",
    "/v1/prices?limit=10",
    "/v1/prices?limit=10&meter=cpu",
    "/v1/keys?limit=10",
    "/v1/keys?limit=10&name=k2",
    "/v1/operations?limit=10",
    "/v1/operations?limit=10&state=running",
    "/v1/operations?limit=10&state=failed",
    "/v1/operations?limit=10&kind=stop",
    "/v1/operations?limit=10&cursor=azk=",
    "/v1/events?limit=10&after=%s",
    "/v1/events?limit=10&kind=image&after=%s",
    "/v1/projects?limit=10",
    "/v1/projects?limit=10&name=p2",
    "/v1/tokens?limit=10",
    "/v1/tokens?limit=10&name=t2",
    "/v1/usage",
    "/v1/usage?start=2025-12&group_by=instance,meter&granularity=day",
    "/v1/usage?start=2025-12&group_by=label:team",
    "/v1/usage/now",
    "/v1/usage/export?start=2025-12&format=csv",
    "/v1/usage/export?start=2025-12&format=jsonl",
    "/v1/usage/export?start=2025-12&format=focus",
};

/* What operators ask for a page of, or of one thing, whatever else there is. */
static const char *const of_operators[] = {
    "/v1/instances?limit=10",
    "/v1/instances?limit=10&project=empty",
    "/v1/instances?limit=10&project=empty&name=v2",
    "/v1/images?limit=10",
    "/v1/images?limit=10&project=empty",
    "/v1/keys?limit=10",
    "/v1/keys?limit=10&project=empty",
    "/v1/operations?limit=10",
    "/v1/operations?limit=10&project=empty",
    "/v1/operations?limit=10&project=empty&state=running",
    "/v1/prices?limit=10",
    "/v1/projects?limit=10",
    "/v1/tokens?limit=10",
    "/v1/tokens?limit=10&project=empty",

    "/v1/usage/seals",
    "/v1/usage?start=2025-12&project=empty",
    "/v1/usage/now?project=empty",
    "/v1/usage/export?start=2025-12&project=empty",
};

static bool asked(const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
        if (strncmp(questions[i], path, len) == 0 && strchr("?", questions[i][len]))
            return true;
    }
    return false;
}

/* Each list that a project may ask for is among the questions. */
static void test_empty_project__all_lists_are_asked_for(void **state)
{
    (void)state;
    for (const struct route *route = routes; route->method; route++) {
        if (strcmp(route->method, "GET") == 0 && !strchr(route->path, '{') &&
            !(route->flags & (ROUTE_OPEN | ROUTE_OPERATOR | ROUTE_NODE)) && !asked(route->path))
            fail_msg("what %s costs is not looked at", route->path);
    }
}

struct asking {
    const char *const *paths;
    size_t count;
    const char *token;
    const char *after; /* a revision that is kept */
    int64_t *costs;
};

static void ask_all(struct world *world, const struct asking *asking)
{
    autofree char *now =
        xasprintf("%lld", (long long)world_number(world, "SELECT max(revision) - 1 FROM event"));
    for (size_t i = 0; i < asking->count; i++) {
        const char *at = strstr(asking->paths[i], "%s");
        autofree char *path =
            at ? xasprintf("%.*s%s", (int)(at - asking->paths[i]), asking->paths[i], now)
               : xstrdup(asking->paths[i]);
        asking->costs[i] = cost(world, asking->token, path);
    }
}

/* Trees are deeper, and that is all. */
static void must_be_alike(const struct asking *asking, const int64_t *alone, int64_t more)
{
    int failed = 0;
    for (size_t i = 0; i < asking->count; i++) {
        bool alike = asking->costs[i] <= alone[i] + more;
        failed += !alike;
        if (!alike)
            print_message("%s: %lld steps alone, %lld beside others\n", asking->paths[i],
                          (long long)alone[i], (long long)asking->costs[i]);
    }
    assert_int_equal(failed, 0);
}

static void test_empty_project__pays_for_nothing_that_others_have(void **state)
{
    struct world *world = *state;
    int64_t alone[ARRAY_SIZE(questions)], beside[ARRAY_SIZE(questions)];
    tenant_project(world, "empty");
    autofree char *token = tenant_token(world, "empty", "own", "admin");
    struct asking asking = {questions, ARRAY_SIZE(questions), token, NULL, alone};
    ask_all(world, &asking);
    world_close(world);
    put_others(world);
    world_open(world);
    asking.costs = beside;
    ask_all(world, &asking);
    must_be_alike(&asking, alone, 500);
}

static void test_operator__pays_for_the_page_and_not_for_the_table(void **state)
{
    struct world *world = *state;
    int64_t alone[ARRAY_SIZE(of_operators)], beside[ARRAY_SIZE(of_operators)];
    tenant_project(world, "empty");
    struct asking asking = {of_operators, ARRAY_SIZE(of_operators), world->cloud.token, NULL,
                            alone};
    ask_all(world, &asking);
    world_close(world);
    put_others(world);
    world_open(world);
    asking.token = world->cloud.token;
    asking.costs = beside;
    ask_all(world, &asking);
    must_be_alike(&asking, alone, 4000);
}

/* ---- the start ---- */

/* With the first answer, before which it ends. */
static int64_t start(struct world *world)
{
    int64_t before = worked;
    world_open(world);
    world_did(world, 200, "GET", "/v1/healthz", NULL);
    return (worked - before) * STEPS;
}

static void test_start__looks_at_what_is_and_not_at_what_was(void **state)
{
    struct world *world = *state;
    world_close(world);
    int64_t alone = start(world);
    world_close(world);
    put_past(world);
    int64_t after = start(world);
    print_message("the start: %lld steps with nothing, %lld with a past\n", (long long)alone,
                  (long long)after);
    assert_in_range(after, 0, alone + 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_project__all_lists_are_asked_for),
        TEST(test_empty_project__pays_for_nothing_that_others_have),
        TEST(test_start__looks_at_what_is_and_not_at_what_was),
        TEST(test_operator__pays_for_the_page_and_not_for_the_table),
    };
    return cmocka_run_group_tests_name("empty_project", tests, NULL, NULL);
}
