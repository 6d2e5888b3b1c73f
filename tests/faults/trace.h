/* What cutshim.so writes and replay.c reads: one record for each call that changes a file
 * or a folder below the watched one, in the order in which they happened, and marks of
 * the test between them. A record is this head, then path, path2 and data. */
#ifndef MINICLOUD_TESTS_TRACE_H
#define MINICLOUD_TESTS_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum trace_kind {
    TRACE_START, /* a process begins: no descriptor of an earlier one counts any more */
    TRACE_OPEN,  /* fd, path, flags, mode */
    TRACE_CLOSE,
    TRACE_DUP,      /* fd -> fd2 */
    TRACE_WRITE,    /* fd, offset, data */
    TRACE_TRUNCATE, /* fd, offset = new size */
    TRACE_EXTEND,   /* fd, offset = size at least (fallocate) */
    TRACE_CHMOD,    /* fd, mode */
    TRACE_SYNC,     /* fsync or fdatasync of fd, file or folder */
    TRACE_RENAME,   /* path -> path2 */
    TRACE_LINK,     /* path -> path2 */
    TRACE_UNLINK,
    TRACE_MKDIR, /* path, mode */
    TRACE_RMDIR,
    TRACE_MARK, /* data: a line of the test's own */
    TRACE_KINDS
};

enum { TRACE_MAGIC = 0x43555431 };

struct trace_head {
    uint32_t magic;
    uint32_t kind;
    int32_t fd, fd2;
    uint32_t flags, mode;
    uint64_t offset;
    uint32_t path_len, path2_len;
    uint64_t data_len;
};

/* The environment of cutshim.so. */
#define CUTSHIM_ROOT "CUTSHIM_ROOT"   /* absolute folder that is watched */
#define CUTSHIM_TRACE "CUTSHIM_TRACE" /* file the records are appended to */

/* Appends a mark, at most a few KiB; safe from any thread and process. */
void trace_mark(const char *trace, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
