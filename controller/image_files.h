/* The files of images: images/<id> when ready, images/<id>.part-<random> while it comes. */
#ifndef MINICLOUD_CONTROLLER_IMAGE_FILES_H
#define MINICLOUD_CONTROLLER_IMAGE_FILES_H

#include "controller/parts.h"

/* Owned by the caller. */
char *image_path(const struct app *app, const char *id);
char *image_part_path(const struct app *app, const char *id);

#endif
