/* What all store_<noun>.c share: pages of rows, and rows whose texts outlive the
 * statement that read them. */
#ifndef MINICLOUD_CONTROLLER_DB_STORE_H
#define MINICLOUD_CONTROLLER_DB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which rows of a list, and what came of it. */
struct window {
    int64_t after_key, limit;
    int64_t count;    /* rows given out */
    int64_t last_key; /* of the last of them */
    bool more;        /* there are rows behind it */
};

/* Copies the texts (NULL stays NULL) into one block, points the fields into it and returns
 * the block, which the caller frees. */
char *texts_keep(const char **const *fields, size_t count);

#endif
