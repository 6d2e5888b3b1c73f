/* The test's own marks between the records of the programs. */
#include "tests/faults/trace.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/uio.h>
#include <unistd.h>

#include "api/base/mem.h"
#include "tests/lib/cloud.h"

void trace_mark(const char *trace, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);
    struct trace_head head = {
        .magic = TRACE_MAGIC, .kind = TRACE_MARK, .data_len = strlen(text) + 1};
    struct iovec parts[] = {{&head, sizeof(head)}, {text, head.data_len}};
    autoclose int fd = open(trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || writev(fd, parts, 2) != (ssize_t)(sizeof(head) + head.data_len))
        cloud_fail("cannot mark %s", trace);
}
