/* The tree over free amounts, and the words of a refusal. */
#include "controller/placement/placement.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"

const char *const placement_rule_names[] = {"none",  "schedulable", "never_reported", "silent",
                                            "vcpus", "memory",      "disk",           NULL};

enum placement_rule placement_judge(const struct placement_host *host, const struct sizes *need,
                                    int64_t *ret_needed, int64_t *ret_free)
{
    *ret_needed = *ret_free = 0;
    if (!host->schedulable)
        return RULE_SCHEDULABLE;
    if (!host->reported)
        return RULE_NEVER;
    if (host->silent)
        return RULE_SILENT;
    const int64_t needed[] = {need->vcpus, need->memory_mib, need->disk_gib};
    const int64_t free_of[] = {host->free.vcpus, host->free.memory_mib, host->free.disk_gib};
    for (int i = 0; i < 3; i++) {
        if (needed[i] > free_of[i]) {
            *ret_needed = needed[i];
            *ret_free = free_of[i];
            return RULE_VCPUS + i;
        }
    }
    return RULE_NONE;
}

/* ---- refusal ---- */

struct refusal {
    size_t counts[RULE_COUNT];
    int64_t best[RULE_COUNT]; /* largest free amount among the hosts that a rule refused */
    size_t listed;
};

static void list_host(struct refusal *refusal, struct json_writer *w,
                      const struct placement_host *host, const struct sizes *need)
{
    int64_t needed, free_amount;
    enum placement_rule rule = placement_judge(host, need, &needed, &free_amount);
    if (refusal->counts[rule]++ == 0 || free_amount > refusal->best[rule])
        refusal->best[rule] = free_amount;
    if (refusal->listed == PLACEMENT_EXPLAINED)
        return;
    refusal->listed++;
    json_open(w, NULL, '{');
    json_put_str(w, "node", host->name);
    json_put_str(w, "rule", placement_rule_names[rule]);
    if (rule >= RULE_VCPUS) {
        json_put_i64(w, "needed", needed);
        json_put_i64(w, "free", free_amount);
    }
    json_close(w, '}');
}

static void put_counts(const struct refusal *refusal, struct json_writer *w)
{
    json_open(w, "rules", '{');
    for (int i = RULE_NONE + 1; i < RULE_COUNT; i++) {
        if (refusal->counts[i])
            json_put_i64(w, placement_rule_names[i], (int64_t)refusal->counts[i]);
    }
    json_close(w, '}');
}

static void say_rule(struct buf *out, enum placement_rule rule, size_t count, int64_t best)
{
    const char *hosts = count == 1 ? "host" : "hosts";
    switch (rule) {
    case RULE_SCHEDULABLE:
        buf_printf(out, "%zu %s not schedulable", count, hosts);
        return;
    case RULE_NEVER:
        buf_printf(out, "%zu %s never heard of since joining", count, hosts);
        return;
    case RULE_SILENT:
        buf_printf(out, "%zu %s silent", count, hosts);
        return;
    case RULE_VCPUS:
        buf_printf(out, "%zu %s with too few vcpus free (at most %" PRId64 ")", count, hosts, best);
        return;
    case RULE_MEMORY:
        buf_printf(out, "%zu %s with too little memory free (at most %" PRId64 " MiB)", count,
                   hosts, best);
        return;
    default:
        buf_printf(out, "%zu %s with too little disk free (at most %" PRId64 " GiB)", count, hosts,
                   best);
    }
}

static void say_rules(const struct refusal *refusal, struct buf *out)
{
    const char *before = "";
    for (int i = RULE_NONE + 1; i < RULE_COUNT; i++) {
        if (!refusal->counts[i])
            continue;
        buf_puts(out, before);
        say_rule(out, (enum placement_rule)i, refusal->counts[i], refusal->best[i]);
        before = ", ";
    }
    if (!*before)
        buf_puts(out, "no host has joined");
}

int placement_refuse(const struct placement_host *hosts, size_t count, const struct sizes *need,
                     struct err *err)
{
    struct refusal refusal = {0};
    struct buf auto_buf more = {0}, auto_buf words = {0};
    struct json_writer w = JSON_WRITER(&more);
    json_open(&w, NULL, '{');
    json_open(&w, "hosts", '[');
    for (size_t i = 0; i < count; i++)
        list_host(&refusal, &w, &hosts[i], need);
    json_close(&w, ']');
    json_put_i64(&w, "hosts_omitted", (int64_t)(count - refusal.listed));
    put_counts(&refusal, &w);
    json_close(&w, '}');
    say_rules(&refusal, &words);
    err_set(err, ERR_NO_CAPACITY,
            "no host has room for %" PRId64 " vcpus, %" PRId64 " MiB memory and %" PRId64
            " GiB disk: %s",
            need->vcpus, need->memory_mib, need->disk_gib, words.data);
    err->more = buf_take(&more);
    return -1;
}

