/* What an answer about usage reads of each host that is heard from: counted in statements, which
 * are the same on every computer. */
#include <sqlite3.h>
#include <stdatomic.h>

#include "tests/unit/controller_world.h"

/* What others read and write meanwhile may cost some: less than one more a host. */
enum { HOSTS = 40, TRIES = 9, PER_HOST = 1, OTHERS = HOSTS / 4 };

static atomic_int statements; /* of all connections */

static int count_statement(unsigned what, void *ctx, void *stmt, void *text)
{
    (void)what;
    (void)ctx;
    (void)stmt;
    (void)text;
    statements++;
    return 0;
}

/* Each connection that is opened from here on. */
static int watch_connection(sqlite3 *raw, const char **error,
                            const struct sqlite3_api_routines *api)
{
    (void)error;
    (void)api;
    return sqlite3_trace_v2(raw, SQLITE_TRACE_STMT, count_statement, NULL);
}

/* The least of some, since others write and read meanwhile. */
static int statements_of(struct world *world, const char *path)
{
    int least = INT32_MAX;
    for (int i = 0; i < TRIES; i++) {
        int before = statements;
        world_did(world, 200, "GET", path, NULL);
        int took = statements - before;
        least = took < least ? took : least;
    }
    return least;
}

static void test_usage__an_answer_reads_little_of_a_host_that_told_nothing_new(void **state)
{
    static const char *const paths[] = {"/v1/usage/now", "/v1/usage", "/metrics"};
    struct world *world = *state;
    struct sim_agent *hosts[HOSTS];
    int alone[ARRAY_SIZE(paths)];
    sqlite3_auto_extension((void (*)(void))watch_connection);
    world_restart(world);
    for (int i = 0; i < HOSTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "h%d", i);
        hosts[i] = world_host(world, name, 8192);
        for (size_t k = 0; i == 0 && k < ARRAY_SIZE(paths); k++)
            alone[k] = statements_of(world, paths[k]);
    }
    for (size_t k = 0; k < ARRAY_SIZE(paths); k++) {
        int many = statements_of(world, paths[k]);
        print_message("%s: %d statements with one host, %d with %d\n", paths[k], alone[k], many,
                      HOSTS);
        assert_true(many <= alone[k] + PER_HOST * HOSTS + OTHERS);
    }
    for (int i = 0; i < HOSTS; i++)
        sim_free(hosts[i]);
    sqlite3_cancel_auto_extension((void (*)(void))watch_connection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_usage__an_answer_reads_little_of_a_host_that_told_nothing_new, world_setup,
            world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
