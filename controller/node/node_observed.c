/* A node's report: whether it may be taken, and what it says of the node itself. */
#include <stdio.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/base/utf8.h"
#include "api/json/validate.h"
#include "controller/instance/instance.h"
#include "controller/instance/operation_rules.h"
#include "controller/instance/store_instance.h"
#include "controller/ledger/clock/clock_step.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/node/node.h"
#include "controller/placement/hosts.h"
#include "controller/placement/store_node.h"
#include "controller/tx/meta.h"
#include "controller/tx/writer.h"

enum { SEEN_WRITTEN_EVERY_MS = 60 * 1000 };
#define WALL_MOST_MS 253402300799999                  /* the end of year 9999 */
#define BOOT_MOST_MS (100 * 366LL * 24 * 3600 * 1000) /* no host is up for a hundred years */

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static bool within(int64_t value, int64_t most)
{
    return value >= 0 && value <= most;
}

static int check_report(const struct node_report *report, struct err *err)
{
    if (report->protocol < 1)
        return err_field(err, "/protocol", "protocol: this controller speaks 1 to %d",
                         NODE_PROTOCOL);
    if (report->revision < 0 || report->sequence < 0)
        return err_field(err, report->revision < 0 ? "/revision" : "/sequence",
                         "revision and sequence may not be below 0");
    if (!within(report->boottime_ms, BOOT_MOST_MS))
        return err_field(err, "/boottime_ms", "boottime_ms: want 0 to %lld",
                         (long long)BOOT_MOST_MS);
    if (!within(report->wall_ms, WALL_MOST_MS))
        return err_field(err, "/wall_ms", "wall_ms: want 0 to %lld", (long long)WALL_MOST_MS);
    if (!within(report->boot_order, WALL_MOST_MS))
        return err_field(err, "/boot_order", "boot_order: want 0 to %lld", (long long)WALL_MOST_MS);
    return node_check_conditions(report, err);
}

void observing_refuse(struct observing *o, const char *what, const char *why)
{
    if (o->refused++)
        return;
    copy(o->refused_what, sizeof(o->refused_what), what);
    o->refused_why = why;
}

static void log_refused(const struct observing *o)
{
    const struct host *host = hosts_find(o->tx->hosts, o->node_key);
    if (o->refused)
        log_warn("node.report", "node=%s refused=%zu first=%s reason=\"%s\"",
                 host ? host->name : "?", o->refused, *o->refused_what ? o->refused_what : "-",
                 o->refused_why);
}

/* Texts of a host end up on people's terminals. */
static void make_harmless(const struct node_report *report)
{
    struct observed_instance *items = report->instances.items;
    for (size_t i = 0; i < report->instances.count; i++) {
        char *texts[] = {items[i].reason, items[i].name, items[i].address};
        for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
            if (texts[t])
                utf8_harmless(texts[t], strlen(texts[t]), ' ');
        }
    }
}

enum order { ORDER_REFUSED = -1, ORDER_NEXT, ORDER_REPEAT, ORDER_NEW_PROCESS, ORDER_NEW_BOOT };

/* Older ones are refused: of the same process by their number, of replaced ones by name. */
static enum order order_of(struct tx *tx, const struct host *host, const struct node_report *report,
                           struct err *err)
{
    bool same_boot = strcmp(report->boot_id, host->boot_id) == 0;
    bool same_process = same_boot && strcmp(report->incarnation, host->incarnation) == 0;
    if (same_process && report->sequence == host->sequence)
        return ORDER_REPEAT;
    if (same_process && report->sequence > host->sequence)
        return ORDER_NEXT;
    int past = same_process ? 1
                            : store_node_past_has(tx->db, host->key, report->boot_id,
                                                  report->incarnation, host->boot_id, err);
    if (past < 0)
        return ORDER_REFUSED;
    if (past) {
        err_set(err, ERR_CONFLICT, "a later report of this host was taken already");
        return ORDER_REFUSED;
    }
    if (!report->full) {
        err_set(err, ERR_CONFLICT, "an agent's first report must be a full one");
        return ORDER_REFUSED;
    }
    return same_boot || !*host->boot_id ? ORDER_NEW_PROCESS : ORDER_NEW_BOOT;
}

