/* libxml2's writer and parser, wrapped once: a document is written into a buffer,
 * attributes in pairs, and read with no network, no entities and a bound on size. */
#ifndef MINICLOUD_AGENT_XML_H
#define MINICLOUD_AGENT_XML_H

#include <libxml/tree.h>
#include <libxml/xmlwriter.h>
#include <stdint.h>

struct buf;
struct err;

/* libxml2's own tables; once, before threads. */
void xml_start(void);

struct xml_out {
    xmlBuffer *buffer;
    xmlTextWriter *writer;
};

struct xml_out *xml_begin(void);
/* Ends all open elements, appends the text to `out` and frees. */
void xml_finish(struct xml_out *x, struct buf *out);

/* Attributes as name, value pairs ended by NULL; a pair whose value is NULL is left out. */
void xml_open(struct xml_out *x, const char *name, ...) __attribute__((sentinel));
void xml_close(struct xml_out *x);
void xml_empty(struct xml_out *x, const char *name, ...) __attribute__((sentinel));
void xml_text(struct xml_out *x, const char *name, const char *text);
void xml_number(struct xml_out *x, const char *name, const char *unit, int64_t value);

/* A number as attribute value; the text lives until the end of the full expression's block. */
struct xml_digits {
    char text[24];
};
struct xml_digits xml_digits(int64_t value);

int xml_parse(const char *text, xmlDoc **ret_doc, struct err *err);
void xml_free(xmlDoc **doc);
#define auto_xml __attribute__((cleanup(xml_free)))

/* First child element of this name (any namespace); NULL when there is none. */
xmlNode *xml_child(const xmlNode *node, const char *name);
xmlNode *xml_next(const xmlNode *node, const char *name);
/* The first of this name in this namespace. */
xmlNode *xml_child_ns(const xmlNode *node, const char *name, const char *namespace);
/* Attribute and text content, copied with a bound; "" when missing. */
void xml_attr(const xmlNode *node, const char *name, char *out, size_t size);
int64_t xml_attr_i64(const xmlNode *node, const char *name);
void xml_content(const xmlNode *node, char *out, size_t size);
/* Bytes of an element like <memory unit='KiB'>; 0 when missing. */
int64_t xml_bytes(const xmlNode *node);

#endif
