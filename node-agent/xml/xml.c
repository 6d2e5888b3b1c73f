/* Writing and reading XML; see xml.h. */
#include "node-agent/xml/xml.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/base/utf8.h"

enum { XML_MAX = 4 * 1024 * 1024 };

#define X(text) ((const xmlChar *)(text))

void xml_start(void)
{
    xmlInitParser();
}

struct xml_out *xml_begin(void)
{
    struct xml_out *x = xcalloc(1, sizeof *x);
    x->buffer = xmlBufferCreate();
    x->writer = x->buffer ? xmlNewTextWriterMemory(x->buffer, 0) : NULL;
    if (!x->writer)
        abort();
    xmlTextWriterSetIndent(x->writer, 1);
    xmlTextWriterSetIndentString(x->writer, X("  "));
    return x;
}

void xml_finish(struct xml_out *x, struct buf *out)
{
    /* Every write goes to memory: it can only fail for want of it, which shows here. */
    if (xmlTextWriterEndDocument(x->writer) < 0)
        abort();
    xmlFreeTextWriter(x->writer);
    buf_add(out, xmlBufferContent(x->buffer), (size_t)xmlBufferLength(x->buffer));
    xmlBufferFree(x->buffer);
    free(x);
}

static void write_attributes(struct xml_out *x, va_list args)
{
    const char *name;
    while ((name = va_arg(args, const char *))) {
        const char *value = va_arg(args, const char *);
        if (value)
            xmlTextWriterWriteAttribute(x->writer, X(name), X(value));
    }
}

void xml_open(struct xml_out *x, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    xmlTextWriterStartElement(x->writer, X(name));
    write_attributes(x, args);
    va_end(args);
}

void xml_close(struct xml_out *x)
{
    xmlTextWriterEndElement(x->writer);
}

void xml_empty(struct xml_out *x, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    xmlTextWriterStartElement(x->writer, X(name));
    write_attributes(x, args);
    va_end(args);
    xmlTextWriterEndElement(x->writer);
}

void xml_text(struct xml_out *x, const char *name, const char *text)
{
    xmlTextWriterWriteElement(x->writer, X(name), X(text));
}

void xml_number(struct xml_out *x, const char *name, const char *unit, int64_t value)
{
    xml_open(x, name, unit ? "unit" : NULL, unit, NULL);
    xmlTextWriterWriteString(x->writer, X(xml_digits(value).text));
    xml_close(x);
}

struct xml_digits xml_digits(int64_t value)
{
    struct xml_digits digits;
    snprintf(digits.text, sizeof digits.text, "%lld", (long long)value);
    return digits;
}

int xml_parse(const char *text, xmlDoc **ret_doc, struct err *err)
{
    size_t len = strlen(text);
    if (len > XML_MAX)
        return err_set(err, ERR_TOO_LARGE, "XML of %zu bytes is more than %d", len, XML_MAX);
    *ret_doc = xmlReadMemory(text, (int)len, "libvirt.xml", "UTF-8",
                             XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!*ret_doc || !xmlDocGetRootElement(*ret_doc)) {
        xml_free(ret_doc);
        return err_set(err, ERR_INTERNAL, "libvirt's XML cannot be parsed");
    }
    return 0;
}

void xml_free(xmlDoc **doc)
{
    if (*doc)
        xmlFreeDoc(*doc);
    *doc = NULL;
}

static xmlNode *find(xmlNode *node, const char *name)
{
    for (; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0)
            return node;
    }
    return NULL;
}

xmlNode *xml_child(const xmlNode *node, const char *name)
{
    return node ? find(node->children, name) : NULL;
}

xmlNode *xml_next(const xmlNode *node, const char *name)
{
    return node ? find(node->next, name) : NULL;
}

xmlNode *xml_child_ns(const xmlNode *node, const char *name, const char *namespace)
{
    xmlNode *child = xml_child(node, name);
    while (child && (!child->ns || strcmp((const char *)child->ns->href, namespace) != 0))
        child = xml_next(child, name);
    return child;
}

static void copy_out(xmlChar *value, char *out, size_t size)
{
    const char *text = value ? (const char *)value : "";
    size_t len = utf8_cut(text, strlen(text), size - 1);
    memcpy(out, text, len);
    out[len] = '\0';
    xmlFree(value);
}

void xml_attr(const xmlNode *node, const char *name, char *out, size_t size)
{
    copy_out(node ? xmlGetProp(node, X(name)) : NULL, out, size);
}

int64_t xml_attr_i64(const xmlNode *node, const char *name)
{
    char text[24];
    xml_attr(node, name, text, sizeof text);
    return strtoll(text, NULL, 10);
}

void xml_content(const xmlNode *node, char *out, size_t size)
{
    copy_out(node ? xmlNodeGetContent(node) : NULL, out, size);
}

int64_t xml_bytes(const xmlNode *node)
{
    static const struct {
        const char *unit;
        int64_t bytes;
    } units[] = {{"", 1},          {"b", 1},         {"bytes", 1},      {"KiB", 1 << 10},
                 {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1LL << 40}};
    char unit[16], text[24];
    xml_attr(node, "unit", unit, sizeof unit);
    xml_content(node, text, sizeof text);
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcmp(units[i].unit, unit) == 0)
            return strtoll(text, NULL, 10) * units[i].bytes;
    }
    return 0;
}
