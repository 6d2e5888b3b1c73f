/* create_to_running, creates_parallel and at_rest: a real agent, a real libvirt, real QEMU
 * processes in a host of namespaces. The limit side runs in the same host (bench_libvirt.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/mem.h"
#include "tests/bench/bench.h"

enum { PARALLEL = 16, REST_SECONDS = 20 };

static struct cloud *host_cloud(const char *name)
{
    struct cloud *cloud = cloud_new(name);
    autofree char *tiny = cloud_tiny_image(false);
    cloud_start_controller(cloud, NULL, NULL);
    /* Sixteen guests of one virtual CPU must fit on any machine. */
    const char *flags[] = {"--cpu-overcommit=64", NULL};
    cloud_start_agent(cloud, NULL, flags);
    cloud_add_image(cloud, "tiny", tiny, "qcow2");
    return cloud;
}

static char *create(struct cloud *cloud, const char *name)
{
    struct answer auto_answer_json made =
        cloud_call(cloud, "POST", "/v1/instances",
                   "{\"name\":\"%s\",\"image\":\"tiny\",\"vcpus\":1,\"memory_mib\":128,"
                   "\"disk_gib\":1,\"user_data\":\"#!/bin/sh\\n\"}",
                   name);
    if (made.status != 202)
        cloud_fail("create: %d %s", made.status, made.text);
    return xstrdup(answer_str(&made, "operation.id"));
}

static void await_done(struct cloud *cloud, const char *operation)
{
    struct answer auto_answer_json ended = cloud_operation(cloud, operation, 120000);
    const char *state = answer_str(&ended, "state");
    if (!state || strcmp(state, "done") != 0)
        cloud_fail("operation: %s", ended.text);
}

static void remove_instance(struct cloud *cloud, const char *name)
{
    autofree char *path = xasprintf("/v1/instances/%s", name);
    cloud_done(cloud, "DELETE", path, NULL);
}

/* Runs the limit inside the host over the same domain XML; milliseconds. */
static double bare(struct cloud *cloud, const char *model, int count, int threads)
{
    autofree char *self = xasprintf("%s/bench/minicloud-bench", cloud->bin);
    autofree char *counts = xasprintf("%d", count);
    autofree char *width = xasprintf("%d", threads);
    const char *argv[] = {self, "--inside-host", model, counts, width, NULL};
    int status = 0;
    autofree char *text = cloud_host_output(cloud, argv, &status);
    if (status != 0)
        cloud_fail("the bare side failed: %s", text);
    return strtod(text, NULL);
}

static char *name_of_model(struct cloud *cloud)
{
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/instances/model", NULL);
    return xasprintf("mc-%s", answer_str(&shown, "id"));
}

void bench_create_to_running(void)
{
    struct cloud *cloud = host_cloud("ctr");
    autofree char *first = create(cloud, "model");
    await_done(cloud, first);
    cloud_done(cloud, "POST", "/v1/instances/model/stop", "{\"force\":true}");
    autofree char *model = name_of_model(cloud);
    struct pairs pairs = {0};
    bare(cloud, model, 1, 1);
    for (int i = 0; i < 11; i++) {
        autofree char *name = xasprintf("n%d", i);
        double start = now_s();
        autofree char *operation = create(cloud, name);
        await_done(cloud, operation);
        double ours = (now_s() - start) * 1000;
        remove_instance(cloud, name);
        pairs_add(&pairs, ours, bare(cloud, model, 1, 1));
    }
    pairs_print(&pairs, "create_to_running", "ms from POST to running", "<= 1.10");
    cloud_free(cloud);
}

static double parallel_ours(struct cloud *cloud, int round)
{
    char *operations[PARALLEL];
    double start = now_s();
    for (int i = 0; i < PARALLEL; i++) {
        autofree char *name = xasprintf("p%d-%d", round, i);
        operations[i] = create(cloud, name);
    }
    for (int i = 0; i < PARALLEL; i++) {
        await_done(cloud, operations[i]);
        free(operations[i]);
    }
    double rate = PARALLEL / (now_s() - start);
    for (int i = 0; i < PARALLEL; i++) {
        autofree char *name = xasprintf("p%d-%d", round, i);
        remove_instance(cloud, name);
    }
    return rate;
}

/* The thread count with which bare libvirt is best here. */
static int best_width(struct cloud *cloud, const char *model)
{
    static const int widths[] = {2, 4, 8, 16};
    int best = 1;
    double least = bare(cloud, model, PARALLEL, 1);
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        double took = bare(cloud, model, PARALLEL, widths[i]);
        if (took < least) {
            least = took;
            best = widths[i];
        }
    }
    return best;
}

void bench_creates_parallel(void)
{
    struct cloud *cloud = host_cloud("par");
    autofree char *first = create(cloud, "model");
    await_done(cloud, first);
    cloud_done(cloud, "POST", "/v1/instances/model/stop", "{\"force\":true}");
    autofree char *model = name_of_model(cloud);
    int width = best_width(cloud, model);
    struct pairs pairs = {0};
    for (int i = 0; i < BENCH_PAIRS; i++) {
        double ours = parallel_ours(cloud, i);
        pairs_add(&pairs, ours, PARALLEL * 1000 / bare(cloud, model, PARALLEL, width));
    }
    pairs_print(&pairs, "creates_parallel", "creates a second, 16 at once", ">= 0.95");
    printf("%-18s bare libvirt is best with %d threads here\n", "", width);
    cloud_free(cloud);
}

/* Milliseconds of one whole `cloudctl instance list`, a process of its own. */
static double cloudctl_list(struct cloud *cloud)
{
    autofree char *program = xasprintf("%s/cloudctl", cloud->bin);
    autofree char *token = xasprintf("%s/data/admin.token", cloud->dir);
    const char *argv[] = {program, "--url",    cloud->url, "--token-file",
                          token,   "instance", "list",     NULL};
    double took[BENCH_PAIRS_MAX];
    for (int i = 0; i < BENCH_PAIRS_MAX; i++) {
        double start = now_s();
        int status = proc_run(argv, NULL, "/dev/null", 10000);
        took[i] = (now_s() - start) * 1000;
        if (status != 0)
            cloud_fail("cloudctl instance list ended with %d", status);
    }
    return median(took, BENCH_PAIRS_MAX);
}

void bench_at_rest(void)
{
    struct cloud *cloud = host_cloud("rest");
    autofree char *first = create(cloud, "quiet");
    await_done(cloud, first);
    /* The agent runs behind `host-ns exec`, which replaces itself. */
    pid_t controller = cloud->controller.pid, agent = cloud->agent.pid;
    sleep(3); /* rest begins; the time itself is what is measured here */
    long before[2] = {proc_cpu_ms(controller), proc_cpu_ms(agent)};
    double start = now_s();
    sleep(REST_SECONDS);
    double wall = (now_s() - start) * 1000;
    figure_print("at_rest", "<= 16 MiB, <= 0.2 % each",
                 "controller %.1f MiB %.2f %%; agent %.1f MiB %.2f %%",
                 (double)proc_pss_kib(controller) / 1024,
                 (double)(proc_cpu_ms(controller) - before[0]) * 100 / wall,
                 (double)proc_pss_kib(agent) / 1024,
                 (double)(proc_cpu_ms(agent) - before[1]) * 100 / wall);
    figure_print("", "<= 15 ms", "cloudctl instance list %.1f ms", cloudctl_list(cloud));
    cloud_free(cloud);
}
