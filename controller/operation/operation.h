/* Operations: what a person waits on. Made in the transaction of the request that caused
 * it, finished in the one that saw observed catch up with desired, or by its deadline. */
#ifndef MINICLOUD_CONTROLLER_OPERATION_OPERATION_H
#define MINICLOUD_CONTROLLER_OPERATION_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/err.h"
#include "api/base/id.h"
#include "api/types.h"
#include "controller/db/store.h"

struct db;
struct json_writer;
struct tx;

struct operation_new {
    int64_t project_key, instance_key;
    const char *kind;        /* "create", "start", ... */
    int64_t generation, run; /* the instance's */
    int64_t timeout_ms;
    int64_t revision; /* of the instance's event, which tells of it too */
};

struct operation_ref {
    int64_t key;
    char id[ID_TEXT_MAX];
};

int operation_create(struct tx *tx, const struct operation_new *new, struct operation_ref *ret_ref,
                     struct err *err);

struct operation_end {
    enum operation_state state; /* done or failed */
    enum err_code code;         /* why it failed */
    const char *detail;
    bool forced; /* the guest did not obey and was ended */
};

/* Ends a running one, with its event, and wakes who waits. One that has ended stays as it
 * ended. */
int operation_finish(struct tx *tx, int64_t key, const struct operation_end *end, struct err *err);
/* Ends all that run on an instance with a generation below `below` (INT64_MAX: all). */
int operation_finish_all(struct tx *tx, int64_t instance_key, int64_t below,
                         const struct operation_end *end, struct err *err);

/* As a member `key` (NULL: the root) of a JSON reply. ERR_NOT_FOUND when there is no such
 * row. */
int operation_put(struct db *db, int64_t operation_key, struct json_writer *w, const char *key,
                  struct err *err);

struct operation_status {
    int64_t revision;
    bool running;
};
int operation_status(struct db *db, int64_t key, struct operation_status *ret_status,
                     struct err *err);

/* Which of them; 0 and NULL: any. */
struct operation_filter {
    int64_t project_key, instance_key;
    const char *kind;
    int state; /* enum operation_state + 1 */
};
int operation_list_rows(struct db *db, const struct operation_filter *filter, struct json_writer *w,
                        struct window *window, struct err *err);

#endif
