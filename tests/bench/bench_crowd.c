/* create_64_hosts: what reporting hosts cost those who create. */
#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "tests/bench/bench.h"
#include "tests/lib/crowd.h"
#include "tests/lib/sim_agent.h"

enum { CLIENTS = 64, HOSTS = 20, CREATES = 6400 };

static double create_rate(struct crowd *crowd)
{
    autofree char *socket_path = xasprintf("%s/data/api.sock", crowd->cloud->dir);
    struct load load = {.socket = socket_path,
                        .connections = CLIENTS,
                        .requests = CREATES,
                        .make = crowd_create,
                        .ctx = crowd,
                        .expect = 202};
    struct load_result result = load_run(&load);
    if (result.others)
        cloud_fail("unexpected answer: %s", result.first_other);
    return CREATES / result.seconds;
}

void bench_create_64_hosts(void)
{
    struct crowd with, without;
    struct pairs pairs = {0};
    struct cloud *reporting = bench_cloud("hosts"), *silent = bench_cloud("silent");
    crowd_join(&with, reporting, HOSTS);
    crowd_join(&without, silent, HOSTS);
    crowd_silence(&without, true);
    create_rate(&with);
    create_rate(&without);
    for (int i = 0; i < BENCH_PAIRS; i++) {
        crowd_await_running(&with);
        double ours = create_rate(&with);
        pairs_add(&pairs, ours, create_rate(&without));
    }
    pairs_print(&pairs, "create_64_hosts", "creates a second beside 20 hosts that report them",
                ">= 0.9");
    crowd_leave(&with);
    crowd_leave(&without);
    cloud_free(silent);
    cloud_free(reporting);
}
