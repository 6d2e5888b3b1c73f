/* The member names of the objects that json_check.c has open, to find one that
 * stands twice. Names are compared after unescaping. */
#ifndef MINICLOUD_API_JSON_JSON_NAMES_H
#define MINICLOUD_API_JSON_JSON_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_span {
    const char *text;
    size_t len;
};

struct json_member {
    uint64_t hash;
    struct json_span name;
};

/* Zero-initialise to start. */
struct json_names {
    struct json_member *items;
    size_t count, cap;
    char *unescaped; /* of names with escapes; never longer than the text itself */
    size_t unescaped_len;
};

/* Where the names of an object that opens now will begin. */
size_t json_names_mark(const struct json_names *names);
/* Adds the name of a checked string; the span returned is unescaped and valid
 * until release. `text_len` bounds all names together. */
struct json_span json_names_add(struct json_names *names, struct json_span raw, bool escaped,
                                size_t text_len);
/* Forgets the names from `first` on; -1 with a name that stood twice. */
int json_names_close(struct json_names *names, size_t first, struct json_span *ret_twice);
void json_names_release(struct json_names *names);

#endif
