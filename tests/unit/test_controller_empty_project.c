/* A project that has nothing pays for nothing: what its questions cost does not grow with what
 * others have. Counted in steps of SQLite's machine, which are the same on every computer. */
#include <sqlite3.h>

#include "controller/request.h"
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

/* ?1: how many. Some live, some are gone, some are past; evidence that no seal knows yet, and a
 * ledger of the months before. Nothing of it is read for what it says. */
static const char *const others[] = {
    "INSERT INTO project (id, name, revision, created_ms) SELECT 'p' || i, 'p' || i, 0, 0 FROM n",
    "INSERT INTO node (id, name, host_uuid, cpus, memory_mib, disk_gib, virt, protocol, revision,"
    " created_ms) SELECT 'n' || i, 'n' || i, 'n' || i, 1, 1, 1, 1, 1, 0, 0 FROM n WHERE i <= 20",
    "INSERT INTO flavor (id, project_key, name, vcpus, memory_mib, disk_gib, revision, created_ms)"
    " VALUES ('f', 1, 'f', 1, 1, 1, 0, 0)",
    "INSERT INTO token (id, name, project_key, role, hash, revision, created_ms, deleted_ms)"
    " SELECT 't' || i, 't' || i, 3, 0, randomblob(32), 0, 0, iif(i % 2, 1, NULL) FROM n",
    "INSERT INTO ssh_key (id, project_key, name, public_key, fingerprint, revision, created_ms,"
    " deleted_ms) SELECT 'k' || i, 3, 'k' || i, '', '', 0, 0, iif(i % 2, 1, NULL) FROM n",
    "INSERT INTO image (id, project_key, name, public, format, state, revision, created_ms,"
    " deleted_ms, file_gone_ms) SELECT 'i' || i, 3, 'i' || i, 0, 0, 0, 0, 0, iif(i % 2, 1, NULL),"
    " iif(i % 2, 1, NULL) FROM n",
    "INSERT INTO price (id, meter, project_key, nanos, minimum_ms, valid_from_ms, revision,"
    " created_ms) SELECT 'c' || i, 'cpu', 3, 1, 0, 1, 0, 0 FROM n",
    "INSERT INTO instance (id, project_key, name, hostname, node_key, image_key, vcpus, memory_mib,"
    " disk_gib, uid, power, generation, run, disk_number, stop_timeout_ms, desired_revision,"
    " revision, created_ms, deleted_ms, gone_ms) SELECT 'v' || i, 3, 'v' || i, 'v', 1 + i % 20, 1,"
    " 1, 64, 1, 300000 + i, 0, 1, 0, 1, 0, 0, 0, 0, iif(i % 2, 1, NULL), iif(i % 2, 1, NULL) FROM "
    "n",
    "INSERT INTO instance_past SELECT 1000000 + i, 'w' || i, 3, 'w' || i, NULL, 1, NULL, 1, 64, 1"
    " FROM n",
    "INSERT INTO interface (instance_key, network_key, position, address, address_number, mac,"
    " released_ms) SELECT i, 1, 0, 'a' || i, i, 'm', iif(i % 2, 1, NULL) FROM n",
    "INSERT INTO operation (id, project_key, instance_key, kind, generation, state, timeout_ms,"
    " revision, created_ms, finished_ms) SELECT 'o' || i, 3, i, 'stop', 1, i % 50 > 0, 1, 0, 0,"
    " iif(i % 50 > 0, 1, NULL) FROM n",
    "INSERT INTO event (time_ms, actor, project_key, kind, id, what)"
    " SELECT 1, '', 3, 'instance', 'v' || i, 'x' FROM n",
    "INSERT INTO audit (time_ms, actor, project_key, action, request_id, revision)"
    " SELECT 1, '', 3, 'x', '', 0 FROM n",
    "INSERT INTO seal VALUES (1, 1767225600000, 0, x'', 1, 0, x'', 1, zeroblob(32))",
    "INSERT INTO segment (ordinal, seal_key, close_seal_key, kind, sign, corrects_until_ms,"
    " resource, resource_key, project_key, node_key, run, start_ms, origin_ms, end_ms, verified,"
    " amount0, amount1, amount2, chain) SELECT i, 1, 1, i % 4, 1, 0, 0, i, 3, 1 + i % 20, 1,"
    " 1764547200000 + i, 1764547200000 + i, 1764547201000 + i, 1, 1, 1, 1, zeroblob(32) FROM n",
    "INSERT INTO segment (seal_key, kind, sign, corrects_until_ms, resource, resource_key,"
    " project_key, node_key, run, start_ms, origin_ms, verified, amount0, amount1, amount2)"
    " SELECT 1, i % 4, 1, 0, 0, i, 3, 1 + i % 20, 1, 1764550800000 + i, 1764550800000 + i, 1, 1, 1,"
    " 1 FROM n WHERE i % 2 = 0",
    "INSERT INTO observation (node_key, boot_id, boot_order, incarnation, sequence, kind,"
    " resource_id, run, cause, noticed, boottime_ms, wall_ms, vcpus, memory_mib, disk_gib, bytes,"
    " cpu_ns, ingress_bytes, egress_bytes, received_ms, chain) SELECT 1 + i % 20, 'b', 1, 's', i,"
    " i % 5, 'v' || i, 1, 0, 0, i, 1767225600000 + i, 1, 64, 1, 0, 0, 0, 0, 0, zeroblob(32) FROM n",
};

static void put_others(struct world *world)
{
    autofree char *path = xasprintf("%s/data/minicloud.db", world->dir);
    sqlite3 *raw = NULL;
    assert_int_equal(sqlite3_open_v2(path, &raw, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_exec(raw, "BEGIN", NULL, NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        autofree char *sql = xasprintf(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) %s",
            OTHERS, others[i]);
        if (sqlite3_exec(raw, sql, NULL, NULL, NULL) != SQLITE_OK)
            fail_msg("%s: %s", others[i], sqlite3_errmsg(raw));
    }
    sqlite3_exec(raw, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(raw);
}

static void put_past(struct world *world)
{
    static const char all_over[] =
        "UPDATE instance SET deleted_ms = 1, gone_ms = 1; UPDATE interface SET released_ms = 1;"
        "UPDATE operation SET state = 1, finished_ms = 1;"
        "UPDATE token SET deleted_ms = 1 WHERE project_key = 3;"
        "UPDATE ssh_key SET deleted_ms = 1; UPDATE image SET deleted_ms = 1, file_gone_ms = 1;";
    autofree char *path = xasprintf("%s/data/minicloud.db", world->dir);
    sqlite3 *raw = NULL;
    put_others(world);
    assert_int_equal(sqlite3_open_v2(path, &raw, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, all_over, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(raw);
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
