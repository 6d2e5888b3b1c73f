/* Texts of a row in one block. */
#include "controller/db/store.h"

#include <string.h>

#include "api/base/mem.h"

char *texts_keep(const char **const *fields, size_t count)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++)
        size += *fields[i] ? strlen(*fields[i]) + 1 : 0;
    char *block = xmalloc(size), *at = block;
    for (size_t i = 0; i < count; i++) {
        if (!*fields[i])
            continue;
        size_t len = strlen(*fields[i]) + 1;
        memcpy(at, *fields[i], len);
        *fields[i] = at;
        at += len;
    }
    return block;
}