/* ---- the index ---- */

/* 32 bits are plenty for MiB and GiB of one host, and keep 10,000 hosts in the cache. */
struct amounts {
    int32_t share, memory, vcpus, disk;
};

static const struct amounts closed = {-1, -1, -1, -1};

struct placement {
    size_t leaves;         /* a power of two */
    struct amounts *nodes; /* 1 is the root, n's children are 2n and 2n+1 */
};

static int32_t narrow(int64_t value)
{
    return value < -1 ? -1 : value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void pull(struct placement *placement, size_t node)
{
    const struct amounts *a = &placement->nodes[2 * node], *b = a + 1;
    placement->nodes[node] = (struct amounts){.share = larger(a->share, b->share),
                                              .memory = larger(a->memory, b->memory),
                                              .vcpus = larger(a->vcpus, b->vcpus),
                                              .disk = larger(a->disk, b->disk)};
}

static void grow(struct placement *placement, size_t leaves)
{
    struct amounts *nodes = xcalloc(2 * leaves, sizeof(*nodes));
    for (size_t i = 0; i < leaves; i++) {
        nodes[leaves + i] =
            i < placement->leaves ? placement->nodes[placement->leaves + i] : closed;
    }
    free(placement->nodes);
    placement->nodes = nodes;
    placement->leaves = leaves;
    for (size_t i = leaves - 1; i > 0; i--)
        pull(placement, i);
}

struct placement *placement_new(void)
{
    struct placement *placement = xcalloc(1, sizeof(*placement));
    grow(placement, 16);
    return placement;
}

void placement_free(struct placement *placement)
{
    if (!placement)
        return;
    free(placement->nodes);
    free(placement);
}

static int64_t share_of(int64_t free_amount, int64_t capacity)
{
    if (free_amount <= 0 || capacity <= 0)
        return 0;
    return free_amount >= capacity ? 65536 : free_amount * 65536 / capacity;
}

int32_t placement_share(const struct sizes *free_now, const struct sizes *capacity)
{
    int64_t share = share_of(free_now->memory_mib, capacity->memory_mib);
    int64_t vcpus = share_of(free_now->vcpus, capacity->vcpus);
    int64_t disk = share_of(free_now->disk_gib, capacity->disk_gib);
    share = vcpus < share ? vcpus : share;
    return (int32_t)(disk < share ? disk : share);
}

void placement_set(struct placement *placement, size_t index, const struct sizes *free_now,
                   const struct sizes *capacity)
{
    size_t leaves = placement->leaves;
    while (index >= leaves)
        leaves *= 2;
    if (leaves != placement->leaves)
        grow(placement, leaves);
    size_t node = leaves + index;
    placement->nodes[node] = closed;
    if (free_now)
        placement->nodes[node] = (struct amounts){.share = placement_share(free_now, capacity),
                                                  .memory = narrow(free_now->memory_mib),
                                                  .vcpus = narrow(free_now->vcpus),
                                                  .disk = narrow(free_now->disk_gib)};
    for (node /= 2; node > 0; node /= 2)
        pull(placement, node);
}

struct search {
    const struct placement *placement;
    struct amounts need;
    int32_t best_share;
    size_t best; /* node number of the best leaf, 0: none yet */
};

static bool worth(const struct search *search, size_t node, size_t first_leaf)
{
    const struct amounts *most = &search->placement->nodes[node];
    if (most->memory < search->need.memory || most->vcpus < search->need.vcpus ||
        most->disk < search->need.disk)
        return false;
    return !search->best || most->share > search->best_share ||
           (most->share == search->best_share && first_leaf < search->best);
}

/* Depth is the logarithm of the number of hosts. `width`: leaves below `node`. */
static void descend(struct search *search, size_t node, size_t first_leaf, size_t width)
{
    if (!worth(search, node, first_leaf))
        return;
    const struct amounts *nodes = search->placement->nodes;
    if (width == 1) {
        search->best = node;
        search->best_share = nodes[node].share;
        return;
    }
    size_t half = width / 2, left = 2 * node;
    if (nodes[left + 1].share > nodes[left].share) {
        descend(search, left + 1, first_leaf + half, half);
        descend(search, left, first_leaf, half);
    } else {
        descend(search, left, first_leaf, half);
        descend(search, left + 1, first_leaf + half, half);
    }
}

bool placement_choose(const struct placement *placement, const struct sizes *need,
                      size_t *ret_index)
{
    struct search search = {.placement = placement,
                            .need = {.memory = narrow(need->memory_mib),
                                     .vcpus = narrow(need->vcpus),
                                     .disk = narrow(need->disk_gib)}};
    descend(&search, 1, placement->leaves, placement->leaves);
    if (!search.best)
        return false;
    *ret_index = search.best - placement->leaves;
    return true;
}
