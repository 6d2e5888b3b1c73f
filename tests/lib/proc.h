/* Child processes of a test: started without a shell, their output in a file, waited for by
 * events (pidfd), ended by pid. Every child dies with the test (PR_SET_PDEATHSIG). */
#ifndef MINICLOUD_TESTS_PROC_H
#define MINICLOUD_TESTS_PROC_H

#include <stdbool.h>
#include <sys/types.h>

struct proc {
    pid_t pid;
    int pidfd;
};

/* argv ended by NULL; env: "NAME=value" strings added to the test's own, ended by NULL, may be
 * NULL. Standard output and error are appended to `log` (NULL: inherited). */
struct proc proc_start(const char *const argv[], const char *const env[], const char *log);
/* Waits until it ends; -1 after timeout_ms, else the wait status. Reaps. */
int proc_wait(struct proc *proc, int timeout_ms);
bool proc_running(struct proc *proc);
void proc_signal(struct proc *proc, int signal);
/* SIGTERM, wait, SIGKILL after timeout_ms; returns the wait status. */
int proc_stop(struct proc *proc, int timeout_ms);
void proc_kill(struct proc *proc); /* SIGKILL and reap */
/* Runs to the end; returns its exit status (128+signal when killed). */
int proc_run(const char *const argv[], const char *const env[], const char *log, int timeout_ms);
/* Captures standard output, owned by the caller. */
char *proc_output(const char *const argv[], int *ret_status, int timeout_ms);
/* PSS in KiB from /proc/PID/smaps_rollup; CPU time in ms from /proc/PID/stat. */
long proc_pss_kib(pid_t pid);
long proc_cpu_ms(pid_t pid);

#endif
