/* Placement: which host gets an instance, and if none, which rule said no on each host,
 * in numbers. Pure: values in, values out.
 *
 * Among the hosts that fit, the one whose scarcest resource has the largest free share wins:
 * the load spreads, and no host is left with memory but no CPUs. Of equals it is the one of
 * the lowest index, so that the same hosts give the same answer. The index is a tree over
 * the hosts whose nodes hold the largest free amount of each resource and the largest share
 * below them: a search leaves out what cannot fit or cannot be better. */
#ifndef MINICLOUD_CONTROLLER_PLACEMENT_PLACEMENT_H
#define MINICLOUD_CONTROLLER_PLACEMENT_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct sizes {
    int64_t vcpus, memory_mib, disk_gib;
};

enum placement_rule {
    RULE_NONE, /* the host fits */
    RULE_SCHEDULABLE,
    RULE_NEVER,
    RULE_SILENT,
    RULE_VCPUS,
    RULE_MEMORY,
    RULE_DISK,
    RULE_COUNT
};
extern const char *const placement_rule_names[];

struct placement_host {
    const char *name;
    struct sizes free; /* may be negative: more is used than there is */
    bool schedulable;
    bool reported; /* it has reported at least once */
    bool silent;
};

/* The first rule that says no, and for amounts the two numbers. */
enum placement_rule placement_judge(const struct placement_host *host, const struct sizes *need,
                                    int64_t *ret_needed, int64_t *ret_free);

enum { PLACEMENT_EXPLAINED = 64 }; /* hosts that a refusal lists one by one */

/* Fills `err` with ERR_NO_CAPACITY: a sentence, and the members `hosts`, `hosts_omitted` and
 * `rules` (count of hosts for each rule). Returns -1. */
int placement_refuse(const struct placement_host *hosts, size_t count, const struct sizes *need,
                     struct err *err);

/* ---- the index ---- */

struct placement;
struct placement *placement_new(void);
void placement_free(struct placement *placement);
/* Free share of the scarcest resource, in 1/65536. */
int32_t placement_share(const struct sizes *free, const struct sizes *capacity);
/* Host `index` has this much free of its capacity; grows as needed. NULL: takes nothing. */
void placement_set(struct placement *placement, size_t index, const struct sizes *free,
                   const struct sizes *capacity);
bool placement_choose(const struct placement *placement, const struct sizes *need,
                      size_t *ret_index);

#endif
