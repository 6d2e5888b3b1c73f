/* Evidence to segments: what the facts about one resource prove, and no more. Pure.
 *
 * The order in which facts came, and how often, changes nothing. Within one boot of a host:
 *   - a run lasts from its start (the earliest word of it) to its stop (likewise). A stop that
 *     was only noticed, or none, ends it where its host last vouched for it, or counted what it
 *     used: then the end is not final, and what follows up to the next fact is a gap.
 *   - the disk exists from the first fact to deletion, or to the last moment that is vouched for.
 *     While no run is on, the instance is allocated.
 *   - delete accepted ends everything at that moment, whatever is told of later ones.
 * Between boots there is nothing but a gap: what nobody saw is shown, and never billed.
 *
 * Lengths are those of the host's CLOCK_BOOTTIME. A boot has one line that turns it into UTC
 * (wall minus boottime at its first fact, or what an operator confirmed), so a wall clock that
 * jumps changes no length. Which of two boots came first says their order, not their lines; where
 * the lines would make one resource's segments overlap, the later boot's are moved behind the
 * earlier one's. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_SEGMENT_USAGE_FOLD_H
#define MINICLOUD_CONTROLLER_LEDGER_SEGMENT_USAGE_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/ledger/segment/segment.h"

/* One boot of one machine. */
struct boot {
    int64_t node_key; /* 0: the controller's own machine */
    const char *boot_id;
    int64_t order;       /* among its node's boots (struct observation); 0: not known */
    int64_t line_ms;     /* UTC of boottime 0 */
    const int64_t *seen; /* when it vouched for all that had not ended; boottime, ascending */
    size_t seen_count;
};

/* One observation of the resource. */
struct fact {
    int64_t key; /* of its row */
    const struct boot *boot;
    int kind; /* enum observation_kind; not seen, clock. Counted: the run was on then */
    int64_t run;
    bool noticed;
    bool told; /* by the controller, in its host's time: the host itself said nothing then */
    int64_t boottime_ms;
    int64_t vcpus, memory_mib, disk_gib; /* of an instance */
    int64_t flavor_key;                  /* that has these sizes; 0: none */
    int64_t bytes;                       /* of an image */
};

/* A sample of a run's counters, since its start. */
struct count {
    int64_t key; /* of its row */
    const struct boot *boot;
    int64_t run, boottime_ms;
    int64_t amounts[SEGMENT_AMOUNTS]; /* cpu_ns, ingress_bytes, egress_bytes */
};

struct segments {
    struct segment *items;
    size_t count, cap;
};
struct segment *segments_add(struct segments *segments, const struct segment *segment);
void segments_release(struct segments *segments);

/* Appends what the facts prove, in order of time, as far as until_ms (UTC): kind, resource,
 * node_key, flavor_key, run, start_ms, end_ms, origin_ms, open, verified and amounts are set; the
 * owner is the caller's. Those that reach until_ms are open. Sorts `facts`. */
struct fold_question {
    int resource; /* enum resource */
    int64_t until_ms;
    /* Samples of counters, some or all, ordered by boot and time. What was used between two of
     * them is spread evenly and told by the hour, so that an hour's row is final as soon as
     * there is a sample behind it. */
    const struct count *counts;
    size_t count_count;
    int64_t counted_from_ms; /* hours that begin before this are not told */
};
struct fold_outcome {
    bool moved; /* a boot was, behind another one */
    /* The lowest key of what speaks of time behind until_ms, and is still to be told; INT64_MAX:
     * nothing does. */
    int64_t pending_key;
    /* What is open goes on for as long as this one vouches; NULL: nothing hangs on that. */
    const struct boot *on;
};
struct fold_outcome usage_fold(const struct fold_question *question, struct fact *facts,
                               size_t count, struct segments *ret_segments);

#endif
