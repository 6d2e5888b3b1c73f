/* Emitters for JSON, YAML and CSV. Recursion is bounded: the strict reader has
 * refused deep texts. */
#include "cli/show/format.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "api/base/buf.h"
#include "api/base/utf8.h"
#include "api/json/json.h"

enum { INDENT = 2 };

static void indent(int depth, struct buf *out)
{
    for (int i = 0; i < depth * INDENT; i++)
        buf_putc(out, ' ');
}

static bool has_children(const struct json *node)
{
    return json_first(node) != NULL;
}

/* ---- JSON ---- */

static void put_json(const struct json *node, int depth, struct buf *out)
{
    bool object = json_type(node) == JSON_OBJECT;
    if (!has_children(node)) {
        json_print(node, false, out);
        return;
    }
    buf_putc(out, object ? '{' : '[');
    for (const struct json *item = json_first(node); item; item = json_next(item)) {
        buf_puts(out, item == json_first(node) ? "\n" : ",\n");
        indent(depth + 1, out);
        if (object) {
            struct json_writer w = JSON_WRITER(out);
            json_put_str(&w, NULL, json_name(item));
            buf_puts(out, ": ");
        }
        put_json(item, depth + 1, out);
    }
    buf_putc(out, '\n');
    indent(depth, out);
    buf_putc(out, object ? '}' : ']');
}

void format_json(const struct json *node, struct buf *out)
{
    put_json(node, 0, out);
    buf_putc(out, '\n');
}

static void put_json_list(struct json *const *items, size_t count, int depth, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i == 0 ? "\n" : ",\n");
        indent(depth + 1, out);
        put_json(items[i], depth + 1, out);
    }
    if (count) {
        buf_putc(out, '\n');
        indent(depth, out);
    }
    buf_putc(out, ']');
}

void format_json_list(struct json *const *items, size_t count, struct buf *out)
{
    put_json_list(items, count, 0, out);
    buf_putc(out, '\n');
}

/* The cursor told where the next page begins. */
static bool is_cursor(const struct json *member)
{
    return strcmp(json_name(member), "next") == 0;
}

void format_json_pages(const struct json *page, const char *list, struct json *const *items,
                       size_t count, struct buf *out)
{
    const char *separator = "";
    buf_putc(out, '{');
    for (const struct json *item = json_first(page); item; item = json_next(item)) {
        if (is_cursor(item))
            continue;
        buf_printf(out, "%s\n", separator);
        separator = ",";
        indent(1, out);
        struct json_writer w = JSON_WRITER(out);
        json_put_str(&w, NULL, json_name(item));
        buf_puts(out, ": ");
        if (strcmp(json_name(item), list) == 0)
            put_json_list(items, count, 1, out);
        else
            put_json(item, 1, out);
    }
    buf_puts(out, "\n}\n");
}

/* ---- YAML ---- */

/* Words that some reader takes for a boolean or null (YAML 1.1 knows more than 1.2). */
static bool is_reserved(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on",
                                        "off",  "null",  "y",   "n",  NULL};
    for (size_t i = 0; words[i]; i++) {
        if (strcasecmp(words[i], text) == 0)
            return true;
    }
    return false;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Plain: begins with a letter, a slash or an underscore, so it is no number, date or
 * indicator, and holds nothing that ends a plain scalar. */
static bool is_plain(const char *text)
{
    if (!is_letter(*text) && *text != '/' && *text != '_')
        return false;
    for (const char *at = text; *at; at++) {
        if (!is_letter(*at) && !(*at >= '0' && *at <= '9') && !strchr("/_-.+@", *at))
            return false;
    }
    return !is_reserved(text);
}

/* Bytes of the code points that YAML does not let stand as themselves, with their
 * escapes: line separators, byte order mark, non-characters. */
static const char *special_escape(const char *text, size_t len)
{
    static const struct {
        const char *bytes, *escape;
    } specials[] = {
        {"\xe2\x80\xa8", "\\L"},     {"\xe2\x80\xa9", "\\P"},     {"\xef\xbb\xbf", "\\uFEFF"},
        {"\xef\xbf\xbe", "\\uFFFE"}, {"\xef\xbf\xbf", "\\uFFFF"},
    };
    for (size_t i = 0; len == 3 && i < sizeof(specials) / sizeof(specials[0]); i++) {
        if (memcmp(text, specials[i].bytes, 3) == 0)
            return specials[i].escape;
    }
    return NULL;
}