static int note_replaced(struct tx *tx, const struct host *host, struct err *err)
{
    if (!*host->boot_id || !*host->incarnation)
        return 0;
    return store_node_past_add(tx->db, host->key, host->boot_id, host->incarnation, err);
}

static bool is_word(const char *text)
{
    struct err auto_err err = {0};
    return strlen(text) < HOST_WORD_MAX && validate_word("", text, &err) == 0;
}

/* The log cannot be mended, so what no host can mean does not get in. */
const char *observation_fault(const struct observation *item)
{
    const int64_t count_most = (int64_t)1 << 60;
    if (item->kind > OBS_COUNTED)
        return "only the controller may say so";
    if (!within(item->boottime_ms, BOOT_MOST_MS) || !within(item->wall_ms, WALL_MOST_MS) ||
        !within(item->boot_order, WALL_MOST_MS))
        return "no time that can be";
    if (!is_word(item->boot_id) || !is_word(item->incarnation) || !id_valid(item->instance))
        return "no name that can be";
    if (!within(item->run, LIMIT_COUNTER) || item->sequence < 0)
        return "no number that can be";
    if (!within(item->vcpus, LIMIT_VCPUS) || !within(item->memory_mib, LIMIT_MEMORY_MIB) ||
        !within(item->disk_gib, LIMIT_DISK_GIB))
        return "no size that can be";
    if (!within(item->cpu_ns, count_most) || !within(item->ingress_bytes, count_most) ||
        !within(item->egress_bytes, count_most))
        return "no count that can be";
    return NULL;
}

/* 1: new. What cannot be is dropped, and what one host says of another's or of an image. */
static int take_observation(struct observing *o, const struct observation *item, struct err *err)
{
    int64_t flavor_key, node_key;
    const char *fault = observation_fault(item);
    int known = fault ? 0 : store_instance_node(o->tx->db, item->instance, &node_key, err);
    if (known < 0)
        return -1;
    if (!fault && (!known || node_key != o->node_key))
        fault = "no instance of this host";
    if (fault) {
        observing_refuse(o, id_valid(item->instance) ? item->instance : "", fault);
        return 0;
    }
    if (store_instance_flavor_of(o->tx->db, item, &flavor_key, err) != 0)
        return -1;
    return evidence_add(o->tx, o->node_key, item, flavor_key, err);
}

/* Evidence is kept for ever, so how much a host may bring has a bound in time. */
static int64_t evidence_left(const struct observing *o, struct host *host)
{
    bool full = o->tx->full;
    int64_t most = full ? LIMIT_EVIDENCE_FULL_AT_ONCE : LIMIT_EVIDENCE_AT_ONCE;
    int64_t rate = full ? LIMIT_EVIDENCE_FULL_SECOND : LIMIT_EVIDENCE_SECOND;
    int64_t now_ms = clock_boottime_ms();
    int64_t more = host->evidence_ms ? (now_ms - host->evidence_ms) * rate / 1000 : most;
    if (host->evidence_left + more >= most) {
        host->evidence_left = most;
        host->evidence_ms = now_ms;
    } else if (more > 0) {
        host->evidence_left += more;
        host->evidence_ms += more * 1000 / rate;
    }
    return host->evidence_left;
}

static void spend_evidence(const struct observing *o, int64_t left)
{
    struct host host = *hosts_find(o->tx->hosts, o->node_key);
    evidence_left(o, &host);
    host.evidence_left = left;
    hosts_put(o->tx->hosts, &host);
}

/* Oldest first and committed together: the last one acknowledges them all. What is too much at
 * once is not acknowledged, and comes again. */
