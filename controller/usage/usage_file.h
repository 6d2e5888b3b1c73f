/* Answers that are too long for memory: written to a file without a name beside the database,
 * then sent from there, so that a client may be as slow as it likes and holds no thread. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_FILE_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_FILE_H

#include <stdint.h>

#include "api/base/buf.h"

struct err;
struct request;

struct usage_file {
    struct buf out; /* written to by whoever answers */
    int fd;
    int64_t size;
};

/* Between rows: writes out what has come together. ERR_TOO_LARGE, ERR_STORAGE_FULL. */
int usage_file_flush(struct usage_file *file, struct err *err);

typedef int usage_file_write(struct request *r, struct usage_file *file, struct err *err);
/* Answers from a pool thread; `name` is what a browser saves it as. */
void usage_file_answer(struct request *r, usage_file_write *write, const char *content_type,
                       const char *name);

#endif
