/* Duplicate member names in O(n log n): names are sorted when their object ends.
 * Sorted by hash first, which spares most comparisons of text, and by text where
 * hashes agree, so that chosen collisions gain an attacker nothing. */
#include "api/json/json_names.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/hex.h"
#include "api/base/mem.h"

enum { SMALL_OBJECT = 16 }; /* up to here, comparing all pairs is faster than sorting */

size_t json_names_mark(const struct json_names *names)
{
    return names->count;
}

/* Of a checked text, where the digits are known to be there. */
static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value * 16 + (unsigned)hex_value(at[i]);
    return value;
}

static char *put_utf8(char *to, unsigned point)
{
    if (point < 0x80) {
        *to++ = (char)point;
    } else if (point < 0x800) {
        *to++ = (char)(0xC0 | point >> 6);
        *to++ = (char)(0x80 | (point & 63));
    } else if (point < 0x10000) {
        *to++ = (char)(0xE0 | point >> 12);
        *to++ = (char)(0x80 | (point >> 6 & 63));
        *to++ = (char)(0x80 | (point & 63));
    } else {
        *to++ = (char)(0xF0 | point >> 18);
        *to++ = (char)(0x80 | (point >> 12 & 63));
        *to++ = (char)(0x80 | (point >> 6 & 63));
        *to++ = (char)(0x80 | (point & 63));
    }
    return to;
}

/* One escape of a checked string; `*at` stands on the backslash. */
static char *unescape_one(char *to, const char **at)
{
    static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
    char kind = (*at)[1];
    if (kind != 'u') {
        const char *found = strchr(from, kind);
        *to = found ? into[found - from] : kind;
        *at += 2;
        return to + 1;
    }
    unsigned point = hex4(*at + 2);
    *at += 6;
    if (point >= 0xD800 && point <= 0xDBFF) {
        point = 0x10000 + ((point - 0xD800) << 10) + (hex4(*at + 2) - 0xDC00);
        *at += 6;
    }
    return put_utf8(to, point);
}

static struct json_span unescape(struct json_names *names, struct json_span raw, size_t text_len)
{
    /* Made once at its full size: spans into it must not move. */
    if (!names->unescaped)
        names->unescaped = xmalloc(text_len);
    char *first = names->unescaped + names->unescaped_len, *to = first;
    for (const char *at = raw.text, *end = raw.text + raw.len; at < end;) {
        if (*at == '\\')
            to = unescape_one(to, &at);
        else
            *to++ = *at++;
    }
    names->unescaped_len += (size_t)(to - first);
    return (struct json_span){first, (size_t)(to - first)};
}

/* FNV-1a */
static uint64_t hash_of(struct json_span name)
{
    uint64_t hash = 0xCBF29CE484222325;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.text[i]) * 0x100000001B3;
    return hash;
}

struct json_span json_names_add(struct json_names *names, struct json_span raw, bool escaped,
                                size_t text_len)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 64;
        names->items = xrealloc(names->items, names->cap * sizeof(*names->items));
    }
    struct json_span name = escaped ? unescape(names, raw, text_len) : raw;
    names->items[names->count++] = (struct json_member){hash_of(name), name};
    return name;
}

static int compare(const void *left, const void *right)
{
    const struct json_member *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->name.len != b->name.len)
        return a->name.len < b->name.len ? -1 : 1;
    return memcmp(a->name.text, b->name.text, a->name.len);
}

static const struct json_member *find_pair(const struct json_member *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (items[i].hash == items[j].hash && compare(&items[i], &items[j]) == 0)
                return &items[i];
        }
    }
    return NULL;
}

static const struct json_member *find_neighbours(struct json_member *items, size_t count)
{
    qsort(items, count, sizeof(*items), compare);
    for (size_t i = 1; i < count; i++) {
        if (compare(&items[i], &items[i - 1]) == 0)
            return &items[i];
    }
    return NULL;
}

int json_names_close(struct json_names *names, size_t first, struct json_span *ret_twice)
{
    size_t count = names->count - first;
    if (count < 2) {
        names->count = first;
        return 0;
    }
    const struct json_member *twice = count <= SMALL_OBJECT
                                          ? find_pair(names->items + first, count)
                                          : find_neighbours(names->items + first, count);
    names->count = first;
    if (!twice)
        return 0;
    *ret_twice = twice->name;
    return -1;
}

void json_names_release(struct json_names *names)
{
    free(names->items);
    free(names->unescaped);
    *names = (struct json_names){0};
}
