/* What an hour's seal costs, and its verification, does not grow with what was sealed before:
 * counted in steps of SQLite's machine, which are the same on every computer. */
#include "tests/unit/ledger_fixture.h"

enum { HOUR = 3600 * 1000, RUNNING = 8, EARLY = 60, LATE = 600, SPAN = 20, STEPS = 64 };

static int64_t base;
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

struct hours {
    int from, to;
};

static int count_hour(struct tx *tx, int hour, int instance, struct err *err)
{
    static char boot[] = "boot", spool[] = "spool";
    static int64_t sequence;
    int64_t at = (int64_t)(hour + 1) * HOUR + instance;
    struct observation o = {.boot_id = boot,
                            .boot_order = 1,
                            .incarnation = spool,
                            .sequence = ++sequence,
                            .kind = hour ? OBS_COUNTED : OBS_STARTED,
                            .instance = (char *)(uintptr_t)instance_id(instance),
                            .run = 1,
                            .boottime_ms = hour ? at : instance,
                            .wall_ms = base + (hour ? at : instance)};
    o.vcpus = hour ? 0 : flavor_sizes[1][0];
    o.memory_mib = hour ? 0 : flavor_sizes[1][1];
    o.disk_gib = hour ? 0 : flavor_sizes[1][2];
    o.cpu_ns = (int64_t)hour * 1000000;
    return evidence_add(tx, node_of(instance), &o, hour ? 0 : 1, err) < 0 ? -1 : 0;
}

static int live(struct tx *tx, void *ctx, struct err *err)
{
    const struct hours *hours = ctx;
    for (int hour = hours->from; hour < hours->to; hour++) {
        int64_t until = (int64_t)(hour + 1) * HOUR;
        for (int i = 1; i <= RUNNING; i++) {
            if (count_hour(tx, hour, i, err) != 0)
                return -1;
        }
        for (int node = 1; node <= NODES; node++) {
            struct witnessed seen = {.kind = OBS_SEEN,
                                     .node_key = node,
                                     .boot_id = "boot",
                                     .boottime_ms = until + 1000,
                                     .wall_ms = base + until + 1000};
            if (evidence_witness(tx, &seen, err) != 0)
                return -1;
        }
        if (ledger_seal(tx, base + until, err) != 0)
            return -1;
    }
    return 0;
}

/* What the writer's connection did for these hours. */
static int64_t work_of(struct ledger_db *l, int from, int to)
{
    struct hours hours = {from, to};
    int64_t before = worked;
    ledger_do(l, live, &hours);
    return worked - before;
}

/* For as many hours as work_of() is asked about, of all that are there. */
static int64_t work_of_verifying(struct ledger_db *l)
{
    struct ledger_verdict verdict;
    int64_t before = worked;
    ledger_check(l->reader, &verdict);
    assert_string_equal(verdict.difference, "");
    return (worked - before) * SPAN / verdict.seals;
}

/* All that came before may make a tree deeper, and no more. */
static void must_not_grow(const char *what, int64_t early, int64_t late)
{
    print_message("%s: %lld steps for %d early hours, %lld for as many late ones\n", what,
                  (long long)early * STEPS, SPAN, (long long)late * STEPS);
    assert_true(early > 0);
    assert_true(late < early + early / 2);
}

static void test_ledger__what_an_hour_costs_does_not_grow_with_the_ledger(void **state)
{
    (void)state;
    struct ledger_db l;
    autofree char *dir = guard_tempdir("ledger-growth");
    autofree char *template = ledger_template(dir);
    autofree char *path = xasprintf("%s/ledger.db", dir);
    log_set_level(LOG_ERROR + 1);
    assert_int_equal(clock_parse("2026-01-01T00:00:00Z", &base), 0);
    sqlite3_auto_extension((void (*)(void))watch_connection);
    ledger_open(&l, template, path);
    work_of(&l, 0, EARLY);
    int64_t early = work_of(&l, EARLY, EARLY + SPAN), early_proof = work_of_verifying(&l);
    work_of(&l, EARLY + SPAN, LATE);
    must_not_grow("sealing", early, work_of(&l, LATE, LATE + SPAN));
    must_not_grow("verifying", early_proof, work_of_verifying(&l));
    sqlite3_cancel_auto_extension((void (*)(void))watch_connection);
    ledger_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__what_an_hour_costs_does_not_grow_with_the_ledger),
    };
    return cmocka_run_group_tests_name("ledger_growth", tests, NULL, NULL);
}
