/* What the two halves of cutshim.so share. */
#ifndef MINICLOUD_TESTS_CUTSHIM_H
#define MINICLOUD_TESTS_CUTSHIM_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tests/faults/trace.h"

/* Held over a call and its record. */
extern pthread_mutex_t cutshim_lock;

/* Appends a record; `data` is cut at head.data_len. */
void cutshim_put(struct trace_head head, const char *path, const char *path2,
                 const struct iovec *data, int count);
void cutshim_put_fd(enum trace_kind kind, int fd, uint64_t offset, uint32_t mode);
/* The absolute form of a path if it lies at or below the root. */
bool cutshim_below(int dirfd, const char *path, char out[PATH_MAX]);
/* A descriptor that was closed behind our back and is now something else is dropped. */
bool cutshim_watched(int fd);
_Noreturn void cutshim_give_up(const char *what);

#endif
