/* A host's token in bad hands: reports as texts, whatever they say. */
#ifndef MINICLOUD_TESTS_EVIL_HOST_H
#define MINICLOUD_TESTS_EVIL_HOST_H

#include <fcntl.h>

#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
#include "tests/unit/controller_world.h"

/* Two hosts with one instance each: "one" on the good one, "two" on the evil one. */
struct evil {
    struct world *world;
    struct sim_agent *good, *host;
    char *one, *one_path, *two, *two_path;
    char incarnation[ID_TEXT_MAX];
    int64_t sequence;
};

static __attribute__((unused)) struct evil evil_open(void **state)
{
    struct evil evil = {.world = *state};
    world_image(evil.world, "tiny");
    evil.good = world_host(evil.world, "good", 8192);
    evil.one = world_create(evil.world, "one");
    evil.host = world_host(evil.world, "evil", 8192);
    evil.two = world_create(evil.world, "two");
    evil.one_path = world_instance(evil.one);
    evil.two_path = world_instance(evil.two);
    world_settle(evil.good);
    world_settle(evil.host);
    world_see(evil.world, evil.one_path, "node", "good");
    world_see(evil.world, evil.two_path, "node", "evil");
    id_new(evil.incarnation);
    return evil;
}

static __attribute__((unused)) void evil_close(struct evil *evil)
{
    sim_free(evil->good);
    sim_free(evil->host);
    free(evil->one);
    free(evil->one_path);
    free(evil->two);
    free(evil->two_path);
}
#define auto_evil __attribute__((cleanup(evil_close)))

/* The members of a report without `instances` and `observations`. */
struct claim {
    bool full;
    const char *more;                     /* further members, with a comma at their end */
    const char *instances, *observations; /* items of the lists; NULL: none */
};

static __attribute__((unused)) char *evil_text(struct evil *evil, const struct claim *claim)
{
    return xasprintf(
        "{%s\"protocol\":1,\"boot_id\":\"%s\",\"incarnation\":\"%s\",\"sequence\":%lld,"
        "\"boottime_ms\":%lld,\"wall_ms\":%lld,\"full\":%s,\"capacity\":{\"cpus\":16,"
        "\"memory_mib\":8192,\"disk_gib\":500,\"virt\":\"qemu\"},"
        "\"instances\":[%s],\"observations\":[%s]}",
        claim->more ? claim->more : "", sim_boot_id(evil->host), evil->incarnation,
        (long long)++evil->sequence, (long long)clock_boottime_ms(), (long long)clock_wall_ms(),
        claim->full ? "true" : "false", claim->instances ? claim->instances : "",
        claim->observations ? claim->observations : "");
}

static __attribute__((unused)) struct answer evil_say(struct evil *evil, const struct claim *claim)
{
    autofree char *text = evil_text(evil, claim);
    return cloud_call_as(&evil->world->cloud, sim_token(evil->host), NULL, "POST",
                         "/v1/node/observed", text);
}

static __attribute__((unused)) void evil_said(struct evil *evil, int status,
                                              const struct claim *claim)
{
    struct answer auto_answer_json answer = evil_say(evil, claim);
    if (answer.status != status)
        fail_msg("the report gave %d, not %d: %s", answer.status, status, answer.text);
}

/* Its first report: a process of its own, that has nothing to tell. */
static __attribute__((unused)) void evil_begin(struct evil *evil)
{
    autofree char *two = xasprintf("{\"id\":\"%s\",\"state\":\"running\",\"run\":1}", evil->two);
    evil_said(evil, 200, &(struct claim){.full = true, .instances = two});
}

/* The epoch that a node is in, owned by the caller. */
static __attribute__((unused)) char *evil_epoch(struct evil *evil, int64_t node_key)
{
    struct err auto_err err = {0};
    char epoch[ID_TEXT_MAX];
    assert_int_equal(epoch_of_node(app_reader(evil->world->app), node_key, epoch, &err), 0);
    return xstrdup(epoch);
}

/* What is written to standard error by `run`, owned by the caller. */
static __attribute__((unused)) char *evil_log_of(void (*run)(struct evil *), struct evil *evil)
{
    struct err auto_err err = {0};
    struct buf text = {0};
    autofree char *path = xasprintf("%s/log", evil->world->dir);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    int before = dup(STDERR_FILENO);
    assert_true(file >= 0 && before >= 0);
    dup2(file, STDERR_FILENO);
    log_set_level(LOG_INFO);
    run(evil);
    log_set_level(LOG_ERROR);
    dup2(before, STDERR_FILENO);
    close(before);
    close(file);
    if (file_read(path, 1 << 20, &text, &err) != 0)
        fail_msg("%s", err.msg);
    return text.data ? buf_take(&text) : xstrdup("");
}

#endif
