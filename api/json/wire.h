/* One field table per struct drives decoding and encoding of JSON.
 *
 * A wire struct is a plain C struct whose members are described by an array of
 * `struct wire_field`. Strings and arrays in a decoded struct are owned by it
 * (wire_release); when encoding, everything is borrowed.
 *
 * C types by wire type:
 *   STR      char *            (NULL = absent or null)
 *   I64      int64_t           min..max checked
 *   BOOL     bool
 *   ENUM     int               index into `names`
 *   TIME     int64_t           wall ms <-> RFC 3339; 0 <-> null
 *   DEC64    int64_t           <-> decimal string ("64-bit counts are decimal strings");
 *                              a lenient reader takes an integer too
 *   LABELS   struct labels     <-> object of strings, kept in sorted order
 *   STRS     struct strings    <-> array of strings
 *   OBJECT   struct in place   described by `sub`
 *   OBJECT_P struct pointer    described by `sub`; NULL = absent or null
 *   LIST     struct wire_list  <-> array of objects described by `sub`
 *   RAW      char *            any JSON value as compact text */
#ifndef MINICLOUD_API_JSON_WIRE_H
#define MINICLOUD_API_JSON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct json;
struct json_writer;

struct label {
    char *name;
    char *value;
};

struct labels {
    struct label *items;
    size_t count;
};

struct strings {
    char **items;
    size_t count;
};

struct wire_list {
    void *items; /* count structs of the sub table's size, one after another */
    size_t count;
};

enum wire_type {
    WIRE_STR,
    WIRE_I64,
    WIRE_BOOL,
    WIRE_ENUM,
    WIRE_TIME,
    WIRE_DEC64,
    WIRE_LABELS,
    WIRE_STRS,
    WIRE_OBJECT,
    WIRE_OBJECT_P,
    WIRE_LIST,
    WIRE_RAW,
};

enum wire_flags {
    WIRE_REQUIRED = 1, /* decoding: must be there and not null */
    WIRE_NULLABLE = 2, /* decoding: null is allowed and means "clear" (present, zero) */
    WIRE_OMIT = 4,     /* encoding: leave out when NULL, zero or empty */
    WIRE_SECRET = 8,   /* encoding: never, unless the secret mode asks */
};

typedef int wire_check(const char *field, const char *text, struct err *err); /* a signature only */

struct wire_field {
    const char *name;
    enum wire_type type;
    unsigned flags;
    size_t offset;
    int64_t min, max;         /* I64 and DEC64: value; STR and RAW: bytes; lists: items.
                                 max 0 means: no bound but the type's own */
    const char *const *names; /* ENUM, ended by NULL */
    const struct wire_struct *sub;
    wire_check *check; /* STR and items of STRS: validate.h */
};

struct wire_struct {
    const char *name;
    size_t size;
    const struct wire_field *fields;
    size_t count; /* at most 64 */
    /* Offset + 1 of a uint64_t that gets bit i for each field i that was present
     * in the text (needed by PATCH); 0 when the struct keeps none. */
    size_t present;
};

enum wire_mode {
    WIRE_STRICT,  /* a person's request: unknown fields are refused by name */
    WIRE_LENIENT, /* replies and the agent protocol: unknown fields are ignored */
};

/* Decodes an object into zeroed `out`. On error everything taken is released and
 * `err` names the field as a JSON pointer and the limit. */
int wire_decode(const struct wire_struct *type, const struct json *object, enum wire_mode mode,
                void *out, struct err *err);
/* Parses and decodes in one step. */
int wire_parse(const struct wire_struct *type, const char *text, size_t len, enum wire_mode mode,
               void *out, struct err *err);
/* Writes `{...}` as a member `key` (NULL: root or array item). */
void wire_encode(const struct wire_struct *type, const void *in, struct json_writer *w,
                 const char *key);
/* The same with WIRE_SECRET fields: only for the one answer that shows a secret. */
void wire_encode_secret(const struct wire_struct *type, const void *in, struct json_writer *w,
                        const char *key);
void wire_release(const struct wire_struct *type, void *value);

void labels_release(struct labels *labels);
const char *labels_get(const struct labels *labels, const char *name);
/* Canonical JSON text of labels (sorted names), and back. */
void labels_print(const struct labels *labels, struct buf *out);
int labels_parse(const char *text, struct labels *ret_labels, struct err *err);
void strings_release(struct strings *strings);
/* Copies `text`. Only for lists that it alone filled. */
void strings_add(struct strings *strings, const char *text);

#endif
