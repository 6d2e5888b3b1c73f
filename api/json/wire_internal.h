/* What the files of wire share: wire_refuse.c (errors and bounds), wire_scalar.c
 * (single values), wire_decode.c, wire_encode.c and wire_values.c. */
#ifndef MINICLOUD_API_JSON_WIRE_INTERNAL_H
#define MINICLOUD_API_JSON_WIRE_INTERNAL_H

#include "api/json/wire.h"

/* Where a value stands, linked up the call stack and put into words only for an
 * error or a check. */
struct wire_place {
    const struct wire_place *parent;
    const char *name; /* NULL: an item of an array */
    size_t index;
};

struct wire_decoder {
    enum wire_mode mode;
    struct err *err;
};

int wire_refuse(const struct wire_decoder *d, const struct wire_place *place, const char *format,
                ...) __attribute__((format(printf, 3, 4)));
int wire_refuse_type(const struct wire_decoder *d, const struct wire_place *place,
                     const char *wanted, const struct json *got);
int wire_check_range(const struct wire_decoder *d, const struct wire_place *place,
                     const struct wire_field *field, int64_t value);
/* `max` 0: no bound. `unit` is what is counted. */
int wire_check_size(const struct wire_decoder *d, const struct wire_place *place, int64_t min,
                    int64_t max, size_t size, const char *unit);
/* Runs a validator of validate.h; NULL takes all. */
int wire_check_text(const struct wire_decoder *d, const struct wire_place *place, wire_check *check,
                    const char *text);

/* One value of a type that holds no others. */
int wire_decode_scalar(const struct wire_decoder *d, const struct wire_field *field,
                       const struct json *node, const struct wire_place *place, void *at);

void wire_put_labels(struct json_writer *w, const char *key, const struct labels *labels);
/* Copies an object whose values are known to be strings. */
void wire_take_labels(const struct json *object, struct labels *ret_labels);

#endif
