/* The enumerations that all three programs share, with their wire names. */
#ifndef MINICLOUD_API_TYPES_H
#define MINICLOUD_API_TYPES_H

/* What the owner wants of an instance. */
enum power { POWER_STOPPED, POWER_RUNNING };
extern const char *const power_names[]; /* "stopped","running",NULL */

/* What was last proved about an instance. The agent reports the first six (and `absent`);
 * the rest follow in the controller from other rows. */
enum instance_state {
    STATE_PROVISIONING, /* accepted; the host has not made it yet */
    STATE_RUNNING,
    STATE_STOPPED,
    STATE_CRASHED, /* ended without being asked, not by its own shutdown */
    STATE_ERROR,   /* the host could not do it; `reason` says why */
    STATE_ABSENT,  /* agent only: nothing of it is on the host */
    STATE_DELETING,
    STATE_DELETED,
    STATE_UNKNOWN, /* its host is silent */
};
extern const char *const state_names[];

/* Why a run ended. */
enum stop_cause {
    CAUSE_NONE,
    CAUSE_GUEST,  /* the guest powered itself off */
    CAUSE_ASKED,  /* the guest obeyed the power button */
    CAUSE_FORCED, /* destroyed, by `force` or after the timeout */
    CAUSE_CRASHED,
    CAUSE_UNSEEN, /* it ended while nobody could see how */
};
extern const char *const cause_names[];

enum image_format { FORMAT_RAW, FORMAT_QCOW2 };
extern const char *const format_names[];

enum role { ROLE_READER, ROLE_MEMBER, ROLE_ADMIN, ROLE_NODE, ROLE_JOIN };
extern const char *const role_names[];

enum operation_state { OPERATION_RUNNING, OPERATION_DONE, OPERATION_FAILED };
extern const char *const operation_state_names[];

enum virt_type { VIRT_AUTO, VIRT_KVM, VIRT_QEMU };
extern const char *const virt_names[];

/* Evidence: what a host proved about a run (the rows that usage is built on). */
enum observation_kind {
    OBS_STARTED,   /* QEMU runs: its start time */
    OBS_STOPPED,   /* QEMU ended; `cause` says how */
    OBS_ALLOCATED, /* the disk exists, with these sizes from now on */
    OBS_GONE,      /* nothing is left on the host */
    OBS_COUNTED,   /* what a run has used since its start: CPU time and bytes */
    /* Those that only the controller writes. */
    OBS_SEEN,    /* a report came: all of it that had not ended was there */
    OBS_DELETED, /* delete was accepted, in its host's time */
    OBS_CLOCK,   /* an operator said what the wall clock of a boot was */
    OBS_BOOTED,  /* its first report came: its place in the order of boots, which holds */
    OBS_PRICED,  /* a price was set or ended: a number that stands for its terms */
};
extern const char *const observation_names[];

/* Index of `name` in a NULL-ended table, -1 when it is not there. */
int name_index(const char *const *names, const char *name);

#endif
