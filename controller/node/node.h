/* Nodes: how they join, are heard, fall silent and are removed. Runs inside write jobs. */
#ifndef MINICLOUD_CONTROLLER_NODE_NODE_H
#define MINICLOUD_CONTROLLER_NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/node_protocol.h"
#include "controller/node/marks.h"

struct db;
struct err;
struct json_writer;
struct node;
struct token_made;
struct tx;

/* With its conditions and quarantined domains. */
int node_put(struct db *db, struct json_writer *w, const char *key, const struct node *node,
             struct err *err);

/* The same host joining again gets its node back, and a new token. */
int node_joins(struct tx *tx, const struct node_join *join, struct node *ret_node,
               struct token_made *ret_token, struct err *err);
int node_set_schedulable(struct tx *tx, struct node *node, bool schedulable, struct err *err);
/* Its lease ended without a report. */
int node_fall_silent(struct tx *tx, int64_t node_key, struct err *err);
/* Refused while instances are on it, unless `force` declares them gone. */
int node_remove(struct tx *tx, struct node *node, bool force, struct err *err);

/* Takes in a report. `ret_ack` borrows from the report and from here. */
struct node_heard {
    struct node_report_ack ack;
    char epoch[ID_TEXT_MAX];
    char mark[MARK_MAX];
    bool freed; /* something is gone: files may be reaped */
};
int node_observe(struct tx *tx, int64_t node_key, const struct node_report *report,
                 struct node_heard *ret_heard, struct err *err);

/* ---- between the files that take in reports ---- */

struct observing {
    struct tx *tx;
    int64_t node_key;
    const struct node_report *report;
    char epoch[ID_TEXT_MAX]; /* own */
    bool same_epoch;         /* the agent has seen it */
    bool new_boot;
    int64_t boot_order; /* of its boot, as it was settled */
    bool wrote;         /* a row changed, so the report's sequence must last */
    bool node_event;    /* something shown of the node changed */
    bool freed;
    bool more;        /* there is evidence that this report did not bring, or that is for later */
    size_t strangers; /* that came into quarantine by this report */
    /* What was not taken of it: how much, and the first of that. One line of the log says so. */
    size_t refused;
    char refused_what[ID_TEXT_MAX];
    const char *refused_why;
};
/* Why no host can mean this piece of evidence; NULL: it may be. */
const char *observation_fault(const struct observation *item);
/* `what`: an instance or a domain, "" for all; copied. `why` lives on. */
void observing_refuse(struct observing *o, const char *what, const char *why);
/* node_instances.c: all instances of a report. */
int node_observe_instances(struct observing *o, struct err *err);
/* node_quarantine.c: domains that are none of ours. `foreign`: indexes into the report, which
 * it sorts. */
int node_observe_quarantine(struct observing *o, size_t *foreign, size_t count, struct err *err);
/* Frees the numbers and the room of all that is quarantined there. */
int node_forget_quarantine(struct tx *tx, int64_t node_key, struct err *err);
/* node_conditions.c: what it says is amiss with it. */
int node_check_conditions(const struct node_report *report, struct err *err);
int node_observe_conditions(struct observing *o, struct err *err);
int node_forget_conditions(struct tx *tx, int64_t node_key, struct err *err);
/* node_epoch.c: whether this database is a copy from the past; then a new epoch begins, for all
 * or for this node. */
int node_look_for_restore(struct observing *o, struct err *err);

/* A new epoch for all, later than `after` (NULL: any): every host's facts are taken over. */
int epoch_begin(struct tx *tx, const char *after, char epoch[ID_TEXT_MAX], struct err *err);

#endif
