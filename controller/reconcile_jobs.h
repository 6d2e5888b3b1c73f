/* What comes due, and what is done then: the table that the timer works by. */
#ifndef MINICLOUD_CONTROLLER_RECONCILE_JOBS_H
#define MINICLOUD_CONTROLLER_RECONCILE_JOBS_H

#include "controller/due/reconcile.h"

extern const struct due_job reconcile_jobs[DUE_COUNT];

#endif
