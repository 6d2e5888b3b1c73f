/* Readers beside writers and beside one another: the database's log stays below its limit, who
 * asks for much delays only himself, and descriptors that are used up end nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "api/base/limits.h"
#include "controller/descriptors.h"
#include "controller/request/flights.h"
#include "controller/tx/readers.h"
#include "controller/wait/pool.h"
#include "tests/lib/bell.h"
#include "tests/lib/raw_http.h"
#include "tests/unit/controller_tenants.h"

enum { WAL_MIB = 8, WRITERS = 8, WRITTEN_MIB = 48, CHUNK = 64 * 1024 };

static int setup_small_log(void **state)
{
    if (world_setup(state) != 0)
        return -1;
    struct world *world = *state;
    world->wal_limit_mib = WAL_MIB;
    world_restart(world);
    return 0;
}

/* ---- writers ---- */

struct load {
    struct world *world;
    atomic_int chunks; /* yet to be written */
    _Atomic int64_t log_max;
    atomic_bool over;
};

static int write_chunk(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct stmt auto_stmt *stmt =
        db_stmt(tx->db, "INSERT INTO meta (name, value) VALUES ('chunk' || random(),"
                        " hex(randomblob(?)))");
    stmt_bind(stmt, "i", (int64_t)CHUNK / 2);
    return stmt_run(stmt, err);
}

static void look_at_log(struct load *load)
{
    struct stat st;
    autofree char *path = xasprintf("%s-wal", load->world->app->db_path);
    int64_t size = stat(path, &st) == 0 ? st.st_size : 0, max = load->log_max;
    while (size > max && !atomic_compare_exchange_weak(&load->log_max, &max, size))
        ;
}

static void *write_much(void *ctx)
{
    struct load *load = ctx;
    struct write_job job = {.run = write_chunk};
    while (atomic_fetch_sub(&load->chunks, 1) > 0) {
        struct err auto_err err = {0};
        if (writer_call(load->world->app->writer, &job, &err) != 0)
            abort();
        look_at_log(load);
    }
    return NULL;
}

/* Writes it all, and sees how long the log gets. */
static void run_writers(struct load *load)
{
    pthread_t threads[WRITERS];
    load->chunks = WRITTEN_MIB * 1024 * 1024 / CHUNK;
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_much, load), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    load->over = true;
    bell_ring();
}

static void expect_log_below(const struct load *load)
{
    if (load->log_max > (int64_t)WAL_MIB << 20)
        fail_msg("the log took %lld bytes, of %lld", (long long)load->log_max,
                 (long long)WAL_MIB << 20);
}

/* ---- readers beside them ---- */

static int64_t count_meta(struct world *world, struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(app_reader(world->app), "SELECT count(*) FROM meta");
    return stmt_step(stmt, err) == 1 ? stmt_i64(stmt, 0) : -1;
}

static atomic_int begun;

/* One read that goes on as long as there are writers, step by step. */
static void *read_on(void *ctx)
{
    struct load *load = ctx;
    struct err auto_err err = {0};
    app_snapshot_begin_long();
    while (!load->over) {
        if (count_meta(load->world, &err) < 0)
            abort();
        begun = 1;
        bell_ring();
        app_snapshot_step(load->world->app);
    }
    app_snapshot_end();
    return NULL;
}

static void test_log__stays_below_its_limit_beside_a_read_that_never_ends(void **state)
{
    struct load load = {.world = *state};
    pthread_t reader;
    begun = 0;
    assert_int_equal(pthread_create(&reader, NULL, read_on, &load), 0);
    bell_await(begun);
    run_writers(&load);
    pthread_join(reader, NULL);
    expect_log_below(&load);
    assert_true(load.log_max > (int64_t)WAL_MIB << 18); /* it was looked at */
}

static atomic_int ended;

/* One statement after the other, without ever letting go. */
static void *read_stubbornly(void *ctx)
{
    struct load *load = ctx;
    struct err auto_err err = {0};
    app_snapshot_begin_long();
    while (!load->over && count_meta(load->world, &err) >= 0) {
        begun = 1;
        bell_ring();
    }
    app_snapshot_end();
    ended = err.code;
    return NULL;
}