static void put_quoted_byte(unsigned char c, struct buf *out)
{
    const char *from = "\n\t\r\"\\", *to = "ntr\"\\";
    const char *at = c ? strchr(from, c) : NULL;
    if (at)
        buf_printf(out, "\\%c", to[at - from]);
    else if (c < 0x20 || c == 0x7f)
        buf_printf(out, "\\x%02X", c);
    else
        buf_putc(out, (char)c);
}

static void put_quoted(const char *text, struct buf *out)
{
    buf_putc(out, '"');
    for (size_t left = strlen(text); left > 0;) {
        size_t len = utf8_sequence(text, left);
        const char *escape = special_escape(text, len);
        if (len <= 1)
            put_quoted_byte((unsigned char)*text, out);
        else if (escape)
            buf_puts(out, escape);
        else if (len == 2 && (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0)
            buf_printf(out, "\\x%02X", (unsigned char)text[1]);
        else
            buf_add(out, text, len);
        len = len ? len : 1;
        text += len;
        left -= len;
    }
    buf_putc(out, '"');
}

void format_yaml_string(const char *text, struct buf *out)
{
    if (is_plain(text))
        buf_puts(out, text);
    else
        put_quoted(text, out);
}

static void put_yaml_scalar(const struct json *node, struct buf *out)
{
    if (json_str(node))
        format_yaml_string(json_str(node), out);
    else
        json_print(node, false, out); /* numbers, true, false, null, [] and {} are YAML */
}

/* The children of `node`, each on a line of its own at `depth`; the first line is
 * already indented when `inlined` (behind "- "). */
static void put_yaml(const struct json *node, int depth, bool inlined, struct buf *out)
{
    bool object = json_type(node) == JSON_OBJECT;
    for (const struct json *item = json_first(node); item; item = json_next(item)) {
        if (!inlined || item != json_first(node))
            indent(depth, out);
        if (object) {
            format_yaml_string(json_name(item), out);
            buf_puts(out, has_children(item) ? ":\n" : ": ");
        } else {
            buf_puts(out, "- ");
        }
        if (has_children(item)) {
            put_yaml(item, depth + 1, !object, out);
        } else {
            put_yaml_scalar(item, out);
            buf_putc(out, '\n');
        }
    }
}

void format_yaml(const struct json *node, struct buf *out)
{
    if (has_children(node)) {
        put_yaml(node, 0, false, out);
        return;
    }
    put_yaml_scalar(node, out);
    buf_putc(out, '\n');
}

static void put_yaml_list(struct json *const *items, size_t count, int depth, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        indent(depth, out);
        buf_puts(out, "- ");
        if (has_children(items[i])) {
            put_yaml(items[i], depth + 1, true, out);
        } else {
            put_yaml_scalar(items[i], out);
            buf_putc(out, '\n');
        }
    }
}

void format_yaml_list(struct json *const *items, size_t count, struct buf *out)
{
    put_yaml_list(items, count, 0, out);
    if (count == 0)
        buf_puts(out, "[]\n");
}

void format_yaml_pages(const struct json *page, const char *list, struct json *const *items,
                       size_t count, struct buf *out)
{
    for (const struct json *item = json_first(page); item; item = json_next(item)) {
        bool listed = strcmp(json_name(item), list) == 0;
        if (is_cursor(item))
            continue;
        format_yaml_string(json_name(item), out);
        if (listed ? count > 0 : has_children(item)) {
            buf_puts(out, ":\n");
            if (listed)
                put_yaml_list(items, count, 1, out);
            else
                put_yaml(item, 1, false, out);
            continue;
        }
        buf_puts(out, ": ");
        put_yaml_scalar(item, out);
        buf_putc(out, '\n');
    }
}

/* ---- CSV ---- */

void format_csv_cell(const char *text, struct buf *out)
{
    if (!strpbrk(text, ",\"\r\n")) {
        buf_puts(out, text);
        return;
    }
    buf_putc(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            buf_putc(out, '"');
        buf_putc(out, *text);
    }
    buf_putc(out, '"');
}

void format_harmless(char *text, size_t len, char instead)
{
    utf8_harmless(text, len, instead);
}
