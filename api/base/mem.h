/* Memory: allocation that aborts when it fails, and clean-up by attribute.
 *
 * Every input is bounded before it is copied (see limits.h), so running out of
 * memory is a fault of the machine and not of a request: the process ends and
 * its supervisor starts it again, which the design makes safe. */
#ifndef MINICLOUD_API_BASE_MEM_H
#define MINICLOUD_API_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
/* NULL gives NULL. */
char *xstrdup(const char *text);
/* Copies `len` bytes and ends them with NUL. */
char *xstrndup(const char *text, size_t len);
void *xmemdup(const void *data, size_t len);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* For __attribute__((cleanup)): frees what the variable points to. */
void mem_cleanup(void *variable);
void fd_cleanup(const int *fd);

#define autofree __attribute__((cleanup(mem_cleanup)))
#define autoclose __attribute__((cleanup(fd_cleanup)))

/* Hands the value out of an `auto` variable, which is left NULL. */
#define take(variable)                            \
    __extension__({                               \
        __typeof__(variable) taken_ = (variable); \
        (variable) = NULL;                        \
        taken_;                                   \
    })

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
