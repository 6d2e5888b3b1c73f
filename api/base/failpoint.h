/* Named failpoints: one stands before (and where it matters also after) every
 * side effect: mutating libvirt calls, COMMIT, fsync, rename, unlink. Lint
 * proves that none is missing, so that kills can be enumerated.
 *
 * Off, a failpoint costs one load and one branch. They are switched on by the
 * environment when the process starts:
 *   MINICLOUD_FAILPOINT=site:n[:action]   at the n-th passage (from 1) of `site`:
 *        kill   SIGKILL to the own process (default)
 *        error  the failpoint returns -1 with ERR_INTERNAL
 *        stop   SIGSTOP to the own process
 *   MINICLOUD_FAILPOINT_LOG=path          appends "site n\n" at every passage
 *                                         (O_APPEND, one write each). */
#ifndef MINICLOUD_API_BASE_FAILPOINT_H
#define MINICLOUD_API_BASE_FAILPOINT_H

#include <stdbool.h>

struct err;

extern bool failpoint_armed;

/* Reads the environment; call once at start, before threads. */
void failpoint_init(void);
/* 0, or -1 with `err` filled when an `error` action fires here. */
int failpoint_hit(const char *site, struct err *err);

/* As an expression: 0 or -1. */
#define FAILPOINT(site, err) (__builtin_expect(failpoint_armed, 0) ? failpoint_hit(site, err) : 0)
/* Where nothing can be returned (an `error` action is ignored). */
#define FAILPOINT_VOID(site) \
    ((void)(__builtin_expect(failpoint_armed, 0) && failpoint_hit(site, 0)))

#endif