static int take_observations(struct observing *o, struct node_report_ack *ack, struct err *err)
{
    const struct observation *items = o->report->observations.items;
    struct host host = *hosts_find(o->tx->hosts, o->node_key);
    int64_t left = evidence_left(o, &host), before = left;
    for (size_t i = 0; i < o->report->observations.count; i++) {
        if (left == 0) {
            observing_refuse(o, "", "so much evidence at once: the rest of it is taken later");
            o->more = true;
            break;
        }
        int new = take_observation(o, &items[i], err);
        if (new < 0)
            return -1;
        left -= new;
        if (new > 0 && clock_note_ahead(o->tx, o->node_key, &items[i], err) != 0)
            return -1;
        o->wrote |= new > 0;
        ack->spool = items[i].incarnation;
        ack->acknowledged = items[i].sequence;
        if (!new || items[i].kind != OBS_STOPPED || items[i].cause != CAUSE_FORCED)
            continue;
        struct instance auto_instance instance = {0};
        int found = store_instance_find(o->tx->db, items[i].instance, &instance, err);
        if (found < 0 || (found && operation_mark_forced(o->tx, &instance, items[i].run, err) != 0))
            return -1;
    }
    if (left != before)
        spend_evidence(o, left);
    return 0;
}

static bool facts_differ(const struct host *host, const struct node_report *report)
{
    const struct node_capacity *c = &report->capacity;
    return host->capacity.vcpus != c->cpus || host->capacity.memory_mib != c->memory_mib ||
           host->capacity.disk_gib != c->disk_gib || host->virt != c->virt ||
           strcmp(host->boot_id, report->boot_id) != 0 || host->silent || !host->reported ||
           strncmp(host->version, report->version ? report->version : "", HOST_WORD_MAX - 1) != 0;
}

static void tell_back(void *ctx, const struct instance *instance)
{
    struct tx *tx = ctx;
    char what[32];
    struct instance heard = *instance;
    heard.node_silent = false;
    snprintf(what, sizeof(what), "state:%s", state_names[instance_shown_state(&heard)]);
    if (!instance->deleted_ms)
        tx_event(tx, &(struct event_row){.project_key = instance->project_key,
                                         .kind = "instance",
                                         .id = instance->id,
                                         .name = instance->name,
                                         .what = what});
}

/* What was asked for while the host was silent may have been so all along: then no report has
 * anything new to tell, and the rows decide. */
static int judge_again(struct observing *o, struct err *err)
{
    int64_t key = 0;
    int rc;
    while ((rc = store_operation_next_instance(o->tx->db, o->node_key, key, &key, err)) == 1) {
        struct instance auto_instance instance = {0};
        if (store_instance_get(o->tx->db, key, &instance, err) != 0)
            return -1;
        struct outcome outcome = {.converged = true, .generation = instance.observed_generation};
        if (!instance.adopt && operation_judge(o->tx, &instance, &outcome, err) != 0)
            return -1;
    }
    return rc;
}

/* A report that could not carry all its evidence vouches for nothing new: what it left out may
 * be an end that came before. */
static int64_t vouched_ms(const struct observing *o)
{
    return o->more ? 0 : o->report->boottime_ms;
}

static void keep_clocks(struct host *host, const struct observing *o)
{
    const struct node_report *report = o->report;
    int64_t vouched = vouched_ms(o);
    if (o->new_boot || vouched > host->seen_boottime_ms)
        host->seen_boottime_ms = vouched;
    host->pair_boottime_ms = report->boottime_ms;
    host->pair_wall_ms = report->wall_ms;
    host->pair_own_ms = clock_boottime_ms();
}

/* The table always learns of the report; the row only when there is something to keep. */
static int keep_facts(struct observing *o, const struct host *before, struct err *err)
{
    struct tx *tx = o->tx;
    const struct node_report *report = o->report;
    struct host host = *hosts_find(tx->hosts, o->node_key); /* what is used may have changed */
    o->node_event |= facts_differ(before, report);
    host.capacity = (struct sizes){report->capacity.cpus, report->capacity.memory_mib,
                                   report->capacity.disk_gib};
    host.virt = report->capacity.virt;
    host.silent = false;
    host.reported = true;
    host.sequence = report->sequence;
    keep_clocks(&host, o);
    copy(host.version, sizeof(host.version), report->version);
    copy(host.boot_id, sizeof(host.boot_id), report->boot_id);
    host.boot_order = o->boot_order;
    copy(host.incarnation, sizeof(host.incarnation), report->incarnation);
    bool due = tx->now_ms - host.row_seen_ms >= SEEN_WRITTEN_EVERY_MS ||
               strcmp(before->incarnation, host.incarnation) != 0;
    bool write = o->wrote || o->node_event || due;
    if (write)
        host.row_seen_ms = tx->now_ms;
    hosts_put(tx->hosts, &host);
    if (!write)
        return 0;
    int64_t revision = 0;
    if (o->node_event)
        revision = tx_event(tx, &(struct event_row){.kind = "node",
                                                    .id = host.id,
                                                    .name = host.name,
                                                    .what = before->silent     ? "heard"
                                                            : before->reported ? "changed"
                                                                               : "ready"});
    return store_node_set_report(tx->db, &host, revision, err);
}

