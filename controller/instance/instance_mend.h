/* Rows of instances that cannot be. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_MEND_H
#define MINICLOUD_CONTROLLER_INSTANCE_INSTANCE_MEND_H

struct err;
struct tx;

/* At start: a row whose numbers no instance can have (an older version let a host set them, or a
 * disk was bad) must stop nothing and nobody else. It is cut to what can be, named in the log and
 * shown as an error, and its host is asked what there is. */
int instances_mend(struct tx *tx, void *unused, struct err *err);

#endif
