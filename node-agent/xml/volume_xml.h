/* Storage pool and volumes as XML. Pure. */
#ifndef MINICLOUD_AGENT_VOLUME_XML_H
#define MINICLOUD_AGENT_VOLUME_XML_H

#include <stdint.h>

struct buf;

void pool_xml(const char *name, const char *path, struct buf *out);
/* A plain file of `bytes`, sparse. Everyone may read the cache (guests run as users of
 * their own), nobody else's eyes may see a seed: `mode` as text, "0644". */
void volume_raw_xml(const char *name, int64_t bytes, const char *mode, struct buf *out);
/* A qcow2 overlay of `bytes` over `backing` (a path). */
void volume_overlay_xml(const char *name, int64_t bytes, const char *backing, int backing_format,
                        struct buf *out);

#endif