static void test_log__a_read_that_does_not_let_go_is_ended(void **state)
{
    struct load load = {.world = *state};
    struct writer_stats stats;
    pthread_t reader;
    begun = ended = 0;
    assert_int_equal(pthread_create(&reader, NULL, read_stubbornly, &load), 0);
    bell_await(begun);
    run_writers(&load);
    pthread_join(reader, NULL);
    assert_int_equal(ended, ERR_UNAVAILABLE);
    expect_log_below(&load);
    writer_stats(load.world->app->writer, &stats);
    assert_int_equal(stats.wal_cuts, 1);
}

static atomic_int answered, refused;

static void *ask_again_and_again(void *ctx)
{
    struct load *load = ctx;
    struct world *world = load->world;
    autofree char *path = xasprintf("%s/data/api.sock", world->dir);
    struct raw auto_raw raw = raw_open_unix(path);
    autofree char *text = xasprintf("GET /v1/usage HTTP/1.1\r\nHost: x\r\n"
                                    "Authorization: Bearer %s\r\n\r\n",
                                    world->cloud.token);
    while (!load->over) {
        struct raw_reply auto_raw_reply reply = {0};
        raw_puts(&raw, text);
        raw_read(&raw, &reply);
        atomic_fetch_add(reply.status == 200 ? &answered : &refused, 1);
        bell_ring();
    }
    return NULL;
}

static void test_log__stays_below_its_limit_beside_who_asks_for_usage_again_and_again(void **state)
{
    struct load load = {.world = *state};
    pthread_t readers[3];
    answered = refused = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, ask_again_and_again, &load), 0);
    bell_await(answered > 0);
    run_writers(&load);
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i], NULL);
    expect_log_below(&load);
    assert_int_equal(refused, 0);
}

static void test_log__its_size_and_its_limit_are_metrics(void **state)
{
    struct world *world = *state;
    struct answer auto_answer_json metrics = world_call(world, 200, "GET", "/metrics", NULL);
    assert_non_null(strstr(metrics.text, "minicloud_wal_limit_bytes 8388608\n"));
    assert_non_null(strstr(metrics.text, "\nminicloud_wal_bytes "));
}

/* ---- beside one another ---- */

enum { ASKERS = 64 };

struct asker {
    struct raw raw;
    struct raw_reply reply;
};

static struct asker ask(struct world *world, const char *token, const char *path)
{
    autofree char *socket = xasprintf("%s/data/api.sock", world->dir);
    struct asker asker = {.raw = raw_open_unix(socket)};
    autofree char *text =
        xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, token);
    assert_true(raw_puts(&asker.raw, text));
    return asker;
}

static void take_reply(struct asker *asker, int status)
{
    raw_read(&asker->raw, &asker->reply);
    assert_int_equal(asker->reply.status, status);
    raw_reply_release(&asker->reply);
    raw_close(&asker->raw);
}

static atomic_int blocked;
static atomic_bool gate_open;

static void block(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&blocked, 1);
    bell_ring();
    for (uint64_t seen = bell_rings(); !gate_open; seen = bell_rings())
        bell_wait(seen, bell_patience());
}

/* Two others' reads are at all threads of this pool, and go on until the gate opens. */
static void occupy(struct pool *pool)
{
    gate_open = false;
    blocked = 0;
    assert_int_equal(pool_submit_lane(pool, 1001, block, NULL), POOL_TAKEN);
    assert_int_equal(pool_submit_lane(pool, 1002, block, NULL), POOL_TAKEN);
    bell_await(blocked == 2);
}

static void let_go(void)
{
    gate_open = true;
    bell_ring();
}

/* Until so many wait, or were taken along by one that does. */
static void await_readers(struct world *world, size_t waiting, size_t shared)
{
    world_until(world, pool_waiting(world->app->ledger_reads) == waiting &&
                           flights_shared(world->app->flights) == shared);
}

