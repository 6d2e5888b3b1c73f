/* Values that the agent's unit tests share: one instance as desired. */
#ifndef MINICLOUD_TESTS_AGENT_FIXTURE_H
#define MINICLOUD_TESTS_AGENT_FIXTURE_H

#include "api/node_protocol.h"
#include "node-agent/instance/converge.h"

#define INSTANCE "01900000-0000-7000-8000-000000000001"
#define NETWORK "01900000-0000-7000-8000-0000000000aa"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define EPOCH "epoch-1"
#define SEED INSTANCE ".seed.feedfacefeedface.iso"
#define BASE "image-" SHA256 ".qcow2"

/* The shared texts are literals, which wire structs cannot say. */
static inline char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static inline struct desired_instance desired_running(void)
{
    static struct desired_interface nic;
    static char *keys[1];
    nic = (struct desired_interface){
        .network = text(NETWORK), .mac = text("52:54:01:4d:00:10"), .address = text("10.77.0.16")};
    keys[0] = text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me@here");
    return (struct desired_instance){
        .id = text(INSTANCE),
        .name = text("web1"),
        .generation = 1,
        .power = POWER_RUNNING,
        .run = 1,
        .stop_timeout_ms = 20000,
        .vcpus = 2,
        .memory_mib = 512,
        .disk_gib = 10,
        .disk_number = 1,
        .uid = 200001,
        .image = {.id = text("01900000-0000-7000-8000-00000000001a"),
                  .format = FORMAT_QCOW2,
                  .size_bytes = 1000,
                  .virtual_bytes = 1LL << 30,
                  .sha256 = text(SHA256)},
        .interfaces = {.items = &nic, .count = 1},
        .hostname = text("web1"),
        .keys = {.items = keys, .count = 1},
        .user_data = text("IyEvYmluL3NoCmVjaG8gaGVsbG8K"),
    };
}

/* A domain that was started with run 1, as it should be. */
static inline struct facts facts_running(void)
{
    struct facts f = {.id = INSTANCE,
                      .defined = true,
                      .marked = true,
                      .mark = {.epoch = EPOCH,
                               .generation = 1,
                               .run = 1,
                               .started = 1,
                               .disk = 1,
                               .disk_gib = 10,
                               .uid = 200001,
                               .address = "10.77.0.16",
                               .mac = "52:54:01:4d:00:10",
                               .network = NETWORK},
                      .power = HOST_ACTIVE,
                      .vcpus = 2,
                      .memory_mib = 512,
                      .name = "mc-" INSTANCE,
                      .title = "web1",
                      .disk = INSTANCE ".1.qcow2",
                      .seed = SEED,
                      .base = BASE,
                      .shape = DISK_GOOD,
                      .network_ready = true,
                      .image_ready = true};
    return f;
}

static inline struct facts facts_stopped(void)
{
    struct facts f = facts_running();
    f.power = HOST_OFF;
    f.mark.ended = 1;
    f.mark.cause = CAUSE_ASKED;
    return f;
}

static inline struct facts facts_nothing(void)
{
    struct facts f = {.id = INSTANCE, .network_ready = false};
    return f;
}

#endif
