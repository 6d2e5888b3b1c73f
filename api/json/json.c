/* The tree of a checked text. The only code that includes <cjson/cJSON.h>; `struct
 * json` is a cJSON node by another name, so that nobody else can reach into one. */
#include "api/json/json.h"

#include <cjson/cJSON.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json_internal.h"

static locale_t c_locale;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale)
        abort();
}

locale_t json_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    return c_locale;
}

static const cJSON *in(const struct json *node)
{
    return (const cJSON *)node;
}

/* Children are no more const than their parent's pointer says: the tree is the
 * caller's, and nothing here changes it. */
static struct json *out_of(cJSON *node)
{
    return (struct json *)node;
}

int json_parse(const char *text, size_t len, struct json **ret_root, struct err *err)
{
    if (json_check(text, len, err) != 0)
        return -1;
    /* cJSON asks the thread's locale for the decimal point. */
    locale_t before = uselocale(json_locale());
    cJSON *root = cJSON_ParseWithLength(text, len);
    uselocale(before);
    if (!root)
        return err_set(err, ERR_INTERNAL, "cJSON refused a text that the check had passed");
    *ret_root = out_of(root);
    return 0;
}

void json_free(struct json *root)
{
    cJSON_Delete((cJSON *)root);
}

void json_cleanup(struct json **root)
{
    json_free(*root);
}

enum json_type json_type(const struct json *node)
{
    switch (in(node)->type & 0xFF) {
    case cJSON_False:
    case cJSON_True:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {"null",     "true or false", "a number",
                                        "a string", "an array",      "an object"};
    return names[type];
}

struct json *json_get(const struct json *node, const char *name)
{
    if (!node || json_type(node) != JSON_OBJECT)
        return NULL;
    for (struct json *child = json_first(node); child; child = json_next(child)) {
        if (strcmp(json_name(child), name) == 0)
            return child;
    }
    return NULL;
}

struct json *json_first(const struct json *node)
{
    return node ? out_of(in(node)->child) : NULL;
}

struct json *json_next(const struct json *node)
{
    return out_of(in(node)->next);
}

const char *json_name(const struct json *node)
{
    return in(node)->string;
}

size_t json_count(const struct json *node)
{
    size_t count = 0;
    for (struct json *child = json_first(node); child; child = json_next(child))
        count++;
    return count;
}

const char *json_str(const struct json *node)
{
    return node && json_type(node) == JSON_STRING ? in(node)->valuestring : NULL;
}

bool json_i64(const struct json *node, int64_t *ret)
{
    if (!node || json_type(node) != JSON_NUMBER)
        return false;
    double value = in(node)->valuedouble;
    /* The range first: converting a double beyond it is undefined. */
    if (!(fabs(value) <= (double)JSON_INTEGER_MAX) || value != trunc(value))
        return false;
    *ret = (int64_t)value;
    return true;
}

bool json_bool(const struct json *node, bool *ret)
{
    if (!node || json_type(node) != JSON_BOOL)
        return false;
    *ret = (in(node)->type & 0xFF) == cJSON_True;
    return true;
}

/* ---- printing ---- */

/* The shortest of 15 to 17 digits that reads back as the same double. */
static void print_double(double value, struct buf *out)
{
    char text[40];
    locale_t before = uselocale(json_locale());
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (!(strtod(text, NULL) < value) && !(strtod(text, NULL) > value))
            break;
    }
    uselocale(before);
    buf_puts(out, text);
}

static int compare_names(const void *left, const void *right)
{
    struct json *const *a = left, *const *b = right;
    return strcmp(json_name(*a), json_name(*b));
}

static void print_member(const struct json *node, bool named, bool canonical, struct buf *out)
{
    if (named) {
        const char *name = json_name(node);
        json_add_quoted(out, name, strlen(name));
        buf_putc(out, ':');
    }
    json_print(node, canonical, out);
}

static void print_sorted(const struct json *object, struct buf *out)
{
    size_t count = json_count(object), i = 0;
    autofree struct json **members = xcalloc(count, sizeof(struct json *));
    for (struct json *child = json_first(object); child; child = json_next(child))
        members[i++] = child;
    qsort(members, count, sizeof(struct json *), compare_names);
    for (i = 0; i < count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        print_member(members[i], true, true, out);
    }
}

static void print_children(const struct json *node, bool canonical, struct buf *out)
{
    bool object = json_type(node) == JSON_OBJECT;
    buf_putc(out, object ? '{' : '[');
    if (object && canonical) {
        print_sorted(node, out);
    } else {
        for (struct json *child = json_first(node); child; child = json_next(child)) {
            if (child != json_first(node))
                buf_putc(out, ',');
            print_member(child, object, canonical, out);
        }
    }
    buf_putc(out, object ? '}' : ']');
}

void json_print(const struct json *node, bool canonical, struct buf *out)
{
    int64_t integer;
    bool flag;
    switch (json_type(node)) {
    case JSON_NULL:
        buf_puts(out, "null");
        return;
    case JSON_BOOL:
        buf_puts(out, json_bool(node, &flag) && flag ? "true" : "false");
        return;
    case JSON_NUMBER:
        if (json_i64(node, &integer))
            buf_i64(out, integer);
        else
            print_double(in(node)->valuedouble, out);
        return;
    case JSON_STRING:
        json_add_quoted(out, json_str(node), strlen(json_str(node)));
        return;
    default:
        print_children(node, canonical, out);
    }
}
