/* JSON pointers (RFC 6901), as errors name fields by. */
#ifndef MINICLOUD_API_BASE_POINTER_H
#define MINICLOUD_API_BASE_POINTER_H

#include <stddef.h>

#include "api/base/err.h"

/* Zero-initialise to start; "" is the whole text. What does not fit is cut. */
struct pointer {
    char text[ERR_FIELD_MAX];
    size_t len;
};

void pointer_add(struct pointer *pointer, const char *name, size_t len);
void pointer_add_index(struct pointer *pointer, size_t index);
/* What a message calls the field: "labels/foo" for "/labels/foo". A parameter's
 * name, which has no slash, stays as it is. */
const char *pointer_label(const char *pointer);

#endif
