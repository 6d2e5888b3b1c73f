/* JSON: the strict reader over cJSON, and a writer straight into a buffer.
 *
 * cJSON alone accepts invalid texts, folds case, takes the first of duplicate
 * names, cuts at NUL and rounds integers beyond 2^53. So the text is first
 * checked here, in one pass and without recursion, against RFC 8259 and these
 * bounds: valid UTF-8 (RFC 3629), no U+0000 even escaped, paired surrogates, no
 * duplicate names in an object (compared after unescaping), depth, numbers that
 * a double holds exactly when they are integers. Only then cJSON builds the
 * tree. This is the only module that includes <cjson/cJSON.h>. */
#ifndef MINICLOUD_API_JSON_JSON_H
#define MINICLOUD_API_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct json; /* a node; the root owns the tree */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* The text need not end with NUL. Errors: ERR_INVALID with line and column, or
 * ERR_FIELD with the JSON pointer of a duplicate name. */
int json_parse(const char *text, size_t len, struct json **ret_root, struct err *err);
/* The check alone, no tree. */
int json_check(const char *text, size_t len, struct err *err);
void json_free(struct json *root);
void json_cleanup(struct json **root);
#define auto_json __attribute__((cleanup(json_cleanup)))

enum json_type json_type(const struct json *node);
const char *json_type_name(enum json_type type);
/* Exact, case-sensitive member; NULL when missing or `node` is no object. */
struct json *json_get(const struct json *node, const char *name);
/* First child of an array or object, next sibling; NULL at the end. */
struct json *json_first(const struct json *node);
struct json *json_next(const struct json *node);
/* Member name of a node inside an object. */
const char *json_name(const struct json *node);
size_t json_count(const struct json *node);
/* Borrowed text; NULL when the node (which may be NULL) is no string. */
const char *json_str(const struct json *node);
/* false when the node is no number, not an integer or outside +-(2^53-1). */
bool json_i64(const struct json *node, int64_t *ret);
bool json_bool(const struct json *node, bool *ret);

/* Appends the node's compact text: sorted member names when `canonical`. */
void json_print(const struct json *node, bool canonical, struct buf *out);

/* ---- writing ---- */

/* Keeps track of commas only; the caller closes what it opens. */
struct json_writer {
    struct buf *out;
    bool comma;
};

#define JSON_WRITER(buffer) \
    {                       \
        .out = (buffer)     \
    }

/* `key` is NULL inside an array and for the root. Keys are literals of ours
 * and are not escaped; values are. */
void json_open(struct json_writer *w, const char *key, char bracket);         /* '{' or '[' */
void json_close(struct json_writer *w, char bracket);                         /* '}' or ']' */
void json_put_str(struct json_writer *w, const char *key, const char *value); /* NULL: null */
void json_put_strn(struct json_writer *w, const char *key, const char *value, size_t len);
void json_put_i64(struct json_writer *w, const char *key, int64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
/* RFC 3339 text of wall milliseconds; 0 is written as null. */
void json_put_time(struct json_writer *w, const char *key, int64_t wall_ms);
/* Already valid JSON text. */
void json_put_raw(struct json_writer *w, const char *key, const char *json, size_t len);
/* A key that comes from data and needs escaping, before a put with key NULL. */
void json_put_key(struct json_writer *w, const char *key);

#endif
