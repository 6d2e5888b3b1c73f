/* What the agent witnesses of an instance, beyond what its steps write down themselves: what
 * ran before this process began, when runs ended, what they use. In its turn. */
#ifndef MINICLOUD_AGENT_EVIDENCE_H
#define MINICLOUD_AGENT_EVIDENCE_H

#include "node-agent/instance/converge.h"

struct agent;
struct err;
struct instance;
struct step_env;

/* What to add to this boot's boottime for the wall clock; tells when that was set. */
int64_t evidence_line(struct agent *agent);
/* How steps write evidence down, and what they ask for it. */
void evidence_env(struct agent *agent, struct step_env *ret);

/* Evidence that hangs on no step of this process. */
int evidence_rest(struct agent *agent, struct instance *instance, const struct step_env *env,
                  const struct situation *s, const struct decision *d, struct err *err);
/* A step was done: what it wrote down need not be told again, and the sizes that it gave are told
 * at once. */
int evidence_step_done(struct agent *agent, struct instance *instance, const struct step_env *env,
                       const struct situation *s, enum step step, struct err *err);

/* Counts what a guest that runs has used: when it is due, and before `d` would end it. */
void evidence_count(struct agent *agent, struct instance *instance, const struct step_env *env,
                    const struct situation *s, const struct decision *d);
/* When the next turn for that is due, in CLOCK_BOOTTIME ms; 0: it does not run. */
int64_t evidence_count_due(struct agent *agent, const struct instance *instance,
                           const struct situation *s);
/* The first moment after `now` that is a multiple of `every` in UTC; both in boottime. */
int64_t evidence_next_count(int64_t now, int64_t line, int64_t every);

/* A look at the host, not in a turn: its end will be seen from now on. Without the lock. */
void evidence_seen(struct agent *agent, const struct facts *f);
/* A QEMU's end is evidence at once, whatever libvirt has to say of it and when; that comes later
 * and adds how it ended. `agent` is a struct agent; see evidence/exits.h. */
void evidence_ended(void *agent, const char *id, int64_t run, int64_t boottime_ms);
/* The file of ends is kept small; after a listing. */
void evidence_tidy(struct agent *agent);

#endif
