/* What the handlers of instances share. */
#ifndef MINICLOUD_CONTROLLER_INSTANCE_HANDLE_INSTANCE_H
#define MINICLOUD_CONTROLLER_INSTANCE_HANDLE_INSTANCE_H

#include "controller/instance/instance.h"
#include "controller/instance/operation_rules.h"
#include "controller/request/request.h"

/* Writes the object with its addresses. */
int instance_show(struct db *db, const struct instance *instance, struct json_writer *w,
                  const char *key, struct err *err);
/* A hash of the whole body: names of what an instance points at are shown too, and change
 * without it. Owned by the caller. */
char *instance_etag(const struct buf *body);
/* In a write: the instance that the path names, If-Match checked. The caller releases. */
int instance_target(struct tx *tx, struct request *r, struct instance *ret_instance,
                    struct err *err);
/* In a write: 202 with the instance and its operation, whose deadline counts from COMMIT. */
int instance_accepted(struct tx *tx, struct request *r, const struct instance *instance,
                      const struct operation_ref *operation, const struct wish *wish,
                      struct err *err);
struct wish instance_wish(const struct request *r, int64_t extra_ms);

/* The image that `ref` means, ready to be used for something new. The caller releases. */
int instance_find_image(struct tx *tx, struct request *r, int64_t project_key, const char *ref,
                        struct image *ret_image, struct err *err);

#endif