static void
test_reads__what_one_project_asks_of_the_ledger_delays_no_list_and_no_agent(void **state)
{
    struct world *world = *state;
    tenant_project(world, "loud");
    tenant_project(world, "quiet");
    autofree char *loud = tenant_token(world, "loud", "l", "reader");
    autofree char *quiet = tenant_token(world, "quiet", "q", "reader");
    struct sim_agent *host = world_host(world, "h1", 8192);
    struct err auto_err err = {0};
    struct asker askers[ASKERS];
    occupy(world->app->ledger_reads);
    for (int i = 0; i < ASKERS; i++) {
        autofree char *page = xasprintf("/v1/usage?limit=%d", i + 1);
        askers[i] = ask(world, loud, i % 2 ? "/v1/usage/now" : page);
    }
    await_readers(world, 1 + ASKERS / 2, ASKERS / 2 - 1);
    /* Nothing of all that has moved when these are answered. */
    assert_int_equal(tenant_status(world, quiet, "GET", "/v1/instances", NULL), 200);
    assert_int_equal(tenant_status(world, loud, "GET", "/v1/operations", NULL), 200);
    assert_int_equal(sim_round(host, true, 0, &err), 0);
    assert_int_equal(pool_waiting(world->app->ledger_reads), 1 + ASKERS / 2);
    let_go();
    for (int i = 0; i < ASKERS; i++)
        take_reply(&askers[i], 200);
    sim_free(host);
}

static void test_reads__equal_questions_of_one_project_are_answered_by_one_read(void **state)
{
    struct world *world = *state;
    tenant_project(world, "one");
    tenant_project(world, "other");
    autofree char *one = tenant_token(world, "one", "a", "reader");
    autofree char *too = tenant_token(world, "one", "b", "reader");
    autofree char *other = tenant_token(world, "other", "c", "reader");
    struct asker askers[ASKERS];
    occupy(world->app->ledger_reads);
    for (int i = 0; i < ASKERS; i++)
        askers[i] = ask(world, i % 2 ? one : too, "/v1/usage/now");
    struct asker foreign = ask(world, other, "/v1/usage/now");
    struct asker different = ask(world, one, "/v1/usage");
    await_readers(world, 3, ASKERS - 1);
    let_go();
    for (int i = 0; i < ASKERS; i++)
        take_reply(&askers[i], 200);
    take_reply(&foreign, 200);
    take_reply(&different, 200);
}

static void
test_reads__one_project_can_have_so_many_waiting_and_is_told_when_to_come_back(void **state)
{
    struct world *world = *state;
    tenant_project(world, "loud");
    autofree char *loud = tenant_token(world, "loud", "l", "reader");
    int64_t project = world_number(world, "SELECT key FROM project WHERE name = 'loud'");
    occupy(world->app->ledger_reads);
    for (int i = 0; i < LIMIT_LANE_READS; i++)
        assert_int_equal(pool_submit_lane(world->app->ledger_reads, project, block, NULL),
                         POOL_TAKEN);
    struct asker asker = ask(world, loud, "/v1/usage/now");
    raw_read(&asker.raw, &asker.reply);
    autofree char *after = raw_header(&asker.reply, "Retry-After");
    assert_int_equal(asker.reply.status, 429);
    assert_string_equal(after, "1");
    raw_reply_release(&asker.reply);
    raw_close(&asker.raw);
    let_go();
    world_did(world, 200, "GET", "/v1/usage/now", NULL);
}

static void test_reads__what_takes_too_much_reading_is_refused_by_name(void **state)
{
    struct world *world = *state;
    enum { STEPS = 50000 };
    struct load load = {.world = world, .chunks = 1};
    write_much(&load);
    for (int i = 0; i < 20; i++)
        world_did(world, 201, "POST", "/v1/projects", "{\"name\":\"p%d\"}", i);
    readers_set_steps(world->app->readers, STEPS);
    world_did(world, 200, "GET", "/v1/usage/now", NULL);
    struct err auto_err err = {0};
    app_snapshot_begin_long();
    struct stmt auto_stmt *stmt = db_stmt(
        app_reader(world->app), "SELECT count(*) FROM event a, event b, event c, event d, event e");
    assert_int_equal(stmt_step(stmt, &err), -1);
    app_snapshot_end();
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_non_null(strstr(err.msg, "too much reading"));
}

