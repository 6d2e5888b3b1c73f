/* What an instance tells the evidence: which flavor and sizes it has, and what a host still has
 * of it. Inside write jobs. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_EVIDENCE_H
#define MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_EVIDENCE_H

#include <stdint.h>

struct err;
struct instance;
struct node_report;
struct observed_instance;
struct tx;

/* Its flavor changed and its sizes did not. */
int instance_witness_flavor(struct tx *tx, const struct instance *instance, struct err *err);
/* A host that has booted anew still has it, by its first report. */
int instance_witness_there(struct tx *tx, int64_t node_key, const struct node_report *report,
                           const struct observed_instance *seen, struct err *err);
/* After a restored database has taken it over, or has given it up (it is absent): what was
 * acknowledged to the database that is no more does not come again, so the report says what is:
 * that it is there, or gone; that it runs; and that other runs of this boot have ended. */
int instance_witness_taken_over(struct tx *tx, int64_t node_key, const struct node_report *report,
                                const struct observed_instance *seen, struct err *err);

#endif
