/* Writes XML of storage; see volume_xml.h. */
#include "node-agent/xml/volume_xml.h"

#include "api/base/buf.h"
#include "api/types.h"
#include "node-agent/xml/xml.h"

void pool_xml(const char *name, const char *path, struct buf *out)
{
    struct xml_out *x = xml_begin();
    xml_open(x, "pool", "type", "dir", NULL);
    xml_text(x, "name", name);
    xml_open(x, "target", NULL);
    xml_text(x, "path", path);
    xml_open(x, "permissions", NULL);
    /* Guests' users go through to their own files and list nothing. */
    xml_text(x, "mode", "0711");
    xml_close(x);
    xml_close(x);
    xml_finish(x, out);
}

static void write_target(struct xml_out *x, const char *format, const char *mode)
{
    xml_open(x, "target", NULL);
    xml_empty(x, "format", "type", format, NULL);
    xml_open(x, "permissions", NULL);
    xml_text(x, "mode", mode);
    xml_text(x, "owner", "0");
    xml_text(x, "group", "0");
    xml_close(x);
    xml_close(x);
}

void volume_raw_xml(const char *name, int64_t bytes, const char *mode, struct buf *out)
{
    struct xml_out *x = xml_begin();
    xml_open(x, "volume", NULL);
    xml_text(x, "name", name);
    xml_number(x, "capacity", "bytes", bytes);
    xml_number(x, "allocation", "bytes", 0);
    write_target(x, "raw", mode);
    xml_finish(x, out);
}

void volume_overlay_xml(const char *name, int64_t bytes, const char *backing, int backing_format,
                        struct buf *out)
{
    struct xml_out *x = xml_begin();
    xml_open(x, "volume", NULL);
    xml_text(x, "name", name);
    xml_number(x, "capacity", "bytes", bytes);
    write_target(x, "qcow2", "0600");
    xml_open(x, "backingStore", NULL);
    xml_text(x, "path", backing);
    xml_empty(x, "format", "type", format_names[backing_format], NULL);
    xml_close(x);
    xml_finish(x, out);
}
