/* What waits for the writer, in two lanes: hosts' reports, and all else. Where both wait, hosts
 * get a tenth of the writer's time, so that those who ask for machines are answered at once and
 * no host's many words can hold them up; a report that has waited long goes all the same. Not
 * locked: its owner does that. */
#ifndef MINICLOUD_CONTROLLER_TX_WRITE_QUEUE_H
#define MINICLOUD_CONTROLLER_TX_WRITE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/tx/write_job.h"

enum write_lane { LANE_PEOPLE, LANE_HOSTS, LANES };

struct write_queue {
    struct write_ring {
        struct queued_job *jobs; /* a ring */
        size_t head, count, cap;
    } lanes[LANES];
    int64_t credit_ns; /* time that hosts may still take; below 0: they took more */
};

void write_queue_release(struct write_queue *queue);
/* false: too many wait in its lane. */
bool write_queue_add(struct write_queue *queue, const struct write_job *job, int64_t now_ns);
size_t write_queue_count(const struct write_queue *queue);
bool write_queue_take(struct write_queue *queue, enum write_lane lane, struct write_job *ret_job);
/* Takes a host's job if it is its turn, in a group that has run others' jobs or not
 * (`contended`) and hosts' jobs for `hosts_ns` already. */
bool write_queue_take_turn(struct write_queue *queue, bool contended, int64_t hosts_ns,
                           int64_t now_ns, struct write_job *ret_job);
/* After a group: how long its jobs and its COMMIT took, and of that hosts' jobs. */
void write_queue_spent(struct write_queue *queue, bool contended, int64_t all_ns, int64_t hosts_ns);

#endif
