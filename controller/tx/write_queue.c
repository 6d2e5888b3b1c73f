#include "controller/tx/write_queue.h"

#include <stdlib.h>

#include "api/base/mem.h"

enum {
    LANE_MAX = 16384,
    HOSTS_SHARE = 10,                   /* one part in so many */
    HOSTS_GROUP_NS = 10 * 1000 * 1000,  /* of one group, while nobody else waits */
    HOSTS_CREDIT_NS = 20 * 1000 * 1000, /* what is not used does not add up */
    HOSTS_WAIT_MS = 5000,               /* far below any node_lease that makes sense */
};

struct queued_job {
    struct write_job job;
    int64_t since_ns;
};

void write_queue_release(struct write_queue *queue)
{
    for (int lane = 0; lane < LANES; lane++)
        free(queue->lanes[lane].jobs);
    *queue = (struct write_queue){0};
}

static void grow(struct write_ring *ring)
{
    size_t cap = ring->cap ? ring->cap * 2 : 256;
    struct queued_job *jobs = xcalloc(cap, sizeof(*jobs));
    for (size_t i = 0; i < ring->count; i++)
        jobs[i] = ring->jobs[(ring->head + i) % ring->cap];
    free(ring->jobs);
    *ring = (struct write_ring){.jobs = jobs, .count = ring->count, .cap = cap};
}

bool write_queue_add(struct write_queue *queue, const struct write_job *job, int64_t now_ns)
{
    struct write_ring *ring = &queue->lanes[job->of_host ? LANE_HOSTS : LANE_PEOPLE];
    if (ring->count >= LANE_MAX)
        return false;
    if (ring->count == ring->cap)
        grow(ring);
    ring->jobs[(ring->head + ring->count++) % ring->cap] =
        (struct queued_job){.job = *job, .since_ns = now_ns};
    return true;
}

size_t write_queue_count(const struct write_queue *queue)
{
    return queue->lanes[LANE_PEOPLE].count + queue->lanes[LANE_HOSTS].count;
}

bool write_queue_take(struct write_queue *queue, enum write_lane lane, struct write_job *ret_job)
{
    struct write_ring *ring = &queue->lanes[lane];
    if (ring->count == 0)
        return false;
    *ret_job = ring->jobs[ring->head].job;
    ring->head = (ring->head + 1) % ring->cap;
    ring->count--;
    return true;
}

bool write_queue_take_turn(struct write_queue *queue, bool contended, int64_t hosts_ns,
                           int64_t now_ns, struct write_job *ret_job)
{
    const struct write_ring *hosts = &queue->lanes[LANE_HOSTS];
    if (hosts->count == 0)
        return false;
    bool turn = hosts_ns < HOSTS_GROUP_NS;
    if (contended || queue->lanes[LANE_PEOPLE].count > 0) {
        int64_t waited_ms = (now_ns - hosts->jobs[hosts->head].since_ns) / 1000000;
        turn = hosts_ns < queue->credit_ns || (hosts_ns == 0 && waited_ms >= HOSTS_WAIT_MS);
    }
    return turn && write_queue_take(queue, LANE_HOSTS, ret_job);
}

void write_queue_spent(struct write_queue *queue, bool contended, int64_t all_ns, int64_t hosts_ns)
{
    /* What hosts took while nobody else was there was nobody's. */
    if (!contended)
        return;
    queue->credit_ns += all_ns / HOSTS_SHARE - hosts_ns;
    if (queue->credit_ns > HOSTS_CREDIT_NS)
        queue->credit_ns = HOSTS_CREDIT_NS;
}