/* ---- descriptors ---- */

struct spent {
    int fds[4096];
    size_t count;
};

/* All that this process may open. */
static void spend_all(struct spent *spent)
{
    int fd;
    while (spent->count < ARRAY_SIZE(spent->fds) &&
           (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        spent->fds[spent->count++] = fd;
    assert_int_equal(errno, EMFILE);
}

static void give_back(struct spent *spent)
{
    while (spent->count > 0)
        close(spent->fds[--spent->count]);
}

static int get_on(struct world *world, struct raw *raw, const char *path)
{
    struct raw_reply auto_raw_reply reply = {0};
    autofree char *text = xasprintf(
        "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, world->cloud.token);
    assert_true(raw_puts(raw, text));
    raw_read(raw, &reply);
    return reply.status;
}

static void test_descriptors__a_controller_that_has_none_left_goes_on(void **state)
{
    struct world *world = *state;
    struct spent spent = {0};
    struct rlimit had, few;
    autofree char *socket = xasprintf("%s/data/api.sock", world->dir);
    struct raw auto_raw raw = raw_open_unix(socket);
    assert_int_equal(get_on(world, &raw, "/v1/healthz"), 200);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
    few = (struct rlimit){.rlim_cur = 1024, .rlim_max = had.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    spend_all(&spent);
    /* None of these threads has read before. */
    int list = get_on(world, &raw, "/v1/instances"), now = get_on(world, &raw, "/v1/usage/now");
    int file = get_on(world, &raw, "/v1/usage/export");
    give_back(&spent);
    int again = get_on(world, &raw, "/v1/usage/export");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
    assert_int_equal(list, 200);
    assert_int_equal(now, 200);
    assert_int_equal(file, 503);
    assert_int_equal(again, 200);
}

static void test_descriptors__the_limit_is_raised_at_the_start(void **state)
{
    struct world *world = *state;
    struct rlimit had, few, now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
    few = (struct rlimit){.rlim_cur = 512, .rlim_max = had.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    world_restart(world);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    if (now.rlim_cur < had.rlim_max)
        assert_true(now.rlim_cur >= 2 * LIMIT_CONNECTIONS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
}

/* Connection and file of each, the readers' and some in reserve: all within the limit. */
static void test_descriptors__connections_leave_some_to_the_controller(void **state)
{
    (void)state;
    for (unsigned limit = 256; limit <= 65536; limit *= 2) {
        unsigned share = descriptors_share(limit, 20);
        assert_in_range(share, LIMIT_CONNECTIONS_LEAST, LIMIT_CONNECTIONS);
        assert_true(limit >= 2 * share + 2 * 20 + LIMIT_RESERVED_FILES ||
                    share == LIMIT_CONNECTIONS_LEAST);
    }
    assert_int_equal(descriptors_share(65536, 20), LIMIT_CONNECTIONS);
    assert_int_equal(descriptors_share(0, 20), LIMIT_CONNECTIONS_LEAST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, setup_small_log, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_log__stays_below_its_limit_beside_a_read_that_never_ends),
        LOG_TEST(test_log__a_read_that_does_not_let_go_is_ended),
        LOG_TEST(test_log__stays_below_its_limit_beside_who_asks_for_usage_again_and_again),
        LOG_TEST(test_log__its_size_and_its_limit_are_metrics),
        TEST(test_reads__what_one_project_asks_of_the_ledger_delays_no_list_and_no_agent),
        TEST(test_reads__equal_questions_of_one_project_are_answered_by_one_read),
        TEST(test_reads__one_project_can_have_so_many_waiting_and_is_told_when_to_come_back),
        TEST(test_reads__what_takes_too_much_reading_is_refused_by_name),
        TEST(test_descriptors__a_controller_that_has_none_left_goes_on),
        TEST(test_descriptors__the_limit_is_raised_at_the_start),
        TEST(test_descriptors__connections_leave_some_to_the_controller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
