/* Allocation that aborts when it fails. Owns nothing but the policy; mem.h says
 * why aborting is right. */
#include "api/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *checked(void *memory)
{
    /* No log_event() here: it allocates. */
    static const char msg[] = "level=error event=out_of_memory\n";
    if (memory)
        return memory;
    ssize_t ignored = write(STDERR_FILENO, msg, sizeof(msg) - 1);
    (void)ignored;
    abort();
}

void *xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
    return checked(realloc(old, size ? size : 1));
}

char *xstrdup(const char *text)
{
    return text ? checked(strdup(text)) : NULL;
}

char *xstrndup(const char *text, size_t len)
{
    char *copy = xmalloc(len + 1);
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

void *xmemdup(const void *data, size_t len)
{
    void *copy = xmalloc(len);
    if (len)
        memcpy(copy, data, len);
    return copy;
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    return text;
}

char *xvasprintf(const char *format, va_list args)
{
    char *text;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    return checked(text);
}

void mem_cleanup(void *variable)
{
    /* Any object pointer may stand behind `variable`: copied, not aliased. */
    void *memory;
    memcpy(&memory, variable, sizeof(memory));
    free(memory);
}

void fd_cleanup(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
