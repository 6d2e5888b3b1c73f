/* The image cache. */
#ifndef MINICLOUD_AGENT_IMAGES_H
#define MINICLOUD_AGENT_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "node-agent/instance/instance.h"

struct hv;
struct strings;

int images_new(struct agent *agent, struct err *err);
bool images_stop(struct agent *agent, int64_t ms);
/* The cache volumes there are; what is not marked complete is removed. With `hv`. */
int images_load(struct agent *agent, struct hv *hv, struct err *err);
bool images_ready(struct agent *agent, const char *sha256);
/* Begins to fetch it unless that goes on; all instances are woken when it ends. A failure
 * stands for a while, then the next wish tries again; `err` tells it also then, with
 * IMAGE_COMING. */
enum image_state images_want(struct agent *agent, const struct desired_image *image,
                             struct err *err);
/* Those that were deleted, from a full page: removes them once nothing stands on them. One that
 * the controller does not speak of stays: its database may be older than the image. */
void images_gone(struct agent *agent, const struct strings *sha256);
/* Once more: what something stood on may be free by now. */
void images_sweep(struct agent *agent);

#endif
