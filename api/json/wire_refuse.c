/* How the decoder says no: where a value stands, and which bound it broke. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/base/pointer.h"
#include "api/json/json.h"
#include "api/json/wire_internal.h"

static void add_place(struct pointer *pointer, const struct wire_place *place)
{
    if (!place)
        return;
    add_place(pointer, place->parent);
    if (place->name)
        pointer_add(pointer, place->name, strlen(place->name));
    else if (place->parent)
        pointer_add_index(pointer, place->index);
}

static struct pointer pointer_of(const struct wire_place *place)
{
    struct pointer pointer = {0};
    add_place(&pointer, place);
    return pointer;
}

int wire_refuse(const struct wire_decoder *d, const struct wire_place *place, const char *format,
                ...)
{
    struct pointer pointer = pointer_of(place);
    va_list args;
    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);
    return err_field(d->err, pointer.text, "%s: %s", pointer_label(pointer.text), text);
}

int wire_refuse_type(const struct wire_decoder *d, const struct wire_place *place,
                     const char *wanted, const struct json *got)
{
    return wire_refuse(d, place, "must be %s, got %s", wanted, json_type_name(json_type(got)));
}

/* `max` 0 is no bound, see wire.h; then a `min` other than 0 still is one. */
int wire_check_range(const struct wire_decoder *d, const struct wire_place *place,
                     const struct wire_field *field, int64_t value)
{
    if (field->max != 0 && (value < field->min || value > field->max))
        return wire_refuse(d, place, "must be from %" PRId64 " to %" PRId64 ", got %" PRId64,
                           field->min, field->max, value);
    if (field->max == 0 && field->min != 0 && value < field->min)
        return wire_refuse(d, place, "must be at least %" PRId64 ", got %" PRId64, field->min,
                           value);
    return 0;
}

int wire_check_size(const struct wire_decoder *d, const struct wire_place *place, int64_t min,
                    int64_t max, size_t size, const char *unit)
{
    int64_t got = (int64_t)size;
    if (got == 0 && min > 0)
        return wire_refuse(d, place, "must not be empty");
    if (got < min)
        return wire_refuse(d, place, "must be at least %" PRId64 " %s, got %" PRId64, min, unit,
                           got);
    if (max != 0 && got > max)
        return wire_refuse(d, place, "must be at most %" PRId64 " %s, got %" PRId64, max, unit,
                           got);
    return 0;
}

int wire_check_text(const struct wire_decoder *d, const struct wire_place *place, wire_check *check,
                    const char *text)
{
    if (!check)
        return 0;
    struct pointer pointer = pointer_of(place);
    return check(pointer.text, text, d->err);
}
