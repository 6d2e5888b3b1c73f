/* The placement table in memory says at all times what the rows say. */
#include "controller/instance/instance.h"
#include "controller/instance/store_instance.h"
#include "controller/placement/hosts.h"
#include "tests/unit/controller_world.h"

/* On the writer's thread: the live table beside one that was built from the rows just now. */
static int compare_run(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct hosts *fresh = hosts_new();
    if (hosts_load(fresh, tx->db, err) != 0)
        return -1;
    int differs = 0;
    size_t live = 0;
    for (size_t i = 0; i < hosts_count(tx->hosts); i++) {
        const struct host *a = hosts_at(tx->hosts, i);
        if (!a)
            continue;
        live++;
        const struct host *b = hosts_find(fresh, a->key);
        differs |= !b || memcmp(&a->used, &b->used, sizeof(a->used)) != 0 ||
                   memcmp(&a->capacity, &b->capacity, sizeof(a->capacity)) != 0 ||
                   a->instances != b->instances || a->schedulable != b->schedulable ||
                   a->silent != b->silent || a->reported != b->reported;
    }
    differs |= live != hosts_count(fresh);
    differs |= hosts_uid_lowest(tx->hosts) != hosts_uid_lowest(fresh);
    differs |= numbers_lowest(&hosts_network_default(tx->hosts)->numbers) !=
               numbers_lowest(&hosts_network_default(fresh)->numbers);
    hosts_free(fresh);
    return differs ? err_set(err, ERR_INTERNAL, "table and rows differ") : 0;
}

static void agree(struct world *world, int step)
{
    struct err auto_err err = {0};
    struct write_job job = {.run = compare_run};
    if (writer_call(world->app->writer, &job, &err) != 0)
        fail_msg("after step %d: %s", step, err.msg);
}

enum { HOSTS = 3, SLOTS = 12 };

struct history {
    struct world *world;
    struct sim_agent *hosts[HOSTS];
    char *ids[SLOTS];
};

static void send_away(struct history *h, const char *method, const char *path, const char *body)
{
    struct answer auto_answer_json answer =
        cloud_call(&h->world->cloud, method, path, body ? "%s" : NULL, body);
    if (answer.status < 200 || answer.status >= 500)
        fail_msg("%s %s: %d %s", method, path, answer.status, answer.text);
}

static void create_one(struct history *h, size_t slot)
{
    struct answer auto_answer_json made = cloud_call(
        &h->world->cloud, "POST", "/v1/instances",
        "{\"name\":\"vm%ld\",\"image\":\"tiny\",\"vcpus\":%ld,\"memory_mib\":%ld,\"disk_gib\":1}",
        random() % 20, random() % 3 + 1, random() % 2000 + 64);
    assert_true(made.status == 202 || made.status == 409);
    if (made.status == 202) {
        free(h->ids[slot]);
        h->ids[slot] = xstrdup(answer_str(&made, "instance.id"));
    }
}

static void step_once(struct history *h)
{
    size_t slot = (size_t)random() % SLOTS;
    struct sim_agent *host = h->hosts[random() % HOSTS];
    const char *id = h->ids[slot];
    switch (random() % 9) {
    case 0:
    case 1:
        create_one(h, slot);
        break;
    case 2:
        if (id) {
            autofree char *path = world_instance(id);
            send_away(h, "DELETE", path, NULL);
        }
        break;
    case 3:
        if (id)
            send_away(h, "POST", world_action_path(id, "stop"), "{}");
        break;
    case 4:
        if (id)
            send_away(h, "POST", world_action_path(id, "resize"),
                      random() % 2 ? "{\"vcpus\":2,\"disk_gib\":3}" : "{\"memory_mib\":9999999}");
        break;
    case 5: {
        autofree char *name = xasprintf("0b0b0b0b-0000-4000-8000-00000000000%ld", random() % 4);
        struct sim_guest guest;
        if (sim_guest(host, name, &guest))
            sim_lose(host, name);
        else
            sim_foreign(host, name, random() % 2, random() % 900, 200000 + random() % 6,
                        "10.77.0.5");
        break;
    }
    case 6:
        send_away(h, "PATCH", "/v1/nodes/h1",
                  random() % 2 ? "{\"schedulable\":false}" : "{\"schedulable\":true}");
        break;
    case 7:
        sim_restart(host);
        break;
    default:
        if (random() % 3 == 0)
            sim_reboot(host);
    }
    struct err auto_err err = {0};
    sim_round(host, random() % 3 == 0, 0, &err);
}

