/* Sees QEMUs end, by pidfds, whether libvirtd lives or not, writes it down at once (ends.h), so
 * that it is known after the agent's own death too, and tells of it. Thread-safe. */
#ifndef MINICLOUD_AGENT_EXITS_H
#define MINICLOUD_AGENT_EXITS_H

#include <stdint.h>

struct err;
struct exits;

struct exits_settings {
    const char *run_dir;   /* of QEMU's pid files */
    const char *ends_path; /* the file of ends */
    const char *boot_id;
    /* A run has ended, in CLOCK_BOOTTIME ms; once for each. From any thread, and with locks held
     * that no function of this header may be called under. */
    void (*ended)(void *ctx, const char *id, int64_t run, int64_t boottime_ms);
    void *ctx;
};
/* The texts must outlive it. */
int exits_new(const struct exits_settings *settings, struct exits **ret_exits, struct err *err);
/* Nothing is seen by itself any more. */
void exits_stop(struct exits *exits);
void exits_free(struct exits *exits);

/* Ends that came before this call are told of when it returns. */
void exits_look(struct exits *exits);

/* The guest runs: from now on its end is seen. May be repeated; a later run, or the same one
 * under a new number, takes the place of the former. */
void exits_watch(struct exits *exits, const char *id, int64_t run);
/* When the run's QEMU ended, in CLOCK_BOOTTIME ms; 0: that was not seen. One that is known to
 * be ending is waited for, `wait_ms` at most. */
int64_t exits_ended(struct exits *exits, const char *id, int64_t run, int wait_ms);
void exits_forget(struct exits *exits, const char *id);

#endif
