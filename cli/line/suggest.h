/* "Did you mean": the nearest of some names by edit distance. */
#ifndef MINICLOUD_CLI_LINE_SUGGEST_H
#define MINICLOUD_CLI_LINE_SUGGEST_H

#include <stddef.h>

/* NULL when none is near. Names that begin with an underscore are never meant. */
const char *suggest(const char *given, const char *const *names, size_t count);
/* "a, b or c" of a NULL-ended table; owned by the caller. */
char *suggest_all(const char *const *names);

#endif
