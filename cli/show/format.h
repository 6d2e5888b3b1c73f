/* Text formats for programs: indented JSON, YAML 1.2 (block style) and cells of
 * RFC 4180. Pure: nodes in, text out. */
#ifndef MINICLOUD_CLI_SHOW_FORMAT_H
#define MINICLOUD_CLI_SHOW_FORMAT_H

#include <stddef.h>

struct buf;
struct json;

/* A node, or (format_*_list) an array of nodes that need not share a tree; each ends
 * with a newline. */
void format_json(const struct json *node, struct buf *out);
void format_json_list(struct json *const *items, size_t count, struct buf *out);
void format_yaml(const struct json *node, struct buf *out);
void format_yaml_list(struct json *const *items, size_t count, struct buf *out);
/* An answer of several pages as if it had been one: the first page, in which `list` has the
 * items of all. */
void format_json_pages(const struct json *page, const char *list, struct json *const *items,
                       size_t count, struct buf *out);
void format_yaml_pages(const struct json *page, const char *list, struct json *const *items,
                       size_t count, struct buf *out);
/* One YAML scalar: plain when nothing could read it as something else. */
void format_yaml_string(const char *text, struct buf *out);
/* Control characters would let whoever named a thing write on the terminal at will: each of their
 * bytes becomes `instead`, also of those that UTF-8 has beyond ASCII (U+0080 to U+009F). */
void format_harmless(char *text, size_t len, char instead);
/* Quoted when it holds a comma, a quote or a line break. */
void format_csv_cell(const char *text, struct buf *out);

#endif
