/* Clean-up that survives the test's own death: a guard process waits for the test to
 * end, in whatever way, and then undoes what was registered, newest first. */
#ifndef MINICLOUD_TESTS_GUARD_H
#define MINICLOUD_TESTS_GUARD_H

#include <sys/types.h>

/* Each may be called at any time; the first call starts the guard. */
void guard_kill(pid_t pid);               /* SIGKILL to exactly this process (by pidfd) */
void guard_run(const char *const argv[]); /* run a program, argv ended by NULL */
void guard_remove(const char *path);      /* remove a tree */
/* Undo everything now and wait until it is done (at the end of a test). */
void guard_flush(void);

/* A new folder under $TMPDIR, registered for removal. Owned by the caller. Traversable by
 * any user, since guests run as users of their own. */
char *guard_tempdir(const char *name);

#endif