/* The order in which boots report is seen here. A host counts its boots itself, so that evidence
 * of those that never reported has its place too; but what it counts with can be lost, and the
 * clock that it then begins with may say less than the one before did. Before its evidence. */
static int settle_order(struct observing *o, const struct host *before, enum order order,
                        struct err *err)
{
    int64_t said = o->report->boot_order;
    o->boot_order = before->boot_order;
    if (order == ORDER_NEXT)
        return 0;
    if (order == ORDER_NEW_BOOT || !before->boot_order) {
        o->boot_order = said > before->boot_order ? said : before->boot_order + 1;
        return evidence_booted(o->tx, o->node_key, o->report, o->boot_order, err);
    }
    return 0;
}

static int take_report(struct observing *o, const struct host *before, enum order order,
                       struct node_heard *heard, struct err *err)
{
    o->new_boot = order == ORDER_NEW_BOOT;
    if (order != ORDER_NEXT &&
        (evidence_host_seen(o->tx, before, err) != 0 || note_replaced(o->tx, before, err) != 0))
        return -1;
    if (settle_order(o, before, order, err) != 0)
        return -1;
    if (node_look_for_restore(o, err) != 0 || take_observations(o, &heard->ack, err) != 0 ||
        node_observe_instances(o, err) != 0 || node_observe_conditions(o, err) != 0)
        return -1;
    if (before->silent &&
        (store_instance_of_node(o->tx->db, o->node_key, tell_back, o->tx, err) != 0 ||
         (!o->new_boot && judge_again(o, err) != 0)))
        return -1;
    return keep_facts(o, before, err);
}

int node_observe(struct tx *tx, int64_t node_key, const struct node_report *report,
                 struct node_heard *ret_heard, struct err *err)
{
    *ret_heard = (struct node_heard){0};
    const struct host *host = hosts_find(tx->hosts, node_key);
    if (!host)
        return err_set(err, ERR_NOT_FOUND, "this node was removed: join again");
    struct observing o = {.tx = tx, .node_key = node_key, .report = report, .more = report->more};
    if (check_report(report, err) != 0 || epoch_of_node(tx->db, node_key, o.epoch, err) != 0)
        return -1;
    make_harmless(report);
    o.same_epoch = report->epoch && strcmp(report->epoch, o.epoch) == 0;
    struct host before = *host;
    enum order order = order_of(tx, &before, report, err);
    if (order == ORDER_REFUSED)
        return -1;
    /* A repeat is an agent that did not get its answer: everything in it is committed. */
    int rc = order == ORDER_REPEAT ? take_observations(&o, &ret_heard->ack, err)
                                   : take_report(&o, &before, order, ret_heard, err);
    int64_t first;
    log_refused(&o);
    if (rc != 0 || revision_range(tx->db, &first, &ret_heard->ack.revision, err) != 0 ||
        marks_give(tx->marks, tx->db, o.epoch, ret_heard->ack.revision, ret_heard->mark, err) != 0)
        return -1;
    snprintf(ret_heard->epoch, sizeof(ret_heard->epoch), "%s", o.epoch);
    ret_heard->ack.epoch = ret_heard->epoch;
    ret_heard->ack.boot_order = order == ORDER_REPEAT ? before.boot_order : o.boot_order;
    ret_heard->ack.mark = ret_heard->mark;
    ret_heard->freed = o.freed;
    return 0;
}
