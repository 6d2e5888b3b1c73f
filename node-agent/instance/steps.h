/* Carries out the steps that converge decides on, and notes in the facts what each has
 * changed, so that the host need not be looked at again in between. */
#ifndef MINICLOUD_AGENT_STEPS_H
#define MINICLOUD_AGENT_STEPS_H

#include "node-agent/evidence/ends.h"
#include "node-agent/host/host.h"
#include "node-agent/instance/converge.h"

struct step_env {
    struct host host;
    int virt; /* enum virt_type, never auto */
    int64_t gid;
    const char *pool_path, *console_dir;
    const char *qemu_log_dir; /* libvirt's own */
    void *ctx;
    /* Writes evidence down; the wall clock is filled in, a boottime of 0 and a boot id of NULL
     * mean the present ones. */
    int (*witness)(void *ctx, struct observation *o, struct err *err);
    /* Everything witnessed is on disk afterwards. */
    int (*witness_sync)(void *ctx, struct err *err);
    /* A copy for the caller to release; false: not known. */
    bool (*network)(void *ctx, const char *id, struct desired_network *ret);
    /* The networks' rules towards the world are in place. */
    int (*nat)(void *ctx, struct err *err);
    int64_t (*started_at)(void *ctx, const char *id);
    /* What is known of when a run ended. */
    void (*ended)(void *ctx, const char *id, int64_t run, struct ending *ret);
};

/* Everything but STEP_NOTHING, _WAIT, _REFUSE and _FETCH, which are the caller's. For
 * STEP_ASK the caller has filled in s->asking. */
int step_do(const struct step_env *env, struct situation *s, struct facts *facts,
            const struct decision *decision, struct err *err);
/* The first press of the button for this run, or one more. */
void step_asking(struct situation *s);
/* Looks; `list`: with all volumes. Keeps what only the agent knows. */
int step_look(const struct step_env *env, const struct situation *s, bool list, struct facts *facts,
              struct err *err);
/* Writes down that the newest run began, in CLOCK_BOOTTIME ms; 0: now. */
int step_witness_start(const struct step_env *env, const struct facts *facts, int64_t started_ms,
                       struct err *err);
/* Writes down that it is there, with the sizes that it has. */
int step_witness_sizes(const struct step_env *env, const struct facts *facts, struct err *err);
/* Writes down what the newest run has used so far. */
int step_witness_count(const struct step_env *env, const struct facts *facts, struct err *err);

#endif