static void test_hosts__say_what_the_rows_say_after_any_history(void **state)
{
    struct history h = {.world = *state};
    world_image(h.world, "tiny");
    srandom(11);
    for (int i = 0; i < HOSTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "h%d", i + 1);
        h.hosts[i] = world_host(h.world, name, 6000);
    }
    for (int step = 0; step < 600; step++) {
        step_once(&h);
        agree(h.world, step);
    }
    send_away(&h, "DELETE", "/v1/nodes/h2?force=true", NULL);
    agree(h.world, -1);
    assert_true(world_number(h.world, "SELECT count(*) FROM instance") > 20);
    for (int i = 0; i < HOSTS; i++)
        sim_free(h.hosts[i]);
    for (size_t i = 0; i < SLOTS; i++)
        free(h.ids[i]);
}

/* Changes everything that can be changed, then fails. */
static int fail_run(struct tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct host host = *hosts_at(tx->hosts, 0);
    struct sizes more = {1, 2, 3};
    hosts_use(tx->hosts, host.key, &more, 1);
    hosts_uid_set(tx->hosts, hosts_uid_lowest(tx->hosts), true);
    const struct hosts_network *network = hosts_network_default(tx->hosts);
    hosts_address_set(tx->hosts, network->key, numbers_lowest(&network->numbers), true);
    host.schedulable = false;
    hosts_put(tx->hosts, &host);
    host.key += 100;
    hosts_put(tx->hosts, &host);
    hosts_remove(tx->hosts, host.key - 100);
    return err_set(err, ERR_CONFLICT, "as meant");
}

static void test_hosts__forget_what_a_failed_job_did(void **state)
{
    struct world *world = *state;
    struct sim_agent *host = world_host(world, "h1", 6000);
    struct err auto_err err = {0};
    struct write_job job = {.run = fail_run};
    assert_int_equal(writer_call(world->app->writer, &job, &err), -1);
    agree(world, 0);
    sim_free(host);
}

static void test_hosts__give_no_address_or_uid_twice(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct err auto_err err = {0};
    struct sim_agent *host = NULL;
    struct sim_settings settings = {
        .url = world->cloud.url,
        .join_token = world->join,
        .name = "wide",
        .passive = true,
        .capacity = {.cpus = 1000, .memory_mib = 1 << 20, .disk_gib = 100000}};
    assert_int_equal(sim_new(&settings, &host, &err), 0);
    world_settle(host);
    int made = 0;
    for (;; made++) {
        struct answer auto_answer_json answer =
            cloud_call(&world->cloud, "POST", "/v1/instances",
                       "{\"name\":\"vm%d\",\"image\":\"tiny\",\"flavor\":\"tiny\"}", made);
        if (answer.status == 202)
            continue;
        assert_int_equal(answer.status, 409);
        assert_non_null(strstr(answer_str(&answer, "detail"), "every address"));
        break;
    }
    assert_int_equal(made, 253); /* .2 to .254 */
    assert_int_equal(world_number(world, "SELECT count(DISTINCT address) FROM interface"), 253);
    assert_int_equal(world_number(world, "SELECT count(DISTINCT mac) FROM interface"), 253);
    assert_int_equal(world_number(world, "SELECT count(DISTINCT uid) FROM instance"), 253);
    agree(world, made);
    sim_free(host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hosts__say_what_the_rows_say_after_any_history),
        TEST(test_hosts__forget_what_a_failed_job_did),
        TEST(test_hosts__give_no_address_or_uid_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
