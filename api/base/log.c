/* One logfmt line per event on standard error. A line is built whole and written
 * by one write(2) under a lock, so that lines never mix. */
#include "api/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/mem.h"

const char *const log_level_names[] = {"debug", "info", "warn", "error", NULL};

static _Atomic int log_threshold = LOG_INFO;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

void log_set_level(enum log_level level)
{
    atomic_store(&log_threshold, (int)level);
}

/* A line break or an escape sequence from outside must not forge a line or drive
 * the reader's terminal. */
static void add_escaped(struct buf *line, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    for (; *text; text++) {
        unsigned c = (unsigned char)*text;
        if (c >= 0x20 && c != 0x7F) {
            buf_putc(line, *text);
            continue;
        }
        const char escape[] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
        if (c == '\n')
            buf_puts(line, "\\n");
        else
            buf_add(line, escape, sizeof(escape));
    }
}

static void write_whole(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(STDERR_FILENO, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return; /* Nowhere left to say so. */
        data += done;
        len -= (size_t)done;
    }
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&log_threshold, memory_order_relaxed))
        return;
    va_list args;
    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);

    char time[CLOCK_TEXT_MAX];
    clock_format(clock_wall_ms(), time);
    struct buf auto_buf line = {0};
    buf_printf(&line, "time=%s level=%s event=%s", time, log_level_names[level], event);
    if (*text)
        buf_putc(&line, ' ');
    add_escaped(&line, text);
    buf_putc(&line, '\n');

    pthread_mutex_lock(&log_lock);
    write_whole(line.data, line.len);
    pthread_mutex_unlock(&log_lock);
}
